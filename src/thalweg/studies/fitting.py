"""A fit carried out in its folder: frames looked over, a potential fitted and judged, a report written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from rich.console import Console

from thalweg.learned_potentials.card import card_text, content_hash
from thalweg.learned_potentials.frames.errors import NOTHING, SHOWN, worse_than_none
from thalweg.learned_potentials.learning_curve import LearningCurve, learning_curve
from thalweg.learned_potentials.recipe import Recipe, remainder
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.learner import FitInfo, Resumable
from thalweg.learned_potentials.terms.term import Labels, NoUncertainty, Spread, Term
from thalweg.learned_potentials.uncertainty.calibrated import calibration_in_words
from thalweg.learned_potentials.uncertainty.graded import graded
from thalweg.machine import disk
from thalweg.machine.links import check_links
from thalweg.machine.reading import read_toml
from thalweg.machine.versions import versions
from thalweg.machine.whole_files import is_vacant, write_whole
from thalweg.registry import fingerprints
from thalweg.report.accounting import citations
from thalweg.report.of_potentials.analysis import (
    by_element,
    claims_in_words,
    courses,
    curve_lines,
    force_uncertainty,
    front,
    judged,
    training_course,
)
from thalweg.report.of_potentials.files import write_potential_report
from thalweg.report.of_potentials.results import ForceUncertainty, Front, Judged, PotentialResults
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant
from thalweg.studies.analyses import Analyses
from thalweg.studies.citing import cited
from thalweg.studies.frames import FitFrames, frames_of
from thalweg.studies.progress import watched
from thalweg.studies.tables.fit_study import FitStudy, committee_of, with_usual_learner
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.systems.elements import SYMBOLS
from thalweg.units import unit

RUN_FILE, MODEL, PAGE = "run.toml", "model.thalweg", "report.html"

NUMBER = re.compile(r"\d+\.\d{5,}(?:e[-+]?\d+)?")
"""A number with more digits than anyone reads."""


def is_finished(folder: Path) -> bool:
    """Whether the folder holds a fit and its report."""
    return (folder / MODEL).is_file() and (folder / PAGE).is_file()


def carry_out_fit(study: FitStudy, folder: Path, console: Console) -> PotentialResults:
    """Carry out ``study`` in ``folder``, or go on with it if it was stopped there.

    Raises
    ------
    StudyError
        If the folder holds another study or something else, or the data do not do.
    """
    check_links(folder)
    frames = frames_of(study)
    looked = [f"Inspection: {line}." for line in str(frames.findings).splitlines()]
    for sentence in (*frames.said, *looked):
        console.print(sentence, markup=False, highlight=False)
    study = with_usual_learner(study, frames.training)
    _begin(study, frames, folder)
    with watched(console) as progress:
        baselines = _baselines(study, frames.training, progress)
        learner = committee_of(study, study.learner)
        recipe = Recipe(
            learner,
            baselines,
            study.references or frames.references,
            study.weights,
            study.core_repulsion,
            study.fall_back,
        )
        lasting = learner.with_checkpoints(folder) if isinstance(learner, Resumable) else learner
        potential, info = replace(recipe, learner=lasting).fit_with_info(
            frames.training,
            validation=frames.validation,
            seed=study.seed,
            progress=progress("fitting"),
            inspected=True,
        )
        # whatever fails from here on, the fit is kept
        potential.save(folder / MODEL)
        analyses = Analyses()
        with console.status("spanning the training set"):
            held_out = [*frames.validation, *frames.test]
            potential = analyses(
                "extrapolation", lambda: graded(potential, frames.training, held_out), potential
            )
            potential.save(folder / MODEL)
        curve = analyses("the learning curve", lambda: _curve(study, recipe, frames, progress), None)
    with console.status("judging"):
        results = _results(study, frames, potential, info, curve, folder, analyses)
    write_potential_report(results, folder)
    return results


def _begin(study: FitStudy, frames: FitFrames, folder: Path) -> None:
    """Write the resolved study into the folder, or see that what is there is the same one."""
    digest = content_hash([*frames.training, *frames.validation, *frames.test])
    record = {**study.table, "frames": {"hash": digest}}
    if used := _plugins(study.table):
        record["plugins"] = used
    file = folder / RUN_FILE
    if file.is_file():
        before = read_toml(file, "the study of a fit", "restore it, it is never changed after the start")
        before.pop("versions", None)
        if before != record:
            keys = [key for key in {**before, **record} if before.get(key) != record.get(key)]
            raise StudyError(
                f"{folder} was begun with another study (it differs in {', '.join(keys)}); give another --out, or "
                "remove the folder"
            )
        return
    if not is_vacant(folder):
        raise StudyError(f"{folder} is there and is not an empty folder; give another --out")
    disk.make_folder(folder)
    write_whole(file, tomli_w.dumps(record | {"versions": versions()}))


def _plugins(table: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprints of the files of the user that kinds of the study are from."""
    used: dict[str, str] = {}
    for key, one in table.items():
        for part in one if isinstance(one, list) else [one]:
            if isinstance(part, Mapping):
                used |= _plugins(part)
        if key == "kind" and (digest := fingerprints().get(one.partition(".")[0])):
            used[one.partition(".")[0]] = digest
    return used


