"""A model of a table of molecules: audited, judged on splits that do not lie, saved, and asked about other tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from thalweg.binding.ligands.features import LigandFeatures
from thalweg.binding.ligands.qsar import QSAR, QSARModel
from thalweg.binding.splits import scaffold_split
from thalweg.interop.rdkit.atom_contributions import atom_contributions, drawn_contributions
from thalweg.interop.rdkit.audit import Audit, audit
from thalweg.interop.rdkit.ligand_features import descriptor_names, ligand_features
from thalweg.interop.rdkit.murcko import murcko_scaffold
from thalweg.learning.calibration import roc_area
from thalweg.learning.splits import random_split
from thalweg.machine.disk import make_folder
from thalweg.machine.versions import versions
from thalweg.machine.whole_files import write_whole
from thalweg.report.accounting import citations
from thalweg.report.csv_text import csv_text
from thalweg.report.of_molecules.qsar_pages import QSARResults, SplitScores, write_qsar_report
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant
from thalweg.studies.analyzing import Told
from thalweg.studies.molecules.molecule_table import FIRST, SHOWN, of_one_unit, read_molecules
from thalweg.studies.tables.language import StudyError

MODEL = "model.thalweg"

FEWEST = 40
"""Clean molecules below which there is nothing to split."""

TESTED = 0.2
"""Fraction of molecules that is tested."""

DRAWN = 4
"""Molecules whose atoms are told apart."""

SIMPLE = ("HeavyAtomCount", "MolLogP")
"""Descriptors of the simplest model."""

CITED = (
    "rogers2010",
    "rasmussen2006",
    "breiman2001",
    "wolpert1992",
    "angelopoulos2023",
    "bemis1996",
    "riniker2013",
)


@dataclass(frozen=True)
class QSARStudy:
    """What to learn.

    Parameters
    ----------
    table : CSV file
    smiles, target, unit : names of its columns; without one of units these are read off labels such as "12 nM"
    tolerance : by how much labels of one molecule may differ before they contradict each other
    seed : of the random split and of all models
    """

    table: Path
    smiles: str
    target: str
    unit: str | None = None
    tolerance: float = 0.5
    seed: int = 0


def fit_qsar(study: QSARStudy, folder: Path, progress: Callable[[str], Told]) -> QSARResults:
    """Write ``model.thalweg``, the audit and a report into ``folder``.

    Raises
    ------
    StudyError
        If the table lacks a column, has labels in several units or too few clean rows.
    ValueError
        If there is one class only.
    """
    table = read_molecules(study.table, study.smiles, study.target, study.unit)
    unit = of_one_unit(table, study.table)
    found = audit(table.smiles, table.labels, study.tolerance)
    clean = found.clean
    if len(clean) < FEWEST:
        raise StudyError(
            f"{study.table} has {len(clean)} molecules to learn from, of {len(table.smiles)} rows "
            f"({_in_words(found)}): fewer than {FEWEST}"
        )
    smiles = [each.smiles for each in (found.standard[k] for k in clean) if each is not None]
    labels = table.labels[clean]
    told = progress("features")
    ligands = ligand_features(smiles)
    told("features", 1.0)
    told = progress("learning")
    model = QSAR().fit(ligands, labels, smiles)
    told("all molecules", 1 / 3)
    scaffolds = [murcko_scaffold(each) for each in smiles]
    splits = _splits(scaffolds, study.seed)
    scores = []
    for name, split in splits.items():
        scores.append(_scored(name, split, ligands, labels, smiles, scaffolds))
        told(f"{name} split", (1 + len(scores)) / 3)
    make_folder(folder / "results")
    model.save(folder / MODEL)
    write_whole(
        folder / "results" / "audit.csv", csv_text(("finding",), [(line,) for line in found.lines(FIRST)])
    )
    results = _results(study, unit, found, model, scores, smiles, labels)
    write_qsar_report(results, folder)
    return results


def _splits(scaffolds: Sequence[str], seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Training and tested rows at random and by scaffold; the latter is left out where all have one."""
    count = len(scaffolds)
    tested = int(TESTED * count)
    train, test = random_split(count, (count - tested, tested), seed)
    splits = {"random": (train, test)}
    try:
        known, new = scaffold_split(scaffolds, (1 - TESTED, TESTED), seed=seed)
        splits["scaffold"] = (known, new)
    except ValueError:
        pass
    return splits


