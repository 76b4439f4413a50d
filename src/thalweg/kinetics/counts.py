r"""Transition counts at a lag time, kept block by block.

.. math::  c_{ij} = \sum_t w_t\, [s_t = i]\, [s_{t+\tau} = j]

over all start frames (sliding window). Consecutive counts are not independent, which changes no estimate
but every error bar: those come from re-adding the counts of blocks (`bootstrap`), not from the number of
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from thalweg.collective_variables.blocks import Segment, segments
from thalweg.collective_variables.trajectories import PairReport, pair_report
from thalweg.kinetics.discrete_trajectories import DiscreteTrajectories, as_discrete
from thalweg.shapes import Float

DENSE = 2**26
"""Up to this many pairs of states are counted in a dense table; above, the pairs seen are sorted."""

CHUNK = 2**20
"""Pairs counted at a time."""


@dataclass(frozen=True, eq=False)
class TransitionCounts:
    """Counts of transitions between states in original numbering, one row of counts per block.

    Attributes
    ----------
    lagtime : frames
    dt : time between frames [ps]
    n_states : number of states, seen or not
    rows, columns : (seen,), the pairs of states between which transitions were seen, ordered
    blocks : (blocks, seen) sparse, their counts in each block
    report : pairs used and lost per trajectory

    Examples
    --------
    >>> counts = transition_counts([np.array([0, 1, 1, 0, 1])], lagtime=1, n_blocks=2)
    >>> counts.matrix.toarray().tolist(), counts.n_blocks
    ([[0.0, 2.0], [1.0, 1.0]], 2)
    """

    lagtime: int
    dt: float
    n_states: int
    rows: np.ndarray
    columns: np.ndarray
    blocks: csr_array
    report: PairReport

    @property
    def n_blocks(self) -> int:
        """Number of blocks the counts are kept in."""
        return self.blocks.shape[0]

    @property
    def n_pairs(self) -> int:
        """Pairs of frames counted."""
        return int(self.report.used.sum())

    @cached_property
    def matrix(self) -> csr_array:
        """Counts from row to column, all blocks together ``(n_states, n_states)``."""
        total = np.asarray(self.blocks.sum(axis=0)).ravel()
        return _matrix(total, self.rows, self.columns, self.n_states)

    def resampled(self, multiplicities: Float[np.ndarray, "blocks"]) -> TransitionCounts:
        """Counts of data in which each block occurs as often as ``multiplicities`` says."""
        total = np.asarray(self.blocks.T @ multiplicities)
        return TransitionCounts(
            self.lagtime, self.dt, self.n_states, self.rows, self.columns, csr_array(total[None]), self.report
        )


def transition_counts(
    trajectories: DiscreteTrajectories | Sequence[np.ndarray], lagtime: int, n_blocks: int = 40
) -> TransitionCounts:
    """Sliding-window transition counts.

    Parameters
    ----------
    trajectories : `DiscreteTrajectories` or a list of arrays of states
    lagtime : int
        In frames.
    n_blocks : int
        About how many blocks to count separately.

    Raises
    ------
    ValueError
        If no trajectory is longer than the lag time.
    """
    data = as_discrete(trajectories)
    report = pair_report(data.lengths, lagtime)
    pieces = sorted(segments(report.used, n_blocks), key=lambda piece: piece.block)
    keys, weights = _fused(data, pieces, report)
    ends = np.cumsum([piece.stop - piece.start for piece in pieces])
    last = [k for k in range(len(pieces)) if k + 1 == len(pieces) or pieces[k + 1].block != pieces[k].block]
    seen, blocks = _counted(keys, weights, ends[last], data.n_states**2)
    rows, columns = np.divmod(seen, data.n_states)
    return TransitionCounts(report.lagtime, data.dt, data.n_states, rows, columns, blocks, report)


def _fused(
    data: DiscreteTrajectories, pieces: Sequence[Segment], report: PairReport
) -> tuple[np.ndarray, np.ndarray | None]:
    """One number ``i n_states + j`` per pair, block after block, and its weight."""
    kind = np.int32 if data.n_states**2 < 2**31 else np.int64
    keys = np.empty(report.used.sum(), kind)
    weights = None if data.weights is None else np.empty(len(keys))
    first = 0
    for piece in pieces:
        states, last = data.blocks[piece.trajectory], first + piece.stop - piece.start
        part = keys[first:last]
        np.multiply(states[piece.start : piece.stop], data.n_states, out=part, casting="unsafe", dtype=kind)
        ends = states[piece.start + report.lagtime : piece.stop + report.lagtime]
        np.add(part, ends, out=part, casting="unsafe", dtype=kind)
        if weights is not None:
            weights[first:last] = data.weights[piece.trajectory][piece.start : piece.stop]
        first = last
    return keys, weights


def _counted(
    keys: np.ndarray, weights: np.ndarray | None, ends: np.ndarray, n_keys: int
) -> tuple[np.ndarray, csr_array]:
    """The keys that occur, in order, and how often each does in every block."""
    if n_keys <= DENSE:
        total = _totals(keys, weights, n_keys)
        seen = np.flatnonzero(total)
        if len(ends) == 1:
            return seen, csr_array(total[seen].astype(float)[None])
        place = np.empty(n_keys, np.int32)
        place[seen] = np.arange(len(seen))
    else:
        seen, keys = np.unique(keys, return_inverse=True)
        place = np.arange(len(seen))
    found = []
    for start, stop in zip([0, *ends[:-1]], ends):
        part = None if weights is None else weights[start:stop]
        found.append(csr_array(np.bincount(place[keys[start:stop]], part, len(seen)).astype(float)[None]))
    return seen, _stacked(found)


def _totals(keys: np.ndarray, weights: np.ndarray | None, n_keys: int) -> np.ndarray:
    """How often every key occurs, counted in parts that stay in the cache."""
    total = np.zeros(n_keys, np.int64 if weights is None else float)
    for start in range(0, len(keys), CHUNK):
        part = slice(start, start + CHUNK)
        total += np.bincount(keys[part], None if weights is None else weights[part], n_keys)
    return total


def _stacked(rows: list[csr_array]) -> csr_array:
    """Sparse rows as one matrix."""
    pointers = np.cumsum([0, *(row.nnz for row in rows)])
    data, indices = np.concatenate([r.data for r in rows]), np.concatenate([r.indices for r in rows])
    return csr_array((data, indices, pointers), shape=(len(rows), rows[0].shape[1]))


def _matrix(total: np.ndarray, rows: np.ndarray, columns: np.ndarray, n_states: int) -> csr_array:
    """A matrix of counts without stored zeros."""
    kept = total > 0
    return csr_array((total[kept], (rows[kept], columns[kept])), shape=(n_states, n_states))