def _baselines(study: FitStudy, training: Sequence[Configuration], progress) -> tuple[Term, ...]:
    """Known terms; those of few parameters fitted to what the ones before them leave."""
    known: list[Term] = []
    zero = dict.fromkeys(elements_of(training), 0.0)
    for made in study.baselines:
        if isinstance(made, Term):
            known.append(made)
            continue
        rest = remainder(training, LearnedPotential(zero, tuple(known)).evaluate(training))
        fitted = made.fit(rest, weights=study.weights, seed=study.seed, progress=progress("baseline"))
        known.append(fitted.term)
    return tuple(known)


def _curve(study: FitStudy, recipe: Recipe, frames: FitFrames, progress) -> LearningCurve | None:
    if study.curve is None:
        return None
    return learning_curve(
        recipe,
        frames.training,
        study.curve.sizes,
        splits=study.curve.splits,
        seed=study.seed,
        test=frames.test or None,
        progress=progress("learning curve"),
    )


def _results(
    study: FitStudy,
    frames: FitFrames,
    potential: LearnedPotential,
    info: FitInfo,
    curve: LearningCurve | None,
    folder: Path,
    analyses: Analyses,
) -> PotentialResults:
    given = {"training": frames.training, "validation": frames.validation, "test": frames.test}
    judgments = {}
    for name, each in given.items():
        if each and (
            found := analyses(f"errors on {name} frames", partial(_judged, name, each, potential), None)
        ):
            judgments[name] = found
    sets = tuple(each for each, _ in judgments.values())
    on = list(judgments)[-1] if judgments else "training"
    chosen, predicted = given[on], judgments[on][1] if judgments else None
    uncertainty, why, places, worse = None, "", (), ()
    if predicted is not None:
        worse = analyses("errors beside those of no model", lambda: worse_than_none(chosen, predicted), ())
        known = frames.training if on != "training" else ()
        places = analyses("where errors are", lambda: courses(chosen, predicted, known), ())
        if on != "training":
            uncertainty, why = analyses(
                "the uncertainty",
                lambda: uncertainty_on(claims_of(potential, chosen), chosen, predicted, on),
                (None, ""),
            )
    points = analyses("energies against forces", lambda: _front(study, info), None)
    lines = analyses(
        "the learning curve", lambda: () if curve is None else curve_lines(curve, len(frames.training)), ()
    )
    return PotentialResults(
        title=study.title,
        subtitle=_subtitle(potential, frames.training),
        fitted=(*frames.said, _kind(study), *info.in_words()),
        accuracy=accuracy(sets[-1]) if sets else ("Errors are not known: the model could not be evaluated.",),
        certainty=(
            *certainty(uncertainty, why),
            *calibration_in_words(potential),
            *_active_set(potential),
            *_promise(lines),
        ),
        diagnoses=(*worse_in_words(worse, on), *_diagnoses(frames, sets, uncertainty), *analyses.diagnoses()),
        sets=sets,
        by_element=by_element(sets),
        courses=places,
        curve=lines,
        uncertainty=uncertainty,
        front=points,
        training=tuple(training_course(f"seed {seed}", history) for seed, history in info.histories.items()),
        card=card_rows(potential),
        provenance=_provenance(folder),
        citations=citations(cited([committee_of(study, study.learner), *potential.terms])),
    )


