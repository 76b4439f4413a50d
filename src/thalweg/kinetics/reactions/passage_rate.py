r"""How long one set takes to reach another, and with what error, from walks that were started anywhere.

.. math::  m_i = \bar t_i + \sum_{j \notin B} p_{ij}\, m_j,\qquad \pi_i\, p_{ij} = \pi_j\, p_{ji}\ (i, j \notin B),
           \qquad k_{A \to B} = 1 / \langle m \rangle_{\pi, A}

with the probability :math:`p_{ij}` to be in j a lag time after i without having met B in between, and the mean time
:math:`\bar t_i` until B or the end of the lag. Restarted walks are no sample of equilibrium, but each transition is
drawn given where it begins, so that a Markov model of all of them has the right times [bowman2010]. Windows stop where
they enter B, so that no entry is missed at any lag [strahan2021]; outside B the chain is reversible and so estimated.
States are divided at the borders of both sets. Three things stand between such a model and a rate:

* *Chance.* Whole walks are drawn anew, whose transitions are independent of each other given where walks begin; times
  are positive and skewed, and errors are those of their logarithm.
* *Memory.* States that are too coarse let walks across barriers that they never crossed: short lags give times that are
  too short, by factors. The number is that of the longest lag at which the data still hold an answer, and none is given
  where it certainly still rises there.
* *Connection.* The sets must be joined by transitions, those outside B there and back, in nearly all replicates.

Places that nobody has visited are in no error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, eye_array

from thalweg.free_energies.blocks import resamples
from thalweg.kinetics.counts.active_set import active_set
from thalweg.kinetics.estimation.factorization import factorized
from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.set_free_energy import CONNECTED, JOINED
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_discrete
from thalweg.kinetics.validation.flatness import UNKNOWN, Flatness, flatness
from thalweg.shapes import Bool, Float
from thalweg.units import duration, unit_of

COMPARED = 3
"""Lags with an answer at which the time is worked out, the longest of which is quoted."""

LEAST = 1e-3
"""Weight of a return from B among counts."""


@dataclass(frozen=True)
class PassageRate:
    """Mean first-passage ``time`` [ps] between two sets, and what speaks against it.

    Attributes
    ----------
    time : [ps], begun as at equilibrium within the first set
    log_error : standard error of ``ln time``, which is that of ``ln rate``
    lag : [ps] of the model that it comes from
    kept : share of the transitions between the states that the model speaks of
    joined : share of the replicates in which the sets are joined by transitions there and back
    flatness : what the time does from lag to lag
    dt : time between frames [ps]
    """

    time: float
    log_error: float
    lag: float
    kept: float
    joined: float
    flatness: Flatness
    dt: float

    @property
    def rate(self) -> float:
        """``1 / time`` [1/ps]."""
        return 1 / self.time

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What is missing for the number to be trusted; empty if nothing."""
        if not np.isfinite(self.time):
            return ("no transitions join the sets",)
        missing = []
        if self.joined < JOINED:
            missing.append(
                f"the sets are joined in {100 * self.joined:.0f} % of the replicates of the data, {100 * JOINED:.0f} % "
                "are needed: too few walks went there and back"
            )
        if self.kept < CONNECTED:
            missing.append(
                f"the model speaks of {100 * self.kept:.0f} % of the transitions, {100 * CONNECTED:.0f} % are needed"
            )
        if np.isnan(self.flatness.end):
            missing.append("one lag time alone has an answer: nobody can tell whether the states remember")
        elif (found := self.flatness).shortfall - 2 * found.error > found.alike:
            missing.append(
                f"the time still rises at lag {duration(self.lag, self.dt)}, a shorter lag falls short by "
                f"{100 * found.shortfall:.0f} %: the states remember; use more states or longer walks"
            )
        return tuple(missing)

    def __str__(self) -> str:
        if self.shortcomings:
            return f"no rate: {'; '.join(self.shortcomings)}"
        unit = unit_of(self.dt)
        factor = f"within a factor {np.exp(self.log_error):.2f}"
        return f"{self.time:.3g} {unit} ({self.rate:.3g} /{unit}), {factor}, at lag {duration(self.lag, self.dt)}"


