r"""A way between two places, looked for by trial: a policy that learns to push the system over [lin2024, pal2024].

The state is what some variables tell of the positions, an action is a push along their gradients, and

.. math::  r = -\frac{\max(0,\,U' - U_\text{top})}{U_0} + \frac{d - \gamma d'}{d_0} + 2\,[\text{arrived}]

is the reward: what rises above the highest place so far is paid for, counted in what the first guess climbs: all
payments of a try add up to its barrier; arriving pays for it. The distance d that is left to go shows the way and
changes no policy that is best [ng1999]. A soft actor-critic [haarnoja2018] learns from all pushes that were ever made.
The first tries are pushed at random, more or less along bows from start to end that swing out to all sides, so that
some arrive, there is something to be better than, and other valleys have been seen. Each try that arrives is judged
by the barrier it has once its noise is smoothed away. The best policy goes over the lowest saddle, whatever valley
leads there: this is no local search from a first guess, as bands and strings are.

==========================  =======================================================
symbol                      meaning
==========================  =======================================================
:math:`U'`                  energy after a push
:math:`U_\text{top}`        highest energy of the try before it, which the state tells
:math:`U_0`                 sum of all climbs on the straight guess
:math:`d, d', d_0`          distance from the end, before and after it and at the start
:math:`\gamma`              discount
==========================  =======================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.learning.models import Model
from thalweg.learning.soft_actor_critic import ActorCritic, SoftActorCritic, Steps
from thalweg.sampling.paths.ends import Arrangement, matched_ends
from thalweg.sampling.paths.initial_path import straight_path
from thalweg.sampling.paths.reparametrization import smoothed_string, spread_evenly
from thalweg.sampling.paths.surface import surface_of
from thalweg.shapes import Array, Shaped
from thalweg.units import Count, Nanometers

ARRIVES = 1.5
"""Distance from the end, in lengths of pushes, from which a try has arrived."""

REWARD = 10.0
"""What one climb of the first guess costs, in the entropies that the learner keeps for free."""

DISCOUNT = 0.997
"""Of later rewards: of two ways, the shorter by ten pushes is as good as one that climbs a tenth less."""

UPDATES = 4
"""Gradients that are made after each push of all tries that go on side by side."""

SHOWN, BOWED = 1.0, 2.0
"""How much of a push of the first tries goes along their bow at most, beside one at random; how far these bows swing
out, in halves of the distance from start to end.
"""

LOOKS, SEEN = 0.2, 2
"""How far ahead on its bow a first try looks, in halves of the distance; how many rounds are of such tries."""

HIGHEST = 2.0
"""Climbs of the first guess, more than which no push costs."""

SMOOTHINGS = 10
"""How often a path is smoothed before it is handed on."""


@dataclass(frozen=True, eq=False)
class FoundPath(Model):
    """A rough path from one place to another, a start for bands and strings.

    Attributes
    ----------
    positions : (images, atoms, dims), both ends included [nm]
    energies : (images,) [kJ/mol]
    arrived : (rounds,) share of the tries of each round that arrived
    calls : arrangements whose energy was asked for
    notes : what one should know
    """

    positions: Shaped[np.ndarray, "images atoms dims"]
    energies: Shaped[np.ndarray, " images"]
    arrived: Shaped[np.ndarray, " rounds"]
    calls: int
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, Any]:
        return {
            "images": len(self.energies),
            "highest [kJ/mol]": float(self.energies.max() - self.energies[0]),
            "arrived": f"{100 * self.arrived[-1]:.0f} %",
            "calls": self.calls,
        }


@dataclass(frozen=True)
class PathSearch:
    """A first path by reinforcement learning, where a straight guess would lead into the wrong valley.

    Parameters
    ----------
    push : how far an atom is moved at most [nm]
    pushes : in a try
    tries : side by side
    rounds : of tries, each from the start
    images : of the path that is handed on
    learner : of the policy
    seed : of networks and noise

    Notes
    -----
    It asks for the energy some ten thousand times where a band asks a thousand times: it is for cheap energies, few
    variables, and for landscapes in which one does not know where to begin. What was found is rough, differs from seed
    to seed, and of two valleys whose barriers differ by a tenth it is the one with the shorter way: take several seeds,
    relax each by `NudgedElasticBand`, and keep the lowest.

    Examples
    --------
    >>> from thalweg.geometry.variables import Coordinates
    >>> from thalweg.testsystems.wells import QuadrupleWell
    >>> search = PathSearch(push=0.4, pushes=12, rounds=6, images=7)
    >>> found = search.connect(QuadrupleWell(), Coordinates([0], dims=2), [-1.0, -1.0], [1.0, -1.0])
    >>> found.positions.shape, found.calls > 100
    ((7, 1, 2), True)
    """

    push: Nanometers
    pushes: Count = 60
    tries: Count = 8
    rounds: Count = 20
    images: Count = 21
    learner: SoftActorCritic = field(default_factory=lambda: SoftActorCritic(discount=DISCOUNT))
    seed: int = 0

    def connect(self, energy: Any, variable: Variable, start: Arrangement, end: Arrangement) -> FoundPath:
        """A path from ``start`` to ``end``.

        Parameters
        ----------
        energy : as for `NudgedElasticBand.connect`
        variable : what the policy sees, and along whose gradients it pushes: coordinates of a particle, distances of a
            molecule; none of them periodic
        start, end : a frame or positions

        Raises
        ------
        ValueError
            If ends do not fit each other, or a value is periodic.
        """
        if any(period is not None for period in variable.periods):
            raise ValueError(
                f"{', '.join(variable.names)} have periods; give values that have none, such as distances"
            )
        ends = matched_ends(start, end)
        first, last = (np.asarray(frame.positions, float) for frame in (ends.start, ends.end))
        surface = surface_of(energy, ends.start)
        guess, _ = surface(straight_path(first, last, self.images))
        climb = max(float(np.maximum(np.diff(guess), 0).sum()), 1e-9)
        ground = _Ground(self, variable, surface, first, last, climb, float(guess[0]))
        random = jax.random.key(self.seed)
        random, draw, sides = jax.random.split(random, 3)
        k = len(variable.names)
        model = self.learner.begun(k + 1, k, draw)
        memory, count = _room(self.rounds * self.pushes * self.tries, k), 0
        arrived, best, calls = [], None, self.images
        for round in range(self.rounds):
            bows = ground.bows(self.tries, jax.random.fold_in(sides, round))
            tries = [np.repeat(first[None], self.tries, axis=0)]
            heights = [surface(tries[0])[0]]
            calls += self.tries
            going, home = np.ones(self.tries, bool), np.zeros(self.tries, bool)
            for _ in range(self.pushes):
                random, draw, learn = jax.random.split(random, 3)
                tops = np.max(heights, axis=0)
                states = ground.states(tries[-1], tops)
                actions = (
                    ground.shown(states, bows, draw)
                    if round < SEEN
                    else np.asarray(_actions(model, states, draw))
                )
                step = ground.step(tries[-1], tops, states, actions)
                calls += self.tries
                for name, values in step.steps._asdict().items():
                    getattr(memory, name)[count : count + going.sum()] = values[going]
                count += int(going.sum())
                tries.append(np.where(going[:, None, None], step.positions, tries[-1]))
                heights.append(np.where(going, step.energies, heights[-1]))
                home |= going & (step.steps.last > 0)
                going &= step.steps.last == 0
                if round and count:
                    model = self.learner.learned(model, memory, count, UPDATES, learn)
                if not going.any():
                    break
            arrived.append(home.mean())
            for one in np.flatnonzero(home):
                # a try is judged by what it is without its noise
                path = self._smooth(np.concatenate([[frame[one] for frame in tries], last[None]]))
                energies = surface(path)[0]
                calls += self.images
                if best is None or energies.max() < best[1].max():
                    best = path, energies
        notes = ()
        if best is None:
            best = straight_path(first, last, self.images), guess
            notes = (
                f"none of {self.rounds * self.tries} tries arrived: this is the straight line; give more rounds, "
                "or more or longer pushes",
            )
        return FoundPath(*best, np.array(arrived), calls, notes)

    def _smooth(self, path: np.ndarray) -> np.ndarray:
        """Images, evenly spread, of a try without its loops and noise."""
        path = spread_evenly(_drawn_straight(_without_loops(path, ARRIVES * self.push)), self.images)
        for _ in range(SMOOTHINGS):
            path = spread_evenly(smoothed_string(path, 0.5))
        return path


@dataclass(frozen=True)
class _Step:
    positions: np.ndarray
    energies: np.ndarray
    steps: Steps


@dataclass(frozen=True, eq=False)
class _Ground:
    """What a push does and what it is worth."""

    search: PathSearch
    variable: Variable
    surface: Any
    first: np.ndarray
    last: np.ndarray
    climb: float
    home: float

    def states(self, positions: np.ndarray, tops: np.ndarray) -> np.ndarray:
        """Values of the variables, from the middle between the ends, in halves of their distance; then the highest
        energy so far, above the start and in climbs of the first guess.
        """
        start, end = (self._values(x[None]) for x in (self.first, self.last))
        values = (self._values(positions) - 0.5 * (start + end)) / (0.5 * np.linalg.norm(end - start))
        return np.column_stack([values, (tops - self.home) / self.climb])

    def bows(self, count: int, key: jax.Array) -> np.ndarray:
        """How far and to which side of the straight line first tries swing out ``(count, variables)``."""
        straight, (towards, far) = self._ahead(), jax.random.split(key)
        sides = np.asarray(jax.random.normal(towards, (count, len(straight))))
        sides = sides - np.outer(sides @ straight, straight)
        lengths = np.maximum(np.linalg.norm(sides, axis=1, keepdims=True), 1e-9)
        reach = BOWED * np.asarray(jax.random.uniform(far, (count, 1)))
        # on a line there are no sides
        return reach * sides / lengths if len(straight) > 1 else 0.0 * sides

    def shown(self, states: np.ndarray, bows: np.ndarray, key: jax.Array) -> np.ndarray:
        """Actions of the first tries: at random, more or less along a bow ``a + b (1 - a^2)`` from start to end."""
        straight, values = self._ahead(), states[:, :-1]
        done = np.clip(values @ straight + LOOKS, -1.0, 1.0)[:, None]
        ahead = done * straight + (1 - done**2) * bows - values
        ahead /= np.maximum(np.abs(ahead).max(1, keepdims=True), 1e-9)
        share = np.linspace(0.0, 1.0, len(states))[:, None] * SHOWN
        noise = np.asarray(jax.random.uniform(key, ahead.shape, minval=-1.0))
        return np.clip(share * ahead + noise, -1.0, 1.0)

    def _ahead(self) -> np.ndarray:
        """The way from start to end as a unit vector, in states."""
        goal = self.states(self.last[None], np.zeros(1))[0, :-1]
        return goal / max(float(np.linalg.norm(goal)), 1e-9)

    def step(self, positions: np.ndarray, tops: np.ndarray, states: np.ndarray, actions: np.ndarray) -> _Step:
        """Where pushes lead, and how they are rewarded."""
        moves = np.asarray(_along_gradients(self.variable, positions, actions))
        farthest = np.linalg.norm(moves, axis=-1).max(1)
        size = self.search.push * np.abs(actions).max(1) / np.maximum(farthest, 1e-12)
        there = positions + size[:, None, None] * moves
        energies = self.surface(there)[0]
        now = self.states(there, np.maximum(tops, energies))
        goal = self.states(self.last[None], tops[:1])[0, :-1]
        before, left = (np.linalg.norm(each[:, :-1] - goal, axis=1) for each in (states, now))
        apart = np.linalg.norm((there - self.last).reshape(len(there), -1), axis=1)
        last = apart < ARRIVES * self.search.push * np.sqrt(there.shape[1])
        # distances in d_0, which is two in these states
        nearer = 0.5 * (before - self.search.learner.discount * np.where(last, 0.0, left))
        rises = np.minimum(np.maximum(energies - tops, 0.0) / self.climb, HIGHEST)
        worth = nearer + 2.0 * last - rises
        return _Step(there, energies, Steps(states, actions, REWARD * worth, now, last.astype(np.float32)))

    def _values(self, positions: np.ndarray) -> np.ndarray:
        return np.asarray(_values(self.variable, np.moveaxis(positions, 0, -1)), float).T


def _without_loops(
    path: Shaped[np.ndarray, "frames atoms dims"], near: Nanometers
) -> Shaped[np.ndarray, "kept atoms dims"]:
    """A path that goes on from each frame to the last one that is as near as this to it.

    Examples
    --------
    >>> walk = np.array([0.0, 0.2, 0.1, -0.1, 0.3, 0.6])[:, None, None]
    >>> _without_loops(walk, 0.35).ravel().tolist()
    [0.0, 0.3, 0.6]
    """
    kept = [0]
    while kept[-1] < len(path) - 1:
        apart = np.linalg.norm(
            (path[kept[-1] + 1 :] - path[kept[-1]]).reshape(len(path) - kept[-1] - 1, -1), axis=1
        )
        close = np.flatnonzero(apart < near)
        kept.append(kept[-1] + 1 + (int(close[-1]) if len(close) else 0))
    return path[kept]


def _drawn_straight(path: np.ndarray) -> np.ndarray:
    """More images on the straight lines between those of a path, so that no spline swings out."""
    share = np.linspace(0.0, 1.0, 4, endpoint=False)[:, None, None, None]
    between = (1 - share) * path[:-1] + share * path[1:]
    return np.concatenate([between.swapaxes(0, 1).reshape(-1, *path.shape[1:]), path[-1:]])


def _room(count: int, k: int) -> Steps:
    def zeros(*shape: int) -> np.ndarray:
        return np.zeros((count, *shape), np.float32)

    return Steps(zeros(k + 1), zeros(k), zeros(), zeros(k + 1), zeros())


@eqx.filter_jit
def _actions(model: ActorCritic, states: Array, key: Array) -> Array:
    return model.actions(jnp.asarray(states, jnp.float32), key)


@eqx.filter_jit
def _values(variable: Variable, positions: Array) -> Array:
    return variable(jnp.asarray(positions))


@eqx.filter_jit
def _along_gradients(variable: Variable, positions: Array, actions: Array) -> Array:
    """``sum_k a_k grad s_k`` of each of the arrangements ``(tries, atoms, dims)``."""

    def one(x: Array, action: Array) -> Array:
        return jax.vjp(lambda y: variable(y), x)[1](action)[0]

    return jax.vmap(one)(jnp.asarray(positions, jnp.float32), jnp.asarray(actions, jnp.float32))
