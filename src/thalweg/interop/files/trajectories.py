"""Trajectory files: written whole or not at all, read chunk by chunk, with what is wrong said before the
analysis.

XTC, DCD, TRR and NetCDF are checked as soon as they are opened, other formats that MDTraj reads as they are read.
What a program was killed in the middle of is read up to there, and told. Positions are ``(frames, atoms, 3)`` [nm],
boxes ``(frames, 3, 3)`` vectors as rows [nm] or None.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import mdtraj
import numpy as np
from mdtraj.core import element as mdtraj_elements
from mdtraj.formats.registry import FormatRegistry

from thalweg.geometry.evaluation import ROW
from thalweg.interop.files.apart import frames_read_apart
from thalweg.interop.files.cells import cell_vectors, checked_box
from thalweg.interop.files.dcd import open_dcd, without_date
from thalweg.interop.files.netcdf import open_netcdf
from thalweg.interop.files.trr import open_trr
from thalweg.interop.files.xtc import scan_xtc
from thalweg.machine.reading import UnreadableFile, quietly, reading
from thalweg.machine.whole_files import whole
from thalweg.systems.topology import Topology

CHUNK_NUMBERS = 1_000_000
"""Coordinates read at once."""

WRITABLE = (".xtc", ".dcd", ".pdb")

PICKLING = (".h5", ".hdf5", ".lh5")
"""Suffixes of formats that MDTraj reads through PyTables, which unpickles what a file holds as objects."""

COMPILED = (".dtr", ".stk", ".gsd")
"""Suffixes of formats whose readers are compiled and trust what a file says: they get a process of their own."""

ALIASES = {".x": ".mdcrd", ".trj": ".mdcrd"}
"""Suffixes that Amber's programs give to what MDTraj calls otherwise."""

TOPOLOGIES = ".pdb, .cif, .prmtop, .parm7, .psf, .gro, .mol2"
"""Suffixes of files that say which atoms there are."""