def passage_rate(
    trajectories: DiscreteTrajectories | Sequence[np.ndarray],
    a: Sequence[Bool[np.ndarray, " _"]],
    b: Sequence[Bool[np.ndarray, " _"]],
    lagtimes: Sequence[int] = (),
    samples: int = 50,
    seed: int = 0,
) -> PassageRate:
    """Mean first-passage time from set ``a`` to set ``b``, and the rate, of walks that were started anywhere.

    Parameters
    ----------
    trajectories : states of all walks, such as clusters; each walk is drawn as a whole
    a, b : for each of these, whether a frame is in the set
    lagtimes : in frames; 1, 2, 5, 10, ... up to half the longest walk if empty
    samples : replicates
    seed : of the draws

    Raises
    ------
    ValueError
        If there are fewer than two walks, frames and trajectories do not fit, or the sets share a frame.

    Examples
    --------
    >>> from thalweg.testsystems.chain import sampled_states
    >>> matrix = np.array([[0.95, 0.05, 0.0], [0.2, 0.6, 0.2], [0.0, 0.1, 0.9]])  # exact: 1 / (0.05 * 0.2 / 0.4) = 45
    >>> rarest = np.array([0.0, 1.0, 0.0])
    >>> walks = list(sampled_states(matrix, 200, 50, rarest, np.random.default_rng(0)))
    >>> found = passage_rate(walks, [w == 0 for w in walks], [w == 2 for w in walks])
    >>> bool(abs(np.log(found.time / 45)) < 2 * found.log_error), bool(found.log_error < 0.2)
    (True, True)
    """
    data = as_discrete(trajectories)
    if len(data) < 2:
        raise ValueError("got one walk; errors of a rate need several that can be drawn anew")
    states, first, second = _divided(data, a, b)
    wanted = [int(lag) for lag in lagtimes] or _ladder(int(data.lengths.max()) // 2)
    draws = resamples(len(data), samples, seed).astype(float)
    # from the longest lag down to the first at which the data hold an answer, and to those it is compared with
    held: list[_Answer] = []
    for lag in sorted(wanted, reverse=True):
        answer = _answer(states, lag, first, second, draws)
        held += [answer] if np.isfinite(answer.time) else []
        if sum(each.joined >= JOINED for each in held) == COMPARED:
            break
    if not held:
        return PassageRate(np.nan, np.inf, np.nan, 0.0, 0.0, UNKNOWN, data.dt)
    good = [each for each in held if each.joined >= JOINED][::-1]
    # where there is none, the lag that comes nearest says why
    quoted = good[-1] if good else max(held, key=lambda each: each.joined)
    known = np.log(quoted.drawn[np.isfinite(quoted.drawn)])
    error = float(np.std(known)) if len(known) > 1 else np.inf
    return PassageRate(
        quoted.time, error, quoted.lag, quoted.kept, quoted.joined, _flatness(good, len(data)), data.dt
    )


class _Answer(NamedTuple):
    """What one lag says: lag and time [ps], the share of transitions in the model, and times of replicates."""

    lag: float
    time: float
    kept: float
    drawn: Float[np.ndarray, " samples"]

    @property
    def joined(self) -> float:
        """Share of the replicates with an answer."""
        return float(np.isfinite(self.drawn).mean())


def _answer(
    states: DiscreteTrajectories, lagtime: int, a: np.ndarray, b: np.ndarray, draws: np.ndarray
) -> _Answer:
    """The time at one lag, and those of replicates; NaN where the sets are not joined."""
    windows = _stopped(states, lagtime, b)
    whole = _solved(windows, np.ones(len(states)), a)
    drawn = np.array([_solved(windows, times, a)[0] for times in draws])
    return _Answer(lagtime * states.dt, whole[0] * states.dt, whole[1], drawn * states.dt)


class _Windows(NamedTuple):
    """Windows that stop in B, counted walk by walk; B is one more state, the last.

    Attributes
    ----------
    rows, columns : (pairs,) of states that windows begin and end in
    counts : (walks, pairs) of windows
    frames : (walks, pairs) of all their frames
    n_states : with B
    """

    rows: np.ndarray
    columns: np.ndarray
    counts: csr_array
    frames: csr_array
    n_states: int


def _stopped(states: DiscreteTrajectories, lagtime: int, b: np.ndarray) -> _Windows:
    """All whole windows of a lag time that begin outside B."""
    last = 1 + max(int(walk.max()) for walk in states)
    number, keys, walks, lasting = last + 1, [], [], []
    inside = np.isin(np.arange(last), b)
    for k, walk in enumerate(states):
        there = inside[walk]
        places = np.arange(len(walk))
        # the frame in B that comes next, or none
        coming = np.minimum.accumulate(np.where(there, places, len(walk))[::-1])[::-1]
        begins = places[: max(len(walk) - lagtime, 0)]
        begins = begins[~there[begins]]
        stops = np.minimum(begins + lagtime, coming[begins])
        keys.append(walk[begins] * number + np.where(there[stops], last, walk[stops]))
        walks.append(np.full(len(begins), k))
        lasting.append(stops - begins)
    pairs, column = np.unique(np.concatenate(keys), return_inverse=True)
    places, shape = (np.concatenate(walks), column.ravel()), (len(states), len(pairs))
    counts = csr_array((np.ones(len(column)), places), shape=shape)
    frames = csr_array((np.concatenate(lasting).astype(float), places), shape=shape)
    return _Windows(*np.divmod(pairs, number), counts, frames, number)


def _solved(windows: _Windows, times: np.ndarray, a: np.ndarray) -> tuple[float, float]:
    """Mean frames from A to B where walks occur so often, and the share of windows in the model; NaN for none."""
    counts, frames = windows.counts.T @ times, windows.frames.T @ times
    seen = counts > 0
    rows, columns, counts, frames = (x[seen] for x in (windows.rows, windows.columns, counts, frames))
    entering, last = columns == windows.n_states - 1, windows.n_states - 1
    # nothing leaves B: returns that hardly count leave its row open, and the estimate among the others as it is
    back = columns[entering], rows[entering], LEAST * counts[entering]
    row, column, count = (np.concatenate(x) for x in zip((rows, columns, counts), back))
    matrix = csr_array((count, (row, column)), shape=(windows.n_states,) * 2)
    try:
        active = active_set(matrix)
    except ValueError:
        return np.nan, 0.0
    begin, target = active.places(a), active.places(np.array([last]))
    if not len(begin) or not len(target):
        return np.nan, active.kept
    fit = Reversible().fit(active.restrict(matrix))
    # frames of a window that ends in the model, by the state it begins in and whether it enters B
    spent = csr_array((frames / counts, (rows, columns)), shape=matrix.shape)[active.states][:, active.states]
    outside = np.setdiff1d(np.arange(len(active.states)), target)
    mean = np.asarray(fit.matrix.multiply(spent).sum(axis=1)).ravel()[outside]
    within = fit.matrix[outside][:, outside]
    try:
        passage = factorized(eye_array(len(outside)) - within, "passage time").solve(mean)
    except ValueError:
        return np.nan, active.kept
    weights = fit.stationary_distribution[outside] * np.isin(outside, begin)
    return float(weights @ passage / weights.sum()), active.kept


def _flatness(answers: Sequence[_Answer], n_blocks: int) -> Flatness:
    """What the time does over lags.

    A rate that nears its value as ``1 / m(tau) = 1 / m + c / tau`` has the local form of an implied timescale.
    """
    if len(answers) < 2:
        return UNKNOWN
    lags, times = (np.array([getattr(each, name) for each in answers]) for name in ("lag", "time"))
    return flatness(lags, times, np.stack([each.drawn for each in answers], axis=1), n_blocks)


def _divided(
    data: DiscreteTrajectories, a: Sequence[np.ndarray], b: Sequence[np.ndarray]
) -> tuple[DiscreteTrajectories, np.ndarray, np.ndarray]:
    """States divided at the borders of both sets, and which of them lie in the first and in the second."""
    for masks in (a, b):
        if [len(mask) for mask in masks] != data.lengths.tolist():
            raise ValueError(
                f"sets are given for {len(masks)} walks of {sum(map(len, masks))} frames, states for {len(data)} of "
                f"{data.lengths.sum()}; say of each frame whether it is in the set"
            )
    in_a, in_b = (np.concatenate(list(masks)).astype(bool) for masks in (a, b))
    if (in_a & in_b).any():
        raise ValueError(f"{(in_a & in_b).sum()} frames are in both sets; give sets without common frames")
    # a state is a cluster outside both sets, or its part in one of them
    part = in_a.astype(int) + 2 * in_b
    seen, number = np.unique(3 * np.concatenate(list(data)) + part, return_inverse=True)
    blocks = np.split(number.ravel(), np.cumsum(data.lengths)[:-1])
    states = DiscreteTrajectories(blocks, dt=data.dt, n_states=len(seen))
    return states, np.flatnonzero(seen % 3 == 1), np.flatnonzero(seen % 3 == 2)


def _ladder(longest: int) -> list[int]:
    """Lag times 1, 2, 5, 10, ... up to ``longest``, in frames."""
    steps = (mantissa * 10**power for power in range(9) for mantissa in (1, 2, 5))
    return [step for step in steps if step <= max(1, longest)]
