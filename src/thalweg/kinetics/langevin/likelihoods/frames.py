"""Trajectories as Langevin models read them: unwrapped, thinned to the step, cut into pieces of equal length.

A step of several frames gives as many interleaved series; each counts by one part of that many, so that error bars are
those of the data and not of copies of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories

JUMP = 0.85
"""Share of the range of a variable beyond which a step is taken for one across a border."""

PIECE = 256
"""Steps of a piece; a trajectory of more than two is cut."""

FEWEST = 50
"""Steps below which nothing is fitted."""


@dataclass(frozen=True)
class Pieces:
    """Pieces of trajectories, padded at their ends.

    Attributes
    ----------
    positions : (pieces, steps + 1, variables), unwrapped
    before : (pieces, variables), the position a step before the first, the first itself where there is none
    velocities : (pieces, steps + 1, variables), or None
    weights : (pieces, steps), zero where padded
    trajectory : (pieces,) which each is of
    tau : time of a step [ps]
    lower, upper : (variables,) range of the positions, within one period where there is one
    names : of the variables
    """

    positions: Float[np.ndarray, "pieces frames variables"]
    before: Float[np.ndarray, "pieces variables"]
    velocities: Float[np.ndarray, "pieces frames variables"] | None
    weights: Float[np.ndarray, "pieces steps"]
    trajectory: np.ndarray
    tau: float
    lower: np.ndarray
    upper: np.ndarray
    names: tuple[str, ...]

    @property
    def steps(self) -> np.ndarray:
        """Displacements ``(used steps, variables)`` that count."""
        return np.diff(self.positions, axis=1)[self.weights > 0]

    @property
    def n_steps(self) -> float:
        """Steps, interleaved ones counted by their part."""
        return float(self.weights.sum())

    def thinned(self, steps: int) -> Pieces:
        """Pieces, evenly chosen, of about so many steps: all of them if there are not more."""
        rows = slice(None, None, max(1, round(self.weights.size / steps)))
        return replace(
            self,
            positions=self.positions[rows],
            before=self.before[rows],
            velocities=None if self.velocities is None else self.velocities[rows],
            weights=self.weights[rows],
            trajectory=self.trajectory[rows],
        )


def pieces(
    data: Trajectories,
    lagtime: int = 1,
    periods: Sequence[float | None] | None = None,
    velocities: bool = False,
    piece: int = PIECE,
) -> Pieces:
    """The pieces of ``data``.

    Parameters
    ----------
    data : `Trajectories`
    lagtime : frames of a step
    periods : of each variable, None where it has none
    velocities : whether the second half of the columns are velocities of the first half
    piece : steps of a piece, into which trajectories longer than two are cut

    Raises
    ------
    ValueError
        If there are too few steps, the columns are odd in number though they should hold velocities, or a variable
        jumps through nearly its whole range and has no period.
    """
    report = data.report(lagtime)
    columns = data.n_features
    if velocities and columns % 2:
        raise ValueError(
            f"velocities=True, but the data have {columns} column{'s' * (columns != 1)}: positions and then as many "
            "velocities are needed; without velocities leave the word out, they are then found from positions"
        )
    dims = columns // 2 if velocities else columns
    if int(report.used.sum()) < FEWEST * lagtime:
        raise ValueError(
            f"{int(report.used.sum())} pairs at lagtime={lagtime} are about {int(report.used.sum()) // lagtime} "
            f"independent steps; at least {FEWEST} are needed: give more or longer trajectories"
        )
    series = [np.concatenate(list(data.windows(k, [(0, int(n))]))) for k, n in enumerate(data.lengths)]
    period = np.array([np.nan if p is None else float(p) for p in periods or [None] * dims])
    if len(period) != dims:
        raise ValueError(f"got {len(period)} periods for {dims} variables; give one of each, or None")
    known = np.isfinite(period)
    if (period[known] <= 0).any():
        raise ValueError(f"periods must be positive, got {period[known].tolist()}")
    _check_borders(series, period, dims, data)
    everything = np.concatenate([block[:, :dims] for block in series])
    lower, upper = everything.min(axis=0), everything.max(axis=0)
    if (still := np.flatnonzero(upper <= lower)).size:
        raise ValueError(f"{data.name(int(still[0]))} never moves from {lower[still[0]]:g}; leave it out")
    for k in np.flatnonzero(known):
        for block in series:
            block[:, k] = np.unwrap(block[:, k], period=period[k])
        upper[k] = lower[k] + period[k]
    return _cut(data, series, dims, lagtime, piece, velocities, (lower, upper))


def _check_borders(series: list[np.ndarray], period: np.ndarray, dims: int, data: Trajectories) -> None:
    """Refuse a variable that jumps through its range as an angle does that has been cut."""
    for k in np.flatnonzero(~np.isfinite(period)):
        values = np.concatenate([block[:, k] for block in series])
        span = np.ptp(values)
        jumps = np.concatenate([np.abs(np.diff(block[:, k])) for block in series])
        if not len(jumps) or span == 0 or (jumps > JUMP * span).all():
            continue
        far = jumps > JUMP * span
        # some steps through the range, while nearly all others are much smaller
        if far.any() and np.quantile(jumps[~far], 0.99) < 0.25 * span:
            guess = min((2 * np.pi, 360.0, 1.0), key=lambda p: abs(np.log(p / span)))
            raise ValueError(
                f"{data.name(int(k))} jumps by up to {jumps.max():.4g} in {int(far.sum())} steps, nearly its whole "
                f"range of {span:.4g}: an angle across its border? Say so by periods, such as periods=[{guess:.6g}], "
                "or give trajectories that do not jump"
            )


def _cut(data, series, dims, lagtime, piece, velocities, span) -> Pieces:
    """Interleaved series of every trajectory in pieces of one length."""
    longest = int(max(1, (data.lengths.max() - 1) // lagtime))
    # short trajectories stay whole: what their first frames tell of velocities and memory is not thrown away
    length = longest if longest <= 2 * piece else int(np.ceil(longest / np.ceil(longest / piece)))
    positions, speeds, weights, before, owner = [], [], [], [], []
    for k, block in enumerate(series):
        own = np.ones(len(block)) if data.weights is None else np.asarray(data.weights[k], float)
        for offset in range(lagtime):
            part, factor = block[offset::lagtime], own[offset::lagtime]
            for start in range(0, len(part) - 1, length):
                stop = min(start + length, len(part) - 1)
                rows = part[start : stop + 1]
                pad = length - (stop - start)
                rows = np.concatenate([rows, np.repeat(rows[-1:], pad, axis=0)])
                positions.append(rows[:, :dims])
                speeds.append(rows[:, dims:])
                weights.append(np.concatenate([factor[start:stop], np.zeros(pad)]) / lagtime)
                before.append(part[max(start - 1, 0), :dims])
                owner.append(k)
    weights = np.array(weights)
    # as many steps as unequal weights are worth
    weights *= weights.sum() / max((weights**2).sum(), 1e-300) / lagtime
    return Pieces(
        np.array(positions),
        np.array(before),
        np.array(speeds) if velocities else None,
        weights,
        np.array(owner),
        lagtime * float(data.dt),
        *span,
        _names(data, dims),
    )


def _names(data: Trajectories, dims: int) -> tuple[str, ...]:
    """Of the variables, numbered where the data do not name them."""
    if data.names is not None:
        return tuple(data.names[:dims])
    return ("variable",) if dims == 1 else tuple(f"variable {k}" for k in range(dims))
