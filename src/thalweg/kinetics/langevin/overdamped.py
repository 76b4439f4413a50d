r"""Overdamped Langevin models: free energy and position-dependent diffusion of one, two or three variables.

.. math:: dx = \left( -D \nabla F / kT + \nabla \cdot D \right) dt + \sqrt{2 D}\, dW

By maximum likelihood of every step, the smoothness of both functions found from the data. Steps need not come from
equilibrium: trajectories may be short and begin anywhere. Steps as wide as the wells of one variable are taken by the
Fokker-Planck propagator on a grid, shorter ones by local linearization with corrections; no difference quotient is
taken, so that a finite step does not bias what is found.

Not to be trusted where steps are so short that the motion remembers its velocity or a bath: see `whiteness`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from thalweg.kinetics.langevin.likelihoods.frames import Pieces, pieces
from thalweg.kinetics.langevin.likelihoods.grid_steps import FINEST, GridSteps, cells_needed
from thalweg.kinetics.langevin.likelihoods.overdamped_steps import OverdampedSteps, tensor_entries
from thalweg.kinetics.langevin.likelihoods.scoring import ScoredFit, scored
from thalweg.kinetics.langevin.likelihoods.splines import Splines, terms_up_to
from thalweg.kinetics.langevin.profiles import Profile, grid_of, knot_axes, linear_profile, mean_row
from thalweg.kinetics.langevin.surface import FittedFreeEnergy, KnownFreeEnergy
from thalweg.learning.models import Method, Model
from thalweg.machine.surviving import surviving
from thalweg.shapes import Float
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.potential import Potential
from thalweg.time_series.resampling import Estimate
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories

MOST_VARIABLES = 3
"""Variables up to which a diffusion tensor is fitted by likelihood."""

FEW = 10_000
"""Steps on which a fit begins."""

MISFIT = 2.0
"""Inflation of scores beyond which a model says that its bars are too small."""


@dataclass(frozen=True)
class OverdampedLangevin(Method):
    """An overdamped Langevin model of every variable in the data.

    Parameters
    ----------
    kT : thermal energy [kJ/mol]
    lagtime : step [frames]
    periods : of each variable, None where it has none; two pi for angles in radian
    order : variables that a term of the free energy may join
    intervals : of the knots of F, of terms of several variables, and of D; smoothness is found from the data, so that
        more than enough does no harm
    propagator : ``"auto"``: ``"grid"`` for one variable with steps wider than a fortieth of its range, else ``"local"``

    Examples
    --------
    >>> from thalweg.testsystems.generator import Generator
    >>> from thalweg.testsystems.wells import DoubleWell
    >>> runs = Generator(DoubleWell(2.0), ((-2.0, 2.0),), 100).sample(10, 500, lag=0.05)
    >>> from thalweg.time_series.trajectories import Trajectories
    >>> model = OverdampedLangevin(kT=1.0).fit(Trajectories(runs, dt=0.05))
    >>> profile = model.diffusion()
    >>> bool(abs(profile.values - 1.0).mean() < 0.15)
    True
    """

    kT: float
    lagtime: int = 1
    periods: Sequence[float | None] | None = None
    order: int = 2
    intervals: tuple[int, int, int] = (20, 8, 8)
    propagator: Literal["auto", "grid", "local"] = "auto"

    def fit(self, data: TrajectoryData) -> OverdampedModel:
        """The model of largest likelihood.

        Raises
        ------
        ValueError
            If there are too few steps, a variable jumps as an angle without its period does, never moves, or there
            are more than three variables.
        """
        if not self.kT > 0:
            raise ValueError(f"kT={self.kT} must be positive [kJ/mol]; 2.494 at 300 K")
        own = pieces(as_trajectories(data), self.lagtime, self.periods)
        dims = own.positions.shape[-1]
        if dims > MOST_VARIABLES:
            raise ValueError(
                f"{dims} variables; a diffusion tensor is fitted for up to {MOST_VARIABLES}: choose among them "
                "(see rank_by_relaxation), or fit a free energy with a constant tensor by ManyBodyFreeEnergy"
            )
        periodic = np.array([p is not None for p in self.periods or [None] * dims])
        energy = Splines(
            knot_axes(own, self.intervals[0], periodic),
            terms_up_to(dims, min(self.order, dims)),
            knot_axes(own, self.intervals[1], periodic),
        )
        roots = Splines(knot_axes(own, self.intervals[2], periodic), terms_up_to(dims, 1))
        steps = OverdampedSteps(own, energy, roots, self.kT)
        penalties = _penalties(energy, roots, dims)
        # forces bend, diffusion is thought even until the data say otherwise
        start, strengths = steps.start(), np.array([1e-2] * (len(penalties) - 1) + [1e2])
        if own.weights.size > 2 * FEW:
            # most of the way on a part of the steps
            part = OverdampedSteps(own.thinned(FEW), energy, roots, self.kT)
            near = scored(part, start, penalties, strengths, tolerance=0.5)
            start, strengths = near.parameters, near.strengths
        found = scored(steps, start, penalties, strengths, tolerance=0.05)
        coarse = dims == 1 and cells_needed(own) < FINEST
        on_grid = self.propagator == "grid" or (self.propagator == "auto" and coarse)
        if on_grid:
            if dims > 1:
                raise ValueError(f"the grid propagator is for one variable, there are {dims}; use 'local'")
            exact = GridSteps(own, energy, roots, self.kT)
            found = scored(exact, found.parameters, penalties, found.strengths, tolerance=0.05)
        frames = own.positions[:, :-1][own.weights > 0]
        return OverdampedModel(self, energy, roots, found, mean_row(energy, frames), own, on_grid)


def _penalties(energy: Splines, roots: Splines, dims: int) -> list[np.ndarray]:
    """Roughness of F, by number of variables, and of all functions of L alike, in all parameters."""
    entries = len(tensor_entries(dims))
    size = energy.size + entries * roots.size
    found = []
    for own in energy.penalties(3):
        matrix = np.zeros((size, size))
        matrix[: energy.size, : energy.size] = own
        found.append(matrix)
    for own in roots.penalties(2):
        matrix = np.zeros((size, size))
        matrix[energy.size :, energy.size :] = np.kron(np.eye(entries), own)
        found.append(matrix)
    return found


@dataclass(frozen=True, eq=False)
class OverdampedModel(Model):
    """Free energy and diffusion of variables, as fitted.

    Attributes
    ----------
    method : `OverdampedLangevin`
    energy : functions of F
    roots : functions of the root L of the diffusion tensor, logarithms on its diagonal
    found : parameters with their covariance
    mean : (functions,) of F over all frames; free energies are errors from this mean
    pieces : the data
    on_grid : whether steps were taken by the propagator on a grid
    """

    method: OverdampedLangevin
    energy: Splines
    roots: Splines
    found: ScoredFit
    mean: Float[np.ndarray, " functions"]
    pieces: Pieces = field(repr=False)
    on_grid: bool = False

    @property
    def dims(self) -> int:
        """Number of variables."""
        return len(self.energy.axes)

    @property
    def kT(self) -> float:
        """[kJ/mol]."""
        return self.method.kT

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
        return tuple(said)

    def headline(self) -> dict[str, object]:
        """Variables, data, and the range of what was found."""
        energy, diffusion = self.free_energy().values, self.diffusion().values
        return {
            "variables": self.dims,
            "steps": int(self.pieces.n_steps),
            "step": self.pieces.tau,
            "free energy range": float(np.ptp(energy)),
            "diffusion": f"{np.min(diffusion):.3g} to {np.max(diffusion):.3g}",
            "parameters": round(self.found.effective, 1),
        }

    def __str__(self) -> str:
        rows = [f"{name}: {value}" for name, value in self.headline().items()]
        return "\n".join(["overdamped Langevin model", *rows, *(f"note: {each}" for each in self.notes)])

    @cached_property
    def potential(self) -> FittedFreeEnergy:
        """The free energy as a potential: any engine runs it."""
        return FittedFreeEnergy(self.energy, self.found.parameters[: self.energy.size], self.kT)

    def free_energy(self, x: np.ndarray | None = None) -> Profile:
        """Free energy with its errors at points ``(points, variables)``, over all of the frames if none are given.

        Its lowest value is zero; errors are those of the difference from its mean over the frames.
        """
        points = self._points(x)
        rows = self.energy.derivatives(points, ()) - self.mean
        size = self.energy.size
        values, errors = linear_profile(
            rows, self.found.parameters[:size], self.found.covariance[:size, :size]
        )
        return Profile(points, values - values.min(), errors, "free energy [kJ/mol]")

    def diffusion(self, x: np.ndarray | None = None) -> Profile:
        """Diffusion coefficient ``(points,)`` of one variable, or tensor ``(points, variables, variables)``."""
        points = self._points(x)
        rows = self.roots.derivatives(points, ())
        values = self._tensors(rows, self.found.parameters)
        # errors by the derivative along each parameter of L
        variance = np.zeros_like(values)
        jacobian = []
        for k in range(self.energy.size, len(self.found.parameters)):
            moved = self.found.parameters.copy()
            moved[k] += 1e-5
            jacobian.append((self._tensors(rows, moved) - values) / 1e-5)
        slopes = np.stack(jacobian, axis=-1)
        own = self.found.covariance[self.energy.size :, self.energy.size :]
        variance = np.einsum("nijp,pq,nijq->nij", slopes, own, slopes, optimize=True)
        errors = np.sqrt(np.maximum(variance, 0.0))
        if self.dims == 1:
            values, errors = values[:, 0, 0], errors[:, 0, 0]
        return Profile(points, values, errors, "diffusion [unit^2/ps]")

    def _tensors(self, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Diffusion tensors ``(points, variables, variables)``."""
        entries = tensor_entries(self.dims)
        each = parameters[self.energy.size :].reshape(len(entries), -1)
        root = np.zeros((len(rows), self.dims, self.dims))
        for coefficients, (i, j) in zip(each, entries):
            value = rows @ coefficients
            root[:, i, j] = np.exp(value) if i == j else value
        return root @ root.transpose(0, 2, 1)

    def diffusion_at(self, x: np.ndarray) -> np.ndarray:
        """Diffusion tensors ``(points, variables, variables)`` at ``x`` (points, variables)."""
        return self._tensors(self.roots.derivatives(x, ()), self.found.parameters)

    def drift_at(self, x: np.ndarray) -> np.ndarray:
        """Drift ``(points, variables)`` [nm/ps] at ``x`` (points, variables): ``-D grad F / kT + div D``."""
        slope = self.potential.gradient(x.T).T
        drift = -np.einsum("nij,nj->ni", self.diffusion_at(x), slope) / self.kT
        for j, axis in enumerate(self.energy.axes):
            step = 1e-4 * (axis.upper - axis.lower) * np.eye(self.dims)[j]
            rise = self.diffusion_at(x + step) - self.diffusion_at(x - step)
            drift += rise[:, :, j] / (2.0 * step[j])
        return drift

    def operator(self, cells: int | tuple[int, ...] | None = None, ceiling: float = 25.0) -> Generator:
        """The generator on a grid: time scales, committors, passage times and rates, exact for the model.

        Raises
        ------
        ValueError
            If the diffusion tensor couples variables by more than a tenth, which the grid does not know.
        """
        tensor = self.diffusion_at(self.pieces.positions[:, 0])
        diagonal = np.sqrt(np.einsum("nii->ni", tensor)[:, :, None] * np.einsum("nii->ni", tensor)[:, None])
        coupling = np.abs(tensor / diagonal - np.eye(self.dims)).max(axis=(1, 2)) if self.dims > 1 else 0.0
        if np.median(coupling) > 0.1:
            raise ValueError(
                f"diffusion couples the variables by {np.median(coupling):.2f}; on a grid it must be diagonal: use "
                "simulate(), or rotate the variables"
            )
        if cells is None:
            cells = (400, 60, 24)[self.dims - 1]
        shape = tuple(np.broadcast_to(cells, self.dims).tolist())
        return self._operator(self.found.parameters, shape, ceiling)

    def _operator(self, parameters: np.ndarray, shape: tuple[int, ...], ceiling: float) -> Generator:
        """The generator at these parameters."""
        size = self.energy.size
        potential: Potential = FittedFreeEnergy(self.energy, parameters[:size], self.kT)
        if self.dims > 1:
            potential = KnownFreeEnergy(potential, self.mean, self.found.covariance[:size, :size])

        def diffusion(points):
            rows = self.roots.derivatives(points.T, ())
            return np.einsum("nii->in", self._tensors(rows, parameters))

        periodic = tuple(axis.periodic for axis in self.energy.axes)
        return Generator(potential, potential.domain, shape, self.kT, diffusion, ceiling, periodic)

    def timescales(self, count: int = 1, samples: int = 40, seed: int = 0) -> Estimate:
        """Slowest relaxation times [ps] of the model, errors from parameters drawn from their posterior."""
        shape = (200,) if self.dims == 1 else (40,) * self.dims
        value = self._operator(self.found.parameters, shape, 25.0).timescales(count)
        draws = self.parameter_samples(samples if self.dims == 1 else min(samples, 12), seed)
        left = surviving(
            draws, lambda each: self._operator(each, shape, 25.0).timescales(count), "draws", 2, told=False
        )
        return Estimate(value, np.array(left.results), max(2, len(self.pieces.weights)), left.told)

    def parameter_samples(self, count: int, seed: int = 0) -> Float[np.ndarray, "samples parameters"]:
        """Parameters drawn from their posterior."""
        random = np.random.default_rng(seed)
        return random.multivariate_normal(self.found.parameters, self.found.covariance, count, method="eigh")

    def simulate(
        self, start: np.ndarray, steps: int, dt: float, stride: int = 1, seed: int = 0
    ) -> Float[np.ndarray, "replicas frames variables"]:
        """Trajectories of the model by Euler and Maruyama, from ``start`` (replicas, variables).

        Parameters
        ----------
        steps : of ``dt`` [ps]
        stride : steps between the frames kept, the first included
        """
        random = np.random.default_rng(seed)
        x = np.array(start, float).reshape(-1, self.dims)
        frames = [x.copy()]
        for step in range(1, steps + 1):
            root = np.linalg.cholesky(self.diffusion_at(x))
            noise = np.einsum("nij,nj->ni", root, random.standard_normal(x.shape))
            x = x + dt * self.drift_at(x) + np.sqrt(2.0 * dt) * noise
            if step % stride == 0:
                frames.append(x.copy())
        return np.stack(frames, axis=1)

    def residuals(self) -> list[Float[np.ndarray, "steps variables"]]:
        """Steps of every piece less their means, in units of their spread: white if the model is right."""
        kind = GridSteps if self.on_grid else OverdampedSteps
        steps = kind(self.pieces, self.energy, self.roots, self.kT)
        white = steps.residuals(self.found.parameters).reshape(len(steps.piece), -1)
        return [white[steps.piece == k] for k in range(steps.n_pieces)]

    def _points(self, x: np.ndarray | None) -> np.ndarray:
        """Points ``(points, variables)``."""
        if x is None:
            return grid_of(self.energy, 101 if self.dims == 1 else 25)
        return np.asarray(x, float).reshape(-1, self.dims)
