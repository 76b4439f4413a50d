"""Trajectory files: written whole or not at all, read chunk by chunk, with what is wrong said before the
analysis.

XTC and DCD are checked as soon as they are opened; every other format that MDTraj reads is checked as it is
read. Positions are ``(frames, atoms, 3)`` [nm], boxes ``(frames, 3, 3)`` vectors as rows [nm] or None.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import mdtraj
import numpy as np
from mdtraj.core import element as mdtraj_elements
from mdtraj.formats.registry import FormatRegistry

from thalweg.geometry.evaluation import ROW
from thalweg.interop.files.dcd import open_dcd, without_date
from thalweg.interop.files.xtc import scan_xtc
from thalweg.machine.whole_files import whole
from thalweg.systems.topology import Topology

CHUNK_NUMBERS = 1_000_000
"""Coordinates read at once."""

WRITABLE = (".xtc", ".dcd", ".pdb")

PICKLING = (".h5", ".hdf5", ".lh5")
"""Suffixes of formats that MDTraj reads through PyTables, which unpickles what a file holds as objects."""


class TrajectoryFrames(NamedTuple):
    """Positions ``(frames, atoms, 3)`` [nm] and boxes ``(frames, 3, 3)`` [nm] or None."""

    positions: np.ndarray
    box: np.ndarray | None


def topology_from_mdtraj(topology: mdtraj.Topology) -> Topology:
    """The `Topology` of an MDTraj topology, atoms in the same order."""
    atoms = list(topology.atoms)
    return Topology(
        names=tuple(atom.name for atom in atoms),
        elements=tuple(_symbol(atom.element) for atom in atoms),
        residue_names=tuple(atom.residue.name for atom in atoms),
        residue_ids=tuple(int(atom.residue.resSeq) for atom in atoms),
        chains=tuple(atom.residue.chain.index for atom in atoms),
        bonds=np.array([(a.index, b.index) for a, b in topology.bonds], int).reshape(-1, 2),
    )


def topology_to_mdtraj(topology: Topology) -> mdtraj.Topology:
    """The MDTraj topology of a `Topology`; a new residue starts where chain, number or name changes.

    Examples
    --------
    >>> pair = Topology(("O", "H"), ("O", "H"), ("OH", "OH"), (7, 7), (0, 0), np.array([[0, 1]]))
    >>> topology_to_mdtraj(pair)
    <mdtraj.Topology with 1 chains, 1 residues, 2 atoms, 1 bonds at ...>
    """
    result, last = mdtraj.Topology(), None
    chain: Any = None
    residue: Any = None
    for name, symbol, index, number, title in zip(
        topology.names, topology.elements, topology.chains, topology.residue_ids, topology.residue_names
    ):
        if last is None or index != last[0]:
            chain = result.add_chain()
        if (index, number, title) != last:
            residue = result.add_residue(title, chain, resSeq=number)
        last = (index, number, title)
        kind = mdtraj_elements.Element.getBySymbol(symbol) if symbol else mdtraj_elements.virtual
        result.add_atom(name, kind, residue)
    for i, j in topology.bonds.tolist():
        result.add_bond(result.atom(i), result.atom(j))
    return result


def read_topology(path: str | Path) -> Topology:
    """The topology in a PDB, prmtop, GRO or other file that MDTraj finds one in."""
    file = _checked_format(_existing(path))
    try:
        return topology_from_mdtraj(mdtraj.load_topology(str(file)))
    except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} gives no topology ({error}); give a PDB or prmtop file") from error


def write_trajectory(
    path: str | Path,
    positions: np.ndarray,
    topology: Topology,
    box: np.ndarray | None = None,
    dt: float = 1.0,
) -> None:
    """Write frames as XTC, DCD or PDB, atomically: ``path`` is there complete or not at all.

    The same frames give the same bytes, without a date. XTC rounds to 0.001 nm and is a third of DCD's size.

    Parameters
    ----------
    path : file to write; its suffix chooses the format
    positions : (frames, atoms, 3) [nm]
    topology : Topology of all atoms
    box : (frames, 3, 3) or (3, 3) box vectors as rows [nm], or None
    dt : time between frames [ps]

    Raises
    ------
    ValueError
        If the suffix is another, positions do not fit the topology or are not finite.
    """
    target = Path(path)
    if target.suffix not in WRITABLE:
        raise ValueError(f"cannot write {path}; use one of the suffixes {', '.join(WRITABLE)}")
    frames = np.asarray(positions, np.float32)
    if frames.ndim != 3 or frames.shape[1:] != (len(topology), 3):
        raise ValueError(f"positions have the shape {frames.shape}; give (frames, {len(topology)}, 3)")
    _check_finite(frames, "positions", 0)
    trajectory = mdtraj.Trajectory(frames, topology_to_mdtraj(topology), time=dt * np.arange(len(frames)))
    if box is not None:
        trajectory.unitcell_vectors = np.broadcast_to(np.asarray(box, np.float32), (len(frames), 3, 3))
    with whole(target) as draft:
        _save(trajectory, draft)


@dataclass(frozen=True)
class TrajectoryFile:
    """A trajectory file, opened and checked but not read.

    Parameters
    ----------
    path : DCD, XTC or any other file that MDTraj reads
    topology : its atoms

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the suffix is unknown or one of `PICKLING`, the file is cut off, or its atoms are not those of the
        topology. While reading: if a coordinate is not finite.

    Attributes
    ----------
    n_frames : whole frames, or None for formats that must be read to know
    """

    path: Path
    topology: Topology
    n_frames: int | None = field(init=False)

    def __post_init__(self):
        path = _checked_format(_existing(self.path))
        if path.suffix.lower() not in FormatRegistry.loaders:
            known = ", ".join(sorted(set(FormatRegistry.loaders) - set(PICKLING)))
            raise ValueError(f"{path} has a suffix no reader knows; name or convert it to one of {known}")
        frames, atoms = None, len(self.topology)
        if path.suffix.lower() == ".dcd":
            dcd = open_dcd(path)
            frames, atoms = len(dcd), dcd.atoms
        elif path.suffix.lower() == ".xtc":
            frames, atoms = scan_xtc(path)
        self._check_atoms(atoms)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "n_frames", frames)

    def __iter__(self) -> Iterator[TrajectoryFrames]:
        """Frames from the first to the last, some megabytes at a time."""
        most, start = max(1, CHUNK_NUMBERS // (3 * len(self.topology))), 0
        size = most if most < ROW else most // ROW * ROW
        for chunk in self._chunks(size):
            self._check_atoms(chunk.positions.shape[1])
            _check_finite(chunk.positions, self.path, start)
            start += len(chunk.positions)
            yield chunk

    def _check_atoms(self, atoms: int) -> None:
        if atoms != len(self.topology):
            raise ValueError(
                f"{self.path} has {atoms} atoms and the topology has {len(self.topology)}; give its own"
            )

    def _chunks(self, size: int) -> Iterator[TrajectoryFrames]:
        if self.path.suffix.lower() == ".dcd":
            dcd = open_dcd(self.path)
            for start in range(0, len(dcd), size):
                yield TrajectoryFrames(dcd.positions(start, start + size), dcd.box(start, start + size))
            return
        try:
            for part in mdtraj.iterload(str(self.path), chunk=size, top=topology_to_mdtraj(self.topology)):
                yield TrajectoryFrames(part.xyz, part.unitcell_vectors)
        except (ValueError, RuntimeError, OSError, EOFError, IndexError) as error:
            raise ValueError(
                f"cannot read {self.path} with a topology of {len(self.topology)} atoms ({error}); check "
                "that it is complete and belongs to that topology"
            ) from error


def read_trajectory(path: str | Path, topology: Topology) -> TrajectoryFrames:
    """All frames of a file, in memory; for long ones iterate over a `TrajectoryFile`.

    Raises
    ------
    ValueError, FileNotFoundError
        As `TrajectoryFile` does, and if there is no frame.
    """
    chunks = list(TrajectoryFile(Path(path), topology))
    if not chunks:
        raise ValueError(f"{path} has no frames; write it again")
    boxes = [chunk.box for chunk in chunks if chunk.box is not None]
    box = np.concatenate(boxes) if len(boxes) == len(chunks) else None
    return TrajectoryFrames(np.concatenate([chunk.positions for chunk in chunks]), box)


def _symbol(element) -> str:
    return "" if element is None or element.symbol == "VS" else element.symbol


def _existing(path: str | Path) -> Path:
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path (working folder: {Path.cwd()})")
    return file


def _checked_format(path: Path) -> Path:
    if path.suffix.lower() in PICKLING:
        raise ValueError(
            f"{path} is HDF5, which may hold pickled objects that are executed when they are read; convert it to XTC "
            "or DCD with mdconvert, and give the topology as PDB"
        )
    return path


def _check_finite(positions: np.ndarray, name: object, first: int) -> None:
    bad = np.argwhere(~np.isfinite(positions).all(axis=2))
    if len(bad):
        frame, atom = bad[0]
        raise ValueError(
            f"{name}: atom {atom} has no finite coordinates in frame {first + frame}; remove the frames from "
            "there on, or rerun with a shorter time step if the simulation blew up"
        )


def _save(trajectory: mdtraj.Trajectory, path: Path) -> None:
    """Save without any date, so that equal frames give equal files."""
    trajectory.save(str(path))
    if path.suffix == ".dcd":
        without_date(path)
    elif path.suffix == ".pdb":
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if "CREATED WITH" not in line))
