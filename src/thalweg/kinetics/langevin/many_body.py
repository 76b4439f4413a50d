r"""The free energy of many variables as a sum of terms of one, two, three and four of them.

Equilibrium frames determine the gradient of F by averages alone: for every function :math:`\phi`,
:math:`\langle \nabla F \cdot \nabla \phi \rangle = kT \langle \Delta \phi \rangle`. In a basis
:math:`F = \sum_j c_j \phi_j` these are linear equations [hyvarinen2005],

.. math:: (A + \lambda S)\, c = b, \qquad A_{ij} = \langle \nabla \phi_i \cdot \nabla \phi_j \rangle, \quad
          b_i = kT \langle \Delta \phi_i \rangle ,

each variable in units of its spread. Where mean forces were measured, :math:`b_i = -\langle f \cdot \nabla \phi_i
\rangle` and frames may come from anywhere. Smoothing, one strength for terms of each number of variables, and that
number itself are those with the best score on frames left out; errors are those of resampled blocks. No normalization
is ever needed, so that ten variables cost no more than their terms.

A term of three variables contains terms of two and of one. Parts that are known one by one are those whose mean over
each of their variables is zero [sobol2001],

.. math:: F_S(x_S) = \sum_{T \subseteq S} (-1)^{|S| - |T|}\, \overline{F}(x_T), \qquad
          \overline{F}(x_T) = \int F \prod_{k \notin T} p_k(x_k)\, dx_k ,

with :math:`p_k` the distribution of each variable by itself; their variances add up to that of F.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np

from thalweg.kinetics.langevin.likelihoods.splines import SplineAxis, Splines, terms_up_to
from thalweg.kinetics.langevin.profiles import Profile
from thalweg.kinetics.langevin.surface import FittedFreeEnergy
from thalweg.learning.models import Method, Model
from thalweg.machine.memory import require_memory
from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

BLOCKS = 20
"""Blocks of frames, left out in turn and resampled for errors."""

STRENGTHS = 10.0 ** np.arange(-7.0, 3.0)
"""Strengths of smoothing tried, relative to the mean diagonal of A."""

CHUNK = 500
"""Frames evaluated at once."""

FOLDS = 5
"""Parts of the blocks that are left out in turn."""

MOST_VARIABLES = 4
"""Of one term."""

MOST_FUNCTIONS = 1500
"""Up to which terms of more variables are tried of themselves."""

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
    intervals : between knots, of terms of one variable and of two; those of three and four have fewer

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
    intervals: tuple[int, int] = (12, 6)

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
        require_memory(
            8 * (2 * BLOCKS + 2 * FOLDS) * every.size**2,
            f"{every.size} functions; take fewer intervals or a lower order",
        )
        scale = np.concatenate([np.asarray(chunk) for _, _, chunk in trajectories.chunks()]).std(axis=0)
        sums = _block_sums(trajectories, every, scale, self.kT, forces)
        tried = {order: _smoothed(_lower(every, order), sums) for order in orders}
        order = _best_order({order: each.scores for order, each in tried.items()})
        best = tried[order]
        coefficients = np.array([best.solved(times) for times in _resampled(BLOCKS)])
        return ManyBodyModel(
            self,
            best.splines,
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


def _block_sums(
    trajectories: Trajectories,
    splines: Splines,
    scale: np.ndarray,
    kT: float,
    forces: Sequence[np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, b and the weight of every block."""
    matrices = np.zeros((BLOCKS, splines.size, splines.size))
    vectors, weights = np.zeros((BLOCKS, splines.size)), np.zeros(BLOCKS)
    for k, start, block, frames in _blocked(trajectories):
        own = np.ones(len(frames))
        if trajectories.weights is not None:
            own = trajectories.weights[k][start : start + len(frames)]
        weights[block] += own.sum()
        for d, width in enumerate(scale):
            slope = splines.derivatives(frames, (d,)) * width
            matrices[block] += (slope * own[:, None]).T @ slope
            if forces is None:
                vectors[block] += kT * width**2 * (own @ splines.derivatives(frames, (d, d)))
            else:
                vectors[block] -= (own * forces[k][start : start + len(frames), d] * width) @ slope
    return matrices, vectors, weights


