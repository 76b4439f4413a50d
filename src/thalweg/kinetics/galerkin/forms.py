r"""Sums over windows from which a Galerkin approximation is solved, block by block.

For :math:`f = g + \sum_j v_j \phi_j` and a window from :math:`x_t` to :math:`x_s`

.. math::  \sum_j \Big\langle \psi_i(x_t)\, [\phi_j(x_s) - \phi_j(x_t)] \Big\rangle\, v_j
           = -\Big\langle \psi_i(x_t)\, [g(x_s) - g(x_t) + h] \Big\rangle

[thiede2019]. The sums of blocks add, so that bootstrap and held-out data re-add them without reading the data again.

Thousands of pairs leave the small eigenvalues of this system to chance. Its coefficients, in units in which functions
have variance one, are held by a ridge near those of a chain of cells (`thalweg.kinetics.galerkin.cell_answer`), that of
the constant is free. How strong the ridge is, is decided by data left out: the squared differences of both sides there,
in the functions' uncorrelated combinations. The committor decides, whose size its boundary values fix; of passage times
a weaker answer would be taken for a surer one. No ridge weighs more than ten independent windows. It must not draw to
zero: ten windows in which walkers are killed are many where one in a hundred thousand leaves a well, and data left out
do not see it, as wrong by a constant is right for all windows that stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy

from thalweg.learning.models import Model
from thalweg.machine.memory import require_memory
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Float, Shaped

FOLDS = 5
"""Parts of the data that are left out in turn."""

RIDGES = 10.0 ** np.arange(-5, 2)
"""Ridges among which held-out data choose, for functions of variance one: as much as so many independent windows weigh.
The more data there are, the less any of them holds back."""

LEAST_VARIANCE = 1e-3
"""Variance of combinations of functions, relative to the largest, below which residuals count less."""

FREE = 1e-9
"""Ridge of the constant, which is to be free, so that no system is singular for it alone."""

AT_ONCE = 10
"""Resamplings whose sums are made at once."""

DRAWS = 999
"""Draws of random signs in a test."""

BLOCK_BYTES = 200e6
"""Bytes of sums kept in blocks; fewer blocks are kept of more functions."""


class Increments(NamedTuple):
    """What a chunk of windows adds.

    Attributes
    ----------
    block : to which it belongs
    weights : (windows,)
    tests : (windows, functions), at the begin of a window
    changes : (lags, windows, functions), from begin to end, for each of several lags
    sources : (lags, windows), of the guess and what accrues in between
    """

    block: int
    weights: np.ndarray
    tests: np.ndarray
    changes: np.ndarray
    sources: np.ndarray


@dataclass(frozen=True, eq=False)
class Forms(Model):
    """Sums over windows in blocks; two of them add.

    Attributes
    ----------
    weight : (blocks,), of all windows, without their sign
    mass : (blocks, functions, functions), test functions with themselves, weights without their sign
    changes : (blocks, lags, functions, functions), test functions with changes of functions
    sources : (blocks, lags, functions), test functions with changes of the guess
    windows : how many there were
    independent : how many of them do not overlap
    """

    weight: Shaped[np.ndarray, " blocks"]
    mass: Shaped[np.ndarray, "blocks functions functions"]
    changes: Shaped[np.ndarray, "blocks lags functions functions"]
    sources: Shaped[np.ndarray, "blocks lags functions"]
    windows: int = 0
    independent: float = 1.0

    @property
    def n_blocks(self) -> int:
        """Number of blocks the sums are kept in."""
        return len(self.weight)

    @property
    def n_pairs(self) -> int:
        """Windows in all blocks."""
        return self.windows

    def resampled(self, multiplicities: Float[np.ndarray, " blocks"]) -> Forms:
        """The sums of data in which each block occurs as often as stated, as one block."""
        times = np.asarray(multiplicities, float)
        parts = (self.weight, self.mass, self.changes, self.sources)
        return Forms(*(np.tensordot(times, part, 1)[None] for part in parts), self.windows, self.independent)

    def resamplings(self, times: Float[np.ndarray, "samples blocks"]) -> Iterator[Forms]:
        """`resampled` for each row of ``times``, several at once, which is faster."""
        for start in range(0, len(times), AT_ONCE):
            batch = np.asarray(times[start : start + AT_ONCE], float)
            parts = [
                np.tensordot(batch, part, 1) for part in (self.weight, self.mass, self.changes, self.sources)
            ]
            for k in range(len(batch)):
                yield Forms(*(part[k : k + 1] for part in parts), self.windows, self.independent)

    @property
    def longest(self) -> Forms:
        """The sums of the longest lag alone."""
        return replace(self, changes=self.changes[:, -1:], sources=self.sources[:, -1:])

    @property
    def adjoint(self) -> Forms:
        """The sums of the adjoint problem, whose source is what the first function, a constant, stands for."""
        return replace(self, changes=self.changes.swapaxes(2, 3), sources=self.changes[:, :, 0])

    @cached_property
    def total(self) -> Forms:
        """The sums of all data, as one block."""
        return self.resampled(np.ones(self.n_blocks))

    def __add__(self, other: Forms) -> Forms:
        parts = ("weight", "mass", "changes", "sources")
        both = (np.concatenate([getattr(self, part), getattr(other, part)]) for part in parts)
        return Forms(*both, self.windows + other.windows, self.independent + other.independent)


def affordable_blocks(functions: int, lags: int, wanted: int) -> int:
    """Blocks of sums that `BLOCK_BYTES` hold, `FOLDS` at least."""
    return int(np.clip(BLOCK_BYTES // (8 * (1 + lags) * functions**2), FOLDS, max(wanted, FOLDS)))


@on_one_thread
def summed(
    parts: Iterable[Increments], functions: int, lags: int, n_blocks: int, independent: float
) -> Forms:
    """The sums over chunks of windows.

    Parameters
    ----------
    parts : increments of chunks
    functions, lags : how many
    n_blocks : more than the largest number of a block
    independent : how many windows do not overlap

    Raises
    ------
    ValueError
        If the weights of all windows are zero.
    MemoryError
        If the sums are larger than memory.
    """
    require_memory(
        8.0 * n_blocks * (1 + lags) * functions**2,
        f"forms of {functions} functions in {n_blocks} blocks; take fewer functions",
    )
    weight, count = np.zeros(n_blocks), 0
    mass = np.zeros((n_blocks, functions, functions))
    changes, sources = np.zeros((n_blocks, lags, functions, functions)), np.zeros((n_blocks, lags, functions))
    for part in parts:
        weighted, sizes = part.weights[:, None] * part.tests, np.abs(part.weights)
        # weights may be negative, scales of functions may not
        weight[part.block] += sizes.sum()
        mass[part.block] += (sizes[:, None] * part.tests).T @ part.tests
        for lag in range(lags):
            changes[part.block, lag] += weighted.T @ part.changes[lag]
            sources[part.block, lag] += weighted.T @ part.sources[lag]
        count += len(part.weights)
    if not weight.any():
        raise ValueError(f"the weights of all {count} windows are zero; there is nothing to average")
    return Forms(weight, mass, changes, sources, count, independent)


class RidgeChoice(NamedTuple):
    """How strongly coefficients are held small.

    Attributes
    ----------
    strength : relative to the weight of all windows, for functions of variance one
    scale : (functions,), their deviations; infinite for functions that are zero everywhere
    held_out : (ridges,), squared residuals on data left out of every candidate; empty where none was left out
    slow : how many of the slowest modes are taken from what coefficients are drawn to
    """

    strength: float
    scale: np.ndarray
    held_out: np.ndarray
    slow: int = 0


def solved(forms: Forms, ridge: RidgeChoice, about: np.ndarray | None = None) -> np.ndarray:
    """Coefficients ``(functions,)`` of the functions.

    Parameters
    ----------
    forms : the sums
    ridge : how strongly coefficients are held small
    about : (functions,), coefficients that are added to what is sought, so that the sum of both is held small

    Raises
    ------
    ValueError
        If the system is singular in spite of the ridge.
    """
    total = forms.total
    if total.changes.shape[1] > 1:
        return _with_memory(total, ridge)
    if about is not None and ridge.slow:
        return _beside_slow_modes(total, ridge, -about)
    matrix, right, weight = -total.changes[0, 0], total.sources[0, 0], float(total.weight[0])
    free = np.isfinite(ridge.scale)
    penalty = _penalty(ridge, weight)[free]
    inverse = 1 / ridge.scale[free]
    # in units in which the functions have variance one
    scaled = matrix[np.ix_(free, free)] * inverse[:, None] * inverse + np.diag(penalty)
    given = inverse * right[free]
    if about is not None:
        given = given - penalty * ridge.scale[free] * about[free]
    found = np.zeros(len(ridge.scale))
    try:
        found[free] = inverse * np.linalg.solve(scaled, given)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"the system of {free.sum()} functions is singular ({error}): some part of the data never reaches a set; "
            "use fewer functions or more data"
        ) from error
    return found


def _beside_slow_modes(total: Forms, ridge: RidgeChoice, drawn: np.ndarray) -> np.ndarray:
    r"""Coefficients ``(functions,)`` that differ from those ``drawn`` to by what is not slow.

    With the modes :math:`K r_k = \lambda_k r_k,\ l_k^T K = \lambda_k l_k^T` of the equations in uncorrelated functions,
    what is left of the right sides is freed of those of smallest :math:`|\lambda_k|`: divided by these, small mistakes
    of smooth functions at the rim of a well would decide about all of it.
    """
    white = _uncorrelated(total, ridge.scale, dropped=True)
    weight = float(total.weight[0])
    matrix = -white.T @ total.changes[0, 0] @ white / weight
    left_over = white.T @ (total.sources[0, 0] + total.changes[0, 0] @ drawn) / weight
    values, left, right = scipy.linalg.eig(matrix, left=True)
    slow = np.argsort(np.abs(values))[: ridge.slow]
    left, right = left[:, slow], right[:, slow]
    parts = right @ np.linalg.solve(left.conj().T @ right, left.conj().T @ left_over)
    regular = matrix + ridge.strength * np.eye(len(matrix))
    return drawn + white @ np.linalg.solve(regular, left_over - parts.real)


def strongest_ridge(forms: Forms) -> float:
    """The strongest ridge there is; leaks below it are of fewer than ten among all independent windows."""
    return float(RIDGES[-1] / max(forms.independent, 1.0))


def given_ridge(forms: Forms, strength: float, slow: int = 0) -> RidgeChoice:
    """A ridge of known strength for these functions."""
    return RidgeChoice(strength, _deviations(forms.total), np.zeros(0), slow)


def chosen_ridge(forms: Forms, drawn: Callable[[np.ndarray], np.ndarray] | None = None) -> RidgeChoice:
    """The strongest ridge with which the equations hold on data left out as well as with any, within the error.

    Parameters
    ----------
    forms : the sums
    drawn : from how often blocks occur to the coefficients (functions,) that a ridge draws to; zero if None
    """
    forms = forms.longest
    scale = _deviations(forms.total)
    strengths = RIDGES / max(forms.independent, 1.0)
    if forms.n_blocks < 2:
        return RidgeChoice(float(strengths[len(strengths) // 2]), scale, np.zeros(0))
    fold = np.arange(forms.n_blocks) % min(FOLDS, forms.n_blocks)
    white = _uncorrelated(forms.total, scale)
    folds = int(fold.max()) + 1
    scores = np.zeros((folds, len(strengths)))
    for k in range(folds):
        left, out = (forms.resampled(1.0 * which) for which in (fold != k, fold == k))
        about = None if drawn is None else -drawn(1.0 * (fold != k))
        for n, strength in enumerate(strengths):
            coefficients = solved(left, RidgeChoice(float(strength), scale, scores[k]), about)
            residual = out.sources[0, 0] + out.changes[0, 0] @ coefficients
            scores[k, n] = float(((residual @ white) ** 2).sum())
    # differences from the best, part by part of the data, and the error of their sum
    worse = scores - scores[:, [int(np.argmin(scores.sum(axis=0)))]]
    error = worse.std(axis=0, ddof=1) * np.sqrt(folds)
    strongest = int(np.flatnonzero(worse.sum(axis=0) <= error)[-1])
    return RidgeChoice(float(strengths[strongest]), scale, scores.sum(axis=0))


def chance_of_size(forms: Forms, ridge: RidgeChoice) -> float:
    """How often the solution is as large by chance alone, where blocks push it one way or the other at random.

    The share of draws of random signs of the blocks' right sides with which its variance is not smaller; NaN of a
    single block.
    """
    if forms.n_blocks < 2:
        return float("nan")
    own = [replace(forms.total, sources=forms.sources[k : k + 1]) for k in range(forms.n_blocks)]
    parts = np.stack([solved(each, ridge) for each in own])
    products = parts @ (forms.total.mass[0] / forms.total.weight[0]) @ parts.T
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, forms.n_blocks))
    drawn = np.einsum("sb,bc,sc->s", signs, products, signs)
    return float((1 + (drawn >= products.sum() * (1 - 1e-9)).sum()) / (1 + DRAWS))


def _penalty(ridge: RidgeChoice, weight: float) -> np.ndarray:
    """What is added to the diagonal; next to nothing for the constant, which is the first function."""
    penalty = np.full(len(ridge.scale), ridge.strength * weight)
    penalty[0] = FREE * weight
    return penalty


def _with_memory(total: Forms, ridge: RidgeChoice) -> np.ndarray:
    r"""Coefficients ``(functions,)`` from several lags, multiples of the shortest [lorpaiboon2024].

    With the projected propagators :math:`P_n` over n lags, affine maps of coefficients, and the memory
    :math:`\Omega_n = P_{n+1} - \sum_{j<n} \Omega_j P_{n-j}`, the solution obeys :math:`v = \sum_n \Omega_n v`. A ridge
    would slow every propagator down; combinations of little variance are left out instead.
    """
    white = _uncorrelated(total, ridge.scale, dropped=True)
    size, weight = white.shape[1], float(total.weight[0])
    propagators = []
    for change, source in zip(total.changes[0], total.sources[0]):
        affine = np.eye(size + 1)
        affine[:size, :size] += white.T @ change @ white / weight
        affine[:size, size] = white.T @ source / weight
        propagators.append(affine)
    memory: list[np.ndarray] = []
    for n in range(len(propagators)):
        memory.append(propagators[n] - sum(memory[j] @ propagators[n - 1 - j] for j in range(n)))
    whole = np.sum(memory, axis=0)
    try:
        return white @ np.linalg.solve(np.eye(size) - whole[:size, :size], whole[:size, size])
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"the system of {size} functions with memory is singular ({error}); use less memory, or more data"
        ) from error


def _deviations(total: Forms) -> np.ndarray:
    """Root mean squares of the test functions; infinite where they vanish."""
    squares = np.diag(total.mass[0]) / total.weight[0]
    largest = float(squares.max())
    if not largest > 0:
        raise ValueError(
            "all functions vanish on all frames outside the sets; choose other functions, or smaller sets"
        )
    return np.where(squares > 1e-14 * largest, np.sqrt(np.maximum(squares, 0)), np.inf)


def _uncorrelated(total: Forms, scale: np.ndarray, dropped: bool = False) -> np.ndarray:
    """Combinations ``(functions, combinations)`` that are uncorrelated and of variance one.

    Those of less variance than `LEAST_VARIANCE` count less, or are ``dropped``.
    """
    inverse = 1 / scale
    correlation = total.mass[0] / total.weight[0] * inverse[:, None] * inverse
    values, vectors = scipy.linalg.eigh(correlation)
    least = LEAST_VARIANCE * values[-1]
    if dropped:
        kept = values > least
        return inverse[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    return inverse[:, None] * vectors / np.sqrt(np.maximum(values, 0) + least)
