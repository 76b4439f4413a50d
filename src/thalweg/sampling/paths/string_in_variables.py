r"""The string method in collective variables [maragliano2006]: images follow mean forces of restrained dynamics.

.. math::  \nabla F(z) \approx K\,(z - \langle\theta\rangle_z), \qquad
           M_{ij}(z) = \Bigl\langle \sum_a \frac{1}{m_a}
                       \frac{\partial\theta_i}{\partial x_a}\cdot\frac{\partial\theta_j}{\partial x_a}\Bigr\rangle_z,
           \qquad z \leftarrow z - h\,(M\,\nabla F)_\perp

At rest the string is a path of least free energy, in the metric that the masses give the variables. Walkers of all
images are held by springs in one run, and neighbors exchange their springs, so that an image that is caught beside the
way is helped by the next.

==================  ================================================================
symbol              meaning
==================  ================================================================
:math:`\theta, z`   the variables, and an image: the center of a spring
:math:`K`           stiffness of the springs
:math:`M`           mean metric tensor with inverse masses
==================  ================================================================

The pull of the springs is the mean of the slopes where the walkers are; that it is the slope at their mean place would
be exact only if their free energy were harmonic. With the covariance C of the walkers, ``C^-1 - K / kT`` is its
curvature, and how that changes along the string says what is missing, up to second order in C and with no further
parameter:

.. math::  F(\langle\theta\rangle_\alpha) = \int_0^\alpha K (z - \langle\theta\rangle_z) \cdot d\langle\theta\rangle_z
           + \tfrac{kT}{2} \ln \frac{\det C_\alpha}{\det C_0}

(umbrella integration [kastner2005] and the term that Laplace's method adds to it). The same curvatures say how long a
move h may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.interpolate import CubicSpline

from thalweg.dynamics.engine import Recording, Variable
from thalweg.geometry.metric_tensors import metric_tensors
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.paths.free_energy_path import FreeEnergyPath
from thalweg.sampling.paths.reparametrization import arc_lengths, string_tangents
from thalweg.sampling.paths.walkers_on_string import (
    StringUnits,
    StringWalkers,
    Values,
    one_for_each,
    restless,
    settled,
)
from thalweg.shapes import Shaped
from thalweg.systems.state import State
from thalweg.units import Count, Picoseconds, whole_multiple

METRIC_FRAMES = 10
"""Frames of each walker in a run whose metric tensors are averaged."""

LEAST_CURVATURE = 0.05
"""In curvatures of the springs: a free energy that is flatter everywhere is not told from a flat one."""

PARTS = 4
"""Consecutive parts of the last run of each walker, from whose scatter errors are told."""

NAME = "string method in collective variables"
"""What found a path."""


@dataclass(frozen=True)
class StringInVariables:
    """A path of least free energy between two places in some variables.

    Parameters
    ----------
    stiffness : (values,) of the springs [kJ/mol per square of the value's unit]. Stiffer ones than the curvature of the
        free energy measure where the images are; with thermal widths ``sqrt(kT / K)`` of about the distance between
        images, walkers exchange
    images : ends included
    walkers : of each image; they exchange with those of the neighbors
    moves : of the string; the mean over the last half of them counts
    step : of a move, in inverse largest curvatures of the free energy; beyond two it is unstable
    equilibrate, average : time after each move that is left out, and time that counts [ps]
    produce : time of the last run, on the string that is found [ps]
    pull : time in which walkers are pulled to their first images [ps]
    smoothing : share of the way to the middle of its neighbors by which an image is drawn after each move
    ends : relaxed to where the mean force vanishes, or kept
    save_every : time between frames, and between exchanges [ps]
    seed : of momenta, noise and exchanges

    Raises
    ------
    ValueError
        If times are no whole numbers of frames, or too short to be parted.

    Notes
    -----
    What is slow across the string and no variable must be sampled by each walker, or reached through exchanges: if
    repeats with other seeds differ by more than their errors, a variable is missing. The path found is the nearest to
    the first one.

    Examples
    --------
    >>> from thalweg.dynamics.native_engine import NativeEngine
    >>> from thalweg.dynamics.overdamped import Overdamped
    >>> from thalweg.geometry.variables import Coordinates
    >>> from thalweg.testsystems.wells import ObliqueDoubleWell
    >>> well = ObliqueDoubleWell()
    >>> engine = NativeEngine.for_potential(well, np.ones(1), Overdamped(kT=1.0, dt=0.002))
    >>> apparatus = Apparatus(engine, Coordinates([0], dims=2), np.array([[-1.0, -0.3]]), np.ones(1), kT=1.0)
    >>> string = StringInVariables((50.0, 50.0), images=12, moves=5, average=0.4, equilibrate=0.1, produce=4.0)
    >>> path = string.connect(apparatus, apparatus.features, [[-1.0, -0.3], [1.0, 0.3]])
    >>> abs(path.barrier[0] - 6.0) < 1.0
    True
    """

    stiffness: tuple[float, ...]
    images: Count = 21
    walkers: Count = 4
    moves: Count = 40
    step: float = 0.5
    equilibrate: Picoseconds = 0.5
    average: Picoseconds = 2.0
    produce: Picoseconds = 20.0
    pull: Picoseconds = 10.0
    smoothing: float = 0.0
    ends: Literal["relax", "keep"] = "relax"
    save_every: Picoseconds = 0.02
    seed: int = 0

    def __post_init__(self):
        times = {name: getattr(self, name) for name in ("equilibrate", "average", "produce")}
        frames = {name: whole_multiple(time, self.save_every, name) for name, time in times.items()}
        if frames["produce"] < PARTS:
            raise ValueError(
                f"produce = {self.produce:g} ps is {frames['produce']} frames; give at least {PARTS} frames"
            )

    def connect(
        self, apparatus: Apparatus, variable: Variable, points: FreeEnergyPath | Values | Sequence
    ) -> FreeEnergyPath:
        """The path from the first of ``points`` to the last.

        Parameters
        ----------
        apparatus : engine, masses and where walkers start; its engine must know a temperature
        variable : whose values are followed
        points : (points, values) that the first string goes through, at least both ends; or a path to go on from

        Raises
        ------
        ValueError
            If shapes do not fit, or a walker breaks.
        """
        kT = apparatus.kT
        stiffness = one_for_each(variable, self.stiffness, "stiffness")
        units = StringUnits(np.sqrt(kT / stiffness), tuple(variable.periods))
        stride = whole_multiple(self.save_every, apparatus.dt, "save_every")
        row = StringWalkers(apparatus, variable, self.walkers, stride, self.seed)
        first = units.first(points, self.images)
        state = row.placed(first * units.widths, stiffness, self.pull)
        time = self.equilibrate + self.average

        def move(string: Values, state: State) -> tuple[Values, State]:
            held, state = self._held(row, units, string, state, time)
            return self._move(string, held), state

        string, state, drift = settled(first, state, move, self.moves, self.smoothing)
        held, _ = self._held(row, units, string, state, self.equilibrate + self.produce)
        images = (string + held.away.mean(0)) * units.widths
        forces = -held.away * kT / units.widths
        log_widths = 0.5 * kT * np.linalg.slogdet(held.covariances)[1]
        free_energies = np.stack([_integrated(images, part) for part in forces])
        free_energies += log_widths - log_widths[:, :1]
        errors = free_energies.std(0, ddof=1) / np.sqrt(len(forces))
        total = self.pull + self.moves * time + self.equilibrate + self.produce
        return FreeEnergyPath(
            images,
            free_energies.mean(0),
            errors,
            tuple(variable.names),
            tuple(variable.units),
            tuple(variable.periods),
            NAME,
            drift,
            total * self.images * self.walkers,
            forces.mean(0),
            held.metrics * np.outer(units.widths, units.widths),
            notes=restless(drift),
        )

    def _held(
        self, row: StringWalkers, units: StringUnits, string: Values, state: State, time: Picoseconds
    ) -> tuple[_Held, State]:
        """What walkers tell that are held at the images of a string, and where they are then."""
        stiffness = np.asarray(self.stiffness, float)
        run, state = row.restrained(state, row.frames(time, "time"), string * units.widths, stiffness)
        skip = row.frames(self.equilibrate, "equilibrate")
        return _Held.of(run, row, units, string, skip), state

    def _move(self, string: Values, held: _Held) -> Values:
        """By how much each image moves: along ``-M grad F``, without what would slide it along the string."""
        # curvatures of M^(1/2) H M^(1/2), in which springs have H = 1
        root = np.linalg.cholesky(held.metrics)
        curvature = np.linalg.inv(held.covariances.mean(0)) - np.eye(string.shape[1])
        steepest = np.linalg.eigvalsh(root.swapaxes(1, 2) @ curvature @ root).max()
        steepest = max(steepest, LEAST_CURVATURE * np.linalg.eigvalsh(held.metrics).max())
        away = self.step / steepest * np.einsum("nij,nj->ni", held.metrics, held.away.mean(0))
        tangents = string_tangents(string)
        across = away - (away * tangents).sum(1, keepdims=True) * tangents
        if self.ends == "keep":
            across[[0, -1]] = 0.0
        else:
            across[[0, -1]] = away[[0, -1]]
        return across


@dataclass(frozen=True, eq=False)
class _Held:
    """Means of walkers held at images, in units of the string.

    Attributes
    ----------
    away : (parts, images, values) from the image, one for each part of the run of each walker
    covariances : (parts, images, values, values) of the walkers
    metrics : (images, values, values)
    """

    away: Shaped[np.ndarray, "parts images values"]
    covariances: Shaped[np.ndarray, "parts images values values"]
    metrics: Shaped[np.ndarray, "images values values"]

    @staticmethod
    def of(run: Recording, row: StringWalkers, units: StringUnits, string: Values, skip: int) -> _Held:
        count, walkers = len(string), row.walkers

        def sorted_by_image(array: np.ndarray) -> np.ndarray:
            """``(walkers, images, frames, ...)`` of an array ``(replicas, frames, ...)``."""
            order = np.argsort(run.rungs[:, skip:].reshape(walkers, count, -1), axis=1)
            split = array[:, skip:].reshape(walkers, count, *array[:, skip:].shape[1:])
            return np.take_along_axis(split, order.reshape(*order.shape, *(1,) * (split.ndim - 3)), axis=1)

        values = sorted_by_image(np.asarray(run.values, float))
        away = units.away(values, string[:, None])
        parts = np.array_split(away, min(PARTS, away.shape[2]), axis=2)
        means = np.concatenate([part.mean(2) for part in parts])
        off = [part - part.mean(2, keepdims=True) for part in parts]
        spreads = np.concatenate([np.einsum("wnfi,wnfj->wnij", one, one) / one.shape[2] for one in off])
        thin = max(1, away.shape[2] // METRIC_FRAMES)
        frames = sorted_by_image(run.positions)[:, :, ::thin].swapaxes(0, 1)
        masses = np.asarray(row.apparatus.masses, float)
        inverse = np.where(masses > 0, 1.0 / np.where(masses > 0, masses, 1.0), 0.0)
        metrics = metric_tensors(
            row.variable, frames.reshape(-1, *frames.shape[3:]), inverse, row.apparatus.box
        )
        metrics = metrics.reshape(count, -1, *metrics.shape[1:]).mean(1).astype(float)
        return _Held(means, spreads, metrics / np.outer(units.widths, units.widths))


def _integrated(images: Values, slopes: Values) -> Shaped[np.ndarray, " images"]:
    """Free energy at each image, from zero at the first, of its slopes there.

    Examples
    --------
    >>> line = np.linspace([0.0, 0.0], [1.0, 2.0], 5)
    >>> _integrated(line, 2 * line).round(9).tolist()
    [0.0, 0.3125, 1.25, 2.8125, 5.0]
    """
    at = arc_lengths(images)
    along = (slopes * CubicSpline(at, images)(at, 1)).sum(1)
    return CubicSpline(at, along).antiderivative()(at)
