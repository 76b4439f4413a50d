"""Many members, one work: what one of them cannot do is told and counted, the others stand.

A member is a bootstrap replicate, a lag, a seed, a fold, a frame, a figure. One that raises is left out; a scan, fit or
report ends only when too few are left, and then says why the first one failed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Member = TypeVar("Member")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure(Generic[Member]):
    """One member that could not do its work.

    Attributes
    ----------
    member : which
    error : what it raised
    """

    member: Member
    error: Exception

    def __str__(self) -> str:
        return f"{self.member}: {reason(self.error)}"


@dataclass(frozen=True)
class Survivors(Generic[Member, Result]):
    """Results of the members that could do the work.

    Attributes
    ----------
    members, results : of those, in order
    failures : of the others, in order
    kind : what a member is, in the plural: "bootstrap replicates"
    """

    members: tuple[Member, ...]
    results: tuple[Result, ...]
    failures: tuple[Failure[Member], ...]
    kind: str

    @property
    def told(self) -> str:
        """How many failed and why the first did; empty if none did."""
        if not self.failures:
            return ""
        total = len(self.members) + len(self.failures)
        return (
            f"{len(self.failures)} of {total} {self.kind} failed and are left out; first, {self.failures[0]}"
        )


def surviving(
    members: Iterable[Member], work: Callable[[Member], Result], kind: str, fewest: int = 1, told: bool = True
) -> Survivors[Member, Result]:
    """Results of ``work(member)`` for all members that can do it.

    Parameters
    ----------
    kind : what a member is, in the plural
    fewest : members that must be left
    told : whether failures are told by a warning; False where the caller tells them

    Raises
    ------
    ValueError
        If fewer than ``fewest`` are left, from the error of the first that failed. Errors of the operating system (a
        full disk, a file that is not there) and of memory end the work as they are.

    Examples
    --------
    >>> left = surviving([1, 2, 0], lambda lag: 6 // lag, "lags", told=False)
    >>> left.results, left.told
    ((6, 3), '1 of 3 lags failed and are left out; first, 0: integer division or modulo by zero')
    """
    done: list[tuple[Member, Result]] = []
    failures: list[Failure[Member]] = []
    for member in members:
        try:
            done.append((member, work(member)))
        except (MemoryError, OSError):
            raise
        except Exception as error:
            failures.append(Failure(member, error))
    left = Survivors(
        tuple(member for member, _ in done), tuple(result for _, result in done), tuple(failures), kind
    )
    if len(done) < fewest:
        raise _too_few(left, fewest) from (failures[0].error if failures else None)
    if failures and told:
        warnings.warn(left.told, stacklevel=2)
    return left


def reason(error: Exception) -> str:
    """First line of what ``error`` says, its kind where it says nothing.

    Examples
    --------
    >>> reason(ZeroDivisionError()), reason(ValueError("lag too long\\nby 3"))
    ('ZeroDivisionError', 'lag too long')
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _too_few(left: Survivors, fewest: int) -> ValueError:
    total = len(left.members) + len(left.failures)
    if not left.failures:
        return ValueError(f"{total} {left.kind}; at least {fewest} needed")
    if not left.members:
        return ValueError(f"all {total} {left.kind} failed; first, {left.failures[0]}")
    return ValueError(
        f"only {len(left.members)} of {total} {left.kind} could be used, {fewest} are needed; "
        f"first that failed, {left.failures[0]}"
    )
