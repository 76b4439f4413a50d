"""Discrete trajectories: the state of every frame, with the time between frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from thalweg.learning.models import Model
from thalweg.time_series.accelerated import Accelerated
from thalweg.time_series.trajectories import PairReport, pair_report
from thalweg.units import ONE_FRAME, InFrames, duration


@dataclass(frozen=True, eq=False)
class DiscreteTrajectories(Model):
    """Sequences of states, numbered from zero, from one or many runs.

    Parameters
    ----------
    blocks : sequence of int arrays ``(frames,)``
    dt : float
        Time between frames [ps]; where none is given, times are in frames.
    weights : sequence of arrays, optional
        One weight per frame; a transition has the weight of its first frame.
    n_states : int, optional
        Number of states; default: one more than the largest number seen.
    log_path : sequence of arrays, optional
        Running logarithm of the weight of the path up to each frame, as in `Trajectories`.

    Raises
    ------
    ValueError
        If a trajectory is empty, no sequence of whole numbers, or has states outside ``0 ... n_states - 1``.

    Examples
    --------
    >>> DiscreteTrajectories([np.array([0, 0, 2]), np.array([1])]).n_states
    3
    """

    blocks: Sequence[np.ndarray] | np.ndarray
    dt: float = ONE_FRAME
    weights: Sequence[np.ndarray] | None = None
    n_states: int | None = None
    log_path: Sequence[np.ndarray] | None = None
    lengths: np.ndarray = field(init=False)

    def __post_init__(self):
        alone = isinstance(self.blocks, np.ndarray) and self.blocks.ndim == 1
        blocks = tuple(np.asarray(block) for block in ([self.blocks] if alone else self.blocks))
        if not blocks:
            raise ValueError("got no trajectories; give a list of arrays of states")
        for k, block in enumerate(blocks):
            if block.ndim != 1 or block.dtype.kind not in "iu":
                raise ValueError(
                    f"trajectory {k} has shape {block.shape} and dtype {block.dtype}; "
                    "states are a one-dimensional array of whole numbers"
                )
            if not len(block):
                raise ValueError(f"trajectory {k} has no frames; leave it out")
        # what is checked here is taken for granted by every method
        lowest, highest = min(int(block.min()) for block in blocks), max(int(block.max()) for block in blocks)
        n_states = highest + 1 if self.n_states is None else self.n_states
        if lowest < 0 or highest >= n_states:
            raise ValueError(f"states run from {lowest} to {highest}, allowed are 0 to {n_states - 1}")
        if not np.isfinite(self.dt) or self.dt <= 0:
            raise ValueError(f"dt={self.dt} must be a positive time between frames [ps]")
        lengths = np.array([len(block) for block in blocks])
        if self.weights is not None and [len(w) for w in self.weights] != lengths.tolist():
            raise ValueError("weights must have one entry per frame of every trajectory")
        if self.log_path is not None and [len(w) for w in self.log_path] != lengths.tolist():
            raise ValueError("path weights must have one entry per frame of every trajectory")
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "dt", self.dt if isinstance(self.dt, InFrames) else float(self.dt))
        object.__setattr__(self, "n_states", int(n_states))
        object.__setattr__(self, "lengths", lengths)

    @property
    def columns(self) -> dict[str, Sequence[np.ndarray]]:
        """What there is for every frame besides its state, by the name of the parameter."""
        both = {"weights": self.weights, "log_path": self.log_path}
        return {name: column for name, column in both.items() if column is not None}

    def report(self, lagtime: int) -> PairReport:
        """Pairs used and frames lost at ``lagtime``."""
        return pair_report(self.lengths, lagtime)

    def __len__(self) -> int:
        return len(self.blocks)

    def __iter__(self) -> Iterator[np.ndarray]:
        """States ``(frames,)`` of one trajectory after the other."""
        return iter(self.blocks)

    def __getitem__(self, trajectory: int) -> np.ndarray:
        return self.blocks[trajectory]

    def headline(self) -> dict[str, object]:
        """What there is of data."""
        return {
            "trajectories": len(self),
            "frames": int(self.lengths.sum()),
            "length": duration(float(self.lengths.sum()) * self.dt, self.dt),
            "states": self.n_states,
        }


@dataclass(frozen=True, eq=False)
class AcceleratedStates(Accelerated, DiscreteTrajectories):
    """States of biased runs whose transitions are counted a lag apart in unbiased time.

    Parameters
    ----------
    blocks, dt, weights, n_states, log_path : as for `DiscreteTrajectories`, without weights of any kind
    acceleration : ``exp(V / kT)`` of every frame, one array per trajectory; see
        `thalweg.time_series.accelerated`

    Raises
    ------
    ValueError
        As `DiscreteTrajectories` does, and if there are weights.
    """

    acceleration: Sequence[np.ndarray] = ()


def as_counted(data: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray) -> DiscreteTrajectories:
    """The data as `DiscreteTrajectories`, whose transitions may be any number of frames apart."""
    return data if isinstance(data, DiscreteTrajectories) else DiscreteTrajectories(data)


def as_discrete(data: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray) -> DiscreteTrajectories:
    """The data as `DiscreteTrajectories` of frames evenly apart: as they are, or from arrays with ``dt=1``.

    Raises
    ------
    ValueError
        If frames are not evenly apart in the time that counts.
    """
    if isinstance(data, AcceleratedStates):
        raise ValueError(
            "this method needs frames evenly apart in time, and accelerated ones are not; Markov models with sliding "
            "counts take them"
        )
    return as_counted(data)
