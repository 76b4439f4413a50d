r"""Delay embedding: each frame together with earlier ones, for coordinates that nobody has looked at.

.. math::  x_t \to (x_t,\, x_{t-s},\, \dots,\, x_{t-ms})

What is hidden now has often left its trace in what was seen before [takens1981]; a Galerkin approximation in the longer
frames knows it [thiede2019]. The present frame stands first, so that regions which name its columns stay what they
were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from thalweg.collective_variables.bases.basis import feature_names
from thalweg.time_series.trajectories import CHUNK, Trajectories, TrajectoryData, as_trajectories


def delay_embedded(data: TrajectoryData, delays: int, stride: int = 1) -> Trajectories:
    """Trajectories of frames with ``delays`` earlier ones, ``stride`` frames apart; a view that stores nothing.

    The first ``delays * stride`` frames of each trajectory have no past and are left out, trajectories that have no
    others as well.

    Parameters
    ----------
    data : trajectories of features
    delays : how many earlier frames, at least one
    stride : between them, in frames

    Raises
    ------
    ValueError
        If numbers are not positive, or no trajectory is long enough.

    Examples
    --------
    >>> embedded = delay_embedded([np.arange(5.0)[:, None]], delays=2)
    >>> embedded.lengths.tolist(), next(embedded.chunks())[2][0].tolist()
    ([3], [2.0, 1.0, 0.0])
    """
    trajectories = as_trajectories(data)
    if delays < 1 or stride < 1:
        raise ValueError(f"delays={delays} and stride={stride} must be at least one")
    past = delays * stride
    longest = int(trajectories.lengths.max())
    if longest <= past:
        raise ValueError(
            f"{delays} delays of {stride} frames need trajectories of more than {past} frames, the longest has "
            f"{longest}; use fewer delays"
        )
    kept = [k for k, length in enumerate(trajectories.lengths) if length > past]
    columns = {name: [column[k][past:] for k in kept] for name, column in trajectories.columns.items()}
    names = feature_names(trajectories)
    every = [*names, *(f"{name}, {stride * k} frames before" for k in range(1, delays + 1) for name in names)]
    blocks = [_Delayed(trajectories, k, delays, stride) for k in kept]
    return replace(trajectories, blocks=blocks, names=every, **columns)


def masks_embedded(masks: Sequence[np.ndarray], delays: int, stride: int = 1) -> list[np.ndarray]:
    """Masks of frames, one for each trajectory, of those that are left by `delay_embedded`."""
    past = delays * stride
    return [np.asarray(mask)[past:] for mask in masks if len(mask) > past]


@dataclass(frozen=True, eq=False)
class _Delayed:
    """One trajectory with its past: a source whose shape is known."""

    data: Trajectories
    trajectory: int
    delays: int
    stride: int
    shape: tuple[int, int] = field(init=False)

    def __post_init__(self):
        length = int(self.data.lengths[self.trajectory]) - self.delays * self.stride
        object.__setattr__(self, "shape", (length, self.data.n_features * (self.delays + 1)))

    def __iter__(self) -> Iterator[np.ndarray]:
        length, past = self.shape[0], self.delays * self.stride
        spans = [(start, min(start + CHUNK, length) + past) for start in range(0, length, CHUNK)]
        for frames in self.data.windows(self.trajectory, spans):
            count = len(frames) - past
            ago = [past - k * self.stride for k in range(self.delays + 1)]
            yield np.concatenate([frames[start : start + count] for start in ago], axis=1)
