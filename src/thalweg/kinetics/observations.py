"""Observations of hidden states: trajectories laid out in lanes for the forward-backward recursion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg.collective_variables.trajectories import Trajectories, as_trajectories, pair_report
from thalweg.kinetics.discrete_trajectories import DiscreteTrajectories, as_discrete
from thalweg.kinetics.forward_backward import Expectation, forward_backward
from thalweg.kinetics.lanes import Lanes, lanes
from thalweg.kinetics.most_likely_path import most_likely_path
from thalweg.kinetics.outputs import DiscreteOutput, GaussianOutput, Output

RUN_IN = 32
"""Steps a lane runs in, at first."""

AGREEMENT = 1e-8
"""Memberships of a frame in two lanes may differ by this much; else lanes run in longer."""


@dataclass(frozen=True, eq=False)
class Observations:
    """What was observed, in lanes.

    Attributes
    ----------
    lengths : (trajectories,) frames
    lagtime : frames between steps
    dt : time between frames [ps]
    flat : all trajectories in a row: states ``(frames,)`` or features ``(features, frames)``
    n_states : number of states; None for features
    lanes : how they are stepped through
    run_in : steps before and after the own frames of a lane
    values : ``flat`` in the order of ``lanes.frames``
    weights : (lanes,), how often each lane counts; None for once
    """

    lengths: np.ndarray
    lagtime: int
    dt: float
    flat: np.ndarray
    n_states: int | None
    lanes: Lanes
    run_in: int
    values: np.ndarray
    weights: np.ndarray | None = None

    @property
    def n_blocks(self) -> int:
        """Number of blocks of data."""
        return self.lanes.n_blocks

    @property
    def n_pairs(self) -> int:
        """Frames of all trajectories, what blocks are measured in."""
        return int(self.lengths.sum())

    def resampled(self, multiplicities: np.ndarray) -> Observations:
        """The same with each block counting as often as stated ``(blocks,)``."""
        return replace(self, weights=np.asarray(multiplicities, float)[self.lanes.block])

    def check(self, output: Any) -> None:
        """Raise ``ValueError`` if a model with this output cannot have made such observations."""
        self.check_kind(output)
        if isinstance(output, DiscreteOutput) and not (shown := output.shows(self.flat)).all():
            raise ValueError(
                f"state {self.flat[~shown][0]} has probability zero in every hidden state; refit with it"
            )

    def check_kind(self, output: Any) -> None:
        """Raise ``ValueError`` if a model with this output is one of other observations."""
        if isinstance(output, DiscreteOutput) != (self.n_states is not None):
            shown = "discrete states" if isinstance(output, DiscreteOutput) else "features"
            raise ValueError(f"the model's hidden states show {shown}; give trajectories of these")
        if isinstance(output, GaussianOutput) and output.means.shape[1] != len(self.flat):
            raise ValueError(f"got {len(self.flat)} features, the model has {output.means.shape[1]}")

    def expectation(
        self,
        output: Output,
        matrix: np.ndarray,
        initial: np.ndarray,
        stationary: np.ndarray,
        out: np.ndarray | None = None,
    ) -> tuple[Observations, Expectation]:
        """Expected hidden states, and observations with as long a run-in as that took.

        Memberships that are needed no longer may be given as ``out``, to be overwritten.
        """
        seen = self
        while True:
            start = matrix, initial, stationary
            found = forward_backward(seen.lanes, output, seen.values, *start, seen.weights, out)
            if seen.weights is not None or found.mismatch < AGREEMENT or seen.run_in >= self.lengths.max():
                return seen, found
            seen = _laid(replace(seen, run_in=2 * seen.run_in), seen.n_blocks)

    def path(
        self, output: Output, matrix: np.ndarray, initial: np.ndarray, stationary: np.ndarray
    ) -> list[np.ndarray]:
        """The most likely hidden states ``(frames, 1)`` per trajectory."""
        seen = self
        while True:
            relative, _ = output.relative(seen.values)
            found, agree = most_likely_path(seen.lanes, relative, matrix, initial, stationary)
            if agree or seen.run_in >= self.lengths.max():
                return seen.split(found[None].astype(int))
            seen = _laid(replace(seen, run_in=2 * seen.run_in), seen.n_blocks)

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """Values ``(kinds, total)`` of own frames in the order of time, ``(frames, kinds)`` per trajectory."""
        own = self.lanes.own
        ordered = np.empty((self.n_pairs, len(values)), values.dtype)
        ordered[self.lanes.frames[own]] = values[:, own].T
        return np.split(ordered, np.cumsum(self.lengths)[:-1])

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Places in ``values`` of all frames a lag time apart."""
        own, frames = self.lanes.own, self.lanes.frames
        place = np.empty(self.n_pairs, int)
        place[frames[own]] = np.flatnonzero(own)
        used = pair_report(self.lengths, self.lagtime).used
        starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        first = np.concatenate([start + np.arange(count) for start, count in zip(starts, used)])
        return place[first], place[first + self.lagtime]


def observations(
    data: DiscreteTrajectories | Trajectories | Sequence[np.ndarray], lagtime: int, n_blocks: int
) -> Observations:
    """Observations of discrete trajectories, of trajectories of features, or of a list of arrays of either.

    Raises
    ------
    ValueError
        If the data carry weights, or the lag time leaves no pairs.

    Examples
    --------
    >>> seen = observations([np.array([0, 1, 1]), np.array([1, 1])], lagtime=1, n_blocks=2)
    >>> seen.lengths.tolist(), seen.n_states
    ([3, 2], 2)
    """
    if not isinstance(data, DiscreteTrajectories | Trajectories):
        whole = all(np.ndim(block) == 1 for block in data)
        data = as_discrete(data) if whole else as_trajectories(data)
    if data.weights is not None:
        raise ValueError("hidden Markov models take whole sequences as they are; give data without weights")
    lagtime = pair_report(data.lengths, lagtime).lagtime
    if isinstance(data, DiscreteTrajectories):
        flat, n_states = np.concatenate(data.blocks), data.n_states
    else:
        flat = np.ascontiguousarray(np.concatenate([part for _, _, part in data.chunks()]).T, float)
        n_states = None
    empty = lanes(np.array([1]), 1, 1, 0)
    return _laid(Observations(data.lengths, lagtime, data.dt, flat, n_states, empty, RUN_IN, flat), n_blocks)


def _laid(seen: Observations, n_blocks: int) -> Observations:
    """Observations in lanes that run in as long as stated."""
    laid = lanes(seen.lengths, seen.lagtime, n_blocks, seen.run_in)
    return replace(seen, lanes=laid, values=np.ascontiguousarray(seen.flat[..., laid.frames]))
