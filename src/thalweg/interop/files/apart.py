"""Frames read by a process of its own: a reader that dies of a damaged file ends that process, not this one.

Run as a module it writes what MDTraj reads as NumPy arrays to its standard output: positions, then box lengths and
angles (empty where there are none), chunk after chunk, in the order they are read.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from thalweg.interop.files.cells import cell_vectors
from thalweg.machine.reading import UnreadableFile


def frames_read_apart(path: Path, size: int, atoms: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Positions ``(frames, atoms, 3)`` and boxes ``(frames, 3, 3)`` or None [nm], ``size`` frames at a time.

    Raises
    ------
    UnreadableFile
        If the process ends otherwise than well; what it said last is told.
    """
    command = [sys.executable, "-P", "-m", __name__, str(path), str(size), str(atoms)]
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints) as process,
    ):
        try:
            yield from _frames(process.stdout)
            status = process.wait()
        finally:
            process.kill()
        if status:
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
            told = lines[-1] if status > 0 and lines else f"its reader was ended by signal {-status}"
            raise UnreadableFile(
                f"{path} is not readable: {told}; copy it again, or convert it to XTC or DCD"
            )


def _frames(stream) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """What `_write` has written, up to where it ends."""
    source: Any = SimpleNamespace(
        read=stream.read
    )  # NumPy asks a real file where it stands, a pipe does not know
    while stream.peek(1):
        try:
            positions, lengths, angles = (
                np.lib.format.read_array(source, allow_pickle=False) for _ in range(3)
            )
        except (ValueError, EOFError):
            return
        yield positions, cell_vectors(lengths, angles) if len(lengths) else None


def _write(path: str, size: int, atoms: int) -> None:
    """Write the arrays of all chunks of a file to the standard output."""
    import mdtraj

    topology = mdtraj.Topology()
    residue = topology.add_residue("X", topology.add_chain())
    for _ in range(atoms):
        topology.add_atom("X", mdtraj.element.virtual, residue)
    none, sink = np.zeros((0, 3)), cast(Any, SimpleNamespace(write=sys.stdout.buffer.write))
    for part in mdtraj.iterload(path, chunk=size, top=topology):
        if not len(part):
            break
        lengths = part.unitcell_lengths
        for array in (part.xyz, *((none, none) if lengths is None else (lengths, part.unitcell_angles))):
            np.lib.format.write_array(sink, np.asarray(array), allow_pickle=False)


if __name__ == "__main__":
    _write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
