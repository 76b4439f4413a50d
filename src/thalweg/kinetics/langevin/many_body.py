r"""The free energy of many variables as a sum of terms of one, two, three and four of them.

Equilibrium frames determine F by their likelihood, whose integral is taken on a grid for one variable or two, and for
more by averages alone, without any integral, so that ten variables cost no more than their terms: see
`thalweg.kinetics.langevin.likelihoods.equilibrium_frames`. Smoothing, one strength for terms of each number of
variables, and that number itself are those with the best score on frames left out; errors are those of resampled
blocks.

A term of three variables contains terms of two and of one. Parts that are known one by one are those whose mean over
each of their variables is zero [sobol2001],

.. math:: F_S(x_S) = \sum_{T \subseteq S} (-1)^{|S| - |T|}\, \overline{F}(x_T), \qquad
          \overline{F}(x_T) = \int F \prod_{k \notin T} p_k(x_k)\, dx_k ,

with :math:`p_k` the distribution of each variable by itself; their variances add up to that of F.

Not to be trusted in three and more variables where wells are parted by places that few frames visit: averages of
gradients tell the form of every well, but how deep they are by those frames alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from thalweg.kinetics.langevin.likelihoods.equilibrium_frames import (
    BLOCKS,
    GridLikelihood,
    ScoreEquations,
    grid_likelihood,
    score_equations,
    smoothed,
)
from thalweg.kinetics.langevin.likelihoods.splines import SplineAxis, Splines, terms_up_to
from thalweg.kinetics.langevin.profiles import Profile
from thalweg.kinetics.langevin.surface import FittedFreeEnergy
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

MOST_VARIABLES = 4
"""Of one term."""

MOST_FUNCTIONS = 1500
"""Up to which terms of more variables are tried of themselves."""

GRIDDED = 2
"""Variables up to which the integral of a likelihood is taken on a grid."""

MARGINAL = 2000
"""Frames by which each variable's own distribution is kept."""


@dataclass(frozen=True)
class ManyBodyFreeEnergy(Method):
    """A free energy with terms of up to four variables.

    Parameters
    ----------
    kT : [kJ/mol]
    order : most variables of one term; ``"auto"``: as many as make frames left out likelier by more than their error,
        among orders of at most 1500 functions
    periods : of each variable, None where it has none
    intervals : between knots, of terms of one variable and of two; those of three and four have fewer. Smoothness is
        found from the data, so that more than enough does no harm

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((4000, 3))
    >>> model = ManyBodyFreeEnergy(kT=1.0, order=1).fit(x)
    >>> bool(abs(model.gradient(np.array([[0.5, 0.0, -0.5]]))[0] - [0.5, 0.0, -0.5]).max() < 0.2)
    True
    """

    kT: float
    order: int | Literal["auto"] = "auto"
    periods: Sequence[float | None] | None = None
    intervals: tuple[int, int] = (30, 6)

    def fit(
        self, data: TrajectoryData, forces: Sequence[Float[np.ndarray, "frames variables"]] | None = None
    ) -> ManyBodyModel:
        """The free energy of ``data``, which are in equilibrium (by their weights), or of mean forces along them.

        Parameters
        ----------
        data : a column per variable
        forces : mean forces ``-dF/dx`` of every frame, one array per trajectory

        Raises
        ------
        ValueError
            If ``order`` is not one to four, periods or forces do not fit, or there are fewer frames than needed.
        """
        trajectories = as_trajectories(data)
        self._check(trajectories, forces)
        orders = self._orders(trajectories)
        every = self._splines(trajectories, orders[-1])
        equations = self._equations(trajectories, every, forces)
        tried = {order: smoothed(equations.lower(order)) for order in orders}
        order = _best_order({order: each.scores for order, each in tried.items()})
        best = tried[order]
        coefficients = np.array([best.solved(times) for times in _resampled(BLOCKS)])
        return ManyBodyModel(
            self,
            best.equations.splines,
            coefficients[0],
            coefficients[1:],
            best.strengths,
            {order: float(each.scores.sum()) for order, each in tried.items()},
            *_marginal_frames(trajectories),
        )

    def _check(self, trajectories: Trajectories, forces: Sequence[np.ndarray] | None) -> None:
        variables = trajectories.n_features
        if self.order != "auto" and not 1 <= self.order <= MOST_VARIABLES:
            raise ValueError(f"order={self.order}; terms join one to four variables")
        if self.periods is not None and len(self.periods) != variables:
            raise ValueError(
                f"{len(self.periods)} periods for {variables} variables; give one for each, None where there is none"
            )
        if trajectories.n_frames < 10 * BLOCKS:
            raise ValueError(
                f"{trajectories.n_frames} frames; at least {10 * BLOCKS} are needed for {BLOCKS} blocks"
            )
        if forces is not None and [np.shape(f) for f in forces] != [
            (int(n), variables) for n in trajectories.lengths
        ]:
            raise ValueError(
                f"forces have shapes {[np.shape(f) for f in forces][:3]}, needed is one (frames, variables) array for "
                f"each trajectory, first {(int(trajectories.lengths[0]), variables)}"
            )

    def _orders(self, trajectories: Trajectories) -> list[int]:
        """Orders to be tried, the last with the most functions."""
        most = min(MOST_VARIABLES, trajectories.n_features)
        if self.order != "auto":
            return [min(self.order, most)]
        sizes = [self._splines(trajectories, order).size for order in range(1, most + 1)]
        return [order for order in range(1, most + 1) if order == 1 or sizes[order - 1] <= MOST_FUNCTIONS]

    def _equations(
        self, trajectories: Trajectories, every: Splines, forces: Sequence[np.ndarray] | None
    ) -> ScoreEquations | GridLikelihood:
        """By likelihood where its integral can be taken on a grid, else by gradients."""
        if forces is None and trajectories.n_features <= GRIDDED:
            return grid_likelihood(trajectories, every, self.kT)
        return score_equations(trajectories, every, self.kT, forces)

    def _splines(self, trajectories: Trajectories, order: int) -> Splines:
        """All terms of up to ``order`` variables over the range of the frames."""
        frames = trajectories.strided(50_000)
        periods = self.periods or [None] * trajectories.n_features

        def axes(intervals):
            found = []
            for k, period in enumerate(periods):
                lower, upper = np.quantile(frames[:, k], [0.001, 0.999])
                if period is not None:
                    lower = frames[:, k].min()
                    upper = lower + period
                found.append(SplineAxis(float(lower), float(upper), intervals, period is not None))
            return tuple(found)

        terms = terms_up_to(trajectories.n_features, order)
        return Splines(axes(self.intervals[0]), terms, axes(self.intervals[1]))


