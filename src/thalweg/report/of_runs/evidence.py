"""What an analysis starts from: trajectories with features, named torsions and weights.

A walk is one continuous trajectory. ``moving`` walks are free of bias and tell about time; ``weighted`` walks
tell, with their weights, what is how likely. They come from a campaign (`from_campaign`) or from trajectory
files (`from_files`), and are the same to whoever reads them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.variables import Dihedrals
from thalweg.interop.files.trajectories import TrajectoryFile, read_trajectory
from thalweg.interop.measured.frame_features import FeaturesAlongFile
from thalweg.sampling.plans import read_plan
from thalweg.sampling.policy import CampaignRecord, Walkers
from thalweg.sampling.segment import Segment, walks
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.systems.topology import Topology
from thalweg.time_series.trajectories import Trajectories

MOST_ROUNDS, MOST_WALKERS, MOST_DRAWN = 40, 16, 1000
"""Rounds shown of a campaign, walkers read of each, and frames shown."""


@dataclass(frozen=True, eq=False)
class Walk:
    """One continuous trajectory.

    Attributes
    ----------
    seed : number of the independent run it belongs to, from zero
    features : (frames, features)
    torsions : (frames, torsions) [rad]
    places : (frames, 3) int, which file, which trajectory in it and which frame there
    """

    seed: int
    features: np.ndarray
    torsions: np.ndarray
    places: np.ndarray


@dataclass(frozen=True, eq=False)
class RunEvidence:
    """All walks of a run, and what is needed to read them.

    Attributes
    ----------
    topology : of the frames
    torsion_names : names of the columns of ``torsions``
    feature_names : names of the columns of ``features``
    kT : [kJ/mol]
    dt : time between frames [ps]
    moving : walks free of bias
    weighted : walks whose frames have weights; the moving ones where all frames count alike
    pooled : for each weighted walk, log weights among the frames of all seeds; None if not known beforehand
    own : likewise, among the frames of its own seed
    files : where frames lie: ``files[place[0]]`` is a folder of walkers or a trajectory file
    rounds : torsions (frames, torsions) [rad] of some frames of some rounds of a campaign, by number, biased or not
    """

    topology: Topology
    torsion_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    kT: float
    dt: float
    moving: tuple[Walk, ...]
    weighted: tuple[Walk, ...]
    pooled: tuple[np.ndarray, ...] | None
    own: tuple[np.ndarray, ...] | None
    files: tuple[Path, ...]
    rounds: Mapping[int, np.ndarray] = field(default_factory=dict)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Numbers of the independent runs."""
        return tuple(sorted({walk.seed for walk in (*self.moving, *self.weighted)}))

    def positions(self, place: np.ndarray) -> np.ndarray:
        """Positions ``(atoms, 3)`` [nm] of the frame at ``place``."""
        file, walker, frame = (int(number) for number in place)
        path = self.files[file]
        if path.is_dir():
            path = path / f"walker-{walker:03d}.dcd"
        start = 0
        for chunk in TrajectoryFile(path, self.topology):
            if frame < start + len(chunk.positions):
                return chunk.positions[frame - start]
            start += len(chunk.positions)
        raise ValueError(f"{path} has {start} frames, frame {frame} was asked for")


def from_campaign(
    store: Store, course: CampaignRecord, topology: Topology, torsions: Mapping[str, np.ndarray]
) -> RunEvidence:
    """The evidence of a finished campaign, as its policy names it."""
    reader = _SegmentReader(store, topology, torsions)
    moving = reader.walks(course.moving)
    rounds = reader.rounds()
    if course.weights is None:
        return reader.evidence(moving, moving, None, None, rounds)
    weights = WeightedFrames.read(store, course.weights)
    weighted = reader.walks(course.weighted)
    return reader.evidence(moving, weighted, weights.walks("pooled"), weights.walks("log_weights"), rounds)


