"""What trajectory files are worth as evidence: each counted once, with the time that really lies between frames."""

from __future__ import annotations

import filecmp
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thalweg.interop.files.trajectories import TrajectoryFile
from thalweg.machine.reading import UnreadableFile
from thalweg.shapes import Float
from thalweg.units import Picoseconds

TAIL = 1 << 16
"""Bytes at the end of a file by which files of one size are told apart first."""

CLOSE = 1e-3
"""Relative difference of two times between frames that are the same, written with few digits."""


def check_given_once(paths: Sequence[str | Path]) -> None:
    """Raise if two of the files are one, or have the same content: their evidence would count twice.

    Raises
    ------
    UnreadableFile
        Naming both.
    """
    alike: dict[tuple[int, bytes], list[Path]] = defaultdict(list)
    for path in map(Path, paths):
        if not path.is_file():
            continue
        size = path.stat().st_size
        with open(path, "rb") as file:
            file.seek(max(0, size - TAIL))
            end = hashlib.sha256(file.read()).digest()
        for other in alike[size, end]:
            if filecmp.cmp(path, other, shallow=False):
                raise UnreadableFile(
                    f"{path} and {other} have the same content, which would count twice as evidence; give it once"
                )
        alike[size, end].append(path)


def time_between_frames(
    files: Sequence[TrajectoryFile], given: Picoseconds | None = None
) -> tuple[float, tuple[str, ...]]:
    """Time between frames [ps], and what to know about the times in the files, in sentences.

    Parameters
    ----------
    given : what the user says [ps]; None to take what the files say

    Raises
    ------
    UnreadableFile
        If files say something else than the user or each other, or nobody says anything.
    """
    notes, dt, first = [], given, "you said"
    for file in files:
        if file.times is None or (found := spacing(file.times)) is None:
            continue
        if dt is None:
            dt, first = found, f"{file.path} says"
        if abs(found - dt) > CLOSE * dt + _resolution(file.times):
            raise UnreadableFile(
                f"{file.path} says that its frames are {found:g} ps apart, {first} {dt:g} ps; leave out the time or "
                "give the right one, give only trajectories of one spacing, or write the file without the wrong times"
            )
        if note := _unevenness(file, dt):
            notes.append(note)
    if dt is None:
        raise UnreadableFile(
            f"{files[0].path} does not say the time between its frames; give it (--dt), such as 1 ps"
        )
    return dt, tuple(notes)


def spacing(times: Float[np.ndarray, " frames"]) -> float | None:
    """The usual time between frames [ps], or None if ``times`` do not go on and so say nothing.

    Examples
    --------
    >>> spacing(np.array([0.0, 2.0, 4.0, 9.0])), spacing(np.zeros(5))
    (2.0, None)
    """
    if len(times) < 2:
        return None
    usual = float(np.median(np.diff(times)))
    return usual if usual > 0 else None


def _resolution(times: np.ndarray) -> float:
    """Half a digit of times that are kept in 32 bits [ps]."""
    return 2 * float(np.finfo(np.float32).eps) * float(np.abs(times).max())


def _unevenness(file: TrajectoryFile, dt: float) -> str:
    """What is odd about the times of a file whose frames should be ``dt`` apart; empty if nothing is."""
    assert file.times is not None
    steps = np.diff(file.times)
    odd = np.flatnonzero(np.abs(steps - dt) > 0.01 * dt + 2 * _resolution(file.times))
    if not len(odd):
        return ""
    return (
        f"{file.path.name}: frame {odd[0] + 1} comes {steps[odd[0]]:g} ps after the one before and not {dt:g} ps "
        f"({len(odd)} such places); frames are counted as evenly spaced, so cut the file there or remove what is twice."
    )
