"""Networks on representations: one small perceptron per element reads the energy off fixed features [behler2007].

    e_i = scale ( network_a(z_i) + w_a . z_i ) + shift_a,   z_i = (g_i - mean_a) P_a

for a site of element ``a`` with features ``g_i``. ``P_a`` whitens: it turns the standardized features to their
principal axes and divides by the spread along each, or by ``floor`` times the largest where the spread is less. The
linear part, ``w_a . z_i``, is what a network is worst at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.networks.gradient_training import GradientTraining, typical_energy
from thalweg.learned_potentials.terms.learner import FittedTerm
from thalweg.learned_potentials.terms.local import LocalTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.learning.perceptron import Perceptron
from thalweg.learning.trainer import is_parameter
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float, Int
from thalweg.systems.configuration import Configuration, elements_of


@dataclass(frozen=True)
class Network:
    """Settings of per-element networks on a fixed representation.

    Parameters
    ----------
    representation : of environments; its elements may be left open
    widths : of the hidden layers
    nonlinearity : between layers
    floor : smallest spread of whitened features, relative to the largest; 1 only turns them to their axes
    training : how they are trained
    """

    representation: Representation
    widths: tuple[int, ...] = (32, 32)
    nonlinearity: str = "tanh"
    floor: float = 0.1
    training: GradientTraining = GradientTraining()  # noqa: RUF009

    def start(self, configurations: Sequence[Configuration], seed: int) -> LocalTerm:
        """The untrained term: whitening from the features of ``configurations``, random weights."""
        elements = elements_of(configurations)
        representation = self.representation.over(elements)
        features = np.concatenate(representation.features(configurations))
        numbers = np.concatenate([frame.numbers for frame in configurations])
        of_each = [standardizing_axes(features[numbers == z], self.floor) for z in elements]
        keys = jax.random.split(jax.random.key(seed), len(elements))
        widths = (features.shape[1], *self.widths, 1)
        readout = ElementNetworks(
            means=np.stack([mean for mean, _ in of_each]),
            axes=np.stack([axes for _, axes in of_each]),
            networks=tuple(Perceptron.init(widths, key, self.nonlinearity, last=0.1) for key in keys),
            linear=jnp.zeros((len(elements), features.shape[1]), jnp.float32),
            shift=jnp.zeros(len(elements), jnp.float32),
            scale=typical_energy(configurations),
        )
        return LocalTerm(representation=representation, readout=readout)

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """The `LocalTerm` of the best epoch, and the course of the training.

        Raises
        ------
        ValueError
            If no frame has a label, or one is not finite.
        """
        training, aside = self.training.split(configurations, validation, seed)
        start = self.start([*training, *aside], seed)
        trainable = jax.tree.map(lambda _: False, start)
        trainable = eqx.tree_at(
            lambda term: term.readout, trainable, jax.tree.map(is_parameter, start.readout)
        )
        return self.training.fit(
            start, training, aside, weights, seed=seed, progress=progress, trainable=trainable
        )

    def with_checkpoints(self, folder: Path) -> Network:
        """See `thalweg.learned_potentials.terms.learner.Resumable`."""
        return replace(self, training=replace(self.training, checkpoint=folder))


class ElementNetworks(eqx.Module):
    """Whitening, networks and linear parts of all elements.

    Attributes
    ----------
    means, axes : what is subtracted from the features, and what the rest is multiplied with; fixed
    networks, linear, shift : trained
    scale : how much energies of sites vary [kJ/mol]
    """

    means: Float[Array, "elements features"]
    axes: Float[Array, "elements features features"]
    networks: tuple[Perceptron, ...]
    linear: Float[Array, "elements features"]
    shift: Float[Array, " elements"]
    scale: Float[Array, ""]

    def __call__(self, features: Float[Array, "features sites"], kinds: Int[Array, " sites"]) -> jax.Array:
        total = jnp.zeros_like(features[0])
        for kind, network in enumerate(self.networks):
            # z_i = (g_i - mean_a) P_a, then the network, the linear part and the shift
            whitened = (features.T - self.means[kind]) @ jnp.asarray(self.axes[kind], features.dtype)
            energies = network(whitened)[:, 0] + whitened @ self.linear[kind] + self.shift[kind]
            total = jnp.where(kinds == kind, self.scale * energies, total)
        return total


def standardizing_axes(
    features: Float[np.ndarray, "sites features"], floor: float
) -> tuple[Float[np.ndarray, " features"], Float[np.ndarray, "features features"]]:
    """Mean, and the matrix that makes the features uncorrelated and, above the floor, of spread one.

    Features come in units of their own, so that axes are those of correlations, and none is left out: where the spread
    along one is small the energy may still depend on it, which is why it is limited by the ``floor``. (What whitens
    slow coordinates drops directions of no variance instead, since a pseudo-inverse needs them gone.)

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(1000, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]])
    >>> mean, axes = standardizing_axes(x, 1e-3)
    >>> np.abs(np.cov(((x - mean) @ axes).T) - np.eye(2)).max() < 1e-6
    np.True_
    """
    # D^-1 (f - mean) of unit spread, its correlation matrix A V A^T, and P = D^-1 A max(V^1/2, floor)^-1
    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-8 * max(spread.max(), 1e-300), spread, 1.0)
    standard = (features - mean) / spread
    variances, axes = np.linalg.eigh(standard.T @ standard / max(len(features) - 1, 1))
    widths = np.sqrt(np.maximum(variances, 0))
    return mean, axes / spread[:, None] / np.maximum(widths, floor * max(widths[-1], 1e-12))
