"""A system as users of LAMMPS have it: a script of styles and coefficients, and the data file that it reads.

The script describes the system and nothing else: units, styles, coefficients, neighbor lists and one ``read_data``.
What runs, prints, fixes or computes is refused, and so is what could start another program: such files come with
studies of other people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.interop.lammps.driver import ENERGY_UNITS, cell_of, open_lammps
from thalweg.potentials.energy import EnergyElsewhere
from thalweg.shapes import Float
from thalweg.systems.elements import MASSES, SYMBOLS
from thalweg.systems.system import System
from thalweg.systems.topology import molecules_of
from thalweg.units import ANGSTROM

_BONDED = ("bond", "angle", "dihedral", "improper")
COMMANDS = frozenset(
    {
        "units", "atom_style", "boundary", "newton", "dielectric", "mass", "special_bonds", "neighbor", "neigh_modify",
        "pair_style", "pair_coeff", "pair_modify", "kspace_style", "kspace_modify", "read_data",
        *(f"{what}_{end}" for what in _BONDED for end in ("style", "coeff")),
    }
)  # fmt: skip
"""Commands that describe a system."""

PROGRAMS = frozenset({"python", "mliap", "kim"})
"""Styles that run or load code of others."""

IN_ORDER = "atom_modify map array sort 0 0"
"""Atoms are found by their tags, and stay in the order of the file, so that a run can be had again exactly."""

SAME_MASS = 0.1
"""Within which of the mass of an element a type is taken for it [amu]."""


@dataclass(frozen=True)
class LAMMPSInput:
    """What makes LAMMPS know a system.

    Attributes
    ----------
    commands : of the script, in order
    data : file of atoms, bonds and perhaps coefficients
    """

    commands: tuple[str, ...]
    data: Path

    @staticmethod
    def read(script: Path, data: Path) -> LAMMPSInput:
        """The input in two files; the ``read_data`` of the ``script`` reads ``data``, whatever it names.

        Raises
        ------
        ValueError
            If the script has a command that describes no system, or not one ``read_data``, or there is no ``data``.
        """
        lines = [line.split("#")[0].split() for line in script.read_text("utf-8").splitlines()]
        commands = tuple(_allowed(words, script) for words in lines if words)
        reading = [command for command in commands if command.split()[0] == "read_data"]
        if len(reading) != 1:
            raise ValueError(
                f"{script} has {len(reading)} read_data; give a script that reads its atoms once, from a data file"
            )
        if not data.is_file():
            raise ValueError(f"there is no {data}; give the file that read_data is to read")
        return LAMMPSInput(commands, data)

    def opened(self) -> Any:
        """A new LAMMPS that knows the system.

        Raises
        ------
        ImportError
            If there is no LAMMPS.
        ValueError
            If LAMMPS refuses a command, or has other units than metal or real.
        """
        lammps = open_lammps()
        for command in self.commands:
            name, *rest = command.split()
            if name == "read_data":
                lammps.command(IN_ORDER)
                command = " ".join((name, f'"{self.data}"', *rest[1:]))
            try:
                lammps.command(command)
            except Exception as trouble:
                raise ValueError(f'LAMMPS refuses "{command}": {trouble}') from trouble
        units = lammps.extract_global("units")
        if units not in ENERGY_UNITS:
            raise ValueError(f"LAMMPS runs in units {units}; use one of {', '.join(ENERGY_UNITS)}")
        return lammps

    def system(self) -> System:
        """The system, for `LAMMPSEngine`; what atoms are is told by their masses.

        Raises
        ------
        ValueError
            If its box repeats along some directions only, or as `opened`.
        """
        lammps = self.opened()
        cell, periodic = cell_of(lammps)
        if any(periodic) and not all(periodic):
            raise ValueError(
                f"the box repeats along {sum(periodic)} of three directions; engines know boxes that repeat along all "
                "of them or none: change boundary"
            )
        types = np.array(lammps.gather_atoms("type", 0, 1)[:])
        masses = np.array(lammps.numpy.extract_atom("mass")).ravel()[types]
        bonds = np.asarray(lammps.numpy.gather_bonds(), int).reshape(-1, 3)[:, 1:] - 1
        return System(
            topology=molecules_of(tuple(_elements(masses)), bonds),
            positions=unwrapped(lammps, cell) * ANGSTROM,
            masses=masses,
            energy=EnergyElsewhere(
                'LAMMPS alone knows these energies; use engine = "lammps", or LAMMPSEngine'
            ),
            box=cell * ANGSTROM if all(periodic) else None,
        )


def unwrapped(lammps: Any, cell: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "atoms 3"]:
    """Positions by tag, molecules whole as far as they were when LAMMPS was given them [Å]."""
    positions = np.array(lammps.gather_atoms("x", 1, 3)[:]).reshape(-1, 3)
    return positions + np.array(lammps.gather_atoms("image", 0, 3)[:]).reshape(-1, 3) @ cell


def _allowed(words: list[str], script: Path) -> str:
    """A command, if it describes a system."""
    command = " ".join(words)
    strange = next((sign for sign in "$&\"'`" if sign in command), None)
    if words[0] not in COMMANDS or strange or PROGRAMS & set(words):
        known = ", ".join(sorted(COMMANDS))
        raise ValueError(
            f'{script} says "{command}": a script for a study describes the system, without variables and programs; '
            f"known: {known}. Dynamics is that of [dynamics]"
        )
    return command


def _elements(masses: Float[np.ndarray, " atoms"]) -> Iterator[str]:
    """Symbols by mass; empty where no element has it."""
    for mass in masses:
        nearest = int(np.nanargmin(np.abs(MASSES - mass)))
        yield SYMBOLS[nearest] if abs(MASSES[nearest] - mass) < SAME_MASS else ""