def _blocked(trajectories: Trajectories) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """All frames in order: ``(trajectory, first frame, block, frames)``."""
    before = np.concatenate([[0], np.cumsum(trajectories.lengths)])
    for k, start, chunk in trajectories.chunks(CHUNK):
        block = (before[k] + start + np.arange(len(chunk))) * BLOCKS // trajectories.n_frames
        edges = [0, *(np.flatnonzero(np.diff(block)) + 1), len(chunk)]
        for first, stop in pairwise(edges):
            yield k, start + first, int(block[first]), np.asarray(chunk[first:stop], float)


def _lower(splines: Splines, order: int) -> Splines:
    """The functions of terms of up to ``order`` variables, which come first."""
    terms = tuple(term for term in splines.terms if len(term) <= order)
    return Splines(splines.axes, terms, splines.many_axes)


@dataclass(frozen=True, eq=False)
class _Smoothed:
    """Equations of some functions with their smoothing: strengths by number of variables, scores ``(folds,)``."""

    splines: Splines
    sums: tuple[np.ndarray, np.ndarray, np.ndarray]
    strengths: tuple[float, ...]
    scores: np.ndarray

    def solved(self, times: np.ndarray) -> np.ndarray:
        """Coefficients from blocks, each counted so many times."""
        return _solution(*_mean(self.sums, times), _rough(self.splines, self.strengths))


def _mean(
    sums: tuple[np.ndarray, np.ndarray, np.ndarray], times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A and b from blocks, each counted so many times."""
    total = times @ sums[2]
    return np.tensordot(times, sums[0], 1) / total, times @ sums[1] / total


def _rough(splines: Splines, strengths: Sequence[float]) -> np.ndarray:
    """Roughness of all terms, those of each number of variables with their own strength."""
    return np.asarray(sum(strength * own for strength, own in zip(strengths, splines.penalties(3))))


def _solution(matrix: np.ndarray, vector: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """``(A + rough) c = b``, roughness relative to the mean diagonal of A."""
    level = np.trace(matrix) / len(matrix)
    return np.linalg.solve(matrix + level * (rough + 1e-9 * np.eye(len(matrix))), vector)


def _smoothed(splines: Splines, sums: tuple[np.ndarray, np.ndarray, np.ndarray]) -> _Smoothed:
    """The smoothing of the best score on blocks left out: first of all terms alike, then of each kind in turn."""
    size = splines.size
    own = sums[0][:, :size, :size], sums[1][:, :size], sums[2]
    fold = np.arange(BLOCKS) % FOLDS
    fitted = [_mean(own, (fold != left).astype(float)) for left in range(FOLDS)]
    held = [_mean(own, (fold == left).astype(float)) for left in range(FOLDS)]
    shares = [own[2][fold == left].sum() / own[2].sum() for left in range(FOLDS)]

    def scores(strengths: Sequence[float]) -> np.ndarray:
        rough = _rough(splines, strengths)
        found = []
        for (matrix, vector), (test, pull), share in zip(fitted, held, shares):
            c = _solution(matrix, vector, rough)
            found.append(share * (0.5 * c @ test @ c - pull @ c))
        return np.array(found)

    kinds = len({len(term) for term in splines.terms})
    tried = [(each,) * kinds for each in STRENGTHS]
    best = min(tried, key=lambda each: scores(each).sum())
    for kind in range(kinds if kinds > 1 else 0):
        tried = [(*best[:kind], each, *best[kind + 1 :]) for each in STRENGTHS]
        best = min(tried, key=lambda each: scores(each).sum())
    return _Smoothed(splines, own, tuple(float(each) for each in best), scores(best))


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
