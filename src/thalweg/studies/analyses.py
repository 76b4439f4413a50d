"""What is looked at once the work is done: one thing that cannot be looked at is told, and the others stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from thalweg.machine.surviving import surviving
from thalweg.report.results import Diagnosis

Found = TypeVar("Found")


@dataclass
class Analyses:
    """Does one analysis after the other and remembers which could not be done.

    Examples
    --------
    >>> analyses = Analyses()
    >>> analyses("the learning curve", lambda: 1 / 0, None)
    >>> analyses.diagnoses()[0].sentence
    'the learning curve could not be looked at: division by zero. Everything else is as it should be.'
    """

    failures: list[str] = field(default_factory=list)

    def __call__(self, what: str, work: Callable[[], Found], otherwise: Found) -> Found:
        """What ``work`` finds, or ``otherwise`` if it fails."""
        done = surviving([what], lambda _: work(), "analyses", fewest=0, told=False)
        self.failures += [
            str(failure).replace(": ", " could not be looked at: ", 1) for failure in done.failures
        ]
        return done.results[0] if done.results else otherwise

    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """A warning for each that failed."""
        return tuple(
            Diagnosis("warning", f"{failure}. Everything else is as it should be.")
            for failure in self.failures
        )
