"""Discrete trajectories: the state of every frame, with the time between frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class DiscreteTrajectories:
    """Sequences of states, numbered from zero, from one or many runs.

    Parameters
    ----------
    blocks : sequence of int arrays ``(frames,)``
    dt : float
        Time between frames [ps].
    weights : sequence of arrays, optional
        One weight per frame; a transition has the weight of its first frame.
    n_states : int, optional
        Number of states; default: one more than the largest number seen.

    Raises
    ------
    ValueError
        If a trajectory is empty, no sequence of whole numbers, or has states outside ``0 ... n_states - 1``.

    Examples
    --------
    >>> DiscreteTrajectories([np.array([0, 0, 2]), np.array([1])]).n_states
    3
    """

    blocks: Sequence[np.ndarray]
    dt: float = 1.0
    weights: Sequence[np.ndarray] | None = None
    n_states: int | None = None
    lengths: np.ndarray = field(init=False)

    def __post_init__(self):
        if isinstance(self.blocks, np.ndarray) and self.blocks.ndim == 1:
            raise ValueError("got one sequence of states; give a list with one array per trajectory")
        blocks = tuple(np.asarray(block) for block in self.blocks)
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
        lowest, highest = min(int(block.min()) for block in blocks), max(int(block.max()) for block in blocks)
        n_states = highest + 1 if self.n_states is None else self.n_states
        if lowest < 0 or highest >= n_states:
            raise ValueError(f"states run from {lowest} to {highest}, allowed are 0 to {n_states - 1}")
        if not np.isfinite(self.dt) or self.dt <= 0:
            raise ValueError(f"dt={self.dt} must be a positive time between frames [ps]")
        lengths = np.array([len(block) for block in blocks])
        if self.weights is not None and [len(w) for w in self.weights] != lengths.tolist():
            raise ValueError("weights must have one entry per frame of every trajectory")
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "dt", float(self.dt))
        object.__setattr__(self, "n_states", int(n_states))
        object.__setattr__(self, "lengths", lengths)

    def __len__(self) -> int:
        return len(self.blocks)


def as_discrete(data: DiscreteTrajectories | Sequence[np.ndarray]) -> DiscreteTrajectories:
    """The data as `DiscreteTrajectories`: as they are, or from a list of arrays with ``dt=1``."""
    return data if isinstance(data, DiscreteTrajectories) else DiscreteTrajectories(data)
