"""Numbers read off stored frames, whether or not a force can follow them, and joining them.

A `Variable` is differentiable and works inside a simulation; secondary structure and surface areas are only
measured, on frames, by other programs. Both are features of a trajectory, and both name their columns and atoms.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.geometry.evaluation import evaluate
from thalweg.interop.files.evidence_of_files import check_given_once, time_between_frames
from thalweg.interop.files.trajectories import TrajectoryFile
from thalweg.machine.arrays import mapped_array
from thalweg.machine.whole_files import whole
from thalweg.systems.topology import Topology
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import Picoseconds


@runtime_checkable
class Measurement(Protocol):
    """Features of frames without derivatives: they describe, but cannot bias.

    ``names``, ``units``, ``periods`` and ``atoms`` have one entry per value, as those of variables.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    periods: tuple[float | None, ...]

    def of_frames(self, positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
        """Values ``(frames, values)`` of ``positions`` ``(frames, atoms, 3)`` [nm], with ``box`` ``(frames, 3, 3)``
        [nm] or None."""
        ...


def values_of_frames(
    features: Variable | Measurement, positions: np.ndarray, box: np.ndarray | None = None
) -> np.ndarray:
    """Values ``(frames, values)`` of a variable or a measurement in every frame."""
    if isinstance(features, Measurement):
        return features.of_frames(positions, box)
    return evaluate(features, positions, box)


@dataclass(frozen=True)
class JointMeasurement:
    """Variables and measurements side by side, as one measurement.

    Where all are variables, `thalweg.geometry.composed_variables.Concatenate` makes a variable of them.
    """

    parts: tuple[Variable | Measurement, ...]

    @property
    def atoms(self) -> tuple[tuple[int, ...], ...]:
        return sum((tuple(part.atoms) for part in self.parts), ())

    @property
    def names(self) -> tuple[str, ...]:
        return sum((tuple(part.names) for part in self.parts), ())

    @property
    def units(self) -> tuple[str, ...]:
        return sum((tuple(part.units) for part in self.parts), ())

    @property
    def periods(self) -> tuple[float | None, ...]:
        return sum((tuple(part.periods) for part in self.parts), ())

    def of_frames(self, positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
        return np.concatenate([values_of_frames(part, positions, box) for part in self.parts], axis=1)


@dataclass(frozen=True)
class FeaturesAlongFile:
    """Features along a trajectory file, computed while it is read: a source for `Trajectories`.

    Each iteration reads the file from its first frame and yields ``(frames, values)`` chunks, so a file may be
    larger than memory. Where several passes follow, `stored` computes once.

    Parameters
    ----------
    file : the trajectory
    features : a variable or a measurement
    """

    file: TrajectoryFile
    features: Variable | Measurement

    @property
    def shape(self) -> tuple[int, int] | None:
        """Frames and values, or None for formats that must be read to know."""
        frames = self.file.n_frames
        return None if frames is None else (frames, len(self.features.names))

    def __iter__(self) -> Iterator[np.ndarray]:
        for chunk in self.file:
            yield values_of_frames(self.features, chunk.positions, chunk.box)

    def opened(self, path: str | Path) -> np.memmap:
        """The values that `stored` has written to ``path``."""
        return mapped_array(path)

    def stored(self, path: str | Path) -> np.memmap:
        """The values, written to ``path`` (``.npy``) and opened as a memory map; complete or not there at all."""
        frames = self.file.n_frames
        if frames is None:
            frames = sum(len(chunk.positions) for chunk in self.file)
        with whole(path) as draft:
            table = np.lib.format.open_memmap(draft, "w+", np.float32, (frames, len(self.features.names)))
            start = 0
            for values in self:
                table[start : start + len(values)] = values
                start += len(values)
            table.flush()
        return self.opened(path)


def feature_trajectories(
    paths: Sequence[str | Path],
    topology: Topology,
    features: Variable | Measurement,
    dt: Picoseconds | None = None,
) -> Trajectories:
    """Features along trajectory files as `Trajectories` with named columns, read when they are needed.

    Parameters
    ----------
    paths : one file per trajectory
    topology : of all of them
    features : a variable or a measurement
    dt : time between frames [ps]; what the files say if None

    Raises
    ------
    ValueError, FileNotFoundError
        As `thalweg.interop.files.trajectories.TrajectoryFile`; if a file is given twice, or ``dt`` is not the time
        between its frames.
    """
    check_given_once(paths)
    files = [TrajectoryFile(Path(path), topology) for path in paths]
    between, notes = time_between_frames(files, dt)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return Trajectories(
        [FeaturesAlongFile(file, features) for file in files], dt=between, names=features.names
    )
