"""A model of a table of molecules, and clear answers to tables that are not what they should be."""

from __future__ import annotations

import csv

import numpy as np
import pytest

pytest.importorskip("rdkit")

from thalweg.binding.ligands.average import LigandAverage
from thalweg.binding.ligands.features import LigandFeatures
from thalweg.binding.ligands.forest import LigandForest
from thalweg.binding.ligands.gaussian_process import LigandProcess
from thalweg.binding.ligands.qsar import QSAR, QSARModel
from thalweg.interop.rdkit.atom_contributions import atom_contributions
from thalweg.studies.molecules.molecule_table import of_one_unit, read_molecules
from thalweg.studies.molecules.qsar import QSARStudy, fit_qsar, predict_qsar
from thalweg.studies.tables.language import StudyError


def silent(_: str):
    return lambda message, fraction: None


def written(path, *lines: str):
    path.write_text("\n".join(lines) + "\n")
    return path


def counted(seed: int) -> LigandFeatures:
    counts = np.random.default_rng(seed).integers(0, 3, (60, 6)).astype(np.uint8)
    return LigandFeatures({"counts": counts}, counts[:, :2].astype(float))


QUICK = QSAR(LigandAverage((LigandProcess(iterations=5), LigandForest(trees=10))))


@pytest.mark.parametrize("classes", [False, True])
def test_a_saved_model_says_the_same(classes, tmp_path):
    ligands = counted(0)
    labels = ligands.counts["counts"][:, 0].astype(float)
    labels = (labels > 0).astype(float) if classes else labels
    model = QUICK.fit(ligands, labels, [str(k) for k in range(60)])
    found, again = (
        model.predict(counted(1)),
        QSARModel.load(model.save(tmp_path / "model")).predict(counted(1)),
    )
    assert model.is_of_classes == classes
    for name in ("values", "lower", "upper", "similarities", "inside"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    if classes:
        assert ((found.values > 0) & (found.values < 1)).all()


def test_one_class_alone_is_refused():
    with pytest.raises(ValueError, match="all 60 labels are 1: one class only"):
        QUICK.fit(counted(0), np.ones(60), [""] * 60)


def test_units_behind_labels_are_read_and_several_refused(tmp_path):
    path = written(tmp_path / "t.csv", "smiles,y", "C,12 nM", "CC,1e-3nM", "CCC,", "CCCC,n/a")
    table = read_molecules(path, "smiles", "y")
    assert table.units[:2] == ("nM", "nM")
    np.testing.assert_array_equal(table.labels, [12, 1e-3, np.nan, np.nan])
    assert of_one_unit(table, path) == "nM"
    mixed = written(tmp_path / "u.csv", "smiles,y,unit", "C,12,nM", "CC,7.9,pKd")
    with pytest.raises(StudyError, match=r"several units \(1 in nM, 1 in pKd\); bring them to one"):
        of_one_unit(read_molecules(mixed, "smiles", "y", "unit"), mixed)


def test_a_missing_column_and_a_bound_are_named(tmp_path):
    path = written(tmp_path / "t.csv", "smiles,y", "C,1", "CC,>10")
    with pytest.raises(StudyError, match='no column "pIC50"; it has smiles, y'):
        read_molecules(path, "smiles", "pIC50")
    with pytest.raises(StudyError, match='y is no number in line 3 ">10"'):
        read_molecules(path, "smiles", "y")
    with pytest.raises(StudyError, match="no rows"):
        read_molecules(written(tmp_path / "e.csv", "smiles,y"), "smiles", "y")


def test_too_few_clean_rows_are_counted_by_what_is_wrong_with_them(tmp_path):
    path = written(tmp_path / "t.csv", "smiles,y", "C((,1", "CCO,1", "OCC,9", "CC(=O)[O-].[Na+],", "CCC,2")
    with pytest.raises(StudyError, match="1 molecules to learn from, of 5 rows"):
        fit_qsar(QSARStudy(path, "smiles", "y"), tmp_path / "out", silent)


def test_what_atoms_add_is_found_where_it_is():
    def oxygens(found: LigandFeatures) -> np.ndarray:
        return found.counts["morgan"].sum(1).astype(float)

    # substructures that hold an atom: those about it, and those about its neighbors that reach it
    assert atom_contributions("CCO", oxygens).tolist() == [3, 4, 3]


@pytest.mark.long
def test_a_table_is_learned_and_another_predicted(tmp_path):
    ends = {"O": -1.0, "N": 0.0, "Cl": 2.0, "C(=O)O": -2.0, "c1ccccc1": 3.0, "C1CCCCC1": 3.5}
    rows = [f"{'C' * n}{end},{value + 0.5 * n}" for end, value in ends.items() for n in range(2, 14)]
    path = written(tmp_path / "t.csv", "smiles,y", *rows, "CCO,9", "C((,1", "CCCl.Cl,")
    results = fit_qsar(QSARStudy(path, "smiles", "y"), tmp_path / "out", silent)
    random = results.splits[0]
    assert random.scores["average"][0] < 0.5 * random.scores["null: mean of the training set"][0]
    assert results.audit["contradicting"] == "1"
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "could not be made" not in page
    new = written(
        tmp_path / "n.csv", "smiles,y", "CCCCCO,1.5", "CCCCCCCCCCCCCCCCO,7", "O=C1C=CC(=O)c2ccccc21,0"
    )
    found = predict_qsar(tmp_path / "out" / "model.thalweg", new, "smiles", "y", tmp_path / "p.csv")
    said = " ".join(found.sentences)
    assert "1 molecules are in the training set (lines 2)" in said
    assert "On 2 labeled molecules that it was not taught" in said
    with found.path.open() as lines:
        table = list(csv.DictReader(lines))
    assert [row["inside"] for row in table] == ["yes", "yes", "no"]
    assert table[0]["note"] == "trained on"
