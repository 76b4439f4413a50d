r"""Equations of a free energy linear in its coefficients, :math:`F = \sum_j c_j \phi_j`, from equilibrium frames.

By likelihood, the mean of every function over the model is to be that over the frames,

.. math:: \langle \phi_j \rangle_F + (\lambda S c)_j = \langle \phi_j \rangle ,

solved by Newton's method, which asks for integrals over all of the variables. By gradients no integral is needed: for
every function :math:`\langle \nabla F \cdot \nabla \phi \rangle = kT \langle \Delta \phi \rangle`, which
are linear equations [hyvarinen2005],

.. math:: (A + \lambda S)\, c = b, \qquad A_{ij} = \langle \nabla \phi_i \cdot \nabla \phi_j \rangle, \quad
          b_i = kT \langle \Delta \phi_i \rangle ,

each variable in units of its spread. Where mean forces were measured, :math:`b_i = -\langle f \cdot \nabla \phi_i
\rangle` and frames may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.linalg
from scipy.special import logsumexp

from thalweg.kinetics.langevin.likelihoods.splines import Splines
from thalweg.machine.memory import require_memory
from thalweg.time_series.trajectories import Trajectories

BLOCKS = 20
"""Blocks of frames, left out in turn and resampled for errors."""

FOLDS = 5
"""Parts of the blocks that are left out in turn."""

STRENGTHS = 10.0 ** np.arange(-7.0, 5.0)
"""Strengths of smoothing tried, relative to the mean diagonal of the equations."""

CHUNK = 500
"""Frames evaluated at once."""

CELLS = (600, 70)
"""Points along one variable, and along each of two, by which integrals are taken."""

MARGIN = 0.05
"""Part of their range by which integrals go beyond the frames of a variable that does not go around."""

NEWTON = 50
"""Steps of Newton's method, at most."""


@runtime_checkable
class _Equations(Protocol):
    """What a way from frames to coefficients offers."""

    @property
    def splines(self) -> Splines:
        """Functions whose coefficients they are for."""
        ...

    def lower(self, order: int) -> _Equations:
        """The equations of the terms of up to ``order`` variables."""
        ...

    def solved(self, times: np.ndarray, strengths: Sequence[float]) -> np.ndarray:
        """Coefficients from blocks, each counted so many times, smoothed by the number of variables of a term."""
        ...

    def score(self, coefficients: np.ndarray, times: np.ndarray) -> float:
        """How badly blocks speak of coefficients, summed over their weight."""
        ...


@dataclass(frozen=True, eq=False)
class _Smoothed:
    """Equations with their smoothing: strengths by number of variables, scores ``(folds,)`` of frames left out."""

    equations: _Equations
    strengths: tuple[float, ...]
    scores: np.ndarray

    def solved(self, times: np.ndarray) -> np.ndarray:
        """Coefficients from blocks, each counted so many times."""
        return self.equations.solved(times, self.strengths)


def smoothed(equations: _Equations) -> _Smoothed:
    """The smoothing of the best score on blocks left out: first of all terms alike, then of each kind in turn."""
    fold = np.arange(BLOCKS) % FOLDS

    def scores(strengths: Sequence[float]) -> np.ndarray:
        found = []
        for left in range(FOLDS):
            c = equations.solved((fold != left).astype(float), strengths)
            found.append(equations.score(c, (fold == left).astype(float)))
        return np.array(found)

    kinds = len({len(term) for term in equations.splines.terms})
    tried = [(each,) * kinds for each in STRENGTHS[::-1]]
    best = min(tried, key=lambda each: scores(each).sum())
    for kind in range(kinds if kinds > 1 else 0):
        tried = [(*best[:kind], each, *best[kind + 1 :]) for each in STRENGTHS[::-1]]
        best = min(tried, key=lambda each: scores(each).sum())
    return _Smoothed(equations, tuple(float(each) for each in best), scores(best))


def _lower(splines: Splines, order: int) -> Splines:
    """The functions of terms of up to ``order`` variables, which come first."""
    return replace(splines, terms=tuple(term for term in splines.terms if len(term) <= order))


def _rough(splines: Splines, strengths: Sequence[float]) -> np.ndarray:
    """Roughness of all terms, those of each number of variables with their own strength."""
    return np.asarray(sum(strength * own for strength, own in zip(strengths, splines.penalties(3))))


def _blocked(trajectories: Trajectories) -> Iterator[tuple[int, int, int, np.ndarray, np.ndarray]]:
    """All frames in order: ``(trajectory, first frame, block, frames, weights)``."""
    before = np.concatenate([[0], np.cumsum(trajectories.lengths)])
    for k, start, chunk in trajectories.chunks(CHUNK):
        block = (before[k] + start + np.arange(len(chunk))) * BLOCKS // trajectories.n_frames
        weights = np.ones(len(chunk))
        if trajectories.weights is not None:
            weights = np.asarray(trajectories.weights[k][start : start + len(chunk)], float)
        edges = [0, *(np.flatnonzero(np.diff(block)) + 1), len(chunk)]
        for first, stop in pairwise(edges):
            frames = np.asarray(chunk[first:stop], float)
            yield k, start + first, int(block[first]), frames, weights[first:stop]


