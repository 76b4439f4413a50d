r"""Sums over data of any size: each share of the frames is summed where it lies, and sums merge on a fixed tree.

What an estimator needs of the data is often a sum, :math:`S(A \cup B) = S(A) \oplus S(B)` with an associative merge
(a monoid): covariances, counts, the step of k-means, weights of landmarks, normal equations, histograms. Such an
estimator is a `DataPass`; `gathered` sums one over shares of the data, here or on the workers of any executor.

Sums are merged as a binary tree over the numbers of the shares, never in the order in which they come: the result is
the same to the last bit on any number of workers. Of the tree only complete branches are held, about as many as shares
are in work times the depth of the tree; with a folder these are kept as whole files, so that what was lost with a
worker, a scheduler or the machine are the shares in work, and the same call goes on.
"""

from __future__ import annotations

import hashlib
import pickle
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from thalweg.machine import disk
from thalweg.machine.arrays import stored_arrays
from thalweg.machine.threads import on_one_thread
from thalweg.machine.whole_files import whole, write_whole
from thalweg.time_series.accelerated import AcceleratedTrajectories
from thalweg.time_series.trajectories import CHUNK, Trajectories, TrajectoryData, as_trajectories, sliceable

FRAMES = 128 * CHUNK
"""Frames of a share: a fraction of a second of work, and what is done again when a worker is lost."""

BLOCKS = 40
"""Stretches of the data whose sums are kept apart for error bars."""

IN_WORK = 64
"""Shares handed to an executor before the first must be done."""

DEATHS = 3
"""Executors that may break in a row without a share being done."""

PATIENCE = 600.0
"""Seconds for which workers that were there and are not to be had any more are waited for."""

Sums = Mapping[str, np.ndarray]
"""A sum: named arrays."""


@runtime_checkable
class DataPass(Protocol):
    """What is summed over the data: a frozen dataclass that can be sent to workers."""

    def of(self, share: Any) -> Sums:
        """The sum over a share."""
        ...

    def merged(self, first: Sums, second: Sums) -> Sums:
        """The sum over the shares of both; ``first`` is of earlier ones."""
        ...

    def result(self, total: Sums) -> Any:
        """What the sum over all shares tells."""
        ...


class Adding:
    """A `DataPass` whose sums are added, array by array."""

    def merged(self, first: Sums, second: Sums) -> Sums:
        """Both added."""
        return {name: first[name] + second[name] for name in first}


class AddingByBlock:
    """A `DataPass` whose sums are kept apart by stretches of the data.

    ``block`` has the numbers of those that the first axis of every other array runs over.
    """

    def merged(self, first: Sums, second: Sums) -> Sums:
        """Both, those of the same stretch added."""
        both = {name: np.concatenate([first[name], second[name]]) for name in first}
        numbers, place = np.unique(both.pop("block"), return_inverse=True)
        if len(numbers) == len(place):
            return {"block": numbers, **both}
        added = {
            name: np.zeros((len(numbers), *array.shape[1:]), array.dtype) for name, array in both.items()
        }
        for name, array in both.items():
            np.add.at(added[name], place, array)
        return {"block": numbers, **added}


