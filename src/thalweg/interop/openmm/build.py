"""From the files a chemist has to a `System` that every engine runs.

Three routes, one result: a structure and force fields (`from_pdb`), Amber's prmtop and coordinates
(`from_amber`), an OpenMM ``System`` as XML and a structure (`from_xml`). `build_system` takes the one whose
files it is given. Whatever is wrong with the files is said here, in a `BuildError`, before anything runs.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import openmm
import openmm.app as app

from thalweg.interop.openmm.build_checks import (
    BuildError,
    checked_cutoff,
    checked_file,
    checked_positions,
    chosen,
)
from thalweg.interop.openmm.checked_xml import system_document
from thalweg.interop.openmm.force_fields import checked_water, explain_no_template, load_force_field
from thalweg.interop.openmm.implicit_solvent import with_compiled_born
from thalweg.interop.openmm.system import system_from_openmm
from thalweg.interop.openmm.topology import topology_from_openmm
from thalweg.systems.system import System

__all__ = ["BuildError", "build_system", "from_amber", "from_pdb", "from_xml"]

CONSTRAINTS = {"none": None, "hbonds": app.HBonds, "allbonds": app.AllBonds}
IMPLICIT_SOLVENTS = {
    "none": None, "hct": app.HCT, "obc1": app.OBC1, "obc2": app.OBC2, "gbn": app.GBn, "gbn2": app.GBn2,
}  # fmt: skip
STRUCTURES = {
    **dict.fromkeys((".pdb", ".ent"), app.PDBFile),
    **dict.fromkeys((".cif", ".mmcif", ".pdbx"), app.PDBxFile),
}
COORDINATES = (".inpcrd", ".rst7", ".restrt", ".crd", ".ncrst")


def build_system(
    *,
    pdb: str | Path | None = None,
    prmtop: str | Path | None = None,
    inpcrd: str | Path | None = None,
    xml: str | Path | None = None,
    forcefield: Sequence[str] | None = None,
    implicit_solvent: str | None = None,
    constraints: str | None = None,
    hydrogen_mass: float | None = None,
    cutoff: float | None = None,
    add_hydrogens: bool | None = None,
    water_padding: float | None = None,
) -> System:
    """The system described by the files given; a setting left None takes the default of its route.

    ==================  =========================================================================
    files               route and settings
    ==================  =========================================================================
    pdb, forcefield     `from_pdb`: constraints, hydrogen_mass, cutoff, add_hydrogens, water_padding
    prmtop, inpcrd      `from_amber`: implicit_solvent, constraints, hydrogen_mass, cutoff
    xml, pdb            `from_xml`: everything else is already in the XML
    ==================  =========================================================================

    Raises
    ------
    BuildError
        If no route takes exactly the settings given, or that route cannot use its files.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    route = from_xml if xml is not None else from_amber if prmtop is not None else from_pdb
    known = inspect.signature(route).parameters
    needed = [name for name, parameter in known.items() if parameter.default is inspect.Parameter.empty]
    if missing := [name for name in needed if name not in given]:
        raise BuildError(
            f"got {', '.join(given) or 'no files'}, but {' and '.join(missing)} missing; give pdb + "
            "forcefield, or prmtop + inpcrd, or xml + pdb"
        )
    if unused := [name for name in given if name not in known]:
        raise BuildError(
            f"{', '.join(unused)} has no meaning together with {' + '.join(needed)}; remove it (settings "
            f"that have: {', '.join(name for name in known if name not in needed) or 'none'})"
        )
    return route(**given)


def from_pdb(
    pdb: str | Path,
    forcefield: Sequence[str],
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    cutoff: float | None = None,
    add_hydrogens: bool = False,
    water_padding: float | None = None,
) -> System:
    """A system from a structure and OpenMM force field files.

    Parameters
    ----------
    pdb : PDB or PDBx/mmCIF file, one model
    forcefield : names of files that come with OpenMM, such as ``"amber14/protein.ff14SB.xml"``, or paths
    constraints : ``"none"``, ``"hbonds"`` (bonds to hydrogen) or ``"allbonds"``; unless none, water is rigid
    hydrogen_mass : mass given to each hydrogen bound to a heavy atom, taken from that atom [amu]
    cutoff : distance beyond which pairs do not interact (reaction field) [nm]; None for all pairs
    add_hydrogens : add the hydrogens that the force field's residues have at pH 7
    water_padding : solvate in a cubic box of the force field's water, this much wider on each side [nm]

    Raises
    ------
    BuildError
        Naming what is wrong with the structure, the force field or the settings, and what to do.
    """
    structure = _read_structure(pdb)
    checked_positions(structure.positions)
    field = load_force_field(forcefield)
    if water_padding is not None and cutoff is None:
        raise BuildError(
            f"water_padding = {water_padding} nm makes a periodic box; give a cutoff, 0.9 nm say"
        )
    if water_padding is not None:
        checked_water(field, forcefield)
    modeller = app.Modeller(structure.topology, structure.positions)

    def complete():
        if add_hydrogens:
            modeller.addHydrogens(field, platform=openmm.Platform.getPlatform("Reference"))
        if water_padding is not None:
            modeller.addSolvent(field, padding=water_padding)

    with _seeded_draws():
        explain_no_template(complete, field, modeller.topology, forcefield)
    positions = checked_positions(modeller.positions)
    return from_topology(modeller.topology, positions, forcefield, constraints, hydrogen_mass, cutoff)