@dataclass(frozen=True, eq=False)
class ScoreEquations:
    """A, b and the weight of every block."""

    splines: Splines
    matrices: np.ndarray
    vectors: np.ndarray
    weights: np.ndarray

    def lower(self, order: int) -> ScoreEquations:
        """The equations of the terms of up to ``order`` variables."""
        fewer = _lower(self.splines, order)
        size = fewer.size
        return ScoreEquations(fewer, self.matrices[:, :size, :size], self.vectors[:, :size], self.weights)

    def solved(self, times: np.ndarray, strengths: Sequence[float]) -> np.ndarray:
        """Coefficients, roughness relative to the mean diagonal of A."""
        total = times @ self.weights
        matrix, vector = np.tensordot(times, self.matrices, 1) / total, times @ self.vectors / total
        level = np.trace(matrix) / len(matrix)
        stiff = level * (_rough(self.splines, strengths) + 1e-9 * np.eye(len(matrix)))
        return np.linalg.solve(matrix + stiff, vector)

    def score(self, coefficients: np.ndarray, times: np.ndarray) -> float:
        """``c A c / 2 - b c`` over the weight of all blocks."""
        c = coefficients
        total = 0.5 * c @ np.tensordot(times, self.matrices, 1) @ c - times @ self.vectors @ c
        return float(total / self.weights.sum())


def score_equations(
    trajectories: Trajectories, splines: Splines, kT: float, forces: Sequence[np.ndarray] | None
) -> ScoreEquations:
    """Equations by gradients, from frames or from mean forces."""
    require_memory(
        8 * (2 * BLOCKS + 4) * splines.size**2,
        f"{splines.size} functions; take fewer intervals or a lower order",
    )
    scale = np.concatenate([np.asarray(chunk) for _, _, chunk in trajectories.chunks()]).std(axis=0)
    matrices = np.zeros((BLOCKS, splines.size, splines.size))
    vectors, weights = np.zeros((BLOCKS, splines.size)), np.zeros(BLOCKS)
    for k, start, block, frames, own in _blocked(trajectories):
        weights[block] += own.sum()
        for d, width in enumerate(scale):
            slope = splines.derivatives(frames, (d,)) * width
            matrices[block] += (slope * own[:, None]).T @ slope
            if forces is None:
                vectors[block] += kT * width**2 * (own @ splines.derivatives(frames, (d, d)))
            else:
                vectors[block] -= (own * forces[k][start : start + len(frames), d] * width) @ slope
    return ScoreEquations(splines, matrices, vectors, weights)


@dataclass(frozen=True, eq=False)
class GridLikelihood:
    """Sums of all functions over the frames of every block, their weight, and all functions on a grid."""

    splines: Splines
    kT: float
    sums: np.ndarray
    weights: np.ndarray
    rows: np.ndarray
    level: float

    def lower(self, order: int) -> GridLikelihood:
        """The equations of the terms of up to ``order`` variables."""
        fewer = _lower(self.splines, order)
        return replace(self, splines=fewer, sums=self.sums[:, : fewer.size], rows=self.rows[:, : fewer.size])

    def solved(self, times: np.ndarray, strengths: Sequence[float]) -> np.ndarray:
        """Coefficients of the largest likelihood, by Newton's method with steps that only climb."""
        seen = times @ self.sums / (times @ self.weights)
        stiff = self.level * (_rough(self.splines, strengths) + 1e-7 * np.eye(len(seen)))

        def loss(c: np.ndarray) -> float:
            return float(seen @ c + logsumexp(-self.rows @ c) + 0.5 * c @ stiff @ c)

        c, now = np.zeros(len(seen)), np.log(len(self.rows))
        for _ in range(NEWTON):
            logs = -self.rows @ c
            p = np.exp(logs - logsumexp(logs))
            mean = p @ self.rows
            curvature = (self.rows * p[:, None]).T @ self.rows - np.outer(mean, mean) + stiff
            slope = seen - mean + stiff @ c
            step = scipy.linalg.solve(curvature, -slope, assume_a="pos")
            size = 1.0
            while size > 1e-6 and loss(c + size * step) > now + 1e-12:
                size *= 0.5
            c, before = c + size * step, now
            now = loss(c)
            if before - now < 1e-9:
                break
        return self.kT * c

    def score(self, coefficients: np.ndarray, times: np.ndarray) -> float:
        """Minus the logarithm of the density of frames, but for a constant."""
        c = coefficients / self.kT
        total = times @ self.sums @ c + times @ self.weights * logsumexp(-self.rows @ c)
        return float(total / self.weights.sum())


def grid_likelihood(trajectories: Trajectories, splines: Splines, kT: float) -> GridLikelihood:
    """Equations by likelihood, for one variable or two."""
    lowest = np.min([chunk.min(axis=0) for _, _, chunk in trajectories.chunks()], axis=0)
    highest = np.max([chunk.max(axis=0) for _, _, chunk in trajectories.chunks()], axis=0)
    cells, lines = CELLS[len(splines.axes) - 1], []
    for axis, low, high in zip(splines.axes, lowest, highest):
        margin = 0.0 if axis.periodic else MARGIN * (high - low)
        low, high = (axis.lower, axis.upper) if axis.periodic else (low - margin, high + margin)
        lines.append(low + (high - low) * (np.arange(cells) + 0.5) / cells)
    grid = np.stack([each.ravel() for each in np.meshgrid(*lines, indexing="ij")], axis=1)
    sums, squares = np.zeros((BLOCKS, splines.size)), np.zeros(splines.size)
    weights = np.zeros(BLOCKS)
    for _, _, block, frames, own in _blocked(trajectories):
        rows = splines.derivatives(frames, ())
        sums[block] += own @ rows
        squares += own @ rows**2
        weights[block] += own.sum()
    mean = sums.sum(axis=0) / weights.sum()
    level = float(np.mean(squares / weights.sum() - mean**2))
    return GridLikelihood(splines, kT, sums, weights, splines.derivatives(grid, ()), level)
