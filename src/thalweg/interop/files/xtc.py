"""Counting the frames of an XTC file without decompressing them.

An XTC file (GROMACS) has no table of contents: each frame says how many compressed bytes follow. Walking from
header to header counts the whole frames and shows where a file breaks off.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

MAGIC = 1995
FIXED = 56
"""Bytes of a frame before its coordinates: magic, atoms, step, time, box, atoms again."""

COMPRESSED = 36
"""Bytes between those and the compressed coordinates; the last four are the length of what follows."""


def scan_xtc(path: Path) -> tuple[int, int]:
    """Frames and atoms of an XTC file.

    Raises
    ------
    ValueError
        If it is no XTC file, or ends in the middle of a frame.
    """
    size = path.stat().st_size
    if size < FIXED:
        raise ValueError(f"{path} has {size} bytes and not one frame; write it again")
    frames = position = 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        atoms = struct.unpack_from(">i", data, 4)[0]
        while position < size:
            end = _end_of_frame(data, position, size)
            if end is None and struct.unpack_from(">i", data, 0)[0] != MAGIC:
                raise ValueError(f"{path} is no XTC file; name it by its format")
            if end is None or end > size:
                raise ValueError(
                    f"{path} breaks off after {frames} whole frames, {size - position} bytes into the next; "
                    "it was cut off or is still being written: copy it again, or keep the whole frames with "
                    "mdconvert"
                )
            frames, position = frames + 1, end
    return frames, atoms


def _end_of_frame(data, position: int, size: int) -> int | None:
    """Where the frame at ``position`` ends, or None if its header is damaged or incomplete."""
    if position + FIXED > size or struct.unpack_from(">i", data, position)[0] != MAGIC:
        return None
    atoms = struct.unpack_from(">i", data, position + FIXED - 4)[0]
    start = position + FIXED
    if atoms <= 9:
        return start + 12 * atoms
    if start + COMPRESSED > size:
        return None
    length = struct.unpack_from(">i", data, start + COMPRESSED - 4)[0]
    return start + COMPRESSED + 4 * (-(-length // 4))
