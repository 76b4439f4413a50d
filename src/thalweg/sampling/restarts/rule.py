"""Where the next walks begin: what a rule is shown, and what it answers.

A rule is a pure function of all that earlier walks have seen, of what it chose to remember, and of a seed. It names one
frame for each new walker, and may name a place beyond that frame, to which the walker is pulled before it is let go.

Walks that were restarted by a rule are no sample of equilibrium. Transitions counted within them are unbiased all the
same, since each is drawn given where it begins: a Markov model of the walks gives frames their weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.states.clustering import KCenters, Periods, on_circles
from thalweg.shapes import Float, Int, Shaped
from thalweg.time_series.trajectories import Trajectories


@dataclass(frozen=True, eq=False)
class SampledFrames:
    """All frames that a campaign has left so far, in states, walk by walk.

    Attributes
    ----------
    walks : features ``(frames, features)`` of each walk, those of the last round last
    states : state ``(frames,)`` of each frame of each walk
    counts : ``counts[i, j]`` transitions from i to j
    rounds : (walks,) round in which each was run, from zero
    walkers : (walks,) its number in its round: the place of its start in the `Restarts` of the round before
    lagtime : of the transitions counted, in frames
    names : of the features
    periods : of the features, None where they are not periodic
    memory : what the rule left for itself in its last answer; empty at first
    """

    walks: Sequence[Float[np.ndarray, "_ features"]]
    states: Sequence[Int[np.ndarray, " _"]]
    counts: Float[np.ndarray, "states states"]
    rounds: Int[np.ndarray, " walks"]
    walkers: Int[np.ndarray, " walks"]
    lagtime: int
    names: tuple[str, ...]
    periods: Periods = None
    memory: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def features(self) -> Float[np.ndarray, "frames features"]:
        """Features of all frames in a row; a `Restarts` names frames by their place here."""
        return np.concatenate(self.walks).astype(float)

    @cached_property
    def points(self) -> Float[np.ndarray, "frames coordinates"]:
        """The same, with periodic features as places on circles, between which distances are taken."""
        return on_circles(self.features, self.periods)

    @cached_property
    def state(self) -> Int[np.ndarray, " frames"]:
        """State of each of these frames."""
        return np.concatenate(self.states)

    @cached_property
    def discovered(self) -> Int[np.ndarray, " discovered"]:
        """States that were left or entered at least once.

        Raises
        ------
        ValueError
            If there is none.
        """
        return discovered_states(self.counts)

    def mean_of_states(
        self, values: Shaped[np.ndarray, "frames ..."]
    ) -> Shaped[np.ndarray, "discovered ..."]:
        """Mean of a quantity of frames over each of the discovered states."""
        return np.stack([values[self.state == state].mean(axis=0) for state in self.discovered])

    def frames_in(self, states: Int[np.ndarray, " n"], seed: int) -> Int[np.ndarray, " n"]:
        """A frame of each of ``states``, drawn at random."""
        random = np.random.default_rng(seed)
        return np.array([random.choice(np.flatnonzero(self.state == state)) for state in states], int)

    def spread_frames(self, count: int) -> Int[np.ndarray, " spread"]:
        """At most ``count`` frames, each as far as can be from those before: they cover what was visited evenly."""
        points = self.points
        distance = np.linalg.norm(points - points[0], axis=1)
        chosen = [0]
        while len(chosen) < count and distance.max() > 0:
            chosen.append(int(distance.argmax()))
            distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        return np.array(chosen)


@dataclass(frozen=True, eq=False)
class Restarts:
    """Where new walkers begin.

    Attributes
    ----------
    frames : (n,) the frame of each, counted over all walks in a row
    targets : (n, features) to which walkers are pulled from there, NaN for those let go at once; None for all
    memory : what the rule wants to find in its next `SampledFrames`: numbers, texts, lists and tables of these
    """

    frames: Int[np.ndarray, " n"]
    targets: Float[np.ndarray, "n features"] | None = None
    memory: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class RestartRule(Protocol):
    """Chooses where new walkers begin.

    A rule that names targets has an attribute ``pull``, the time [ps] that pulling a walker there takes; without it,
    nothing is pulled. ``cites`` are keys of the works to cite, if there are any.
    """

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        """Starts of ``n`` walkers; equal for equal arguments, which stay as they were."""
        ...


def discovered_states(counts: Float[np.ndarray, "states states"]) -> Int[np.ndarray, " discovered"]:
    """States that were left or entered at least once.

    Raises
    ------
    ValueError
        If there is none.
    """
    states = np.flatnonzero(counts.sum(0) + counts.sum(1))
    if len(states) == 0:
        raise ValueError("no transition was counted; use a lag shorter than the trajectories")
    return states


def clustered_frames(
    walks: Sequence[Float[np.ndarray, "_ features"]],
    rounds: Sequence[int] | np.ndarray,
    walkers: Sequence[int] | np.ndarray,
    states: int,
    lagtime: int,
    names: tuple[str, ...],
    periods: Periods = None,
    memory: Mapping[str, Any] | None = None,
) -> SampledFrames:
    """Walks as rules see them: clusters of all frames, k-centers so that rare places have theirs, and transitions.

    Parameters
    ----------
    walks, rounds, walkers, names, periods, memory : see `SampledFrames`
    states : number of clusters, at most that of different frames
    lagtime : of the transitions counted, in frames

    Examples
    --------
    >>> walk = np.array([[0.0], [0.1], [2.0], [0.0]])
    >>> sampled = clustered_frames([walk], [0], [0], states=2, lagtime=1, names=("x",))
    >>> sampled.state.tolist(), sampled.counts.tolist()
    ([0, 0, 1, 0], [[1.0, 1.0], [1.0, 0.0]])
    """
    count = min(states, len(np.unique(np.concatenate(walks), axis=0)))
    visited = KCenters(count, periods).fit(list(walks)).transform(Trajectories(list(walks)))
    counts = transition_counts(visited, lagtime, n_blocks=1).matrix.toarray()
    return SampledFrames(
        tuple(walks),
        tuple(visited.blocks),
        counts,
        np.asarray(rounds, int),
        np.asarray(walkers, int),
        lagtime,
        names,
        periods,
        memory or {},
    )
