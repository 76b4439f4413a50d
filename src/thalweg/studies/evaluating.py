"""A learned potential tried on frames it may never have seen: errors, uncertainty, which to distrust, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from thalweg.interop.files.file_units import FileUnits
from thalweg.learned_potentials.frames.inspection import inspect
from thalweg.learned_potentials.frames.reference_energies import of_other_compositions
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Labels
from thalweg.machine.links import check_links
from thalweg.report.accounting import citations
from thalweg.report.of_potentials.analysis import by_element, courses, judged
from thalweg.report.of_potentials.files import write_potential_report
from thalweg.report.of_potentials.results import PotentialResults
from thalweg.report.of_potentials.trust import trust, trust_sentences
from thalweg.report.results import Diagnosis
from thalweg.studies.apparatus import versions
from thalweg.studies.citing import cited
from thalweg.studies.fitting import accuracy, card_rows, certainty, claims_of, uncertainty_on
from thalweg.studies.frames import read_frames
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
        If there is no frame, or none has a label and the model does not know how unsure it is.
    ValueError
        If the model cannot be read, or a frame has an element it does not know.
    """
    check_links(folder)
    potential = load_potential(model)
    given = {file.name: read_frames([str(file)], data, units) for file in files}
    findings = inspect([frame for each in given.values() for frame in each])
    named, places = _sound(given, {k for finding in findings.errors for k in finding.frames})
    frames = [frame for each in named.values() for frame in each]
    if not frames:
        why = f": {findings}" if findings.errors else ""
        raise StudyError(f"{', '.join(given)}: there is no frame to evaluate{why}")
    with console.status("evaluating"):
        predicted = {name: potential.evaluate(each) for name, each in named.items()}
        everything = Labels(
            np.concatenate([labels.energies for labels in predicted.values()]),
            tuple(forces for labels in predicted.values() for forces in labels.forces),
            tuple(stress for labels in predicted.values() for stress in labels.stresses),
        )
        sets = [judged(name, named[name], potential, predicted[name]) for name in named]
        together = judged("all", frames, potential, everything) if len(sets) > 1 else sets[0]
        claims = claims_of(potential, frames)
        uncertainty, why = uncertainty_on(claims, frames, everything, "evaluated")
        trusted = trust(potential, frames, places, everything, None if isinstance(claims, str) else claims)
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
            ),
            accuracy=accuracy(together),
            certainty=(*certainty(uncertainty, why), *trust_sentences(trusted)),
            diagnoses=tuple(_diagnoses(potential, frames, findings, uncertainty)),
            sets=tuple(sets),
            by_element=by_element(sets),
            courses=courses(frames, everything),
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


def _sound(given, wrong):
    """Frames by file without those that are ``wrong`` (counted over all files), and file and index of each."""
    named, places, count = {}, [], 0
    for name, frames in given.items():
        kept = [k for k in range(len(frames)) if count + k not in wrong]
        named[name] = [frames[k] for k in kept]
        places += [(name, k) for k in kept]
        count += len(frames)
    return {name: frames for name, frames in named.items() if frames}, places


def _diagnoses(potential, frames, findings, uncertainty):
    severities = {"error": "problem", "warning": "warning", "note": "note"}
    for finding in findings.findings:
        yield Diagnosis(severities[finding.severity], str(finding).split(": ", 1)[1])
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
    if uncertainty is not None and potential.calibration != potential.calibration:
        yield Diagnosis("warning", "The uncertainty of this model was never calibrated on held-out frames.")
    if uncertainty is not None and uncertainty.coverage_95 < 0.9:
        yield Diagnosis("warning", "Large errors are more frequent than the uncertainty says.")
