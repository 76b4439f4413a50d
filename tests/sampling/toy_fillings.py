"""Campaigns of entries of a known size."""

from dataclasses import dataclass
from typing import ClassVar

from thalweg.machine import disk
from thalweg.sampling.policy import Task

SIZE = 200_000


@dataclass(frozen=True)
class Fill:
    """Commits an entry of so many bytes."""

    kind: ClassVar[str] = "run"
    size: int

    def __call__(self, store, entry):
        store.commit(entry, lambda folder: disk.write(folder / "filling", b"\0" * self.size))


@dataclass(frozen=True)
class Filling:
    """Each round, three entries."""

    rounds: int = 4

    def plan(self, store, round):
        return [Task(f"fillings/{round}-{i}", Fill(SIZE)) for i in range(3)]
