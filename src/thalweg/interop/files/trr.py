"""TRR trajectories (GROMACS): frames of plain numbers, found by walking from header to header.

A frame is a header with the bytes of each part it has, its time, then those parts: box, virial, pressure, positions,
velocities, forces, in 32 or 64 bits [nm, ps]. Frames without positions are passed over.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.machine.reading import UnreadableFile, broken_off

MAGIC = 1993
NAME = b"GMX_trn_file"
HEADER = 76
"""Bytes of a header before the time."""

ADVICE = "copy the file again, or keep the frames before with mdconvert"


@dataclass(frozen=True)
class TRR:
    """The frames with positions of a TRR file.

    Attributes
    ----------
    path : where it is
    atoms : in each frame
    boxes, starts : (frames,) where box (-1 where there is none) and positions of each begin [bytes]
    times : (frames,) as the file says [ps]
    number : big-endian 32 or 64 bits
    rest : bytes after the last whole frame
    """

    path: Path
    atoms: int
    boxes: np.ndarray
    starts: np.ndarray
    times: np.ndarray
    number: np.dtype
    rest: int

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def told(self) -> str:
        """What is odd about the end of the file; empty if nothing is."""
        return broken_off(self.path, len(self), self.rest)

    def chunks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Positions ``(frames, atoms, 3)`` and boxes ``(frames, 3, 3)`` or None [nm], ``size`` frames at a time."""
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for first in range(0, len(self), size):
                part = slice(first, first + size)
                yield self._arrays(data, self.starts[part], self.atoms), self._boxes(data, self.boxes[part])

    def _boxes(self, data, places: np.ndarray) -> np.ndarray | None:
        return None if (places < 0).any() else self._arrays(data, places, 3)

    def _arrays(self, data, places: np.ndarray, rows: int) -> np.ndarray:
        found = np.empty((len(places), rows, 3), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for k, place in enumerate(places):
                found[k] = np.frombuffer(data, self.number, 3 * rows, int(place)).reshape(rows, 3)
        return found


def open_trr(path: Path) -> TRR:
    """The TRR file at ``path``.

    Raises
    ------
    UnreadableFile
        If it is no TRR file, has no whole frame with positions, or a frame says something impossible.
    """
    size = path.stat().st_size
    if size < HEADER + 8:
        raise UnreadableFile(f"{path} has {size} bytes and not one frame; write it again")
    boxes, starts, times, kinds, position, passed, atoms = [], [], [], set(), 0, 0, 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while position + HEADER + 8 <= size:
            where = f"{path} is damaged in frame {passed}"
            magic, _, length = struct.unpack_from(">3i", data, position)
            if magic != MAGIC or length != len(NAME) or data[position + 12 : position + 24] != NAME:
                if not passed:
                    raise UnreadableFile(f"{path} is no TRR file; name it by its format")
                raise UnreadableFile(f"{where}: no frame begins where the one before ends; {ADVICE}")
            parts = struct.unpack_from(">13i", data, position + 24)
            sizes, count = parts[:10], parts[10]
            atoms = atoms or count
            width = _width(sizes, count)
            if count != atoms or count < 1 or width is None:
                raise UnreadableFile(
                    f"{where}: its header speaks of {count} atoms in {sizes[7]} bytes; {ADVICE}"
                )
            begin = position + HEADER + 2 * width
            end = begin + sum(sizes)
            if end > size:
                break
            if sizes[7]:
                boxes.append(begin + sum(sizes[:2]) if sizes[2] else -1)
                starts.append(begin + sum(sizes[:7]))
                times.append(struct.unpack_from(">f" if width == 4 else ">d", data, position + HEADER)[0])
                kinds.add(width)
            position, passed = end, passed + 1
    if not starts or len(kinds) > 1:
        raise UnreadableFile(f"{path} has no whole frame with positions of one precision; copy it again")
    if not np.isfinite(times).all():
        bad = int(np.flatnonzero(~np.isfinite(times))[0])
        raise UnreadableFile(f"{path} is damaged in frame {bad}: its time is not finite; {ADVICE}")
    number = np.dtype(f">f{kinds.pop()}")
    return TRR(path, atoms, np.array(boxes), np.array(starts), np.array(times), number, size - position)


def _width(sizes: tuple[int, ...], atoms: int) -> int | None:
    """Bytes of a number in a frame whose parts have ``sizes``, or None if they fit no number of ``atoms``."""
    if min(sizes) < 0 or sizes[0] or sizes[1] or sizes[5] or sizes[6]:
        return None
    for width in (4, 8):
        boxes_fit = all(size in (0, 9 * width) for size in sizes[2:5])
        if boxes_fit and all(size in (0, 3 * atoms * width) for size in sizes[7:]) and any(sizes):
            return width
    return None
