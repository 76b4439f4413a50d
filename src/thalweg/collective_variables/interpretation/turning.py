r"""In which order groups of features, such as residues, turn along a slow coordinate.

Of each group :math:`g` the features are seen along the line between their means at both ends of the coordinate,

.. math::  \pi_g(x) = \frac{(x_g - \bar x_g^0) \cdot \Sigma_g^{-1} (\bar x_g^1 - \bar x_g^0)}
                           {(\bar x_g^1 - \bar x_g^0) \cdot \Sigma_g^{-1} (\bar x_g^1 - \bar x_g^0)} ,

zero on average at one end and one at the other, and its place is where it turns halfway,

.. math::  s_g = \int_0^1 \bigl(1 - \langle \pi_g \rangle_{s} \bigr)\, ds ,

which for a step is the place of the step. A coordinate holds the features of the group itself: where these fluctuate,
so does it, and every group would seem to turn halfway. So the coordinate of a group is that with the group's own
features at their means, as items of a test are compared with the rest of the test. What blurs the coordinate draws all
places to the middle: their order is what counts, and how often it is the same in resampled data is told.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.collective_variables.interpretation.importance import SHOWN
from thalweg.learning.models import Model
from thalweg.shapes import Float, Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

BINS = 20
"""Of the coordinate between its ends."""

END = 0.25
"""Part of the way at either side that counts as the end."""

OUTLYING = 0.005
"""Share of the frames beyond either limit of the coordinate."""

FEWEST = 5
"""Frames in a bin below which it is filled from its neighbors."""

ALIKE = 0.5
"""Deviations by which both ends must differ, at least, for a group to turn at all."""


class _TooFewFrames(ValueError):
    """Data that lack one of the forms."""


@dataclass(frozen=True, eq=False)
class TurningOrder(Model):
    """Groups from the first to turn to the last, from the end of the coordinate with more frames.

    Attributes
    ----------
    names : of the groups
    places : (groups,), share of the way at which each is half turned
    errors : (groups,), standard deviation over resampled blocks
    before : (groups, groups), share of resampled data in which the first turns before the second
    profiles : (groups, bins), how far each has turned along the way
    differences : (groups,), between both ends, in deviations within an end
    still : groups that are alike at both ends and have no place
    notes : what one should know
    """

    names: tuple[str, ...]
    places: Shaped[np.ndarray, " groups"]
    errors: Shaped[np.ndarray, " groups"]
    before: Shaped[np.ndarray, "groups groups"]
    profiles: Shaped[np.ndarray, "groups bins"]
    differences: Shaped[np.ndarray, " groups"]
    still: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sure(self) -> tuple[tuple[str, ...], ...]:
        """Groups in the order in which they turn; those whose order is not the same in 95 of 100 stand together."""
        found: list[list[str]] = []
        for k, name in enumerate(self.names):
            if found and all(self.before[j, k] >= 0.95 for j in range(k)):
                found.append([name])
            elif found:
                found[-1].append(name)
            else:
                found = [[name]]
        return tuple(map(tuple, found))

    def headline(self) -> dict[str, object]:
        """The order, as far as it is sure."""
        return {"order": " < ".join(", ".join(each) for each in self.sure)}

    def __str__(self) -> str:
        width = max(8, *(len(name) for name in self.names))
        lines = [" " * width + "   place    error   differs"]
        for name, place, error, apart in zip(self.names, self.places, self.errors, self.differences):
            lines.append(f"{name:{width}}{place:8.2f}{error:9.2f}{apart:10.1f}")
        lines = lines[: SHOWN + 1] + [f"... and {len(self.names) - SHOWN} more"] * (len(self.names) > SHOWN)
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def turning_order(
    variable: Callable[[Any], Any],
    data: TrajectoryData,
    members: Sequence[Sequence[Hashable]],
    groups: Sequence[str],
    coordinate: int = 0,
    blocks: int = 20,
    resamples: int = 200,
    seed: int = 0,
) -> TurningOrder:
    """Where along a coordinate groups of features turn, with errors.

    Parameters
    ----------
    variable : from frames ``(frames, features)`` to values ``(frames, dim)``, such as ``model.transform``
    data : features; weights of frames are taken into account
    members : for every feature the groups it belongs to, see `Importance.grouped`; here it belongs to those that half
        of its members are of, or more: a torsion to one residue, a distance to two
    groups : those asked about, such as the residues named by `StabilitySelection`
    coordinate : which value of the variable
    blocks : stretches of the data that are resampled, about
    resamples : sets of blocks drawn with replacement, as many as there are
    seed : of the resampling

    Raises
    ------
    ValueError
        If a group has no features, the coordinate is constant, or one of its ends has hardly any frames.

    Examples
    --------
    >>> from thalweg.collective_variables.linear.tica import TICA
    >>> from thalweg.testsystems.activation import ActivationSwitch
    >>> model = ActivationSwitch(residues=4, switches=(2, 0, 1), loops=(), slow=())
    >>> runs = Trajectories(model.sample(5, 2000, seed=1).torsions, names=model.names)
    >>> tica = TICA(20, dim=1).fit(runs)
    >>> turning_order(tica.transform, runs, model.members, model.named).sure in (
    ...     (("RES2",), ("RES0",), ("RES1",)), (("RES1",), ("RES0",), ("RES2",)))
    True
    """
    trajectories = as_trajectories(data)
    names = tuple(dict.fromkeys(map(str, groups)))
    columns = [[k for k, each in enumerate(members) if _mostly(name, each)] for name in names]
    if missing := [name for name, own in zip(names, columns) if not own]:
        known = ", ".join(list(dict.fromkeys(str(group) for each in members for group in each))[:SHOWN])
        raise ValueError(f"no feature belongs to {', '.join(missing)}; groups are {known}, ...")
    frames = np.concatenate([np.asarray(block, float) for block in trajectories.blocks])
    weights = np.ones(len(frames)) if trajectories.weights is None else np.concatenate(trajectories.weights)
    whole = _values(variable, frames, coordinate)
    if not whole.std() > 0:
        raise ValueError(
            f"coordinate {coordinate} is the same in all {len(frames)} frames: nothing turns along it"
        )
    whole, turned = _from_fuller(_way(whole), weights)
    block = _blocks(trajectories, blocks)
    random, count = np.random.default_rng(seed), int(block.max()) + 1
    drawn = [np.bincount(random.integers(0, count, count), minlength=count) for _ in range(resamples)]
    mean = (weights @ frames) / weights.sum()
    places, profiles, differences, again = [], [], [], []
    for own in columns:
        without = frames.copy()
        without[:, own] = mean[own]
        rest = _way(_values(variable, without, coordinate))
        along = 1 - rest if turned else rest
        place, profile, apart = _turn(frames[:, own], whole, along, weights)
        places.append(place)
        profiles.append(profile)
        differences.append(apart)
        again.append([_place(frames[:, own], whole, along, weights * times[block]) for times in drawn])
    turns = np.array(differences) >= ALIKE
    order = np.array([k for k in np.argsort(places, kind="stable") if turns[k]], int)
    samples = np.array(again)[order]
    samples = samples[:, np.isfinite(samples).all(axis=0)]
    if len(order) and samples.shape[1] < resamples // 2:
        raise _TooFewFrames(
            f"only {samples.shape[1]} of {resamples} resampled data sets have both ends of the coordinate: one form is "
            "in few stretches of the data; give more"
        )
    still = tuple(name for name, own in zip(names, turns) if not own)
    return TurningOrder(
        tuple(names[k] for k in order),
        np.array(places)[order],
        samples.std(axis=1, ddof=1),
        (samples[:, None] < samples[None]).mean(axis=-1),
        np.stack(profiles)[order],
        np.array(differences)[order],
        still,
        _notes(still, count),
    )


def _mostly(group: str, members: Sequence[Hashable]) -> bool:
    return 2 * sum(str(member) == group for member in members) >= max(1, len(members))


def _values(variable: Callable, frames: Float[np.ndarray, "frames features"], coordinate: int) -> np.ndarray:
    found = np.asarray(variable(frames), float)
    if found.ndim != 2 or not -found.shape[1] <= coordinate < found.shape[1]:
        raise ValueError(f"the variable gave values {found.shape}, asked is for coordinate {coordinate}")
    return found[:, coordinate]


def _way(values: Shaped[np.ndarray, " frames"]) -> Shaped[np.ndarray, " frames"]:
    """Values as shares of the way between both ends, beyond which some frames lie."""
    low, high = np.quantile(values, [OUTLYING, 1 - OUTLYING])
    return (values - low) / max(high - low, 1e-300)


def _from_fuller(way: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, bool]:
    """The way from the end that has more of the frames, and whether it was turned round."""
    turned = bool(weights[way > 0.5].sum() > weights[way <= 0.5].sum())
    return (1 - way if turned else way), turned


def _blocks(data: Trajectories, parts: int) -> Shaped[np.ndarray, " frames"]:
    """The number of the stretch that each frame belongs to."""
    starts = np.concatenate([[0], np.cumsum(data.lengths)])
    block = np.zeros(starts[-1], int)
    for piece in segments(data.lengths, parts):
        first = starts[piece.trajectory] + piece.start
        block[first : starts[piece.trajectory + 1]] = piece.block
    return block


def _place(features: np.ndarray, whole: np.ndarray, along: np.ndarray, weights: np.ndarray) -> float:
    """Of resampled data; NaN where they lack an end."""
    try:
        return _turn(features, whole, along, weights)[0]
    except _TooFewFrames:
        return np.nan


def _turn(
    features: np.ndarray, whole: np.ndarray, along: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """Place, profile and difference between the ends of one group."""
    ends = [weights * inside for inside in (whole < END, whole > 1 - END)]
    if (fewest := min(np.count_nonzero(end) for end in ends)) < FEWEST:
        raise _TooFewFrames(
            f"an end of the coordinate has {fewest} frames, {FEWEST} are needed: one form is hardly in the data"
        )
    first, last = ((end @ features) / end.sum() for end in ends)
    within = sum(
        (end[:, None] * (features - mean)).T @ (features - mean) / end.sum()
        for end, mean in zip(ends, (first, last))
    ) / len(ends)
    direction = np.linalg.solve(within + 1e-9 * np.trace(within) * np.eye(len(within)), last - first)
    squared = max(float(direction @ (last - first)), 1e-300)
    turned = (features - first) @ direction / squared
    place = np.clip((along * BINS).astype(int), 0, BINS - 1)
    inside = (along >= 0) & (along <= 1)
    sums = np.bincount(place[inside], (weights * turned)[inside], BINS)
    total = np.bincount(place[inside], weights[inside], BINS)
    seen = np.bincount(place[inside], (weights > 0)[inside], BINS) >= FEWEST
    centers = np.arange(BINS)
    profile = (
        np.interp(centers, centers[seen], sums[seen] / total[seen]) if seen.any() else np.full(BINS, 0.5)
    )
    return float(1 - profile.mean()), profile, float(np.sqrt(squared))


def _notes(still: Sequence[str], blocks: int) -> tuple[str, ...]:
    notes = [f"{', '.join(still)}: alike at both ends, nothing turns"] if still else []
    if blocks < 10:
        notes.append(f"errors are of {blocks} blocks of data; more would make them sure")
    return tuple(notes)