def _best_order(scores: dict[int, np.ndarray]) -> int:
    """The order whose scores ``(folds,)`` are lower than those of any below it by more than their standard error."""
    best = min(scores)
    for order in sorted(scores):
        gain = scores[best] - scores[order]
        if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
            best = order
    return best


def _marginal_frames(trajectories: Trajectories) -> tuple[np.ndarray, np.ndarray]:
    """Some frames, and their weights, as samples of each variable's own distribution."""
    stride = -(-trajectories.n_frames // MARGINAL)
    frames = trajectories.strided(MARGINAL)
    if trajectories.weights is None:
        return frames, np.full(len(frames), 1.0 / len(frames))
    weights = np.concatenate([np.asarray(each) for each in trajectories.weights])[::stride]
    return frames, weights / weights.sum()


def _resampled(blocks: int, samples: int = 30) -> np.ndarray:
    """Once every block, then replicates of them ``(1 + samples, blocks)``."""
    random = np.random.default_rng(0)
    return np.concatenate(
        [np.ones((1, blocks)), random.multinomial(blocks, np.full(blocks, 1.0 / blocks), samples)]
    )


@dataclass(frozen=True, eq=False)
class ManyBodyModel(Model):
    """A free energy of many variables.

    Attributes
    ----------
    method : `ManyBodyFreeEnergy`
    splines : its functions
    coefficients : (functions,)
    samples : (samples, functions) from resampled blocks
    strengths : of the smoothing of terms of one, two, ... variables
    scores : on blocks left out, of each order tried; smaller is better
    frames : (frames, variables), some of them, for each variable's own distribution
    weights : (frames,), adding up to one
    """

    method: ManyBodyFreeEnergy
    splines: Splines
    coefficients: Float[np.ndarray, " functions"]
    samples: Float[np.ndarray, "samples functions"]
    strengths: tuple[float, ...]
    scores: dict[int, float]
    frames: Float[np.ndarray, "frames variables"] = field(repr=False)
    weights: Float[np.ndarray, " frames"] = field(repr=False)

    @property
    def order(self) -> int:
        """Most variables of one term."""
        return max(len(term) for term in self.splines.terms)

    @property
    def notes(self) -> tuple[str, ...]:
        """What one should know of this fit."""
        most = min(MOST_VARIABLES, len(self.splines.axes))
        if self.method.order != "auto" or max(self.scores) == most:
            return ()
        return (
            f"terms of more than {max(self.scores)} variables were not tried, they have more than {MOST_FUNCTIONS} "
            "functions; take fewer intervals, or ask for them by order=",
        )

    def headline(self) -> dict[str, object]:
        """Variables, terms and score."""
        return {
            "variables": len(self.splines.axes),
            "order": self.order,
            "terms": len(self.splines.terms),
            "functions": self.splines.size,
            "held-out score": self.scores[self.order],
        }

    def __str__(self) -> str:
        rows = [f"{name}: {value}" for name, value in self.headline().items()]
        named = {" ".join(map(str, term)): share for term, share in self.shares().items()}
        parts = [f"variance of the part of variables {term}: {share:.3g}" for term, share in named.items()]
        notes = [f"note: {each}" for each in self.notes]
        return "\n".join(["free energy of many variables", *rows, *parts, *notes])

    @cached_property
    def potential(self) -> FittedFreeEnergy:
        """The free energy as a potential: any engine runs it."""
        return FittedFreeEnergy(self.splines, self.coefficients, self.method.kT)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """``dF/dx`` ``(points, variables)`` at ``x`` ``(points, variables)``."""
        slopes = [self.splines.derivatives(x, (d,)) @ self.coefficients for d in range(x.shape[1])]
        return np.stack(slopes, axis=1)

    def free_energy(self, x: np.ndarray) -> Profile:
        """Free energy at ``x`` ``(points, variables)``, from its mean over these points, with errors."""
        rows = self.splines.derivatives(x, ())
        rows = rows - rows.mean(axis=0)
        return self._profile(x, rows)

    def part(self, term: Sequence[int], x: np.ndarray, over: np.ndarray | None = None) -> Profile:
        """The part ``F_S`` of some variables by themselves, whose mean over each of them is zero, with errors.

        Parameters
        ----------
        term : the variables S
        x : (points, variables of the term)
        over : (frames, variables) that sample each variable's own distribution; the frames of the fit if not given.
            Evenly spread ones ask for means over the range

        Raises
        ------
        ValueError
            If the columns of ``x`` are not as many as the variables of the term.
        """
        x = np.asarray(x, float)
        if x.ndim != 2 or x.shape[1] != len(term):
            raise ValueError(
                f"x has shape {x.shape}, a part of {len(term)} variables needs (points, {len(term)})"
            )
        return self._profile(x, self._rows(tuple(term), x, over))

    def shares(self, points: int = 4000, seed: int = 0) -> dict[tuple[int, ...], float]:
        """Variance [kJ^2/mol^2] of every part, each variable drawn from its own distribution; they add up to F's."""
        random = np.random.default_rng(seed)
        drawn = [random.choice(column, points, p=self.weights) for column in self.frames.T]
        x = np.stack(drawn, axis=1)
        found = {}
        for term in self.splines.terms:
            values = self._rows(term, x[:, list(term)], None) @ self.coefficients
            found[term] = float(np.mean(values**2))
        return found

    def _profile(self, x: np.ndarray, rows: np.ndarray) -> Profile:
        errors = (self.samples @ rows.T).std(axis=0, ddof=1)
        return Profile(x, rows @ self.coefficients, errors, "free energy [kJ/mol]")

    def _rows(self, part: tuple[int, ...], x: np.ndarray, over: np.ndarray | None) -> np.ndarray:
        """What every function ``(points, functions)`` brings to a part.

        A product of functions ``b_k`` with means ``m_k`` brings the product of ``b_k - m_k`` over the variables of the
        part and of ``m_k`` over its others.
        """
        frames, weights = self.frames, self.weights
        if over is not None:
            frames, weights = over, np.full(len(over), 1.0 / len(over))
        blocks = []
        for term, size in zip(self.splines.terms, self.splines.sizes):
            if not set(part) <= set(term):
                blocks.append(np.zeros((len(x), size)))
                continue
            product = np.ones((len(x), 1))
            for k, axis in zip(term, self.splines.of(term)):
                mean = (weights @ axis.functions(frames[:, k]))[None]
                factor = axis.functions(x[:, part.index(k)]) - mean if k in part else mean
                product = (product[:, :, None] * factor[:, None, :]).reshape(len(x), -1)
            blocks.append(product)
        return np.concatenate(blocks, axis=1)
