"""Batches of time-lagged pairs for networks: short windows from all over the data, in another order every epoch.

A window of ``w + lag`` frames has ``w`` pairs, so that most frames are seen by the network once although each is a
first frame and a last one; windows are short, so that a batch holds hundreds of them and its averages stand for all
data. Where the lag is longer than a window, its two ends are two pieces. Windows begin at a random offset each epoch;
what remains at the end of a trajectory is filled up with pairs of weight zero. Arrays are read at random; sources that
are read from the front fill a buffer that windows are drawn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.time_series.accelerated import AcceleratedTrajectories
from thalweg.time_series.blocks import PairRange
from thalweg.time_series.trajectories import Trajectories, sliceable

SHORTEST, LONGEST = 32, 128
"""Pairs in a window at least and at most, where trajectories are long enough."""

BUFFERED = 8
"""Batches in the buffer of data that are read from the front."""


class Batch(NamedTuple):
    """Windows side by side.

    Attributes
    ----------
    frames : (windows, length, features), single precision
    weights : (windows, pairs)
    """

    frames: jax.Array
    weights: jax.Array

    def ends(self, values: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """First and last of all pairs of ``values (windows, length, dim)``, ``(all pairs, dim)``, and their weights."""
        pairs = self.weights.shape[1]
        first, last = values[:, :pairs], values[:, values.shape[1] - pairs :]
        return (
            first.reshape(-1, values.shape[-1]),
            last.reshape(-1, values.shape[-1]),
            self.weights.reshape(-1),
        )


@dataclass(frozen=True, eq=False)
class Windows:
    """Batches of windows within segments of trajectories.

    Parameters
    ----------
    data : trajectories
    segments : pair starts that windows may cover
    lagtime : in frames
    batch : pairs in a batch, about
    """

    data: Trajectories
    segments: Sequence[PairRange]
    lagtime: int
    batch: int = 4096

    @cached_property
    def pairs(self) -> int:
        """Pairs in a window."""
        longest = max(segment.stop - segment.start for segment in self.segments)
        wanted = max(4 * self.lagtime, SHORTEST) if self.lagtime else LONGEST
        return min(wanted, LONGEST, longest)

    @cached_property
    def per_batch(self) -> int:
        """Windows in a batch."""
        total = sum(-(-(segment.stop - segment.start) // self.pairs) for segment in self.segments)
        return max(1, min(self.batch // self.pairs, total))

    @cached_property
    def batches(self) -> int:
        """Batches in an epoch, about."""
        if isinstance(self.data, AcceleratedTrajectories):
            return max(1, len(self._apart[0]) // self.batch)
        windows = sum(-(-(segment.stop - segment.start) // self.pairs) for segment in self.segments)
        return max(1, windows // self.per_batch)

    def __call__(self, generator: np.random.Generator) -> Iterator[Batch]:
        """The batches of one epoch; the last windows that fill no batch wait for another epoch."""
        if isinstance(self.data, AcceleratedTrajectories):
            yield from self._single_pairs(generator)
            return
        places = self._places(generator)
        if all(sliceable(block) for block in self.data.blocks):
            order = generator.permutation(len(places))
            windows: Iterator = (self._cut(*places[k]) for k in order)
        else:
            windows = _shuffled(self._read(places), BUFFERED * self.per_batch, generator)
        held: list[tuple[np.ndarray, np.ndarray]] = []
        for window in windows:
            held.append(window)
            if len(held) == self.per_batch:
                frames, weights = (np.stack(arrays) for arrays in zip(*held))
                yield Batch(jnp.asarray(frames, jnp.float32), jnp.asarray(weights, jnp.float32))
                held = []

    @cached_property
    def _apart(self) -> tuple[np.ndarray, np.ndarray]:
        """Both frames of all pairs ``(pairs, 2, features)`` and their weights ``(pairs, 1)``."""
        parts = list(self.data.pairs(self.segments, self.lagtime))
        frames = np.concatenate([np.stack([part.x, part.y], axis=1) for part in parts])
        return frames, np.concatenate([part.weights for part in parts])[:, None]

    def _single_pairs(self, generator: np.random.Generator) -> Iterator[Batch]:
        """Pairs one by one, where they are not a fixed number of frames apart."""
        frames, weights = self._apart
        size = min(self.batch, len(frames))
        order = generator.permutation(len(frames))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            yield Batch(jnp.asarray(frames[chosen], jnp.float32), jnp.asarray(weights[chosen], jnp.float32))

    def _places(self, generator: np.random.Generator) -> list[tuple[int, int, int]]:
        """Trajectory, first pair and end of the pairs of every window."""
        places = []
        for segment in self.segments:
            count = segment.stop - segment.start
            offset = int(generator.integers(self.pairs)) if count >= 2 * self.pairs else 0
            edges = [*range(segment.start + offset, segment.stop, self.pairs), segment.stop]
            edges = [segment.start, *edges] if offset else edges
            places += [(segment.trajectory, a, b) for a, b in pairwise(edges) if b > a]
        return places

    def _cut(self, trajectory: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        (frames,) = self.data.windows(trajectory, [(start, stop + self.lagtime)])
        return self._filled(trajectory, start, stop, frames)

    def _read(self, places: Sequence[tuple[int, int, int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for trajectory in sorted({place[0] for place in places}):
            own = [place[1:] for place in places if place[0] == trajectory]
            spans = [(start, stop + self.lagtime) for start, stop in own]
            for (start, stop), frames in zip(own, self.data.windows(trajectory, spans)):
                yield self._filled(trajectory, start, stop, frames)

    def _filled(
        self, trajectory: int, start: int, stop: int, frames: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frames of a window, pieced together if the lag is long, with those that are missing repeated."""
        count, pairs, lag = stop - start, self.pairs, self.lagtime
        weights, given = np.zeros(pairs), self.data.pair_weights(trajectory, start, stop, lag)
        weights[:count] = 1.0 if given is None else given
        # a short lag: one window whose ends overlap; a long one: its first frames and, apart from them, its last
        if lag <= pairs:
            place = np.minimum(np.arange(pairs + lag), count + lag - 1)
        else:
            inside = np.minimum(np.arange(pairs), count - 1)
            place = np.concatenate([inside, inside + lag])
        return frames[place], weights


def _shuffled(windows: Iterator, size: int, generator: np.random.Generator) -> Iterator:
    """Windows drawn at random from a buffer that is filled from the front."""
    held: list = []
    for window in windows:
        held.append(window)
        if len(held) >= size:
            yield held.pop(int(generator.integers(len(held))))
    for k in generator.permutation(len(held)):
        yield held[k]
