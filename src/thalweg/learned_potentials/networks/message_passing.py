"""Message passing as a learner: learned messages and one readout, trained together on energies, forces and stresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

from thalweg.learned_potentials.networks.gradient_training import (
    GradientTraining,
    typical_energy,
    typical_neighbors,
)
from thalweg.learned_potentials.networks.in_blocks import PAIRS, InBlocks
from thalweg.learned_potentials.networks.shared_network import SharedNetwork
from thalweg.learned_potentials.terms.learner import FittedTerm
from thalweg.learned_potentials.terms.local import LocalEnergy, LocalTerm, SiteTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.environments import Environments
from thalweg.representations.messages.messages import Messages, Tabulable
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration, elements_of


class MessageTerm(SiteTerm):
    """Trained messages and their readout.

    Attributes
    ----------
    representation : learned messages
    readout : called with features ``(features, sites)`` and kinds ``(sites,)``; gives ``(sites,)`` [kJ/mol]
    """

    representation: Representation
    readout: eqx.Module

    @property
    def elements(self) -> tuple[int, ...]:
        return self.representation.elements

    @property
    def cutoff(self) -> float:
        return self.representation.cutoff

    @property
    def sees_neighbors_only(self) -> bool:
        return False

    def site_energies(self, environments: Environments) -> Float[Array, " sites"]:
        return LocalTerm(representation=self.representation, readout=self.readout).site_energies(environments)

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> LocalEnergy | InBlocks:
        """As every term; with tables in place of filters where the messages know how, and replicas in blocks."""
        messages = self.representation
        quick = messages.tabulated() if isinstance(messages, Tabulable) else messages
        energy = LocalTerm(representation=quick, readout=self.readout).bind(numbers, box, periodic)
        atoms = len(energy.kinds)
        return InBlocks(energy, max(1, PAIRS // max(atoms * (atoms - 1), 1))) if energy.listless else energy


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

    def start(self, configurations: Sequence[Configuration], seed: int) -> MessageTerm:
        """The untrained term: random weights, scaled to the labels."""
        elements = elements_of(configurations)
        first, second = jax.random.split(jax.random.key(seed))
        neighbors = typical_neighbors(configurations, self.messages.cutoff)
        messages = self.messages.init(elements, neighbors, first)
        widths, scale = (messages.width, self.readout), typical_energy(configurations)
        readout = SharedNetwork.init(widths, len(elements), scale, second, self.nonlinearity)
        return MessageTerm(representation=messages, readout=readout)

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """The `MessageTerm` of the best epoch, and the course of the training.

        Raises
        ------
        ValueError
            If no frame has a label, or one is not finite.
        """
        training, aside = self.training.split(configurations, validation, seed)
        start = self.start([*training, *aside], seed)
        return self.training.fit(start, training, aside, weights, seed=seed, progress=progress)

    def with_checkpoints(self, folder: Path) -> MessagePassing:
        """See `thalweg.learned_potentials.terms.learner.Resumable`."""
        return replace(self, training=replace(self.training, checkpoint=folder))
