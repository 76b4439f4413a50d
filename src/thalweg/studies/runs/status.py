"""How far a run is, seen from another shell while it goes on: read off its diary and its folder, nothing is held."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thalweg.machine import disk
from thalweg.sampling.store import LOCK, Store
from thalweg.studies.runs.foretelling import amount_of_data, time_span
from thalweg.studies.runs.running import study_of


@dataclass(frozen=True)
class RunStatus:
    """A run at a moment.

    Attributes
    ----------
    title : of the study
    holder : the process that carries it out; None where none does
    rounds, planned : of the campaign, and those that are planned
    simulated, asked : time over all walkers, done and in all [ps]
    tasks : done
    seconds : that these took, of all workers
    idle : since the last one was done [s]; None where none was
    workers : tasks at once
    failed : the task that failed last and why, if nothing was done since
    size, files : on disk
    """

    title: str
    holder: str | None
    rounds: int
    planned: int
    simulated: float
    asked: float
    tasks: int
    seconds: float
    idle: float | None
    workers: int
    failed: tuple[str, str] | None
    size: int
    files: int

    @property
    def fraction(self) -> float:
        """Of the simulated time."""
        return min(self.simulated / self.asked, 1.0) if self.asked else 1.0

    @property
    def left(self) -> float | None:
        """Seconds that remain at the pace so far; None where nothing was simulated yet."""
        if not self.simulated:
            return None
        return self.seconds / self.workers * (self.asked - self.simulated) / self.simulated

    def in_words(self) -> Iterator[str]:
        """Sentences for a terminal."""
        yield f"{self.title}: {'running, ' + self.holder if self.holder else 'not running'}."
        share = f"{self.simulated * 1e-3:.4g} of {self.asked * 1e-3:.4g} ns ({100 * self.fraction:.0f} %)"
        yield f"{share} in {self.tasks} tasks; {self.planned} of {self.rounds} rounds are planned."
        if self.idle is not None:
            left = f", {time_span(self.left)} left at this pace" if self.left and self.fraction < 1 else ""
            yield f"The last task was done {time_span(self.idle)} ago{left}."
        if self.failed:
            yield f"{self.failed[0]} failed: {self.failed[1]}."
        yield f"{amount_of_data(self.size)} in {self.files:,} files and folders."


def run_status(run: Path) -> RunStatus:
    """How far the run in a folder is.

    Raises
    ------
    ValueError
        If the folder is no run.
    """
    study = study_of(run)
    store = Store(run)
    diary = store.diary()
    done = {note["task"]: note for note in diary if "task" in note}
    last = max((note["ended"] for note in done.values()), default=None)
    failures = [note for note in diary if "failed" in note and (last is None or note["ended"] > last)]
    size, files = disk.size(run)
    return RunStatus(
        title=study.title,
        holder=disk.holder(run / LOCK),
        rounds=study.campaign.rounds,
        planned=len(store.ids("plans")),
        simulated=sum(note.get("cost", 0.0) for note in done.values()),
        asked=study.campaign.cost(),
        tasks=len(done),
        seconds=sum(note.get("seconds", 0.0) for note in done.values()),
        idle=None if last is None else max(time.time() - last, 0.0),
        workers=study.execution.runner.workers,
        failed=(failures[-1]["failed"], failures[-1]["why"]) if failures else None,
        size=size,
        files=files,
    )