@runtime_checkable
class OpenTrajectory(Protocol):
    """What is known of a file before its frames are read, and these.

    ``told`` is what is odd about it, ``times`` are ``(frames,)`` [ps], or None where the file says none.
    """

    atoms: int

    @property
    def told(self) -> str: ...

    @property
    def times(self) -> np.ndarray | None: ...

    def __len__(self) -> int: ...

    def chunks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Positions and boxes of ``size`` frames at a time."""
        ...


CHECKED: Mapping[str, Callable[[Path], Any]] = {
    ".dcd": open_dcd,
    ".xtc": scan_xtc,
    ".trr": open_trr,
    **dict.fromkeys((".nc", ".ncdf", ".netcdf"), open_netcdf),
}
"""Suffixes of formats that are checked before a frame is read."""


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
    """The topology in a PDB, prmtop, PSF, GRO or other file that MDTraj finds one in.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnreadableFile
        If it gives no topology, or one without atoms.
    """
    file = _checked_format(_existing(path))
    advice = f"give a file with the atoms ({TOPOLOGIES}), and check that it is complete"
    with reading(file, "a topology", advice), quietly():
        found = topology_from_mdtraj(mdtraj.load_topology(str(file)))
        if not len(found):
            raise ValueError("it has no atoms")
    return found


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

    Of one that breaks off in the middle of a frame, or has other frames than it announces, the whole frames are read,
    and a warning says so.

    Parameters
    ----------
    path : DCD, XTC, TRR, NetCDF or any other file that MDTraj reads
    topology : its atoms

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the suffix is unknown or one of `PICKLING`, or the file's atoms are not those of the topology. While
        reading: if the file is damaged or a coordinate or box not finite; the frame is named.

    Attributes
    ----------
    n_frames : whole frames, or None for formats that must be read to know
    times : (frames,) as the file says [ps], or None where it does not
    told : what is odd about the number of frames, as in the warning; empty if nothing is
    """

    path: Path
    topology: Topology
    n_frames: int | None = field(init=False)
    times: np.ndarray | None = field(init=False, repr=False, compare=False)
    told: str = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        path = _checked_format(_existing(self.path))
        if _kind(path) not in FormatRegistry.loaders:
            known = ", ".join(sorted({*FormatRegistry.loaders, *ALIASES} - set(PICKLING)))
            raise ValueError(f"{path} has a suffix no reader knows; name or convert it to one of {known}")
        object.__setattr__(self, "path", path)
        opened = self._opened()
        object.__setattr__(self, "n_frames", None if opened is None else len(opened))
        object.__setattr__(self, "times", None if opened is None else opened.times)
        object.__setattr__(self, "told", "" if opened is None else opened.told)
        if self.told:
            warnings.warn(self.told, stacklevel=3)

    def __iter__(self) -> Iterator[TrajectoryFrames]:
        """Frames from the first to the last, some megabytes at a time."""
        most, start = max(1, CHUNK_NUMBERS // (3 * len(self.topology))), 0
        size = most if most < ROW else most // ROW * ROW
        boxed = None
        with reading(self.path, f"a trajectory of {len(self.topology)} atoms", "check that it is complete"):
            for positions, box in self._chunks(size):
                self._check_atoms(positions.shape[1])
                _check_finite(positions, self.path, start)
                box = checked_box(box, self.path, start)
                if boxed is not None and boxed != (box is not None):
                    raise UnreadableFile(
                        f"{self.path} has {'no cell' if boxed else 'a cell'} from frame {start} on, unlike before; "
                        "give frames all with cells, or all without"
                    )
                boxed = box is not None
                yield TrajectoryFrames(positions, box)
                start += len(positions)

    def _opened(self) -> OpenTrajectory | None:
        """The file opened and checked, or None if its format is not checked before it is read."""
        opener = CHECKED.get(_kind(self.path))
        if opener is None:
            return None
        with reading(self.path, f"a {self.path.suffix[1:].upper()} trajectory", "copy it again"):
            opened = opener(self.path)
        self._check_atoms(opened.atoms)
        return opened

    def _check_atoms(self, atoms: int) -> None:
        if atoms != len(self.topology):
            raise UnreadableFile(
                f"{self.path} has {atoms} atoms and the topology has {len(self.topology)}; give its own"
            )

    def _chunks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        opened = self._opened()
        if opened is not None:
            return opened.chunks(size)
        if _kind(self.path) in COMPILED:
            return frames_read_apart(self.path, size, len(self.topology))
        return _read_by_mdtraj(self.path, size, self.topology)


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


def _read_by_mdtraj(
    path: Path, size: int, topology: Topology
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Positions and boxes as MDTraj reads them, from files whose names it need not know."""
    atoms = topology_to_mdtraj(topology)
    if path.suffix.lower() in ALIASES:
        opened = FormatRegistry.fileobjects[_kind(path)](str(path), n_atoms=len(topology))
        with opened as file:
            parts = iter(lambda: file.read_as_traj(atoms, n_frames=size), None)
            yield from _until_empty(parts)
        return
    if _kind(path) != ".pdb" and not hasattr(FormatRegistry.fileobjects.get(_kind(path)), "read_as_traj"):
        with quietly():  # formats of one structure each, which MDTraj reads as a whole only
            whole_file = mdtraj.load(str(path))
        yield from _until_empty(whole_file[k : k + size] for k in range(0, len(whole_file), size))
        return
    yield from _until_empty(mdtraj.iterload(str(path), chunk=size, top=atoms))


def _until_empty(parts: Iterator[mdtraj.Trajectory]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Positions and boxes of MDTraj's chunks up to the first without frames, its warnings left out."""
    while True:
        with quietly():
            part = next(parts, None)
        if part is None or not len(part):
            return
        lengths = part.unitcell_lengths
        box = None if lengths is None else cell_vectors(lengths, part.unitcell_angles)
        yield part.xyz, box


def _kind(path: Path) -> str:
    """The suffix by which the format is known."""
    suffix = path.suffix.lower()
    return ALIASES.get(suffix, suffix)


def _symbol(element) -> str:
    return "" if element is None or element.symbol == "VS" else element.symbol


def _existing(path: str | Path) -> Path:
    file = Path(path)
    if not file.is_file() and not (file.is_dir() and file.suffix.lower() == ".dtr"):
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
        raise UnreadableFile(
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


def positions_at(
    files: Sequence[TrajectoryFile], places: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Positions ``(frames, atoms, 3)`` and boxes [nm] of some frames, each file read once; None where one has no box.

    Parameters
    ----------
    files : trajectories of the same atoms
    places : number of the file and of the frame, in ascending order
    """
    positions, boxes = [], []
    for number, file in enumerate(files):
        wanted, start = np.array([frame for k, frame in places if k == number], int), 0
        for chunk in file:
            inside = wanted[(wanted >= start) & (wanted < start + len(chunk.positions))] - start
            positions.append(chunk.positions[inside])
            boxes.append(None if chunk.box is None else chunk.box[inside])
            start += len(chunk.positions)
            if not len(wanted) or start > wanted[-1]:
                break
    whole = all(box is not None for box in boxes)
    return np.concatenate(positions), np.concatenate(boxes) if whole else None
