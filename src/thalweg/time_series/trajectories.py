"""Trajectories: what every time-series estimator eats, wherever the frames lie and however long each run was.

A block is an array ``(frames, features)``, a memory map, anything with ``shape`` and slices (HDF5, Zarr),
or a `Source` that hands out its frames chunk by chunk (a file too large to hold). Frames are read in chunks
whose borders depend on the trajectory alone, so that results do not depend on how the data were stored.

Lag times are whole numbers of frames; the time between frames ``dt`` [ps] travels with the data, so that
results come in ps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from thalweg.learning.models import Model
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import PairRange
from thalweg.units import ONE_FRAME, InFrames, duration

CHUNK = 2048
"""Frames read at a time; a chunk of a hundred features stays in the cache of one core."""


@runtime_checkable
class Source(Protocol):
    """A trajectory read anew each time it is iterated: chunks ``(frames, features)`` of any lengths.

    A source may also have ``shape = (frames, features)``; without it one extra pass counts the frames.
    """

    def __iter__(self) -> Iterator[np.ndarray]: ...


class Pairs(NamedTuple):
    """A chunk of time-lagged pairs: frame ``start + n`` and the one ``lagtime`` later, as views.

    Attributes
    ----------
    segment : the range of pair starts it is part of
    start : first frame of the first pair
    frames : (pairs + lagtime, features)
    lagtime : frames between the ends of a pair
    weights : (pairs,), or None where all are one
    """

    segment: PairRange
    start: int
    frames: np.ndarray
    lagtime: int
    weights: np.ndarray | None

    @property
    def x(self) -> np.ndarray:
        """First frames ``(pairs, features)``."""
        return self.frames[: len(self.frames) - self.lagtime]

    @property
    def y(self) -> np.ndarray:
        """Last frames ``(pairs, features)``."""
        return self.frames[self.lagtime :]


@dataclass(frozen=True)
class PairReport:
    """How many pairs each trajectory gives at a lag time, and how many frames start none.

    Attributes
    ----------
    lagtime : frames
    used : (trajectories,) pairs
    lost : (trajectories,) frames without a partner; all frames of a trajectory not longer than the lag time
    """

    lagtime: int
    used: Shaped[np.ndarray, " trajectories"]
    lost: Shaped[np.ndarray, " trajectories"]

    def __str__(self) -> str:
        skipped = int((self.used == 0).sum())
        text = f"{self.used.sum()} pairs at lagtime={self.lagtime} from {len(self.used)} trajectories"
        return text + (f"; {skipped} trajectories too short to give any" if skipped else "")


def pair_report(lengths: np.ndarray, lagtime: int) -> PairReport:
    """Pairs used and frames lost at ``lagtime``.

    Parameters
    ----------
    lengths : frames of each trajectory
    lagtime : in frames

    Raises
    ------
    TypeError
        If ``lagtime`` is not a whole number of frames.
    ValueError
        If it is not positive, or leaves no pair at all.

    Examples
    --------
    >>> print(pair_report(np.array([100, 5]), lagtime=10))
    90 pairs at lagtime=10 from 2 trajectories; 1 trajectories too short to give any
    """
    if isinstance(lagtime, bool) or not isinstance(lagtime, int | np.integer):
        raise TypeError(f"lagtime={lagtime!r} must be a whole number of frames; divide a time in ps by dt")
    if lagtime < 1:
        raise ValueError(f"lagtime={lagtime} must be at least one frame")
    lengths = np.asarray(lengths)
    used = np.maximum(lengths - int(lagtime), 0)
    if not used.any():
        longest = int(lengths.max())
        where = (
            f"a trajectory of {longest} frames"
            if len(lengths) == 1
            else f"trajectories of up to {longest} frames"
        )
        shorter = f"use lagtime < {longest} or longer trajectories" if longest > 1 else "give longer ones"
        raise ValueError(f"lagtime={lagtime} leaves no pairs in {where}; {shorter}")
    return PairReport(int(lagtime), used, lengths - used)


@dataclass(frozen=True, eq=False)
class Trajectories(Model):
    """Blocks of frames from one or many runs, each ``(frames, features)``, with what belongs to them.

    Parameters
    ----------
    blocks : sequence
        One entry per trajectory: an array, a memory map, anything with ``shape`` and slices, a `Source`, or a
        DataFrame, whose columns name the features.
    dt : float
        Time between frames [ps]; where none is given, times are in frames.
    weights : sequence of arrays, optional
        One weight per frame, for instance from reweighting a biased run; a pair has the weight of its first
        frame.
    names : sequence of str, optional
        One name per feature, used in messages.
    log_path : sequence of arrays, optional
        Running logarithm of the weight of the path up to each frame (see `log_path_weights`); a pair has the
        weight of its first frame times that of the path between its ends.

    Raises
    ------
    ValueError
        If a trajectory is empty, not two-dimensional or of another number of features, if weights do not
        fit, or (as soon as it is read) if a frame is not finite.

    Examples
    --------
    >>> runs = Trajectories([np.zeros((100, 3)), np.zeros((40, 3))], dt=0.5)
    >>> runs.n_features, runs.lengths.tolist()
    (3, [100, 40])
    """

    blocks: Sequence[Any]
    dt: float = ONE_FRAME
    weights: Sequence[np.ndarray] | None = None
    names: Sequence[str] | None = None
    log_path: Sequence[np.ndarray] | None = None
    lengths: np.ndarray = field(init=False)
    n_features: int = field(init=False)

    def __post_init__(self):
        if isinstance(self.blocks, np.ndarray):
            raise ValueError(
                f"got one array of shape {self.blocks.shape}; give a list with one array per trajectory"
            )
        if isinstance(self.blocks, Table):
            raise ValueError("got one table; give a list with one table per trajectory")
        blocks = tuple(self.blocks)
        if not blocks:
            raise ValueError("got no trajectories; give a list of arrays (frames, features)")
        if any(isinstance(block, Table) for block in blocks):
            blocks, names = _untabled(blocks)
            if self.names is None:
                object.__setattr__(self, "names", names)
        # what is checked here is taken for granted by every estimator; frames themselves are checked when read
        shapes = [_shape(block, k) for k, block in enumerate(blocks)]
        for k, (_, features) in enumerate(shapes):
            if features != shapes[0][1]:
                raise ValueError(f"trajectory {k} has {features} features, trajectory 0 has {shapes[0][1]}")
        if not np.isfinite(self.dt) or self.dt <= 0:
            raise ValueError(f"dt={self.dt} must be a positive time between frames [ps]")
        lengths = np.array([frames for frames, _ in shapes])
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "dt", self.dt if isinstance(self.dt, InFrames) else float(self.dt))
        object.__setattr__(self, "lengths", lengths)
        object.__setattr__(self, "n_features", int(shapes[0][1]))
        if self.weights is not None:
            object.__setattr__(self, "weights", _weights(self.weights, lengths))
        if self.log_path is not None:
            object.__setattr__(self, "log_path", _columns(self.log_path, lengths, "path weights"))
        if self.names is not None and len(self.names) != self.n_features:
            raise ValueError(f"got {len(self.names)} names for {self.n_features} features")

    def __len__(self) -> int:
        return len(self.blocks)

    def __iter__(self) -> Iterator[Any]:
        """What was given as one trajectory ``(frames, features)`` after the other."""
        return iter(self.blocks)

    def __getitem__(self, trajectory: int) -> Any:
        return self.blocks[trajectory]

    def __str__(self) -> str:
        apart = "" if isinstance(self.dt, InFrames) else f" {self.dt:g} ps apart"
        return f"{len(self)} trajectories, {self.n_frames} frames{apart}, {self.n_features} features"

    def headline(self) -> dict[str, object]:
        """What there is of data."""
        return {
            "trajectories": len(self),
            "frames": self.n_frames,
            "length": duration(self.n_frames * self.dt, self.dt),
            "features": self.n_features,
        }

    @property
    def n_frames(self) -> int:
        """Frames of all trajectories together."""
        return int(self.lengths.sum())

    @property
    def columns(self) -> dict[str, Sequence[np.ndarray]]:
        """What there is for every frame besides features, by the name of the parameter."""
        both = {"weights": self.weights, "log_path": self.log_path}
        return {name: column for name, column in both.items() if column is not None}

    def taken(self, trajectories: Sequence[int]) -> Trajectories:
        """The trajectories of these numbers, with all that belongs to them."""
        columns = {name: [column[k] for k in trajectories] for name, column in self.columns.items()}
        return replace(self, blocks=[self.blocks[k] for k in trajectories], **columns)

    def report(self, lagtime: int) -> PairReport:
        """Pairs used and frames lost at ``lagtime``; see `pair_report`."""
        return pair_report(self.lengths, lagtime)

    def notes(self, lagtime: int) -> tuple[str, ...]:
        """What one should know about pairs of these data ``lagtime`` frames apart."""
        notes = self._repeated()
        if self.weights is None or self.log_path is not None:
            return notes
        return (
            *notes,
            "pairs are weighted by their first frames alone: averages are unbiased by that, timescales of a biased run "
            "are not; see accelerated, or weights of paths",
        )

    def _repeated(self) -> tuple[str, ...]:
        """A note if the same array stands for several trajectories."""
        first: dict[object, int] = {}
        again = [k for k, block in enumerate(self.blocks) if first.setdefault(_place(block), k) != k]
        if not again:
            return ()
        return (
            f"trajectory {again[0]} is the array of trajectory {first[_place(self.blocks[again[0]])]} once more "
            f"({len(again)} of {len(self)} are repeated): their frames count as often, and errors come out too small",
        )

    def name(self, feature: int) -> str:
        """What to call a feature in a message."""
        return f"feature {feature}" if self.names is None else f"feature {feature} ({self.names[feature]})"

    def windows(self, trajectory: int, spans: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
        """Frames ``[start, stop)`` of one trajectory for each span, starts not decreasing, as real numbers.

        Raises
        ------
        ValueError
            If a frame is not finite, or a source gave other chunks than it promised.
        """
        block = self.blocks[trajectory]
        read = _slices(block, spans) if sliceable(block) else _passing(block, spans, self, trajectory)
        for start, given in read:
            frames = given if given.dtype.kind == "f" else given.astype(float)
            # one sum tells whether to look: it is not finite if any frame is not
            with np.errstate(invalid="ignore", over="ignore"):
                suspicious = not np.isfinite(frames.sum())
            if suspicious:
                _locate_bad(frames, trajectory, start, self)
            yield frames

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[int, int, np.ndarray]]:
        """All frames in order: ``(trajectory, first frame, frames)``."""
        for k, length in enumerate(self.lengths):
            starts = range(0, int(length), size)
            spans = [(start, min(start + size, int(length))) for start in starts]
            for start, frames in zip(starts, self.windows(k, spans)):
                yield k, start, frames

    def pairs(self, segments: Sequence[PairRange], lagtime: int, size: int = CHUNK) -> Iterator[Pairs]:
        """All pairs ``(x_t, x_{t + lagtime})`` starting in the segments, in order, chunk by chunk."""
        by_trajectory: dict[int, list[tuple[PairRange, int, int]]] = {}
        for segment in segments:
            for start in range(segment.start, segment.stop, size):
                span = (segment, start, min(start + size, segment.stop))
                by_trajectory.setdefault(segment.trajectory, []).append(span)
        for k, spans in by_trajectory.items():
            windows = self.windows(k, [(start, stop + lagtime) for _, start, stop in spans])
            for (segment, start, stop), window in zip(spans, windows):
                yield Pairs(segment, start, window, lagtime, self.pair_weights(k, start, stop, lagtime))

    def pair_weights(self, trajectory: int, start: int, stop: int, lagtime: int) -> np.ndarray | None:
        """Weights of the pairs that start in ``[start, stop)`` of a trajectory; None if all are one."""
        weights = None if self.weights is None else self.weights[trajectory][start:stop]
        if self.log_path is None:
            return weights
        path = self.log_path[trajectory]
        # M of the path from t to t + tau, a difference of running logarithms
        ratio = np.exp(path[start + lagtime : stop + lagtime] - path[start:stop])
        return ratio if weights is None else ratio * weights

    def strided(self, max_frames: int) -> np.ndarray:
        """At most ``max_frames`` frames, evenly spread over all trajectories, as one array."""
        stride = -(-self.n_frames // max_frames)
        offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        # every stride-th frame of all trajectories in a row, wherever the borders of chunks lie
        parts = [frames[(-(offsets[k] + start)) % stride :: stride] for k, start, frames in self.chunks()]
        return np.concatenate(parts)


@runtime_checkable
class Table(Protocol):
    """A DataFrame, of whatever library: named columns of frames."""

    columns: Any

    def to_numpy(self) -> np.ndarray: ...


TrajectoryData = Trajectories | Sequence[Any] | np.ndarray | Table
"""What is taken for trajectories: one array or table of frames, or a list with one of each trajectory."""


def as_trajectories(data: TrajectoryData) -> Trajectories:
    """The data as `Trajectories`: as they are, or from an array or a list of blocks with ``dt=1``."""
    if isinstance(data, Trajectories):
        return data
    return Trajectories([data] if isinstance(data, np.ndarray | Table) else data)


def _untabled(blocks: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Tables as arrays, and the names of their columns, which must be the same in all."""
    names = [tuple(map(str, block.columns)) for block in blocks if isinstance(block, Table)]
    if len(names) < len(blocks) or len(set(names)) > 1:
        odd = next((k for k, name in enumerate(names) if name != names[0]), len(names))
        raise ValueError(f"trajectory {odd} has not the columns of trajectory 0, {', '.join(names[0][:10])}")
    return tuple(block.to_numpy() for block in blocks), names[0]


