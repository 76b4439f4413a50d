"""A score of poses by physics in miniature: the terms and weights of AutoDock Vina [trott2010].

With ``d`` the distance between surfaces of two atoms [Å], summed over pairs nearer than 8 Å,

    gauss1 exp(-(d / 0.5)^2)    gauss2 exp(-((d - 3) / 2)^2)    repulsion d^2 where d < 0
    hydrophobic  1 below 0.5, 0 above 1.5, a line between       hydrogen bond  1 below -0.7, 0 above 0, a line between

    score = sum_k w_k term_k / (1 + w_rot N_rot)

A null model, not a docking program: the pose is scored as it is, and terms within the ligand are left out. Metals
donate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.spatial.distance import cdist

from thalweg.binding.complexes import CHANNELS, Complex, TypedAtoms
from thalweg.shapes import Float
from thalweg.units import ANGSTROM, KILOCALORIE

TERMS = ("gauss1", "gauss2", "repulsion", "hydrophobic", "hydrogen bond")

WEIGHTS = (-0.035579, -0.005156, 0.840245, -0.035069, -0.587439)
"""Of `TERMS` [kcal/mol]."""

ROTOR_WEIGHT = 0.05846

RADII: Mapping[int, float] = MappingProxyType(
    {6: 1.9, 7: 1.8, 8: 1.7, 9: 1.5, 15: 2.1, 16: 2.0, 17: 1.8, 35: 2.0, 53: 2.2}
)
"""By atomic number [Å]; 1.2 for metals and all others."""

CUTOFF = 8.0
"""Pairs further apart do not count [Å]."""


@dataclass(frozen=True)
class VinaScore:
    """The score and its terms.

    Examples
    --------
    >>> oxygen = TypedAtoms(np.zeros((1, 3)), np.array([8]), np.array([[0, 0, 1, 0, 0, 0, 0, 1]], bool))
    >>> donor = TypedAtoms(np.array([[0.28, 0, 0]]), np.array([7]), np.array([[0, 0, 0, 1, 0, 0, 0, 1]], bool))
    >>> round(VinaScore().score(Complex(oxygen, donor)), 2)
    -0.76
    """

    def terms(self, complex: Complex) -> Float[np.ndarray, " 5"]:
        """Sums of `TERMS` over pairs, without weights."""
        protein, ligand = complex.protein, complex.ligand
        gaps = cdist(protein.positions, ligand.positions) / ANGSTROM
        near = np.flatnonzero((gaps < CUTOFF).any(1))
        protein, gaps = protein.taken(near), gaps[near]
        d = gaps - _radii(protein)[:, None] - _radii(ligand)
        greasy = np.outer(_hydrophobic(protein), _hydrophobic(ligand))
        bonding = np.outer(_donors(protein), _in(ligand, "acceptor")) | np.outer(
            _in(protein, "acceptor"), _donors(ligand)
        )
        terms = [
            np.exp(-((d / 0.5) ** 2)),
            np.exp(-(((d - 3) / 2) ** 2)),
            np.where(d < 0, d**2, 0),
            greasy * np.clip(1.5 - d, 0, 1),
            bonding * np.clip(-d / 0.7, 0, 1),
        ]
        return np.array([float((term * (gaps < CUTOFF)).sum()) for term in terms])

    def score(self, complex: Complex) -> float:
        """The binding free energy that Vina estimates [kJ/mol]; lower is better."""
        turning = 1 + ROTOR_WEIGHT * complex.ligand.rotatable_bonds
        return float(np.dot(WEIGHTS, self.terms(complex)) / turning * KILOCALORIE)


def _in(atoms: TypedAtoms, channel):
    return atoms.channels[:, CHANNELS.index(channel)]


def _donors(atoms):
    return _in(atoms, "donor") | _in(atoms, "metal")


def _hydrophobic(atoms):
    return _in(atoms, "hydrophobic") & (atoms.numbers != 16)


def _radii(atoms):
    return np.array([RADII.get(int(number), 1.2) for number in atoms.numbers])


def kinds_of_atoms(atoms: TypedAtoms) -> list[tuple[float, bool, bool, bool]]:
    """Radius [Å] of each atom, and whether it is hydrophobic, donates, accepts: all that the score knows of it."""
    columns = (_radii(atoms), _hydrophobic(atoms), _donors(atoms), _in(atoms, "acceptor"))
    return list(zip(*(column.tolist() for column in columns)))
