"""What a pass over petabytes will take, from a minute of it: core-hours, days, memory and disk.

Processor time of one-pass estimators is proportional to frames, so that what some shares of the data take says what all
will. Shares are measured in batches that are read, summed and merged as in the run itself; how far their rates differ
is the uncertainty. What is not foretold: waiting for a file system that does not deliver the rate which is told, and
time between tasks where shares are much shorter than a second.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any, Literal, get_args

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.force_pass import ForcePass, FrameShare
from thalweg.coarse_graining.interactions.functions import BSplines
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
from thalweg.collective_variables.covariances.covariance_pass import CovariancePass
from thalweg.collective_variables.manifold.landmark_passes import LandmarkPass, NetPass
from thalweg.kinetics.counts.count_pass import CountPass
from thalweg.kinetics.states.cluster_passes import CoresetPass, LloydPass, StreamingKMeans
from thalweg.learning.models import Model
from thalweg.machine.threads import on_one_thread
from thalweg.report.rounding import significant
from thalweg.time_series.one_pass import FRAMES, IN_WORK, DataPass, gathered, shares
from thalweg.time_series.trajectories import CHUNK, Trajectories
from thalweg.units import Count

Task = Literal["tica", "counts", "kmeans", "map", "force-matching"]
TASKS = get_args(Task)

BATCHES = 12
"""Batches at least that are measured by themselves where there are so many shares."""

REPEATS = 3
"""Measurements where there are fewer shares, which are then read again."""

TILE = 1 << 16
"""Frames after which synthetic ones come again."""

BEADS = 10
"""Beads of the synthetic chain whose forces are matched."""


@dataclass(frozen=True)
class SyntheticFrames:
    """Frames ``(frames, features)`` in float32 without a file, a block of `Trajectories` of any length.

    Slow walks and noise come again every `TILE` frames, so that averages over any whole number of tiles are alike.

    Parameters
    ----------
    frames, features : how many

    Examples
    --------
    >>> huge = SyntheticFrames(10**9, 100)
    >>> huge[10**8 : 10**8 + 5].shape
    (5, 100)
    """

    frames: Count
    features: Count = 100

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and features."""
        return self.frames, self.features

    @property
    def dtype(self) -> np.dtype:
        """Of the numbers."""
        return np.dtype(np.float32)

    def __getitem__(self, chosen: slice) -> np.ndarray:
        start, stop, step = chosen.indices(self.frames)
        tile, parts = _tile(self.features), []
        while start < stop:
            first = start % TILE
            last = min(TILE, first + stop - start)
            parts.append(tile[first:last])
            start += last - first
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts or [tile[:0]])
        return whole[::step]

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, self.frames, CHUNK):
            yield self[start : start + CHUNK]


@cache
def _tile(features: int) -> np.ndarray:
    """Frames of a few slow walks among noise."""
    random = np.random.default_rng(0)
    x = random.standard_normal((TILE, features)).astype(np.float32)
    for k in range(1, TILE):
        x[k, :5] += np.float32(0.9) * x[k - 1, :5]
    return x


@dataclass(frozen=True)
class PassCost:
    """What one pass over a part of the data took.

    Attributes
    ----------
    name : of the pass
    frames : measured
    batches : of shares, each measured by itself
    per_frame : processor time of a frame [s]
    error : standard error of it, from the batches [s]; NaN of one alone
    wall : time of a frame by the clock [s]
    sums : bytes of the sums over these frames
    """

    name: str
    frames: int
    batches: int
    per_frame: float
    error: float
    wall: float
    sums: int


