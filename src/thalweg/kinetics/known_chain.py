"""A Markov model of transition probabilities that are known, from a theory or from another program.

Nothing is estimated: populations solve :math:`\\pi P = \\pi`, and everything that can be asked of a fitted model
(committors, passage times, pathways, metastable sets, lumping) is answered for the chain as it is, without errors.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm
from scipy.sparse import csr_array, issparse
from scipy.sparse.csgraph import connected_components

from thalweg.kinetics.counts.active_set import ActiveStates
from thalweg.kinetics.counts.counts import TransitionCounts
from thalweg.kinetics.estimation.nonreversible import Nonreversible, stationary_distribution
from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.kinetics.markov_state_model import MarkovModel, MarkovStateModel
from thalweg.machine.memory import require_memory
from thalweg.time_series.trajectories import PairReport

BALANCED = 1e-10
"""Largest net flow between two states, relative to the largest flow, at which a chain counts as reversible."""


def known_chain(
    transition_matrix: np.ndarray | csr_array,
    lag: float = 1.0,
    n_processes: int = 5,
    populations: np.ndarray | None = None,
) -> MarkovModel:
    """The model of a known transition matrix.

    Parameters
    ----------
    transition_matrix : (states, states), dense or sparse
    lag : its lag time [ps]
    n_processes : number of slow processes to compute
    populations : (states,) in equilibrium, where they are known as well; None to solve for them

    Raises
    ------
    ValueError
        If the matrix is not square, has negative entries or rows that do not sum to one, or some states cannot be
        reached from others, the lag time is not positive, or populations given are not those of the matrix.

    Examples
    --------
    >>> chain = known_chain(np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]]), lag=2.0)
    >>> chain.stationary_distribution.round(6).tolist(), chain.timescales.round(3).tolist()
    ([0.333333, 0.333333, 0.333333], [18.982, 5.607])
    """
    matrix = csr_array(transition_matrix, dtype=float)
    _check(matrix)
    if not (np.isfinite(lag) and lag > 0):
        raise ValueError(f"lag={lag} must be a positive time [ps]")
    matrix.eliminate_zeros()
    stationary = stationary_distribution(matrix) if populations is None else _held(populations, matrix)
    # pi_i p_ij = pi_j p_ji, to rounding
    flow = csr_array(matrix.multiply(stationary[:, None]))
    net = abs(flow - flow.T)
    reversible = bool(net.nnz == 0 or net.data.max(initial=0.0) <= BALANCED * flow.data.max())
    states = matrix.shape[0]
    # flows stand for counts, which the model's parts ask for; there are no pairs behind them
    entries = flow.tocoo()
    none = np.zeros(0, int)
    counts = TransitionCounts(
        lagtime=1,
        dt=float(lag),
        n_states=states,
        rows=entries.row,
        columns=entries.col,
        blocks=csr_array(entries.data[None]),
        report=PairReport(1, none, none),
    )
    method = MarkovStateModel(1, Reversible() if reversible else Nonreversible(), n_processes)
    fit = TransitionMatrix(matrix, stationary, reversible)
    return MarkovModel(method, counts, ActiveStates(np.arange(states), states, 1.0), fit)


def known_rates(rate_matrix: np.ndarray | csr_array, lag: float = 1.0, n_processes: int = 5) -> MarkovModel:
    """The model, at a lag time, of a known rate matrix: ``P = exp(lag K)``.

    Parameters
    ----------
    rate_matrix : (states, states) [1/ps], entry ``ij`` the rate from ``i`` to ``j``; rows sum to zero
    lag : [ps]
    n_processes : number of slow processes to compute

    Raises
    ------
    ValueError
        If rows do not sum to zero, a rate is negative, or as `known_chain` does.

    Examples
    --------
    >>> known_rates(np.array([[-0.1, 0.1], [0.1, -0.1]]), lag=3.0).timescales.round(6).tolist()
    [5.0]
    """
    rates = rate_matrix.toarray() if issparse(rate_matrix) else np.asarray(rate_matrix, float)
    if rates.ndim != 2 or rates.shape[0] != rates.shape[1]:
        raise ValueError(f"rate_matrix has shape {rates.shape}, needed is (states, states)")
    require_memory(8 * 12 * rates.shape[0] ** 2, f"exponential of a rate matrix of {rates.shape[0]} states")
    outward = np.abs(np.diag(rates)).max(initial=0.0)
    if not np.allclose(rates.sum(axis=1), 0.0, atol=1e-9 * outward):
        columns = np.allclose(rates.sum(axis=0), 0.0, atol=1e-9 * outward)
        raise ValueError(
            "rows of rate_matrix must sum to zero, the diagonal being minus the rate of leaving"
            + ("; its columns do: give the transpose" if columns else "")
        )
    if (rates - np.diag(np.diag(rates)) < 0).any():
        raise ValueError("rate_matrix has negative rates between states")
    return known_chain(np.maximum(expm(lag * rates), 0.0), lag, n_processes)


def _held(populations: np.ndarray, matrix: csr_array) -> np.ndarray:
    """Populations that the matrix leaves as they are."""
    populations = np.asarray(populations, float)
    if populations.shape != matrix.shape[:1]:
        raise ValueError(f"got {populations.shape} populations of {matrix.shape[0]} states")
    change = float(np.abs(matrix.T @ populations - populations).max())
    if change > 1e-6 * populations.max():
        raise ValueError(f"one step changes the populations given by up to {change:.2g}; leave them out")
    return populations


def _check(matrix: csr_array) -> None:
    """Whether this is a matrix of transition probabilities between states that all reach each other."""
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"transition_matrix has shape {matrix.shape}, needed is (states, states)")
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        raise ValueError("transition_matrix has entries that are negative or not finite")
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    if np.abs(sums - 1).max() > 1e-6:
        worst = int(np.abs(sums - 1).argmax())
        across = np.abs(np.asarray(matrix.sum(axis=0)).ravel() - 1).max() <= 1e-6
        raise ValueError(
            f"row {worst} of transition_matrix sums to {sums[worst]:.6g}, not to one"
            + ("; its columns do: give the transpose" if across else "")
        )
    parts = connected_components(matrix, directed=True, connection="strong")[0]
    if parts > 1:
        raise ValueError(
            f"the chain falls into {parts} parts that do not reach each other both ways; give the matrix of one of them"
        )
