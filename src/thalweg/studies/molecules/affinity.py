"""Affinities of ligands in their proteins: a model of those measured, judged on ligands left out, and new ones.

`fit_affinities` leaves out ligands within each set, and whole clusters of proteins where there are several, by models
fitted without them; models that know little stand beside. The model of all is saved (`MODEL`), nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.binding.affinity_process import AffinityProcess
from thalweg.binding.affinity_series import AffinitySeries, AffinitySeriesModel
from thalweg.binding.complexes import Complex
from thalweg.binding.pose_sampling import PoseSampling
from thalweg.binding.protein_clusters import protein_clusters
from thalweg.binding.series_kernels import field_kernel, of_ligands, series_kernels
from thalweg.binding.splits import Leaks, SetScores, Split, folds_within_sets
from thalweg.binding.vina import VinaScore
from thalweg.interop.complexes.ligands import read_ligands
from thalweg.interop.complexes.proteins import read_protein
from thalweg.interop.complexes.without_atoms import counts_without_atoms
from thalweg.interop.rdkit.ligand_features import ligand_features
from thalweg.learning.splits import folds
from thalweg.learning.storage import load_tree
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.report.accounting import citations
from thalweg.report.of_molecules.affinity_pages import (
    MOST_DRAWN,
    AffinityFitResults,
    AffinityPredictionResults,
    write_affinity_fit,
    write_affinity_predictions,
)
from thalweg.report.page_parts import sentence
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant, with_error
from thalweg.studies.analyzing import Told
from thalweg.studies.molecules.affinity_rows import REACH, MeasuredComplex, by_unit, measured_complexes
from thalweg.studies.tables.language import StudyError

MODEL = "affinity.thalweg"

PARTS = 5
"""Into which the ligands of a set, and clusters of proteins, are dealt."""

KIN = 0.3
"""Proteins whose sequences are equal in more than this share are left out together."""

LEAST = 5
"""Ligands of a set below which no correlation is taken."""

LITTLE = 0.2
"""Share of predictions that atoms tell below which their colors say little."""

FIELD = "field in series"
"""The kernel of `series_kernels` that poses are compared by."""

KEYS = ("rasmussen2006", "sundararajan2001", "angelopoulos2023", "rogers2010", "riniker2013")


@dataclass(frozen=True)
class AffinityFit:
    """What to learn from.

    Attributes
    ----------
    source : a table (CSV) or a folder, see `measured_complexes`
    unit : of affinities, where the table has no column for it
    label : property of ligands that holds them, for a folder
    seed : of splits
    poses : of each ligand, sampled about the one given and weighed, that a second model sees; none if 0
    """

    source: Path
    unit: str | None = None
    label: str | None = None
    seed: int = 0
    poses: int = 0

    def __post_init__(self):
        if self.poses < 0 or self.poses == 1:
            raise StudyError(f"--poses {self.poses}; give two or more, or 0 for the given ones alone")


def fit_affinities(wanted: AffinityFit, folder: Path, progress: Callable[[str], Told]) -> AffinityFitResults:
    """Learn affinities, judge on what is left out, and write the model and a report into ``folder``.

    Raises
    ------
    ValueError
        If the source cannot be read, or holds fewer than ten ligands.
    """
    check_links(folder)
    told = progress("reading complexes")
    rows, notes = measured_complexes(wanted.source, wanted.unit, wanted.label)
    series, ligands = [row.set for row in rows], [row.ligand.skeleton for row in rows]
    atoms, energies = [row.ligand.atoms for row in rows], np.array([row.energy for row in rows])
    pairs = list(dict.fromkeys(zip(series, ligands)))
    if len(pairs) < 12:
        raise StudyError(f"{len(pairs)} ligands are measured in {wanted.source}; at least 12 are needed")
    told(f"{len(rows)} rows of {len(pairs)} ligands in {len(set(series))} sets", 1.0)
    features = ligand_features([row.ligand.smiles for row in rows])
    model = AffinitySeries().fit(features, atoms, series, ligands, energies)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / MODEL)
    kernels, labels, names = (
        series_kernels(features, atoms, series, ligands),
        model.energies,
        [own for own, _ in pairs],
    )
    own = [own for _, own in pairs]
    of_set = {row.set: row.sequences for row in rows}
    kin = dict(zip(of_set, protein_clusters(list(of_set.values()), KIN).tolist()))
    clusters = [kin[name] for name in names]
    watch = progress("leaving out")
    within = folds_within_sets(names, own, min(PARTS, len(set(own))), wanted.seed)
    predicted, half = _left_out(kernels, labels, within, watch)
    null = _known_little(rows, pairs)
    ways, compared = {"process": predicted}, ()
    if wanted.poses:
        moving = kernels | {FIELD: _of_poses(rows, wanted, progress("sampling poses"))}
        moved, _ = _left_out(moving, labels, within, watch)
        ways[f"process, {wanted.poses} poses of each"] = moved
        compared = _compared(predicted, moved, labels, names, wanted.poses)
    scores = _scores("ligands", {**ways, **null}, labels, names)
    diagnoses = [Diagnosis("note", sentence(note)) for note in notes]
    if len(set(clusters)) > 1:
        apart = folds(len(pairs), min(PARTS, len(set(clusters))), wanted.seed, clusters)
        others, _ = _left_out(kernels, labels, apart, watch)
        scores += _scores("proteins", {"process": others, **null}, labels, names)
        shared = Leaks.of(apart[0], own, clusters)
        if shared.ligands:
            diagnoses.append(
                Diagnosis("warning", f"Where proteins are left out, {shared.in_words()}: these are easier.")
            )
    else:
        diagnoses.append(
            Diagnosis(
                "warning",
                "All sets are of one protein or its kin: nothing is known of how others would fare.",
            )
        )
    if 1 < len(set(clusters)) < len(of_set):
        diagnoses.append(
            Diagnosis("note", "Sets whose proteins are kin share a pocket; they are left out together.")
        )
    inside = 100 * float(np.mean(np.abs(predicted - labels) <= half))
    best = {name: (r, e) for split, name, r, _, e in scores if split == "ligands"}
    diagnoses += _as_good(scores, null)
    results = AffinityFitResults(
        title=f"Affinities of {wanted.source.name}",
        subtitle=f"{len(pairs)} ligands in {len(set(names))} set{'s' * (len(set(names)) > 1)}",
        names=tuple(_names(rows, pairs)),
        sets=tuple(names),
        measured=labels,
        predicted=predicted,
        half_widths=half,
        scores=tuple(scores),
        asked=(f"A model of {len(pairs)} measured affinities ({by_unit(rows)}).",),
        found=(
            f"Ligands left out are predicted within {significant(best['process'][1])} kJ/mol about the mean of their "
            f"set, root mean square; R within sets is {best['process'][0]:.2f}, by heavy atoms alone "
            f"{best['heavy atoms'][0]:.2f}.",
            *compared,
        ),
        certainty=(
            f"Intervals that are to hold 90 % hold {inside:.0f} % of ligands left out.",
            f"{100 * model.of_atoms:.0f} % of what is predicted can be told by atoms, the rest is of whole molecules.",
        ),
        diagnoses=tuple(diagnoses),
        provenance={"settings": _settings(wanted), "versions": versions()},
        citations=citations(KEYS),
    )
    write_affinity_fit(results, folder)
    return results


@dataclass(frozen=True)
class AffinityAsked:
    """New ligands.

    Attributes
    ----------
    model : file of a model
    protein, ligands : files of a structure and of poses in it
    set : known set of ligands whose pocket it is, in whose frame of coordinates poses are; the only one unless given
    """

    model: Path
    protein: Path
    ligands: Path
    set: str | None = None


def predict_affinities(
    asked: AffinityAsked, folder: Path, progress: Callable[[str], Told]
) -> AffinityPredictionResults:
    """Predict ligands in poses and write a table and a report into ``folder``.

    Raises
    ------
    ValueError
        If files cannot be read, the model is another one, or the set is unknown.
    """
    check_links(folder)
    told = progress("predicting")
    model = load_tree(asked.model)
    if not isinstance(model, AffinitySeriesModel):
        raise StudyError(
            f"{asked.model} holds a {type(model).__name__}; give what thalweg affinity fit wrote"
        )
    sets = list(dict.fromkeys(model.series))
    name = asked.set or (sets[0] if len(sets) == 1 else "a new set")
    if asked.set is not None and asked.set not in sets:
        raise StudyError(
            f"the model knows no set {asked.set}; it knows {', '.join(sets)}. Leave --set out for a new one"
        )
    protein, ligands = read_protein(asked.protein), read_ligands(asked.ligands)
    complexes = [
        Complex(Complex(protein.atoms, each.atoms, each.name).pocket(REACH), each.atoms, each.name)
        for each in ligands
    ]
    features = ligand_features([each.smiles for each in ligands])
    series = [name] * len(ligands)
    found = model.predict(features, [each.atoms for each in ligands], series)
    order = np.argsort(found.energies)[:MOST_DRAWN]
    drawn = tuple(
        (
            complexes[k],
            model.contributions(
                features.taken(np.array([k])), ligands[k].atoms, name, counts_without_atoms(ligands[k])
            ),
        )
        for k in order
    )
    told("done", 1.0)
    results = AffinityPredictionResults(
        title=f"Affinities of {asked.ligands.name}",
        subtitle=f"{len(ligands)} ligands in {asked.protein.name}",
        names=tuple(each.name for each in ligands),
        energies=found.energies,
        half_widths=found.half_widths,
        similarities=found.similarities,
        inside=tuple(bool(each) for each in found.inside),
        complexes=drawn,
        asked=(f"Free energies of binding of {len(ligands)} ligands, by {asked.model.name}, as of {name}.",),
        found=(
            f"{ligands[order[0]].name} binds most tightly: {found.energies[order[0]]:.1f} ± "
            f"{found.half_widths[order[0]]:.1f} kJ/mol.",
        ),
        certainty=(
            "Intervals are to hold 90 % of ligands like those known.",
            f"Colors of atoms speak of {100 * model.of_atoms:.0f} % of what is predicted.",
        ),
        diagnoses=_doubts(model, ligands, found, name),
        provenance={
            "settings": {
                "model": str(asked.model),
                "protein": str(asked.protein),
                "ligands": str(asked.ligands),
                "set": name,
            },
            "versions": versions(),
        },
        citations=citations(KEYS),
    )
    write_affinity_predictions(results, folder)
    return results


def _doubts(model, ligands, found, name) -> tuple[Diagnosis, ...]:
    doubts = []
    known = set(zip(model.series, model.ligands))
    if again := [each.name for each in ligands if (name, each.skeleton) in known]:
        doubts.append(
            Diagnosis("warning", f"Already among the ligands learned from: {', '.join(again[:5])}.")
        )
    if not found.known_series.all():
        doubts.append(
            Diagnosis(
                "warning", "No ligand of this set is known: differences say something, the offset does not."
            )
        )
    if strange := [each.name for each, own in zip(ligands, found.inside) if not own]:
        doubts.append(
            Diagnosis(
                "warning",
                f"Unlike all ligands learned from: {', '.join(strange[:5])}; intervals may not hold.",
            )
        )
    if model.of_atoms < LITTLE:
        doubts.append(
            Diagnosis(
                "note", "Descriptors of whole molecules decide here: colors of atoms say next to nothing."
            )
        )
    centers = [own.center for own, each in zip(model.atoms, model.series) if each == name]
    if centers and np.linalg.norm(ligands[0].atoms.center - np.mean(centers, 0)) > 1.5:
        doubts.append(
            Diagnosis(
                "warning",
                "Poses are far from those of the set: superpose the structure on the one that was learned from.",
            )
        )
    return tuple(doubts)


def _left_out(
    kernels: Mapping[str, np.ndarray], labels: np.ndarray, splits: Sequence[Split], watch: Told
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of all test sets, and half widths of intervals of 90 %."""
    found, half = np.zeros(len(labels)), np.zeros(len(labels))
    for number, (_, test) in enumerate(splits, 1):
        shown = labels.copy()
        shown[test] = np.nan
        model = AffinityProcess(iterations=25).fit(kernels, shown)
        found[test], half[test] = model.means[test], model.half_widths(0.9)[test]
        watch(f"{number} of {len(splits)}", number / len(splits))
    return found, half


