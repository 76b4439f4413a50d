"""Pair potentials as terms: ``E = sum_i o(element_i) + sum_{i<j} u(r_ij; elements) s(r_ij)``.

`LennardJones`, ``u = 4 e ((d / r)^12 - (d / r)^6)`` [lennardjones1931], and `Morse`,
``u = D ((1 - e^(-a (r - r_0)))^2 - 1)`` [morse1929], are fitted to energies and forces by
`few_parameters`, or written down with known numbers by `lennard_jones` and `morse`. The
switch ``s`` goes from one to zero over the last fifth of the cutoff, with two continuous derivatives; ``o`` is what an
atom has alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.parametric.few_parameters import (
    best_fit,
    linear_fit,
    nearest_distances,
    require_frames,
)
from thalweg.learned_potentials.terms.learner import FittedTerm
from thalweg.learned_potentials.terms.local import SiteTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.environments import Environments
from thalweg.shapes import Array, Float, Int
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.units import KilojoulesPerMole, Nanometers

INNER = 0.8
"""Fraction of the cutoff where the switch begins."""


class PairTerm(SiteTerm):
    """``E = sum_i o(element_i) + 1/2 sum_i sum_j u(r_ij)``.

    Attributes
    ----------
    elements : atomic numbers
    cutoff : [nm]
    interaction : called with distances [nm] and `pair_kinds`, gives energies [kJ/mol], zero from the cutoff on
    offsets : energy of each element alone [kJ/mol]
    """

    elements: tuple[int, ...] = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    interaction: eqx.Module
    offsets: Float[Array, " elements"]

    def site_energies(self, environments: Environments) -> Float[Array, " sites"]:
        kinds = environments.kinds
        distances = environments.distances
        halves = 0.5 * self.interaction(distances, pair_kinds(kinds, environments.neighbor_kinds)).sum(0)
        alone = jnp.asarray(self.offsets, halves.dtype)[kinds]
        return jnp.where(kinds >= 0, halves + alone, 0.0)


def pair_kinds(kinds: Int[Array, " sites"], neighbor_kinds: Int[Array, "neighbors sites"]) -> jax.Array:
    """Number of each pair of kinds, the same both ways round: (0, 0), (0, 1), (1, 1), (0, 2), ..."""
    lower, higher = jnp.minimum(kinds, neighbor_kinds), jnp.maximum(kinds, neighbor_kinds)
    return higher * (higher + 1) // 2 + lower


def pair_table(elements: Sequence[int], value: Callable[[int, int], float]) -> np.ndarray:
    """``value(z_1, z_2)`` of every pair of elements, in the order of `pair_kinds`."""
    return np.array([value(a, b) for k, b in enumerate(elements) for a in elements[: k + 1]], float)


def of_pairs(table: Float[Array, " pairs"], pairs: Int[Array, " *shape"], like: Array) -> jax.Array:
    """Entries of ``table`` for ``pairs``, in the precision of ``like``."""
    table = jnp.asarray(table, like.dtype)
    return table[0] if table.shape[0] == 1 else table[pairs]


def quintic_switch(
    distances: Float[Array, " *shape"], inner: Array | float, outer: Array | float
) -> jax.Array:
    """One up to ``inner``, zero from ``outer`` on, ``1 - x^3 (10 - 15 x + 6 x^2)`` between; twice differentiable."""
    x = jnp.clip((distances - inner) / (outer - inner), 0, 1)
    return 1 - x * x * x * (10 - 15 * x + 6 * x * x)


class LennardJonesPairs(eqx.Module):
    """``a / r^12 - b / r^6``, with ``a = 4 e d^12`` and ``b = 4 e d^6``.

    Attributes
    ----------
    repulsion : a of each pair of elements [kJ/mol nm^12]
    attraction : b [kJ/mol nm^6]
    """

    repulsion: Float[Array, " pairs"]
    attraction: Float[Array, " pairs"]
    cutoff: float = eqx.field(static=True)

    def __call__(self, distances: Float[Array, " *shape"], pairs: Int[Array, " *shape"]) -> jax.Array:
        repulsion, attraction = (
            of_pairs(table, pairs, distances) for table in (self.repulsion, self.attraction)
        )
        inverse = 1 / (distances * distances)
        sixth = inverse * inverse * inverse
        energies = (repulsion * sixth - attraction) * sixth
        return energies * quintic_switch(distances, INNER * self.cutoff, self.cutoff)


class MorsePairs(eqx.Module):
    """``D ((1 - e^(-a (r - r_0)))^2 - 1)``.

    Attributes
    ----------
    depth : D of each pair of elements [kJ/mol]
    stiffness : a [1/nm]
    distance : r_0 [nm]
    """

    depth: Float[Array, " pairs"]
    stiffness: Float[Array, " pairs"]
    distance: Float[Array, " pairs"]
    cutoff: float = eqx.field(static=True)

    def __call__(self, distances: Float[Array, " *shape"], pairs: Int[Array, " *shape"]) -> jax.Array:
        depth, stiffness, distance = (
            of_pairs(table, pairs, distances) for table in (self.depth, self.stiffness, self.distance)
        )
        falling = jnp.exp(-stiffness * (jnp.minimum(distances, self.cutoff) - distance))
        return (
            depth
            * (falling * falling - 2 * falling)
            * quintic_switch(distances, INNER * self.cutoff, self.cutoff)
        )


def lennard_jones(
    elements: Sequence[int], depth: Sequence[float], diameter: Sequence[float], cutoff: float
) -> PairTerm:
    """A Lennard-Jones term with known ``depth`` [kJ/mol] and ``diameter`` [nm] per pair of elements (`pair_kinds`).

    Examples
    --------
    >>> argon = lennard_jones((18,), [0.996], [0.3405], cutoff=0.85)
    >>> pair = Configuration(np.array([18, 18]), np.array([[0, 0, 0], [0.3405 * 2 ** (1 / 6), 0, 0]]))
    >>> argon.evaluate([pair]).energies.round(3).tolist()
    [-0.996]
    """
    depth, diameter = np.asarray(depth, float), np.asarray(diameter, float)
    interaction = LennardJonesPairs(4 * depth * diameter**12, 4 * depth * diameter**6, cutoff)
    return PairTerm(tuple(elements), cutoff, interaction, np.zeros(len(elements)))


def morse(
    elements: Sequence[int],
    depth: Sequence[float],
    stiffness: Sequence[float],
    distance: Sequence[float],
    cutoff: float,
) -> PairTerm:
    """A Morse term with known parameters per pair of elements; see `MorsePairs`."""
    tables = (np.asarray(table, float) for table in (depth, stiffness, distance))
    return PairTerm(tuple(elements), cutoff, MorsePairs(*tables, cutoff), np.zeros(len(elements)))


@dataclass(frozen=True)
class LennardJones:
    """Fits repulsion and attraction of each pair of elements, neither negative, and the energy of each element alone.

    The problem is linear: the best there is comes out.

    Parameters
    ----------
    cutoff : [nm]
    """

    cutoff: Nanometers = 0.8

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A `PairTerm`; see `thalweg.learned_potentials.terms.learner.Learner`."""
        require_frames(configurations)
        elements = elements_of(configurations)
        near = nearest_distances(configurations, elements, self.cutoff)

        def term(parameters, offsets):
            interaction = LennardJonesPairs(
                parameters["repulsion"] * near**12, parameters["attraction"] * near**6, self.cutoff
            )
            return PairTerm(elements, self.cutoff, interaction, offsets)

        return linear_fit(term, {"repulsion": len(near), "attraction": len(near)}, configurations, weights)


@dataclass(frozen=True)
class Morse:
    """Fits depth, stiffness and distance of each pair of elements, and the energy of each element alone.

    Parameters
    ----------
    cutoff : [nm]
    depths : depths to start from [kJ/mol]; the best end wins
    """

    cutoff: Nanometers = 0.6
    depths: tuple[KilojoulesPerMole, ...] = (10.0, 100.0)

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A `PairTerm`; see `thalweg.learned_potentials.terms.learner.Learner`."""
        require_frames(configurations)
        elements = elements_of(configurations)
        near = nearest_distances(configurations, elements, self.cutoff)
        starts = [
            {"depth": np.full(len(near), depth), "stiffness": 2.0 / near, "distance": 1.15 * near}
            for depth in self.depths
        ]

        def term(parameters, offsets):
            return PairTerm(elements, self.cutoff, MorsePairs(**parameters, cutoff=self.cutoff), offsets)

        return best_fit(term, starts, configurations, weights, progress)
