"""From the files a chemist has to a `System` that every engine runs.

Three routes, one result: a structure and force fields (`from_pdb`), Amber's prmtop and coordinates
(`from_amber`), an OpenMM ``System`` as XML and a structure (`from_xml`). `build_system` takes the one whose
files it is given. Whatever is wrong with the files is said here, in a `BuildError`, before anything runs.

A periodic box has PME and a cutoff of 0.9 nm unless something else is said. The box of a molecule in implicit solvent
is left out; one with water in it is used if the files are made for simulation, and asked about if they are a PDB,
whose box may be that of a crystal.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openmm
import openmm.app as app
from openmm import unit

from thalweg.interop.files.cells import NO_BOX
from thalweg.interop.openmm.alternate_locations import likeliest_locations
from thalweg.interop.openmm.build_checks import (
    BuildError,
    Nonbonded,
    Summation,
    checked_file,
    checked_masses,
    checked_positions,
    chosen,
)
from thalweg.interop.openmm.checked_xml import require_computable, system_document
from thalweg.interop.openmm.force_fields import explain_no_template, has_implicit_solvent, load_force_field
from thalweg.interop.openmm.implicit_solvent import with_compiled_born
from thalweg.interop.openmm.solvation import (
    PADDING,
    BoxShape,
    add_barostat,
    add_virtual_sites,
    seeded_draws,
    solvate,
    with_water,
)
from thalweg.interop.openmm.system import is_barostat, system_from_openmm
from thalweg.interop.openmm.topology import topology_from_openmm
from thalweg.interop.openmm.values import numbers_of
from thalweg.machine.reading import quietly, reading, what_is_wrong
from thalweg.systems.box import reduced_box
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
WATER = ("HOH", "WAT", "SOL", "TIP3", "H2O")
"""Names of residues of water."""


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
    periodic: bool | None = None,
    electrostatics: str | None = None,
    add_hydrogens: bool | None = None,
    solvent: str | None = None,
    padding: float | None = None,
    ionic_strength: float | None = None,
    box_shape: BoxShape | None = None,
    pressure: float | None = None,
) -> System:
    """The system described by the files given; a setting left None takes the default of its route.

    ==================  =========================================================================
    files               route and settings
    ==================  =========================================================================
    pdb, forcefield     `from_pdb`: all but implicit_solvent, which is a file of the force field
    prmtop, inpcrd      `from_amber`: implicit_solvent, constraints, hydrogen_mass, cutoff, periodic,
                        electrostatics, pressure
    xml, pdb            `from_xml`: pressure; everything else is already in the XML
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
    periodic: bool | None = None,
    electrostatics: str | None = None,
    add_hydrogens: bool = False,
    solvent: str | None = None,
    padding: float | None = None,
    ionic_strength: float | None = None,
    box_shape: BoxShape | None = None,
    pressure: float | None = None,
) -> System:
    """A system from a structure and OpenMM force field files.

    Parameters
    ----------
    pdb : PDB or PDBx/mmCIF file, one model
    forcefield : names of files that come with OpenMM, such as ``"amber14/protein.ff14SB.xml"``, or paths
    constraints : ``"none"``, ``"hbonds"`` (bonds to hydrogen) or ``"allbonds"``; unless none, water is rigid
    hydrogen_mass : mass given to each hydrogen bound to a heavy atom, taken from that atom [amu]
    cutoff : of direct interactions [nm]; None for 0.9 nm in a periodic box, and all pairs without one
    periodic : whether the box of the file is used; None to decide by what is in it, see the module
    electrostatics : in a periodic box, ``"pme"`` or ``"reaction-field"``, which the native engine has; None for PME
    add_hydrogens : add the hydrogens that the force field's residues have at pH 7
    solvent : a water model, such as ``"tip3p"`` or ``"tip4pew"``, to solvate the molecule in, ions included
    padding : least distance of the molecule to its image in the solvent [nm]; None for 1 nm
    ionic_strength : of sodium chloride beyond what neutralizes [1/nm^3]; None for none
    box_shape : ``"cube"``, ``"dodecahedron"`` or ``"octahedron"``; None for a cube
    pressure : kept by a Monte Carlo barostat [kJ/mol/nm^3]; None for constant volume

    Raises
    ------
    BuildError
        Naming what is wrong with the structure, the force field or the settings, and what to do.
    """
    structure = _read_structure(pdb)
    checked_positions(structure.positions, _atoms(structure.topology))
    of_solvent = {"padding": padding, "ionic_strength": ionic_strength, "box_shape": box_shape}
    if solvent is not None:
        forcefield = with_water(forcefield, solvent)
    elif given := [name for name, value in of_solvent.items() if value is not None]:
        raise BuildError(f'{", ".join(given)} given without a solvent; add solvent = "tip3p", say')
    field = load_force_field(forcefield)
    modeller = app.Modeller(structure.topology, structure.positions)

    def complete():
        if add_hydrogens:
            modeller.addHydrogens(field, platform=openmm.Platform.getPlatform("Reference"))
        if solvent is not None:
            solvate(
                modeller,
                field,
                solvent,
                PADDING if padding is None else padding,
                ionic_strength or 0.0,
                "cube" if box_shape is None else box_shape,
            )

    with seeded_draws():
        explain_no_template(complete, field, modeller.topology, forcefield, add_hydrogens)
        add_virtual_sites(modeller, field, forcefield)
    topology = modeller.topology
    nonbonded = Summation(cutoff, periodic, electrostatics, pressure).in_box(
        topology.getPeriodicBoxVectors(),
        has_implicit_solvent(field),
        _waters(topology) > 0,
        None if solvent is not None else _perhaps_a_crystal(pdb, _waters(topology)),
    )
    positions = checked_positions(modeller.positions, _atoms(topology))
    return _from_field(topology, positions, forcefield, nonbonded, constraints, hydrogen_mass, pressure)