def _scored(name, split, ligands: LigandFeatures, labels, smiles, scaffolds) -> SplitScores:
    """What models and null models are worth on one split, and what leaks through it."""
    train, test = split
    taught, asked, known, true = ligands.taken(train), ligands.taken(test), labels[train], labels[test]
    model = QSAR().fit(taught, known, [smiles[k] for k in train])
    says = model.predict(asked)
    alone = [each.predict(asked).means[:, 0] for each in model.average.models]
    similar = _nearest(model, asked)
    said = {
        "average": says.values,
        "Gaussian process alone": alone[0],
        "forest alone": alone[1],
        "null: label of the nearest training molecule": known[similar],
        "null: line in heavy atoms and logP": _line(taught, asked, known),
        "null: mean of the training set": np.full(len(true), known.mean()),
    }
    inside = np.nan if model.is_of_classes else float(np.mean((true >= says.lower) & (true <= says.upper)))
    old = set(scaffolds[k] for k in train)
    return SplitScores(
        name,
        len(train),
        len(test),
        {method: _score(model.is_of_classes, each, true) for method, each in said.items()},
        inside,
        float(np.mean([scaffolds[k] in old for k in test])),
        int(np.sum(says.similarities > 1 - 1e-6)),
        true,
        says.values,
        says.lower,
        says.upper,
        says.similarities,
    )


def _score(classes: bool, found, true) -> tuple[float, float]:
    """Root mean square error, or area under the curve, and its standard error over resampled molecules."""

    def of(rows):
        if classes:
            return roc_area(found[rows], true[rows] > 0.5) if 0 < true[rows].sum() < len(rows) else np.nan
        return float(np.sqrt(np.mean((found[rows] - true[rows]) ** 2)))

    generator = np.random.default_rng(0)
    again = [of(generator.integers(len(true), size=len(true))) for _ in range(200)]
    return float(of(np.arange(len(true)))), float(np.nanstd(again))


def _nearest(model: QSARModel, ligands: LigandFeatures) -> np.ndarray:
    """The training molecule nearest to each."""
    from thalweg.binding.ligands.kernels import minmax_kernel

    known = model.domain.ligands.counts
    return np.mean([minmax_kernel(ligands.counts[name], own) for name, own in known.items()], 0).argmax(1)


def _line(taught: LigandFeatures, asked: LigandFeatures, labels) -> np.ndarray:
    """What a line in size and logP says."""
    columns = [descriptor_names().index(name) for name in SIMPLE]
    table = [np.c_[each.descriptors[:, columns], np.ones(len(each))] for each in (taught, asked)]
    return table[1] @ np.linalg.lstsq(table[0], labels, rcond=None)[0]


def _results(study, unit, found: Audit, model: QSARModel, scores, smiles, labels) -> QSARResults:
    last = scores[-1]
    kind = "AUC" if model.is_of_classes else "RMSE"
    named = f" [{unit}]" if unit else ""
    best, error = last.scores["average"]
    sure = [
        f"By a {each.name} split, {each.tested} molecules are tested; {100 * each.known_scaffolds:.0f} % of them have "
        f"a scaffold known from training, {each.identical} the very fingerprint of a training molecule."
        for each in scores
    ]
    if not model.is_of_classes:
        sure += [
            f"Intervals of 90 % held {100 * each.covered:.0f} % of labels by a {each.name} split."
            for each in scores
        ]
    nulls = {name: value for name, (value, _) in last.scores.items() if name.startswith("null")}
    better = max if model.is_of_classes else min
    null = better(nulls, key=lambda name: nulls[name])
    lost = nulls[null] >= best if model.is_of_classes else nulls[null] <= best
    diagnoses = []
    if lost:
        nothing = (
            f"{null.removeprefix('null: ').capitalize()} does as well ({kind} {significant(nulls[null])}): the model "
            "has learned nothing that this does not know."
        )
        diagnoses.append(Diagnosis("problem", nothing))
    if found.contradicting:
        apart = (
            f"{len(found.contradicting)} rows contradict another of the same molecule by more than "
            f"{study.tolerance:g}: all rows of these molecules are left out."
        )
        diagnoses.append(Diagnosis("warning", apart))
    if len(scores) == 1:
        diagnoses.append(Diagnosis("note", "Scaffolds are too few to be split by."))
    return QSARResults(
        title=f"{study.target} of {len(smiles)} molecules",
        subtitle=f"{study.table.name}, column {study.target}{named}",
        asked=(f"{study.target} from molecules alone, by an average of a Gaussian process and a forest.",),
        found=(
            f"On molecules left out by a {last.name} split the {kind} is {significant(best)} ± {significant(error, 2)}"
            f"{named}; the best null model ({null.removeprefix('null: ')}) has {significant(nulls[null])}.",
            f"Of {len(found.standard)} rows {len(smiles)} are learned from: {_in_words(found)}.",
        ),
        certainty=tuple(sure),
        diagnoses=tuple(diagnoses),
        provenance={
            "settings": {
                "table": str(study.table), "smiles": study.smiles, "target": study.target,
                "tolerance": f"{study.tolerance:g}", "seed": str(study.seed),
            },
            "versions": versions(),
        },
        citations=citations(CITED),
        kind=kind,
        unit=unit,
        audit={name: str(value) for name, value in found.headline().items()},
        findings=tuple(found.lines(FIRST)),
        splits=tuple(scores),
        drawings=tuple(_drawn(model, smiles, labels)),
    )  # fmt: skip


