"""Geometries along dynamics with a learned potential, each walker stopped where the potential is no longer sure.

Where a model is unsure on its own way is where it needs a label [podryabinkin2017, zhang2019]. Walkers of the same
atoms share one compiled loop; at every look those over which the alarm is raised, and those whose bonds tear or atoms
collapse, stop, and the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.structure_watch import StructureWatch
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.shapes import Bool, Float, Int
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.systems.state import State, thermal_state
from thalweg.units import Kelvin, PerPicosecond, Picoseconds, thermal_energy, whole_multiple

DOUBT = "the alarm was raised"
"""Why a walker stopped that was whole."""


@runtime_checkable
class Alarm(Protocol):
    """Says over which frames a potential is not to be trusted; `ForceAlarm` is one."""

    def raised(self, configurations: Sequence[Configuration]) -> Bool[np.ndarray, " frames"]:
        """Whether to distrust each frame."""
        ...


@dataclass(frozen=True)
class GradeAlarm:
    """Raised where an atom of a frame extrapolates farther than ``limit`` [podryabinkin2017].

    Attributes
    ----------
    potential : with what spans its training set, see `graded`
    limit : largest grade that is trusted; that of frames like those taught is about one
    """

    potential: LearnedPotential
    limit: float = 2.0

    def raised(self, configurations: Sequence[Configuration]) -> Bool[np.ndarray, " frames"]:
        return np.array([each.max() > self.limit for each in self.potential.grades(configurations)], bool)


@dataclass(frozen=True)
class Exploration:
    """What walkers did, look after look.

    Attributes
    ----------
    starts : the frame each began at
    positions : (walkers, looks, atoms, 3) [nm]; of a walker that stopped, as it was then
    whole : (walkers,) looks before the one at which a walker stopped; all looks where it did not
    reasons : why, by walker
    every : time between looks [ps]
    momenta : (walkers, atoms, 3) at the last look of each [amu nm/ps]
    """

    starts: tuple[Configuration, ...]
    positions: Float[np.ndarray, "walkers looks atoms 3"]
    whole: Int[np.ndarray, " walkers"]
    reasons: dict[int, str]
    every: float
    momenta: Float[np.ndarray, "walkers atoms 3"]

    @property
    def times(self) -> Float[np.ndarray, " walkers"]:
        """How long each walker could be followed [ps]: a lower bound where it did not stop."""
        return self.every * self.whole

    def stopped(self) -> list[Configuration]:
        """Frames over which the alarm was raised, one for each walker that it stopped, in their order."""
        doubted = [walker for walker, reason in sorted(self.reasons.items()) if reason == DOUBT]
        return [self._frame(walker, int(self.whole[walker])) for walker in doubted]

    def visited(self) -> list[Configuration]:
        """Frames on the way, where the potential was sure, walker after walker."""
        walkers = range(len(self.starts))
        return [self._frame(walker, k) for walker in walkers for k in range(int(self.whole[walker]))]

    def _frame(self, walker, k):
        return replace(self.starts[walker].unlabeled, positions=np.asarray(self.positions[walker, k], float))

    def __str__(self) -> str:
        count = len(self.reasons)
        longest = self.every * self.positions.shape[1]
        return f"{count} of {len(self.starts)} walkers stopped, within {self.times.min():g} to {longest:g} ps"


def explore(
    potential: LearnedPotential,
    starts: Sequence[Configuration],
    alarm: Alarm,
    temperature: Kelvin,
    duration: Picoseconds,
    every: Picoseconds = 0.02,
    dt: Picoseconds = 0.0005,
    friction: PerPicosecond = 2.0,
    seed: int = 0,
    momenta: Float[np.ndarray, "walkers atoms 3"] | None = None,
) -> Exploration:
    """Langevin dynamics of one walker from each of ``starts``, up to where ``alarm`` is raised.

    Parameters
    ----------
    starts : of the same atoms in the same order and cell
    every : time between looks, a whole number of steps
    momenta : to begin with [amu nm/ps]; thermal ones are drawn otherwise

    Raises
    ------
    ValueError
        If there are no starts, their atoms differ, or times are no whole numbers of steps.

    Examples
    --------
    >>> from thalweg.learned_potentials.parametric.pair_terms import morse
    >>> bond = LearnedPotential({1: 0.0}, (morse((1,), [400.0], [20.0], [0.074], cutoff=0.5),))
    >>> pair = Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, 0.074]]))
    >>> class NotBeyond:
    ...     def raised(self, frames):
    ...         return np.array([np.ptp(frame.positions[:, 2]) > 0.08 for frame in frames])
    >>> walks = explore(bond, [pair] * 4, NotBeyond(), 300.0, 0.2, every=0.01)
    >>> all(np.ptp(frame.positions[:, 2]) > 0.08 for frame in walks.stopped())
    True
    """
    first = _same_atoms(starts)
    stride, looks = whole_multiple(every, dt, "every"), whole_multiple(duration, every, "duration")
    masses, kT = MASSES[np.asarray(first.numbers)], thermal_energy(temperature)
    bare = replace(potential, references=dict.fromkeys(potential.references, 0.0))
    box = first.box if any(first.periodic) else None
    energy = bare.bind(np.asarray(first.numbers, int), box, first.periodic)
    engine = NativeEngine.for_potential(energy, masses, Langevin(kT=kT, dt=dt, friction=friction))
    state = begun = _begun(starts, masses, kT, seed, box, momenta)
    watches, walkers = [StructureWatch.of(start) for start in starts], np.arange(len(starts))
    whole, reasons, path = np.full(len(starts), looks), {}, []
    last = _walkers_first(state.momenta)
    for k in range(looks):
        run = engine.run(state, stride, save_every=stride)
        going = ~np.isin(walkers, list(reasons))
        now = np.where(going[:, None, None], run.positions[:, -1], path[-1] if path else 0.0)
        path.append(np.asarray(now, float))
        last = np.where(going[:, None, None], _walkers_first(run.state.momenta), last)
        broken = {w: run.diverged.get(w) or watches[w].complaint(path[-1][w]) for w in walkers[going]}
        new = {int(w): why for w, why in broken.items() if why}
        sound = [w for w in walkers[going] if w not in new]
        frames = [replace(starts[w].unlabeled, positions=path[-1][w]) for w in sound]
        raised = alarm.raised(frames) if frames else ()
        new |= {int(w): DOUBT for w, doubted in zip(sound, raised, strict=True) if doubted}
        reasons |= new
        whole[list(new)] = k
        if len(reasons) == len(starts):
            break
        state = _put_back(run.state, begun, list(reasons))
    return Exploration(tuple(starts), np.stack(path, 1), whole, reasons, every, last)


def _same_atoms(starts: Sequence[Configuration]) -> Configuration:
    """The first of the starts, all of which share its atoms and cell."""
    if not starts:
        raise ValueError("there is nothing to start from; give at least one frame")
    first = starts[0]
    for k, start in enumerate(starts):
        same_cell = (start.box is None) == (first.box is None) and (
            first.box is None or np.allclose(start.box, first.box)
        )
        if not np.array_equal(start.numbers, first.numbers) or not same_cell:
            raise ValueError(
                f"start {k} has other atoms or another cell than start 0; explore each kind by itself"
            )
    return first


def _begun(starts, masses, kT, seed, box, momenta) -> State:
    """All walkers side by side, each where it starts."""
    positions = jnp.asarray(np.stack([start.positions for start in starts], -1), jnp.float32)
    cell = None if box is None else jnp.asarray(box, jnp.float32)
    state = thermal_state(positions, masses, kT, jax.random.key(seed), cell)
    if momenta is None:
        return state
    return replace(state, momenta=jnp.asarray(np.moveaxis(np.asarray(momenta), 0, -1), jnp.float32))


def _walkers_first(momenta) -> np.ndarray:
    return np.moveaxis(np.asarray(momenta, float), -1, 0)


def _put_back(state: State, begun: State, stopped: Sequence[int]) -> State:
    """Walkers that stopped wait where they began, since what is broken would stay so."""
    if not stopped:
        return state
    walkers = np.array(stopped)
    return replace(
        state,
        positions=state.positions.at[..., walkers].set(begun.positions[..., walkers]),
        momenta=state.momenta.at[..., walkers].set(begun.momenta[..., walkers]),
    )