def _place(block: Any) -> object:
    """Where a block lies: the same for two that are the same numbers in memory, whatever they are called."""
    if isinstance(block, np.ndarray):
        return block.__array_interface__["data"][0], block.shape, block.strides
    return id(block)


def sliceable(block: Any) -> bool:
    """Whether frames of a block can be had from any place, not only from the front."""
    return hasattr(block, "shape") and hasattr(block, "__getitem__")


def _shape(block: Any, k: int) -> tuple[int, int]:
    """Frames and features of a block, counted where not stated."""
    if isinstance(block, Iterator):
        raise ValueError(
            f"trajectory {k} is an iterator, readable only once; give an object whose __iter__ starts anew"
        )
    shape = getattr(block, "shape", None)
    dtype = getattr(block, "dtype", None)
    if dtype is not None and np.dtype(dtype).kind not in "fiub":
        raise ValueError(f"trajectory {k} has dtype {dtype}; features must be real numbers")
    if shape is None:
        shape = _counted(block, k)
    if len(shape) != 2:
        hint = "; write x[:, None] for a single feature" if len(shape) == 1 else ""
        raise ValueError(f"trajectory {k} has shape {tuple(shape)}; give (frames, features){hint}")
    if 0 in shape:
        raise ValueError(f"trajectory {k} has shape {tuple(shape)}: nothing in it; leave it out")
    return int(shape[0]), int(shape[1])


