"""What a learned potential is a sum of, and what all of its terms offer.

A term can do two things: stand in a simulation (`Term.bind` gives an energy of the positions of certain atoms, as
everywhere in this package) and label any set of frames at once (`Term.evaluate`). Terms that are fitted come from a
learner (`thalweg.learned_potentials.terms.learner`); baselines are terms as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.potentials.energy import Energy
from thalweg.systems.configuration import Configuration
from thalweg.units import KilojoulesPerMole, KilojoulesPerMolePerNanometer


@dataclass(frozen=True)
class Labels:
    """Energies, forces and stresses of some frames.

    Attributes
    ----------
    energies : (frames,) [kJ/mol]
    forces : one (atoms, 3) per frame [kJ/mol/nm]
    stresses : one (3, 3) per frame [kJ/mol/nm^3]; NaN for frames without a cell
    """

    energies: np.ndarray
    forces: tuple[np.ndarray, ...]
    stresses: tuple[np.ndarray, ...]

    def __add__(self, other: Labels) -> Labels:
        return Labels(
            self.energies + other.energies,
            tuple(a + b for a, b in zip(self.forces, other.forces, strict=True)),
            tuple(a + b for a, b in zip(self.stresses, other.stresses, strict=True)),
        )


@dataclass(frozen=True)
class Spread:
    """Standard deviations that a term assigns to its own predictions, or a potential once they are calibrated.

    Attributes
    ----------
    energies : (frames,) [kJ/mol]
    forces : one (atoms, 3) per frame [kJ/mol/nm]
    certain : those of force components up to this one are of components zero by symmetry [kJ/mol/nm]
    noise : of labels of forces, which differ from predictions by it and by errors [kJ/mol/nm]
    """

    energies: np.ndarray
    forces: tuple[np.ndarray, ...]
    certain: float = 0.0
    noise: float = 0.0


@runtime_checkable
class Term(Protocol):
    """One addend of a potential: fitted or known."""

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> Energy:
        """The energy of atoms ``numbers`` in a cell like ``box`` (repeating in all directions by default), for engines.

        Raises
        ------
        ValueError
            If the term does not know one of the elements, or is tied to another molecule.
        """
        ...

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        """What the term says of ``configurations``, in 64 bits."""
        ...


def reach(terms: Sequence[Term]) -> float | None:
    """The largest ``cutoff`` of ``terms`` [nm]; None where one has none and sees the whole frame."""
    cutoffs = [getattr(term, "cutoff", None) for term in terms]
    return None if None in cutoffs else max(cutoffs)


class NoUncertainty(ValueError):
    """A potential does not know how unsure it is; the message says why and what to do."""


@runtime_checkable
class Uncertain(Protocol):
    """A term that knows how unsure it is."""

    def spread(self, configurations: Sequence[Configuration]) -> Spread:
        """Standard deviations of energies and force components.

        Raises
        ------
        NoUncertainty
            If this one term of its kind does not know.
        """
        ...


@runtime_checkable
class Graded(Protocol):
    """A term that knows how far beyond its training set it is asked."""

    def with_active_set(self, configurations: Sequence[Configuration]) -> Graded:
        """The same, given its training ``configurations``."""
        ...

    def grades(self, configurations: Sequence[Configuration]) -> tuple[np.ndarray, ...]:
        """Extrapolation grade of every atom, ``(atoms,)`` per frame: at most about one within the training set.

        Raises
        ------
        NoUncertainty
            If it was not given its training set.
        """
        ...


@dataclass(frozen=True)
class Weights:
    """How much each kind of label counts: the inverse of the error that one would be content with.

    Attributes
    ----------
    energy : error per square root of the number of atoms [kJ/mol]; 0.1 is 1 meV
    force : error of a component [kJ/mol/nm]; 10 is 10 meV/Å
    stress : error of stress times volume per square root of the number of atoms [kJ/mol]
    """

    energy: KilojoulesPerMole = 0.1
    force: KilojoulesPerMolePerNanometer = 10.0
    stress: KilojoulesPerMole = 1.0
