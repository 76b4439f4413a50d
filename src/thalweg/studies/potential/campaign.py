"""From a name or a structure to a potential: one command, one folder, and the same command goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from thalweg.interop.files.configurations import write_configurations
from thalweg.interop.quantum.levels import level_of
from thalweg.labeling.level import Level, formula
from thalweg.learned_potentials.frames.errors import errors_of
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.uncertainty.graded import graded
from thalweg.learning.storage import load_tree, save_tree, tree_digest
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.report.accounting import citations
from thalweg.report.of_potentials.campaigns import CampaignResults, write_campaign_report
from thalweg.report.results import Diagnosis
from thalweg.sampling.campaign import drive
from thalweg.sampling.executors import processes, serial
from thalweg.sampling.policies.active_learning import (
    PHASES,
    TEST,
    ActiveLearning,
    CycleRecord,
    begin_learning,
    bought,
    cycles_done,
    lesson_entry,
    sets_taught,
)
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.label import DIGITS, StoredLabel
from thalweg.sampling.tasks.teach import Lesson, labels_of, parted
from thalweg.studies.analyzing import Told
from thalweg.studies.potential.beginning import Beginning, beginning_of
from thalweg.studies.potential.repair import Repaired, repaired
from thalweg.studies.potential.verdict import Verdict, verdict_on
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.potential_study import LearnedStudy
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

MODEL, LABELS, START = "model.thalweg", "labels.xyz", "start.xyz"

ENDED = {
    "aim": "It ended since forces are as right as wanted and walkers last.",
    "labels": "It ended since all labels that were allowed are bought; what was wanted is not reached.",
    "cycles": "It ended since all cycles that were allowed are done; what was wanted is not reached.",
}
"""Which rule fired, in words."""

CITED = {"GFN2-xTB": "bannwarth2019", "GFN1-xTB": "grimme2017"}


def potential_study(study: LearnedStudy, folder: Path, progress: Callable[[str], Told]) -> CampaignResults:
    """Carry out ``study`` in ``folder``: labels, model, page; a second call goes on where the first was stopped.

    Raises
    ------
    ValueError, FileNotFoundError
        If a file, a SMILES or a setting is wrong, or the level cannot be asked about these atoms.
    """
    check_links(folder)
    level = level_of(study.potential.level, study.potential.charge, study.potential.unpaired)
    store = Store(folder / "campaign")
    begun = _begun(store, study, level, progress("beginning"))
    _foretell(study, begun, level)
    begin_learning(store, begun.first, begun.test, level, begun.recipe, begun.given)
    watch = progress("learning")
    executor = serial if study.potential.workers == 1 else processes(study.potential.workers)
    drive(store, study.learning, executor, observers=(_observer(store, study.learning, watch),))
    cycle = cycles_done(store) - 1
    watch(str(study.learning.told(store, cycle)), 1.0)
    known = [*begun.given, *labels_of(store, sets_taught(store, cycle))]
    last = Lesson.read(store, lesson_entry(cycle)).potential
    mended = repaired(
        last, begun, level, Store(folder / "repairs"), known, study.learning.seed, progress("displacing")
    )
    potential = _finished(mended, known)
    potential.save(folder / MODEL)
    write_configurations(folder / LABELS, [*known, *mended.bought])
    write_configurations(folder / START, [begun.minimum])
    verdict = verdict_on(potential, mended.far, begun, study, progress("trying"))
    results = _results(study, store, level, begun, replace(mended, potential=potential), verdict)
    write_campaign_report(results, folder)
    return results


def _begun(store: Store, study: LearnedStudy, level: Level, told: Told) -> Beginning:
    """Frames as they were made when first asked for: dynamics need not repeat itself to the last bit."""
    asked = replace(
        study.potential, workers=1, days=1.0, run=1.0
    )  # which frames are made does not depend on these
    entry = f"geometries/{tree_digest((asked, study.learning, level))[:DIGITS]}"
    others = [name for name in store.ids("geometries") if name != entry]
    if others:
        raise StudyError(
            f"{store.path.parent} was begun with another study; give another --out, or the settings of that one"
        )
    if not store.has(entry):
        made = beginning_of(study.potential, level, study.learning, study.recipe, told)
        store.commit(entry, lambda folder: save_tree(folder / "beginning.tree", made))
    told("done", 1.0)
    return load_tree(store.file(entry, "beginning.tree"))


def _foretell(study: LearnedStudy, begun: Beginning, level: Level) -> None:
    """Refuse what would take days on end, with the number."""
    count = study.learning.labels + len(begun.test)
    days = count * level.seconds(begun.first[0]) / 86_400
    if days > study.potential.days:
        raise StudyError(
            f"up to {count} labels by {level.name} would take about {days:.3g} days of one core (to a factor of three),"
            f" and {study.potential.days:g} are allowed; allow fewer labels, a cheaper level, or more days"
        )


def _observer(store: Store, learning: ActiveLearning, watch: Told):
    """Tells how far the campaign is: labels, error, threshold, time until walkers are unsure."""
    latest, share = ["labeling the first frames"], [0.0]

    def observe(round: int, task: Task, done: int, total: int, seconds: float | None) -> None:
        cycle, phase = divmod(round - 1, PHASES)
        if round and phase == 0:
            lesson = Lesson.read(store, lesson_entry(cycle))
            error = lesson.force_error / unit("meV/Å", "force")
            latest[0] = f"{lesson.labels} labels, {error:.1f} meV/Å on the test frames"
            share[0] = bought(store, cycle) / learning.labels
        elif round and phase == 1 and done == total:
            latest[0] = str(learning.told(store, cycle))
        watch(
            latest[0] + (f"; labeling {done} of {total}" if task.work.kind == "label" else ""),
            min(share[0], 0.99),
        )

    return observe


def _finished(mended: Repaired, known: Sequence[Configuration]) -> LearnedPotential:
    """The last potential, with what spans the frames it was taught, and the day."""
    potential = mended.potential
    fitted, held_out = parted(known)
    if potential.environments is None or mended.labels:
        potential = graded(potential, [*fitted, *mended.labels], held_out)
    today = datetime.now(UTC).isoformat(timespec="seconds")
    return replace(potential, card={**potential.card, "date": today})


def _results(
    study: LearnedStudy,
    store: Store,
    level: Level,
    begun: Beginning,
    mended: Repaired,
    verdict: Verdict,
) -> CampaignResults:
    learning, last = study.learning, cycles_done(store) - 1
    cycles = tuple(learning.told(store, cycle) for cycle in range(last + 1))
    rule = learning.over(store, last)
    assert rule is not None
    one, end = unit("meV/Å", "force"), cycles[-1]
    spent = bought(store, last)
    name = formula(begun.minimum)
    keys = [*learning.cites, CITED.get(level.name, "sun2020"), "chmiela2018", "smith2017"]
    return CampaignResults(
        title=f"A potential of {name}",
        subtitle=f"{level.name}, {end.labels} labels, {end.force_error / one:.1f} meV/Å",
        cycles=cycles,
        error=learning.error,
        duration=learning.duration,
        ended=ENDED[rule],
        asked=(
            f"A potential of {name} at the level {level.name}, from {', '.join(study.potential.what)}"
            + (f", over {study.potential.baseline}." if study.potential.baseline else "."),
            f"Force errors of {learning.error / one:.0f} meV/Å or less, and "
            f"{100 * learning.lasting:.0f} % of walkers that last {learning.duration:g} ps at "
            f"{' and '.join(f'{T:g}' for T in learning.temperatures)} K.",
        ),
        found=(
            f"{spent} labels bought, {len(begun.test)} more to judge by"
            + (f", {len(begun.given)} given." if begun.given else "."),
            f"Forces are off by {end.force_error / one:.1f} meV/Å (root mean square of components) and energies by "
            f"{end.energy_error / unit('meV', 'energy'):.2g} meV an atom on frames that nothing was taught of.",
            ENDED[rule],
            *_mended(mended, store),
            verdict.sentence,
        ),
        certainty=_certainty(end, begun),
        checks=verdict.checks,
        card=_card(mended.potential),
        diagnoses=(*_diagnoses(rule, end, store), *verdict.diagnoses),
        provenance={
            "settings": {key: str(value) for key, value in study.table["potential"].items()},
            "learning": {key: str(value) for key, value in study.table["learning"].items()},
            "level": dict(StoredLabel.read(store, store.ids("labels")[0]).provenance),
            "versions": versions(),
        },
        citations=citations(tuple(dict.fromkeys(keys))),
    )


def _mended(mended: Repaired, store: Store) -> tuple[str, ...]:
    """What large displacements cost, and the error afterwards."""
    if not mended.bought:
        return ()
    began = (
        f"Large displacements led below the start or did not conserve energy; {len(mended.bought)} labels more were "
        "bought there"
    )
    if not mended.labels:
        return (f"{began}, but no potential that was taught them did better: the one before is kept.",)
    test = labels_of(store, (TEST,))
    error = errors_of(test, mended.potential.evaluate(test)).forces.rmse / unit("meV/Å", "force")
    return (
        f"{began}, and {len(mended.labels)} of them taught. Forces on the test frames are off by {error:.1f} meV/Å "
        "since then.",
    )


def _certainty(end: CycleRecord, begun: Beginning) -> tuple[str, ...]:
    one = unit("meV/Å", "force")
    alarm = (
        f"grades beyond {end.threshold:.2g}"
        if end.by_grade
        else f"force errors beyond {end.threshold / one:.0f} meV/Å"
    )
    stopped = "" if end.lasted == 1 else f", the first did after {end.shortest_time:g} ps"
    return (
        f"Frames to learn from first: {', '.join(begun.made)}; those to judge by are of dynamics with a cheap method, "
        "whose steps are not counted as labels.",
        f"The alarm is about {alarm}, by frames left out of the fit; {100 * end.lasted:.0f} % of the last walkers "
        f"never raised it{stopped}.",
        "The potential is of this molecule or crystal alone, and as right as its level.",
    )


def _diagnoses(rule: str, end: CycleRecord, store: Store):
    if rule != "aim":
        yield Diagnosis("warning", ENDED[rule])
    if end.broken:
        yield Diagnosis("warning", f"{end.broken} of the last walkers broke before the alarm was raised.")
    failed = [name for name in store.ids("labels") if StoredLabel.read(store, name).failed]
    if failed:
        yield Diagnosis("note", f"{len(failed)} frames have no label; they are kept with the reason.")
    tests = len(labels_of(store, (TEST,)))
    if tests < 20:
        yield Diagnosis("note", f"The error is judged by {tests} frames only.")


def _card(potential: LearnedPotential) -> dict[str, str]:
    """What concerns a reader, in words."""
    shown = ("recipe", "elements", "training", "validation", "versions", "date")
    return {key: str(potential.card[key]) for key in shown if key in potential.card}
