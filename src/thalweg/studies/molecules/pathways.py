"""Which residues switch in a molecule's trajectories, and in which order they turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.collective_variables.interpretation.importance import (
    Importance,
    feature_labels,
    gradient_importance,
    loading_importance,
)
from thalweg.collective_variables.interpretation.ranking import Ranking, StabilitySelection
from thalweg.collective_variables.interpretation.turning import TurningOrder, turning_order
from thalweg.collective_variables.linear.kernel_tica import KernelTICA
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.neural.autoencoders import VariationalAutoencoder
from thalweg.interop.files.evidence_of_files import time_between_frames
from thalweg.interop.files.trajectories import TrajectoryFile, positions_at
from thalweg.interop.measured.feature_sets import FEATURE_SETS, feature_set
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.report.accounting import citations
from thalweg.report.of_molecules.pathway_pages import PathwayResults, write_pathway_report
from thalweg.report.of_runs.drawn_structures import drawn_atoms, molecule, turned_onto
from thalweg.report.page_parts import sentence
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant
from thalweg.studies.analyses import Analyses
from thalweg.studies.analyzing import Told, measured, opened_trajectories
from thalweg.studies.tables.language import StudyError
from thalweg.systems.topology import Topology
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import quantity, whole_multiple

METHODS: dict[str, tuple[Callable[[int], Any], tuple[str, ...]]] = {
    "tica": (lambda lag: TICA(lag, dim=1), ("perezhernandez2013",)),
    "sparse-tica": (lambda lag: SparseTICA(lag, dim=1), ("mcgibbon2017",)),
    "kernel-tica": (lambda lag: KernelTICA(lag, dim=1), ("schwantes2015",)),
    "autoencoder": (lambda lag: VariationalAutoencoder(dim=1), ("kingma2014",)),
}
"""What a coordinate is learned by, from its lag time in frames, and what to cite."""

LINEAR = ("tica", "sparse-tica")
"""Those whose loadings are of the features themselves."""

NO_ORDER = TurningOrder((), *(np.zeros(shape) for shape in (0, 0, (0, 0), (0, 0), 0)))
"""Where the data say nothing of it."""

FIRST = 4
"""Residues whose turns are looked at, named or not."""

SHOWN = 9
"""Structures along the way."""


@dataclass(frozen=True)
class PathwayStudy:
    """What to ask.

    Attributes
    ----------
    files, topology : trajectories, continuous and free of bias, and their atoms
    dt : time between frames, with unit; what the files say if None
    lag : of the slow coordinate, with unit
    features : name of the feature set
    method : one of `METHODS`
    halves : pairs of halves of the data that rankings must agree in
    seed : of the halves and of resampling
    """

    files: tuple[Path, ...]
    topology: Path
    dt: str | None = None
    lag: str = "10 ps"
    features: str = "torsions"
    method: str = "tica"
    halves: int = 5
    seed: int = 0

    def __post_init__(self):
        for option, given, known in (
            ("--method", self.method, METHODS),
            ("--features", self.features, FEATURE_SETS),
        ):
            if given not in known:
                raise StudyError(f'{option} "{given}" is unknown; use one of {", ".join(known)}')
        if self.halves < 1:
            raise StudyError(f"--halves {self.halves}; give one pair or more")


def pathway_study(asked: PathwayStudy, folder: Path, progress: Callable[[str], Told]) -> PathwayResults:
    """Name the residues of a switch and write a report into ``folder``.

    Raises
    ------
    ValueError, FileNotFoundError
        If a file or a setting is wrong; the message says which.
    """
    check_links(folder)
    atoms, files = opened_trajectories(asked.files, asked.topology)
    given = None if asked.dt is None else quantity(asked.dt, "time")
    dt, notes = time_between_frames(files, given)
    lag = whole_multiple(quantity(asked.lag, "time"), dt, "--lag")
    members = _members(asked.features, atoms)
    data = measured(asked.features, files, atoms, dt, folder, progress)
    method, cited = METHODS[asked.method]
    learner, told = method(lag), progress(f"learning by {asked.method}")
    model = learner.fit(data)
    told("of all frames", 1.0)
    ranking = _ranked(asked, learner, data, members, progress("ranking residues"))
    groups = (*ranking.named, *ranking.names[:FIRST])
    analyses = Analyses()
    order = analyses(
        "the order",
        lambda: turning_order(model.transform, data, members, groups, seed=asked.seed),
        NO_ORDER,
    )
    along, structures = _along(model, data, files, atoms)
    timescales = getattr(model, "timescales", None)
    slow = None if timescales is None else float(np.asarray(timescales)[0]) * dt
    results = PathwayResults(
        title=f"{asked.topology.stem}: which residues switch",
        subtitle=f"{len(atoms)} atoms, {data.n_frames} frames of {len(files)} files",
        ranking=ranking,
        order=order,
        along=along,
        structures=structures,
        molecule=molecule(atoms, drawn_atoms(atoms)),
        asked=(
            f"{data.n_frames} frames, {dt:g} ps apart, by {data.n_features} features ({asked.features}); the slowest "
            f"coordinate by {asked.method} at {asked.lag}, {2 * asked.halves} halves of the data.",
        ),
        found=_found(ranking, order, slow),
        certainty=_certainty(ranking, order),
        diagnoses=tuple(
            Diagnosis("warning", sentence(note))
            for note in dict.fromkeys((*notes, *getattr(model, "notes", ()), *ranking.notes, *order.notes))
        )
        + tuple(Diagnosis("warning", f"{file.told}.") for file in files if file.told)
        + analyses.diagnoses(),
        provenance={
            "settings": {
                "method": repr(learner),
                "features": asked.features,
                "lag time": asked.lag,
                "pairs of halves": str(asked.halves),
                "seed": str(asked.seed),
            },
            "files": {path.name: str(path.resolve()) for path in asked.files},
            "versions": versions(),
        },
        citations=citations((*cited, "meinshausen2010", "shah2013")),
    )
    write_pathway_report(results, folder)
    return results


def _members(name: str, atoms: Topology) -> list[tuple[str, ...]]:
    """The residue of each atom of each feature."""
    return feature_labels(feature_set(atoms, name).atoms, [atoms.residue(k) for k in range(len(atoms))])


def _ranked(
    asked: PathwayStudy, learner: Any, data: Trajectories, members: list[tuple[str, ...]], told: Told
) -> Ranking:
    fits = 1 + 2 * asked.halves

    def importance(part: Trajectories, done: list[int] = [0]) -> Importance:  # noqa: B006
        model = learner.fit(part)
        done[0] += 1
        told(f"fit {done[0]} of {fits}", min(1.0, done[0] / fits))
        if asked.method in LINEAR:
            return loading_importance(model, part)
        return gradient_importance(model.transform, part, most=2000)

    return StabilitySelection(pairs=asked.halves, coordinate=0, seed=asked.seed).rank(
        data, importance, members
    )


def _along(
    model: Any, data: Trajectories, files: list[TrajectoryFile], atoms: Topology
) -> tuple[np.ndarray, np.ndarray]:
    """Places along the coordinate, and the structure nearest to each ``(places, atoms drawn, 3)``."""
    values = np.concatenate([np.asarray(model.transform(np.asarray(x, float)))[:, 0] for x in data.blocks])
    low, high = np.quantile(values, [0.005, 0.995])
    wanted = np.linspace(low, high, SHOWN)
    chosen = np.unique([int(np.abs(values - place).argmin()) for place in wanted])
    starts = np.concatenate([[0], np.cumsum(data.lengths)])
    files_of = np.searchsorted(starts, chosen, side="right") - 1
    places = [(int(file), int(frame - starts[file])) for file, frame in zip(files_of, chosen)]
    positions, _ = positions_at(files, places)
    drawn = positions[:, drawn_atoms(atoms)]
    order = np.argsort(values[chosen])
    return values[chosen][order], turned_onto(drawn[order][0], drawn[order])


def _found(ranking: Ranking, order: TurningOrder, slow: float | None) -> tuple[str, ...]:
    said = []
    if slow is not None and np.isfinite(slow):
        said.append(f"The slowest coordinate relaxes within {significant(slow * 1e-3)} ns.")
    if ranking.named:
        said.append(f"Residues of the switch: {', '.join(ranking.named)}.")
    else:
        first = ", ".join(ranking.names[:FIRST])
        said.append(f"No residue is named: halves of the data do not agree. First by all data: {first}.")
    if len(order.sure) > 1:
        turns = ", then ".join(" and ".join(each) for each in order.sure)
        said.append(f"Those that turn do so in this order: {turns}.")
    elif len(order.names) > 1:
        said.append(f"In which order {', '.join(order.names)} turn is not sure.")
    return tuple(said)


def _certainty(ranking: Ranking, order: TurningOrder) -> tuple[str, ...]:
    said = [
        f"Of residues without a part, {ranking.by_chance:.2g} or fewer are expected among those named, if they are "
        "alike."
    ]
    if len(order.names) > 1:
        said.append(
            "An order is told where it is the same in 95 of 100 resampled data sets; it is one along the coordinate, "
            "from the form with more frames, not one in time."
        )
    return tuple(said)
