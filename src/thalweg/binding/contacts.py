"""Contacts counted: how many atoms of which kind of the protein stand how near to which of the ligand.

Counts of pairs of elements within 12 Å are the features of RF-Score [ballester2010]; counts by shells of distance tell
touching from being near [zheng2019]. They see no geometry beyond distances, and are what a network has to beat.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from thalweg.binding.complexes import CHANNELS, Complex, TypedAtoms
from thalweg.shapes import Bool, Float

PROTEIN_ELEMENTS = (6, 7, 8, 16)
LIGAND_ELEMENTS = (6, 7, 8, 9, 15, 16, 17, 35, 53)
"""Atomic numbers that RF-Score tells apart."""


@dataclass(frozen=True)
class ElementContacts:
    """Counts of pairs of elements in shells of distance.

    Parameters
    ----------
    edges : (shells + 1,) distances between which pairs are counted [nm]; one shell up to 1.2 nm as of RF-Score

    Examples
    --------
    >>> carbon = TypedAtoms(np.zeros((1, 3)), np.array([6]), np.zeros((1, 8), bool))
    >>> apart = carbon.moved(np.array([[0.5, 0.0, 0.0]]))
    >>> float(ElementContacts().counts(Complex(carbon, apart)).sum())
    1.0
    """

    edges: tuple[float, ...] = (0.0, 1.2)

    def counts(self, complex: Complex) -> Float[np.ndarray, " features"]:
        """The counts of one complex: shells, elements of the protein, elements of the ligand, the last fastest."""
        return _counted(
            complex,
            _members(complex.protein, PROTEIN_ELEMENTS),
            _members(complex.ligand, LIGAND_ELEMENTS),
            self.edges,
        )


@dataclass(frozen=True)
class ChannelContacts:
    """Counts of pairs of pharmacophoric channels in shells of distance.

    Parameters
    ----------
    edges : (shells + 1,) distances between which pairs are counted [nm]
    """

    edges: tuple[float, ...] = (0.0, 0.35, 0.45, 0.6, 0.9)

    def counts(self, complex: Complex) -> Float[np.ndarray, " features"]:
        """The counts of one complex: shells, channels of the protein, channels of the ligand, the last fastest."""
        return _counted(complex, complex.protein.channels, complex.ligand.channels, self.edges)

    @property
    def names(self) -> tuple[str, ...]:
        """What each count is of, in their order."""
        return tuple(
            f"{own} to {other}, {low:g} to {high:g} nm"
            for low, high in zip(self.edges, self.edges[1:])
            for own in CHANNELS
            for other in CHANNELS
        )


def contact_features(
    complexes: Sequence[Complex], contacts: ElementContacts | ChannelContacts
) -> Float[np.ndarray, "complexes features"]:
    """Counts of all complexes.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not complexes:
        raise ValueError("there are no complexes; give at least one")
    return np.stack([contacts.counts(each) for each in complexes])


def _members(atoms: TypedAtoms, elements: Sequence[int]) -> Bool[np.ndarray, "atoms elements"]:
    return atoms.numbers[:, None] == np.array(elements)


def _counted(complex, protein, ligand, edges):
    gaps = cdist(complex.protein.positions, complex.ligand.positions)
    near = (gaps < edges[-1]).any(1)
    gaps, protein, ligand = gaps[near], protein[near].astype(float), ligand.astype(float)
    shells = [(gaps >= low) & (gaps < high) for low, high in itertools.pairwise(edges)]
    return np.concatenate([(protein.T @ shell.astype(float) @ ligand).ravel() for shell in shells])
