r"""What another energy does to time scales, by weighted walks of the old one, without another simulation.

Walks go from microstate to microstate in short hops, under a static bias if need be: each hop weighs
:math:`e^{(b_t + b_{t+1}) / 2}` with the log weights :math:`b` of its two frames, so that tops of barriers, where a bias
led walks, are known as well as bottoms of wells. With the sums :math:`K_{ij}` of these weights between microstates, the
populations :math:`\pi_i` and the energy :math:`\Delta U` that is added, the slowest rates :math:`\lambda` are those of

.. math::

    \sum_j K_{ij} \sqrt{w_i w_j}\,(v_i - v_j) = \lambda\, \pi_i w_i\, v_i, \qquad
    w_i = \langle e^{-\Delta U / kT} \rangle_i,

the square-root approximation [lie2013] with all that is not energy taken from the walks, which is also the least change
of the dynamics, by maximum caliber, that has the new populations [wan2016]. Only the ratio to the same with
:math:`w = 1` is given. Friction is to stay what it was, and a hop is to be short beside what the energy changes over:
one that jumps a barrier knows nothing of its top.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thalweg.shapes import Float, Int

JOINED = 0.9
"""Share of the population that hops must join."""


def weighted_hops(
    labels: Sequence[Int[np.ndarray, " frames"]],
    log_weights: Sequence[Float[np.ndarray, " frames"]],
    n_states: int,
) -> tuple[Float[np.ndarray, "states states"], Float[np.ndarray, " states"]]:
    """Sums of the weights of hops between microstates, and their populations.

    Parameters
    ----------
    labels : microstates along each walk
    log_weights : of the frames of each walk among those of all walks
    n_states : number of microstates

    Examples
    --------
    >>> hops, populations = weighted_hops([np.array([0, 0, 1, 0])], [np.zeros(4)], 2)
    >>> hops.tolist(), populations.tolist()
    ([[0.25, 0.25], [0.25, 0.0]], [0.75, 0.25])
    """
    highest = max(np.max(each) for each in log_weights)
    logs = [np.asarray(each, float) - highest for each in log_weights]
    total = sum(np.exp(each).sum() for each in logs)
    first, second = (
        np.concatenate([walk[part] for walk in labels]) for part in (slice(None, -1), slice(1, None))
    )
    weights = np.concatenate([np.exp((each[:-1] + each[1:]) / 2) for each in logs]) / total
    hops = coo_array((weights, (first, second)), (n_states, n_states)).toarray()
    joined, every = np.concatenate(labels), np.exp(np.concatenate(logs)) / total
    return (hops + hops.T) / 2, np.bincount(joined, every, n_states)


def perturbed_timescales(
    hops: Float[np.ndarray, "states states"],
    populations: Float[np.ndarray, " states"],
    added: Float[np.ndarray, " states"],
    processes: int = 1,
) -> Float[np.ndarray, " processes"]:
    """The slowest time scales under another energy, each in that of the old energy.

    Parameters
    ----------
    hops, populations : of `weighted_hops`
    added : ``-ln w``, the free energy that is added to each microstate [kT]; NaN where it is not known, and the mean of
        those that hop there is taken
    processes : how many

    Raises
    ------
    ValueError
        If hops join no more than nine tenths of the population, or fewer states than are needed.

    Examples
    --------
    The top of a barrier is raised by ``kT``; raised as a whole, it would take ``e`` times as long to cross.

    >>> s = np.linspace(-1.5, 1.5, 101)
    >>> populations = np.exp(-8.0 * (s**2 - 1) ** 2)
    >>> populations /= populations.sum()
    >>> hops = np.diag(np.sqrt(populations[1:] * populations[:-1]), 1)
    >>> perturbed_timescales(hops + hops.T, populations, np.exp(-((s / 0.4) ** 2))).round(1).tolist()
    [2.3]
    """
    parts, number = connected_components(hops > 0)[1], len(populations)
    held = np.bincount(parts, populations)
    kept = np.flatnonzero((parts == held.argmax()) & (populations > 0))
    if held.max() < JOINED * populations.sum() or len(kept) < processes + 1:
        raise ValueError(
            f"hops join {len(kept)} of {number} microstates with {100 * held.max() / populations.sum():.0f} % of the "
            f"population; {processes + 1} microstates and {100 * JOINED:.0f} % needed: sample longer, or where walks "
            "cross"
        )
    hops, mass = hops[np.ix_(kept, kept)], populations[kept] / populations[kept].sum()
    added = _completed(np.asarray(added, float)[kept], hops)
    factors = np.exp(-(added - mass @ added))
    old = _rates(hops, mass, processes)
    return old / _rates(hops * np.sqrt(np.outer(factors, factors)), mass * factors, processes)


def _completed(added: np.ndarray, hops: np.ndarray) -> np.ndarray:
    """What is not known is the mean over those that hop there, again and again until all is."""
    added = added.copy()
    while (missing := np.isnan(added)).any():
        near = hops[np.ix_(missing, ~missing)]
        total = near.sum(1)
        if not total.any():
            raise ValueError("no microstate has energies; ask about some frames")
        added[missing] = np.where(total > 0, near @ added[~missing] / np.where(total > 0, total, 1.0), np.nan)
    return added


def _rates(hops: np.ndarray, mass: np.ndarray, processes: int) -> np.ndarray:
    """The slowest rates of hops, without zero."""
    leaving = np.diag(hops.sum(1) - hops.diagonal())
    root = np.sqrt(mass)
    symmetric = (leaving - hops + np.diag(hops.diagonal())) / np.outer(root, root)
    return eigh(symmetric, eigvals_only=True, subset_by_index=[1, processes])
