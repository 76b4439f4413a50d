"""From a table of complexes to a model, from the model to new ligands: mixed units told, leaks told, pages written."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("gemmi")

from thalweg.interop.complexes.ligands import read_ligands
from thalweg.interop.complexes.proteins import read_protein
from thalweg.interop.complexes.without_atoms import counts_without_atoms
from thalweg.studies.molecules.affinity import (
    MODEL,
    AffinityAsked,
    AffinityFit,
    fit_affinities,
    predict_affinities,
)
from thalweg.studies.molecules.affinity_rows import measured_complexes
from thalweg.studies.tables.language import StudyError

PROTEIN = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"
TAILS = ("C", "CC", "CCC", "F", "Cl", "OC", "N", "C#N", "CO", "C(C)C", "CCO", "OCC", "Br", "SC")


def quiet(_):
    return lambda *_: None


def written(folder: Path, tails: tuple[str, ...], name: str) -> Path:
    """Phenols beside the peptide, in a file of poses."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    center = 10 * (read_protein(str(PROTEIN)).atoms.center + np.array([0.5, 0.0, 0.0]))
    with Chem.SDWriter(str(folder / name)) as writer:
        for tail in tails:
            molecule = Chem.AddHs(Chem.MolFromSmiles(f"Oc1ccc({tail})cc1"))
            AllChem.EmbedMolecule(molecule, randomSeed=1)
            places = molecule.GetConformer()
            for k, place in enumerate(places.GetPositions() - places.GetPositions().mean(0) + center):
                places.SetAtomPosition(k, place.tolist())
            molecule.SetProp("_Name", tail)
            writer.write(molecule)
    return folder / name


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("complexes")
    written(folder, TAILS, "poses.sdf")
    (folder / "protein.pdb").write_text(PROTEIN.read_text())
    lines = ["protein,ligand,number,affinity,unit"]
    for number, tail in enumerate(TAILS, 1):
        constant = 4 + 0.4 * len(tail)
        value, unit = (constant, "pKd") if number % 2 else (10 ** (9 - constant), "nM")
        lines.append(f"protein.pdb,poses.sdf,{number},{value},{unit}")
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def test_a_table_becomes_a_model_that_predicts_new_ligands(table, tmp_path):
    results = fit_affinities(AffinityFit(table), tmp_path / "fit", quiet)
    said = " ".join(each.sentence for each in results.diagnoses)
    assert "Affinities come in pKd, nM" in said
    assert "one protein" in said
    assert (tmp_path / "fit" / "report.html").is_file()
    assert len(results.measured) == len(TAILS)
    new = written(tmp_path, ("CCCC", "C"), "new.sdf")
    asked = AffinityAsked(tmp_path / "fit" / MODEL, table.parent / "protein.pdb", new)
    found = predict_affinities(asked, tmp_path / "new", quiet)
    assert found.energies[0] < found.energies[1]
    assert any("Already among the ligands learned from: C." in each.sentence for each in found.diagnoses)
    for complex, added in found.complexes:
        assert len(added) == len(complex.ligand)
    assert "In the pocket" in (tmp_path / "new" / "report.html").read_text()
    assert len((tmp_path / "new" / "predictions.csv").read_text().splitlines()) == 3
    with pytest.raises(StudyError, match="knows no set elsewhere"):
        predict_affinities(
            AffinityAsked(asked.model, asked.protein, asked.ligands, "elsewhere"), tmp_path, quiet
        )


def test_a_model_of_sampled_poses_stands_beside_that_of_the_given_ones(table, tmp_path):
    results = fit_affinities(AffinityFit(table, poses=3), tmp_path, quiet)
    rows = {model: numbers for split, model, *numbers in results.scores if split == "ligands"}
    given, sampled = rows["process"], rows["process, 3 poses of each"]
    assert np.isfinite([*given[::2], *sampled[::2]]).all()
    assert sampled != given
    assert any(each.startswith("With 3 weighted poses") for each in results.found)
    with pytest.raises(StudyError, match="give two or more"):
        AffinityFit(table, poses=1)


def test_fingerprints_without_atoms_are_in_the_order_of_space(table):
    ligand = read_ligands(table.parent / "poses.sdf")[0]
    counts = counts_without_atoms(ligand)
    oxygens = np.flatnonzero(ligand.atoms.numbers == 8)
    assert len(counts) == len(ligand.atoms)
    # without the oxygen at the end most surroundings stay, without a carbon of the ring fewer
    assert counts[oxygens].sum() > counts[ligand.atoms.numbers == 6].sum(1).min()
    flipped = read_ligands(table.parent / "poses.sdf")[0]
    turned = flipped.atoms.taken(np.arange(len(flipped.atoms))[::-1])
    again = counts_without_atoms(type(flipped)(flipped.name, flipped.smiles, flipped.skeleton, turned))
    np.testing.assert_array_equal(np.sort(again.sum(1)), np.sort(counts.sum(1)))
    assert again[np.flatnonzero(turned.numbers == 8)].tolist() == counts[oxygens].tolist()


def test_what_a_table_lacks_is_said(table, tmp_path):
    (tmp_path / "bare.csv").write_text("protein,ligand\na,b\n")
    with pytest.raises(StudyError, match="lacks the column affinity"):
        measured_complexes(tmp_path / "bare.csv")
    (tmp_path / "no_unit.csv").write_text("protein,ligand,affinity\na,b,1\n")
    with pytest.raises(StudyError, match="no column unit"):
        measured_complexes(tmp_path / "no_unit.csv")
    text = table.read_text().splitlines()
    several = table.parent / "several.csv"
    several.write_text("protein,ligand,affinity,unit\nprotein.pdb,poses.sdf,5,pKd\n")
    with pytest.raises(StudyError, match="holds 14 molecules; say which"):
        measured_complexes(several)
    wrong = table.parent / "wrong.csv"
    wrong.write_text("\n".join([text[0], "protein.pdb,poses.sdf,1,>10,uM"]))
    with pytest.raises(StudyError, match="affinity '>10' is no number"):
        measured_complexes(wrong)
    few = table.parent / "few.csv"
    few.write_text("\n".join(text[:6]))
    with pytest.raises(StudyError, match="at least 12 are needed"):
        fit_affinities(AffinityFit(few), tmp_path, quiet)
    with pytest.raises(StudyError, match=r"no NAME_ligands\.sdf"):
        measured_complexes(tmp_path)
