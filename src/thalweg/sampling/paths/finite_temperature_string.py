r"""The finite-temperature string [vandeneijnden2009]: walkers confined to the cells of images, whose means it follows.

.. math::  C_\alpha = \{\theta : |\theta - z_\alpha| \le |\theta - z_\beta|\ \text{for all}\ \beta\}, \qquad
           z_\alpha \leftarrow z_\alpha + h\,(\langle\theta\rangle_{C_\alpha} - z_\alpha)

The string is the center line of the tube in which a transition goes at this temperature, wide bends and rough ground
included, and no slope of the free energy is asked for. A walker that is found outside its cell when it is looked at is
put back to where it was before, with its momenta reversed, which leaves the equilibrium in the cell exactly as it is,
however seldom one looks. Where it would have gone is counted: a share :math:`P_{\alpha\beta}` of all looks at cell
:math:`\alpha`. In equilibrium as many go one way as the other, so that the cells weigh

.. math::  \pi_\alpha = \sum_\beta \pi_\beta P_{\beta\alpha}, \qquad F_\alpha = -kT \ln \pi_\alpha
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.paths.free_energy_path import FreeEnergyPath
from thalweg.sampling.paths.walkers_on_string import (
    StringUnits,
    StringWalkers,
    Values,
    one_for_each,
    restless,
    settled,
    sound,
)
from thalweg.shapes import Array, Shaped
from thalweg.systems.state import State
from thalweg.units import Count, Picoseconds, whole_multiple

HELD = 0.3
"""Thermal width of the springs that bring walkers into their cells, in distances between images."""

ATTEMPTS = 20
"""How often walkers are pulled to where they belong before it is given up."""

GROUPS = 8
"""Parts of the walkers of an image, or of their time where they are fewer, from which errors are told."""

NAME = "finite-temperature string"
"""What found a path."""


@dataclass(frozen=True)
class FiniteTemperatureString:
    """The center line of a transition tube, and the free energies of the cells along it.

    Parameters
    ----------
    widths : (values,) what counts as one unit of distance in each value
    images : ends included
    walkers : of each image
    moves : of the string; the mean over the last half of them counts
    step : share of the way to the mean of its cell that an image goes in a move
    average : time of each move [ps]
    produce : time of the last run, on the string that is found, after an ``average`` that is left out [ps]
    pull : time in which walkers are pulled to their images, at the beginning and when a string has left them [ps]
    smoothing : share of the way to the middle of its neighbors by which an image is drawn after each move; without any,
        noise in the means folds the string
    ends : moved to the means of their cells, or kept
    save_every : time between looks [ps]
    seed : of momenta and noise

    Raises
    ------
    ValueError
        If times are no whole numbers of looks.

    Notes
    -----
    ``free_energy`` is that of whole cells, which `StringInVariables` does not give; both agree where cells are alike.
    Dynamics must be reversible in time. Looking often costs little and loses less time on ways out of a cell.

    Examples
    --------
    >>> from thalweg.dynamics.native_engine import NativeEngine
    >>> from thalweg.dynamics.overdamped import Overdamped
    >>> from thalweg.geometry.variables import Coordinates
    >>> from thalweg.testsystems.wells import ObliqueDoubleWell
    >>> well = ObliqueDoubleWell()
    >>> engine = NativeEngine.for_potential(well, np.ones(1), Overdamped(kT=1.0, dt=0.002))
    >>> apparatus = Apparatus(engine, Coordinates([0], dims=2), np.array([[-1.0, -0.3]]), np.ones(1), kT=1.0)
    >>> string = FiniteTemperatureString((1.0, 1.0), images=9, moves=2, average=0.2, produce=1.0, pull=0.9)
    >>> path = string.connect(apparatus, apparatus.features, [[-1.0, -0.3], [1.0, 0.3]])
    >>> path.highest in (3, 4, 5)
    True
    """

    widths: tuple[float, ...]
    images: Count = 21
    walkers: Count = 8
    moves: Count = 20
    step: float = 0.5
    average: Picoseconds = 2.0
    produce: Picoseconds = 20.0
    pull: Picoseconds = 10.0
    smoothing: float = 0.2
    ends: Literal["relax", "keep"] = "relax"
    save_every: Picoseconds = 0.02
    seed: int = 0

    def __post_init__(self):
        for name in ("average", "produce"):
            whole_multiple(getattr(self, name), self.save_every, name)

    def connect(
        self, apparatus: Apparatus, variable: Variable, points: FreeEnergyPath | Values | Sequence
    ) -> FreeEnergyPath:
        """The tube from the first of ``points`` to the last.

        Parameters
        ----------
        apparatus : engine, masses and where walkers start; its engine must know a temperature
        variable : whose values are followed
        points : (points, values) that the first string goes through, at least both ends; or a path to go on from

        Raises
        ------
        ValueError
            If shapes do not fit, a walker breaks or does not come into its cell, or cells are not connected.
        """
        units = StringUnits(one_for_each(variable, self.widths, "widths"), tuple(variable.periods))
        stride = whole_multiple(self.save_every, apparatus.dt, "save_every")
        row = StringWalkers(apparatus, variable, self.walkers, stride, self.seed)
        cells = _Cells(row, units)
        first = units.first(points, self.images)
        stiffness = apparatus.kT / (HELD * np.linalg.norm(first[1] - first[0]) * units.widths) ** 2
        state = row.placed(first * units.widths, stiffness, self.pull)

        def move(string: Values, state: State) -> tuple[Values, State]:
            state = cells.entered(string, state, stiffness, self.pull)
            watched, state = cells.watched(string, state, self._looks(self.average))
            away = self.step * watched.away
            if self.ends == "keep":
                away[[0, -1]] = 0.0
            return away, state

        string, state, drift = settled(first, state, move, self.moves, self.smoothing)
        state = cells.entered(string, state, stiffness, self.pull)
        _, state = cells.watched(string, state, self._looks(self.average))
        watched, _ = cells.watched(string, state, self._looks(self.produce))
        weights = _weights(watched.passages.sum(0))
        left_out = np.stack([_weights(watched.passages.sum(0) - part) for part in watched.passages])
        free_energies = -apparatus.kT * np.log(left_out / left_out[:, :1])
        groups = len(left_out)
        errors = np.sqrt((groups - 1) ** 2 / groups) * free_energies.std(0, ddof=1)
        total = self.pull + (self.moves + 1) * self.average + self.produce
        return FreeEnergyPath(
            string * units.widths,
            -apparatus.kT * np.log(weights / weights[0]),
            errors,
            tuple(variable.names),
            tuple(variable.units),
            tuple(variable.periods),
            NAME,
            drift,
            total * self.images * self.walkers,
            passages=watched.passages.sum(0),
            notes=restless(drift),
        )

    def _looks(self, time: Picoseconds) -> int:
        return whole_multiple(time, self.save_every, "time")


@dataclass(frozen=True, eq=False)
class _Watched:
    """What walkers confined to cells tell.

    Attributes
    ----------
    away : (images, values) means of cells from their images
    passages : (groups, images, images) looks at walkers of one cell that were in another, or their own, before some
        were put back
    """

    away: Values
    passages: Shaped[np.ndarray, "groups images images"]


@dataclass(frozen=True)
class _Cells:
    """The Voronoi cells of images, and walkers in them."""

    row: StringWalkers
    units: StringUnits

    def of(self, string: Values, state: State) -> tuple[np.ndarray, np.ndarray]:
        """In which cell each walker is ``(walkers,)``, and its way ``(walkers, values)`` from its own image."""
        values = np.asarray(_values(self.row.variable, state.positions, state.box), float).T
        away = self.units.away(values[:, None], string[None])
        return (away**2).sum(-1).argmin(1), away[np.arange(len(away)), self.own(len(string))]

    def own(self, images: int) -> np.ndarray:
        """The cell that each walker belongs to."""
        return np.tile(np.arange(images), self.row.walkers)

    def entered(self, string: Values, state: State, stiffness: np.ndarray, pull: Picoseconds) -> State:
        """All walkers in their cells; those that are not are pulled there, the others stay."""
        centers, own = string * self.units.widths, self.own(len(string))
        frames = max(1, self.row.frames(pull, "pull") // ATTEMPTS)
        inside, held = self.of(string, state)[0] == own, state
        for _ in range(ATTEMPTS):
            if inside.all():
                return state
            _, held = self.row.restrained(held, frames, centers, stiffness)
            arrived = ~inside & (self.of(string, held)[0] == own)
            state = _chosen(arrived, held, state)
            inside |= arrived
        lost = np.unique(own[~inside])
        raise ValueError(
            f"walkers of images {lost.tolist()} do not come into their cells; pull for longer, take fewer images or "
            "more smoothing, or begin nearer to the path"
        )

    def watched(self, string: Values, state: State, looks: int) -> tuple[_Watched, State]:
        """Walkers advanced in their cells, looked at so many times."""
        count, walkers, engine = len(string), self.row.walkers, self.row.apparatus.engine
        own = self.own(count)
        # walkers of one group, or parts of the time where there are too few walkers
        of_walker = np.repeat(np.arange(walkers) % GROUPS, count)
        by_time = walkers < GROUPS
        passages, sums = np.zeros((GROUPS, count, count)), np.zeros_like(string)
        _, away = self.of(string, state)
        for look in range(looks):
            run = sound(engine.run(state, self.row.stride, save_every=self.row.stride))
            where, now = self.of(string, run.state)
            inside = where == own
            group = np.full(len(own), look * GROUPS // looks) if by_time else of_walker
            np.add.at(passages, (group, own, where), 1.0)
            away = np.where(inside[:, None], now, away)
            back = State(state.positions, -state.momenta, run.state.key, run.state.step, state.box)
            state = _chosen(inside, run.state, back)
            sums += away.reshape(walkers, count, -1).sum(0)
        return _Watched(sums / (looks * walkers), passages), state


@eqx.filter_jit
def _values(variable: Variable, positions: Array, box: Array | None) -> Array:
    return variable(positions, box)


def _chosen(which: np.ndarray, there: State, otherwise: State) -> State:
    """Walkers from one state where they are chosen, else from another."""

    def pick(a: Array, b: Array) -> Array:
        return jnp.where(jnp.asarray(which), a, b)

    box = there.box
    if box is not None and np.ndim(box) == 3:
        box = pick(box, otherwise.box)
    return State(
        pick(there.positions, otherwise.positions),
        pick(there.momenta, otherwise.momenta),
        there.key,
        there.step,
        box,
    )


def _weights(passages: Shaped[np.ndarray, "images images"]) -> Shaped[np.ndarray, " images"]:
    """Weights of cells between which as many go one way as the other.

    Raises
    ------
    ValueError
        If no walker would have left some cells for others.

    Examples
    --------
    >>> _weights(np.array([[90.0, 10.0], [20.0, 80.0]])).round(6).tolist()
    [0.666667, 0.333333]
    """
    shares = passages / passages.sum(1, keepdims=True)
    count = len(shares)
    # pi (P - 1) = 0 and sum pi = 1
    equations = np.concatenate([shares.T - np.eye(count), np.ones((1, count))])
    weights = np.linalg.lstsq(equations, np.append(np.zeros(count), 1.0), rcond=None)[0]
    if not (weights > 0).all() or np.linalg.matrix_rank(shares - np.eye(count)) < count - 1:
        entered = passages.sum(0) - np.diag(passages)
        raise ValueError(
            f"the cells {np.flatnonzero(entered == 0).tolist()} were entered from no other: cells are not connected; "
            "produce for longer, or take more images"
        )
    return weights
