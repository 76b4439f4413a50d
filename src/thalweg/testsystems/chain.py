"""Discrete Markov chains with known answers, exact by linear algebra, and samples of them.

A chain is its transition matrix ``P`` (states, states), rows summing to one; times are in steps unless a lag
time is given. These routes are deliberately plain (dense solves), for comparison with estimators that are
fast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.shapes import Shaped
from thalweg.testsystems.potential import Potential


def three_state_chain() -> np.ndarray:
    """A reversible chain of three states in a row, with closed answers.

    ``P = [[0.9, 0.1, 0], [0.1, 0.8, 0.1], [0, 0.1, 0.9]]``: uniform stationary distribution, eigenvalues 1,
    0.9, 0.7, committor 1/2 from the middle between the ends, 30 steps on average from one end to the other.

    Examples
    --------
    >>> timescales(three_state_chain(), 2).round(4).tolist()
    [9.4912, 2.8037]
    """
    return np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]])


def hop_chain(potential: Potential, points: Shaped[np.ndarray, " states"], kT: float = 1.0) -> np.ndarray:
    """Hops along a line of points by half the energy difference: ``P_ij = C_i exp(-(U_j - U_i) / 2 kT)``.

    ``j`` is i or a neighbor of i, and ``C_i`` normalizes; reversible, since ``C_i exp(U_i / kT)`` depends on
    i alone. With Prinz's potential on 100 points from -1 to 1 this is the chain on which state-free
    reversible VAMPnets were tried [chen2019].

    Parameters
    ----------
    potential : Potential, in one dimension
    points : (states,) [nm]
    kT : [kJ/mol]
    """
    energy = potential.energy(np.asarray(points, float)[None])
    weights = np.exp(-(energy[None, :] - energy[:, None]) / (2.0 * kT))
    near = np.abs(np.subtract.outer(np.arange(len(energy)), np.arange(len(energy)))) <= 1
    weights = np.where(near, weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def chain_stationary_distribution(matrix: np.ndarray) -> np.ndarray:
    """``pi`` (states,) with ``pi P = pi`` and sum one.

    Parameters
    ----------
    matrix : (states, states), rows sum to one
    """
    equations = np.vstack([matrix.T - np.eye(len(matrix)), np.ones(len(matrix))])
    return np.linalg.lstsq(equations, np.append(np.zeros(len(matrix)), 1.0))[0]


def eigenvalues(matrix: np.ndarray, count: int) -> np.ndarray:
    """The ``count`` eigenvalues largest in magnitude (count,), real where the chain is reversible.

    Parameters
    ----------
    matrix : (states, states), rows sum to one
    count : how many
    """
    values = np.linalg.eigvals(matrix)
    return np.real_if_close(values[np.argsort(-np.abs(values))][:count], tol=1e6)


def timescales(matrix: np.ndarray, count: int, lag: float = 1.0) -> np.ndarray:
    """The ``count`` slowest relaxation times ``-lag / ln |lambda|`` (count,), in the unit of ``lag``.

    Parameters
    ----------
    matrix : (states, states), rows sum to one
    count : how many
    lag : lag time of the matrix
    """
    return -lag / np.log(np.abs(eigenvalues(matrix, count + 1)[1:]))


def rough_chain(random: np.random.Generator, size: int, kT: float) -> np.ndarray:
    """A reversible walk of up to three states at a time on a ring whose energies are drawn at random.

    Parameters
    ----------
    random : what draws
    size : number of states
    kT : deviation of the energies, in units of the thermal energy
    """
    energies = random.normal(0, kT, size)
    matrix = np.zeros((size, size))
    for step in (-3, -2, -1, 1, 2, 3):
        other = (np.arange(size) + step) % size
        matrix[np.arange(size), other] = np.exp(np.minimum(0, energies - energies[other])) / 7
    return matrix + np.diag(1 - matrix.sum(axis=1))


def lumped_timescales(
    matrix: np.ndarray, stationary: np.ndarray, states: np.ndarray, lags: Sequence[int]
) -> list[float]:
    """Exact slowest implied timescales of a stationary chain seen through fewer states, one for each lag [steps].

    Parameters
    ----------
    stationary : distribution of the chain (fine states,)
    states : what each of its states is seen as (fine states,) int
    """
    onto = np.eye(states.max() + 1)[states]
    found = []
    for lag in lags:
        flows = onto.T @ (stationary[:, None] * np.linalg.matrix_power(matrix, lag)) @ onto
        found.append(float(timescales(flows / flows.sum(axis=1, keepdims=True), 1, lag)[0]))
    return found


def chain_committor(matrix: np.ndarray, in_a: np.ndarray, in_b: np.ndarray) -> np.ndarray:
    """Probability (states,) to reach B before A; ``in_a`` and ``in_b`` are masks (states,).

    Parameters
    ----------
    matrix : (states, states), rows sum to one
    in_a, in_b : (states,) bool

    Examples
    --------
    >>> ends = np.eye(3, dtype=bool)
    >>> chain_committor(three_state_chain(), ends[0], ends[2]).round(12).tolist()
    [0.0, 0.5, 1.0]
    """
    between = ~(in_a | in_b)
    result = in_b.astype(float)
    equations = np.eye(between.sum()) - matrix[np.ix_(between, between)]
    result[between] = np.linalg.solve(equations, matrix[np.ix_(between, in_b)].sum(axis=1))
    return result


def chain_mean_first_passage_time(matrix: np.ndarray, target: np.ndarray, lag: float = 1.0) -> np.ndarray:
    """Mean time (states,) to reach the states of the mask ``target``, in the unit of ``lag``.

    Parameters
    ----------
    matrix : (states, states), rows sum to one
    target : (states,) bool
    lag : lag time of the matrix

    Examples
    --------
    >>> chain_mean_first_passage_time(three_state_chain(), np.array([False, False, True])).round(12).tolist()
    [30.0, 20.0, 0.0]
    """
    result = np.zeros(len(matrix))
    equations = np.eye((~target).sum()) - matrix[np.ix_(~target, ~target)]
    result[~target] = np.linalg.solve(equations, np.full((~target).sum(), lag))
    return result


def sampled_states(
    matrix: np.ndarray,
    n_trajectories: int,
    n_frames: int,
    start: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """States (trajectories, frames) of a chain, the first drawn by the weights ``start`` (states,).

    All trajectories step together: with row i of the cumulated matrix raised by i, the rows form one sorted
    array, in which one search draws the next states of all.

    Parameters
    ----------
    matrix : (states, states), rows sum to one
    n_trajectories, n_frames : how many, and how long
    start : (states,), weights of first states
    random : generator of the draws
    """
    cumulated = np.cumsum(matrix, axis=1)
    ladder = (cumulated / cumulated[:, -1:] + np.arange(len(matrix))[:, None]).ravel()
    states = np.empty((n_frames, n_trajectories), int)
    weights = np.cumsum(start)
    states[0] = np.searchsorted(weights / weights[-1], random.random(n_trajectories), side="right")
    for frame in range(1, n_frames):
        place = states[frame - 1] + random.random(n_trajectories)
        states[frame] = np.searchsorted(ladder, place, side="right") - states[frame - 1] * len(matrix)
    return states.T