def _judged(name: str, frames: Sequence[Configuration], potential: LearnedPotential) -> tuple[Judged, Labels]:
    """Errors on a set, and what is predicted for it."""
    predicted = potential.evaluate(frames)
    return judged(name, frames, potential, predicted), predicted


def _front(study: FitStudy, info: FitInfo) -> Front | None:
    return (
        None
        if info.problem is None
        else front(info.problem.front(study.weights), study.weights, info.held_out)
    )


def worse_in_words(labels: Mapping[str, tuple[float, float]], on: str) -> Iterator[Diagnosis]:
    """That a model is worse than none, for each label it is so of."""
    for label, (error, none) in labels.items():
        name, size = SHOWN[label]
        yield Diagnosis(
            "problem",
            f"On the {on} frames the model is worse than none for {label}: its error is {significant(error / size)} "
            f"{name} (RMS), that of {NOTHING[label]} {significant(none / size)} {name}. Look at labels, their units "
            "and signs first.",
        )


def claims_of(potential: LearnedPotential, frames: Sequence[Configuration]) -> Spread | str:
    """What ``potential`` claims of its errors on ``frames``, or why nothing."""
    try:
        return potential.spread(frames)
    except NoUncertainty as reason:
        return str(reason)


def uncertainty_on(
    claims: Spread | str, frames: Sequence[Configuration], predicted: Labels, name: str
) -> tuple[ForceUncertainty | None, str]:
    """What ``claims`` are worth on ``frames``, or None and a sentence that says why."""
    if isinstance(claims, str):
        return None, f"No uncertainty: {claims}."
    if not any(frame.forces is not None for frame in frames):
        return None, "What the claimed uncertainty is worth is not known: the frames have no forces."
    found = force_uncertainty(claims, frames, predicted, name)
    if found is not None:
        return found, ""
    pulls = [np.abs(frame.forces).max(initial=0.0) for frame in frames if frame.forces is not None]
    if max(pulls) < unit("meV/Å", "force"):
        return None, "Of the uncertainty nothing is known: all forces are zero by symmetry."
    return None, (
        "The uncertainty is no use: the model claims to be certain of all forces, which are not zero; look at its "
        "training errors."
    )


def _subtitle(potential: LearnedPotential, training: Sequence[Configuration]) -> str:
    """Elements, cutoff, and what it was taught."""
    cutoff = potential.card.get("cutoff")
    parts = [", ".join(SYMBOLS[z] for z in potential.elements)]
    parts += [f"cutoff {10 * cutoff:g} Å"] if cutoff else []
    return ", ".join([*parts, f"{len(training)} training frames"])


def accuracy(best: Judged) -> tuple[str, ...]:
    """The errors that count, in sentences."""
    found = [
        f"{label}: {significant(best.error(label))} {unit}"
        for label, unit in (("energy per atom", "meV"), ("forces", "meV/Å"), ("stress", "GPa"))
        if best.error(label) == best.error(label)
    ]
    if not found:
        return ("The frames have no labels: errors on them are not known.",)
    size = ""
    if len(best.forces):
        size = f" Forces themselves are {significant(1e3 * float((best.forces[:, 0] ** 2).mean() ** 0.5))} meV/Å (RMS)."
    on = {"all": f"all {best.frames} frames"} | {
        name: f"{best.frames} {name} frames" for name in ("training", "validation", "test")
    }
    where = on.get(best.name, f"{best.frames} frames of {best.name}")
    return (f"Mean absolute errors on {where}: {'; '.join(found)}." + size,)