def from_topology(
    topology: app.Topology,
    positions: np.ndarray,
    forcefield: Sequence[str],
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    cutoff: float | None = None,
    electrostatics: str | None = None,
) -> System:
    """A system from OpenMM's topology and positions ``(atoms, 3)`` [nm]; the rest as in `from_pdb`."""
    box = topology.getPeriodicBoxVectors()
    nonbonded = Summation(cutoff, electrostatics=electrostatics).in_box(box, False, _waters(topology) > 0)
    return _from_field(topology, positions, forcefield, nonbonded, constraints, hydrogen_mass)


def _from_field(
    topology: app.Topology,
    positions: np.ndarray,
    forcefield: Sequence[str],
    nonbonded: Nonbonded,
    constraints: str,
    hydrogen_mass: float | None,
    pressure: float | None = None,
) -> System:
    field = load_force_field(forcefield)
    held = chosen(constraints, CONSTRAINTS, "constraints")
    system = explain_no_template(
        lambda: field.createSystem(
            topology,
            nonbondedMethod=nonbonded.method,
            nonbondedCutoff=nonbonded.cutoff,
            constraints=held,
            rigidWater=held is not None,
            removeCMMotion=False,
            hydrogenMass=hydrogen_mass,
        ),
        field,
        topology,
        forcefield,
    )
    return _finished(system, topology, positions, nonbonded.notes, hydrogen_mass, pressure)


def from_amber(
    prmtop: str | Path,
    inpcrd: str | Path,
    implicit_solvent: str = "none",
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    cutoff: float | None = None,
    periodic: bool | None = None,
    electrostatics: str | None = None,
    pressure: float | None = None,
) -> System:
    """A system from Amber's topology and coordinates.

    Parameters
    ----------
    prmtop, inpcrd : the two files
    implicit_solvent : ``"none"``, ``"hct"``, ``"obc1"``, ``"obc2"``, ``"gbn"`` or ``"gbn2"``
    constraints, hydrogen_mass, cutoff, periodic, electrostatics, pressure : as in `from_pdb`

    Raises
    ------
    BuildError
        If the files do not belong together, or a setting is unknown or does not suit them.
    """
    checked_file(prmtop, (".prmtop", ".parm7", ".top"))
    checked_file(inpcrd, COORDINATES)
    with reading(inpcrd, "Amber coordinates", "write them again, with cpptraj say"):
        coordinates = app.AmberInpcrdFile(str(inpcrd))
    with reading(prmtop, "an Amber topology", "write it again, with tleap or ParmEd"):
        parameters = app.AmberPrmtopFile(str(prmtop), periodicBoxVectors=coordinates.boxVectors)
    topology = parameters.topology
    if len(coordinates.positions) != (atoms := topology.getNumAtoms()):
        raise BuildError(
            f"{inpcrd} has {len(coordinates.positions)} atoms and {prmtop} has {atoms}; give coordinates of its atoms"
        )
    positions = checked_positions(coordinates.positions, _atoms(topology))
    solvent = chosen(implicit_solvent, IMPLICIT_SOLVENTS, "implicit_solvent")
    box = topology.getPeriodicBoxVectors()
    nonbonded = Summation(cutoff, periodic, electrostatics, pressure).in_box(
        box, solvent is not None, filled=True
    )
    held = chosen(constraints, CONSTRAINTS, "constraints")
    try:
        system = parameters.createSystem(
            nonbondedMethod=nonbonded.method,
            nonbondedCutoff=nonbonded.cutoff * unit.nanometer,
            constraints=held,
            rigidWater=held is not None,
            implicitSolvent=solvent,
            removeCMMotion=False,
            hydrogenMass=None if hydrogen_mass is None else hydrogen_mass * unit.dalton,
        )
    except Exception as error:  # OpenMM raises whatever comes: TypeError for radii that a table lacks
        if solvent is None:
            raise BuildError(f"OpenMM cannot make a System of {prmtop}: {what_is_wrong(error)}") from error
        raise BuildError(
            f'the radii in {prmtop} do not suit implicit_solvent = "{implicit_solvent}" ({error}); change them with '
            'ParmEd ("changeRadii mbondi3" for gbn2, mbondi2 for obc1 and obc2), or take another model'
        ) from error
    require_computable(system, prmtop)
    return _finished(system, topology, positions, nonbonded.notes, hydrogen_mass, pressure)