def _drawn(model: QSARModel, smiles: Sequence[str], labels) -> list[tuple[str, str]]:
    """Molecules from the lowest to the highest label with what each atom adds, and what is said of them."""
    places = np.argsort(labels, kind="stable")[np.linspace(0, len(labels) - 1, DRAWN).round().astype(int)]
    drawn = []
    for k in dict.fromkeys(places.tolist()):
        adds = atom_contributions(smiles[k], partial(_values, model))
        drawn.append(
            (drawn_contributions(smiles[k], adds), f"{smiles[k]}: measured {significant(labels[k])}")
        )
    return drawn


def _values(model: QSARModel, ligands: LigandFeatures) -> np.ndarray:
    return model.predict(ligands).values


def _in_words(found: Audit) -> str:
    return ", ".join(f"{value} {name}" for name, value in list(found.headline().items())[1:])


@dataclass(frozen=True)
class QSARPredictions:
    """What was said of another table.

    Attributes
    ----------
    path : the table that was written
    sentences : what to know of it
    """

    path: Path
    sentences: tuple[str, ...]


def predict_qsar(model: Path, table: Path, smiles: str, target: str | None, out: Path) -> QSARPredictions:
    """Write what a model says of each row of a table; score it where there are labels that it was not taught.

    Raises
    ------
    StudyError
        If a column is missing.
    ValueError
        If the model is none, or no row is a molecule.
    """
    learned = QSARModel.load(model)
    rows = read_molecules(table, smiles, target)
    found = audit(rows.smiles, rows.labels)
    readable = found.readable
    if not len(readable):
        raise StudyError(f"no row of {table} is a molecule: {found.lines(FIRST)[0]}")
    standard = {int(k): each.smiles for k in readable if (each := found.standard[k]) is not None}
    says = learned.predict(ligand_features(list(standard.values())))
    taught = dict(zip(learned.names, learned.labels))
    place = {k: n for n, k in enumerate(standard)}
    written = []
    for k, given in enumerate(rows.smiles):
        if k not in place:
            written.append((k + FIRST, given, "", *[None] * 4, "", found.unreadable[k]))
            continue
        n = place[k]
        note = "trained on" if standard[k] in taught else "outside the domain" if not says.inside[n] else ""
        written.append(
            (k + FIRST, given, standard[k], float(says.values[n]), float(says.lower[n]), float(says.upper[n]),
             float(says.similarities[n]), "yes" if says.inside[n] else "no", note)
        )  # fmt: skip
    header = ("line", "smiles", "standard", "predicted", "lower", "upper", "similarity", "inside", "note")
    write_whole(out, csv_text(header, written))
    again = [k for k in standard if standard[k] in taught]
    sentences = [
        f"{len(standard)} of {len(rows.smiles)} rows are molecules, {int(says.inside.sum())} of them inside the domain."
    ]
    if found.salts:
        sentences.append(
            f"{len(found.salts)} rows are salts or mixtures; the largest organic part is predicted."
        )
    if again:
        lines = ", ".join(str(k + FIRST) for k in again[:SHOWN]) + (", ..." if len(again) > SHOWN else "")
        sentences.append(
            f"{len(again)} molecules are in the training set (lines {lines}): what is said of them is no test."
        )
    fresh = [k for k in standard if standard[k] not in taught and not np.isnan(rows.labels[k])]
    if len(fresh) > 1:
        value, error = _score(
            learned.is_of_classes, says.values[[place[k] for k in fresh]], rows.labels[fresh]
        )
        name = "AUC" if learned.is_of_classes else "RMSE"
        sentences.append(
            f"On {len(fresh)} labeled molecules that it was not taught: {name} {significant(value)} ± "
            f"{significant(error, 2)}."
        )
    return QSARPredictions(out, tuple(sentences))