def _counted(block: Any, k: int) -> tuple[int, ...]:
    """The shape of a source without ``shape``, by one pass over it."""
    if not isinstance(block, Source):
        raise ValueError(f"trajectory {k} is a {type(block).__name__}; give an array or a source of chunks")
    frames, features = 0, set()
    for chunk in block:
        if getattr(chunk, "ndim", None) != 2:
            raise ValueError(
                f"a chunk of trajectory {k} is no array (frames, features); give x[:, None] for one feature"
            )
        frames += len(chunk)
        features.add(chunk.shape[1])
    if len(features) > 1:
        raise ValueError(f"the chunks of trajectory {k} have unequal numbers of features: {sorted(features)}")
    return frames, *features


def _columns(columns: Sequence[np.ndarray], lengths: np.ndarray, what: str) -> tuple[np.ndarray, ...]:
    """One number per frame as float64, one array per trajectory, checked."""
    if len(columns) != len(lengths):
        raise ValueError(f"got {what} for {len(columns)} trajectories, data for {len(lengths)}")
    arrays = tuple(np.asarray(array, float) for array in columns)
    for k, (array, length) in enumerate(zip(arrays, lengths)):
        if array.shape != (length,):
            raise ValueError(f"{what} of trajectory {k} have shape {array.shape}, needed is ({length},)")
        if not np.isfinite(array).all():
            raise ValueError(f"{what} of trajectory {k} must be finite")
    return arrays


