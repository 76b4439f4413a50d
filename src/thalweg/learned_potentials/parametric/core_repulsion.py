"""What keeps atoms apart where no data say so: screened repulsion of nuclei [ziegler1985].

    u(r) = k Z_1 Z_2 / r phi(r / a) s(r),    a = 0.8854 a_0 / (Z_1^0.23 + Z_2^0.23),
    phi(x) = 0.1818 e^(-3.2 x) + 0.5099 e^(-0.9423 x) + 0.2802 e^(-0.4029 x) + 0.02817 e^(-0.2016 x),

with ``k`` the Coulomb constant. The switch ``s`` is one up to some fraction of a distance that each pair of elements
has, and exactly zero from there on, with two continuous derivatives. `core_repulsion` sets that distance to the
shortest one in the training frames, so that fitted labels are untouched: the term acts only nearer than any atoms the
model has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.parametric.few_parameters import nearest_distances
from thalweg.learned_potentials.parametric.pair_terms import PairTerm, of_pairs, pair_table, quintic_switch
from thalweg.shapes import Array, Float, Int
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.systems.elements import COVALENT_RADII
from thalweg.units import BOHR, COULOMB

SCREENING = ((0.1818, 3.2), (0.5099, 0.9423), (0.2802, 0.4029), (0.02817, 0.2016))
"""Weights and decay rates of the universal screening function."""

NEAR = 2.0
"""The repulsion ends at this multiple of the sum of covalent radii at the latest."""


class ScreenedNuclei(eqx.Module):
    """Ziegler, Biersack and Littmark's repulsion, switched off.

    Attributes
    ----------
    charges : product of atomic numbers of each pair of elements
    lengths : screening length a [nm]
    ends : distance from which nothing is left [nm]
    inner : fraction of ``ends`` up to which nothing is taken away
    """

    charges: Float[Array, " pairs"]
    lengths: Float[Array, " pairs"]
    ends: Float[Array, " pairs"]
    inner: float = eqx.field(static=True)

    def __call__(self, distances: Float[Array, " *shape"], pairs: Int[Array, " *shape"]) -> jax.Array:
        charges, lengths, ends = (
            of_pairs(table, pairs, distances) for table in (self.charges, self.lengths, self.ends)
        )
        near = jnp.minimum(distances, ends)
        screening = sum(weight * jnp.exp(-rate * near / lengths) for weight, rate in SCREENING)
        return COULOMB * charges / near * screening * quintic_switch(near, self.inner * ends, ends)


def screened_nuclei(
    elements: Sequence[int], ends: Sequence[float] | np.ndarray, inner: float = 0.5
) -> PairTerm:
    """The repulsion between ``elements``, gone from ``ends`` [nm] on, one per pair in the order of `pair_table`.

    Raises
    ------
    ValueError
        If a distance is not positive, or ``inner`` not between zero and one.

    Examples
    --------
    >>> silicon = screened_nuclei((14,), [0.2])
    >>> frames = [Configuration(np.array([14, 14]), np.array([[0, 0, 0], [r, 0, 0]])) for r in (0.05, 0.2)]
    >>> silicon.evaluate(frames).energies.round(1).tolist()
    [45400.0, 0.0]
    """
    ends = np.asarray(ends, float)
    if not ((ends > 0).all() and 0 < inner < 1):
        raise ValueError(
            f"distances {ends.tolist()} nm with inner={inner}: the repulsion must end at positive distances and begin "
            "to be switched off at a fraction of them between 0 and 1"
        )
    charges = pair_table(elements, lambda a, b: float(a * b))
    lengths = pair_table(elements, lambda a, b: 0.8854 * BOHR / (a**0.23 + b**0.23))
    interaction = ScreenedNuclei(charges, lengths, ends, inner)
    return PairTerm(tuple(elements), float(ends.max()), interaction, np.zeros(len(elements)))


@dataclass(frozen=True)
class CoreRepulsion:
    """Settings of the repulsion below the distances that training frames have.

    Parameters
    ----------
    inner : fraction of where it ends up to which the repulsion is full
    outer : where it ends, as a fraction of the shortest training distance; less than one, because the next frame may
        have a distance a little shorter than a few training frames have
    """

    inner: float = 0.5
    outer: float = 0.9

    def for_frames(self, configurations: Sequence[Configuration]) -> PairTerm:
        """The repulsion that is exactly zero in ``configurations``.

        It ends at ``outer`` times the shortest distance of each pair of elements, or twice the sum of their covalent
        radii [cordero2008] where they keep further apart. Elements that are never near each other get that sum times
        the least ratio of shortest distance to sum seen in other pairs, at most one.
        """
        elements = elements_of(configurations)
        sums = pair_table(elements, lambda a, b: COVALENT_RADII[a] + COVALENT_RADII[b])
        reach = NEAR * float(sums.max())
        shortest = nearest_distances(configurations, elements, reach)
        met = shortest < reach
        ratio = min(1.0, float((shortest / sums)[met].min())) if met.any() else 1.0
        ends = np.where(met, np.minimum(shortest, NEAR * sums), ratio * sums)
        return screened_nuclei(elements, self.outer * ends, self.inner)


def core_repulsion(configurations: Sequence[Configuration]) -> PairTerm:
    """`CoreRepulsion` with its usual settings, for ``configurations``."""
    return CoreRepulsion().for_frames(configurations)
