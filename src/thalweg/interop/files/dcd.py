"""DCD trajectories as memory maps: nothing is read before it is asked for.

A DCD file (CHARMM, NAMD, OpenMM) is a header with the number of frames and atoms, then frames of one size,
each optionally a unit cell (A, gamma, B, beta, alpha, C; angles in degrees or as cosines) followed by all x,
all y and all z in float32 [Å], every record between two copies of its length. Programs that are killed leave a
header that announces other frames than there are: the whole ones are counted by their size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from thalweg.interop.files.cells import cell_vectors
from thalweg.machine.reading import UnreadableFile
from thalweg.units import AKMA_TIME, ANGSTROM

HEADER = 84
"""Length of the first record; it tells the byte order too."""

ORDERS: dict[bytes, Literal["=", "S"]] = {
    np.int32(HEADER).tobytes(): "=",
    np.int32(HEADER).byteswap().tobytes(): "S",
}
"""First bytes of a file -> whether its order is that of this machine, or swapped."""

UNSAID = (0.0, 1.0, 1e-3)
"""Time steps in headers of programs that do not know them (VMD and MDTraj, cpptraj)."""


@dataclass(frozen=True)
class DCD:
    """An open DCD file.

    Attributes
    ----------
    path : where it is
    records : (frames,) structured memory map with ``x``, ``y``, ``z`` and, with a unit cell, ``cell``
    atoms : number of atoms
    announced : frames that the header speaks of
    rest : bytes after the last whole frame
    dt : time between frames [ps] as the header says, None where the program that wrote it did not know
    """

    path: Path
    records: np.memmap
    atoms: int
    announced: int
    rest: int
    dt: float | None

    def __len__(self) -> int:
        return len(self.records)

    @property
    def told(self) -> str:
        """What is odd about the number of frames; empty where it is what the header says."""
        if len(self) == self.announced and not self.rest:
            return ""
        return (
            f"{self.path} announces {self.announced} frames but holds {len(self)} whole frames and {self.rest} bytes "
            "more, as when it is cut off or still being written; the whole frames are read"
        )

    @property
    def times(self) -> np.ndarray | None:
        """Times ``(frames,)`` from the first frame on [ps], None where the header does not say."""
        return None if self.dt is None else self.dt * np.arange(len(self))

    def chunks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Positions ``(frames, atoms, 3)`` and boxes ``(frames, 3, 3)`` or None [nm], ``size`` frames at a time."""
        for start in range(0, len(self), size):
            yield self.positions(start, start + size), self.box(start, start + size)

    def positions(self, start: int, stop: int) -> np.ndarray:
        """Positions ``(frames, atoms, 3)`` [nm] of frames ``start`` to ``stop``.

        Raises
        ------
        UnreadableFile
            If a record of a frame has not the length it says.
        """
        part = self.records[start:stop]
        self._check_lengths(part, start)
        found = np.empty((len(part), self.atoms, 3), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for k, axis in enumerate("xyz"):
                np.multiply(part[axis], np.float32(ANGSTROM), out=found[:, :, k], casting="same_kind")
        return found

    def box(self, start: int, stop: int) -> np.ndarray | None:
        """Box vectors as rows, ``(frames, 3, 3)`` [nm], of `cell_vectors`; None without cells."""
        if "cell" not in (self.records.dtype.names or ()):
            return None
        a, gamma, b, beta, alpha, c = self.records[start:stop]["cell"].astype(float).T
        angles = np.stack([alpha, beta, gamma], axis=1)
        with np.errstate(invalid="ignore"):
            if (np.abs(angles) <= 1.0).all():
                angles = np.degrees(np.arccos(angles))
        return cell_vectors(ANGSTROM * np.stack([a, b, c], axis=1), angles)

    def _check_lengths(self, part: np.ndarray, start: int) -> None:
        """Raise for the first frame whose records are not between two copies of their lengths."""
        wrong = np.zeros(len(part), bool)
        for name in part.dtype.names or ():
            if name.startswith(("before_", "after_")):
                wrong |= part[name] != part.dtype[name.partition("_")[2]].itemsize
        if wrong.any():
            raise UnreadableFile(
                f"{self.path} is damaged in frame {start + int(np.flatnonzero(wrong)[0])}: its records do not have the "
                "lengths they say; copy the file again, or keep the frames before"
            )


def open_dcd(path: Path) -> DCD:
    """The DCD file at ``path``.

    Raises
    ------
    UnreadableFile
        If it is no DCD file of this kind, or holds no whole frame.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(HEADER + 12)
        order = ORDERS.get(head[:4])
        if order is None or head[4:8] != b"CORD":
            raise UnreadableFile(
                f"{path} is no DCD file with 32-bit records; convert it to XTC with mdconvert"
            )
        if len(head) < HEADER + 12:
            raise UnreadableFile(f"{path} has {size} bytes and not one frame; write it again")
        integer = np.dtype("i4").newbyteorder(order)
        control = np.frombuffer(head, integer, 20, 8)
        title = int(np.frombuffer(head, integer, 1, HEADER + 8)[0])
        if head[HEADER + 4 : HEADER + 8] != head[:4] or not 0 <= title <= size - len(head):
            raise UnreadableFile(f"{path} has a damaged header; copy it again")
        file.seek(title, 1)
        lengths = np.frombuffer(file.read(16), integer)
        offset = file.tell()
    if len(lengths) < 4 or lengths[0] != title or lengths[1] != 4 or lengths[3] != 4 or lengths[2] < 1:
        raise UnreadableFile(f"{path} has a damaged header, or ends in it after {size} bytes; copy it again")
    atoms, charmm = int(lengths[2]), bool(control[19])
    # X-PLOR keeps the time step in 64 bits where CHARMM says whether there are cells
    fixed, has_cell, dimensions = int(control[8]), charmm and bool(control[10]), charmm and bool(control[11])
    if fixed or dimensions:
        raise UnreadableFile(
            f"{path} has fixed atoms or a fourth dimension; convert it to XTC with mdconvert"
        )
    step = np.frombuffer(head, np.dtype("f4" if charmm else "f8").newbyteorder(order), 1, 8 + 4 * 9)[0]
    frame = 12 * atoms + 24 + 56 * has_cell
    whole, rest = divmod(size - offset, frame)
    if not whole:
        raise UnreadableFile(
            f"{path} holds not one whole frame of {atoms} atoms after its header; copy it again"
        )
    record = _record(atoms, has_cell).newbyteorder(order)
    records = np.memmap(path, record, "r", offset, (whole,))
    return DCD(path, records, atoms, int(control[0]), rest, _time_between(float(step), int(control[2])))


def _time_between(step: float, every: int) -> float | None:
    """Time between frames [ps] of a step [AKMA] taken ``every`` so many times, or None if that says nothing."""
    if every < 1 or not 0.0 < step < 1e6 or (every == 1 and any(np.isclose(step, one) for one in UNSAID)):
        return None
    return step * every * AKMA_TIME


def _record(atoms: int, has_cell: bool) -> np.dtype:
    """Layout of one frame, record lengths included."""
    fields = [("cell", "(6,)f8")] if has_cell else []
    fields += [(axis, f"({atoms},)f4") for axis in "xyz"]
    guarded = [((f"before_{name}", "i4"), (name, kind), (f"after_{name}", "i4")) for name, kind in fields]
    return np.dtype([entry for triple in guarded for entry in triple])


def without_date(path: Path) -> None:
    """Blank the second title line of a DCD file, where writers put the time of day."""
    with open(path, "r+b") as file:
        file.seek(HEADER + 8 + 8 + 80)
        file.write(bytes(80))
