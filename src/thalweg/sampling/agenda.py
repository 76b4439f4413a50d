"""What a campaign has to do next: tasks of the rounds that are planned, and which of them wait for which.

A round is planned when all before it are done. A policy that is `foreseen`, whose plans look at nothing that is
stored, is planned ahead: a task then begins as soon as the entries that it names are there, and nobody waits for the
slowest of a round. What is committed in the end is the same, and so is its digest.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from thalweg.machine.surviving import reason
from thalweg.sampling.plans import plain, planned
from thalweg.sampling.policy import Planner, Task
from thalweg.sampling.store import ENTRY, Store, StoreError

AHEAD = 16
"""Rounds that are planned beyond the first unfinished one, at most."""


def foreseen(policy: Planner) -> bool:
    """Whether plans of ``policy`` are functions of the round alone, as it says itself by an attribute of this name."""
    return bool(getattr(policy, "foreseen", False))


def _entries_named(content: Any) -> Iterator[str]:
    """Texts in `plain` data that may name entries of a store.

    Examples
    --------
    >>> list(_entries_named({"is": "sampling.Add", "before": ["sums/000-1", 3], "seed": 1}))
    ['sums/000-1']
    """
    if isinstance(content, str):
        if ENTRY.fullmatch(content):
            yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from _entries_named(value)
    elif isinstance(content, list):
        for value in content:
            yield from _entries_named(value)


@dataclass
class _Round:
    """A planned round: its number, how many tasks it has, and how many of these are not done."""

    number: int
    tasks: int
    open: int


class Agenda:
    """Open tasks of a campaign, handed out as soon as what they read is there.

    Parameters
    ----------
    store : of the campaign
    policy : plans the rounds
    rounds : how many of them
    tell : told of each task that is done: round, task, how many of the round are done, of how many, and the seconds
        it took, None for one that was found done
    """

    def __init__(self, store: Store, policy: Planner, rounds: int, tell: Callable[..., None]):
        self._store, self._policy, self._rounds, self._tell = store, policy, rounds, tell
        self._ahead = AHEAD if foreseen(policy) else 0
        self._next = 0
        self._open: deque[_Round] = deque()
        self._round_of: dict[str, _Round] = {}
        self._ready: list[Task] = []
        self._waiting: dict[str, tuple[Task, set[str]]] = {}
        self._after: defaultdict[str, list[str]] = defaultdict(list)

    def take(self) -> list[Task]:
        """Tasks that can be begun and were not taken before.

        Raises
        ------
        StoreError
            If a plan cannot be kept or read.
        RuntimeError
            If the policy fails to plan.
        """
        while self._next < self._rounds and (
            not self._open or self._next - self._open[0].number <= self._ahead
        ):
            self._add(self._next, self._planned(self._next))
            self._next += 1
        ready, self._ready = self._ready, []
        return ready

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Tasks that were taken and are not being done any more."""
        self._ready = [*tasks, *self._ready]

    def finish(self, task: Task, seconds: float) -> None:
        """Take ``task`` as done."""
        round = self._round_of.pop(task.id)
        round.open -= 1
        for name in self._after.pop(task.id, ()):
            waiting, waits = self._waiting[name]
            waits.discard(task.id)
            if not waits:
                del self._waiting[name]
                self._ready.append(waiting)
        while self._open and not self._open[0].open:
            self._open.popleft()
        self._tell(round.number, task, round.tasks - round.open, round.tasks, seconds)

    def _planned(self, k: int) -> list[Task]:
        try:
            return planned(self._store, self._policy, k)
        except (StoreError, ValueError, OSError):
            raise  # these say what is wrong
        except Exception as error:
            raise RuntimeError(
                f"{type(self._policy).__name__} failed to plan round {k}: {type(error).__name__}: {reason(error)}; "
                "what is committed is kept"
            ) from error

    def _add(self, k: int, tasks: list[Task]) -> None:
        """Take up a round; what its tasks name of earlier rounds and is not done is waited for."""
        missing = [task for task in tasks if not self._store.has(task.id)]
        round = _Round(k, len(tasks), len(missing))
        for task in missing:
            named = _entries_named(plain(task.work)) if self._open else ()
            waits = {name for name in named if name in self._round_of}
            if not waits:
                self._ready.append(task)
                continue
            self._waiting[task.id] = (task, waits)
            for name in waits:
                self._after[name].append(task.id)
        left = {task.id for task in missing}
        for task in tasks:
            if task.id not in left:
                self._tell(k, task, len(tasks) - len(missing), len(tasks), None)
        self._round_of |= {task.id: round for task in missing}
        if missing:
            self._open.append(round)
