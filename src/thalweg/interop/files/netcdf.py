"""NetCDF trajectories of Amber: coordinates and cells [Å, degrees] and times [ps] by name, in the classic format.

The format is plain numbers behind a list of names; one that is HDF5 (NetCDF 4) is not read, see
`thalweg.interop.files.trajectories`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import netcdf_file

from thalweg.interop.files.cells import cell_vectors
from thalweg.machine.reading import UnreadableFile, reading
from thalweg.units import ANGSTROM

WHAT = "a NetCDF trajectory of Amber"
ADVICE = "copy it again, or convert it to XTC or DCD with mdconvert or cpptraj"


@dataclass(frozen=True)
class NetCDF:
    """A NetCDF trajectory, opened and checked but not read.

    Attributes
    ----------
    path : where it is
    atoms, frames : how many
    times : (frames,) as the file says [ps]; None where it does not
    told : what is odd about it; empty if nothing is
    """

    path: Path
    atoms: int
    frames: int
    times: np.ndarray | None
    told: str = ""

    def __len__(self) -> int:
        return self.frames

    def chunks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Positions ``(frames, atoms, 3)`` and boxes ``(frames, 3, 3)`` or None [nm], ``size`` frames at a time."""
        for first in range(0, self.frames, size):
            with _opened(self.path) as variables:
                part = slice(first, min(first + size, self.frames))
                positions = _numbers(variables["coordinates"], part, np.float32) * np.float32(ANGSTROM)
                box = None
                if "cell_lengths" in variables:
                    lengths = _numbers(variables["cell_lengths"], part, float) * ANGSTROM
                    angles = _numbers(variables["cell_angles"], part, float)
                    box = cell_vectors(lengths, angles)
            yield positions.reshape(-1, self.atoms, 3), box


def open_netcdf(path: Path) -> NetCDF:
    """The NetCDF trajectory at ``path``.

    Raises
    ------
    UnreadableFile
        If it is none, is cut off, or its parts do not fit each other.
    """
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic[:3] != b"CDF":
        kind = "HDF5 (NetCDF 4)" if magic == b"\x89HDF" else "no NetCDF file"
        raise UnreadableFile(f"{path} is {kind}; convert it to NetCDF 3, XTC or DCD with cpptraj")
    with _opened(path) as variables:
        if "coordinates" not in variables:
            raise UnreadableFile(f"{path} has no coordinates; it has {', '.join(variables)}")
        shape = variables["coordinates"].shape
        if len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise UnreadableFile(f"{path} has coordinates of the shape {shape}; wanted (frames, atoms, 3)")
        frames, atoms = int(shape[0]), int(shape[1])
        for name in ("cell_lengths", "cell_angles"):
            other = "cell_angles" if name == "cell_lengths" else "cell_lengths"
            if name in variables and (variables[name].shape != (frames, 3) or other not in variables):
                raise UnreadableFile(f"{path} has {name} of the shape {variables[name].shape}; {ADVICE}")
        times = None
        if "time" in variables and variables["time"].shape == (frames,):
            times = _numbers(variables["time"], slice(None), float)
            if not np.isfinite(times).all():
                bad = int(np.flatnonzero(~np.isfinite(times))[0])
                raise UnreadableFile(f"{path} is damaged in frame {bad}: its time is not finite; {ADVICE}")
    return NetCDF(path, atoms, frames, times)


@contextmanager
def _opened(path: Path) -> Iterator[dict]:
    """The variables of a file, by name."""
    with reading(path, WHAT, ADVICE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with netcdf_file(path, "r", mmap=True) as file:
            variables = dict(file.variables)
            try:
                yield variables
            finally:
                variables.clear()


def _numbers(variable, part: slice, kind: type) -> np.ndarray:
    """A copy of some frames of a variable, times its scale factor."""
    found = np.array(variable[part], kind)
    factor = getattr(variable, "scale_factor", None)
    return found if factor is None else found * kind(factor)
