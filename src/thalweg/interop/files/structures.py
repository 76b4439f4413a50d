"""Structures of single frames of trajectory files, for looking at them and for what MDTraj can do with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mdtraj
import numpy as np

from thalweg.interop.files.trajectories import TrajectoryFile, topology_to_mdtraj
from thalweg.shapes import Shaped
from thalweg.systems.topology import Topology


def structures(
    frames: Shaped[np.ndarray, "frames 2"], paths: Sequence[str | Path], topology: Topology
) -> mdtraj.Trajectory:
    """Frames of files as an MDTraj trajectory, in the order asked for.

    Parameters
    ----------
    frames : (frames, 2), number of the file and of the frame in it, as of `sampled_frames` and `frames_along`
    paths : of the files, in the order of the trajectories that the frames were chosen from
    topology : their atoms

    Raises
    ------
    ValueError
        If there is no such file or frame in it, or as `TrajectoryFile` does.
    """
    frames = np.asarray(frames, int)
    if frames.ndim != 2 or frames.shape[1] != 2 or not len(frames):
        raise ValueError(f"frames have shape {frames.shape}; needed is (frames, 2), file and frame")
    if frames.min() < 0 or frames[:, 0].max() >= len(paths):
        raise ValueError(
            f"frames speak of file {frames[:, 0].max()} of {len(paths)}; give all paths, in order"
        )
    positions = np.empty((len(frames), len(topology), 3))
    boxes = np.full((len(frames), 3, 3), np.nan)
    for number in np.unique(frames[:, 0]).tolist():
        wanted, start = np.flatnonzero(frames[:, 0] == number), 0
        for chunk in TrajectoryFile(Path(paths[number]), topology):
            place = frames[wanted, 1] - start
            inside = (place >= 0) & (place < len(chunk.positions))
            positions[wanted[inside]] = chunk.positions[place[inside]]
            if chunk.box is not None:
                boxes[wanted[inside]] = chunk.box[place[inside]]
            start += len(chunk.positions)
            if start > frames[wanted, 1].max():
                break
        if (last := frames[wanted, 1].max()) >= start:
            raise ValueError(f"{paths[number]} has {start} frames, frame {last} was asked for")
    found = mdtraj.Trajectory(positions, topology_to_mdtraj(topology))
    if np.isfinite(boxes).all():
        found.unitcell_vectors = boxes
    return found
