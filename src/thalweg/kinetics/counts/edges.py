"""Counts as a graph: one edge per pair of states between which transitions were seen in either direction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, triu

from thalweg.shapes import Shaped


@dataclass(frozen=True, eq=False)
class Edges:
    """Pairs of different states with the transitions between them, and self-transitions apart.

    Attributes
    ----------
    first, second : (edges,), the two states, ``first < second``
    weight : (edges,), transitions in both directions
    leaving : (states,), transitions from each state to others
    staying : (states,), transitions from each state to itself
    """

    first: Shaped[np.ndarray, " edges"]
    second: Shaped[np.ndarray, " edges"]
    weight: Shaped[np.ndarray, " edges"]
    leaving: Shaped[np.ndarray, " states"]
    staying: Shaped[np.ndarray, " states"]

    @classmethod
    def of(cls, counts: csr_array) -> Edges:
        """Edges of a matrix of counts.

        Examples
        --------
        >>> Edges.of(csr_array(np.array([[4.0, 1], [2, 3]]))).weight.tolist()
        [3.0]
        """
        staying = counts.diagonal()
        upper = triu(counts + counts.T, k=1).tocoo()
        leaving = np.asarray(counts.sum(axis=1)).ravel() - staying
        return cls(upper.row, upper.col, upper.data, leaving, staying)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.leaving)

    def at_states(self, to_first: np.ndarray, to_second: np.ndarray) -> np.ndarray:
        """Sums over the edges of every state of what each edge gives to its two ends ``(states,)``."""
        # the transpose of the incidence matrix of the graph, without making it
        return np.bincount(self.first, to_first, self.n_states) + np.bincount(
            self.second, to_second, self.n_states
        )

    @cached_property
    def _pattern(self) -> csr_array:
        """Where both directions of every edge and the diagonal lie in a sparse matrix, as ordinal numbers."""
        states = np.arange(self.n_states)
        rows = np.concatenate([self.first, self.second, states])
        columns = np.concatenate([self.second, self.first, states])
        return csr_array((np.arange(len(rows)), (rows, columns)), shape=(self.n_states,) * 2)

    def matrix(self, between: np.ndarray, diagonal: np.ndarray) -> csr_array:
        """The symmetric matrix with these entries on edges ``(edges,)`` and on the diagonal ``(states,)``."""
        entries = np.concatenate([between, between, diagonal])[self._pattern.data]
        return csr_array((entries, self._pattern.indices, self._pattern.indptr), shape=self._pattern.shape)
