"""DCD trajectories as memory maps: nothing is read before it is asked for.

A DCD file (CHARMM, NAMD, OpenMM) is a header with the number of frames and atoms, then frames of one size,
each optionally a unit cell (A, gamma, B, beta, alpha, C; angles in degrees or as cosines) followed by all x,
all y and all z in float32 [Å], every record between two copies of its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from mdtraj.utils import lengths_and_angles_to_box_vectors

from thalweg.units import ANGSTROM

HEADER = 84
"""Length of the first record; it tells the byte order too."""

ORDERS: dict[bytes, Literal["=", "S"]] = {
    np.int32(HEADER).tobytes(): "=",
    np.int32(HEADER).byteswap().tobytes(): "S",
}
"""First bytes of a file -> whether its order is that of this machine, or swapped."""


@dataclass(frozen=True)
class DCD:
    """An open DCD file.

    Attributes
    ----------
    records : (frames,) structured memory map with ``x``, ``y``, ``z`` and, with a unit cell, ``cell``
    atoms : number of atoms
    """

    records: np.memmap
    atoms: int

    def __len__(self) -> int:
        return len(self.records)

    def positions(self, start: int, stop: int) -> np.ndarray:
        """Positions ``(frames, atoms, 3)`` [nm] of frames ``start`` to ``stop``."""
        part = self.records[start:stop]
        found = np.empty((len(part), self.atoms, 3), np.float32)
        for k, axis in enumerate("xyz"):
            np.multiply(part[axis], np.float32(ANGSTROM), out=found[:, :, k], casting="same_kind")
        return found

    def box(self, start: int, stop: int) -> np.ndarray | None:
        """Box vectors as rows, ``(frames, 3, 3)`` [nm], or None."""
        if "cell" not in (self.records.dtype.names or ()):
            return None
        a, gamma, b, beta, alpha, c = self.records[start:stop]["cell"].astype(float).T
        angles = np.stack([alpha, beta, gamma])
        if (np.abs(angles) <= 1.0).all():
            angles = np.degrees(np.arccos(angles))
        vectors = lengths_and_angles_to_box_vectors(*(ANGSTROM * length for length in (a, b, c)), *angles)
        return np.stack(vectors, axis=1)


def open_dcd(path: Path) -> DCD:
    """The DCD file at ``path``.

    Raises
    ------
    ValueError
        If it is no DCD file of this kind, or shorter or longer than its header says.
    """
    with open(path, "rb") as file:
        start = file.read(8)
        order = ORDERS.get(start[:4])
        if order is None or start[4:] != b"CORD":
            raise ValueError(f"{path} is no DCD file with 32-bit records; convert it to XTC with mdconvert")
        integer = np.dtype("i4").newbyteorder(order)
        control = np.frombuffer(file.read(80), integer)
        file.seek(4, 1)
        title = int(np.frombuffer(file.read(4), integer)[0])
        file.seek(title + 8, 1)
        atoms = int(np.frombuffer(file.read(4), integer)[0])
        offset = file.seek(4, 1)
    frames, fixed, has_cell, dimensions = (int(control[k]) for k in (0, 8, 10, 11))
    if fixed or dimensions:
        raise ValueError(f"{path} has fixed atoms or a fourth dimension; convert it to XTC with mdconvert")
    record = _record(atoms, bool(has_cell)).newbyteorder(order)
    size = path.stat().st_size
    whole, rest = divmod(size - offset, record.itemsize)
    if whole != frames or rest:
        raise ValueError(
            f"{path} announces {frames} frames but holds {whole} whole frames and {rest} bytes more; it was "
            "cut off or is still being written: copy it again, or keep the whole frames with mdconvert"
        )
    return DCD(np.memmap(path, record, "r", offset, (frames,)), atoms)


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