def certainty(uncertainty: ForceUncertainty | None, why: str) -> tuple[str, ...]:
    """What the uncertainty is worth, in sentences."""
    if uncertainty is None:
        return (why,) if why else ()
    return (
        f"Of the force errors on the {uncertainty.on} frames, {100 * uncertainty.coverage_68:.0f} % are within one "
        f"claimed deviation (68 % should be) and {100 * uncertainty.coverage_95:.0f} % within two (95 %). Rank "
        f"correlation of claimed deviations with errors: {uncertainty.rank_correlation:.2f}.",
    )


def card_rows(potential: LearnedPotential) -> dict[str, str]:
    """The card, an entry each; errors are in a table of their own."""
    card = {key: value for key, value in potential.card.items() if key not in ("errors", "weights")}
    rows = dict(line.split(maxsplit=1) for line in card_text(card).splitlines() if " " in line)
    rows = {name: NUMBER.sub(lambda found: f"{float(found[0]):.4g}", value) for name, value in rows.items()}
    if "weights" in potential.card:
        weights = potential.card["weights"]
        rows["weights"] = (
            f"errors to be content with: energy {significant(weights['energy'] / unit('meV', 'energy'))} meV/√atoms, "
            f"force {significant(weights['force'] / unit('meV/Å', 'force'))} meV/Å, stress times volume "
            f"{significant(weights['stress'] / unit('meV', 'energy'))} meV/√atoms"
        )
    return rows


def _kind(study: FitStudy) -> str:
    table = study.table["learner"]
    part = table.get("representation", table.get("messages", {})).get("kind")
    words = f"{table['kind']} on {part}" if part else table["kind"]
    if "committee" in study.table:
        words += f", a committee of {study.table['committee']['members']}"
    known = [entry["kind"] for entry in study.table.get("baseline", [])]
    return f"Fitted: {words}{', on top of ' + ' and '.join(known) if known else ''}."


def _active_set(potential: LearnedPotential) -> tuple[str, ...]:
    """How far frames that were held out lie beyond the training set, where the potential knows."""
    said = potential.card.get("active_set")
    if isinstance(said, str):
        return (f"Extrapolation grades: the active set was {said}.",)
    if not said or "held_out" not in said:
        return ()
    return (
        f"Extrapolation grades of the {said['held_out']} frames held out: {significant(said['held_out_median'])} "
        f"(median) to {significant(said['held_out_largest'])}; beyond 2 a frame is worth a label.",
    )


def _promise(lines) -> tuple[str, ...]:
    forces = [line for line in lines if line.label == "forces"]
    if not forces:
        return ()
    line = forces[0]
    if (
        line.mae[0] - line.mae[-1] < 2 * np.nan_to_num(np.hypot(line.error[0], line.error[-1]))
        or line.exponent >= 0
    ):
        return (
            "The learning curve of the forces is flat within its errors: more frames alone would not help.",
        )
    gain = 1 - 2**line.exponent
    return (
        f"Twice the frames would lower the force error by some {100 * gain:.0f} %, if the curve goes on as it does.",
    )


def _diagnoses(frames: FitFrames, sets: Sequence[Judged], uncertainty) -> Iterator[Diagnosis]:
    severities = {"error": "problem", "warning": "warning", "note": "note"}
    for finding in frames.findings.findings:
        yield Diagnosis(severities[finding.severity], finding.sentence)
    names = {each.name: each for each in sets}
    if "test" not in names:
        yield Diagnosis("warning", "No frames were kept for a test: errors on others are not known.")
    elif "training" in names and names["test"].error("forces") > 2 * names["training"].error("forces"):
        yield Diagnosis(
            "note",
            "Forces are more than twice as wrong on test frames as on training frames: more frames, or fewer "
            "coefficients, would help.",
        )
    if uncertainty is not None:
        for sentence in claims_in_words(uncertainty):
            yield Diagnosis("warning", sentence)


def _provenance(folder: Path) -> dict[str, dict[str, str]]:
    table = read_toml(folder / RUN_FILE, "the study of a fit")
    sections: dict[str, dict[str, str]] = {"study": {}}
    for key, value in table.items():
        if isinstance(value, dict):
            sections[key] = {name: _text(one) for name, one in value.items()}
        else:
            sections["study"][key] = _text(value)
    return sections | {"data": {**sections.get("data", {}), "folder": str(folder.resolve())}}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
