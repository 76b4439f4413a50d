r"""Statistical inefficiency of transition counts: how many sliding counts make one independent count.

Whenever a trajectory is in state :math:`i`, note where it is a lag time later. How likely two such notes
:math:`k` visits apart are the same, beyond chance, is the autocorrelation of the row

.. math::  \rho_k = \frac{P(\text{same}) - \sum_j p_{ij}^2}{1 - \sum_j p_{ij}^2},\qquad
           g_i = 1 + 2 \sum_{k \ge 1} \Bigl(1 - \frac{k}{n_i}\Bigr)\, \rho_k ,

summed while it stays positive [chodera2007] and not beyond `WINDOW` times the sum itself [madras1988], with
:math:`n_i` visits. One number per state leaves the transition probabilities as they are. Frames are sorted
by state, so that a shift by :math:`k` places compares all visits with those ``k`` later. Beyond `EVERY`
visits the shifts grow by a factor, and the sum becomes an integral by trapezoids. Trajectories take part up
to about half their number of visits, and chance is judged by those that do: else short runs of another kind
than long ones would pass for a memory without end.
"""

from __future__ import annotations

import numpy as np

from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories

WINDOW = 5
"""Correlations further apart than this many inefficiencies are noise, or differences between runs."""

EVERY = 16
"""Up to this many visits apart every shift is taken; later shifts grow by one part in this many."""


def inefficiencies(data: DiscreteTrajectories, lagtime: int) -> np.ndarray:
    r"""Inefficiency ``(n_states,)`` of the sliding counts from each state, at least one; NaN without any.

    A state that is always left in the same way shows no fluctuation to judge by and is given the lag time.

    =================  ===============================================================================
    symbol             variable
    =================  ===============================================================================
    :math:`k`          ``shift``
    :math:`n_i`        ``visits``
    :math:`\rho_k`     ``weighted_rho``, with its factor :math:`1 - k/n_i`; ``last`` at the shift before
    :math:`P(same)`    ``together / possible``
    :math:`p_{ij}^2`   ``chance``, summed over ``j``
    :math:`g_i`        ``total``
    =================  ===============================================================================

    Parameters
    ----------
    lagtime : int
        In frames.

    Examples
    --------
    >>> data = DiscreteTrajectories([np.random.default_rng(0).integers(0, 2, 50000)])
    >>> inefficiencies(data, 1).round(1).tolist()
    [1.0, 1.0]
    """
    states, targets, runs = _visits(data, lagtime)
    number = np.bincount(states, minlength=data.n_states)
    visited = np.flatnonzero(number)
    visits = number[visited]
    # a run is the visits of one state in one trajectory; owner is the place of its state among those visited
    begins = np.flatnonzero(np.diff(runs, prepend=-1))
    lengths, owner = np.diff(np.append(begins, len(runs))), np.searchsorted(visited, states[begins])
    # sum_j p_ij^2 = 1: always left in the same way, there is no fluctuation to correlate
    certain = _chance(targets, owner, lengths, data.n_states, len(visited)) > 1 - 1e-12
    # (run, target) as one number: visits of two runs are never the same note
    targets = runs * data.n_states + targets
    total, last, before, active = np.ones(len(visited)), np.ones(len(visited)), 0, ~certain
    shift, octave = 1, 1
    while active.any():
        # each time the shift has doubled, runs too short for the next octave and states that are done leave
        if shift >= octave:
            remaining = active[owner] & (lengths >= 2 * octave)
            targets = targets[np.repeat(remaining, lengths)]
            owner, lengths, octave = owner[remaining], lengths[remaining], 2 * octave
            if not len(targets):
                break
            present, first = np.unique(owner, return_index=True)
            starts = (np.cumsum(lengths) - lengths)[first]
            chance = _chance(targets % data.n_states, owner, lengths, data.n_states, len(visited))
        # rho_k = (P(same) - sum_j p_ij^2) / (1 - sum_j p_ij^2), with its weight 1 - k / n_i in the sum
        alike = targets[shift:] == targets[:-shift]
        together = np.zeros(len(visited))
        together[present] = np.add.reduceat(alike, np.minimum(starts, len(alike) - 1))
        possible = np.bincount(owner, np.maximum(lengths - shift, 0), len(visited))
        with np.errstate(divide="ignore", invalid="ignore"):
            weighted_rho = (together / possible - chance) / (1 - chance) * (1 - shift / visits)
        active &= np.nan_to_num(weighted_rho, nan=-1.0, posinf=-1.0) > 0
        # g_i += 2 rho_k: the trapezoid between two shifts without its ends, and the later end
        between = (shift - before - 1) * (last + weighted_rho) / 2
        total[active] += 2 * (between + weighted_rho)[active]
        last, before = weighted_rho, shift
        shift += max(1, shift // EVERY)
        # the window of Madras and Sokal: no further than WINDOW times the sum itself
        active &= shift < np.minimum(visits, WINDOW * total)
    inefficiency = np.full(data.n_states, np.nan)
    inefficiency[visited] = np.where(certain, float(lagtime), np.maximum(total, 1.0))
    return inefficiency


def _visits(data: DiscreteTrajectories, lagtime: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, where they led to, and numbers of the runs they are in, sorted by state and then by time."""
    used = np.maximum(data.lengths - lagtime, 0)
    first = np.concatenate([block[:count] for block, count in zip(data.blocks, used)])
    last = np.concatenate([block[lagtime:] for block in data.blocks])
    # stable: within a state visits stay in the order of time; short keys sort by radix
    order = np.argsort(first.astype(np.uint16) if data.n_states <= 2**16 else first, kind="stable")
    first, breaks = first[order], np.zeros(len(first), bool)
    breaks[1:] = first[1:] != first[:-1]
    if len(data) > 1:
        origin = np.repeat(np.arange(len(data), dtype=np.int32), used)[order]
        breaks[1:] |= origin[1:] != origin[:-1]
    return first, last[order], np.cumsum(breaks)


def _chance(
    targets: np.ndarray, owner: np.ndarray, lengths: np.ndarray, n_states: int, visited: int
) -> np.ndarray:
    """The probability of two notes of a state to be the same by chance ``(visited,)``, sums of squares of rows."""
    keys = np.repeat(owner, lengths) * n_states + targets
    if visited * n_states <= 2**24:
        counts = np.bincount(keys, minlength=visited * n_states)
        keys = np.flatnonzero(counts)
        counts = counts[keys]
    else:
        keys, counts = np.unique(keys, return_counts=True)
    row = keys // n_states
    number = np.bincount(row, counts, visited)
    return np.bincount(row, (counts / number[row]) ** 2, visited)