def _of_poses(rows: Sequence[MeasuredComplex], wanted: AffinityFit, told: Told) -> np.ndarray:
    """The kernel of fields in the pocket between ligands as what they do there: weighted poses of each."""
    poses, weights, pairs, series = [], [], [], []
    for number, row in enumerate(rows, 1):
        found = PoseSampling(wanted.poses, seed=wanted.seed).sample(row.complex)
        poses += found.poses
        weights += found.weights.tolist()
        pairs += [(row.set, row.ligand.skeleton)] * wanted.poses
        series += [row.set] * wanted.poses
        told(f"{number} of {len(rows)}", number / len(rows))
    return of_ligands(field_kernel(poses, series), pairs, np.array(weights))


def _compared(given, moved, labels, names, poses) -> tuple[str, ...]:
    """What weighted poses change, paired over sets; nothing where no set is large enough to say."""
    try:
        without, beside = (SetScores.of(each, labels, names, LEAST) for each in (given, moved))
    except ValueError:
        return ()
    apart = beside.correlations - without.correlations
    spread = apart.std(ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else float("nan")
    return (
        f"With {poses} weighted poses of each ligand, R within sets changes by {with_error(apart.mean(), spread, '')}, "
        f"paired over {len(apart)} sets.",
    )


def _known_little(rows: Sequence[MeasuredComplex], pairs: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
    """Scores of models that were not fitted: heavy atoms, and Vina's terms."""
    place = {pair: k for k, pair in enumerate(pairs)}
    own = np.array([place[row.set, row.ligand.skeleton] for row in rows])
    count = np.bincount(own)
    heavy = np.array([-float(len(row.ligand.atoms)) for row in rows])
    vina = np.array([VinaScore().score(row.complex) for row in rows])
    return {"heavy atoms": np.bincount(own, heavy) / count, "Vina's score": np.bincount(own, vina) / count}


def _scores(split, models, labels, names) -> list[tuple[str, str, float, float, float]]:
    """Rows of the table; errors of what is no energy are left out."""
    rows, missing = [], float("nan")
    for name, values in models.items():
        try:
            found = SetScores.of(values, labels, names, LEAST)
        except ValueError:
            rows.append((split, name, missing, missing, missing))
            continue
        error = float(found.centered_errors.mean()) if name.startswith("process") else missing
        rows.append((split, name, found.mean, found.spread, error))
    sizes = np.array([labels[[own == name for own in names]].std() for name in dict.fromkeys(names)])
    rows.append((split, "mean of the set", 0.0, missing, float(sizes.mean())))
    return rows


def _as_good(
    scores: Sequence[tuple[str, str, float, float, float]], null: Mapping[str, np.ndarray]
) -> list[Diagnosis]:
    """Where a model that knows little ranks as well."""
    found = {(split, name): r for split, name, r, _, _ in scores}
    return [
        Diagnosis(
            "warning",
            f"With {split} left out, the model ranks no better than {name} alone: do not rely on it there.",
        )
        for split in dict.fromkeys(each[0] for each in scores)
        for name in null
        if found[split, "process"] <= found[split, name]
    ]


def _names(rows: Sequence[MeasuredComplex], pairs: Sequence[tuple[str, str]]) -> list[str]:
    called: dict[tuple[str, str], str] = {}
    for row in rows:
        called.setdefault((row.set, row.ligand.skeleton), row.ligand.name)
    return [called[pair] for pair in pairs]


def _settings(wanted: AffinityFit) -> dict[str, str]:
    return {
        "source": str(wanted.source),
        "unit": wanted.unit or "in the table",
        "label": wanted.label or "",
        "seed": str(wanted.seed),
        "poses of each ligand": str(wanted.poses or "as given"),
    }
