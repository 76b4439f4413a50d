"""What stands in an XTC file, and whether it can be decompressed: checked before any library reads it.

An XTC file (GROMACS) has no table of contents: each frame says how many compressed bytes follow. Walking from
header to header counts the whole frames and shows where a file breaks off. The compressed coordinates are one stream
of bits: an atom of fixed size, a flag, and where it is set the length of a run of atoms close to it, whose size is the
one before, one step larger or smaller. A damaged run leads a reader beyond its memory; here the sizes alone are
followed, those of many frames at once.

=====================  =======================================================================
``size``               atoms a frame is said to have
``small``              index of the size of atoms in runs, a row of the table of sizes
``run``                atoms of the current run, kept until the next flag
=====================  =======================================================================
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mdtraj.formats import XTCTrajectoryFile

from thalweg.machine.reading import UnreadableFile, broken_off

MAGIC = 1995
FIXED = 56
"""Bytes of a frame before its coordinates: magic, atoms, step, time, box, atoms again."""

COMPRESSED = 36
"""Bytes between those and the compressed coordinates; the last four are the length of what follows."""

PLAIN = 9
"""Atoms up to which coordinates are not compressed."""

SIZES = (9, 72)
"""Rows of the table of sizes that atoms in runs may have."""

LARGE = 0xFFFFFF
"""Ranges of coordinates up to which the three of an atom are stored as one number."""

BATCH = 1 << 26
"""Compressed bytes followed at once."""

ADVICE = "copy the file again, or keep the frames before with mdconvert"


@dataclass(frozen=True)
class XTC:
    """The frames of an XTC file, found by their headers.

    Attributes
    ----------
    path : where it is
    atoms : in each frame
    starts : (frames,) where each one begins [bytes]
    times : (frames,) as the file says [ps]
    rest : bytes after the last whole frame
    """

    path: Path
    atoms: int
    starts: np.ndarray
    times: np.ndarray
    rest: int
    _bits: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def told(self) -> str:
        """What is odd about the end of the file; empty if nothing is."""
        return broken_off(self.path, len(self), self.rest)

    def chunks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Positions ``(frames, atoms, 3)`` and boxes ``(frames, 3, 3)`` [nm], ``size`` frames at a time.

        Raises
        ------
        UnreadableFile
            For the first frame that cannot be decompressed, before any library tries.
        """
        sound, checked = self.require_sound(), 0
        with XTCTrajectoryFile(str(self.path)) as file:
            for first in range(0, len(self), size):
                last = min(first + size, len(self))
                while checked < last:
                    checked = next(sound)
                positions, _, _, box = file.read(last - first)
                if len(positions) != last - first:
                    raise UnreadableFile(
                        f"{self.path} is damaged after frame {first + len(positions) - 1}; {ADVICE}"
                    )
                yield positions, box

    def require_sound(self) -> Iterator[int]:
        """Frames up to which the compressed coordinates can be read, batch by batch.

        Raises
        ------
        UnreadableFile
            For the first frame that cannot, when it is its turn.
        """
        if self.atoms <= PLAIN:
            yield len(self)
            return
        ends = np.append(self.starts[1:], self.starts[-1:])
        frame = max(1, int((ends - self.starts).max()), COMPRESSED)
        count = max(1, BATCH // frame)
        with open(self.path, "rb") as file:
            for first in range(0, len(self), count):
                last = min(first + count, len(self))
                wrong = self._first_unsound(file, first, last)
                if wrong is not None:
                    raise UnreadableFile(
                        f"{self.path} is damaged in frame {wrong}: its compressed coordinates are not of {self.atoms} "
                        f"atoms; {ADVICE}"
                    )
                yield last

    def _first_unsound(self, file, first: int, last: int) -> int | None:
        """The first of the frames from ``first`` to ``last`` whose stream of bits does not end as it should."""
        streams = []
        for start, bits in zip(self.starts[first:last], self._bits[first:last]):
            file.seek(int(start) + FIXED + COMPRESSED)
            streams.append(file.read(int(bits[0])))
        wrong = np.flatnonzero(~_sound(streams, self._bits[first:last, 1:], self.atoms))
        return None if not len(wrong) else first + int(wrong[0])


def scan_xtc(path: Path) -> XTC:
    """The frames of an XTC file, none of them decompressed.

    Raises
    ------
    UnreadableFile
        If it is no XTC file, has not one whole frame, or a frame says something impossible.
    """
    size = path.stat().st_size
    if size < FIXED:
        raise UnreadableFile(f"{path} has {size} bytes and not one frame; write it again")
    starts, times, bits, position = [], [], [], 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        magic, atoms = struct.unpack_from(">2i", data, 0)
        if magic != MAGIC:
            raise UnreadableFile(f"{path} is no XTC file; name it by its format")
        if atoms < 1:
            raise UnreadableFile(f"{path} says that it has {atoms} atoms; copy it again")
        while position < size:
            where = f"{path} is damaged in frame {len(starts)}"
            head = _head(data, position, size, atoms, where)
            if head is None:
                break
            end, time, stream = head
            starts.append(position)
            times.append(time)
            bits.append(stream)
            position = end
    if not starts:
        raise UnreadableFile(f"{path} has {size} bytes and not one whole frame; copy it again")
    return XTC(path, atoms, np.array(starts), np.array(times), size - position, np.array(bits).reshape(-1, 3))


def _head(data, position: int, size: int, atoms: int, where: str):
    """End of the frame at ``position``, its time, and (bytes, bits of an atom, ``small``) of its stream; None if the
    file ends in it."""
    if position + FIXED > size:
        return None
    magic, count, _, time, *box, again = struct.unpack_from(">3if9fi", data, position)
    if magic != MAGIC:
        raise UnreadableFile(f"{where}: no frame begins where the one before ends; {ADVICE}")
    if count != atoms or again != atoms:
        raise UnreadableFile(
            f"{where}: it has {count} atoms, listed as {again}, and frame 0 {atoms}; {ADVICE}"
        )
    if not np.isfinite([time, *box]).all():
        raise UnreadableFile(f"{where}: its time or box is not finite; {ADVICE}")
    start = position + FIXED
    if atoms <= PLAIN:
        end = start + 12 * atoms
        return None if end > size else (end, time, (0, 0, 0))
    if start + COMPRESSED > size:
        return None
    precision, *rest = struct.unpack_from(">f8i", data, start)
    least, most, small, length = rest[:3], rest[3:6], rest[6], rest[7]
    spans = [high - low + 1 for low, high in zip(least, most)]
    # the most that a writer, which has 1.2 times the room of plain numbers, can have compressed them to
    if not 0 < precision < 1e9 or min(spans) < 1 or not 0 < length <= 4 * (18 * atoms // 5 - 3) + 3:
        raise UnreadableFile(
            f"{where}: its precision, range or length ({length} bytes) is impossible; {ADVICE}"
        )
    if not SIZES[0] <= small <= SIZES[1]:
        raise UnreadableFile(f"{where}: the size of its runs is no row of the table ({small}); {ADVICE}")
    end = start + COMPRESSED + 4 * (-(-length // 4))
    return None if end > size else (end, time, (length, _bits_of_atom(spans), small))


def _bits_of_atom(spans: list[int]) -> int:
    """Bits of the three coordinates of an atom that stands alone."""
    if max(spans) > LARGE:
        return sum(span.bit_length() for span in spans)
    return (spans[0] * spans[1] * spans[2]).bit_length()


def _sound(streams: list[bytes], settings: np.ndarray, atoms: int) -> np.ndarray:
    """Whether each stream holds exactly ``atoms`` atoms; ``settings`` (frames, 2) are bits of an atom and ``small``.

    All frames go from group to group in step; one that leaves what is allowed stops there.
    """
    lengths = np.array([len(stream) for stream in streams])
    offsets = np.concatenate([[0], np.cumsum(lengths + 4)])[:-1]
    data = np.frombuffer(b"".join(stream + bytes(4) for stream in streams), np.uint8)
    sound = np.zeros(len(streams), bool)
    # of the frames still followed: number, bits read, atoms read, atoms in the run, size in runs
    frame = np.arange(len(streams))
    bit, atom = np.zeros(len(streams), np.int64), np.zeros(len(streams), np.int64)
    run, small = np.zeros(len(streams), np.int64), settings[:, 1].astype(np.int64)
    alone, last, origin = settings[:, 0].astype(np.int64), 8 * lengths, 8 * offsets
    while len(frame):
        bit = bit + alone
        # six bits: the flag, and the run times three plus the change of size plus one
        byte = (origin + np.minimum(bit, last)) >> 3
        word = (data[byte].astype(np.int64) << 8) | data[np.minimum(byte + 1, len(data) - 1)]
        six = (word >> (10 - (bit & 7))) & 63
        flag = six >= 32
        run = np.where(flag, (six & 31) // 3, run)
        small_before = small
        small = small + np.where(flag, (six & 31) % 3 - 1, 0)
        bit = bit + np.where(flag, 6, 1) + run * small_before
        atom = atom + 1 + run
        inside = (bit <= last) & (small >= SIZES[0]) & (small <= SIZES[1]) & (atom <= atoms)
        done = inside & (atom == atoms)
        sound[frame[done]] = True
        going = inside & ~done
        if not going.all():
            frame, bit, atom, run, small, alone, last, origin = (
                part[going] for part in (frame, bit, atom, run, small, alone, last, origin)
            )
    return sound
