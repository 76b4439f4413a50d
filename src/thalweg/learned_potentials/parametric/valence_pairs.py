"""What holds one molecule together where no data do: bonds and angles as Morse pairs, repulsion between all others.

    E = sum_{1-2, 1-3 pairs} sum_{k=1,2} D_k ((1 - e^{-a (r - r_k)})^2 - 1) + sum_{not bonded} e (R / r)^12.

A kernel forgets everything a few widths away from its training frames: its forces vanish, and a molecule that got
there falls apart. As the mean of the process, this energy is what it then falls back to. Near the frames the kernel
learns what this energy misses, as above any baseline.

Like pairs (under the permutations of like atoms) share parameters. With ``r_1`` and ``r_2`` a little shorter and longer
than the mean distance and ``a`` twice its inverse, the depths ``D_k >= 0`` are linear least squares of the training
forces (two Morse curves of one ``a`` are again one, with a depth and a place that were fitted). ``R`` is the shortest
distance in the training frames, or the contact of the two atoms where they never came so near: nobody knows what is
there, but atoms do repel each other.

Source: Morse curves [morse1929]; radii [cordero2008]; non-negative least squares [lawson1995].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

from thalweg.learned_potentials.parametric.force_field import ForceFieldTerm
from thalweg.potentials.energy import Energy
from thalweg.representations.molecules.inverse_distances import all_pairs, pair_distances, permuted_pairs
from thalweg.representations.molecules.molecular_symmetry import bond_matrix
from thalweg.shapes import Array, Box, Energies, Float, Positions
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import COVALENT_RADII
from thalweg.units import KilojoulesPerMole

CONTACT = 0.16
"""Atoms touch at the sum of their covalent radii and this [nm]; van der Waals radii are some 0.08 nm larger."""


class ValenceEnergy(Energy):
    """Morse curves and repulsion of all pairs of atoms.

    Attributes
    ----------
    depths : (2, pairs) of the two Morse curves of each pair; zero for pairs that are neither bonded nor at an angle
        [kJ/mol]
    lengths : (2, pairs) their minima [nm]
    rates : (pairs,) [1/nm]
    repulsions : (pairs,) energies at ``contacts``; zero for bonds [kJ/mol]
    contacts : (pairs,) [nm]
    """

    depths: Float[Array, "2 pairs"]
    lengths: Float[Array, "2 pairs"]
    rates: Float[Array, " pairs"]
    repulsions: Float[Array, " pairs"]
    contacts: Float[Array, " pairs"]

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        distances = pair_distances(positions)
        depths, lengths, rates, repulsions, contacts = (
            jnp.asarray(one, distances.dtype).reshape(*one.shape, *(1,) * (distances.ndim - 1))
            for one in (self.depths, self.lengths, self.rates, self.repulsions, self.contacts)
        )
        curves = (1 - jnp.exp(-rates * (distances - lengths))) ** 2 - 1
        return ((depths * curves).sum(0) + repulsions * (contacts / distances) ** 12).sum(0)


@dataclass(frozen=True)
class ValencePairs:
    """Settings of a molecule's valence energy.

    Parameters
    ----------
    rate : of the Morse curves, times the mean distance
    play : how far the two minima of a pair are from its mean distance, as a fraction of it
    repulsion : energy of atoms that are not bonded, at contact [kJ/mol]
    """

    rate: float = 2.0
    play: float = 0.1
    repulsion: KilojoulesPerMole = 1.0

    def fit(self, frames: Sequence[Configuration], group: np.ndarray) -> ForceFieldTerm:
        """The energy that explains the forces of ``frames`` best, symmetric under ``group`` (order, atoms).

        ============  ===================================================
        ``r_1, r_2``  ``sides * mean``, (2, orbits) [nm]
        ``a``         ``rate / mean``, (orbits,) [1/nm]
        ``R, e``      ``contacts`` (orbits,) [nm], ``repulsion`` [kJ/mol]
        ``D_k``       ``depths``, (2, orbits) [kJ/mol]
        ============  ===================================================

        Raises
        ------
        ValueError
            If an element has no radius (see `bond_matrix`), or no frame has forces.
        """
        frames = [frame for frame in frames if frame.forces is not None]
        if not frames:
            raise ValueError("none of the frames has forces; the valence energy is fitted to forces")
        numbers = np.asarray(frames[0].numbers)
        first, second = all_pairs(len(numbers))
        distances = np.array([np.asarray(pair_distances(frame.positions)) for frame in frames], float)
        # pairs (frames, pairs) of one orbit are alike: mean and shortest distance, bonds and angles of each orbit
        orbits = pair_orbits(group)
        count = orbits.max() + 1
        mean = np.bincount(orbits, distances.mean(0)) / np.bincount(orbits)
        shortest = np.full(count, np.inf)
        np.minimum.at(shortest, orbits, distances.min(0))
        bonds = bond_matrix(frames)
        bonded = np.bincount(orbits, bonds[first, second]) > 0
        at_angles = np.bincount(orbits, (bonds.astype(int) @ bonds)[first, second]) > 0
        # R: the shortest distance, or contact where atoms never came so near
        touching = (COVALENT_RADII[numbers[first]] + COVALENT_RADII[numbers[second]] + CONTACT)[
            np.unique(orbits, return_index=True)[1]
        ]
        contacts = np.minimum(shortest, touching)
        # r_1 and r_2 about the mean distance, a = rate / mean; depths are what is fitted
        sides = np.array([1 - self.play, 1 + self.play])[:, None]
        energy = ValenceEnergy(
            np.zeros((2, len(first))),
            (sides * mean)[:, orbits],
            (self.rate / mean)[orbits],
            np.where(bonded, 0.0, self.repulsion)[orbits],
            contacts[orbits],
        )
        valence = np.flatnonzero(bonded | at_angles)
        depths = np.zeros((2, count))
        if len(valence):
            depths[:, valence] = _depths(energy, frames, orbits, valence)
        return ForceFieldTerm(eqx.tree_at(lambda e: e.depths, energy, depths[:, orbits]), numbers)


def pair_orbits(group: np.ndarray) -> np.ndarray:
    """Which pairs of atoms a group of permutations makes alike: the number of the orbit of each pair.

    Examples
    --------
    >>> pair_orbits(np.array([[0, 1, 2], [0, 2, 1]])).tolist()  # water: two bonds alike, pairs 01, 02, 12
    [0, 0, 1]
    """
    images = np.array([permuted_pairs(one) for one in group])
    return np.unique(images.min(0), return_inverse=True)[1]


def _depths(energy, frames, orbits, valence):
    """Depths (2, ``valence`` orbits) by non-negative least squares of the forces of ``frames``."""
    with jax.enable_x64(True):
        positions = jnp.asarray(np.stack([frame.positions for frame in frames], -1), float)
        left = np.stack([frame.forces for frame in frames], -1) - _pull(energy, positions)
        # a column for each curve of depth one, without the repulsion
        columns, bare = [], eqx.tree_at(lambda e: e.repulsions, energy, 0 * energy.repulsions)
        for side in range(2):
            for orbit in valence:
                depths = np.zeros_like(energy.depths)
                depths[side, orbits == orbit] = 1.0
                curve = eqx.tree_at(lambda e: e.depths, bare, depths)
                columns.append(np.asarray(_pull(curve, positions)).ravel())
    # |A d - f|^2 = |R d - R^-T A^T f|^2 + const. with A^T A = R^T R, columns scaled to one and a ridge
    design = np.stack(columns, 1)
    sizes = np.linalg.norm(design, axis=0) + 1e-300
    factor = np.linalg.cholesky(design.T @ design / sizes[:, None] / sizes + 1e-8 * np.eye(len(sizes)))
    depths, _ = nnls(factor.T, np.linalg.solve(factor, design.T @ np.ravel(left) / sizes))
    return (depths / sizes).reshape(2, len(valence))


@eqx.filter_jit
def _pull(energy, positions):
    return -jax.grad(lambda x: energy(x).sum())(positions)
