r"""Langevin models with inertia, friction and memory: free energy, mass, friction and kernel of variables.

.. math:: \dot v = -\nabla F / m - \int_0^t K(t - s)\, v(s)\, ds + \text{noise}, \qquad
          K(t) = 2 \gamma \delta(t) \quad\text{or}\quad \sum_k (\gamma_k / \tau_k)\, e^{-t / \tau_k} ,

by maximum likelihood of positions (and velocities where they are given): exponentials of the kernel are hidden
variables, and all that is hidden is integrated out by Kalman's filter. Each step counts whatever came before it, so
that trajectories may be short and begin anywhere: a hundred runs off a barrier tell the profiles of both its sides as
well as the frames they pass do, equilibrium or not [palacio2022]. Steps need not be short against the friction.

Not to be trusted where a force bends much within one step; `whiteness` tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from thalweg.kinetics.langevin.likelihoods.accelerations import AccelerationSteps
from thalweg.kinetics.langevin.likelihoods.frames import Pieces, pieces
from thalweg.kinetics.langevin.likelihoods.inertial_steps import (
    InertialSteps,
    Layout,
    free_motion_guess,
    kernel_rates,
    starting_parameters,
)
from thalweg.kinetics.langevin.likelihoods.scoring import RIDGE, ScoredFit, scored
from thalweg.kinetics.langevin.likelihoods.splines import Splines, terms_up_to
from thalweg.kinetics.langevin.overdamped import MISFIT
from thalweg.kinetics.langevin.phase_operator import PhaseOperator
from thalweg.kinetics.langevin.profiles import Profile, grid_of, knot_axes, linear_profile, mean_row
from thalweg.kinetics.langevin.simulation import Tables, simulated_phases
from thalweg.kinetics.langevin.surface import FittedFreeEnergy
from thalweg.kinetics.langevin.whiteness import whiteness
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float
from thalweg.time_series.resampling import Estimate
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories

WORTH = 10.0
"""Information criterion by which one more hidden variable must be better."""

MOST_HIDDEN = 2
"""Hidden variables that are tried."""

FEW = 8_000
"""Steps on which starts are compared."""

VAGUE = 0.05
"""Curvature of the prior of logarithms of masses, rates and times about their first guess."""


@dataclass(frozen=True)
class UnderdampedLangevin(Method):
    """A Langevin model with inertia, and memory if the data show it.

    Parameters
    ----------
    kT : thermal energy [kJ/mol]
    lagtime : step [frames]
    periods : of each variable, None where it has none; two pi for angles in radian
    velocities : whether the second half of the columns are velocities; without, positions alone decide
    hidden : exponentials of the memory kernel, 0 for friction without memory; ``"auto"``: as many as the data ask for
    order : variables that a term of the free energy may join
    intervals : of the knots of F, of terms of several variables, of friction, and of mass (0: one mass); smoothness is
        found from the data
    resolution : standard deviation of errors of positions, such as 0.3 times the last digit of rounded ones

    Examples
    --------
    >>> from thalweg.time_series.trajectories import Trajectories
    >>> random = np.random.default_rng(0)
    >>> x, v, runs = np.zeros(20), random.standard_normal(20), []
    >>> for step in range(500):  # a harmonic well with friction 2, positions every tenth ps
    ...     runs.append(x)
    ...     for _ in range(4):
    ...         v = v - 0.025 * (x + 2.0 * v) + (0.1) ** 0.5 * random.standard_normal(20)
    ...         x = x + 0.025 * v
    >>> data = Trajectories([run[:, None] for run in np.array(runs).T], dt=0.1)
    >>> model = UnderdampedLangevin(kT=1.0, hidden=0, intervals=(6, 4, 4, 0)).fit(data)
    >>> bool(abs(np.log(model.friction().values / 2.0)).max() < 0.2)
    True
    """

    kT: float
    lagtime: int = 1
    periods: Sequence[float | None] | None = None
    velocities: bool = False
    hidden: int | Literal["auto"] = "auto"
    order: int = 2
    intervals: tuple[int, int, int, int] = (20, 8, 6, 0)
    resolution: float = 0.0

    def fit(self, data: TrajectoryData) -> UnderdampedModel:
        """The model of largest likelihood.

        Raises
        ------
        ValueError
            If there are too few steps, velocities are asked of data that have none, a variable jumps as an angle
            without its period does, or never moves.
        """
        if not self.kT > 0:
            raise ValueError(f"kT={self.kT} must be positive [kJ/mol]; 2.494 at 300 K")
        own = pieces(as_trajectories(data), self.lagtime, self.periods, self.velocities)
        if self.hidden != "auto":
            return self._model(own, int(self.hidden), None)
        # one more hidden variable as long as the motion remembers more than the model says, and it helps
        best = self._model(own, 0, None)
        while best.hidden < MOST_HIDDEN and not whiteness(best).white:
            more = self._model(own, best.hidden + 1, best)
            if more.found.information_criterion > best.found.information_criterion - WORTH:
                return replace(best, compared=more.compared)
            best = more
        return best

    def _model(self, own: Pieces, hidden: int, simpler: UnderdampedModel | None) -> UnderdampedModel:
        """The model with so many hidden variables."""
        layout = self._layout(own, hidden)
        known = None if simpler is None else (simpler.layout, simpler.found)
        found = self._fitted(own, layout, known)
        frames = own.positions[:, :-1][own.weights > 0]
        compared = {} if simpler is None else dict(simpler.compared)
        compared[hidden] = found.information_criterion
        return UnderdampedModel(self, layout, found, mean_row(layout.energy, frames), own, compared)

    def _layout(self, own: Pieces, hidden: int) -> Layout:
        """The functions of the model."""
        dims = own.positions.shape[-1]
        periodic = np.array([p is not None for p in self.periods or [None] * dims])
        single = terms_up_to(dims, 1)
        energy = Splines(
            knot_axes(own, self.intervals[0], periodic),
            terms_up_to(dims, min(self.order, dims)),
            knot_axes(own, self.intervals[1], periodic),
        )

        def space(intervals):
            axes = knot_axes(own, max(intervals, 1), periodic)
            return Splines(axes, single if intervals else ((),))

        friction = space(self.intervals[2])
        mass = space(self.intervals[3])
        if hidden:
            return Layout(dims, energy, None, mass, (friction,) * hidden)
        return Layout(dims, energy, friction, mass)

    def _fitted(self, own: Pieces, layout: Layout, simpler: tuple[Layout, ScoredFit] | None) -> ScoredFit:
        """Parameters of largest likelihood, from the best of some memory times."""
        mass, friction = free_motion_guess(own, self.kT)
        hidden = len(layout.hidden)
        fastest = max(float(friction.max()), 0.5 / own.tau)
        steps = InertialSteps(own, layout, self.kT, fastest, self.resolution)
        if not hidden:
            starts = [starting_parameters(layout, mass, friction, (), ())]
        else:
            starts = [
                starting_parameters(layout, mass, friction * scale, [1.0 / hidden] * hidden, times)
                for scale in (1.0, 5.0)
                for times in _memory_times(hidden, own.tau)
            ]
            if simpler is not None:
                before, known = simpler
                for start in starts:
                    start[layout.blocks["energy"]] = known.parameters[before.blocks["energy"]]
                starts += [_continued(layout, before, known.parameters, t, own.tau) for t in (0.3, 3.0)]
        if len(starts) > 1:
            trial = InertialSteps(own.thinned(FEW), layout, self.kT, fastest, self.resolution)
            starts.sort(key=lambda start: -trial(start).log_likelihood)
        penalties, vague = _penalties(layout)
        frames = own.positions[:, :-1][own.weights > 0]
        relative = AccelerationSteps.of(steps, mean_row(layout.mass, frames))
        # forces bend, all else is thought even until the data say otherwise
        bent = len(layout.energy.penalties(3))
        strengths = [1e-2] * bent + [1e2] * (len(penalties) - bent)
        stiffness = np.sum([strength * each for strength, each in zip(strengths, penalties)], axis=0)
        start = _with_forces(relative, relative.accelerations(starts[0]), stiffness)
        return relative.in_energies(scored(relative, start, penalties, strengths, vague, tolerance=0.05))


def _with_forces(relative: AccelerationSteps, start: np.ndarray, stiffness: np.ndarray) -> np.ndarray:
    """A start with the forces that go best with its mass and friction, which would else make up for them."""
    found, own = relative(start), relative.steps.layout.blocks["energy"]
    hessian = found.information[own, own] + stiffness[own, own] + RIDGE * np.eye(own.stop - own.start)
    theta = start.copy()
    theta[own] += np.linalg.solve(hessian, found.score[own] - stiffness[own, own] @ start[own])
    return theta


def _memory_times(hidden: int, tau: float) -> list[tuple[float, ...]]:
    """Times [ps] with which hidden variables begin, in steps of growing length."""
    return [tuple(tau * factor * 8.0**k for k in range(hidden)) for factor in (0.5, 4.0, 20.0)]


def _continued(layout: Layout, before: Layout, known: np.ndarray, ratio: float, tau: float) -> np.ndarray:
    """A start with one hidden variable more than a model already fitted: half of its friction, at another time."""
    theta = np.zeros(layout.size)
    old, new = before.blocks, layout.blocks
    for name in set(old) & set(new):
        theta[new[name]] = known[old[name]]
    last = len(layout.hidden) - 1
    for d in range(layout.dims):
        if before.hidden:
            donor, time = old[f"hidden{last - 1}_{d}"], known[old[f"time{last - 1}_{d}"]][0]
        else:
            donor, time = old[f"friction{d}"], np.log(tau)
        theta[new[f"hidden{last}_{d}"]] = known[donor] - (np.log(2.0) if before.hidden else 0.0)
        theta[new[f"time{last}_{d}"]] = time + np.log(ratio)
        if before.hidden:
            theta[new[f"hidden{last - 1}_{d}"]] -= np.log(2.0)
    return theta


def _penalties(layout: Layout) -> tuple[list[np.ndarray], np.ndarray]:
    """Roughness of every function, and curvatures of the weak prior of numbers."""
    blocks, found = layout.blocks, []

    def add(names: Sequence[str], roughness: np.ndarray):
        matrix = np.zeros((layout.size, layout.size))
        for name in names:
            matrix[blocks[name], blocks[name]] = roughness
        found.append(matrix)

    for own in layout.energy.penalties(3):
        add(["energy"], own)
    dims = range(layout.dims)
    for own in layout.mass.penalties(2):
        add([f"mass{d}" for d in dims], own)
    if layout.friction is not None:
        for own in layout.friction.penalties(2):
            add([f"friction{d}" for d in dims], own)
    for k, space in enumerate(layout.hidden):
        for own in space.penalties(2):
            add([f"hidden{k}_{d}" for d in dims], own)
    vague = np.zeros(layout.size)
    vague[blocks["energy"].stop :] = VAGUE
    return found, vague


@dataclass(frozen=True, eq=False)
class UnderdampedModel(Model):
    """Free energy, mass, friction and memory of variables, as fitted.

    Attributes
    ----------
    method : `UnderdampedLangevin`
    layout : which parameters are of which function
    found : parameters with their covariance
    mean : (functions,) of F over all frames
    pieces : the data
    compared : information criterion by number of hidden variables tried, smaller is better
    """

    method: UnderdampedLangevin
    layout: Layout
    found: ScoredFit
    mean: Float[np.ndarray, " functions"]
    pieces: Pieces = field(repr=False)
    compared: dict[int, float] = field(default_factory=dict)

    @property
    def dims(self) -> int:
        """Number of variables."""
        return self.layout.dims

    @property
    def kT(self) -> float:
        """[kJ/mol]."""
        return self.method.kT

    @property
    def hidden(self) -> int:
        """Exponentials of the memory kernel."""
        return len(self.layout.hidden)

    @property
    def notes(self) -> tuple[str, ...]:
        """What one should know of this fit."""
        said = []
        if not self.found.converged:
            said.append(f"the fit did not settle in {self.found.iterations} iterations")
        if self.found.inflation > MISFIT:
            said.append(
                f"pieces of trajectories disagree {self.found.inflation:.1f} times as much as the model allows: it is "
                f"wrong at this step, or bars are too small by a factor {self.found.inflation**0.5:.1f}"
            )
        longest = self.pieces.weights.shape[1] * self.pieces.tau
        for time in kernel_rates(self.layout, self.found.parameters)[1].ravel():
            if time > longest:
                said.append(
                    f"a memory of {time:.3g} ps is longer than the pieces of trajectories, {longest:.3g} ps: it is not "
                    "known from them; use longer trajectories, or fewer hidden variables"
                )
        return tuple(said)

    def headline(self) -> dict[str, object]:
        """Variables, data, and the range of what was found."""
        energy, friction = self.free_energy().values, self.friction().values
        return {
            "variables": self.dims,
            "steps": int(self.pieces.n_steps),
            "step": self.pieces.tau,
            "free energy range": float(np.ptp(energy)),
            "friction": f"{np.min(friction):.3g} to {np.max(friction):.3g}",
            "memory": ", ".join(f"{t:.3g}" for t in self.memory_times().values.ravel()) or "none",
            "parameters": round(self.found.effective, 1),
        }

    def __str__(self) -> str:
        rows = [f"{name}: {value}" for name, value in self.headline().items()]
        return "\n".join(["underdamped Langevin model", *rows, *(f"note: {each}" for each in self.notes)])

    @cached_property
    def potential(self) -> FittedFreeEnergy:
        """The free energy as a potential: any engine runs it."""
        return self._potential(self.found.parameters)

    def _potential(self, parameters: np.ndarray) -> FittedFreeEnergy:
        own = parameters[self.layout.blocks["energy"]]
        return FittedFreeEnergy(self.layout.energy, own, self.kT)

    def free_energy(self, x: np.ndarray | None = None) -> Profile:
        """Free energy with errors at points ``(points, variables)``, over all of the frames if none are given.

        Its lowest value is zero; errors are those of the difference from its mean over the frames.
        """
        points = self._points(x)
        rows, own = self.layout.energy.derivatives(points, ()) - self.mean, self.layout.blocks["energy"]
        values, errors = linear_profile(rows, self.found.parameters[own], self.found.covariance[own, own])
        return Profile(points, values - values.min(), errors, "free energy [kJ/mol]")

    def friction(self, x: np.ndarray | None = None, variable: int = 0) -> Profile:
        """Friction ``(points,)`` [1/ps] of a variable: the integral of its memory kernel."""
        points = self._points(x)
        names = [f"hidden{k}_{variable}" for k in range(self.hidden)] or [f"friction{variable}"]
        space = self.layout.hidden[0] if self.hidden else self.layout.friction
        assert space is not None
        rows = space.derivatives(points, ())
        return self._sum_of_exponentials(points, rows, names, "friction [1/ps]")

    def mass(self, x: np.ndarray | None = None, variable: int = 0) -> Profile:
        """Mass ``(points,)`` [amu] of a variable."""
        points = self._points(x)
        rows = self.layout.mass.derivatives(points, ())
        return self._sum_of_exponentials(points, rows, [f"mass{variable}"], "mass [amu]")

    def _sum_of_exponentials(
        self, points: np.ndarray, rows: np.ndarray, names: Sequence[str], quantity: str
    ) -> Profile:
        """``sum exp(rows c)`` over coefficients c of these names, with errors to first order."""
        slopes = np.zeros((len(rows), len(self.found.parameters)))
        total = np.zeros(len(rows))
        for name in names:
            own = self.layout.blocks[name]
            values = np.exp(rows @ self.found.parameters[own])
            slopes[:, own] = values[:, None] * rows
            total += values
        variance = np.einsum("np,pq,nq->n", slopes, self.found.covariance, slopes, optimize=True)
        return Profile(points, total, np.sqrt(variance), quantity)

    def memory_times(self, variable: int = 0) -> Profile:
        """Memory times ``tau_k`` [ps] of a variable with errors, numbered along."""
        own = [self.layout.blocks[f"time{k}_{variable}"].start for k in range(self.hidden)]
        values = np.exp(self.found.parameters[own])
        errors = values * np.sqrt(np.diag(self.found.covariance)[own])
        return Profile(np.arange(self.hidden), values, errors, "memory time [ps]")

    def kernel(self, times: np.ndarray, variable: int = 0, x: np.ndarray | None = None) -> Profile:
        """Memory kernel ``K(t)`` [1/ps^2] at ``times`` [ps], at the place ``x`` (default: the middle of the frames).

        Raises
        ------
        ValueError
            If the model has no hidden variable: its kernel is ``2 gamma`` at time zero.
        """
        if not self.hidden:
            raise ValueError(
                "this model has friction without memory, all of its kernel is at time zero; fit with hidden=1 or more"
            )
        place = self.pieces.positions[:, 0].mean(axis=0)[None] if x is None else self._points(x)[:1]
        row = self.layout.hidden[0].derivatives(place, ())[0]
        parameters, blocks = self.found.parameters, self.layout.blocks
        slopes, total = np.zeros((len(times), len(parameters))), np.zeros(len(times))
        for k in range(self.hidden):
            rate, time = blocks[f"hidden{k}_{variable}"], blocks[f"time{k}_{variable}"]
            tau = np.exp(parameters[time][0])
            values = np.exp(row @ parameters[rate] - times / tau) / tau
            slopes[:, rate] += values[:, None] * row
            slopes[:, time] += (values * (times / tau - 1.0))[:, None]
            total += values
        variance = np.einsum("np,pq,nq->n", slopes, self.found.covariance, slopes)
        return Profile(np.asarray(times), total, np.sqrt(variance), "memory kernel [1/ps^2]")

    def operator(self, cells: int = 150, degree: int | None = None) -> PhaseOperator:
        """The generator of a model of one variable: its time scales, exact for the model."""
        if self.dims > 1:
            raise ValueError(
                f"the generator in phase space is for one variable, there are {self.dims}; use simulate()"
            )
        return self._operator(self.found.parameters, cells, degree)

    def _operator(self, parameters: np.ndarray, cells: int, degree: int | None) -> PhaseOperator:
        """The generator at these parameters."""
        blocks = self.layout.blocks

        def along(space, name):
            return lambda x: np.exp(space.derivatives(x[:, None], ()) @ parameters[blocks[name]])

        def none(x):
            return np.zeros(x.shape)

        friction = none if self.layout.friction is None else along(self.layout.friction, "friction0")
        hidden = tuple(
            (along(space, f"hidden{k}_0"), float(np.exp(parameters[blocks[f"time{k}_0"]][0])))
            for k, space in enumerate(self.layout.hidden)
        )
        mass = along(self.layout.mass, "mass0")
        degree = (60, 16, 10)[min(self.hidden, 2)] if degree is None else degree
        periodic = self.layout.energy.axes[0].periodic
        potential = self._potential(parameters)
        return PhaseOperator(potential, self.kT, mass, friction, hidden, cells, degree, periodic)

    def timescales(self, count: int = 1, samples: int = 20, seed: int = 0) -> Estimate:
        """Slowest relaxation times [ps] of the model, errors from parameters drawn from their posterior."""
        random = np.random.default_rng(seed)
        draws = random.multivariate_normal(
            self.found.parameters, self.found.covariance, samples, method="eigh"
        )
        cells = (120, 80, 60)[min(self.hidden, 2)]
        value = self._operator(self.found.parameters, cells, None).timescales(count)
        spread = [self._operator(each, cells, None).timescales(count) for each in draws]
        return Estimate(value, np.array(spread), n_blocks=max(2, len(self.pieces.weights)))

    def tables(self, points: int = 2001) -> Tables:
        """Force, mass, friction and memory of a model of one variable along a fine grid, for simulations."""
        operator = self.operator()
        ((lower, upper),) = self.potential.domain
        margin = 0.0 if operator.periodic else 0.25 * (upper - lower)
        x = np.linspace(lower - margin, upper + margin, points)
        return Tables(
            x,
            -self.potential.gradient(x[None])[0],
            operator.mass(x),
            operator.friction(x),
            np.array([rate(x) for rate, _ in operator.hidden]).reshape(-1, points),
            np.array([time for _, time in operator.hidden]),
            self.kT,
            upper - lower if operator.periodic else None,
        )

    def simulate(
        self, start: np.ndarray, steps: int, dt: float, stride: int = 1, seed: int = 0
    ) -> Float[np.ndarray, "replicas frames"]:
        """Trajectories of a model of one variable from ``start`` (replicas,), velocities thermal; see
        `simulated_phases`.
        """
        random = np.random.default_rng(seed)
        return simulated_phases(self.tables(), np.ravel(start), steps, dt, stride, random)[0]

    def residuals(self) -> list[Float[np.ndarray, "steps seen"]]:
        """Innovations of every piece in units of their spread: white if the model is right."""
        fastest = max(float(np.max(self.friction().values)), 0.5 / self.pieces.tau)
        steps = InertialSteps(self.pieces, self.layout, self.kT, fastest, self.method.resolution)
        white = steps.residuals(self.found.parameters)
        return [each[~np.isnan(each[:, 0])] for each in white]

    def _points(self, x: np.ndarray | None) -> np.ndarray:
        """Points ``(points, variables)``."""
        if x is None:
            return grid_of(self.layout.energy, 101 if self.dims == 1 else 25)
        return np.asarray(x, float).reshape(-1, self.dims)