def from_topology(
    topology: app.Topology,
    positions: np.ndarray,
    forcefield: Sequence[str],
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    cutoff: float | None = None,
) -> System:
    """A system from OpenMM's topology and positions ``(atoms, 3)`` [nm]; the rest as in `from_pdb`."""
    field = load_force_field(forcefield)
    method, distance = checked_cutoff(cutoff, topology.getPeriodicBoxVectors())
    held = chosen(constraints, CONSTRAINTS, "constraints")
    system = explain_no_template(
        lambda: field.createSystem(
            topology,
            nonbondedMethod=method,
            nonbondedCutoff=distance,
            constraints=held,
            rigidWater=held is not None,
            removeCMMotion=False,
            hydrogenMass=hydrogen_mass,
        ),
        field,
        topology,
        forcefield,
    )
    return system_from_openmm(
        with_compiled_born(system, positions), topology_from_openmm(topology), positions
    )


def from_amber(
    prmtop: str | Path,
    inpcrd: str | Path,
    implicit_solvent: str = "none",
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    cutoff: float | None = None,
) -> System:
    """A system from Amber's topology and coordinates.

    Parameters
    ----------
    prmtop, inpcrd : the two files
    implicit_solvent : ``"none"``, ``"hct"``, ``"obc1"``, ``"obc2"``, ``"gbn"`` or ``"gbn2"``
    constraints, hydrogen_mass, cutoff : as in `from_pdb`

    Raises
    ------
    BuildError
        If the files do not belong together or a setting is unknown.
    """
    checked_file(prmtop, (".prmtop", ".parm7", ".top"))
    checked_file(inpcrd, COORDINATES)
    coordinates = app.AmberInpcrdFile(str(inpcrd))
    parameters = app.AmberPrmtopFile(str(prmtop), periodicBoxVectors=coordinates.boxVectors)
    positions = checked_positions(coordinates.positions)
    if len(positions) != (atoms := parameters.topology.getNumAtoms()):
        raise BuildError(
            f"{inpcrd} has {len(positions)} atoms and {prmtop} has {atoms}; give coordinates of its atoms"
        )
    method, distance = checked_cutoff(cutoff, coordinates.boxVectors)
    held = chosen(constraints, CONSTRAINTS, "constraints")
    system = parameters.createSystem(
        nonbondedMethod=method,
        nonbondedCutoff=distance,
        constraints=held,
        rigidWater=held is not None,
        implicitSolvent=chosen(implicit_solvent, IMPLICIT_SOLVENTS, "implicit_solvent"),
        removeCMMotion=False,
        hydrogenMass=hydrogen_mass,
    )
    return system_from_openmm(
        with_compiled_born(system, positions), topology_from_openmm(parameters.topology), positions
    )


def from_xml(xml: str | Path, pdb: str | Path) -> System:
    """A system from a serialized OpenMM ``System`` and a structure with its atoms in the same order.

    Raises
    ------
    BuildError
        If the XML holds no ``System``, one with a force that runs a program, or another number of particles.
    """
    path = checked_file(xml, (".xml",))
    structure = _read_structure(pdb)
    system = system_document(path)
    positions = checked_positions(structure.positions)
    if len(positions) != system.getNumParticles():
        raise BuildError(
            f"{xml} has {system.getNumParticles()} particles and {pdb} has {len(positions)} atoms; give the "
            "structure that the System was made from"
        )
    return system_from_openmm(
        with_compiled_born(system, positions), topology_from_openmm(structure.topology), positions
    )


def _read_structure(path: str | Path):
    """OpenMM's reader of a PDB or PDBx/mmCIF file, holding ``topology`` and ``positions``."""
    file = checked_file(path, tuple(STRUCTURES))
    text = file.read_text(errors="replace")
    if not any(line.startswith(("ATOM", "HETATM")) for line in text.splitlines()):
        raise BuildError(f"{path} has no atoms; check that it is a structure in {file.suffix} format")
    try:
        return STRUCTURES[file.suffix.lower()](io.StringIO(text))
    except (ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
        raise BuildError(
            f"cannot read {path} as {file.suffix} ({error}); check the file in a viewer"
        ) from error


@contextlib.contextmanager
def _seeded_draws() -> Iterator[None]:
    """OpenMM's ``Modeller`` draws from Python's global generator: seed it, then put back what was."""
    before = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(before)
