"""What can be wrong with a structure or a setting, and how to say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
import openmm.app as app
from openmm import unit
from scipy.spatial import KDTree

LARGEST_COORDINATE = 1e4
"""Beyond this [nm] a coordinate is a mistake: ten micrometers."""

CUTOFF = 0.9
"""Of direct interactions in a periodic box where nothing else is said [nm]."""

ROUNDING = 1e-6
"""Of the width of a box on its way through other programs [nm]."""

SHRINKING = 1.05
"""A box that keeps its pressure is at first at least so many times twice the cutoff wide."""

LIGHTEST = 1.0
"""Least mass of an atom after mass went to its hydrogens [amu]."""

SMALLEST_DISTANCE = 0.03
"""Closer than this [nm] two atoms are one on top of the other; the shortest bond, H-H, has 0.074 nm."""


class BuildError(ValueError):
    """The given files or settings do not make a system; the message says what to do."""


def checked_file(path: str | Path, suffixes: Sequence[str]) -> Path:
    """``path`` if it is a file of one of the kinds ``suffixes``."""
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        raise BuildError(f"{path} is no {', '.join(suffixes)} file; convert it to one of these")
    if not file.is_file():
        near = sorted(p.name for p in file.parent.glob(f"*{file.suffix}")) if file.parent.is_dir() else []
        raise BuildError(
            f"there is no file {path}; " + (f"there are {', '.join(near[:8])}" if near else "check the path")
        )
    return file


def chosen(name: str, options: Mapping, setting: str):
    """``options[name]``."""
    if name not in options:
        raise BuildError(f'{setting} = "{name}" is unknown; use one of {", ".join(options)}')
    return options[name]


@dataclass(frozen=True)
class Nonbonded:
    """How a force field's nonbonded interactions are summed.

    Attributes
    ----------
    method : of OpenMM
    cutoff : of direct interactions [nm]; without meaning where all pairs interact
    notes : what was decided for the user, in sentences
    """

    method: object
    cutoff: float = 1.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summation:
    """What a user says about the nonbonded interactions; None where it is left to us.

    Attributes
    ----------
    cutoff : of direct interactions [nm]
    periodic : whether the box of the files is used
    electrostatics : `ELECTROSTATICS` beyond the cutoff in a periodic box
    pressure : whether the box will change [kJ/mol/nm^3]
    """

    cutoff: float | None = None
    periodic: bool | None = None
    electrostatics: str | None = None
    pressure: float | None = None

    def in_box(self, box, implicit: bool, filled: bool, undecided: str | None = None) -> Nonbonded:
        """The method for a structure in ``box`` of OpenMM, or None.

        Without a word from the user the box of a molecule in implicit solvent is left out, and one that is ``filled``
        is used; so is any box if a cutoff was given.

        Parameters
        ----------
        box : vectors, or None
        implicit : whether the solvent is
        filled : whether there is solvent in the box, or it is the box of files that are made for simulation
        undecided : what to say where a box is filled and it is not clear that it is one to simulate in

        Raises
        ------
        BuildError
            If settings and box do not go together.
        """
        if self.cutoff is not None and not 0.0 < self.cutoff < np.inf:
            raise BuildError(
                f"cutoff = {self.cutoff} nm; give a positive distance such as 1.0, or leave it out for all pairs"
            )
        silent = self.periodic is None and self.cutoff is None
        if box is not None and not implicit and filled and silent and undecided is not None:
            raise BuildError(undecided)
        asked = self.periodic
        if asked is None:
            asked = box is not None and not implicit and (self.cutoff is not None or filled)
        return self._periodic(box, silent) if asked else self._open()

    def _open(self) -> Nonbonded:
        asked = {
            "pressure": self.pressure is not None,
            'electrostatics = "pme"': self.electrostatics == "pme",
        }
        for name in (name for name, given in asked.items() if given):
            raise BuildError(
                f"{name} is given for a structure without a periodic box; remove it, solvate the molecule "
                '(solvent = "tip3p"), or set periodic = true if the files have a box'
            )
        if self.cutoff is None:
            return Nonbonded(app.NoCutoff)
        return Nonbonded(app.CutoffNonPeriodic, self.cutoff)

    def _periodic(self, box, silent: bool) -> Nonbonded:
        if box is None:
            raise BuildError(
                "periodic = true, but the files have no box; add a CRYST1 record, coordinates with a box, or solvent"
            )
        kind = "pme" if self.electrostatics is None else self.electrostatics
        method = chosen(kind, ELECTROSTATICS, "electrostatics")
        width = min(np.diag(np.array(box.value_in_unit(unit.nanometer))))
        cutoff = CUTOFF if self.cutoff is None else self.cutoff
        room = 1.0 if self.pressure is None else SHRINKING
        if 2.0 * room * cutoff > width - ROUNDING:
            why = "" if self.pressure is None else ", which changes with the pressure and needs some room"
            raise BuildError(
                f"cutoff = {cutoff} nm is half the box or more ({width:.3f} nm){why}; use at most "
                f"{int(500 * (width - ROUNDING) / room) / 1000:.3f}, or a wider box"
            )
        notes = ()
        if silent:
            notes = (
                f"the box of the files is used, at least {width:.3f} nm wide, with "
                f"{NAMES[kind]} and a cutoff of {cutoff} nm; set periodic = false for a droplet in vacuum",
            )
        return Nonbonded(method, cutoff, notes)


ELECTROSTATICS = {"pme": app.PME, "reaction-field": app.CutoffPeriodic}
"""What becomes of electrostatics beyond the cutoff of a periodic box."""

NAMES = {"pme": "PME", "reaction-field": "a reaction field"}


def checked_masses(system: openmm.System, topology: app.Topology, hydrogen_mass: float | None) -> None:
    """Raise a `BuildError` if hydrogens took so much mass that an atom is lighter than hydrogen."""
    if hydrogen_mass is None:
        return
    for atom in topology.atoms():
        mass = system.getParticleMass(atom.index).value_in_unit(unit.dalton)
        if atom.element is not None and not system.isVirtualSite(atom.index) and 0 != mass < LIGHTEST:
            raise BuildError(
                f"hydrogen_mass = {hydrogen_mass} amu leaves {mass:.3f} amu for {atom.residue.name} {atom.residue.id} "
                f"{atom.name}, from which its hydrogens took it; use 3 amu, which lets dt be 4 fs, or less"
            )


def checked_positions(positions, atoms: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """Positions ``(particles, 3)`` [nm] of an OpenMM quantity, finite, of this world and no two atoms in one place.

    ``atoms`` are the particles that can collide, None for all: a virtual site may be where it likes.
    """
    x = np.array(positions.value_in_unit(unit.nanometer), float).reshape(-1, 3)
    strange = np.flatnonzero(~(np.abs(x) < LARGEST_COORDINATE).all(1))
    if len(strange):
        raise BuildError(
            f"atom {strange[0] + 1} has coordinates {x[strange[0]]} nm ({len(strange)} such atoms); "
            "coordinates must be finite and in the unit of the file format, Å for PDB"
        )
    solid = np.arange(len(x)) if atoms is None else np.asarray(atoms, int)
    if len(close := KDTree(x[solid]).query_pairs(SMALLEST_DISTANCE, output_type="ndarray")):
        i, j = min(map(tuple, solid[close].tolist()))
        raise BuildError(
            f"atoms {i + 1} and {j + 1} are {np.linalg.norm(x[i] - x[j]):.4f} nm apart ({len(close)} such "
            "pairs); remove duplicate atoms or build the structure anew"
        )
    return x
