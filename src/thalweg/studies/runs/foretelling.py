"""What a study will cost, before anything is begun: its plan, processor time, disk; from a trial of a few frames."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thalweg.machine import disk
from thalweg.sampling.agenda import foreseen
from thalweg.sampling.disk_budget import BYTES
from thalweg.sampling.policy import Policy
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.simulate import Simulate
from thalweg.studies.tables.study import Study
from thalweg.units import duration

TRIAL = (2, 6)
"""Frames of each walker in the two trials, whose difference says what a frame costs."""

BRIEF = 2.0
"""A trial is enough if it took so many seconds."""

FRAMES_MOST = 400
"""Frames of each walker that are tried at most."""


@dataclass(frozen=True)
class Foretold:
    """What a campaign is foretold to take.

    Attributes
    ----------
    rounds : of the campaign
    tasks : of each kind, None where plans depend on what is found
    simulated : time over all walkers [ps]
    seconds : of one processor core, for what is simulated
    workers : tasks at once
    size : on disk [bytes]
    files : on disk
    free : on the disk [bytes]
    limit : that the study sets to what the run takes up [bytes]; None for none
    of_frames : part of the size that grows with the number of frames [bytes]
    save_every : time between frames [ps]
    """

    rounds: int
    tasks: dict[str, int] | None
    simulated: float
    seconds: float
    workers: int
    size: float
    files: int
    free: int
    limit: float | None
    of_frames: float
    save_every: float

    def in_words(self) -> Iterator[str]:
        """Sentences for a terminal."""
        known = (
            f": {', '.join(f'{count} {kind}' for kind, count in self.tasks.items())}" if self.tasks else ""
        )
        yield f"{self.rounds} rounds{known}."
        yield f"{self.simulated * 1e-3:.4g} ns are simulated over all walkers."
        shared = time_span(self.seconds / self.workers)
        yield (
            f"Processor time: {time_span(self.seconds)}, {shared} with {self.workers} at once where each has a core, "
            "and what is learned in between."
        )
        bound = "" if self.limit is None else f", and {amount_of_data(self.limit)} allowed (disk_limit)"
        share = f"of {amount_of_data(self.free)} free{bound}"
        other = "another disk (--out)" if self.limit is None else "another disk (--out) or limit"
        yield f"Disk: {amount_of_data(self.size)} in {self.files:,} files, {share}."
        if not self.fits:
            yield f"That does not fit: save fewer frames (save_every{self._apart()}), take shorter times, or {other}."

    @property
    def room(self) -> float:
        """What the run may take up [bytes]: nine tenths of what is free, or less if the study says so."""
        free = 0.9 * self.free
        return free if self.limit is None else min(free, self.limit)

    @property
    def fits(self) -> bool:
        """Whether the run has room."""
        return self.size <= self.room

    def _apart(self) -> str:
        """How far apart frames would have to be, where that alone is a way out."""
        others = self.size - self.of_frames
        if others >= self.room:
            return ""
        times = math.ceil(self.of_frames / (self.room - others))
        return f" = {duration(times * self.save_every)} or more"


def foretell(study: Study, out: Path) -> Foretold:
    """What ``study`` will take if it is carried out in the folder ``out``, from a trial in a folder that is removed.

    Raises
    ------
    ValueError
        If the study cannot be built.
    """
    policy, limit = study.campaign, study.execution.disk_limit
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        tasks = _planned(policy, store) if foreseen(policy) else None
        per_frame, per_segment, files, seconds = _tried(study, store)
    frames = policy.cost() / policy.save_every
    segments = len(policy.seeds) * policy.rounds if tasks is None else tasks.get("run", 0)
    return Foretold(
        rounds=policy.rounds,
        tasks=None if tasks is None else dict(tasks),
        simulated=policy.cost(),
        seconds=seconds * frames,
        workers=study.execution.runner.workers,
        size=frames * per_frame + segments * per_segment,
        files=segments * files + policy.rounds * 2,
        free=shutil.disk_usage(_there(out)).free,
        limit=None if limit is None else limit * BYTES,
        of_frames=frames * per_frame,
        save_every=policy.save_every,
    )


def _planned(policy: Policy, store: Store) -> Counter[str]:
    """How many tasks of each kind there will be."""
    return Counter(task.work.kind for k in range(policy.rounds) for task in policy.plan(store, k))


def _tried(study: Study, store: Store) -> tuple[float, float, int, float]:
    """Bytes of a frame of a walker, bytes and files of a segment, and seconds of a frame of a walker."""
    policy = study.campaign
    fewer, more = TRIAL
    sizes, files = [], 0
    for frames in TRIAL:
        _simulated(policy, store, frames, "size")
        size, files = disk.size(store.folder(f"segments/size-{frames}"))
        sizes.append(size)
    per_frame = (sizes[1] - sizes[0]) / (policy.walkers * (more - fewer))
    # compiled by now: twice as many frames until it takes long enough to be told from what is not simulation
    frames, before = more, _simulated(policy, store, more, "time")
    while True:
        taken = _simulated(policy, store, 2 * frames, "time")
        if taken - before > BRIEF or 2 * frames >= FRAMES_MOST:
            rate = max(taken - before, 1e-9) / (policy.walkers * frames)
            return per_frame, sizes[0] - per_frame * policy.walkers * fewer, files, rate
        frames, before = 2 * frames, taken


def _simulated(policy: Policy, store: Store, frames: int, name: str) -> float:
    """Processor seconds that so many frames of all walkers take, a segment of them included."""
    work = Simulate(policy.recipe, policy.walkers, frames, policy.save_every, 0)
    began = time.process_time()
    work(store, f"segments/{name}-{frames}")
    return time.process_time() - began


def _there(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def time_span(seconds: float) -> str:
    """A time that is known roughly.

    Examples
    --------
    >>> time_span(12.3), time_span(8000.0), time_span(3e5)
    ('12 s', '2.2 h', '3.5 days')
    """
    for limit, unit, size in ((120.0, "s", 1.0), (5400.0, "min", 60.0), (172800.0, "h", 3600.0)):
        if seconds < limit:
            return f"{_rough(seconds / size)} {unit}"
    return f"{_rough(seconds / 86400.0)} days"


def amount_of_data(size: float) -> str:
    """An amount of data.

    Examples
    --------
    >>> amount_of_data(999), amount_of_data(4.04e5), amount_of_data(2.34e9)
    ('1 kB', '400 kB', '2.3 GB')
    """
    for limit, unit, one in ((1e6, "kB", 1e3), (1e9, "MB", 1e6), (1e12, "GB", 1e9)):
        if size < limit:
            return f"{_rough(size / one)} {unit}" if size >= one else f"1 {unit}"
    return f"{_rough(size / 1e12)} TB"


def _rough(number: float) -> str:
    """Two digits."""
    return f"{float(f'{number:.2g}'):g}"
