r"""The metric tensor of variables as a function of their values, and the effective dynamics that it makes.

Frames with the same values z have different metric tensors G; the motion of z alone knows their mean
:math:`\overline{G}(z) = \langle G \,|\, z \rangle` over equilibrium. It is the tensor of least

.. math:: \left\langle \operatorname{tr} \overline{G}(z)^{-1} G + \ln \det \overline{G}(z) \right\rangle ,

and with :math:`T \overline{G}\, T^{\mathsf T} = \operatorname{diag} e^{d_i}`, T lower triangular with ones on its
diagonal [pourahmadi1999], it falls apart into one regression for each variable on those before it: no choice of
functions for :math:`T_{ij}` and :math:`d_i` makes a tensor that is not positive.

Where G is made of diffusion constants, free energy and mean metric are the drift and diffusion of the Markov process
nearest to the motion of z [legoll2010],

.. math:: dz = \left( -\overline{G}\, \nabla F / kT + \nabla \cdot \overline{G} \right) dt
          + \sqrt{2 \overline{G}}\, dW ,

right where all else relaxes faster than z, and with time scales that are never too long. Made of inverse masses, it is
the inverse mass matrix of z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from thalweg.kinetics.langevin.likelihoods.splines import SplineAxis, Splines, terms_up_to
from thalweg.kinetics.langevin.many_body import ManyBodyModel
from thalweg.kinetics.langevin.profiles import Profile
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float
from thalweg.testsystems.generator import Generator
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

MOST_FRAMES = 10_000
"""Frames that are used, evenly spread."""

BLOCKS = 20
"""Blocks of frames, resampled for errors."""

FOLDS = 5
"""Parts that are left out in turn to find the smoothness."""

STRENGTHS = 10.0 ** np.arange(-5.0, 3.0)
"""Strengths of smoothing tried, relative to the mean diagonal of the equations."""

ITERATIONS = 30
"""Of the two regressions in turn, at most; a handful settle."""

SETTLED = 1e-4
"""Change of the logarithm of the metric below which they have."""

COUPLED = 0.1
"""Coupling of two variables by the metric beyond which a grid does not know it."""


@dataclass(frozen=True)
class MeanMetric(Method):
    """The mean metric tensor of variables at their values.

    Parameters
    ----------
    periods : of each variable, None where it has none
    order : variables that one term may join
    intervals : between knots, of terms of one variable and of two; smoothness is found from frames left out

    Examples
    --------
    >>> angle = np.random.default_rng(0).uniform(-np.pi, np.pi, (2000, 1))
    >>> metrics = (1.5 + np.sin(angle))[:, :, None]
    >>> model = MeanMetric(periods=[2 * np.pi]).fit(angle, [metrics])
    >>> model.tensors(np.array([[np.pi / 2], [0.0]])).values.round(1).ravel().tolist()
    [2.5, 1.5]
    """

    periods: Sequence[float | None] | None = None
    order: int = 2
    intervals: tuple[int, int] = (10, 5)

    def fit(
        self, data: TrajectoryData, metrics: Sequence[Float[np.ndarray, "frames variables variables"]]
    ) -> MeanMetricModel:
        """The mean metric of ``data`` in equilibrium (by their weights).

        Parameters
        ----------
        data : a column per variable
        metrics : the metric tensor of every frame, one array per trajectory, as of `metric_tensors`

        Raises
        ------
        ValueError
            If metrics do not fit the frames, are not finite, have nothing on their diagonal, or frames are too few.
        """
        trajectories = as_trajectories(data)
        _check(trajectories, metrics)
        stride = -(-trajectories.n_frames // MOST_FRAMES)
        frames = trajectories.strided(MOST_FRAMES)
        tensors = np.concatenate([np.asarray(each, float) for each in metrics])[::stride]
        weights = np.ones(len(frames))
        if trajectories.weights is not None:
            weights = np.concatenate([np.asarray(each) for each in trajectories.weights])[::stride]
        scale = np.sqrt(np.einsum("nii,n->i", tensors, weights) / weights.sum())
        splines = self._splines(frames)
        fit = _Regressions(splines, frames, tensors / np.multiply.outer(scale, scale), weights)
        strength = fit.best_strength()
        found = fit.solved(strength, weights)
        random = np.random.default_rng(0)
        block = np.arange(len(frames)) * BLOCKS // len(frames)
        draws = random.multinomial(BLOCKS, np.full(BLOCKS, 1.0 / BLOCKS), BLOCKS)
        samples = np.array([fit.solved(strength, weights * draw[block], found) for draw in draws])
        return MeanMetricModel(self, splines, found, samples, scale, float(strength))

    def _splines(self, frames: np.ndarray) -> Splines:
        periods = self.periods or [None] * frames.shape[1]

        def axes(intervals: int) -> tuple[SplineAxis, ...]:
            found = []
            for column, period in zip(frames.T, periods):
                lower, upper = np.quantile(column, [0.001, 0.999])
                if period is not None:
                    lower, upper = column.min(), column.min() + period
                found.append(SplineAxis(float(lower), float(upper), intervals, period is not None))
            return tuple(found)

        terms = terms_up_to(frames.shape[1], min(self.order, frames.shape[1]))
        return Splines(axes(self.intervals[0]), terms, axes(self.intervals[1]))


def _check(trajectories: Trajectories, metrics: Sequence[np.ndarray]) -> None:
    """That every frame has its tensor."""
    size = trajectories.n_features
    wanted = [(int(n), size, size) for n in trajectories.lengths]
    given = [np.shape(each) for each in metrics]
    if given != wanted:
        raise ValueError(
            f"metrics have shapes {given[:3]}, needed is (frames, {size}, {size}) for each trajectory, first "
            f"{wanted[0]}"
        )
    if trajectories.n_frames < 10 * BLOCKS:
        raise ValueError(
            f"{trajectories.n_frames} frames; at least {10 * BLOCKS} are needed for {BLOCKS} blocks"
        )
    for k, each in enumerate(metrics):
        diagonal = np.einsum("nii->ni", np.asarray(each))
        bad = ~(np.isfinite(each).all(axis=(1, 2)) & (diagonal > 0).all(axis=1))
        if bad.any():
            raise ValueError(
                f"metric of frame {int(np.argmax(bad))} of trajectory {k} is {np.asarray(each)[bad][0].tolist()}; it "
                "must be finite and positive on its diagonal: a variable without gradient there cannot be one of motion"
            )


class _Regressions:
    """One regression for each variable on those before it: ``- sum_j phi_ij G_j.`` and its remaining size ``e^d``.

    Parameters are, variable by variable, the coefficients of ``phi_ij`` for all j < i and then of ``d_i``.
    """

    def __init__(self, splines: Splines, frames: np.ndarray, tensors: np.ndarray, weights: np.ndarray):
        self.rows = splines.derivatives(frames, ())
        self.tensors, self.weights = tensors, weights
        self.rough = np.asarray(sum(splines.penalties(2)))
        self.dims = tensors.shape[1]

    def best_strength(self) -> float:
        """The smoothing of the least sum over frames left out, a fifth at a time."""
        fold = (np.arange(len(self.rows)) * BLOCKS // len(self.rows)) % FOLDS
        totals = []
        for strength in STRENGTHS:
            total = 0.0
            for left in range(FOLDS):
                theta = self.solved(strength, self.weights * (fold != left))
                loss = sum(np.exp(-d) * q + d for q, d in self._both(theta))
                total += float(loss @ (self.weights * (fold == left)))
            totals.append(total)
        return float(STRENGTHS[int(np.argmin(totals))])

    def solved(self, strength: float, weights: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """Parameters of all regressions."""
        size = self.rows.shape[1]
        found, begin = [], 0
        for i in range(self.dims):
            stop = begin + (i + 1) * size
            own = np.zeros((i + 1, size)) if start is None else start[begin:stop].reshape(i + 1, size)
            found.append(self._one(i, strength, weights / weights.sum(), own))
            begin = stop
        return np.concatenate([each.ravel() for each in found])

    def _one(self, i: int, strength: float, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Coefficients ``(i + 1, functions)`` of variable i: regression and remaining size in turn."""
        rows, rough = self.rows, self.rough
        slopes, size = start[:-1], start[-1]
        # curvature of <e^-d q + d> where e^-d q is one on average, as it is at the solution
        curvature = (rows * weights[:, None]).T @ rows
        stiff = np.trace(curvature) / len(curvature) * (strength * rough + 1e-9 * np.eye(len(rough)))
        factor = scipy.linalg.cho_factor(curvature + stiff)
        for _ in range(ITERATIONS):
            d = rows @ size
            if i:
                slopes = self._slopes(i, strength, weights * np.exp(-d))
            q = self._rest(i, slopes)
            downhill = rows.T @ (weights * (np.exp(-d) * q - 1.0)) - stiff @ size
            step = scipy.linalg.cho_solve(factor, downhill)
            largest = float(np.abs(rows @ step).max())
            size = size + step * min(1.0, 1.0 / max(largest, 1e-300))
            if largest < SETTLED:
                break
        return np.concatenate([slopes, size[None]])

    def _slopes(self, i: int, strength: float, weights: np.ndarray) -> np.ndarray:
        """``phi_ij`` ``(i, functions)`` by weighted least squares."""
        rows, n = self.rows, self.rows.shape[1]
        matrix, vector = np.zeros((i, n, i, n)), np.zeros((i, n))
        for j in range(i):
            vector[j] = rows.T @ (weights * self.tensors[:, i, j])
            for k in range(j + 1):
                matrix[j, :, k] = (rows * (weights * self.tensors[:, j, k])[:, None]).T @ rows
                matrix[k, :, j] = matrix[j, :, k].T
        flat = matrix.reshape(i * n, i * n)
        level = np.trace(flat) / len(flat)
        stiff = level * np.kron(np.eye(i), strength * self.rough + 1e-9 * np.eye(n))
        return np.linalg.solve(flat + stiff, vector.ravel()).reshape(i, n)

    def _rest(self, i: int, slopes: np.ndarray) -> np.ndarray:
        """``t G t`` (frames,) of ``t = (-phi_i1, ..., -phi_i(i-1), 1)``."""
        t = np.concatenate([-self.rows @ slopes.T, np.ones((len(self.rows), 1))], axis=1)
        return np.einsum("ni,nij,nj->n", t, self.tensors[:, : i + 1, : i + 1], t)

    def _both(self, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """``t G t`` and d (frames,) of every variable."""
        found, begin, n = [], 0, self.rows.shape[1]
        for i in range(self.dims):
            own = theta[begin : begin + (i + 1) * n].reshape(i + 1, n)
            found.append((self._rest(i, own[:-1]), self.rows @ own[-1]))
            begin += (i + 1) * n
        return found


@dataclass(frozen=True, eq=False)
class MeanMetricModel(Model):
    """The mean metric tensor as a function of the values.

    Attributes
    ----------
    method : `MeanMetric`
    splines : functions of the values
    parameters : of all regressions
    samples : (samples, parameters) from resampled blocks
    scale : (variables,) root of the mean metric of each, taken out before the fit
    strength : of smoothing
    """

    method: MeanMetric
    splines: Splines
    parameters: Float[np.ndarray, " parameters"]
    samples: Float[np.ndarray, "samples parameters"]
    scale: Float[np.ndarray, " variables"]
    strength: float

    @property
    def dims(self) -> int:
        """Number of variables."""
        return len(self.scale)

    def headline(self) -> dict[str, object]:
        """Variables and the mean of each."""
        return {
            "variables": self.dims,
            "mean": ", ".join(f"{each:.3g}" for each in self.scale**2),
            "smoothing": self.strength,
        }

    def tensors(self, x: np.ndarray) -> Profile:
        """Mean metric ``(points, variables, variables)`` at ``x`` ``(points, variables)``, with errors."""
        rows = self.splines.derivatives(np.asarray(x, float), ())
        each = np.array([self._tensors(rows, sample) for sample in self.samples])
        return Profile(x, self._tensors(rows, self.parameters), each.std(axis=0, ddof=1), "metric")

    def divergence(self, x: np.ndarray) -> Float[np.ndarray, "points variables"]:
        """``sum_j dG_ij / dx_j`` at ``x`` ``(points, variables)``, by central differences."""
        total = np.zeros(x.shape)
        for j, axis in enumerate(self.splines.axes):
            step = 1e-4 * (axis.upper - axis.lower) * np.eye(self.dims)[j]
            ends = [
                self._tensors(self.splines.derivatives(x + sign * step, ()), self.parameters)
                for sign in (1, -1)
            ]
            total += (ends[0] - ends[1])[:, :, j] / (2.0 * step[j])
        return total

    def _tensors(self, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """``T^-1 diag(e^d) T^-T`` in the scale of the data."""
        n, begin = rows.shape[1], 0
        lower = np.broadcast_to(np.eye(self.dims), (len(rows), self.dims, self.dims)).copy()
        sizes = np.zeros((len(rows), self.dims))
        for i in range(self.dims):
            own = parameters[begin : begin + (i + 1) * n].reshape(i + 1, n)
            lower[:, i, :i] = -rows @ own[:-1].T
            sizes[:, i] = np.exp(rows @ own[-1])
            begin += (i + 1) * n
        root = np.linalg.inv(lower) * np.sqrt(sizes)[:, None, :] * self.scale[:, None]
        return root @ root.transpose(0, 2, 1)


@dataclass(frozen=True, eq=False)
class EffectiveDynamics(Model):
    """The Markov process nearest to the motion of some variables, of equilibrium frames alone.

    Attributes
    ----------
    free_energy : of the variables
    metric : their mean metric, of diffusion constants [nm^2/ps]

    Raises
    ------
    ValueError
        If the two are of different numbers of variables.
    """

    free_energy: ManyBodyModel
    metric: MeanMetricModel

    def __post_init__(self):
        if len(self.free_energy.splines.axes) != self.metric.dims:
            raise ValueError(
                f"a free energy of {len(self.free_energy.splines.axes)} variables and a metric of {self.metric.dims}; "
                "fit both to the same columns"
            )

    @property
    def kT(self) -> float:
        """Of the free energy [kJ/mol]."""
        return self.free_energy.method.kT

    def headline(self) -> dict[str, object]:
        """Variables, and what is known of each."""
        return {"variables": self.metric.dims, "order of the free energy": self.free_energy.order}

    def drift(self, x: np.ndarray) -> Float[np.ndarray, "points variables"]:
        """``-G grad F / kT + div G`` at ``x`` ``(points, variables)``, in units of the variables per ps."""
        metric = self.metric.tensors(x).values
        pull = -np.einsum("nij,nj->ni", metric, self.free_energy.gradient(x)) / self.kT
        return pull + self.metric.divergence(x)

    def diffusion(self, x: np.ndarray) -> Profile:
        """The mean metric at ``x``."""
        return self.metric.tensors(x)

    def operator(self, cells: int | tuple[int, ...] = 200, ceiling: float = 25.0) -> Generator:
        """The generator on a grid: time scales, committors, passage times and rates.

        Raises
        ------
        ValueError
            If the metric couples variables by more than a tenth, which the grid does not know.
        """
        frames, dims = self.free_energy.frames, self.metric.dims
        tensors = self.metric.tensors(frames).values
        root = np.sqrt(np.einsum("nii->ni", tensors))
        coupling = np.abs(tensors / (root[:, :, None] * root[:, None]) - np.eye(dims)).max(axis=(1, 2))
        if np.median(coupling) > COUPLED:
            raise ValueError(
                f"the metric couples the variables by {np.median(coupling):.2f}; on a grid it must be diagonal: rotate "
                "the variables, or use drift() and diffusion()"
            )
        potential = self.free_energy.potential

        def along(points: np.ndarray) -> np.ndarray:
            return np.einsum("nii->in", self.metric.tensors(points.T).values)

        shape = tuple(np.broadcast_to(cells, dims).tolist())
        periodic = tuple(axis.periodic for axis in self.free_energy.splines.axes)
        return Generator(potential, potential.domain, shape, self.kT, along, ceiling, periodic)
