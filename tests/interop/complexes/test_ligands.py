"""Ligands: chemistry from patterns, bond orders from templates, and refusals that say what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.binding.complexes import CHANNELS
from thalweg.interop.complexes.ligands import ligand_of, read_bound_ligand, read_ligands
from thalweg.machine.reading import UnreadableFile

Chem = pytest.importorskip("rdkit.Chem")
pytest.importorskip("gemmi")


def placed(smiles: str):
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=7) == 0
    return molecule


def channels_of(smiles: str) -> list[set[str]]:
    rows = ligand_of(placed(smiles), smiles, {}).atoms.channels
    return [{name for name, own in zip(CHANNELS, row) if own} - {"any"} for row in rows]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC(=O)NC", [{"hydrophobic"}, set(), {"acceptor"}, {"donor"}, set()]),
        ("CC(=O)[O-]", [{"hydrophobic"}, set(), {"acceptor", "negative"}, {"acceptor", "negative"}]),
        ("C[NH3+]", [set(), {"donor", "positive"}]),
        ("C[N+](=O)[O-]", [set(), set(), {"acceptor"}, {"acceptor"}]),
        ("CC#N", [{"hydrophobic"}, set(), {"acceptor"}]),
        ("CS(=O)(=O)N", [set(), set(), {"acceptor"}, {"acceptor"}, {"donor"}]),
        ("CSC", [set(), {"hydrophobic"}, set()]),
    ],
)
def test_channels_of_functional_groups_are_those_of_chemistry(smiles, expected):
    assert channels_of(smiles) == expected


def test_pyridine_accepts_pyrrole_donates_and_an_oxygen_in_an_aromatic_ring_does_neither():
    assert channels_of("c1ccncc1")[3] == {"aromatic", "acceptor"}
    assert channels_of("c1cc[nH]c1")[3] == {"aromatic", "donor"}
    assert channels_of("c1ccoc1")[3] == {"aromatic"}


def test_protomers_poses_and_stereoisomers_share_a_skeleton_and_constitutional_isomers_do_not():
    skeletons = [
        ligand_of(placed(smiles), smiles, {}).skeleton
        for smiles in ("C[C@H](N)O", "C[C@@H](N)O", "C[C@H]([NH3+])O", "OCCN")
    ]
    assert len(set(skeletons[:3])) == 1
    assert skeletons[3] != skeletons[0]


def test_ligands_are_read_from_sdf_with_their_properties_and_without_hydrogens(tmp_path):
    molecule = placed("CCO")
    molecule.SetProp("_Name", "ethanol")
    molecule.SetProp("affinity", "-1.5")
    with Chem.SDWriter(str(tmp_path / "a.sdf")) as writer:
        writer.write(molecule)
    (found,) = read_ligands(tmp_path / "a.sdf")
    assert (found.name, found.smiles, found.properties["affinity"]) == ("ethanol", "CCO", -1.5)
    np.testing.assert_allclose(
        found.atoms.positions, molecule.GetConformer().GetPositions()[:3] / 10, atol=1e-4 / 10 * 1.01
    )


def test_salts_drawings_and_broken_valences_are_refused_by_name(tmp_path):
    salt = placed("CC(=O)[O-].[Na+]")
    with Chem.SDWriter(str(tmp_path / "salt.sdf")) as writer:
        writer.write(salt)
    with pytest.raises(UnreadableFile, match="2 parts"):
        read_ligands(tmp_path / "salt.sdf")
    flat = Chem.MolFromSmiles("CCO")
    with pytest.raises(ValueError, match="no coordinates in space"):
        ligand_of(flat, "flat", {})
    text = (tmp_path / "salt.sdf").read_text().replace("  1  2  1  0", "  1  2  3  0", 1)
    (tmp_path / "broken.sdf").write_text(text)
    with pytest.raises(UnreadableFile, match="molecule 1 breaks a valence"):
        read_ligands(tmp_path / "broken.sdf")


def entry(folder, molecule, near: float = 5.0):
    """A ligand in a PDB file without bonds, and one glycine ``near`` [Å] of it."""
    rows = [*enumerate(molecule.GetConformer().GetPositions())]
    text, serial = "", 0
    corner = np.array([p for _, p in rows])[0]
    for name, away in (("N", 2.4), ("CA", 1.2), ("C", 0.0), ("O", -0.9)):
        serial += 1
        x, y, z = corner + np.array([-near - away, 0.3 * serial, 0.0])
        text += f"ATOM  {serial:>5}  {name:<3} GLY A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           {name[0]}\n"
    for k, (x, y, z) in rows:
        atom = molecule.GetAtomWithIdx(k)
        if atom.GetAtomicNum() == 1:
            continue
        serial += 1
        symbol = atom.GetSymbol()
        text += f"HETATM{serial:>5}  {symbol + str(k):<3} LIG A 101    {x:8.3f}{y:8.3f}{z:8.3f}"
        text += f"  1.00 20.00          {symbol:>2}\n"
    path = folder / "complex.pdb"
    path.write_text(text + "END\n")
    return path


SMILES = "CC(=O)Nc1ccc(O)cc1"


def test_bond_orders_of_a_ligand_in_an_entry_come_from_the_template(tmp_path):
    path = entry(tmp_path, placed(SMILES), 9.0)
    found = read_bound_ligand(path, "LIG", SMILES)
    assert found.smiles == Chem.CanonSmiles(SMILES)
    assert found.atoms.channels[:, CHANNELS.index("aromatic")].sum() == 6
    assert found.name == "A:LIG101"


def test_wrong_templates_absent_residues_and_covalent_ligands_are_refused(tmp_path):
    path = entry(tmp_path, placed(SMILES), 9.0)
    with pytest.raises(ValueError, match="11 heavy atoms, the SMILES 'CCO' 3"):
        read_bound_ligand(path, "LIG", "CCO")
    with pytest.raises(ValueError, match="not bound as in"):
        read_bound_ligand(path, "LIG", "CC(=O)Oc1ccc(N)cc1")
    with pytest.raises(ValueError, match="no residue XYZ; small ones in it: LIG"):
        read_bound_ligand(path, "XYZ", SMILES)
    with pytest.raises(ValueError, match="several parts"):
        read_bound_ligand(path, "LIG", SMILES + ".Cl")
    with pytest.raises(ValueError, match="no molecule"):
        read_bound_ligand(path, "LIG", "C(C")
    bound = entry(tmp_path, placed(SMILES), 1.4)
    with pytest.raises(ValueError, match="bound to A:GLY1: a covalent ligand"):
        read_bound_ligand(bound, "LIG", SMILES)
    assert len(read_bound_ligand(bound, "LIG", SMILES, covalent=True).atoms) == 11
