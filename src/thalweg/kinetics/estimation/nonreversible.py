"""The maximum-likelihood transition matrix without detailed balance: counts over their row sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csc_array, csr_array, diags_array

from thalweg.kinetics.counts.active_set import Connectivity
from thalweg.kinetics.estimation.factorization import factorized
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix


@dataclass(frozen=True)
class Nonreversible:
    """Maximum-likelihood transition matrix without constraint, for driven systems.

    For molecules at equilibrium use `Reversible`, which has a smaller statistical error.

    Examples
    --------
    >>> fit = Nonreversible().fit(csr_array(np.array([[9.0, 1], [2, 8]])))
    >>> fit.stationary_distribution.round(4).tolist()
    [0.6667, 0.3333]
    """

    connectivity: Connectivity = field(default="strong", init=False)

    def among(self, states: np.ndarray) -> Nonreversible:
        """The same for any states: it knows nothing of single ones."""
        return self

    def fit(self, counts: csr_array, start: np.ndarray | None = None) -> TransitionMatrix:
        """The transition matrix of strongly connected ``counts``; it needs no ``start``."""
        matrix = csr_array(diags_array(1 / np.asarray(counts.sum(axis=1)).ravel()) @ counts)
        return TransitionMatrix(matrix, stationary_distribution(matrix), reversible=False)

    def samples(
        self, counts: csr_array, fit: TransitionMatrix, random: np.random.Generator
    ) -> Iterator[TransitionMatrix]:
        """Matrices from the posterior, without end: every row from the Dirichlet distribution of its counts.

        The prior is the scale-free one of `Reversible`, one over each probability of a transition seen, so
        that the mean is the estimate itself [noe2008].
        """
        while True:
            # gamma variables over their sum are Dirichlet
            drawn = random.standard_gamma(counts.data)
            sums = np.add.reduceat(drawn, counts.indptr[:-1])
            data = drawn / np.repeat(sums, np.diff(counts.indptr))
            matrix = csr_array((data, counts.indices, counts.indptr), shape=counts.shape)
            yield TransitionMatrix(matrix, stationary_distribution(matrix), reversible=False)


def stationary_distribution(matrix: csr_array) -> np.ndarray:
    """The left eigenvector ``(states,)`` of eigenvalue one of an irreducible stochastic matrix.

    The probability of the first state is set to one and the balance of the others solved, then normalized.
    """
    if matrix.shape[0] == 1:
        return np.ones(1)
    # (1 - P^T) pi = 0 with pi_0 = 1; the other equations have one solution if the chain is irreducible
    balance = csc_array(diags_array(np.ones(matrix.shape[0])) - matrix.T)
    others = factorized(balance[1:, 1:], "stationary distribution").solve(-balance[1:, [0]].toarray().ravel())
    whole = np.append(1.0, others)
    return whole / whole.sum()
