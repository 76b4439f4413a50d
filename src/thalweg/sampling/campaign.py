"""The campaign: a policy plans tasks from what is stored, workers carry them out, the store grows.

``plan(store, round) -> tasks`` looks only at committed entries, and a task is a pure function of them, so
running a campaign and resuming it are the same call: plans already written are read back, tasks whose entry
exists are done.
"""

from __future__ import annotations

import errno
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from thalweg.machine import disk
from thalweg.machine.programs import make_room_for_programs
from thalweg.machine.surviving import reason
from thalweg.sampling.agenda import Agenda
from thalweg.sampling.disk_budget import DiskBudget
from thalweg.sampling.executors import serial
from thalweg.sampling.plans import from_plain, plain
from thalweg.sampling.policy import Planner, Task
from thalweg.sampling.store import MANIFEST, Store, StoreError, sha256
from thalweg.units import Gigabytes

PATIENCE = 600.0
"""Seconds for which workers that were there and are not to be had any more are waited for."""

DEATHS = 3
"""How often workers may die, nothing being finished in between, before the campaign gives up."""


@runtime_checkable
class CampaignObserver(Protocol):
    """Told whenever a task is done: a progress bar, a running report."""

    def __call__(self, round: int, task: Task, done: int, total: int, seconds: float | None) -> None:
        """``done`` of the ``total`` tasks of this round are; ``seconds`` is None for what was found done."""
        ...


class CampaignError(RuntimeError):
    """A task failed, or workers keep dying; everything committed is kept."""


def drive(
    store: Store,
    policy: Planner,
    executor: Callable[[], Executor] = serial,
    rounds: int | None = None,
    observers: Sequence[CampaignObserver] = (),
    disk_limit: Gigabytes | None = None,
) -> None:
    """Carry out the rounds of ``policy``, all or the first ``rounds``; do again only what is not committed.

    What was committed is compared with its digests first. Entries that are damaged are set aside, told by a warning,
    and made again, to the same bytes where machine and versions are the same.

    Parameters
    ----------
    executor : called for a `concurrent.futures.Executor`, such as `serial` or ``processes(2)``; called again
        when its workers were killed
    disk_limit : what the store may take up [GB], see `DiskBudget`; None for no bound

    Raises
    ------
    StoreError
        If the store is in use, cannot be written, or was damaged.
    CampaignError
        If a task fails, workers die three times in a row without finishing anything, or the next task would pass the
        limit of the disk.
    """
    with store.campaign() as held, _restored(held), Pool(executor) as pool:
        total = policy.rounds if rounds is None else min(rounds, policy.rounds)

        def tell(k: int, task: Task, done: int, of: int, seconds: float | None) -> None:
            if seconds is not None:
                held.note(
                    task=task.id,
                    kind=task.work.kind,
                    cost=task.cost,
                    seconds=round(seconds, 3),
                    ended=time.time(),
                )
            for observer in observers:
                observer(k, task, done, of, seconds)

        budget = None if disk_limit is None else DiskBudget(held, disk_limit)
        pool.carry_out(Agenda(held, policy, total, tell), held, budget)


@contextmanager
def _restored(store: Store) -> Iterator[None]:
    """Set damaged entries aside, and tell at the end whether they were made again as they were."""
    before = {}
    for entry, problems in store.damage().items():
        place = store.set_aside(entry)
        before[entry] = place
        store.note(damaged=entry, problems=problems, kept=place.name)
        warnings.warn(f"{problems[0]}; set aside as {place}, to be made again", stacklevel=3)
    yield
    for entry, place in before.items():
        if store.has(entry) and not _same(place, store.folder(entry)):
            store.note(differs=entry)
            warnings.warn(
                f"{entry} was made again but is not what it was, on another machine or by other versions perhaps; what "
                "was made from it before stays",
                stacklevel=3,
            )


