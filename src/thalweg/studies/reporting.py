"""Reports of runs: reads, analyzes, writes."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from pathlib import Path

from thalweg.interop.files.trajectories import read_topology
from thalweg.report.accounting import ANALYSIS, CAMPAIGN, DYNAMICS, citations, cost, force_field_keys
from thalweg.report.of_runs.analysis import Learned, Question, analyze_run
from thalweg.report.of_runs.evidence import from_loop, from_restarts
from thalweg.report.of_runs.files import write_report
from thalweg.report.results import Diagnosis, Results
from thalweg.report.rounding import significant
from thalweg.sampling.policies.slow_variable_loop import WEIGHTS, SlowVariableLoop
from thalweg.sampling.policy import Policy
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.sampling.tasks.slow_variable import SlowVariable
from thalweg.studies.apparatus import named_torsions
from thalweg.studies.running import RUN_FILE
from thalweg.studies.tables.study import BundledMolecule, Loop, Study, whole_steps
from thalweg.systems.topology import Topology

LEAST_OVERLAP = 0.01
"""Overlap of biased ensembles below which the weights between them mean little."""


def report_of_run(study: Study, run: Path) -> Results:
    """Analyze a finished run and write its report.

    Raises
    ------
    ValueError
        If the run is not finished.
    StoreError
        If what was committed was changed since.
    """
    store, policy = Store(run), study.policy()
    _check_finished(store, policy, run)
    topology = read_topology(run / "topology.pdb")
    torsions = named_torsions(topology)
    if isinstance(policy, SlowVariableLoop):
        evidence, learned = from_loop(store, policy, topology, torsions), _driven(store, policy)
    else:
        evidence, learned = from_restarts(store, policy, topology, torsions), None
    campaign = study.campaign
    question = Question(
        lagtime=policy.lagtime,
        lagtimes=tuple(
            whole_steps(lag, campaign.save_every, "[report] lagtimes") for lag in study.report.lagtimes
        ),
        clusters=campaign.states,
        sets=study.report.sets,
        regions={region.name: region.ranges for region in study.states},
    )
    results = analyze_run(evidence, question, learned)
    spent = cost(store, study.dynamics.dt)
    results = dataclasses.replace(
        results,
        title=study.title,
        subtitle=_subtitle(study, topology),
        simulated=_simulated(study, spent.nanoseconds, topology),
        diagnoses=(*_mishaps(store, policy), *results.diagnoses),
        cost=spent,
        provenance=_provenance(run, store),
        citations=citations(_keys(study)),
    )
    write_report(results, run)
    return results


def _check_finished(store: Store, policy: Policy, run: Path) -> None:
    """Whether everything planned is committed; every file read later is compared with its digest then."""
    if isinstance(policy, SlowVariableLoop):
        needed = [WEIGHTS]
    else:
        needed = [entry for seed in policy.seeds for entry in policy.entries(seed)]
    if missing := [entry for entry in needed if not store.has(entry)]:
        raise ValueError(
            f"{run} is not finished ({len(store.ids('segments'))} segments, {missing[0]} missing); "
            f"finish it by: thalweg resume {run}"
        )


def _driven(store: Store, policy: SlowVariableLoop) -> Learned:
    """The last variable of the first seed."""
    model = SlowVariable.read(store, policy.entries(policy.seeds[0], "learn")[-1])
    return tuple(f"slow {i + 1}" for i in range(model.matrix.shape[1])), model.values


def _subtitle(study: Study, topology: Topology) -> str:
    system = study.system
    where = f"ff14SB, {system.solvent}" if isinstance(system, BundledMolecule) else "from files"
    seeds = len(study.campaign.seeds)
    return (
        f"{len(topology)} atoms, {where}, {study.dynamics.temperature:g} K, {seeds} seed{'s' * (seeds > 1)}"
    )


def _simulated(study: Study, nanoseconds: float, topology: Topology) -> tuple[str, ...]:
    campaign, dynamics = study.campaign, study.dynamics
    what = (
        f"{significant(nanoseconds)} ns in all: {len(campaign.seeds)} independent seeds of "
        f"{campaign.walkers} walkers, time step {dynamics.dt * 1e3:g} fs, {dynamics.engine} engine."
    )
    if isinstance(campaign, Loop):
        how = (
            f"{campaign.cycles} times: {campaign.swarm:g} ps a walker without bias, learning {campaign.dim} "
            f"slow variables, {campaign.drive:g} ps of metadynamics on them; then {campaign.produce:g} ps "
            "under the bias held."
        )
    else:
        how = f"{campaign.swarms} swarms of {campaign.length:g} ps a walker, restarted by {campaign.rule}."
    return what, how


def _mishaps(store: Store, policy: Policy) -> list[Diagnosis]:
    """Walkers that diverged, and biased ensembles that do not overlap."""
    found = []
    for entry in store.ids("segments"):
        broken = json.loads(store.file(entry, "segment.json").read_text())["diverged"]
        found += [Diagnosis("warning", f"{entry}, walker {walker}: {why}") for walker, why in broken.items()]
    if isinstance(policy, SlowVariableLoop):
        overlap = WeightedFrames.read(store, WEIGHTS).card["least_overlap"]
        if overlap < LEAST_OVERLAP:
            found.append(
                Diagnosis("warning", f"Biases of the seeds share few frames: overlap {overlap:.3f}.")
            )
    return found


def _provenance(run: Path, store: Store) -> dict[str, dict[str, str]]:
    tables = tomllib.loads((run / RUN_FILE).read_text("utf-8"))
    sections = {name: table for name, table in tables.items() if isinstance(table, dict)}
    shown = {name: {key: _text(value) for key, value in table.items()} for name, table in sections.items()}
    return shown | {"data": {"folder": str(run.resolve()), "digest": store.digest()}}


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def _keys(study: Study) -> list[str]:
    kind = "slow-variable-loop" if isinstance(study.campaign, Loop) else "markov-restarts"
    system = study.system
    names = ("ff14SB", system.solvent) if isinstance(system, BundledMolecule) else system.forcefield or ()
    return [*DYNAMICS[study.dynamics.engine], *force_field_keys(names), *CAMPAIGN[kind], *ANALYSIS]
