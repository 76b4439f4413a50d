"""A bound on what a campaign takes up on disk: tasks that would pass it are not begun.

Nothing that was committed is ever removed or thinned: every entry may be read by a later task and counts in the digest.
What is bounded is what is begun. A task is expected to be as large as the largest of its kind so far, per simulated
time where it simulates; the first of a kind is done alone, so that this is known. Tasks that are under way keep their
room.
"""

from __future__ import annotations

from collections.abc import Iterable

from thalweg.machine import disk
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.units import Gigabytes

BYTES = 1e9
"""Of a gigabyte."""

LOOKED_AFTER = 0.1
"""Share of the room that was left which may be filled before the whole folder is measured again."""


class DiskBudget:
    """How much room is left to the campaign of ``store``.

    Parameters
    ----------
    store : whose folder is measured, with all that lies in it
    limit : of its size [GB]

    Examples
    --------
    >>> import tempfile
    >>> from thalweg.sampling.apparatus import ApparatusRecipe
    >>> from thalweg.sampling.tasks.simulate import Simulate
    >>> swarm = Simulate(ApparatusRecipe("mine.apparatus"), walkers=4, frames=10, save_every=1.0, seed=0)
    >>> first, second = (Task(f"segments/{name}", swarm) for name in "ab")
    >>> budget = DiskBudget(Store(tempfile.mkdtemp()), 0.001)
    >>> budget.admits(first, running=()), budget.admits(second, running=[first])    # until the first is measured
    (True, False)
    """

    def __init__(self, store: Store, limit: Gigabytes):
        self.store, self.limit = store, limit * BYTES
        self._largest: dict[tuple[str, bool], float] = {}
        self._measure()

    def admits(self, task: Task, running: Iterable[Task]) -> bool:
        """Whether ``task`` may be begun beside those that are ``running``."""
        kinds = [_kind(other) for other in running]
        if _kind(task) not in self._largest:
            return _kind(task) not in kinds and self.used < self.limit
        reserved = sum(self._expected(other) for other in running)
        return self.used + reserved + self._expected(task) <= self.limit

    def count(self, task: Task) -> None:
        """Take account of a task that was done."""
        size = disk.size(self.store.folder(task.id))[0]
        kind, used = _kind(task), self.used + size
        self._largest[kind] = max(self._largest.get(kind, 0.0), size / _extent(task))
        self.used = used
        if used - self._measured > LOOKED_AFTER * (self.limit - self._measured):
            self._measure()

    def refusal(self, task: Task) -> str:
        """Why ``task`` is not begun, and what to do."""
        expected = self._expected(task)
        needed = f"{task.id} needs some {expected / BYTES:.3g} GB" if expected else f"{task.id} is to be done"
        return (
            f"{self.used / BYTES:.3g} GB are in {self.store.path} and {needed}, but the run may take up "
            f"{self.limit / BYTES:.3g} GB; all that is committed is kept: begin anew with fewer frames (save_every) or "
            "shorter times, or allow more (--disk-limit)"
        )

    def _expected(self, task: Task) -> float:
        return self._largest.get(_kind(task), 0.0) * _extent(task)

    def _measure(self) -> None:
        self.used = self._measured = float(disk.size(self.store.path)[0])


def _kind(task: Task) -> tuple[str, bool]:
    """Tasks of one kind are as large as each other, per simulated time if they simulate."""
    return type(task.work).__name__, task.cost > 0


def _extent(task: Task) -> float:
    return task.cost if task.cost > 0 else 1.0
