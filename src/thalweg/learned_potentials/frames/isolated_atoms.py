"""Energies of isolated atoms, where a data set brings them as frames of their own.

They are the natural zero of a potential: what is learned is the energy of bringing atoms together, and atoms pulled
apart have the energy they should. A frame counts as one if it has one atom and is marked by its ``config_type``
(``isolated_atom``, ``IsolatedAtom``, ...), has no cell, or one in which it is `ALONE`. Energies of atoms that bind more
strongly than any bond, or not at all, are of another method than those of the frames, and are no zero for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from thalweg.learned_potentials.frames.duplicates import contacts
from thalweg.learned_potentials.frames.findings import place_of
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import SYMBOLS
from thalweg.units import unit

MARKS = {"isolatedatom", "isolatedatoms"}

ALONE = 0.8
"""An atom whose images are further than this is isolated [nm]; in no crystal are nearest atoms as far."""

STRONGEST = unit("eV", "energy") * 15
"""Frames are not bound by more than this per atom [kJ/mol]: tungsten is by 8.9 eV, nitrogen by 4.9."""


def _is_isolated_atom(configuration: Configuration) -> bool:
    """Whether the frame is an atom alone."""
    mark = str(configuration.info.get("config_type", "")).lower().replace("_", "").replace("-", "")
    if len(configuration) != 1:
        return False
    return mark in MARKS or not any(configuration.periodic) or not len(contacts(configuration, ALONE)[2])


def isolated_atom_energies(
    configurations: Sequence[Configuration], tolerance: float = unit("meV", "energy")
) -> dict[int, float]:
    """Energies of the isolated atoms among ``configurations`` by atomic number [kJ/mol]: a recipe's ``references``.

    Raises
    ------
    ValueError
        If an element has energies more than ``tolerance`` [kJ/mol] apart.

    Examples
    --------
    >>> import numpy as np
    >>> atom = Configuration(np.array([1]), np.zeros((1, 3)), energy=-1312.8)
    >>> isolated_atom_energies([atom])
    {1: -1312.8}
    """
    energies: dict[int, float] = {}
    for frame in configurations:
        if _is_isolated_atom(frame) and frame.energy is not None:
            z = int(frame.numbers[0])
            if abs(energies.setdefault(z, frame.energy) - frame.energy) > tolerance:
                place = place_of(frame)
                where = "" if place is None else f" (frame {place[1]} of {place[0]})"
                raise ValueError(
                    f"isolated {SYMBOLS[z]} has energies of {energies[z]:.6g} and {frame.energy:.6g} kJ/mol{where}; "
                    "remove one"
                )
    return dict(sorted(energies.items()))


def trusted_atom_energies(
    configurations: Sequence[Configuration],
) -> tuple[dict[int, float], tuple[str, ...]]:
    """Energies of isolated atoms as `isolated_atom_energies`, none if they are of another method, and why then.

    Examples
    --------
    >>> atom = Configuration(np.array([1]), np.zeros((1, 3)), energy=-2000.0)
    >>> pair = Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, 0.074]]), energy=-31.7)
    >>> trusted_atom_energies([atom, pair])
    ({}, ('the energy of isolated H puts frames 20.6 eV per atom above it, ... it is not used',))
    """
    energies = isolated_atom_energies(configurations)
    off = _binding_energies(without_isolated_atoms(configurations), energies)
    if not len(off) or abs(middle := float(np.median(off))) <= STRONGEST:
        return energies, ()
    many = len(energies) > 1
    side = "below" if middle > 0 else "above"
    return {}, (
        f"the energ{'ies' if many else 'y'} of isolated {', '.join(SYMBOLS[z] for z in energies)} "
        f"put{'' if many else 's'} frames {abs(middle) / unit('eV', 'energy'):.3g} eV per atom {side} "
        f"{'them' if many else 'it'}, which no bond does: of another method than the frames, "
        f"{'they are' if many else 'it is'} not used",
    )


def _binding_energies(configurations: Sequence[Configuration], references: Mapping[int, float]) -> np.ndarray:
    """By how much frames are bound per atom [kJ/mol], of those whose elements all have ``references``."""
    return np.array(
        [
            sum(references[int(z)] for z in frame.numbers) / len(frame) - frame.energy / len(frame)
            for frame in configurations
            if frame.energy is not None and len(frame) and set(frame.numbers.tolist()) <= set(references)
        ]
    )


def without_isolated_atoms(configurations: Sequence[Configuration]) -> list[Configuration]:
    """``configurations`` but for isolated atoms."""
    return [frame for frame in configurations if not _is_isolated_atom(frame)]
