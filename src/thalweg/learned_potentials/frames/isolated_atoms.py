"""Energies of isolated atoms, where a data set brings them as frames of their own.

They are the natural zero of a potential: what is learned is the energy of bringing atoms together, and atoms pulled
apart have the energy they should. A frame counts as one if it has one atom and is marked by its ``config_type``
(``isolated_atom``, ``IsolatedAtom``, ...) or has no cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import SYMBOLS
from thalweg.units import unit

MARKS = {"isolatedatom", "isolatedatoms"}


def _is_isolated_atom(configuration: Configuration) -> bool:
    """Whether the frame is an atom alone."""
    mark = str(configuration.info.get("config_type", "")).lower().replace("_", "").replace("-", "")
    return len(configuration) == 1 and (mark in MARKS or not any(configuration.periodic))


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
                raise ValueError(
                    f"isolated {SYMBOLS[z]} has energies of {energies[z]:.6g} and {frame.energy:.6g} kJ/mol; remove one"
                )
    return dict(sorted(energies.items()))


def without_isolated_atoms(configurations: Sequence[Configuration]) -> list[Configuration]:
    """``configurations`` but for isolated atoms."""
    return [frame for frame in configurations if not _is_isolated_atom(frame)]
