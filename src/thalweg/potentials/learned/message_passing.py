"""Message passing as a learner: learned messages and one readout, trained together on energies, forces and stresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax

from thalweg.potentials.learned.gradient_training import GradientTraining, typical_energy, typical_neighbors
from thalweg.potentials.learned.local import LocalTerm
from thalweg.potentials.learned.site_networks import SharedNetwork
from thalweg.potentials.learned.term import Weights
from thalweg.representations.messages import Messages
from thalweg.systems.configuration import Configuration, elements_of


@dataclass(frozen=True)
class MessagePassing:
    """``E = sum_i network(x_i)`` with ``x_i`` the state of a site after all messages.

    Parameters
    ----------
    messages : their kind: `SchNet`, `DTNN`, `PaiNN`, `EmbeddedDensity`
    training : how they are trained
    readout : width of the hidden layer of the readout
    nonlinearity : of the readout
    """

    messages: Messages
    training: GradientTraining = GradientTraining()  # noqa: RUF009
    readout: int = 32
    nonlinearity: str = "silu"

    def start(self, configurations: Sequence[Configuration], seed: int) -> LocalTerm:
        """The untrained term: random weights, scaled to the labels."""
        elements = elements_of(configurations)
        first, second = jax.random.split(jax.random.key(seed))
        neighbors = typical_neighbors(configurations, self.messages.cutoff)
        messages = self.messages.init(elements, neighbors, first)
        widths, scale = (messages.width, self.readout), typical_energy(configurations)
        readout = SharedNetwork.init(widths, len(elements), scale, second, self.nonlinearity)
        return LocalTerm(representation=messages, readout=readout)

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> LocalTerm:
        """The term of the best epoch.

        Raises
        ------
        ValueError
            If no frame has a label, or one is not finite.
        """
        training, aside = self.training.split(configurations, validation, seed)
        start = self.start([*training, *aside], seed)
        return self.training.fit(start, training, aside, weights, seed=seed, progress=progress).model