@dataclass(frozen=True, eq=False)
class Stretch:
    """Frames ``[start, stop)`` of a block that can be sliced, left where they are."""

    block: Any
    start: int
    stop: int

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and features."""
        return self.stop - self.start, self.block.shape[1]

    def __getitem__(self, chosen: slice) -> np.ndarray:
        first, last, step = chosen.indices(self.stop - self.start)
        return self.block[self.start + first : self.start + last : step]

    def __iter__(self) -> Iterator[np.ndarray]:
        for first in range(0, self.stop - self.start, CHUNK):
            yield self[first : first + CHUNK]


@dataclass(frozen=True, eq=False)
class Share:
    """A stretch of one trajectory with the lag time after it: every pair of frames starts in exactly one share.

    Attributes
    ----------
    data : that stretch alone
    number : of the share
    block : of the stretches of all data whose sums are kept apart, the one it counts to
    place : where it lies, in words
    """

    data: Trajectories
    number: int
    block: int
    place: str

    def __str__(self) -> str:
        return self.place


def shares(
    trajectories: TrajectoryData, lagtime: int = 0, frames: int = FRAMES, n_blocks: int = BLOCKS
) -> list[Share]:
    """The data cut into shares, whose borders depend on the data alone.

    Parameters
    ----------
    trajectories : `Trajectories` or what makes them
    lagtime : frames that a share reaches beyond its own
    frames : of a share; a source that can only be read from its beginning is one share
    n_blocks : stretches of the data kept apart at most

    Raises
    ------
    ValueError
        If no trajectory is longer than the lag time, or time goes faster under a bias.

    Examples
    --------
    >>> [str(share) for share in shares(np.zeros((100, 2)), lagtime=10, frames=60)]
    ['trajectory 0, frames 0 to 70', 'trajectory 0, frames 60 to 100']
    """
    data = as_trajectories(trajectories)
    if isinstance(data, AcceleratedTrajectories):
        raise ValueError("shares are of equal times between frames; give unbiased or reweighted Trajectories")
    used = data.report(lagtime).used if lagtime else data.lengths
    spans = [
        (k, start, min(start + size, int(count)))
        for k, count in enumerate(used)
        for size in [frames if sliceable(data.blocks[k]) else max(int(count), 1)]
        for start in range(0, int(count), size)
    ]
    return [
        Share(
            _cut(data, k, start, stop + lagtime),
            number,
            number * n_blocks // max(len(spans), n_blocks),
            f"trajectory {k}, frames {start} to {stop + lagtime}",
        )
        for number, (k, start, stop) in enumerate(spans)
    ]


def _cut(data: Trajectories, k: int, start: int, stop: int) -> Trajectories:
    """Frames ``[start, stop)`` of one trajectory, with all that belongs to them."""
    block = data.blocks[k]
    if isinstance(block, np.ndarray) and not isinstance(block, np.memmap):
        block = block[start:stop]
    elif sliceable(block):
        block = Stretch(block, start, stop)
    columns = {name: [column[k][start:stop]] for name, column in data.columns.items()}
    return Trajectories([block], data.dt, names=data.names, **columns)


def gathered(
    one_pass: DataPass,
    parts: Sequence[Any],
    executor: Callable[[], Executor] | None = None,
    folder: str | Path | None = None,
    in_work: int = IN_WORK,
) -> Any:
    """What a pass over all parts gives.

    Parameters
    ----------
    one_pass : what is summed
    parts : what it is summed over: `shares` of trajectories, or whatever the pass takes
    executor : makes workers, anew where they are lost: ``Dask(4).executor``, ``JobQueue("slurm").executor``,
        ``processes(2)``; here if None. Memory maps are sent as numbers: on other machines give files that they open.
    folder : where finished sums are kept; the same call with the same folder goes on
    in_work : parts handed out before the first must be done, some for every worker

    Raises
    ------
    ValueError
        If there is no part, or the folder is of another pass.
    concurrent.futures.BrokenExecutor
        If workers are lost again and again without one part being done.

    Examples
    --------
    >>> from thalweg.time_series.histogram_pass import HistogramPass
    >>> x = np.linspace(0, 1, 1000)[:, None]
    >>> gathered(HistogramPass((np.linspace(0, 1, 5),)), shares(x, frames=300)).tolist()
    [250.0, 250.0, 250.0, 250.0]
    """
    if not len(parts):
        raise ValueError("there are no parts to sum over; give at least one")
    tree = _Tree(one_pass, parts, None if folder is None else Path(folder))
    if executor is None:
        for number in tree.missing():
            tree.add(number, _summed(one_pass, parts[number]))
    else:
        _worked_off(tree, executor, max(1, in_work))
    return one_pass.result(tree.total())


@on_one_thread
def _summed(one_pass: DataPass, part: Any) -> Sums:
    """The sum over one part, which an error names."""
    try:
        return {name: np.asarray(array) for name, array in one_pass.of(part).items()}
    except Exception as error:
        error.add_note(f"while summing over {part}")
        raise


def _worked_off(tree: _Tree, executor: Callable[[], Executor], in_work: int) -> None:
    """All missing parts summed by workers; new ones are made where they are lost."""
    broken, served = 0, False
    while waiting := tree.missing():
        workers, running = _started(executor, PATIENCE if served else 0.0), {}
        served = True
        try:
            for number in _fed(workers, tree, waiting, running, in_work):
                tree.add(number, running.pop(number).result())
                broken = 0
        except BrokenExecutor as error:
            broken += 1
            if broken >= DEATHS:
                error.add_note(f"workers were lost {broken} times in a row without one of {waiting[:5]} done")
                raise
        finally:
            workers.shutdown(wait=False, cancel_futures=True)


def _started(executor: Callable[[], Executor], patience: float) -> Executor:
    """Workers; those of a scheduler that has gone away are waited for."""
    began = time.monotonic()
    while True:
        try:
            return executor()
        except OSError as error:
            if time.monotonic() - began >= patience:
                raise
            warnings.warn(f"{error}; waiting for it", stacklevel=2)
            time.sleep(1.0)


def _fed(
    workers: Executor, tree: _Tree, waiting: list[int], running: dict[int, Future], in_work: int
) -> Iterator[int]:
    """Numbers of parts as they are done, while so many are in work."""
    left = iter(waiting)
    while True:
        while len(running) < in_work and (number := next(left, None)) is not None:
            running[number] = workers.submit(_summed, tree.one_pass, tree.parts[number])
        if not running:
            return
        wait(running.values(), return_when=FIRST_COMPLETED)
        done = [number for number, future in running.items() if future.done()]
        # what is summed is put in before an error of another part ends this
        yield from sorted(done, key=lambda number: (running[number].exception() is not None, number))


class _Tree:
    """Sums of complete branches: ``(level, index)`` is of parts ``index 2^level`` to ``(index + 1) 2^level``."""

    def __init__(self, one_pass: DataPass, parts: Sequence[Any], folder: Path | None):
        self.one_pass, self.parts, self.folder = one_pass, parts, folder
        self.branches: dict[tuple[int, int], Sums] = {}
        if folder is not None:
            self._opened(folder)

    def missing(self) -> list[int]:
        """Numbers of the parts that are in no branch."""
        done = np.zeros(len(self.parts), bool)
        for level, index in self.branches:
            done[index << level : (index + 1) << level] = True
        return np.flatnonzero(~done).tolist()

    def add(self, number: int, sums: Sums) -> None:
        """Put in the sum of a part, and merge branches as far as their neighbors are there."""
        level, index, used = 0, number, []
        while (level, index ^ 1) in self.branches:
            neighbor = self.branches.pop((level, index ^ 1))
            used.append((level, index ^ 1))
            sums = self.one_pass.merged(*((neighbor, sums) if index & 1 else (sums, neighbor)))
            level, index = level + 1, index >> 1
        self.branches[level, index] = sums
        if self.folder is not None:
            with whole(_file(self.folder, level, index)) as draft:
                disk.write_arrays(draft, sums)
            for branch in used:
                disk.remove(_file(self.folder, *branch))

    def total(self) -> Sums:
        """The sum of all branches, from the first part to the last."""
        ordered = sorted(self.branches.items(), key=lambda branch: branch[0][1] << branch[0][0])
        return reduce(self.one_pass.merged, [sums for _, sums in ordered])

    def _opened(self, folder: Path) -> None:
        """Branches that are kept in a folder, larger ones first; what is in these already is removed."""
        told = _told(self.one_pass, self.parts)
        disk.make_folder(folder)
        if not disk.exists(folder / "pass.txt"):
            write_whole(folder / "pass.txt", told)
        elif (folder / "pass.txt").read_text() != told:
            raise ValueError(
                f"{folder} holds sums of another pass or of other data; give an empty folder, or remove it"
            )
        found = [tuple(map(int, path.stem.split("-"))) for path in folder.glob("[0-9]*-[0-9]*.npz")]
        for level, index in sorted(found, reverse=True):
            above = ((upper, index >> (upper - level)) for upper in range(level + 1, 64))
            if any(branch in self.branches for branch in above):
                disk.remove(_file(folder, level, index))
                continue
            with stored_arrays(_file(folder, level, index)) as arrays:
                self.branches[level, index] = dict(arrays)


def _file(folder: Path, level: int, index: int) -> Path:
    return folder / f"{level}-{index}.npz"


def _told(one_pass: DataPass, parts: Sequence[Any]) -> str:
    """What tells a pass over these data from others: arrays by their numbers, files by what says where they are."""
    digest = hashlib.sha256(pickle.dumps(one_pass))
    for part in parts:
        digest.update(pickle.dumps(part))
    return f"{type(one_pass).__name__} of {len(parts)} parts {digest.hexdigest()}\n"
