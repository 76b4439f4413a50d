"""Baselines that come from files: a classical force field, and a potential that was learned before."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thalweg.interop.openmm.build import build_system
from thalweg.learned_potentials.parametric.force_field import ForceFieldTerm
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.potentials.energy import EnergyElsewhere
from thalweg.systems.elements import SYMBOLS
from thalweg.units import Nanometers


def force_field(
    pdb: str | None = None,
    prmtop: str | None = None,
    inpcrd: str | None = None,
    xml: str | None = None,
    forcefield: tuple[str, ...] | None = None,
    implicit_solvent: str | None = None,
    cutoff: Nanometers | None = None,
    periodic: bool | None = None,
) -> ForceFieldTerm:
    """The classical force field of the system in these files; atoms of all frames must be in its order.

    Beyond the cutoff in a periodic box is a reaction field, since it is evaluated here.

    Raises
    ------
    ValueError
        If the files make no system, or one with terms that only OpenMM evaluates, such as PME in XML.
    """
    system = build_system(
        pdb=pdb,
        prmtop=prmtop,
        inpcrd=inpcrd,
        xml=xml,
        forcefield=forcefield,
        implicit_solvent=implicit_solvent,
        cutoff=cutoff,
        periodic=periodic,
        electrostatics=None if xml is not None else "reaction-field",
        constraints=None if xml is not None else "none",
    )
    if isinstance(system.energy, EnergyElsewhere):
        raise ValueError(f"a baseline is evaluated here: {system.energy.reason}")
    numbers = np.array([SYMBOLS.index(symbol) for symbol in system.topology.elements])
    return ForceFieldTerm(system.energy, numbers)


def earlier_potential(file: str) -> LearnedPotential:
    """The learned potential in a file, references and all."""
    return LearnedPotential.load(Path(file))
