r"""What a chain of cells answers: where a Galerkin approximation stands if its data tell no better.

.. math::  h_i = \sum_j P_{ij}\, h_j + \sum_k P_{ik}\, f_k + a_i

with the windows that lead from cell i to cell j, or into set k with the value :math:`f_k`, and what accrues on the way.
As in any chain values stay between those given, and times above zero.

Whatever holds coefficients small draws a function towards something, in every window a little. Drawn towards zero,
walkers in a deep well would be killed more often than they leave it, and the well forgets where it leads. The chain's
answer has the well's own exits: what draws towards it does not decide what they have decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
import scipy.sparse
from scipy.sparse.csgraph import breadth_first_order

from thalweg.collective_variables.bases.basis import Functions
from thalweg.kinetics.galerkin.forms import Forms, Increments, given_ridge
from thalweg.kinetics.galerkin.solution import Trial
from thalweg.kinetics.reactions.stopped_windows import StoppedWindows
from thalweg.shapes import Shaped

LEAST_VARIANCE = 1e-4
"""Variance of combinations of functions, relative to the largest, below which they do not follow the cells' steps, and
with them the chance in cells of few windows."""

IN_FULL = 1e-8
"""The same where the cells decide: what functions do not follow at the rim of a well would decide about all of it."""


def _cell_values(
    counts: Shaped[np.ndarray, "cells places"], accrued: np.ndarray, values: tuple[float, ...]
) -> np.ndarray:
    """The chain's values ``(cells,)``; cells from which no window leads on to a set have the mean of the others.

    Parameters
    ----------
    counts : (cells, cells + sets), windows from each cell to each cell and into each set
    accrued : (cells,), what accrues in all windows of a cell
    values : given on each set

    Examples
    --------
    >>> _cell_values(np.array([[2.0, 1.0, 1.0, 0.0], [1.0, 2.0, 0.0, 1.0]]), np.zeros(2), (0.0, 1.0)).round(3).tolist()
    [0.333, 0.667]
    """
    held, chain, into = _held(counts)
    if not len(held):
        return np.full(len(counts), float(np.mean(values)))
    source = into @ np.array(values) + (accrued / np.maximum(counts.sum(axis=1), 1e-300))[held]
    found = np.linalg.solve(np.eye(len(held)) - chain, source)
    result = np.full(len(counts), found.mean())
    result[held] = found
    return result


def _held(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells that lead to a set, probabilities ``(held, held)`` among them and ``(held, sets)`` into sets."""
    size = len(counts)
    onward = np.zeros((size + 1, size + 1))
    onward[:size, :size], onward[:size, size] = counts[:, :size], counts[:, size:].sum(axis=1)
    reached = breadth_first_order(scipy.sparse.csr_array(onward.T > 0), size, return_predecessors=False)
    held = np.sort(reached[reached < size])
    inner, into = counts[np.ix_(held, held)], counts[held, size:]
    rows = (inner.sum(axis=1) + into.sum(axis=1))[:, None]
    return held, inner / rows, into / rows


@dataclass(frozen=True, eq=False)
class CellAnswer:
    """Coefficients of functions that follow the chain, for data whose blocks occur any number of times.

    Attributes
    ----------
    values : given on each set
    counts : (blocks, cells, cells + sets), windows to cells and into sets
    accrued : (blocks, cells)
    onto : (functions, cells), from values of cells to coefficients
    guess : (functions,), coefficients of the guess
    """

    values: tuple[float, ...]
    counts: np.ndarray
    accrued: np.ndarray
    onto: np.ndarray
    guess: np.ndarray

    def coefficients(self, times: Shaped[np.ndarray, " blocks"]) -> np.ndarray:
        """Of the functions ``(functions,)``, beside the guess."""
        counts, accrued = np.tensordot(times, self.counts, 1), times @ self.accrued
        return self.onto @ _cell_values(counts, accrued, self.values) - self.guess

    @cached_property
    def leaks(self) -> np.ndarray:
        """How often a window leaves each mode of the chain; a slow one is a well, left for others and the sets."""
        chain = _held(self.counts.sum(axis=0))[1]
        return 1 - np.abs(np.linalg.eigvals(chain)) if len(chain) else np.zeros(1)


class CellSums:
    """Sums over windows from which a `CellAnswer` is made, in the same pass as the forms.

    Parameters
    ----------
    trial : functions and the guess
    cells : their indicators
    n_blocks : of data
    """

    def __init__(self, trial: Trial, cells: Functions, n_blocks: int):
        size, sets = len(cells.names), len(trial.boundary.values)
        self.trial, self.cells = trial, cells
        self.counts = np.zeros((n_blocks, size, size + sets))
        self.accrued = np.zeros((n_blocks, size))
        self.tests, self.guess = np.zeros((trial.size, size)), np.zeros(trial.size)

    def add(
        self, windows: StoppedWindows, part: Increments, begins: np.ndarray, ends: np.ndarray,
        weights: np.ndarray, accrued: np.ndarray | float = 0.0,
    ) -> None:  # fmt: skip
        """Windows from frames ``begins`` to ``ends``, with what they add to the forms and ``weights`` in the chain."""
        frames, labels, size = windows.frames, windows.labels, self.counts.shape[1]
        cell = np.asarray(self.cells(frames)).argmax(axis=1)
        place, first = np.where(labels == 0, cell, size + labels - 1), cell[begins]
        weights = weights * (labels[begins] == 0)
        np.add.at(self.counts[windows.block], (first, place[ends]), weights)
        self.accrued[windows.block] += np.bincount(first, weights * accrued, size)
        # sums of the test functions, which vanish on the sets, with the guess and in each cell
        weighted = np.abs(part.weights)[:, None] * part.tests
        self.guess += weighted.T @ self.trial.guess(frames, labels)[begins]
        own = (np.ones(len(first)), (first, np.arange(len(first))))
        self.tests += (scipy.sparse.csr_array(own, (size, len(first))) @ weighted).T

    def answer(self, forms: Forms, least: float = LEAST_VARIANCE) -> CellAnswer:
        """The answer in functions whose sums over the same windows these are: the nearest in the mean square."""
        scale = given_ridge(forms, 0.0).scale
        correlation = forms.total.mass[0] / scale[:, None] / scale
        largest = float(scipy.linalg.eigvalsh(correlation, subset_by_index=[len(scale) - 1] * 2)[0])
        right = np.column_stack([self.tests, self.guess]) / scale[:, None]
        found = scipy.linalg.solve(correlation + least * largest * np.eye(len(scale)), right, assume_a="pos")
        found = found / scale[:, None]
        values = self.trial.boundary.values
        return CellAnswer(values, self.counts, self.accrued, found[:, :-1], found[:, -1])
