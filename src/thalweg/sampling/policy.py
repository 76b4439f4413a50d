"""A policy decides what to do next; a task is a piece of work and the entry it commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from thalweg.sampling.store import Store


@runtime_checkable
class Work(Protocol):
    """What a task does: a frozen dataclass of plain data, called in a worker.

    ``kind`` is one of run, train, reduce, label.
    """

    kind: str

    def __call__(self, store: Store, entry: str) -> Any:
        """Commit ``entry``, computed from committed entries and nothing else."""
        ...


@dataclass(frozen=True)
class Task:
    """A piece of work and the entry, ``kind/name``, it will commit."""

    id: str
    work: Work


@runtime_checkable
class Policy(Protocol):
    """Decides what to do next.

    ``rounds`` is the number of rounds; the tasks of one round do not depend on each other.
    """

    rounds: int

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        """The tasks of a round, a pure function of what is committed."""
        ...
