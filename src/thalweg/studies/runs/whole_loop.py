"""From a name to free energies at a level of theory: labels, potential, variable, biased sampling, and back.

    potential/       a potential by active learning
    sampling-0/      a campaign that it drives: slow variable, bias, weights
                     the sampled ensemble is judged by the envelope of confidence; where it lies outside, labels are
                     bought there and a second potential is taught, ``potential-1.thalweg``
    sampling-1/      ...
    labels/          of frames outside, and of frames of the last ensemble, which correct free energies to the level
    loop/            judgments and potentials, each there whole or not at all

Every part goes on where it was stopped, so the same command does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from rich.console import Console

from thalweg.free_energies.perturbation import Perturbation, perturbation, systematic_draw
from thalweg.geometry.torsions import named_torsions
from thalweg.interop.files.configurations import read_configurations
from thalweg.interop.files.trajectories import read_topology
from thalweg.interop.quantum.levels import level_of
from thalweg.labeling.choice import choose_frames
from thalweg.labeling.level import Level, formula
from thalweg.learned_potentials.confidence.envelope import Envelope
from thalweg.learned_potentials.frames.errors import errors_of
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learning.storage import load_tree, save_tree
from thalweg.machine import disk
from thalweg.machine.links import check_links
from thalweg.machine.reading import read_json
from thalweg.machine.surviving import reason
from thalweg.machine.versions import versions
from thalweg.machine.whole_files import write_whole
from thalweg.report.accounting import citations
from thalweg.report.of_runs.evidence import RunEvidence, from_campaign
from thalweg.report.of_runs.free_energies import inside_ranges
from thalweg.report.of_runs.loop_page import (
    LoopResults,
    Return,
    StateAtLevel,
    TimeScaleOfLoop,
    write_loop_report,
)
from thalweg.report.results import Diagnosis, ReportedNumber, Results
from thalweg.report.rounding import with_error
from thalweg.sampling.policies.label_frames import label
from thalweg.sampling.policy import WEIGHTS
from thalweg.sampling.store import Store, sha256, write_json
from thalweg.sampling.tasks.teach import beginning, parted
from thalweg.studies.analyzing import Told
from thalweg.studies.potential.campaign import LABELS, MODEL, START, potential_study
from thalweg.studies.runs.apparatus import DCDFiles
from thalweg.studies.runs.reporting import report_of_run
from thalweg.studies.runs.running import RUN_FILE, begin, carry_out, store_of, study_of
from thalweg.studies.runs.timescale_errors import Hopping, labels_errors
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.loop_study import LoopStudy
from thalweg.studies.tables.study import Study, TorsionRegion
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

LOOP_FILE = "loop.toml"


@dataclass(frozen=True)
class _Taught:
    """A potential and the labels it was taught."""

    potential: LearnedPotential
    path: Path
    known: list[Configuration]


@dataclass(frozen=True)
class _Judgment:
    """What the envelope of a potential says of an ensemble, and the frames most worth a label."""

    outside: float
    border: float
    error: float
    worth: tuple[Configuration, ...]


def whole_loop(
    study: LoopStudy, folder: Path, console: Console, progress: Callable[[str], Told]
) -> LoopResults:
    """Carry out ``study`` in ``folder``; a second call goes on where the first was stopped.

    Raises
    ------
    ValueError
        If the study cannot be carried out, or the folder was begun with another.
    """
    check_links(folder)
    _bind(study, folder)
    home = folder / "potential"
    if not (disk.exists(home / MODEL) and disk.exists(home / "report.html")):
        potential_study(study.potential, home, progress)
    asked = study.potential.potential
    level = level_of(asked.level, asked.charge, asked.unpaired)
    store, start = Store(folder / "loop"), home / START
    frame = read_configurations(start)[0].unlabeled
    taught = _first(store, home)
    returns: list[Return] = []
    for k in range(study.returns.most + 1):
        run = folder / f"sampling-{k}"
        sampled, ran = _sampled(study, taught.path, start, run, console)
        ensemble = _Ensemble.of(sampled, run, frame)
        told = progress(f"judging sampling-{k}")
        judgment = _judged(store, f"judgments/{k}", taught, ensemble, study, told)
        over = judgment.outside <= study.returns.outside or k == study.returns.most
        bought = [] if over else _bought(judgment.worth, level, folder, study)
        returns.append(
            Return(run.name, len(taught.known), judgment.error / unit("meV/Å", "force"), judgment.outside,
                   judgment.border, len(bought))
        )  # fmt: skip
        told("done", 1.0)
        if over:
            break
        taught = _taught_more(store, f"potentials/{k + 1}", taught, bought, home, asked.seed)
    states = _states(store, study, sampled, ran, ensemble, taught, level, folder, progress("correcting"))
    times = _times(store, study, sampled, ran, ensemble, taught, folder)
    results = _results(study, folder, level, frame, states, times, returns, ran)
    write_loop_report(results, folder)
    return results


def _bind(study: LoopStudy, folder: Path) -> None:
    """Remember what the folder was begun for; refuse another study from then on."""
    if WEIGHTS not in _planned_entries(study):
        raise StudyError(
            "[campaign] leaves no weighted frames, of which free energies and the envelope are made here; use kind = "
            '"SlowVariableLoop" or another that drives a variable'
        )
    text = tomli_w.dumps(_plain(study.table))
    disk.make_folder(folder)
    if not disk.exists(folder / LOOP_FILE):
        write_whole(folder / LOOP_FILE, text)
    elif disk.read_bytes(folder / LOOP_FILE).decode() != text:
        raise StudyError(
            f"{folder} was begun with another study; give another --out, or go on with {folder / LOOP_FILE}"
        )


def _planned_entries(study: LoopStudy) -> Sequence[str]:
    return study.sampled(Path(MODEL), Path(START)).campaign.needed()


def _plain(table: Any) -> Any:
    """A table without keys that say nothing, which TOML cannot."""
    if isinstance(table, dict):
        return {key: _plain(value) for key, value in table.items() if value is not None}
    return table


def _sampled(
    study: LoopStudy, potential: Path, start: Path, run: Path, console: Console
) -> tuple[Study, Results]:
    """The campaign that a potential drives, done, and its report written."""
    if not disk.exists(run / RUN_FILE):
        tables = {
            **study.sampling,
            "system": {"potential": str(potential.resolve()), "start": str(start.resolve())},
        }
        file = run.with_suffix(".toml")
        write_whole(file, tomli_w.dumps(_plain(tables)))
        begin(file, run, console)
    sampled = study_of(run)
    carry_out(sampled, run, console)
    return sampled, report_of_run(sampled, run)


@dataclass(frozen=True)
class _Ensemble:
    """Weighted frames of a finished campaign."""

    evidence: RunEvidence
    frame: Configuration
    torsions: np.ndarray
    places: np.ndarray
    log_weights: np.ndarray

    @staticmethod
    def of(study: Study, run: Path, frame: Configuration) -> _Ensemble:
        store, topology = store_of(run), read_topology(run / "topology.pdb")
        evidence = from_campaign(store, study.campaign.evidence(store), topology, named_torsions(topology))
        assert evidence.pooled is not None
        return _Ensemble(
            evidence,
            frame,
            np.concatenate([walk.torsions for walk in evidence.weighted]),
            np.concatenate([walk.places for walk in evidence.weighted]),
            np.concatenate(evidence.pooled),
        )

    def drawn(self, count: int, inside: np.ndarray | None = None, seed: int = 0) -> list[Configuration]:
        """Frames drawn by their weights, of all or of those ``inside``."""
        kept = np.arange(len(self.places)) if inside is None else np.flatnonzero(inside)
        if not len(kept):
            return []
        return self.at(kept[systematic_draw(self.log_weights[kept], count, seed)])

    def at(self, numbers: np.ndarray) -> list[Configuration]:
        """Frames by their numbers."""
        return [self._at(self.places[k]) for k in numbers]

    def _at(self, place: np.ndarray) -> Configuration:
        file, walker, number = (int(each) for each in place)
        read = DCDFiles(self.evidence.topology).read
        return replace(self.frame, positions=read(self.evidence.files[file], walker, number).astype(float))


def _judged(
    store: Store, entry: str, taught: _Taught, ensemble: _Ensemble, study: LoopStudy, told: Told
) -> _Judgment:
    """How much of an ensemble lies outside of the envelope of the potential that made it."""
    if not store.has(entry):
        told("making the envelope", 0.1)
        fitted, held_out = parted(taught.known)
        try:
            envelope = Envelope.of(taught.potential, fitted, held_out)
        except ValueError as error:
            raise StudyError(
                f"{len(taught.known)} labels are too few to judge an ensemble by: {error}. Begin another folder, "
                "with more labels in [learning]"
            ) from error
        frames = ensemble.drawn(study.returns.judged)
        told(f"{len(frames)} frames", 0.6)
        verdicts = np.array(envelope.verdicts(frames))
        doubted = [frame for frame, verdict in zip(frames, verdicts) if verdict != "inside"]
        count = min(study.returns.labels, len(doubted))
        worth = [doubted[k] for k in choose_frames(doubted, count, fitted, taught.potential)] if count else []
        card = {
            "outside": float(np.mean(verdicts == "outside")),
            "border": float(np.mean(verdicts == "border")),
            "error": errors_of(held_out, taught.potential.evaluate(held_out)).forces.rmse,
        }

        def write(folder: Path) -> None:
            write_json(folder / "judgment.json", card)
            save_tree(folder / "worth.tree", tuple(worth))

        store.commit(entry, write)
    numbers = read_json(store.file(entry, "judgment.json"), "a judgment")
    return _Judgment(**numbers, worth=load_tree(store.file(entry, "worth.tree")))


def _bought(
    frames: Sequence[Configuration], level: Level, folder: Path, study: LoopStudy
) -> list[Configuration]:
    """Labels of frames; those for which the level fails are left out."""
    found = label(frames, level, Store(folder / "labels"), days=study.potential.potential.days)
    return list(found.frames)


def _first(store: Store, home: Path) -> _Taught:
    """The potential of the campaign, without its date: what is sampled with it is called by its digest."""
    entry = "potentials/0"
    if not store.has(entry):
        _keep(store, entry, LearnedPotential.load(home / MODEL))
    path = store.file(entry, MODEL)
    return _Taught(LearnedPotential.load(path), path, list(read_configurations(home / LABELS)))


def _keep(store: Store, entry: str, potential: LearnedPotential) -> None:
    dateless = replace(potential, card={**potential.card, "date": ""})
    store.commit(entry, lambda folder: dateless.save(folder / MODEL))


def _taught_more(
    store: Store, entry: str, taught: _Taught, bought: Sequence[Configuration], home: Path, seed: int
) -> _Taught:
    """The same recipe, taught what was bought, too."""
    known = [*taught.known, *bought]
    potential = _fitted(store, entry, known, home, seed, leave_out=None)
    return _Taught(potential, store.file(entry, MODEL), known)


def _fitted(
    store: Store,
    entry: str,
    known: Sequence[Configuration],
    home: Path,
    seed: int,
    leave_out: tuple[int, int] | None,
) -> LearnedPotential:
    """A potential taught ``known`` labels, all or without part ``k`` of so many, kept as ``entry``."""
    if not store.has(entry):
        recipe, _ = beginning(Store(home / "campaign"))
        fitted, held_out = parted(known)
        if leave_out is not None:
            part, parts = leave_out
            fitted = [frame for k, frame in enumerate(fitted) if k % parts != part]
        found = recipe.fit_with_info(fitted, validation=held_out, seed=seed, inspected=True).term
        _keep(store, entry, found)
    return LearnedPotential.load(store.file(entry, MODEL))


def _states(
    store: Store,
    study: LoopStudy,
    sampled: Study,
    ran: Results,
    ensemble: _Ensemble,
    taught: _Taught,
    level: Level,
    folder: Path,
    told: Told,
) -> tuple[StateAtLevel, ...]:
    """Free energies of the named states, with the error of the labels and the correction to the level."""
    learned = {number.name: number for number in ran.estimates}
    found = []
    for k, region in enumerate(sampled.states):
        told(region.name, k / len(sampled.states))
        number = learned.get(f"free energy of {region.name} against the rest")
        if number is not None:
            found.append(_state(store, study, region, number, sampled, ensemble, taught, level, folder))
    told("done", 1.0)
    return tuple(found)


def _state(
    store: Store,
    study: LoopStudy,
    region: TorsionRegion,
    number: ReportedNumber,
    sampled: Study,
    ensemble: _Ensemble,
    taught: _Taught,
    level: Level,
    folder: Path,
) -> StateAtLevel:
    inside = inside_ranges(ensemble.torsions, ensemble.evidence.torsion_names, region.ranges)
    count = study.returns.checked or study.returns.judged // 4
    sides = [ensemble.drawn(count, inside, 1), ensemble.drawn(count, ~inside, 2)]
    if not all(sides):
        return StateAtLevel(region.name, number, np.nan, None)
    ours, kT = [taught.potential.evaluate(side).energies for side in sides], sampled.dynamics.kT
    members = study.returns.members
    moved = []
    for member in _members(store, study, taught, folder):
        added = [member.evaluate(side).energies - own for side, own in zip(sides, ours)]
        moved.append(perturbation(*added, kT).value)
    # the jackknife of parts: each member lacks one of them [efron1994]
    by_labels = float(np.sqrt((members - 1) * np.var(moved)))
    added = _asked(sides, ours, kT, level, folder, study) if study.returns.checked else None
    return StateAtLevel(region.name, number, by_labels, added)


def _members(store: Store, study: LoopStudy, taught: _Taught, folder: Path) -> Iterator[LearnedPotential]:
    """Potentials taught all labels but a part each."""
    home, seed, members = folder / "potential", study.potential.potential.seed, study.returns.members
    for m in range(members):
        entry = f"members/{taught.path.parent.name}-{len(taught.known)}-{m}"
        yield _fitted(store, entry, taught.known, home, seed, leave_out=(m, members))


def _times(
    store: Store,
    study: LoopStudy,
    sampled: Study,
    ran: Results,
    ensemble: _Ensemble,
    taught: _Taught,
    folder: Path,
) -> tuple[TimeScaleOfLoop, ...]:
    """Time scales that were given, with the error that the labels leave in them."""
    given = [one for one in ran.estimates if one.name.startswith("time scale ") and np.isfinite(one.value)]
    if not given:
        return ()
    lagtime = round(sampled.campaign.lagtime / ensemble.evidence.dt)
    try:
        hopping = Hopping.of(ensemble.evidence, lagtime, study.returns.judged)
        frames = ensemble.at(hopping.asked)
        ours = taught.potential.evaluate(frames).energies
        added = [member.evaluate(frames).energies - ours for member in _members(store, study, taught, folder)]
        errors, doubt = labels_errors(hopping, added, len(given))
    except ValueError as error:
        return tuple(TimeScaleOfLoop(one, np.nan, reason(error)) for one in given)
    return tuple(TimeScaleOfLoop(one, float(error), doubt) for one, error in zip(given, errors))


def _asked(
    sides: Sequence[Sequence[Configuration]],
    ours: Sequence[np.ndarray],
    kT: float,
    level: Level,
    folder: Path,
    study: LoopStudy,
) -> Perturbation | None:
    """What the level adds to a free energy, by labels of frames on both sides; None where it fails for too many."""
    added = []
    for side, energies in zip(sides, ours):
        found = label(side, level, Store(folder / "labels"), days=study.potential.potential.days)
        kept = [k for k in range(len(side)) if k not in found.failures]
        if len(kept) < 2:
            return None
        theirs = np.array([frame.energy for frame in found.frames])
        added.append(theirs - np.asarray(energies)[kept])
    return perturbation(*added, kT)


def _results(
    study: LoopStudy,
    folder: Path,
    level: Level,
    frame: Configuration,
    states: Sequence[StateAtLevel],
    times: Sequence[TimeScaleOfLoop],
    returns: Sequence[Return],
    ran: Results,
) -> LoopResults:
    name, last = formula(frame), returns[-1]
    calls = {where: len(Store(folder / where).ids("labels")) for where in ("potential/campaign", "potential/repairs")
             if disk.exists(folder / where)}  # fmt: skip
    later = len(Store(folder / "labels").ids("labels")) if disk.exists(folder / "labels") else 0
    total = sum(calls.values()) + later
    return LoopResults(
        title=f"{name}: from {level.name} to free energies",
        subtitle=f"{total} labels, {len(returns)} campaign{'s' * (len(returns) > 1)}",
        asked=(
            f"Free energies and time scales of {name} at the level {level.name}, by a potential learned from it.",
        ),
        found=(
            *(
                f"{one.name} against the rest: {with_error(one.value, one.error, 'kJ/mol')}."
                for one in states
            ),
            *(sentence for sentence in ran.found if "against the rest" not in sentence),
            f"{total} labels in all, {later} of them after the first potential.",
        ),
        certainty=(
            f"{100 * last.outside:.1f} % of the sampled ensemble lies outside of the envelope of the potential that "
            f"made it, {100 * last.border:.1f} % on its border.",
            *(_labels_in_words(one) for one in states),
            *(one.in_words() for one in times),
            "Time scales are those of the learned potential, not of the level.",
        ),
        diagnoses=tuple(_diagnoses(study, states, times, last)),
        provenance={
            "potential": {key: str(value) for key, value in study.table["potential"].items()},
            "returns": {key: str(value) for key, value in study.table["returns"].items()},
            "study": {"file": LOOP_FILE, "SHA-256": sha256(folder / LOOP_FILE)},
            "versions": versions(),
        },
        citations=citations(
            ("zwanzig1954", "efron1994", "lie2013", "wan2016", "chmiela2018", "bigi2024", "schran2020")
        ),
        states=tuple(states),
        times=tuple(times),
        returns=tuple(returns),
        pages=(
            ("the potential", "potential/report.html"),
            *((f"campaign {k}: {one.folder}", f"{one.folder}/report.html") for k, one in enumerate(returns)),
        ),
    )


def _labels_in_words(state: StateAtLevel) -> str:
    if state.added is None:
        return f"{state.name}: the labels leave an error of {state.labels_error:.2g} kJ/mol."
    return (
        f"{state.name}: the labels leave an error of {state.labels_error:.2g} kJ/mol; {state.added.frames} frames "
        f"asked of the level add {state.added}."
    )


def _diagnoses(
    study: LoopStudy, states: Sequence[StateAtLevel], times: Sequence[TimeScaleOfLoop], last: Return
) -> Iterator[Diagnosis]:
    for doubt in dict.fromkeys(one.doubt for one in times if one.doubt):
        yield Diagnosis("note", f"{doubt[:1].upper()}{doubt[1:]}.")
    if last.outside > study.returns.outside:
        yield Diagnosis(
            "warning",
            f"{100 * last.outside:.1f} % of the ensemble lies outside of the envelope, more than the "
            f"{100 * study.returns.outside:.1f} % wanted, and no more returns were allowed; allow more, or labels.",
        )
    if not states:
        yield Diagnosis("note", "No state is named; name some in [states] to have their free energies.")
    for state in states:
        if state.added is not None:
            for fault in state.added.shortcomings:
                yield Diagnosis("warning", f"{state.name}: {fault}.")
            beyond = abs(state.added.value) / max(
                float(np.hypot(state.labels_error, state.added.error)), 1e-12
            )
            if beyond > 3:
                yield Diagnosis(
                    "note",
                    f"{state.name}: the level adds {beyond:.1f} times what the scatter of potentials foretold.",
                )
