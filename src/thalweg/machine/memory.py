"""Whether something fits into memory, asked before it starts.

A fit that dies after an hour for want of memory is a bad way to learn the size of its matrix. Whoever is about to
allocate ``n * m`` numbers says so here first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

SPARED = 0.05
"""Fraction of the memory there is that is left to everything else."""


def available_memory() -> int:
    """Bytes that can still be taken without swapping: the least of what the machine and its control group have."""
    return int(min(psutil.virtual_memory().available, _group_memory()))


def require_memory(needed: float | int, what: str, most: float | None = None) -> None:
    """Refuse ``what`` where it needs more than there is.

    Parameters
    ----------
    needed : peak of bytes, such as ``8 * rows * columns`` for a matrix in 64 bits, copies included
    what : what needs them and how to need less, for the message
    most : bytes that may be taken; None is what there is

    Raises
    ------
    MemoryError
        With both numbers.

    Examples
    --------
    >>> require_memory(8 * 1000 * 1000, "normal equations of 1000 functions")
    >>> require_memory(1e18, "kernel of 10^9 rows; use fewer frames")
    Traceback (most recent call last):
    MemoryError: kernel of 10^9 rows; use fewer frames: needs 1,000,000,000.00 GB, ...
    """
    usable = (1 - SPARED) * available_memory() if most is None else most
    if needed > usable:
        raise MemoryError(f"{what}: needs {needed / 1e9:,.2f} GB, {usable / 1e9:,.2f} GB can be had here")


def _group_memory() -> float:
    """Bytes below the limits of the control groups this process is in (containers, batch queues); infinite without."""
    left = float("inf")
    for folder, limit, usage, cache in _control_groups():
        try:
            most, used = (float((folder / name).read_text()) for name in (limit, usage))
            lines = (folder / "memory.stat").read_text().splitlines()
            freed = sum(float(line.split()[1]) for line in lines if line.split()[0] == cache)
        except (OSError, ValueError):
            continue
        left = min(left, most - used + freed)
    return left


def _control_groups() -> Iterator[tuple[Path, str, str, str]]:
    """Folders of this process's groups and of all above them, with their files of limit and use and the word for
    what is easily given up."""
    try:
        entries = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    for _, controllers, place in entries:
        if controllers not in ("", "memory"):
            continue
        first = Path("/sys/fs/cgroup") / controllers
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else ("memory.max", "memory.current", "inactive_file")
        )
        folder = first / place.lstrip("/")
        for each in (folder, *folder.parents):
            yield each, *names
            if each == first:
                break
