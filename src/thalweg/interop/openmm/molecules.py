"""Small molecules to try things on, with the force fields they are usually simulated in.

Starting structures are package data of `thalweg.testsystems`, built from ideal internal coordinates and
minimized. Peptides of any sequence are built by RDKit.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import openmm.app as app

from thalweg.geometry.bond_graph import bonded_atoms
from thalweg.interop.openmm.build import from_pdb, from_topology
from thalweg.interop.openmm.build_checks import chosen
from thalweg.interop.openmm.relaxation import relaxed
from thalweg.interop.openmm.solvation import WATER_MODELS, BoxShape
from thalweg.interop.rdkit.peptides import PeptideStructure, peptide_structure
from thalweg.shapes import Float
from thalweg.systems.system import System
from thalweg.units import GRAM_PER_CUBIC_CENTIMETER

FF14SB = "amber14/protein.ff14SB.xml"
SOLVENTS = {"vacuum": (FF14SB,), "obc2": (FF14SB, "implicit/obc2.xml")}
"""Force field files: Amber ff14SB [maier2015] in vacuum or in OBC2 implicit water [onufriev2004]."""


@dataclass(frozen=True)
class WaterAround:
    """Explicit water around a molecule, summed by PME; see `thalweg.interop.openmm.build.from_pdb`.

    Attributes
    ----------
    padding : least distance of the molecule to its image [nm]
    cutoff : of direct interactions [nm]
    ionic_strength : of sodium chloride [1/nm^3]
    box_shape : of the box
    pressure : kept by a barostat [kJ/mol/nm^3]; None for constant volume
    """

    padding: float | None = None
    cutoff: float | None = None
    ionic_strength: float | None = None
    box_shape: BoxShape | None = None
    pressure: float | None = None


BARE = WaterAround()


WATER = ("amber14/tip3p.xml",)

WATER_MOLECULE = np.array([[0.0, 0.0, 0.0], [0.09572, 0.0, 0.0], [-0.0239988, 0.0926627, 0.0]])
"""Oxygen and hydrogens of TIP3P water, 0.09572 nm and 104.52 degrees [nm]."""

VOLUME_OF_WATER = 18.01528 / (0.997 * GRAM_PER_CUBIC_CENTIMETER)
"""Volume of a molecule in liquid water at 298 K, 0.997 g/ml [nm^3]."""


def alanine_dipeptide(
    solvent: str = "vacuum",
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    water: WaterAround = BARE,
) -> System:
    """Alanine dipeptide, Ac-Ala-NHMe, 22 atoms, in its C7eq minimum; residues ACE, ALA, NME.

    Parameters
    ----------
    solvent : ``"vacuum"``, ``"obc2"``, or a water model such as ``"tip3p"`` or ``"tip4pew"``
    constraints : ``"none"``, ``"hbonds"`` or ``"allbonds"``
    hydrogen_mass : repartitioned mass of hydrogen [amu], or None for the natural one
    water : how much of the water of ``solvent``, salt and pressure

    Examples
    --------
    >>> len(alanine_dipeptide().topology)
    22
    """
    return _peptide("alanine_dipeptide", solvent, constraints, hydrogen_mass, water)


def proline_dipeptide(
    solvent: str = "vacuum",
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    water: WaterAround = BARE,
) -> System:
    """Proline dipeptide, Ac-Pro-NHMe, 26 atoms, trans; parameters as in `alanine_dipeptide`.

    Its amide before proline turns to cis over some 25 kT at 300 K. The torsion to follow is that of CH3 and O of ACE
    with CD and CA of proline, 180 degrees in trans and 0 in cis: it turns with the plane of the acetyl group, whereas
    omega also changes where the nitrogen is pyramidal, as it is on the way.

    Examples
    --------
    >>> names = proline_dipeptide().topology.names
    >>> [names.index(name) for name in ("CH3", "O", "CD", "CA")]
    [0, 5, 7, 16]
    """
    return _peptide("proline_dipeptide", solvent, constraints, hydrogen_mass, water)


def alanine_tetrapeptide(
    solvent: str = "vacuum",
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    water: WaterAround = BARE,
) -> System:
    """Alanine tetrapeptide, Ac-Ala3-NHMe, 42 atoms, extended; parameters as in `alanine_dipeptide`."""
    return _peptide("alanine_tetrapeptide", solvent, constraints, hydrogen_mass, water)


def met_enkephalin(
    solvent: str = "obc2",
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    water: WaterAround = BARE,
) -> System:
    """Met-enkephalin, zwitterion YGGFM, 75 atoms, extended; parameters as in `alanine_dipeptide`."""
    return _peptide("met_enkephalin", solvent, constraints, hydrogen_mass, water)


def peptide(
    sequence: str,
    solvent: str = "obc2",
    constraints: str = "hbonds",
    hydrogen_mass: float | None = None,
    water: WaterAround = BARE,
    phi: float | Sequence[float] | Float[np.ndarray, " residues"] = np.pi,
    psi: float | Sequence[float] | Float[np.ndarray, " residues"] = np.pi,
    capped: bool = True,
) -> System:
    """A peptide of L-amino acids with trans amides by its sequence, in ff14SB; side chains as they are at pH 7.

    Hydrogens and strained bonds are relaxed while heavy atoms are held near to where RDKit puts them.

    Parameters
    ----------
    sequence : one-letter codes, from the N terminus
    solvent, constraints, hydrogen_mass, water : as in `alanine_dipeptide`
    phi, psi : backbone torsions [rad], one for all residues or one for each, met within some degrees; an extended chain
        if left out. The phi of proline is that of its ring, and ends without a cap have one torsion less.
    capped : acetyl (ACE) before and N-methyl amide (NME) after the chain; else its ends are charged

    Raises
    ------
    ValueError
        If the sequence is empty, too long or has an unknown letter, there are not as many torsions as residues, or
        atoms overlap whatever the side chains do.
    ImportError
        If RDKit is not installed (extra ``drug``).

    Examples
    --------
    >>> len(peptide("AAA").topology)
    42
    """
    built = peptide_structure(sequence, phi, psi, capped)
    with tempfile.TemporaryDirectory() as folder:
        pdb = Path(folder) / "peptide.pdb"
        pdb.write_text(built.pdb)
        system = _in_solvent(pdb, solvent, constraints, hydrogen_mass, water, add_hydrogens=True)
    return relaxed(_with_hydrogens_of(built, system), held=system.topology.heavy_atoms)


def water_box(n_waters: int = 216, cutoff: float | None = None, constraints: str = "hbonds") -> System:
    """A periodic cube of ``n_waters`` TIP3P waters [jorgensen1983] at 0.997 g/ml, on a lattice, all turned
    one way.

    Parameters
    ----------
    n_waters : number of molecules
    cutoff : reaction-field cutoff [nm]; None takes 0.9 nm or, in a smaller box, just under half its width
    constraints : ``"hbonds"`` for rigid water, ``"none"`` for flexible

    Examples
    --------
    >>> len(water_box(8).topology)
    24
    """
    width = (n_waters * VOLUME_OF_WATER) ** (1 / 3)
    edge = round(np.ceil(n_waters ** (1 / 3) - 1e-9))
    sites = np.stack(np.unravel_index(np.linspace(0, edge**3 - 1, n_waters).astype(int), (edge,) * 3), axis=1)
    positions = (sites[:, None] * width / edge + WATER_MOLECULE).reshape(-1, 3)
    topology = app.Topology()
    topology.setPeriodicBoxVectors(width * np.eye(3))
    chain = topology.addChain()
    for _ in range(n_waters):
        residue = topology.addResidue("HOH", chain)
        oxygen = topology.addAtom("O", app.element.oxygen, residue)
        for name in ("H1", "H2"):
            topology.addBond(oxygen, topology.addAtom(name, app.element.hydrogen, residue))
    return from_topology(
        topology,
        positions,
        WATER,
        constraints,
        cutoff=min(0.9, 0.499 * width) if cutoff is None else cutoff,
        electrostatics="reaction-field",
    )


def _peptide(
    name: str, solvent: str, constraints: str, hydrogen_mass: float | None, water: WaterAround
) -> System:
    with as_file(files("thalweg.testsystems") / "structures" / f"{name}.pdb") as pdb:
        return _in_solvent(pdb, solvent, constraints, hydrogen_mass, water)


def _with_hydrogens_of(built: PeptideStructure, system: System) -> System:
    """Hydrogens where the structure has them, on atoms with as many.

    OpenMM draws them at random and minimizes, which can leave one on the wrong side of the atom it is bonded to.
    """
    topology, positions, bonded = system.topology, np.array(system.positions), bonded_atoms(system.topology)
    for atom in topology.heavy_atoms:
        vectors = built.hydrogens.get((topology.residue_ids[atom], topology.names[atom]), ())
        hydrogens = [other for other in bonded[atom] if topology.elements[other] == "H"]
        if len(vectors) == len(hydrogens) > 0:
            positions[hydrogens] = positions[atom] + vectors  # water moves the molecule as a whole
    return dataclasses.replace(system, positions=positions)


def _in_solvent(
    pdb: Path,
    solvent: str,
    constraints: str,
    hydrogen_mass: float | None,
    water: WaterAround,
    add_hydrogens: bool = False,
) -> System:
    explicit = solvent if solvent in WATER_MODELS else None
    if explicit is None:
        chosen(solvent, {**SOLVENTS, **WATER_MODELS}, "solvent")
    return from_pdb(
        pdb,
        SOLVENTS["vacuum" if explicit else solvent],
        constraints,
        hydrogen_mass,
        add_hydrogens=add_hydrogens,
        solvent=explicit,
        **dataclasses.asdict(water),
    )
