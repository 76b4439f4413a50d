"""Walkers on a string of values of variables: lengths along it, where they begin, and the moves until it rests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Recording, Variable
from thalweg.free_energies.landscapes.critical_points import periodic_difference
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.exchange.ladder import Ladder
from thalweg.sampling.paths.free_energy_path import FreeEnergyPath
from thalweg.sampling.paths.reparametrization import smoothed_string, spread_evenly
from thalweg.shapes import Shaped
from thalweg.systems.state import State, thermal_state
from thalweg.units import Picoseconds, whole_multiple

STAGES = 8
"""Parts of the way on which walkers are pulled to their images."""

RESTLESS = 0.5
"""Distances between images by which a string that rests does not move any more."""

Values = Shaped[np.ndarray, "images values"]


def one_for_each(variable: Variable, given: Sequence[float], name: str) -> Shaped[np.ndarray, " values"]:
    """A positive number for each value of a variable.

    Raises
    ------
    ValueError
        If ``given``, a parameter called ``name``, is something else.
    """
    numbers, count = np.asarray(given, float), len(variable.names)
    if numbers.shape != (count,) or not (np.isfinite(numbers).all() and (numbers > 0).all()):
        raise ValueError(
            f"{name} = {given} for the values {', '.join(variable.names)}; give {count} positive numbers"
        )
    return numbers


@dataclass(frozen=True)
class StringUnits:
    """Lengths on a string, counted in the ``widths`` of its values.

    Parameters
    ----------
    widths : (values,) what counts as one unit in each
    periods : of the values
    """

    widths: np.ndarray
    periods: tuple[float | None, ...]

    def first(self, points: FreeEnergyPath | Values | Sequence, images: int) -> Values:
        """Images spread evenly along the line through ``points``, in these units.

        Raises
        ------
        ValueError
            If points have another number of values, or are fewer than two different ones.
        """
        given = np.asarray(points.images if isinstance(points, FreeEnergyPath) else points, float)
        count = len(self.periods)
        if given.ndim != 2 or given.shape[1] != count or not np.isfinite(given).all():
            raise ValueError(
                f"the string goes through points of shape {given.shape}; give (points, {count}) finite numbers"
            )
        if len(given) < 2 or images < 3:
            raise ValueError(
                f"{len(given)} points and {images} images; give both ends and at least three images"
            )
        legs = periodic_difference(given[1:], given[:-1], self.periods)
        if not (np.abs(legs).max(1) > 0).all():
            raise ValueError("the string goes through one point twice running; give different points")
        line = np.concatenate([given[:1], given[:1] + np.cumsum(legs, axis=0)]) / self.widths
        at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        wanted = np.linspace(0.0, at[-1], images)
        return np.stack([np.interp(wanted, at, column) for column in line.T], axis=1)

    def away(self, values: np.ndarray, images: np.ndarray) -> np.ndarray:
        """From images ``(..., values)``, in these units, the shortest ways to ``values``, in theirs."""
        return periodic_difference(values, images * self.widths, self.periods) / self.widths


@dataclass(frozen=True)
class StringWalkers:
    """Walkers of which number r belongs to image ``r % images``, and what holds them.

    Parameters
    ----------
    apparatus : engine, masses, temperature
    variable : whose values the images are
    walkers : of each image
    stride : steps between frames
    seed : of momenta, noise and exchanges
    """

    apparatus: Apparatus
    variable: Variable
    walkers: int
    stride: int
    seed: int

    def restrained(
        self, state: State, frames: int, centers: Values, stiffness: np.ndarray
    ) -> tuple[Recording, State]:
        """A run in which walkers are held at the centers of images and exchange with neighbors at every frame.

        Returns
        -------
        the run, whose rungs say which image held whom; and the walkers at its end, in the order of their images again

        Raises
        ------
        ValueError
            If a walker breaks.
        """
        biases = [HarmonicRestraint(self.variable, center, stiffness) for center in centers]
        # draws of their own in every run
        seed = self.seed + int(state.step)
        ladder = Ladder(self.apparatus.kT, self.stride, biases, self.walkers, seed)
        run = sound(
            self.apparatus.engine.run(state, frames * self.stride, save_every=self.stride, bias=ladder)
        )
        standing = np.asarray(run.bias_state.standing).reshape(-1, len(centers))
        order = np.argsort(standing, axis=1) + len(centers) * np.arange(len(standing))[:, None]
        return run, _in_order(run.state, order.ravel())

    def placed(self, images: Values, stiffness: np.ndarray, pull: Picoseconds) -> State:
        """Walkers at all images, pulled there from where the apparatus starts."""
        apparatus, count = self.apparatus, len(images)
        box = None if apparatus.box is None else jnp.asarray(apparatus.box, jnp.float32)
        frames = np.repeat(apparatus.positions[..., None], count * self.walkers, axis=-1)
        state = thermal_state(
            jnp.asarray(frames, jnp.float32),
            apparatus.masses,
            apparatus.kT,
            jax.random.key(self.seed),
            box,
        )
        begun = np.asarray(self.variable(state.positions[..., 0], box), float)
        way = periodic_difference(images, begun[None], tuple(self.variable.periods))
        frames = max(1, self.frames(pull, "pull") // (STAGES + 1))
        for share in [*np.linspace(0.0, 1.0, STAGES + 1)[1:], 1.0]:
            _, state = self.restrained(state, frames, begun + share * way, stiffness)
        return state

    def frames(self, time: Picoseconds, name: str) -> int:
        """Frames in a time [ps], a parameter called ``name``."""
        return whole_multiple(time, self.stride * self.apparatus.dt, name)


def sound(run: Recording) -> Recording:
    """The run, if no walker broke.

    Raises
    ------
    ValueError
        If one did.
    """
    if run.diverged:
        raise ValueError(
            f"{len(run.diverged)} walkers of the string broke, the first thus: {next(iter(run.diverged.values()))}; "
            "pull more slowly, or hold images less stiffly"
        )
    return run


def _in_order(state: State, order: np.ndarray) -> State:
    """Walkers in another order."""
    box = state.box if state.box is None or np.ndim(state.box) == 2 else state.box[..., order]
    return State(state.positions[..., order], state.momenta[..., order], state.key, state.step, box)


def settled(
    string: Values,
    state: State,
    move: Callable[[Values, State], tuple[Values, State]],
    moves: int,
    smoothing: float,
) -> tuple[Values, State, float]:
    """The mean of a string over the last half of its moves, the walkers, and the drift.

    Parameters
    ----------
    string : at the beginning
    state : of the walkers
    move : by how much images move, and the walkers afterwards
    moves : how many
    smoothing : share of `smoothed_string` after each
    """
    past = [string]
    for _ in range(moves):
        away, state = move(string, state)
        string = spread_evenly(smoothed_string(string + away, smoothing))
        past.append(string)
    half, quarter = (len(past) + 1) // 2, max(1, len(past) // 4)
    mean = spread_evenly(np.mean(past[-half:], axis=0))
    spacing = np.linalg.norm(np.diff(mean, axis=0), axis=1).mean()
    between = np.mean(past[-quarter:], axis=0) - np.mean(past[-2 * quarter : -quarter], axis=0)
    return mean, state, float(np.linalg.norm(between, axis=1).max() / spacing)


def restless(drift: float) -> tuple[str, ...]:
    """A note on a string that moves on."""
    if drift < RESTLESS:
        return ()
    return (
        f"the string still moved by {drift:.2g} distances between images in the last quarter of its moves: go on from "
        "it with more moves",
    )