def _same(before: Path, now: Path) -> bool:
    """Whether every file of the folder ``now`` is what the damaged folder held or what its manifest spoke of."""
    try:
        known = json.loads(disk.read_bytes(before / MANIFEST))
    except (OSError, ValueError):
        known = None
    spoken = known if isinstance(known, dict) else {}
    kept = {str(path.relative_to(before)): sha256(path) for path in disk.files(before)}
    new = json.loads(disk.read_bytes(now / MANIFEST))
    return known is None or all(digest in (spoken.get(name), kept.get(name)) for name, digest in new.items())


class Pool:
    """An executor made when first needed, kept for all rounds, and made anew when its workers were killed."""

    def __init__(self, make: Callable[[], Executor]):
        self._make = make
        self._executor: Executor | None = None
        self._served = False

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception) -> None:
        self._close()

    def carry_out(self, agenda: Agenda, store: Store, budget: DiskBudget | None = None) -> None:
        """Do the tasks of an agenda, each as soon as what it reads is there."""
        running: dict[Future, Task] = {}
        deaths = 0
        while True:
            try:
                self._begin(agenda, running, store, budget)
                if not running:
                    return
                ended = wait(running, return_when=FIRST_COMPLETED).done
                seconds = {future: _seconds(future, running[future], store) for future in ended}
            except BrokenExecutor as error:
                self._close()
                deaths += 1
                if deaths == DEATHS:
                    names = ", ".join(task.id for task in running.values())
                    raise CampaignError(
                        f"workers were killed {DEATHS} times in a row while doing {names}, perhaps for lack "
                        "of memory; what is committed is kept: use fewer processes and run again"
                    ) from error
                agenda.put_back(running.values())
                running.clear()
                continue
            deaths = 0
            for future in ended:
                task = running.pop(future)
                if budget is not None:
                    budget.count(task)
                agenda.finish(task, seconds[future])

    def _begin(
        self, agenda: Agenda, running: dict[Future, Task], store: Store, budget: DiskBudget | None
    ) -> None:
        """Hand out what can be done, as far as the disk has room for it."""
        taken = agenda.take()
        for k, task in enumerate(taken):
            if budget is not None and not budget.admits(task, running.values()):
                agenda.put_back(taken[k:])
                if not running:
                    raise CampaignError(budget.refusal(task)) from OSError(
                        errno.EDQUOT, "the limit of the disk"
                    )
                return
            try:
                work = self._workers().submit(_perform, task.id, plain(task.work), store.path, store.lease)
            except BrokenExecutor:
                agenda.put_back(taken[k:])
                raise
            running[work] = task

    def _workers(self) -> Executor:
        """The executor; one that has served before, as of a scheduler elsewhere, is waited for."""
        began = time.monotonic()
        while self._executor is None:
            try:
                self._executor = self._make()
            except OSError as error:
                if not self._served or time.monotonic() - began > PATIENCE:
                    raise
                warnings.warn(f"{error}; waiting for it", stacklevel=2)
                time.sleep(1.0)
        self._served = True
        return self._executor

    def _close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        self._executor = None


def _seconds(future: Future, task: Task, store: Store) -> float:
    """Seconds that a task took; what went wrong goes to the diary, too."""
    try:
        return future.result()
    except (BrokenExecutor, StoreError):
        raise
    except Exception as error:
        with suppress(StoreError):
            store.note(failed=task.id, why=reason(error), ended=time.time())
        raise CampaignError(f"{task.id} failed: {error}; what is committed is kept") from error


def _perform(entry: str, work: Any, path: Path, lease: str | None = None) -> float:
    """Do ``work``, given as `plain` says, unless its entry exists; the seconds it took.

    What is written counts only as long as the campaign that gave the ``lease`` holds the store.
    """
    store = Store(path, lease)
    began = time.perf_counter()
    if not store.has(entry):
        make_room_for_programs()
        from_plain(work)(store, entry)
    return time.perf_counter() - began
