"""A report of a user's own trajectories, its model chosen by score where several are offered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from thalweg.geometry.torsions import named_torsions
from thalweg.interop.files.evidence_of_files import check_given_once, time_between_frames
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.interop.measured.feature_sets import FEATURE_SETS, feature_set
from thalweg.interop.measured.frame_features import FeaturesAlongFile
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.model_scan import Combination, ModelScan, ScanTable
from thalweg.machine.links import check_links
from thalweg.machine.reading import quietly
from thalweg.machine.versions import versions
from thalweg.report.accounting import ANALYSIS, citations
from thalweg.report.drawing import drawn_choice
from thalweg.report.of_runs.analysis import KINETIC_DIM, Question, analyze_run
from thalweg.report.of_runs.evidence import from_files
from thalweg.report.of_runs.files import write_report
from thalweg.report.of_runs.kinetic_picture import SHOWN
from thalweg.report.results import ModelChoice, Results
from thalweg.report.rounding import significant
from thalweg.studies.tables.language import StudyError
from thalweg.systems.topology import Topology
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import quantity, thermal_energy, whole_multiple

Told = Callable[[str, float], None]
"""What progress is told to: a message and the fraction done."""


@dataclass(frozen=True)
class Analysis:
    """What to make of trajectories, continuous and free of bias.

    Where ``features``, ``tica_lags``, ``dims`` and ``states`` offer more than one combination, each is scored on
    trajectories left out and the simplest of the best is used.

    Attributes
    ----------
    files, topology : trajectories and their atoms
    dt : time between frames, with unit; what the files say if None
    lag : time of the Markov model, with unit
    temperature : with unit
    features : names of feature sets
    tica_lags : lag times of the slow coordinates, with units; that of the Markov model if empty
    dims : numbers of slow coordinates
    states : numbers of clusters
    sets : number of long-lived states to describe
    """

    files: tuple[Path, ...]
    topology: Path
    dt: str | None = None
    lag: str = "10 ps"
    temperature: str = "300 K"
    features: tuple[str, ...] = ("torsions",)
    tica_lags: tuple[str, ...] = ()
    dims: tuple[int, ...] = ()
    states: tuple[int, ...] = (100,)
    sets: int = 3

    def __post_init__(self):
        if unknown := [name for name in self.features if name not in FEATURE_SETS]:
            raise StudyError(f'--features "{unknown[0]}" is unknown; use some of {", ".join(FEATURE_SETS)}')
        if min(self.states) < 2 or not 2 <= self.sets <= min(self.states):
            raise StudyError(
                f"--states {min(self.states)} --sets {self.sets}; give at least 2 sets, and as many states or more"
            )
        if any(dim < 1 for dim in self.dims):
            raise StudyError(f"--dim {min(self.dims)}; give at least 1")
        if self.dt is not None and not quantity(self.dt, "time") > 0:
            raise StudyError(f'--dt "{self.dt}"; give the time between frames, such as "1 ps"')

    def frames(self, time: str, where: str, dt: float) -> int:
        """A time in frames ``dt`` apart [ps].

        Raises
        ------
        StudyError
            If it is no whole number of frames.
        """
        return whole_multiple(quantity(time, "time"), dt, where)

    @property
    def combinations(self) -> int:
        """How many models are offered."""
        return len(self.features) * max(1, len(self.tica_lags)) * max(1, len(self.dims)) * len(self.states)


def report_of_files(asked: Analysis, folder: Path, progress: Callable[[str], Told]) -> Results:
    """Analyze a user's own trajectories; the report goes into ``folder``, where a scan that was stopped goes on.

    Raises
    ------
    ValueError, FileNotFoundError
        If a file or a setting is wrong; the message says which.
    """
    check_links(folder)
    kT = thermal_energy(quantity(asked.temperature, "temperature"))
    atoms, files = opened_trajectories(asked.files, asked.topology)
    given = None if asked.dt is None else quantity(asked.dt, "time")
    dt, notes = time_between_frames(files, given)
    lagtime = asked.frames(asked.lag, "--lag", dt)
    tica_lags = tuple(asked.frames(lag, "--tica-lag", dt) for lag in asked.tica_lags) or (lagtime,)
    data = {name: measured(name, files, atoms, dt, folder, progress) for name in asked.features}
    question, used = Question(lagtime, clusters=asked.states[0], sets=asked.sets), asked.features[0]
    if asked.dims or asked.tica_lags:
        question = replace(question, reduction=(tica_lags[0], (asked.dims or (KINETIC_DIM,))[0]))
    choice = None
    if asked.combinations > 1:
        scan = ModelScan(
            MarkovStateModel(lagtime, n_processes=SHOWN),
            tica_lags,
            asked.dims or (KINETIC_DIM,),
            clusterings=("k-means and k-centers",),
            n_states=asked.states,
        )
        table = scan.run(data, folder / "scan", progress("scoring models"))
        best = table.simplest.combination
        used, choice = best.features, _choice(table, asked, dt)
        question = replace(question, clusters=best.n_states, reduction=(best.lagtime, best.dim))
    evidence = from_files(files, named_torsions(atoms), data[used], kT)
    results = analyze_run(evidence, question)
    results = replace(
        results,
        choice=choice,
        title=f"{asked.topology.stem}: {len(files)} trajector{'y' if len(files) == 1 else 'ies'}",
        subtitle=f"{len(atoms)} atoms, {_length(data[used])} at {asked.temperature}",
        simulated=(
            f"{int(data[used].lengths.sum())} frames, {dt:g} ps apart, "
            "taken as continuous and free of bias within each file.",
        ),
        found=(*(f"{file.told}." for file in files if file.told), *notes, *_chosen(choice), *results.found),
        provenance={
            "settings": _settings(asked, used, question, dt),
            "files": {path.name: str(path.resolve()) for path in asked.files},
            "versions": versions(),
        },
        citations=citations(ANALYSIS if choice is None else (*ANALYSIS, "mcgibbon2015", "schen2019")),
    )
    write_report(results, folder)
    return results


def opened_trajectories(paths: Sequence[Path], topology: Path) -> tuple[Topology, list[TrajectoryFile]]:
    """The atoms, and a user's trajectories of them, each given once.

    Raises
    ------
    ValueError, FileNotFoundError
        If a file is missing, damaged, given twice, or of other atoms.
    """
    check_given_once(paths)
    atoms = read_topology(topology)
    with quietly():  # what is odd about a file is told with the results
        return atoms, [TrajectoryFile(path, atoms) for path in paths]


def measured(
    name: str,
    files: list[TrajectoryFile],
    atoms: Topology,
    dt: float,
    folder: Path,
    progress: Callable[[str], Told],
) -> Trajectories:
    """Features along all files, each computed once and kept in the folder, however large."""
    features = feature_set(atoms, name)
    kept, told, blocks = folder / "features", progress(f"measuring {name}"), []
    kept.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        seen = file.path.stat()
        identity = repr((str(file.path.resolve()), seen.st_size, seen.st_mtime_ns, features.names))
        path = kept / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.npy"
        along = FeaturesAlongFile(file, features)
        blocks.append(along.opened(path) if path.exists() else along.stored(path))
        told(file.path.name, (number + 1) / len(files))
    return Trajectories(blocks, dt=dt, names=features.names)


def _choice(table: ScanTable, asked: Analysis, dt: float) -> ModelChoice:
    score = f"VAMP-2 score of {SHOWN + 1} functions at {asked.lag}, held out"
    return drawn_choice(table, score, lambda one: _name(one, dt))


def _name(one: Combination, dt: float) -> str:
    return f"{one.features}, {one.dim} slow at {one.lagtime * dt:g} ps, {one.n_states} states"


def _chosen(choice: ModelChoice | None) -> tuple[str, ...]:
    if choice is None:
        return ()
    one = choice.candidates[choice.chosen]
    return (f"Of {len(choice.candidates)} models the simplest of the best: {one.name}.",)


def _length(data: Trajectories) -> str:
    return f"{significant(float(data.lengths.sum()) * data.dt * 1e-3)} ns"


def _settings(asked: Analysis, used: str, question: Question, dt: float) -> dict[str, str]:
    found = {"lag": asked.lag, "features": used, "states": str(question.clusters), "sets": str(asked.sets)}
    if question.reduction is not None:
        lagtime, dim = question.reduction
        found |= {"slow coordinates": f"{dim} by TICA at {lagtime * dt:g} ps"}
    return found
