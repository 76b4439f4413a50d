"""A learned potential tried on frames it may never have seen: errors, uncertainty, which to distrust, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from thalweg.interop.files.file_units import FileUnits
from thalweg.learned_potentials.frames.errors import worse_than_none
from thalweg.learned_potentials.frames.findings import place_of
from thalweg.learned_potentials.frames.inspection import inspect
from thalweg.learned_potentials.frames.reference_energies import of_other_compositions
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Labels
from thalweg.learned_potentials.uncertainty.calibrated import calibration_in_words
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.machine.whole_files import is_vacant
from thalweg.report.accounting import citations
from thalweg.report.of_potentials.analysis import by_element, claims_in_words, courses, judged
from thalweg.report.of_potentials.files import write_potential_report
from thalweg.report.of_potentials.results import PotentialResults
from thalweg.report.of_potentials.trust import trust, trust_sentences
from thalweg.report.results import Diagnosis
from thalweg.studies.analyses import Analyses
from thalweg.studies.citing import cited
from thalweg.studies.fitting import (
    accuracy,
    card_rows,
    certainty,
    claims_of,
    uncertainty_on,
    worse_in_words,
)
from thalweg.studies.frames import left_out_in_words, names_apart, read_frames, require_units
from thalweg.studies.tables.fit_study import Data
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import elements_of
from thalweg.systems.elements import SYMBOLS


def evaluate_potential(
    model: Path, files: Sequence[Path], data: Data, units: FileUnits, folder: Path, console: Console
) -> PotentialResults:
    """Errors of the ``model`` on each of the ``files``, and its uncertainty on all; the report goes into ``folder``.

    ``data`` says how files are read.

    Raises
    ------
    StudyError
        If the folder is not empty, there is no frame, or none has a label and the model does not know how unsure it is.
    ValueError
        If the model cannot be read, or a frame has an element it does not know.
    """
    check_links(folder)
    if not is_vacant(folder):
        raise StudyError(f"{folder} is there and is not an empty folder; give another --out, or remove it")
    potential = load_potential(model)
    names = names_apart([str(file) for file in files])
    read = {name: read_frames([file], names, data, units, data.index) for file, name in names.items()}
    given = {name: each.frames for name, each in read.items()}
    findings = inspect([frame for each in given.values() for frame in each])
    require_units(findings, data)
    # repeated frames are judged as often as they are there
    keep = (*data.keep, "repeated")
    named, places = _sound(given, findings, keep)
    frames = [frame for each in named.values() for frame in each]
    if not frames:
        why = f": {findings}" if findings.errors else ""
        raise StudyError(f"{', '.join(given)}: there is no frame to evaluate{why}")
    notes = [f"{note[0].upper()}{note[1:]}." for each in read.values() for note in each.notes]
    notes += left_out_in_words(findings, replace(data, keep=keep))
    analyses = Analyses()
    with console.status("evaluating"):
        predicted = {name: potential.evaluate(each) for name, each in named.items()}
        everything = Labels(
            np.concatenate([labels.energies for labels in predicted.values()]),
            tuple(forces for labels in predicted.values() for forces in labels.forces),
            tuple(stress for labels in predicted.values() for stress in labels.stresses),
        )
        sets = [judged(name, named[name], potential, predicted[name]) for name in named]
        together = judged("all", frames, potential, everything) if len(sets) > 1 else sets[0]
        claims = analyses(
            "the uncertainty", lambda: claims_of(potential, frames), "it could not be looked at"
        )
        uncertainty, why = analyses(
            "what the uncertainty is worth",
            lambda: uncertainty_on(claims, frames, everything, "evaluated"),
            (None, ""),
        )
        known = None if isinstance(claims, str) else claims
        trusted = analyses(
            "which frames to distrust", lambda: trust(potential, frames, places, everything, known), None
        )
        worse = analyses("errors beside those of no model", lambda: worse_than_none(frames, everything), {})
        if trusted is None and not any(each.rows for each in sets):
            raise StudyError(
                f"{', '.join(named)}: no frame has an energy, forces or a stress to compare with, and the model does "
                "not know which to distrust"
            )
        results = PotentialResults(
            title=f"{model.name} on {', '.join(named)}",
            subtitle=f"{len(frames)} frames of {', '.join(SYMBOLS[z] for z in elements_of(frames))}",
            fitted=(
                f"{len(frames)} frames in {len(files)} file{'s' * (len(files) > 1)} were labeled by {model}.",
                *notes,
            ),
            accuracy=accuracy(together),
            certainty=(
                *certainty(uncertainty, why),
                *calibration_in_words(potential),
                *trust_sentences(trusted),
            ),
            diagnoses=(
                *worse_in_words(worse, "evaluated"),
                *_diagnoses(potential, frames, findings, uncertainty),
                *analyses.diagnoses(),
            ),
            sets=tuple(sets),
            by_element=by_element(sets),
            courses=analyses("where errors are", lambda: courses(frames, everything), ()),
            uncertainty=uncertainty,
            trust=trusted,
            card=card_rows(potential),
            provenance={
                "files": {file.name: str(file.resolve()) for file in files},
                "versions": versions(),
            },
            citations=citations(cited(potential.terms)),
        )
    write_potential_report(results, folder)
    return results


def load_potential(model: Path) -> LearnedPotential:
    """The potential in a file, or in the folder of a fit.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    file = model / "model.thalweg" if model.is_dir() else model
    if not file.is_file():
        raise FileNotFoundError(f"there is no model {file}; give a file written by: thalweg fit STUDY.toml")
    return LearnedPotential.load(file)


def _sound(given, findings, keep):
    """Frames by file without those to leave out, stresses corrected, and file and number in it of each."""
    named, places, count, out = {}, [], 0, findings.left_out(keep)
    for name, frames in given.items():
        kept = [k for k in range(len(frames)) if count + k not in out]
        named[name] = [findings.corrected(frames[k], keep) for k in kept]
        places += [place_of(frames[k]) or (name, k) for k in kept]
        count += len(frames)
    return {name: frames for name, frames in named.items() if frames}, places


def _diagnoses(potential, frames, findings, uncertainty):
    severities = {"error": "problem", "warning": "warning", "note": "note"}
    for finding in findings.findings:
        yield Diagnosis(severities[finding.severity], finding.sentence)
    taught = potential.card.get("training")
    if isinstance(taught, Mapping) and not taught["energies"] and any(f.energy is not None for f in frames):
        yield Diagnosis(
            "note", "This model was never taught energies: they are right up to a constant per element."
        )
    other = of_other_compositions(potential.card, frames)
    if other:
        yield Diagnosis(
            "warning",
            f"{len(other)} frame{'s are' if len(other) > 1 else ' is'} of other compositions than this model was "
            "taught, which do not decide its energies per element: energies of these are off by a constant for each "
            "composition (forces are not). Teach it several compositions or give energies of isolated atoms.",
        )
    if uncertainty is not None and potential.calibration is None:
        yield Diagnosis("warning", "The uncertainty of this model was never calibrated on held-out frames.")
    if uncertainty is not None:
        for sentence in claims_in_words(uncertainty):
            yield Diagnosis("warning", sentence)