def from_files(
    files: Sequence[TrajectoryFile], torsions: Mapping[str, np.ndarray], features: Trajectories, kT: float
) -> RunEvidence:
    """The evidence in trajectory files, each one continuous and free of bias, and features of their frames."""
    topology = files[0].topology
    angles = Dihedrals(np.array(list(torsions.values())), topology)
    moving = []
    for number, (file, values) in enumerate(zip(files, features.blocks)):
        measured = np.concatenate(list(FeaturesAlongFile(file, angles)))
        places = np.zeros((len(measured), 3), int)
        places[:, 0], places[:, 2] = number, np.arange(len(measured))
        moving.append(Walk(0, values, measured, places))
    return RunEvidence(
        topology,
        tuple(torsions),
        tuple(features.names or ()),
        kT,
        features.dt,
        tuple(moving),
        tuple(moving),
        None,
        None,
        tuple(file.path for file in files),
    )


class _SegmentReader:
    """Reads segments once each, measures torsions on their frames, and joins consecutive ones to walks."""

    def __init__(self, store: Store, topology: Topology, torsions: Mapping[str, np.ndarray]):
        self.store, self.topology, self.names = store, topology, tuple(torsions)
        self.angles = Dihedrals(np.array(list(torsions.values()), int).reshape(-1, 4), topology)
        self.card: dict = {}
        self.folders: list[Path] = []

    def walks(self, all_walkers: Sequence[Walkers]) -> list[Walk]:
        return [walk for walkers in all_walkers for walk in self._of(walkers)]

    def _of(self, walkers: Walkers) -> list[Walk]:
        segments = [self._with_everything(Segment.read(self.store, entry)) for entry in walkers.segments]
        width = len(self.card["features"])
        return [
            Walk(walkers.seed, walk[:, :width], walk[:, width:-3], walk[:, -3:].astype(int))
            for walk in walks(segments, "features", walkers.skip)
        ]

    def rounds(self) -> dict[int, np.ndarray]:
        """Torsions of some frames of rounds evenly chosen, and in these of walkers evenly chosen."""
        count, found = 0, {}
        while self.store.has(f"plans/{count:05d}"):
            count += 1
        for k in np.unique(np.linspace(0, count - 1, min(count, MOST_ROUNDS)).astype(int)).tolist():
            tasks = read_plan(self.store.file(f"plans/{k:05d}", "plan.json"))
            folders = [self.store.folder(task.id) for task in tasks if self.store.has(task.id)]
            files = [file for folder in folders for file in sorted(folder.glob("walker-*.dcd"))]
            read = [
                read_trajectory(file, self.topology) for file in files[:: max(1, len(files) // MOST_WALKERS)]
            ]
            if read and self.names:
                angles = np.concatenate([evaluate(self.angles, one.positions, one.box) for one in read])
                found[k] = angles[:: -(-len(angles) // MOST_DRAWN)]
        return found

    def evidence(self, moving, weighted, pooled, own, rounds) -> RunEvidence:
        return RunEvidence(
            topology=self.topology,
            torsion_names=self.names,
            feature_names=tuple(self.card["features"]),
            kT=self.card["kT"],
            dt=self.card["dt_frames"],
            moving=tuple(moving),
            weighted=tuple(weighted),
            pooled=None if pooled is None else tuple(pooled),
            own=None if own is None else tuple(own),
            files=tuple(self.folders),
            rounds=rounds,
        )

    def _with_everything(self, segment: Segment) -> Segment:
        """``segment`` whose features are followed by torsions and places, so that all are joined alike."""
        self.card = segment.card
        folder, number = self.store.folder(segment.entry), len(self.folders)
        self.folders.append(folder)
        walkers, frames, _ = segment.features.shape
        torsions = np.zeros((walkers, frames, len(self.names)))
        places = np.zeros((walkers, frames, 3))
        places[..., 0], places[..., 1], places[..., 2] = (
            number,
            np.arange(walkers)[:, None],
            np.arange(frames),
        )
        for walker, valid in enumerate(segment.valid):
            if valid:
                stored = read_trajectory(folder / f"walker-{walker:03d}.dcd", self.topology)
                torsions[walker, :valid] = evaluate(self.angles, stored.positions, stored.box)
        return dataclasses.replace(
            segment, features=np.concatenate([segment.features, torsions, places], axis=-1)
        )
