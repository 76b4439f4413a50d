r"""Transition path sampling: a walk in the space of reactive trajectories, by shooting [dellago1998, bolhuis2002].

From a frame of a path that leads from A to B, with velocities drawn anew, one trajectory is shot forward and one
backward, each until it enters A or B. If one ended in A and the other in B, their union is the new path with

.. math::  P_\text{acc} = \min\left(1, \frac{N_\text{old}}{N_\text{new}}\right)

with N the number of frames a path can be shot from, those between the sets: paths have the lengths they have. In
aimless shooting [peters2006b] the frame is one of two, a little apart, that travel with the path; N then counts the
places that the two can have on it, without which long paths would come too often.

No path needs to be waited for and no variable to be good: what comes out is the ensemble of transition paths of the
dynamics. Many chains walk side by side, two trajectories each, in one engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.evaluation import evaluate
from thalweg.kinetics.committors.shot_outcomes import ShotOutcomes
from thalweg.kinetics.reactions.regions import IN_A, IN_B, OUTSIDE, Region
from thalweg.learning.models import Model
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.tasks.shoot import Fan, shoot
from thalweg.shapes import Shaped
from thalweg.systems.state import State, thermal_state
from thalweg.units import Count, Picoseconds

FEWEST_CHAINS = 4
"""Chains from whose scatter an error is told."""


@dataclass(frozen=True, eq=False)
class TransitionPathEnsemble(Model):
    """Paths from A to B as they come in equilibrium, and all shots that were made on the way.

    Attributes
    ----------
    features : one (frames, features) for each path that was kept, from its last frame in A to its first in B; a path
        that was kept for several moves is there once
    chain : (paths,) of which chain each is
    weight : (paths,) for how many moves it was the current one, those left out at the beginning not counted
    frames : one (frames, atoms, dims) for each chain, its last path, from which the walk can go on [nm]
    accepted : (moves, chains) whether the move led to another path
    reactive : (moves, chains) whether the two trajectories joined A and B
    shots : where trajectories ended that were shot from the frames in between, two from each
    dt : time between frames [ps]
    notes : what one should know
    """

    features: tuple[np.ndarray, ...]
    chain: Shaped[np.ndarray, " paths"]
    weight: Shaped[np.ndarray, " paths"]
    frames: tuple[np.ndarray, ...]
    accepted: Shaped[np.ndarray, "moves chains"]
    reactive: Shaped[np.ndarray, "moves chains"]
    shots: ShotOutcomes
    dt: float
    notes: tuple[str, ...] = ()

    @property
    def durations(self) -> Shaped[np.ndarray, " paths"]:
        """Time that each path spends between the sets [ps]."""
        return self.dt * np.array([len(path) - 2 for path in self.features])

    @property
    def mean_duration(self) -> tuple[float, float]:
        """Mean time between the sets and its standard error, from the scatter of chains [ps]."""
        mean, error = self.average([np.array(duration) for duration in self.durations])
        return float(mean), float(error)

    def average(self, of_paths: Sequence[np.ndarray]) -> tuple[Any, Any]:
        """The mean over paths of a quantity of each, and its standard error from the scatter of chains.

        Parameters
        ----------
        of_paths : one number or array for each path
        """
        values = np.stack([np.asarray(each, float) for each in of_paths])
        chains = np.unique(self.chain)
        means = np.stack(
            [
                np.average(values[self.chain == c], axis=0, weights=self.weight[self.chain == c])
                for c in chains
            ]
        )
        if len(chains) < FEWEST_CHAINS:
            return means.mean(0)[()], np.full(means.shape[1:], np.nan)[()]
        return means.mean(0)[()], (means.std(0, ddof=1) / np.sqrt(len(chains)))[()]

    def headline(self) -> dict[str, Any]:
        mean, error = self.mean_duration
        return {
            "paths": len(self.features),
            "chains": len(self.frames),
            "accepted": f"{100 * self.accepted.mean():.0f} %",
            "mean duration [ps]": mean,
            "error [ps]": error,
        }

    def __str__(self) -> str:
        return "\n".join([f"transition paths: {self!r}", *self.notes])


@dataclass(frozen=True)
class TransitionPathSampling:
    """Samples the trajectories that lead from A to B.

    Parameters
    ----------
    a, b : the sets, of the features of the apparatus
    chains : walks in path space, side by side; their scatter gives the errors
    moves : of each chain
    skip : moves left out at the beginning; a fifth of them if None
    shooting : ``"two-way"`` from any frame between the sets, or ``"aimless"``
    offset : frames between the two from which aimless shooting shoots; shorter paths are left out by it
    longest : time after which a trajectory is given up [ps]; paths longer than this are not sampled, and told
    save_every : time between frames [ps]; in each the sets are looked for, so that paths are those of this spacing
    seed : of choices, velocities and noise

    Raises
    ------
    ValueError
        If moves are no more than those left out.

    Notes
    -----
    Dynamics must be reversible in time: Langevin, overdamped, and velocity Verlet are. Chains that start from one
    path need moves enough to forget it; paths of another channel across a high ridge are not found.

    Examples
    --------
    >>> from thalweg.dynamics.native_engine import NativeEngine
    >>> from thalweg.dynamics.overdamped import Overdamped
    >>> from thalweg.geometry.variables import Coordinates
    >>> from thalweg.kinetics.reactions.regions import Intervals
    >>> from thalweg.testsystems.wells import DoubleWell
    >>> engine = NativeEngine.for_potential(DoubleWell(3.0), np.ones(1), Overdamped(kT=1.0, dt=0.005))
    >>> apparatus = Apparatus(engine, Coordinates([0], dims=1), np.zeros((1, 1)), np.ones(1), kT=1.0)
    >>> sets = Intervals((-np.inf,), (-0.8,)), Intervals((0.8,), (np.inf,))
    >>> paths = TransitionPathSampling(*sets, chains=4, moves=5, longest=20.0, save_every=0.02).sample(apparatus)
    >>> all(path[0, 0] <= -0.8 and path[-1, 0] >= 0.8 for path in paths.features)
    True
    """

    a: Region
    b: Region
    chains: Count = 32
    moves: Count = 100
    skip: int | None = None
    shooting: Literal["two-way", "aimless"] = "two-way"
    offset: Count = 5
    longest: Picoseconds = 10.0
    save_every: Picoseconds = 0.02
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self._skipped < self.moves:
            raise ValueError(f"skip = {self.skip} leaves nothing of moves = {self.moves}; give more moves")

    @property
    def _skipped(self) -> int:
        return self.moves // 5 if self.skip is None else self.skip

    def sample(
        self,
        apparatus: Apparatus,
        start: TransitionPathEnsemble | Shaped[np.ndarray, "frames atoms dims"] | None = None,
    ) -> TransitionPathEnsemble:
        """Paths of the dynamics of ``apparatus``.

        Parameters
        ----------
        apparatus : engine, features, masses
        start : paths to go on from; or frames between the sets to shoot the first paths from, such as a saddle; where
            the apparatus starts if None

        Raises
        ------
        ValueError
            If no first path is found, or the numbers of chains differ.
        """
        random, key = np.random.default_rng(self.seed), jax.random.key(self.seed)
        key, first = jax.random.split(key)
        paths = self._first_paths(apparatus, start, random, first)
        two = self.offset if self.shooting == "aimless" else 0
        points = [int(random.integers(1, len(path) - 1 - two)) for path in paths]
        measured = [self._features(apparatus, path) for path in paths]
        kept = [(chain, measured[chain], 0) for chain in range(self.chains)]
        current = list(range(self.chains))
        accepted, reactive = (np.zeros((self.moves, self.chains), bool) for _ in range(2))
        shot_from, ended, unfinished = [], [], 0
        for move in range(self.moves):
            key, draw = jax.random.split(key)
            chosen = [self._chosen(path, point, random) for path, point in zip(paths, points, strict=True)]
            fan = self._shots(apparatus, np.stack([p[k] for p, k in zip(paths, chosen, strict=True)]), draw)
            outcomes = fan.outcomes.reshape(2, self.chains)
            shot_from.append(fan.features[: self.chains])
            ended.append(outcomes.T)
            unfinished += int((outcomes == OUTSIDE).any(0).sum())
            for chain in range(self.chains):
                there = {int(each) for each in outcomes[:, chain]}
                reactive[move, chain] = there == {IN_A, IN_B}
                if reactive[move, chain]:
                    new, place = _joined(
                        paths[chain][chosen[chain]], fan, chain, self.chains, outcomes[:, chain]
                    )
                    point = self._taken(paths[chain], new, place, random)
                    if point is not None:
                        accepted[move, chain] = True
                        paths[chain], points[chain] = new, point
                        current[chain] = len(kept)
                        kept.append((chain, self._features(apparatus, new), 0))
            if move >= self._skipped:
                for index in current:
                    chain, values, weight = kept[index]
                    kept[index] = chain, values, weight + 1
        counted = [each for each in kept if each[2]]
        shots = ShotOutcomes(
            np.concatenate(shot_from), np.concatenate(ended), names=tuple(apparatus.features.names)
        )
        return TransitionPathEnsemble(
            tuple(values for _, values, _ in counted),
            np.array([chain for chain, _, _ in counted]),
            np.array([weight for _, _, weight in counted]),
            tuple(paths),
            accepted,
            reactive,
            shots,
            self.save_every,
            self._notes(accepted, unfinished),
        )

    def _first_paths(
        self, apparatus: Apparatus, start: Any, random: np.random.Generator, key: jax.Array
    ) -> list[np.ndarray]:
        """One reactive path for each chain."""
        if isinstance(start, TransitionPathEnsemble):
            if len(start.frames) != self.chains:
                raise ValueError(f"{len(start.frames)} paths for {self.chains} chains; give one for each")
            return list(start.frames)
        frames = np.asarray(apparatus.positions[None] if start is None else start, float)
        paths: list[np.ndarray] = []
        for _ in range(20):
            key, draw = jax.random.split(key)
            chosen = frames[random.integers(len(frames), size=self.chains)]
            fan = self._shots(apparatus, chosen, draw)
            outcomes = fan.outcomes.reshape(2, self.chains)
            for chain in np.flatnonzero((np.sort(outcomes, 0) == [[IN_A], [IN_B]]).all(0)):
                path, _ = _joined(chosen[chain], fan, int(chain), self.chains, outcomes[:, chain])
                if len(path) - 2 > self.offset or self.shooting == "two-way":
                    paths.append(path)
            if len(paths) >= self.chains:
                return paths[: self.chains]
        if paths:
            return [paths[k % len(paths)] for k in range(self.chains)]
        raise ValueError(
            f"none of {20 * self.chains} pairs of trajectories from {len(frames)} frames joined A and B within "
            f"{self.longest:g} ps each; start from frames nearer to the transition state, or give a longer time"
        )

    def _shots(self, apparatus: Apparatus, frames: np.ndarray, key: jax.Array) -> Fan:
        """Forward trajectories of all chains, then backward ones, which begin with opposite velocities."""
        box = None if apparatus.box is None else jnp.asarray(apparatus.box, jnp.float32)
        once = thermal_state(
            jnp.asarray(np.moveaxis(frames, 0, -1), jnp.float32), apparatus.masses, apparatus.kT, key, box
        )
        positions = jnp.concatenate([once.positions] * 2, axis=-1)
        momenta = jnp.concatenate([once.momenta, -once.momenta], axis=-1)
        both = State(positions, momenta, once.key, once.step, box)
        return shoot(apparatus, both, self.a, self.b, self.longest, self.save_every)

    def _chosen(self, path: np.ndarray, point: int, random: np.random.Generator) -> int:
        """The frame to shoot from."""
        if self.shooting == "two-way":
            return int(random.integers(1, len(path) - 1))
        return point + self.offset * int(random.integers(2))

    def _taken(self, old: np.ndarray, new: np.ndarray, place: int, random: np.random.Generator) -> int | None:
        """The first of the two frames that travel with the new path if it is taken, else None."""
        two = self.offset if self.shooting == "aimless" else 0
        first = place - two * int(random.integers(2))
        if first < 1 or first + two > len(new) - 2:
            return None
        return first if random.random() < (len(old) - 2 - two) / (len(new) - 2 - two) else None

    def _features(self, apparatus: Apparatus, path: np.ndarray) -> np.ndarray:
        # filled up to a power of two, so that few lengths are compiled
        count = len(path)
        filled = np.concatenate([path, np.repeat(path[-1:], (1 << (count - 1).bit_length()) - count, axis=0)])
        values = evaluate(apparatus.features, np.asarray(filled, np.float32), apparatus.box)
        return np.asarray(values, float)[:count]

    def _notes(self, accepted: np.ndarray, unfinished: int) -> tuple[str, ...]:
        notes = []
        if unfinished:
            share = unfinished / accepted.size
            notes.append(
                f"{unfinished} of {accepted.size} pairs ({100 * share:.1f} %) did not end within longest = "
                f"{self.longest:g} ps: long paths are missing; give a longer time"
            )
        idle = int((~accepted[self._skipped :].any(0)).sum())
        if idle:
            notes.append(f"{idle} of {accepted.shape[1]} chains never moved after the start; give more moves")
        return tuple(notes)


def _joined(
    frame: np.ndarray, fan: Fan, chain: int, chains: int, outcomes: np.ndarray
) -> tuple[np.ndarray, int]:
    """The path from A to B through ``frame``, and where in it that is."""
    parts = []
    for shot in (chain, chain + chains):
        count = int(fan.recording.valid[shot])
        parts.append(np.asarray(fan.recording.positions[shot, :count]))
    to_a, to_b = parts if outcomes[0] == IN_A else parts[::-1]
    return np.concatenate([to_a[::-1], np.asarray(frame, np.float32)[None], to_b]), len(to_a)
