"""Reports of runs: reads, analyzes, writes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thalweg.geometry.torsions import named_torsions
from thalweg.interop.files.trajectories import read_topology
from thalweg.machine.reading import read_json, read_toml
from thalweg.report.accounting import ANALYSIS, DYNAMICS, citations, cost, force_field_keys
from thalweg.report.of_runs.analysis import Question, analyze_run
from thalweg.report.of_runs.evidence import from_campaign
from thalweg.report.of_runs.files import write_report
from thalweg.report.results import Diagnosis, Results
from thalweg.report.rounding import significant
from thalweg.sampling.policy import CampaignRecord, Policy
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.studies.runs.running import RUN_FILE, store_of
from thalweg.studies.tables.study import Files, LearnedMolecule, MoleculeInSolvent, Study
from thalweg.systems.topology import Topology
from thalweg.units import whole_multiple

Cards = Mapping[str, Mapping[str, Any]]
"""What every segment says of itself, by its entry."""


def report_of_run(study: Study, run: Path) -> Results:
    """Analyze a finished run and write its report.

    Raises
    ------
    ValueError
        If the run is not finished.
    StoreError
        If what was committed was changed since.
    """
    store, policy = store_of(run), study.campaign
    _check_finished(store, policy, run)
    _check_whole(store, run)
    topology = read_topology(run / "topology.pdb")
    course, driven = policy.evidence(store), policy.variable(store)
    evidence = from_campaign(store, course, topology, named_torsions(topology))
    results = analyze_run(
        evidence,
        _question(study, course),
        None if driven is None else (driven.names, driven.values),
    )
    spent, cards = cost(store), _cards(store)
    results = dataclasses.replace(
        results,
        title=study.title,
        subtitle=_subtitle(study, topology),
        simulated=_simulated(study, spent.nanoseconds),
        diagnoses=(*_mishaps(store, course, cards), *_history(store, cards), *results.diagnoses),
        cost=spent,
        provenance=_provenance(run, store),
        citations=citations(_keys(study)),
    )
    write_report(results, run)
    return results


def _check_finished(store: Store, policy: Policy, run: Path) -> None:
    """Whether everything planned is committed."""
    if missing := [entry for entry in policy.needed() if not store.has(entry)]:
        raise ValueError(
            f"{run} is not finished ({len(store.ids('segments'))} segments, {missing[0]} missing); "
            f"finish it by: thalweg resume {run}"
        )


def _check_whole(store: Store, run: Path) -> None:
    """Whether every committed file is what it was."""
    damaged = [problem for problems in store.damage().values() for problem in problems]
    if damaged:
        more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        raise ValueError(
            f"{run} is damaged: {'; '.join(damaged[:3])}{more}; what is damaged is set aside and made again by: "
            f"thalweg resume {run}"
        )


def _question(study: Study, course: CampaignRecord) -> Question:
    """What the study wants to know, times in frames."""
    asked, every = study.report, study.campaign.save_every
    return Question(
        lagtime=whole_multiple(asked.lagtime or course.lagtime, every, "[report] lagtime"),
        lagtimes=tuple(whole_multiple(lag, every, "[report] lagtimes") for lag in asked.lagtimes),
        clusters=asked.clusters,
        sets=asked.sets,
        regions={region.name: region.ranges for region in study.states},
    )


def _subtitle(study: Study, topology: Topology) -> str:
    system = study.system
    where = f"ff14SB, {system.solvent}" if isinstance(system, MoleculeInSolvent) else "from files"
    where = "learned potential" if isinstance(system, LearnedMolecule) else where
    seeds = len(study.campaign.seeds)
    return (
        f"{len(topology)} atoms, {where}, {study.dynamics.temperature:g} K, {seeds} seed{'s' * (seeds > 1)}"
    )


def _simulated(study: Study, nanoseconds: float) -> tuple[str, ...]:
    campaign, dynamics = study.campaign, study.dynamics
    what = (
        f"{significant(nanoseconds)} ns in all: {len(campaign.seeds)} independent seeds of "
        f"{campaign.walkers} walkers, {type(study.integrator).__name__} dynamics in steps of {dynamics.dt * 1e3:g} fs, "
        f"{dynamics.engine} engine."
    )
    return what, *campaign.in_words()


def _cards(store: Store) -> Cards:
    """What every segment says of itself."""
    return {
        entry: read_json(store.file(entry, "segment.json"), "what a segment says of itself")
        for entry in store.ids("segments")
    }


def _mishaps(store: Store, course: CampaignRecord, cards: Cards) -> list[Diagnosis]:
    """Walkers that diverged, and biased ensembles that do not overlap."""
    found = []
    for entry, card in cards.items():
        broken = card["diverged"].items()
        found += [Diagnosis("warning", f"{entry}, walker {walker}: {why}") for walker, why in broken]
    if course.weights is not None:
        doubts = WeightedFrames.read(store, course.weights).card["doubts"]
        found += [Diagnosis("warning", f"Weights of the seeds: {doubt}.") for doubt in doubts]
    return found


def _history(store: Store, cards: Cards) -> list[Diagnosis]:
    """What happened to the folder: versions that changed, damage that was mended, files of others."""
    found = []
    made_by = {json.dumps(card.get("versions", {}), sort_keys=True) for card in cards.values()}
    if len(made_by) > 1:
        seen = [json.loads(text) for text in made_by]
        mixed = {
            name: sorted({one.get(name, "none") for one in seen}) for name in sorted({*seen[0], *seen[1]})
        }
        told = ", ".join(f"{name} {' and '.join(of)}" for name, of in mixed.items() if len(of) > 1)
        found.append(Diagnosis("warning", f"Segments were made by different versions: {told}."))
    for note in store.diary():
        if "damaged" in note:
            found.append(
                Diagnosis(
                    "note", f"{note['problems'][0]}; it was set aside as {note['kept']} and made again."
                )
            )
        elif "differs" in note:
            found.append(
                Diagnosis("warning", f"{note['differs']} was made again and differs from what it was.")
            )
    return found + [Diagnosis("note", f"{told}.") for told in store.strangers()]


def _provenance(run: Path, store: Store) -> dict[str, dict[str, str]]:
    tables = read_toml(run / RUN_FILE, "the study of a run")
    sections = {name: table for name, table in tables.items() if isinstance(table, dict)}
    shown = {name: {key: _text(value) for key, value in table.items()} for name, table in sections.items()}
    return shown | {"data": {"folder": str(run.resolve()), "digest": store.digest()}}


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def _keys(study: Study) -> list[str]:
    """Works to cite: those of the engine, the force field, the policy, its bias, and the analysis."""
    system, policy = study.system, study.campaign
    own = ("ff14SB", system.solvent) if isinstance(system, MoleculeInSolvent) else ()
    names = system.forcefield or () if isinstance(system, Files) else own
    parts = (policy, *(getattr(policy, name, None) for name in ("bias", "rule", "learner")))
    cited = [key for part in parts for key in getattr(part, "cites", ())]
    return [*DYNAMICS[study.dynamics.engine], *force_field_keys(names), *cited, *ANALYSIS]