def _weights(weights: Sequence[np.ndarray], lengths: np.ndarray) -> tuple[np.ndarray, ...]:
    """Frame weights, checked."""
    arrays = _columns(weights, lengths, "weights")
    for k, array in enumerate(arrays):
        if (array < 0).any():
            raise ValueError(f"weights of trajectory {k} must be finite and not negative")
    return arrays


def _slices(block: Any, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, np.ndarray]]:
    """Windows of anything that can be sliced."""
    for start, stop in spans:
        yield start, np.asarray(block[start:stop])


def _passing(
    block: Source, spans: Iterable[tuple[int, int]], trajectories: Trajectories, k: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Windows of a source read once from front to back, holding only frames still needed."""
    chunks, held, first = iter(block), np.empty((0, trajectories.n_features)), 0
    for start, stop in spans:
        parts, last = [held[max(start - first, 0) :]], first + len(held)
        while last < stop:
            chunk = next(chunks, None)
            if chunk is None:
                raise ValueError(f"trajectory {k} ended after {last} of {trajectories.lengths[k]} frames")
            if chunk.ndim != 2 or chunk.shape[1] != trajectories.n_features:
                raise ValueError(
                    f"a chunk of trajectory {k} has shape {chunk.shape}, "
                    f"needed is (frames, {trajectories.n_features})"
                )
            parts.append(chunk[max(start - last, 0) :])
            last += len(chunk)
        parts = [part for part in parts if len(part)]
        held = parts[0] if len(parts) == 1 else np.concatenate(parts)
        first = start
        yield start, held[: stop - start]


def _locate_bad(frames: np.ndarray, k: int, start: int, trajectories: Trajectories) -> None:
    """Raise for the first frame that is not finite, if there is one."""
    bad = np.argwhere(~np.isfinite(frames))
    if len(bad):
        frame, feature = bad[0]
        raise ValueError(
            f"{trajectories.name(int(feature))} is {frames[frame, feature]} "
            f"in trajectory {k}, frame {start + frame}; "
            "remove the frames that are not finite, or cut the trajectory there"
        )
