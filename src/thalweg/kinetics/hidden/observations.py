"""Observations of hidden states: trajectories laid out in lanes for the forward-backward recursion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from thalweg.kinetics.hidden.forward_backward import Expectation, forward_backward
from thalweg.kinetics.hidden.lanes import ROWS, WIDTH, Lanes, lanes
from thalweg.kinetics.hidden.most_likely_path import most_likely_path
from thalweg.kinetics.hidden.outputs import DiscreteOutput, GaussianOutput, Output
from thalweg.kinetics.hidden.recursion import Workspace
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_discrete
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, as_trajectories, pair_report

RUN_IN = 48
"""Steps a lane runs in, at first."""

LONGER = 4
"""Where that is not enough, run-ins become longer by this factor as long as they pay."""

WORDS_PER_VALUE = 5
"""Copies of all features at the peak: as given, in a row, in lanes, about their mean, and times one of them."""

BYTES_PER_FRAME = 80
"""Numbers of frames in lanes, with what is known of each."""

AGREEMENT = 1e-10
"""Memberships of a frame in two lanes may differ by this much; else lanes run in longer."""

T = TypeVar("T")


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
    values : ``flat`` as `Lanes.laid` lays it
    multiplicities : (blocks,), how often each block of data counts; None for once
    """

    lengths: Shaped[np.ndarray, " trajectories"]
    lagtime: int
    dt: float
    flat: np.ndarray
    n_states: int | None
    lanes: Lanes
    values: np.ndarray
    multiplicities: Shaped[np.ndarray, " blocks"] | None = None

    @property
    def n_blocks(self) -> int:
        """Number of blocks of data."""
        return self.lanes.n_blocks

    @property
    def n_pairs(self) -> int:
        """Frames of all trajectories, what blocks are measured in."""
        return int(self.lengths.sum())

    @cached_property
    def weights(self) -> np.ndarray | None:
        """How often each frame counts, as `forward_backward` takes it."""
        return None if self.multiplicities is None else self.lanes.weights(self.multiplicities)

    def delayed(self, multiple: int) -> Observations:
        """The same in sequences whose frames are so many times the lag time apart.

        Raises
        ------
        ValueError
            If such a lag time leaves no pairs.
        """
        lagtime = pair_report(self.lengths, multiple * self.lagtime).lagtime
        return _laid(replace(self, lagtime=lagtime), RUN_IN)

    def resampled(self, multiplicities: np.ndarray) -> Observations:
        """The same with each block counting as often as stated ``(blocks,)``."""
        return replace(self, multiplicities=np.asarray(multiplicities, float))

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
        workspace: Workspace | None = None,
    ) -> tuple[Observations, Expectation, np.ndarray]:
        """Observations in lanes that run in as long as needed, expected transitions, and a tally of outputs."""

        def run(observed: Observations) -> tuple[bool, tuple[Expectation, np.ndarray]]:
            tallies = []

            own = slice(observed.lanes.rows.start * WIDTH, observed.lanes.rows.stop * WIDTH)

            def each(group: int, memberships: np.ndarray) -> None:
                tallies.append(output.tally(observed.values[group][..., own], memberships))

            start = matrix, initial, stationary, observed.weights
            expected = forward_backward(observed.lanes, output, observed.values, *start, each, workspace)
            return expected.mismatch < AGREEMENT, (expected, np.sum(tallies, axis=0))

        observed, (expected, tally) = self._agreed(run)
        return observed, expected, tally

    def memberships(
        self, output: Output, matrix: np.ndarray, initial: np.ndarray, stationary: np.ndarray
    ) -> list[np.ndarray]:
        """Probabilities of hidden states given all observations, ``(frames, hidden)`` per trajectory."""

        require_memory(
            8 * self.n_pairs * len(matrix),
            f"memberships of {self.n_pairs} frames in {len(matrix)} hidden states; give fewer trajectories at a time",
        )

        def run(observed: Observations) -> tuple[bool, np.ndarray]:
            values = np.empty((self.n_pairs, len(matrix)))

            def each(group: int, memberships: np.ndarray) -> None:
                own = observed.lanes.own[group, observed.lanes.rows]
                frames = observed.lanes.frames[group, observed.lanes.rows][own]
                values[frames] = memberships[:, own.ravel()].T

            chain = matrix, initial, stationary
            expected = forward_backward(observed.lanes, output, observed.values, *chain, each=each)
            return expected.mismatch < AGREEMENT, values

        return self._split(self._agreed(run)[1])

    def path(
        self, output: Output, matrix: np.ndarray, initial: np.ndarray, stationary: np.ndarray
    ) -> list[np.ndarray]:
        """The most likely hidden states ``(frames,)`` per trajectory."""

        def run(observed: Observations) -> tuple[bool, np.ndarray]:
            path, agree = most_likely_path(
                observed.lanes, output, observed.values, matrix, initial, stationary
            )
            return agree, path

        return self._split(self._agreed(run)[1])

    def _agreed(self, run: Callable[[Observations], tuple[bool, T]]) -> tuple[Observations, T]:
        """Run until neighboring lanes agree; in lanes without a run-in they always do."""
        observed = self
        while True:
            agree, result = run(observed)
            if agree or not observed.lanes.run_in:
                return observed, result
            longer = LONGER * observed.lanes.run_in
            observed = _laid(observed, longer if longer <= ROWS // 4 else 0)

    def _split(self, values: np.ndarray) -> list[np.ndarray]:
        """Values ``(frames, ...)`` per trajectory."""
        return np.split(values, np.cumsum(self.lengths)[:-1])

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of all frames a lag time apart."""
        used = pair_report(self.lengths, self.lagtime).used
        starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        first = np.concatenate([start + np.arange(count) for start, count in zip(starts, used)])
        return first, first + self.lagtime


def as_observed(
    data: DiscreteTrajectories | Trajectories | Sequence[np.ndarray],
) -> DiscreteTrajectories | Trajectories:
    """States where every array has one dimension, features where it has two.

    Parameters
    ----------
    data : discrete trajectories, trajectories of features, or a list of arrays of either
    """
    if isinstance(data, DiscreteTrajectories | Trajectories):
        return data
    alone = isinstance(data, np.ndarray) and data.ndim == 1
    whole = alone or all(np.ndim(block) == 1 for block in data)
    return as_discrete(data) if whole else as_trajectories(data)


def observations(
    data: DiscreteTrajectories | Trajectories | Sequence[np.ndarray], lagtime: int, n_blocks: int
) -> Observations:
    """Observations of discrete trajectories, of trajectories of features, or of a list of arrays of either.

    Parameters
    ----------
    data : discrete trajectories, trajectories of features, or a list of arrays of either
    lagtime : frames between steps
    n_blocks : about how many blocks of data to tell apart

    Raises
    ------
    ValueError
        If the data carry weights, or the lag time leaves no pairs.
    MemoryError
        If laying them out needs more memory than there is.

    Examples
    --------
    >>> observed = observations([np.array([0, 1, 1]), np.array([1, 1])], lagtime=1, n_blocks=2)
    >>> observed.lengths.tolist(), observed.n_states
    ([3, 2], 2)
    """
    data = as_observed(data)
    if data.weights is not None:
        raise ValueError("hidden Markov models take whole sequences as they are; give data without weights")
    lagtime = pair_report(data.lengths, lagtime).lagtime
    frames, features = int(data.lengths.sum()), getattr(data, "n_features", 1)
    require_memory(
        frames * (WORDS_PER_VALUE * 8 * features + BYTES_PER_FRAME),
        f"a hidden Markov model of {frames} frames with {features} features; use fewer features or every k-th frame",
    )
    if isinstance(data, DiscreteTrajectories):
        flat, n_states = np.concatenate(data.blocks), data.n_states
    else:
        flat = np.ascontiguousarray(np.concatenate([part for _, _, part in data.chunks()]).T, float)
        n_states = None
    laid = lanes(data.lengths, lagtime, n_blocks, RUN_IN)
    return Observations(data.lengths, lagtime, data.dt, flat, n_states, laid, laid.laid(flat))


def _laid(observed: Observations, run_in: int) -> Observations:
    """Observations in lanes that run in as long as stated."""
    laid = replace(
        lanes(observed.lengths, observed.lagtime, observed.n_blocks, run_in), block=observed.lanes.block
    )
    return replace(observed, lanes=laid, values=laid.laid(observed.flat))
