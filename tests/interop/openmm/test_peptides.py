"""Peptides built by their sequence."""

import numpy as np
import openmm
import pytest
from openmm import unit

pytest.importorskip("rdkit")

from thalweg.geometry.bond_graph import heavy_atom_pairs
from thalweg.geometry.internal import dihedrals
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.interop.openmm.molecules import alanine_dipeptide, alanine_tetrapeptide, peptide
from thalweg.interop.rdkit import peptides
from thalweg.interop.rdkit.peptides import AMINO_ACIDS, LONGEST

THREE_LETTERS = dict(
    zip(
        AMINO_ACIDS,
        "ALA CYS ASP GLU PHE GLY HIS ILE LYS LEU MET ASN PRO GLN ARG SER THR VAL TRP TYR".split(),
    )
)
MASSES = {  # of residues at pH 7 [amu], the isotopes of nature
    "A": 71.079, "C": 103.144, "D": 114.080, "E": 128.107, "F": 147.177, "G": 57.052, "H": 137.141, "I": 113.160,
    "K": 129.182, "L": 113.160, "M": 131.198, "N": 114.104, "P": 97.117, "Q": 128.131, "R": 157.196, "S": 87.078,
    "T": 101.105, "V": 99.133, "W": 186.213, "Y": 163.176,
}  # fmt: skip
CAPS = 43.045 + 30.050
"""Masses of acetyl and methylamide [amu]."""


def energy(system) -> float:
    """[kJ/mol]"""
    context = openmm.Context(
        openmm.XmlSerializer.deserialize(system.openmm_xml),
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatform("Reference"),
    )
    context.setPositions(system.positions)
    return context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)


def handedness(topology, x: np.ndarray, center: str, around: str) -> list[float]:
    """Signed volume [nm^3] of three neighbors about an atom of each residue that has them all."""
    atoms = {(i, n): k for k, (i, n) in enumerate(zip(topology.residue_ids, topology.names))}
    found = []
    for residue in sorted(set(topology.residue_ids)):
        if all((residue, name) in atoms for name in (center, *around.split())):
            middle = x[atoms[residue, center]]
            a, b, c = (x[atoms[residue, name]] - middle for name in around.split())
            found.append(float(np.dot(np.cross(a, b), c)))
    return found


def atoms(system) -> set[str]:
    """By their labels."""
    return {system.topology.label(atom) for atom in range(len(system.topology))}


def bonds(system) -> set[frozenset[str]]:
    """By the labels of their atoms."""
    return {frozenset(map(system.topology.label, pair)) for pair in system.topology.bonds.tolist()}


def torsions(system) -> dict[str, np.ndarray]:
    """Of the backbone [degrees]."""
    return {
        name: np.degrees(dihedrals(system.positions, quads))
        for name, quads in backbone_dihedrals(system.topology).items()
    }


@pytest.mark.parametrize("letter", AMINO_ACIDS)
def test_each_amino_acid_is_l_with_trans_amides_and_the_atoms_it_has_in_water(letter):
    system = peptide(letter)
    topology = system.topology
    assert tuple(dict.fromkeys(topology.residue_names)) == ("ACE", THREE_LETTERS[letter], "NME")
    assert system.masses.sum() == pytest.approx(MASSES[letter] + CAPS, abs=0.02)
    volumes = handedness(topology, system.positions, "CA", "N C CB")
    assert len(volumes) == (letter != "G")
    assert all(volume > 1e-3 for volume in volumes)
    angles = torsions(system)
    assert (np.abs(angles["omega"]) > 170).all()
    assert (np.abs(angles["psi"]) > 170).all()
    assert letter == "P" or (np.abs(angles["phi"]) > 170).all()
    pairs = heavy_atom_pairs(topology, 4)
    apart = np.linalg.norm(np.diff(system.positions[pairs], axis=1)[:, 0], axis=-1)
    assert apart.min() > 0.24
    assert energy(system) < 300.0  # two atoms that overlap cost thousands


def test_threonine_and_isoleucine_have_the_right_second_center():
    [threonine] = handedness(*_placed("T"), "CB", "CA OG1 CG2")
    [isoleucine] = handedness(*_placed("I"), "CB", "CA CG1 CG2")
    assert threonine > 1e-3  # (2S,3R)
    assert isoleucine > 1e-3  # (2S,3S)


def _placed(sequence: str):
    system = peptide(sequence)
    return system.topology, system.positions


def test_the_atoms_are_those_of_the_molecules_of_the_package():
    for sequence, known in (("A", alanine_dipeptide("obc2")), ("AAA", alanine_tetrapeptide("obc2"))):
        built = peptide(sequence)
        assert atoms(built) == atoms(known)
        assert bonds(built) == bonds(known)
        assert built.masses.sum() == pytest.approx(known.masses.sum())


def test_torsions_are_those_asked_for():
    phi, psi = np.radians([-60.0, -120.0, -75.0]), np.radians([-45.0, 130.0, 150.0])
    angles = torsions(peptide("AKA", phi=phi, psi=psi))
    np.testing.assert_allclose(angles["phi"], [-60, -120, -75], atol=6)
    np.testing.assert_allclose(angles["psi"], [-45, 130, 150], atol=6)


def test_a_helix_holds_hydrogen_bonds_of_residues_four_apart():
    system = peptide("A" * 8, phi=np.radians(-57), psi=np.radians(-47))
    topology, x = system.topology, system.positions
    place = {(i, n): x[k] for k, (i, n) in enumerate(zip(topology.residue_ids, topology.names))}
    lengths = [np.linalg.norm(place[k, "O"] - place[k + 4, "N"]) for k in range(2, 5)]  # ends fray
    assert max(lengths) < 0.32


def test_free_ends_are_charged():
    system = peptide("AGA", capped=False)
    assert set(system.topology.residue_names) == {"ALA", "GLY"}
    assert {"H", "H2", "H3", "OXT"} <= set(system.topology.names)


def test_a_peptide_is_built_the_same_twice():
    np.testing.assert_array_equal(peptide("AS").positions, peptide("AS").positions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequence": ""}, "the sequence is empty; give one-letter codes"),
        ({"sequence": "AXA"}, "'X', residue 2 of the sequence 'AXA', is no amino acid; known: A C D"),
        ({"sequence": "AaA"}, "'a', residue 2"),
        ({"sequence": "A" * (LONGEST + 1)}, f"has {LONGEST + 1} residues; give at most {LONGEST}"),
        ({"sequence": "AAA", "phi": [1.0, 2.0]}, r"phi has shape \(2,\) for 3 residues"),
        ({"sequence": "AAA", "psi": float("nan")}, "give one angle"),
        ({"sequence": "A", "solvent": "water"}, 'solvent = "water" is unknown'),
    ],
)
def test_what_is_no_peptide_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        peptide(**arguments)


def test_overlapping_atoms_are_said(monkeypatch):
    monkeypatch.setattr(peptides, "APART", 1.0)
    monkeypatch.setattr(peptides, "TRIES", 1)
    with pytest.raises(ValueError, match=r"atoms of AA overlap at phi = \[180.0, 180.0\]"):
        peptide("AA")
