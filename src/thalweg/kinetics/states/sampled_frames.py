"""Frames to look at: some of every state, or some along a coordinate.

A frame is ``(trajectory, frame)``, both counted from zero, as `structures` of `thalweg.interop` reads it from files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_discrete
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories


def sampled_frames(
    labels: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray,
    per_state: int,
    sets: Shaped[np.ndarray, " n_states"] | None = None,
    seed: int = 0,
) -> dict[int, np.ndarray]:
    """State -> frames of it drawn at random, ``(per_state, 2)`` trajectory and frame in order; fewer if it has fewer.

    Parameters
    ----------
    labels : state of every frame
    per_state : frames of each state at most
    sets : (n_states,) int, as ``metastable_sets(model, n).assignments``: frames are drawn of sets of states then;
        of states in set -1 none are
    seed : of the random numbers

    Examples
    --------
    >>> frames = sampled_frames([np.array([0, 1, 1]), np.array([1, 2])], per_state=2)
    >>> {state: chosen.tolist() for state, chosen in frames.items() if state != 1}
    {0: [[0, 0]], 2: [[1, 1]]}
    >>> frames[1].shape
    (2, 2)
    """
    data = as_discrete(labels)
    if per_state < 1:
        raise ValueError(f"per_state={per_state} must be at least one")
    states = np.concatenate(data.blocks)
    if sets is not None:
        sets = np.asarray(sets)
        if len(sets) < cast(int, data.n_states):
            raise ValueError(
                f"sets has {len(sets)} entries for {data.n_states} states; give one for each state"
            )
        states = sets[states]
    random = np.random.default_rng(seed)
    # frames in random order, gathered state by state: the first ones of each are those drawn
    order = random.permutation(len(states))
    order = order[np.argsort(states[order], kind="stable")]
    found, begin = np.unique(states[order], return_index=True)
    parts = np.split(order, begin[1:])
    return {
        int(state): _placed(np.sort(part[:per_state]), data.lengths)
        for state, part in zip(found, parts)
        if state >= 0
    }


def frames_along(data: TrajectoryData, count: int, coordinate: int = 0) -> np.ndarray:
    """Frames from the smallest to the largest value of a coordinate, ``(count, 2)`` trajectory and frame.

    Each is the one nearest to one of ``count`` values evenly spread; none is taken twice.

    Parameters
    ----------
    data : coordinates, such as ``model.transform(trajectories)``
    count : how many frames
    coordinate : which column

    Raises
    ------
    ValueError
        If there is no such coordinate, or there are fewer frames.

    Examples
    --------
    >>> frames_along([np.array([[0.0], [5.1], [9.0]]), np.array([[4.0], [10.0]])], count=3).tolist()
    [[0, 0], [0, 1], [1, 1]]
    """
    trajectories = as_trajectories(data)
    if not 0 <= coordinate < trajectories.n_features:
        raise ValueError(f"coordinate={coordinate} of {trajectories.n_features}; they are counted from zero")
    if not 1 <= count <= trajectories.n_frames:
        raise ValueError(
            f"count={count} must lie between 1 and the number of frames, {trajectories.n_frames}"
        )
    values = np.concatenate([frames[:, coordinate] for _, _, frames in trajectories.chunks()])
    order = np.argsort(values, kind="stable")
    wanted = np.linspace(values[order[0]], values[order[-1]], count)
    above = np.clip(np.searchsorted(values[order], wanted), 1, max(len(order) - 1, 1))
    ranks = np.array(
        [values[order[np.maximum(above - 1, 0)]], values[order[np.minimum(above, len(order) - 1)]]]
    )
    nearest = above - (np.abs(ranks[0] - wanted) <= np.abs(ranks[1] - wanted))
    # where two ask for one frame the later takes the next, and at the end the earlier those before
    nearest = np.maximum.accumulate(nearest - np.arange(count)) + np.arange(count)
    nearest = np.minimum(nearest, len(order) - count + np.arange(count))
    return _placed(order[nearest], trajectories.lengths)


def _placed(frames: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Trajectory and frame ``(frames, 2)`` of frames counted through all trajectories."""
    ends = np.cumsum(lengths)
    trajectory = np.searchsorted(ends, frames, side="right")
    return np.stack([trajectory, frames - (ends - lengths)[trajectory]], axis=1)
