from importlib.resources import files

import mdtraj
import numpy as np
import pytest

from thalweg.geometry.bond_graph import heavy_atom_pairs
from thalweg.geometry.torsions import (
    backbone_dihedrals,
    dihedral_names,
    named_torsions,
    rotatable_dihedrals,
    side_chain_dihedrals,
)
from thalweg.interop.files.trajectories import read_topology, topology_to_mdtraj
from thalweg.systems.topology import Topology

STRUCTURES = files("thalweg.testsystems") / "structures"


@pytest.fixture(params=["alanine_dipeptide", "alanine_tetrapeptide", "met_enkephalin"])
def peptide(request) -> Topology:
    return read_topology(STRUCTURES / f"{request.param}.pdb")


def chain(elements: str, bonds: list[tuple[int, int]]) -> Topology:
    n = len(elements)
    return Topology(
        tuple(elements), tuple(elements), ("LIG",) * n, (1,) * n, (0,) * n, np.array(bonds).reshape(-1, 2)
    )


def test_phi_psi_and_chi_are_those_of_mdtraj(peptide):
    theirs = mdtraj.Trajectory(np.zeros((1, len(peptide), 3)), topology_to_mdtraj(peptide))
    ours = backbone_dihedrals(peptide) | side_chain_dihedrals(peptide)
    for kind in ("phi", "psi", "chi1", "chi2", "chi3"):
        expected = getattr(mdtraj, f"compute_{kind}")(theirs)[0]
        assert sorted(ours[kind].tolist()) == sorted(expected.tolist())


def test_caps_complete_the_torsions_of_their_neighbor():
    topology = read_topology(STRUCTURES / "alanine_dipeptide.pdb")
    backbone = backbone_dihedrals(topology)
    assert [dihedral_names(topology, backbone[kind]) for kind in ("phi", "psi", "omega")] == [
        ("phi ALA2",),
        ("psi ALA2",),
        ("omega ACE1", "omega ALA2"),
    ]


def test_a_torsion_read_backward_keeps_its_name():
    topology = read_topology(STRUCTURES / "alanine_dipeptide.pdb")
    assert dihedral_names(topology, backbone_dihedrals(topology)["phi"][:, ::-1]) == ("phi ALA2",)


def test_a_cyclic_peptide_has_as_many_of_each_torsion_as_residues():
    names, bonds = ("N", "CA", "C") * 4, [(k, (k + 1) % 12) for k in range(12)]
    ids = tuple(np.repeat(np.arange(1, 5), 3).tolist())
    topology = Topology(names, tuple("NCC" * 4), ("GLY",) * 12, ids, (0,) * 12, np.array(bonds))
    assert {kind: len(quads) for kind, quads in backbone_dihedrals(topology).items()} == {
        "phi": 4,
        "psi": 4,
        "omega": 4,
    }


def test_a_peptide_turns_about_phi_psi_and_chi_and_not_about_amides(peptide):
    names = dihedral_names(peptide, rotatable_dihedrals(peptide))
    assert not any(name.startswith("omega") for name in names)
    chi_and_backbone = backbone_dihedrals(peptide) | side_chain_dihedrals(peptide)
    del chi_and_backbone["omega"]
    assert {n for quads in chi_and_backbone.values() for n in dihedral_names(peptide, quads)} <= set(names)


def test_butane_turns_about_its_middle_bond_only():
    assert rotatable_dihedrals(chain("CCCC", [(0, 1), (1, 2), (2, 3)])).tolist() == [[0, 1, 2, 3]]


def test_ring_bonds_do_not_turn():
    ring = [(k, (k + 1) % 6) for k in range(6)]
    biphenyl = chain("C" * 12, [*ring, *((i + 6, j + 6) for i, j in ring), (0, 6)])
    assert rotatable_dihedrals(biphenyl)[:, 1:3].tolist() == [[0, 6]]


def test_heavy_atom_pairs_far_apart_leave_out_bonds_and_angles():
    pentane = chain("CCCCC", [(0, 1), (1, 2), (2, 3), (3, 4)])
    assert len(heavy_atom_pairs(pentane)) == 10
    assert heavy_atom_pairs(pentane, separation=3).tolist() == [[0, 3], [0, 4], [1, 4]]


def test_a_topology_without_bonds_is_refused_with_a_way_out():
    with pytest.raises(ValueError, match="4 atoms has no bonds; give one with bonds"):
        backbone_dihedrals(chain("CCCC", []))


def chain_of(residue, chain):
    """N-CA-C-N-CA-C: an alanine and the beginning of its neighbor."""
    return Topology(
        names=("C", "N", "CA", "C", "N"),
        elements=tuple("CNCCN"),
        residue_names=("ACE", residue, residue, residue, "NME"),
        residue_ids=(1, 2, 2, 2, 3),
        chains=(chain,) * 5,
        bonds=np.array([[0, 1], [1, 2], [2, 3], [3, 4]]),
    )


def joined(first, second):
    return Topology(
        **{
            name: getattr(first, name) + getattr(second, name)
            for name in ("names", "elements", "residue_names", "residue_ids", "chains")
        },
        bonds=np.concatenate([first.bonds, second.bonds + len(first)]),
    )


def test_torsions_of_two_like_chains_have_names_of_their_own():
    dimer = joined(chain_of("ALA", 0), chain_of("ALA", 1))
    assert {"phi ALA2.A", "phi ALA2.B", "psi ALA2.A", "psi ALA2.B"} <= set(named_torsions(dimer))
    assert "phi ALA2" in named_torsions(joined(chain_of("ALA", 0), chain_of("GLY", 1)))


def test_a_torsion_within_a_ligand_has_a_short_name():
    ligand = Topology(
        ("C1", "C4", "C9", "O1"),
        tuple("CCCO"),
        ("B21",) * 4,
        (7,) * 4,
        (0,) * 4,
        np.array([[0, 1], [1, 2], [2, 3]]),
    )
    assert list(named_torsions(ligand)) == ["C1-C4-C9-O1 B217"]
