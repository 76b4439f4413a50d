"""Sparse Gaussian processes on environments: Gaussian approximation potentials [bartok2010].

The energy of a site is a sum of kernels with ``M`` chosen environments of its own element,

    e_i = sum_m c_m k(f_i, s_m),    c ~ N(0, (lambda K_MM)^-1),    K_MM = k(s_m, s_m'),

which is a linear model once the environments are chosen (`learner`): energies, forces and stresses are fitted together,
and held-out frames choose ``lambda``. Environments are taken greedily, each where those before explain least: pivoted
Cholesky factorization of the kernel (`_by_variance`), the farthest in feature space (`_by_distance`), or by leverage on
the principal directions of the features (`_by_leverage`, CUR [mahoney2009]).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.linalg import block_diag

from thalweg.learned_potentials.frames.forgiving import Forgiving
from thalweg.learned_potentials.frames.typical_cutoff import with_neighbors
from thalweg.learned_potentials.linear.design import Part
from thalweg.learned_potentials.linear.kernels import DotProduct, Kernel
from thalweg.learned_potentials.linear.learner import OnePass, over_elements
from thalweg.learned_potentials.linear.regularization import (
    AutomaticRelevance,
    CrossValidated,
    Regularization,
)
from thalweg.learned_potentials.terms.learner import Imagined
from thalweg.learning.splits import farthest_points
from thalweg.representations.environments import element_kinds
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float, Int
from thalweg.systems.configuration import Configuration
from thalweg.units import InCode

CANDIDATES = 20000
"""At most this many environments of an element are candidates."""

JITTER = 1e-10
"""Added to the diagonal of the kernel of chosen environments, relative to its mean."""


class KernelBasis(eqx.Module):
    """Kernels with chosen environments.

    Attributes
    ----------
    kernels : one per element
    points : features of the chosen environments of each element, ``(points, features)``
    """

    kernels: tuple[Kernel, ...]
    points: tuple[Float[Array, "_ features"], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(points) for points in self.points)

    def values(self, kind: int, features: Float[np.ndarray, "sites features"]) -> np.ndarray:
        return np.asarray(self.kernels[kind](features.T, self.points[kind])).T

    def pushed(
        self,
        kind: int,
        features: Float[np.ndarray, "sites features"],
        owners: np.ndarray,
        pulls: Float[np.ndarray, "pairs 3 features"],
    ) -> np.ndarray:
        return self.kernels[kind].pushed(features, owners, pulls, self.points[kind])

    def energies(
        self,
        features: Float[Array, "features sites"],
        kinds: Int[Array, " sites"],
        coefficients: Float[Array, " coefficients"],
    ) -> Float[Array, " sites"]:
        """Energy of each site."""
        parts = jnp.split(jnp.asarray(coefficients, features.dtype), np.cumsum(self.sizes)[:-1])
        rows = [
            part @ kernel(features, jnp.asarray(points, features.dtype))
            for part, kernel, points in zip(parts, self.kernels, self.points)
        ]
        if len(rows) == 1:
            return rows[0]
        return sum(jnp.where(kinds == kind, row, 0) for kind, row in enumerate(rows))

    def prior(self) -> np.ndarray:
        """``K_MM``, block by block."""
        blocks = []
        for kernel, points in zip(self.kernels, self.points):
            matrix = np.asarray(kernel(np.asarray(points).T, np.asarray(points)))
            blocks.append(matrix + JITTER * np.trace(matrix) / max(len(matrix), 1) * np.eye(len(matrix)))
        return block_diag(*blocks)


@dataclass(frozen=True)
class SparseKernel(OnePass):
    """Kernel regression on a few chosen environments.

    Parameters
    ----------
    representation : what the sites are described by; `DotProduct` wants it normalized
    points : number of chosen environments of each element, or one number per element
    kernel : `DotProduct` or `GaussianKernel`
    selection : how environments are chosen
    regularization : who decides how strongly coefficients are held back
    folds : parts of the frames kept apart for cross-validation
    neighbors : the cutoff is where atoms of the training frames have so many neighbors on average, see
        `frames.typical_cutoff`; None leaves that of the representation
    forgiving : how much less labels of frames with large forces count; None for all alike
    imagined : frames of which next to nothing is learned, see `FreeAtoms`
    """

    usual_trust: ClassVar[float] = 50.0
    looser: ClassVar[tuple[float, ...]] = ()
    """Kernels vanish far from their points by themselves: to ask for it costs nothing."""

    representation: Representation
    points: int | tuple[int, ...] = 500
    kernel: Kernel = DotProduct()  # noqa: RUF009
    selection: Literal["variance", "distance", "leverage"] = "variance"
    regularization: Regularization = CrossValidated()  # noqa: RUF009
    folds: int = 4
    neighbors: int | None = None
    forgiving: Forgiving | None = None
    imagined: InCode[Imagined | None] = None

    def __post_init__(self):
        if isinstance(self.regularization, AutomaticRelevance):
            raise ValueError(
                "automatic relevance needs independent coefficients, which those of a kernel are not; use "
                "CrossValidated or Evidence"
            )

    def part(self, configurations: Sequence[Configuration], seed: int = 0) -> Part:
        """Kernels with environments chosen among those of ``configurations``."""
        wide = with_neighbors(self.representation, configurations, self.neighbors)
        representation = over_elements(wide, configurations)
        return Part(representation, self._basis(representation, configurations, np.random.default_rng(seed)))

    def prior(self, part: Part, sizes: Float[np.ndarray, " coefficients"]) -> np.ndarray:
        """One for each independent combination of kernels, whose own ``Lambda`` is ``K_MM``."""
        return np.ones(sum(part.basis.sizes))

    def _basis(self, representation, configurations, generator):
        columns = np.concatenate(representation.features(configurations))
        kinds = element_kinds(
            np.concatenate([frame.numbers for frame in configurations]), representation.elements
        )
        wanted = self.points
        if isinstance(wanted, int):
            wanted = (wanted,) * len(representation.elements)
        kernels, points = [], []
        for kind, count in enumerate(wanted):
            mine = np.flatnonzero(kinds == kind)
            if len(mine) > CANDIDATES:
                mine = np.sort(generator.choice(mine, CANDIDATES, replace=False))
            kernel = self.kernel.fitted(columns[mine])
            chosen = SELECTIONS[self.selection](columns[mine], kernel, count)
            kernels.append(kernel)
            points.append(columns[mine][chosen])
        return KernelBasis(tuple(kernels), tuple(points))


def _by_variance(features: Float[np.ndarray, "sites features"], kernel: Kernel, count: int) -> np.ndarray:
    """Sites chosen one after the other, each where the variance given those before is largest."""
    # pivoted Cholesky factorization of the kernel: ``left`` is what is left of its diagonal
    left = np.array(kernel.self_kernel(features))
    floor = 1e-10 * left.max()
    factor, chosen = np.zeros((min(count, len(features)), len(features))), []
    for row in range(len(factor)):
        best = int(np.argmax(left))
        if left[best] < floor:
            break
        column = np.asarray(kernel(features.T, features[best : best + 1]))[0]
        factor[row] = (column - factor[:row, best] @ factor[:row]) / np.sqrt(left[best])
        left -= factor[row] ** 2
        left[best] = -1.0
        chosen.append(best)
    return np.array(chosen, int)


def _by_distance(features: Float[np.ndarray, "sites features"], kernel: Kernel, count: int) -> np.ndarray:
    """Sites chosen one after the other, each the farthest from those before."""
    return np.asarray(farthest_points(features, min(count, len(features))))


def _by_leverage(features: Float[np.ndarray, "sites features"], kernel: Kernel, count: int) -> np.ndarray:
    """Sites that weigh most on the principal directions of the features [mahoney2009]."""
    values, vectors = np.linalg.eigh(features.T @ features)
    directions = vectors[:, -min(count, len(values)) :]
    whitened = features @ (directions / np.sqrt(np.maximum(values[-count:], 1e-12 * values[-1])))
    leverage = (whitened**2).sum(1)
    return np.argsort(-leverage, kind="stable")[:count]


SELECTIONS = {"variance": _by_variance, "distance": _by_distance, "leverage": _by_leverage}
