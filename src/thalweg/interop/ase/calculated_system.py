"""A system whose energies another program calculates: atoms of a file, a level of theory, ASE's engine."""

from __future__ import annotations

import numpy as np
from ase.optimize import LBFGS

from thalweg.interop.ase.level_calculator import LevelCalculator
from thalweg.interop.files.configurations import from_atoms, to_atoms
from thalweg.labeling.level import Level
from thalweg.machine.surviving import reason
from thalweg.potentials.energy import EnergyElsewhere
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.systems.system import System
from thalweg.systems.topology import Topology

FORCE = 0.05
"""Largest force at which a start counts as relaxed [eV/Å]."""

STEPS = 200
"""Steps of relaxation at most."""


def calculated_system(frame: Configuration, topology: Topology, level: Level) -> System:
    """A system of the atoms of ``frame``, relaxed at ``level``; `ASEEngine` runs it with a `LevelCalculator`.

    Parameters
    ----------
    frame : where to start
    topology : of its atoms
    level : of theory

    Raises
    ------
    ValueError
        If the frame repeats in some directions only, or the level cannot be asked about it.
    """
    if any(frame.periodic) and not all(frame.periodic):
        raise ValueError(
            f"the cell repeats along {sum(frame.periodic)} of its three vectors; engines know cells that repeat along "
            "all of them or none: give a slab a third vector with vacuum"
        )
    level.check(frame)
    atoms = to_atoms(frame.unlabeled)
    atoms.calc = LevelCalculator(level)
    try:
        relaxing = LBFGS(atoms, logfile=None)
        done = relaxing.run(fmax=FORCE, steps=STEPS)
    except RuntimeError as trouble:
        raise ValueError(f"{level.name} does not relax the start: {reason(trouble)}") from trouble
    ended = "its forces are small" if done else f"{STEPS} steps were not enough: its forces are not small yet"
    relaxed = from_atoms(atoms)
    elsewhere = EnergyElsewhere(f'{level.name} is asked by ASE alone; use engine = "ase", or ASEEngine')
    return System(
        topology=topology,
        positions=np.asarray(relaxed.positions),
        masses=MASSES[np.asarray(frame.numbers, int)],
        energy=elsewhere,
        box=frame.box if all(frame.periodic) else None,
        notes=(f"relaxed at {level.name} by {relaxing.nsteps} steps of LBFGS: {ended}",),
    )
