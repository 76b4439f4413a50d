r"""A host and its guests in a sphere: the system that swarms of binding simulate.

The sphere is a wall between centers (means of the positions of heavy atoms) of host and guest,

.. math::  U = \frac{k}{2} \max(0, |\bar x_{guest} - \bar x_{host}| - R)^2 ,

a force of the OpenMM ``System`` that every engine of ours runs. It gives the guest a known concentration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openmm

from thalweg.interop.amber.general_force_field import GeneralForceField
from thalweg.interop.openmm.build import from_amber
from thalweg.interop.openmm.build_checks import BuildError
from thalweg.interop.openmm.checked_xml import deserialized
from thalweg.interop.openmm.relaxation import relaxed
from thalweg.interop.openmm.system import system_from_openmm
from thalweg.shapes import Int
from thalweg.systems.system import System
from thalweg.systems.topology import Topology, molecules_of

WALL = "0.5*stiffness*max(0, distance(g1,g2)-radius)^2"


@dataclass(frozen=True, eq=False)
class HostGuest:
    """A system and who is who in it.

    Attributes
    ----------
    system : host first, then the guests, at a nearest minimum
    host : atoms of the host
    guests : (guests, atoms) of each guest
    radius : of the sphere [nm]
    """

    system: System
    host: Int[np.ndarray, " atoms"]
    guests: Int[np.ndarray, "guests atoms"]
    radius: float


def host_guest(
    host: str | Path,
    guest: str | Path,
    radius: float,
    folder: str | Path,
    guests: int = 1,
    field: GeneralForceField = GeneralForceField(),  # noqa: B008
    implicit_solvent: str = "obc2",
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    stiffness: float = 1000.0,
) -> HostGuest:
    """A host with guests in a sphere around it, in implicit solvent.

    Parameters
    ----------
    host, guest : mol2 files with charges, or SDF files
    radius : of the sphere of the guests' centers around the host's [nm]
    folder : where parameters are kept, by the content of the files
    guests : how many of the guest
    field : where parameters come from
    implicit_solvent, constraints, hydrogen_mass : see `thalweg.interop.openmm.build.from_amber`
    stiffness : of the wall of the sphere [kJ/mol/nm^2]

    Raises
    ------
    BuildError
        If parameters cannot be had, or the sphere has no room beside the host.
    """
    if guests < 1:
        raise BuildError(f"{guests} guests cannot bind; give one or more")
    files = field.parametrized([host, *[guest] * guests], folder)
    system = from_amber(
        *files, implicit_solvent=implicit_solvent, constraints=constraints, hydrogen_mass=hydrogen_mass
    )
    alone = field.parametrized([guest], folder)
    size = len(from_amber(*alone, constraints="none").topology)
    first = len(system.topology) - guests * size
    atoms = np.arange(first), np.arange(first, first + guests * size).reshape(guests, size)
    heavy = system.topology.heavy_atoms
    widest = np.linalg.norm(system.positions[:first] - system.positions[:first].mean(0), axis=1).max()
    if not radius > widest:
        raise BuildError(
            f"a sphere of radius {radius:g} nm has no room beside a host that reaches {widest:.2f} nm; give "
            f"{widest + 0.8:.1f} nm or more"
        )
    assert system.openmm_xml is not None
    walled = deserialized(system.openmm_xml)
    walled.addForce(
        _wall([np.intersect1d(group, heavy) for group in (atoms[0], *atoms[1])], radius, stiffness)
    )
    named = _named_apart(system.topology)
    return HostGuest(
        relaxed(system_from_openmm(walled, named, system.positions, system.notes)), *atoms, radius
    )


def _named_apart(topology: Topology) -> Topology:
    """The topology with a residue for each molecule and a name of its own for each atom, as a PDB file needs."""
    apart = molecules_of(topology.elements, topology.bonds)
    return replace(apart, residue_names=topology.residue_names)


def _wall(groups: list[np.ndarray], radius: float, stiffness: float) -> openmm.Force:
    """The sphere around the first group for each of the others."""
    force = openmm.CustomCentroidBondForce(2, WALL)
    force.addPerBondParameter("radius")
    force.addPerBondParameter("stiffness")
    for group in groups:
        force.addGroup(group.tolist(), [1.0] * len(group))
    for guest in range(1, len(groups)):
        force.addBond([0, guest], [radius, stiffness])
    return force