def from_xml(xml: str | Path, pdb: str | Path, pressure: float | None = None) -> System:
    """A system from a serialized OpenMM ``System`` and a structure with its particles in the same order.

    A structure with a box of its own, as one that was equilibrated at some pressure, is in that box.

    Parameters
    ----------
    xml, pdb : the two files
    pressure : kept by a barostat that is added [kJ/mol/nm^3]; None to leave the ``System`` as it is

    Raises
    ------
    BuildError
        If the XML holds no ``System``, one with a force that runs a program, or another number of particles.
    """
    path = checked_file(xml, (".xml",))
    structure = _read_structure(pdb)
    system = system_document(path)
    particles = range(system.getNumParticles())
    virtual = [i for i in particles if system.isVirtualSite(i)]
    if len(structure.positions) != len(particles):
        sites = f" ({len(virtual)} of them virtual sites)" if virtual else ""
        raise BuildError(
            f"{xml} has {len(particles)} particles{sites} and {pdb} has {len(structure.positions)} atoms; give the "
            "structure that the System was made from, as PDBFile.writeFile writes it"
        )
    positions = checked_positions(structure.positions, np.setdiff1d(particles, virtual))
    notes = _box_of_structure(system, structure.topology.getPeriodicBoxVectors(), pdb)
    barostats = [type(force).__name__ for force in system.getForces() if is_barostat(force)]
    notes += tuple(f"the {kind} of {xml} takes the temperature of the integrator" for kind in barostats)
    return _finished(system, structure.topology, positions, notes, None, pressure)


def _box_of_structure(system: openmm.System, box, pdb: str | Path) -> tuple[str, ...]:
    """Put a periodic ``system`` into the ``box`` of its structure; notes of what was changed."""
    if box is None or not system.usesPeriodicBoundaryConditions():
        return ()
    ours = reduced_box(np.array(box.value_in_unit(unit.nanometer)))
    theirs = np.array(numbers_of(list(map(list, system.getDefaultPeriodicBoxVectors()))))
    if np.allclose(ours, theirs, rtol=0, atol=1e-3):
        return ()
    for force in system.getForces():
        cutoff = getattr(force, "getCutoffDistance", lambda: 0.0 * unit.nanometer)()
        if (
            force.usesPeriodicBoundaryConditions()
            and 2 * cutoff.value_in_unit(unit.nanometer) > np.diag(ours).min()
        ):
            raise BuildError(
                f"the box of {pdb} is {np.diag(ours).round(4).tolist()} nm wide, less than twice the cutoff of the "
                f"System, whose own box is {np.diag(theirs).round(4).tolist()} nm wide; mend or remove its CRYST1"
            )
    system.setDefaultPeriodicBoxVectors(*ours)
    return (
        f"the box of {pdb}, {np.diag(ours).round(4).tolist()} nm wide, is used and not that of the System, "
        f"{np.diag(theirs).round(4).tolist()} nm wide",
    )


def _finished(
    system: openmm.System,
    topology: app.Topology,
    positions: np.ndarray,
    notes: tuple[str, ...],
    hydrogen_mass: float | None,
    pressure: float | None,
) -> System:
    """What all routes do at the end."""
    checked_masses(system, topology, hydrogen_mass)
    add_barostat(system, pressure)
    return system_from_openmm(
        with_compiled_born(system, positions), topology_from_openmm(topology), positions, notes
    )


def _atoms(topology: app.Topology) -> np.ndarray:
    """Indices of particles that are atoms."""
    return np.array([atom.index for atom in topology.atoms() if atom.element is not None], int)


def _waters(topology: app.Topology) -> int:
    return sum(residue.name in WATER for residue in topology.residues())


def _perhaps_a_crystal(pdb: str | Path, waters: int) -> str:
    return (
        f"{pdb} has a box and {waters} molecules of water; set periodic = true to simulate it in this box with PME, "
        "periodic = false if the box is that of a crystal, to leave it out: a droplet in vacuum; or remove the water "
        'and solvate anew: solvent = "tip3p"'
    )


def _read_structure(path: str | Path):
    """OpenMM's reader of a PDB or PDBx/mmCIF file, holding ``topology`` and ``positions``."""
    file = checked_file(path, tuple(STRUCTURES))
    text = likeliest_locations(file.read_text(errors="replace"), file)
    if not any(line.startswith(("ATOM", "HETATM")) for line in text.splitlines()):
        raise BuildError(f"{path} has no atoms; check that it is a structure in {file.suffix} format")
    with reading(file, f"a structure ({file.suffix})", "check the file in a viewer"), quietly():
        structure = STRUCTURES[file.suffix.lower()](io.StringIO(text))
    box = structure.topology.getPeriodicBoxVectors()
    if box is not None and np.abs(box.value_in_unit(unit.nanometer)).max() <= NO_BOX:
        structure.topology.setPeriodicBoxVectors(None)
    return structure