@dataclass(frozen=True, eq=False)
class Forecast(Model):
    """What a task on an amount of data will take.

    Attributes
    ----------
    task : what is done
    frames : of the amount
    frame_bytes : bytes of a frame where it lies
    cores : that work
    passes : what each pass over the data takes
    memory : of a worker at most [GB]
    disk : for finished sums [GB]
    """

    task: str
    frames: float
    frame_bytes: float
    cores: int
    passes: tuple[PassCost, ...]
    memory: float
    disk: float

    @property
    def seconds(self) -> float:
        """Processor time of all passes [s]."""
        return self.frames * sum(one.per_frame for one in self.passes)

    @property
    def error(self) -> float:
        """Two standard errors of it [s]."""
        return 2 * self.frames * math.sqrt(sum(one.error**2 for one in self.passes))

    @property
    def core_hours(self) -> float:
        """Hours of one core."""
        return self.seconds / 3600

    @property
    def days(self) -> float:
        """Days on all cores, none of which waits."""
        return self.core_hours / self.cores / 24

    @property
    def frames_per_second(self) -> float:
        """Frames a core finishes in a second, all passes together."""
        return self.frames / self.seconds

    @property
    def delivery(self) -> float:
        """What must be read for no core to wait [GB/s], in the fastest pass."""
        return 1e-9 * self.cores * self.frame_bytes / min(one.per_frame for one in self.passes)

    def headline(self) -> dict[str, Any]:
        """The cost in numbers."""
        names = ("core_hours", "days", "frames_per_second", "delivery", "memory", "disk")
        return {"task": self.task, **{name: getattr(self, name) for name in names}}

    def as_dict(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        return {
            **self.headline(),
            "frames": self.frames,
            "amount": 1e-9 * self.frames * self.frame_bytes,
            "cores": self.cores,
            "core_hours_error": self.error / 3600,
            "passes": [asdict(one) for one in self.passes],
            "units": {"amount, memory, disk": "GB", "delivery": "GB/s", "per_frame, error, wall": "s"},
        }

    def in_words(self) -> list[str]:
        """Sentences."""
        amount = _in_bytes(self.frames * self.frame_bytes)
        error = f" ± {significant(self.error / 3600, 2)}" if math.isfinite(self.error) else ", error unknown"
        lines = [
            f"{one.name}: {significant(1 / one.per_frame)} frames/s a core, "
            f"{_in_bytes(self.frame_bytes / one.wall)}/s read, from {one.frames} frames in {one.batches} batches"
            for one in self.passes
        ]
        short = max(one.frames // one.batches for one in self.passes) < FRAMES // 2
        if short and self.task != "force-matching":
            lines.append(
                f"measured on less than a share of {FRAMES} frames, which takes more a frame: give more data, or longer"
            )
        return [
            *lines,
            f"{amount} ({significant(self.frames)} frames of {_in_bytes(self.frame_bytes)}) need "
            f"{significant(self.core_hours)}{error} core-hours for {self.task}: {self.cores} cores, "
            f"{significant(self.days)} days where the files deliver {_in_bytes(1e9 * self.delivery)}/s",
            f"memory {self.memory:.2g} GB a worker, disk {_in_bytes(1e9 * self.disk)} for finished sums",
        ]


@on_one_thread
def forecast(
    task: Task,
    data: Trajectories | None,
    amount: float,
    cores: int = 1,
    frame_bytes: float | None = None,
    lagtime: int = 10,
    clusters: int = 500,
    exact: int = 3,
    landmarks: int = 1000,
    seconds: float = 60.0,
) -> Forecast:
    """What a task will take, measured on some of the data.

    Parameters
    ----------
    task : "tica"; "counts" (a pass that finds ``clusters``, and one that counts); "kmeans" (a pass, and ``exact`` ones
        of Lloyd's iteration); "map" (a net of ``landmarks``, and their weights); "force-matching" of a synthetic chain
    data : of which a part is read; None for matched forces
    amount : of data where they lie [GB]
    cores : that will work
    frame_bytes : bytes of a frame where it lies; of float32 features where None
    lagtime : frames
    seconds : to measure for, by the clock

    Raises
    ------
    ValueError
        If the task is unknown, the amount is nothing, or the data give no share.

    Examples
    --------
    >>> found = forecast("tica", Trajectories([SyntheticFrames(100_000, 20)]), amount=1e6, cores=100, seconds=2)
    >>> found.frames, found.core_hours > 0
    (12500000000000.0, True)
    """
    if task not in TASKS:
        raise ValueError(f"task {task!r} is unknown; use one of {', '.join(TASKS)}")
    if not amount > 0 or cores < 1:
        raise ValueError(f"amount={amount} and cores={cores} must be positive")
    if task == "force-matching":
        steps: Iterator[PassCost] = iter([_force_cost(seconds)])
        frame_bytes = 24 * BEADS if frame_bytes is None else frame_bytes
    elif data is None:
        raise ValueError(f"{task} is measured on data: give files, or synthetic ones")
    else:
        frame_bytes = 4 * data.n_features if frame_bytes is None else frame_bytes
        steps = _costs(task, data, lagtime, clusters, exact, landmarks, seconds)
    passes = tuple(steps)
    frames = 1e9 * amount / frame_bytes
    # branches of the tree: those of the shares in work, and one a level
    levels = IN_WORK + math.log2(max(frames / FRAMES, 2))
    disk = 1e-9 * levels * max(one.sums for one in passes)
    return Forecast(task, frames, frame_bytes, cores, passes, _peak_memory(), disk)


def _costs(
    task: Task, data: Trajectories, lagtime: int, clusters: int, exact: int, landmarks: int, seconds: float
) -> Iterator[PassCost]:
    """What each pass over the data takes; later ones use what earlier ones found."""
    apart, together = shares(data), partial(shares, data, lagtime)
    if task == "tica":
        yield _measured("covariances", CovariancePass(lagtime), together(), seconds)[0]
    elif task == "map":
        cost, points = _measured("net of landmarks", NetPass(landmarks), apart, seconds / 2)
        yield cost
        yield _measured("weights of landmarks", LandmarkPass(points), apart, seconds / 2)[0]
    else:
        method = StreamingKMeans(clusters)
        size = max(40 * clusters, 10_000)
        cost, coreset = _measured("coreset", CoresetPass(size), apart, seconds / 2)
        yield cost
        found = method.of_coreset(coreset)
        if task == "counts":
            yield _measured("counts", CountPass(found, lagtime), together(), seconds / 2)[0]
        else:
            step, _ = _measured("step of Lloyd's iteration", LloydPass(found), apart, seconds / 2)
            yield from [step] * exact


def _measured(name: str, one_pass: DataPass, parts: Sequence[Any], seconds: float) -> tuple[PassCost, Any]:
    """What a pass takes, and what it gives, over as many of the parts as there is time for, spread over all of them."""
    count = min(len(parts), max(BATCHES, len(parts) // 4))
    order = np.random.default_rng(0).permutation(len(parts))
    batches = [[parts[k] for k in sorted(batch)] for batch in np.array_split(order, count)]
    _once(one_pass, batches[0][:1])  # what is loaded and compiled once
    began, taken, done = time.perf_counter(), [], []
    for turn in range(max(len(batches), REPEATS)):
        batch = batches[turn % len(batches)]
        taken.append((*_seconds(partial(_once, one_pass, batch)), sum(map(_frames, batch))))
        done += batch if turn < len(batches) else []
        if time.perf_counter() - began > seconds:
            break
    cpu, wall, frames = np.array(taken).T
    rates = cpu / frames
    per_frame = float(cpu.sum() / frames.sum())
    error = float(rates.std(ddof=1) / np.sqrt(len(rates))) if len(rates) > 1 else math.nan
    total = _Kept(one_pass)
    result = gathered(total, done)
    cost = PassCost(
        name, int(frames.sum()), len(rates), per_frame, error, float(wall.sum() / frames.sum()), total.bytes
    )
    return cost, result


@dataclass
class _Kept:
    """A pass that remembers how large its last sum was."""

    one_pass: DataPass
    bytes: int = 0

    def of(self, share: Any) -> Any:
        return self.one_pass.of(share)

    def merged(self, first: Any, second: Any) -> Any:
        return self.one_pass.merged(first, second)

    def result(self, total: Any) -> Any:
        self.bytes = sum(array.nbytes for array in total.values())
        return self.one_pass.result(total)


def _once(one_pass: DataPass, batch: Sequence[Any]) -> None:
    """Parts read, summed and merged, without the model that comes of it."""
    sums = [one_pass.of(part) for part in batch]
    total = sums[0]
    for one in sums[1:]:
        total = one_pass.merged(total, one)


def _frames(part: Any) -> int:
    return FORCE_FRAMES if isinstance(part, FrameShare) else part.data.n_frames


def _seconds(run: Callable[[], Any]) -> tuple[float, float]:
    """Processor time and time by the clock [s]."""
    start, began = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - start, time.perf_counter() - began


FORCE_FRAMES = 4096
"""Frames of a share whose forces are matched."""


def _force_cost(seconds: float) -> PassCost:
    """Matched forces of splines in all bonds of a chain."""
    coordinate = InternalCoordinate(
        "distance", np.array([[k, k + 1] for k in range(BEADS - 1)]), BSplines(0.1, 0.6, 30)
    )
    parts = [FrameShare(partial(synthetic_beads, FORCE_FRAMES, k), k) for k in range(BATCHES * 4)]
    matching = ForceMatching((BondedInteraction(coordinate, name="bonds"),))
    return _measured("normal equations", ForcePass(matching, len(parts)), parts, seconds)[0]


def synthetic_beads(frames: int, seed: int) -> BeadFrames:
    """Frames of a chain of `BEADS` beads held together by springs of known constants, with noise on its forces."""
    random = np.random.default_rng(seed)
    steps = random.standard_normal((frames, BEADS - 1, 3))
    directions = steps / np.linalg.norm(steps, axis=-1, keepdims=True)
    lengths = 0.35 + 0.02 * random.standard_normal((frames, BEADS - 1, 1))
    x = np.concatenate([np.zeros((frames, 1, 3)), (lengths * directions).cumsum(axis=1)], axis=1)
    pull = 2.5 / 0.02**2 * (lengths - 0.35) * directions
    forces = 100 * random.standard_normal(x.shape)
    forces[:, :-1] += pull
    forces[:, 1:] -= pull
    return BeadFrames(x, 2.5, forces)


def _peak_memory() -> float:
    """The most that this process has held [GB]."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1e-9 if sys.platform == "darwin" else 1.024e-6)


def _in_bytes(size: float) -> str:
    """A number of bytes in words.

    Examples
    --------
    >>> _in_bytes(7.2e15), _in_bytes(720e3)
    ('7.2 PB', '720 kB')
    """
    for unit, one in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= one:
            return f"{size / one:.3g} {unit}"
    return f"{size:.3g} bytes"
