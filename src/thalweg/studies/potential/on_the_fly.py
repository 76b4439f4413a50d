"""A run that learns as it goes, asked for as a file and carried out in a folder.

start = "CCO"                # a SMILES, or a file of one structure
level = "gfn2"               # a level of theory, or the file of a fitted potential as the teacher

[run]                        # the settings of `OnTheFly`
temperatures = ["500 K"]
duration = "50 ps"

[learner]                    # a linear one
kind = "Linear"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from thalweg.interop.files.configurations import read_labeled, write_configurations
from thalweg.interop.quantum.levels import level_of
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.known_potential import KnownPotential
from thalweg.labeling.level import Level, formula
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learning.storage import load_tree
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.machine.whole_files import write_whole
from thalweg.report.accounting import citations
from thalweg.report.of_potentials.on_the_fly import OnTheFlyResults, write_on_the_fly_report
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant
from thalweg.sampling.policies.on_the_fly import OnTheFlyRun, learn_on_the_fly
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.fly import REMEMBERED, SETUP, OnTheFly
from thalweg.studies.analyzing import Told
from thalweg.studies.labeling import cheap_level
from thalweg.studies.tables.families import FAMILIES, LEARNERS
from thalweg.studies.tables.language import StudyError, choose, did_you_mean, read, toml_of
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

MEV, MEV_PER_ANGSTROM = unit("meV", "energy"), unit("meV/Å", "force")

TOP = ("start", "level", "charge", "unpaired", "run", "learner")
"""Keys and tables of a study."""

RELAXED = 1e-4
"""Minima found twice differ by no more [nm]."""

MANY = 0.03
"""Share of steps from which on so many labels were bought that dynamics of the level itself would do."""


@dataclass(frozen=True)
class OnTheFlyStudy:
    """A whole study.

    Attributes
    ----------
    start : atoms in space
    level : asked for labels
    settings : of the run
    table : the study as a table, every default written out
    """

    start: Configuration
    level: Level
    settings: OnTheFly
    table: Mapping[str, Any]


def load_on_the_fly(path: Path) -> OnTheFlyStudy:
    """The study in a TOML file; paths in it are relative to its folder.

    Raises
    ------
    StudyError
        If the file is no TOML, a key or value is wrong, or ``start`` is neither a file of one structure nor a SMILES.
    """
    table = toml_of(path)
    for key in table:
        if key not in TOP:
            raise StudyError(f'{path} has the key "{key}"; {did_you_mean(key, TOP)}')
    if not isinstance(table.get("start"), str):
        raise StudyError(f'{path} says no start; give start = "CCO" (a SMILES) or the name of a file')
    given = {}
    resolved = {"start": table["start"], "level": str(table.get("level", "gfn2"))}
    if "learner" in table:
        learner, resolved["learner"] = choose(LEARNERS, table["learner"], "learner", FAMILIES)
        if not isinstance(learner, Linear):
            raise StudyError(
                f"[learner] makes a {type(learner).__name__}, which cannot take labels one at a time; use kind = "
                '"Linear"'
            )
        given["recipe"] = Recipe(learner)
    settings, resolved["run"] = read(OnTheFly, table.get("run", {}), "run", FAMILIES, given)
    level = _level(resolved["level"], path.parent, table)
    return OnTheFlyStudy(_start(table["start"], path.parent, level), level, settings, resolved)


def _level(name: str, folder: Path, table: Mapping[str, Any]) -> Level:
    """A fitted potential in a file, or a level of theory."""
    if (file := folder / name).is_file():
        return KnownPotential(LearnedPotential.load(file), file.stem)
    return level_of(name, int(table.get("charge", 0)), int(table.get("unpaired", 0)))


def _start(name: str, folder: Path, level: Level) -> Configuration:
    """The structure in a file, or the nearest minimum of a molecule by its SMILES."""
    if (file := folder / name).is_file():
        frames = list(read_labeled(file).frames)
        if len(frames) != 1:
            raise StudyError(f"{file} holds {len(frames)} frames; a run starts from one")
        return frames[0].unlabeled
    if file.suffix in (".xyz", ".extxyz", ".cif", ".pdb"):
        raise StudyError(f"there is no file {file}; check the path")
    found = conformers(name, 1)[0]
    return nearest_minimum(found, cheap_level(level, found)).unlabeled


def carry_out_on_the_fly(
    study: OnTheFlyStudy, folder: Path, progress: Callable[[str], Told]
) -> OnTheFlyResults:
    """Run in the store ``run/`` of ``folder``, or go on; write ``model.thalweg``, ``labels.xyz`` and the report.

    Raises
    ------
    ValueError
        If the folder holds another run.
    CampaignError
        If dynamics breaks or the level fails again and again.
    """
    check_links(folder)
    store = Store(folder / "run")
    write_whole(folder / "study.toml", tomli_w.dumps(study.table))
    watch, legs = progress("learning on the fly"), study.settings.legs

    def observe(round: int, task: Task, done: int, of: int, seconds: float | None) -> None:
        labels = len(store.ids("labels"))
        watch(f"{min(round + 1, legs)} of {legs} legs, {labels} labels", min((round + 1) / (legs + 1), 1.0))

    start = _begun_from(store, study.start)
    run = learn_on_the_fly(start, study.level, store, study.settings, observers=(observe,))
    write_configurations(folder / "labels.xyz", run.labeled)
    run.potential.save(folder / "model.thalweg")
    results = _results(run, study.table)
    write_on_the_fly_report(results, folder)
    return results


def _begun_from(store: Store, start: Configuration) -> Configuration:
    """Where the run in the ``store`` began, if that is ``start`` up to what a relaxation leaves open."""
    if not store.has(SETUP):
        return start
    before = load_tree(store.file(SETUP, "plan.tree")).start
    same = np.array_equal(before.numbers, start.numbers)
    return before if same and np.allclose(before.positions, start.positions, atol=RELAXED) else start


def _results(run: OnTheFlyRun, table: Mapping[str, Any]) -> OnTheFlyResults:
    """What the page of a ``run`` says; ``table`` is the study, for its provenance."""
    calls, settings, level = run.calls, run.plan.settings, run.plan.level

    def column(name: str, one: float) -> np.ndarray:
        return np.array([getattr(call, name) for call in calls], float) / one

    errors, limit = column("error", MEV_PER_ANGSTROM), run.limit / MEV_PER_ANGSTROM
    jumps = column("jump", MEV)
    late = [call for call in calls if call.time > settings.duration / 2 and call.why != "check"]
    checks = run.checks / MEV_PER_ANGSTROM
    missed = int((checks > limit).sum())
    return OnTheFlyResults(
        title=f"{formula(run.plan.start)} learned on the fly",
        subtitle=f"{settings.duration:g} ps, {level.name} asked",
        numbers=tuple(call.number for call in calls),
        times=column("time", 1.0),
        reasons=tuple(call.why for call in calls),
        claimed=column("claimed", MEV_PER_ANGSTROM),
        errors=errors,
        jumps=jumps,
        labels=tuple(call.label for call in calls),
        failed=tuple(call.failed for call in calls),
        duration=settings.duration,
        limit=limit,
        asked=(
            f"{settings.duration:g} ps at {', '.join(f'{t:g} K' for t in settings.temperatures)}; a label of "
            f"{level.name} where a force error of more than {significant(limit)} meV/Å on an atom is more probable "
            f"than {100 * settings.odds:g} %, and every {settings.check_every:g} ps.",
        ),
        found=(
            f"{run}.",
            f"In the second half {len(late)} labels were bought besides checks.",
            f"Learning moved the energy by {significant(float(np.sqrt(np.nanmean(jumps**2))))} meV (RMS over calls).",
        ),
        certainty=_certainty(checks, missed, limit),
        diagnoses=tuple(_diagnoses(run, late)),
        provenance={
            "study": {name: str(value) for name, value in table.items()},
            "level": dict(level.provenance()),
            "versions": versions(),
        },
        citations=citations(("jinnouchi2019",)),
    )


def _certainty(checks: np.ndarray, missed: int, limit: float) -> tuple[str, ...]:
    if not len(checks):
        return ("There were no checks: nothing says what the run missed without knowing.",)
    return (
        f"Of {len(checks)} checks {missed} found more than {significant(limit)} meV/Å on an atom that was not "
        f"expected; their median is {significant(float(np.median(checks)))} meV/Å. How errors scatter about "
        f"claims is learned from the last {REMEMBERED} labels.",
    )


def _diagnoses(run: OnTheFlyRun, late: list) -> list[Diagnosis]:
    found = []
    if run.share > MANY:
        found.append(
            Diagnosis(
                "problem",
                f"A label was bought at {100 * run.share:.2g} % of the steps: the learner does not get there; allow "
                "more tolerance, or give it more functions.",
            )
        )
    if len(late) > len(run.calls) / 3:
        found.append(
            Diagnosis("warning", "A third of the labels was bought in the second half: the run still learns.")
        )
    if broken := [call for call in run.calls if call.why == "broken"]:
        found.append(
            Diagnosis(
                "warning",
                f"Dynamics left the numbers {len(broken)} times, the last at {broken[-1].time:g} ps, and went on from "
                "a known place with other momenta.",
            )
        )
    if failed := [call for call in run.calls if call.failed]:
        found.append(
            Diagnosis("warning", f"{len(failed)} labels failed, the first because {failed[0].failed}.")
        )
    return found
