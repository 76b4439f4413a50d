r"""Which physical variables a learned coordinate is made of, chosen from a dictionary of hundreds.

Every candidate is given a few functions of itself, waves if it is periodic and hats between quantiles if not, and the
coordinates :math:`\psi` are regressed on them. What a candidate explains is the share of their variance on blocks of
data that had no say in the regression,

.. math::  R^2 = 1 - \frac{\langle |\psi - \hat\psi|^2 \rangle_{\text{held out}}}{\langle |\psi - \bar\psi|^2 \rangle}

Variables are then chosen one after the other: the next is the one that, together with those chosen and in
products with them, explains most of what is left, until nothing is gained beyond its error. Candidates that would have
served as well are told with each one chosen; of these, one that is periodic (a torsion) goes before one that is not.
Whenever one is added, each of those before it is put to the test again beside the others.
Correlations and mutual informations of all candidates stand beside [ravindra2020].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy

from thalweg.collective_variables.bases.basis import feature_names
from thalweg.learning.models import Method, Model
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

HARMONICS, HATS = 4, 8
"""Waves of a periodic candidate, two functions each; hats of another."""

MOST_FRAMES = 20_000
"""Frames that candidates are judged on, evenly spread."""

MOST_TRIED = 60
"""Candidates tried in products with those chosen, those that explain most of what is left by themselves."""

LEAST_GAIN = 0.005
"""Share of the variance below which a variable adds nothing worth a name."""

RIDGE = 1e-6
"""Of the regression, relative to the mean square of the functions."""

BINS = 16
"""Bins of equal weight in each direction for mutual information."""


class ChosenVariable(NamedTuple):
    """A variable that was chosen.

    Attributes
    ----------
    name : of the variable
    column : among the candidates
    gain, error : share of the variance of the coordinates that it adds, and its standard error over blocks
    alike : names of candidates that would have served as well
    """

    name: str
    column: int
    gain: float
    error: float
    alike: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DictionaryRanking(Model):
    """What was found in a dictionary.

    Attributes
    ----------
    chosen : variables, most telling first
    names : of all candidates
    explained : (candidates,) share of the variance of the coordinates that each explains alone, held out
    correlations : (candidates, coordinates), absolute; of a periodic candidate that of its best wave
    informations : (candidates, coordinates) mutual information [nat], less what chance gives
    notes : what one should know
    """

    chosen: tuple[ChosenVariable, ...]
    names: tuple[str, ...]
    explained: Shaped[np.ndarray, " candidates"]
    correlations: Shaped[np.ndarray, "candidates coordinates"]
    informations: Shaped[np.ndarray, "candidates coordinates"]
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, object]:
        """Names that were chosen, and the share of the variance that they explain together."""
        return {
            "candidates": len(self.names),
            "chosen": ", ".join(each.name for each in self.chosen) or "none",
            "explained": float(sum(each.gain for each in self.chosen)),
        }

    def __str__(self) -> str:
        lines = [
            f"{each.name}: explains {100 * each.gain:.1f} ± {100 * each.error:.1f} % more"
            + (f" (as well: {', '.join(each.alike[:5])})" if each.alike else "")
            for each in self.chosen
        ]
        return "\n".join(
            [*(lines or ["no candidate explains anything"]), *(f"note: {note}" for note in self.notes)]
        )


@dataclass(frozen=True, kw_only=True)
class Dictionary(Method):
    """Physical variables that explain coordinates.

    Parameters
    ----------
    count : variables chosen at most
    folds : parts of the data, in blocks, of which each is held out once

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(-3, 3, (1000, 20))
    >>> target = np.sin(x[:, [7]]) + 0.3 * x[:, [2]]
    >>> [each.name for each in Dictionary().fit(x, target).chosen]
    ['feature 7', 'feature 2']
    """

    count: int = 5
    folds: int = 5

    @on_one_thread
    def fit(
        self,
        candidates: TrajectoryData,
        coordinates: TrajectoryData,
        periods: Sequence[float | None] | None = None,
    ) -> DictionaryRanking:
        """The ranking.

        Parameters
        ----------
        candidates : physical variables along trajectories, named where their `Trajectories` have names
        coordinates : what is to be explained, of the same frames
        periods : of the candidates, None for one that has none, or for all

        Raises
        ------
        ValueError
            If numbers of frames or of periods differ, the coordinates do not vary, or frames are too few.
        """
        data, targets = as_trajectories(candidates), as_trajectories(coordinates)
        if data.lengths.tolist() != targets.lengths.tolist():
            raise ValueError(
                f"candidates have {data.lengths[:5].tolist()} frames, coordinates {targets.lengths[:5].tolist()}; give "
                "both for the same frames"
            )
        periods = [None] * data.n_features if periods is None else list(periods)
        if len(periods) != data.n_features:
            raise ValueError(
                f"{len(periods)} periods for {data.n_features} candidates; give one or None for each"
            )
        sample = _Sample.of(data, targets, self.folds)
        names, spread = feature_names(data), np.ptp(sample.x, axis=0)
        varying = np.flatnonzero(spread > 0)
        notes = ()
        if len(varying) < len(names):
            notes = (f"{len(names) - len(varying)} candidates do not vary and explain nothing",)
        functions = {int(j): _functions(sample.x[:, j], sample.weights, periods[j]) for j in varying}
        single = {j: sample.explained(functions[j]) for j in functions}
        explained = np.zeros(len(names))
        for j, shares in single.items():
            explained[j] = shares.mean()
        chosen = self._chosen(_Search(sample, functions, names, periods), single)
        return DictionaryRanking(
            chosen,
            names,
            explained,
            _correlations(sample, functions, periods),
            _informations(sample, len(names)),
            notes,
        )

    def _chosen(self, search: _Search, single: dict[int, np.ndarray]) -> tuple[ChosenVariable, ...]:
        """Variables one after the other, each put to the test again when another has been added."""
        chosen: list[int] = []
        reached = np.zeros(self.folds)
        while len(chosen) < self.count:
            found = search.best(chosen, single)
            if found is None:
                break
            gain = found.shares - reached
            if gain.mean() < max(LEAST_GAIN, 2 * _error(gain)):
                break
            chosen, reached = [*chosen, found.column], found.shares
            for place in range(len(chosen) - 1):
                # beside the new one another may serve better, or as well and be simpler
                others = chosen[:place] + chosen[place + 1 :]
                again = search.best(others, single)
                if again is not None and again.column != chosen[place]:
                    chosen[place], reached = again.column, again.shares
        return search.told(chosen, single)


class _Found(NamedTuple):
    """The variable that, beside those given, explains most: its column, shares ``(folds,)`` of all together, and others
    that would serve as well."""

    column: int
    shares: np.ndarray
    alike: tuple[int, ...]


@dataclass(frozen=True)
class _Search:
    """Candidates and what they are judged on."""

    sample: _Sample
    functions: dict[int, np.ndarray]
    names: tuple[str, ...]
    periods: Sequence[float | None]

    def best(self, given: Sequence[int], single: dict[int, np.ndarray]) -> _Found | None:
        """The best variable beside those given; None where none is left."""
        left = [j for j in self.functions if j not in given]
        if not left:
            return None
        if not given:
            shares = {j: single[j] for j in left}
        else:
            # those that explain most of what is left go into products with the given ones, and all periodic ones
            design = self.design(given)
            rest = self.sample.without(design)
            order = sorted(left, key=lambda j: -rest.explained(self.functions[j]).mean())
            tried = order[:MOST_TRIED] + [j for j in order[MOST_TRIED:] if self.periods[j] is not None]
            shares = {
                j: self.sample.explained(_with_products(design, self.functions, given, j)) for j in tried
            }
        top = max(shares, key=lambda j: shares[j].mean())
        gain = shares[top].mean() - (self.sample.explained(self.design(given)).mean() if given else 0.0)
        alike = [j for j in shares if j == top or _as_good(shares[top], shares[j], gain)]
        # of variables that serve as well, a torsion is named first
        first = min(alike, key=lambda j: (self.periods[j] is None, -shares[j].mean()))
        others = sorted(set(alike) - {first}, key=lambda j: -shares[j].mean())
        return _Found(first, shares[first], tuple(others))

    def design(self, columns: Sequence[int]) -> np.ndarray:
        """The functions of some variables and of all pairs of them."""
        design = np.zeros((len(self.sample.x), 0))
        for k, column in enumerate(columns):
            design = _with_products(design, self.functions, columns[:k], column)
        return design

    def told(self, chosen: Sequence[int], single: dict[int, np.ndarray]) -> tuple[ChosenVariable, ...]:
        """The chosen ones, the one that explains most alone first, with what each adds to those before it."""
        order: list[int] = []
        for _ in chosen:
            left = [j for j in chosen if j not in order]
            order.append(max(left, key=lambda j: self.sample.explained(self.design([*order, j])).mean()))
        reached, told = np.zeros(len(self.sample.ends) - 1), []
        for k, column in enumerate(order):
            shares = self.sample.explained(self.design(order[: k + 1]))
            found = self.best(order[:k], single)
            alike = () if found is None else (found.column, *found.alike)
            gain = shares - reached
            names = tuple(self.names[j] for j in alike if j not in order)
            told.append(ChosenVariable(self.names[column], column, float(gain.mean()), _error(gain), names))
            reached = shares
        return tuple(told)


def _error(gain: np.ndarray) -> float:
    """Standard error of a mean over folds."""
    return float(gain.std(ddof=1) / np.sqrt(len(gain)))


def _as_good(best: np.ndarray, other: np.ndarray, gain: float) -> bool:
    """Whether the difference of two shares over folds is within two errors, or a hundredth of the gain."""
    away = best - other
    return bool(away.mean() < max(2 * away.std(ddof=1) / np.sqrt(len(away)), 0.01 * gain))


def _with_products(
    design: np.ndarray, functions: dict[int, np.ndarray], taken: Sequence[int], new: int
) -> np.ndarray:
    """The functions so far, those of a new variable, and products with those of each chosen one."""
    columns = [design, functions[new]]
    for j in taken:
        columns.append((functions[j][:, :, None] * functions[new][:, None, :]).reshape(len(design), -1))
    return np.concatenate(columns, axis=1)


@dataclass(frozen=True)
class _Sample:
    """Frames that candidates are judged on, in folds of whole blocks.

    Attributes
    ----------
    x : (frames, candidates)
    y : (frames, coordinates), centered and of unit variance
    weights : (frames,) of mean one
    ends : (folds + 1,) where the frames of each fold begin and end
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    ends: np.ndarray

    @staticmethod
    def of(data: Trajectories, targets: Trajectories, folds: int) -> _Sample:
        """Evenly spread frames; each fold is every ``folds``-th of some ten blocks for each fold."""
        x, y = data.strided(MOST_FRAMES).astype(float), targets.strided(MOST_FRAMES).astype(float)
        if len(x) < 20 * folds:
            raise ValueError(f"{len(x)} frames for {folds} folds; give {20 * folds} at least")
        weights = np.ones(len(x))
        if data.weights is not None:
            columns = [np.asarray(each, float)[:, None] for each in data.weights]
            weights = (
                replace(data, blocks=columns, weights=None, names=None)
                .strided(MOST_FRAMES)[:, 0]
                .astype(float)
            )
        weights = weights / weights.mean()
        mean = np.average(y, axis=0, weights=weights)
        variance = np.average((y - mean) ** 2, axis=0, weights=weights)
        if not (variance > 0).any():
            raise ValueError("the coordinates do not vary: there is nothing to explain")
        y = (y - mean)[:, variance > 0] / np.sqrt(variance[variance > 0])
        # frames of one fold one after the other: ten blocks of the data
        fold = np.arange(len(x)) * (10 * folds) // len(x) % folds
        order = np.argsort(fold, kind="stable")
        return _Sample(x[order], y[order], weights[order], np.cumsum([0, *np.bincount(fold)]))

    def explained(self, functions: np.ndarray) -> np.ndarray:
        """Share of the variance explained on each fold ``(folds,)`` by a regression on the others."""
        f = np.concatenate([np.ones((len(functions), 1)), functions], axis=1)
        weighted = f * self.weights[:, None]
        parts = [slice(start, stop) for start, stop in zip(self.ends, self.ends[1:])]
        squares = [weighted[part].T @ f[part] for part in parts]
        products = [weighted[part].T @ self.y[part] for part in parts]
        total, right = np.sum(squares, axis=0), np.sum(products, axis=0)
        ridge = RIDGE * np.diag(total).mean() * np.eye(len(total))
        shares = []
        for part, square, product in zip(parts, squares, products, strict=True):
            found = scipy.linalg.solve(total - square + ridge, right - product, assume_a="pos")
            # sum w |y - f c|^2 from the sums of the part held out
            all_of_it = (self.weights[part, None] * self.y[part] ** 2).sum()
            left = all_of_it - 2 * (found * product).sum() + (found * (square @ found)).sum()
            shares.append(1 - left / all_of_it)
        return np.array(shares)

    def without(self, functions: np.ndarray) -> _Sample:
        """The same with what functions explain taken off the coordinates."""
        f = np.concatenate([np.ones((len(functions), 1)), functions], axis=1)
        weighted = f * self.weights[:, None]
        squares = weighted.T @ f
        found = np.linalg.solve(
            squares + RIDGE * np.diag(squares).mean() * np.eye(len(squares)), weighted.T @ self.y
        )
        return replace(self, y=self.y - f @ found)


def _functions(x: np.ndarray, weights: np.ndarray, period: float | None) -> np.ndarray:
    """Functions of one candidate ``(frames, functions)``: waves, or hats between quantiles."""
    if period is not None:
        angles = 2 * np.pi / period * x[:, None] * np.arange(1, HARMONICS + 1)
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    order = np.argsort(x)
    mass = np.cumsum(weights[order])
    wanted = np.linspace(0, 1, HATS + 1) * mass[-1]
    nodes = np.unique(np.interp(wanted, mass, x[order]))
    nodes[0], nodes[-1] = x.min(), x.max()
    if len(nodes) < 2:
        return (x - x.mean())[:, None]
    # hats are one at their node and zero at the others; the first is left to the constant
    return np.stack([np.interp(x, nodes, each) for each in np.eye(len(nodes))[1:]], axis=1)


def _correlations(
    sample: _Sample, functions: dict[int, np.ndarray], periods: Sequence[float | None]
) -> np.ndarray:
    """Absolute correlations ``(candidates, coordinates)``; of periodic ones the multiple one of cosine and sine."""
    found = np.zeros((len(periods), sample.y.shape[1]))
    root = np.sqrt(sample.weights)[:, None]
    for j in functions:
        period = periods[j]
        x = sample.x[:, [j]]
        if period is not None:
            x = np.concatenate([np.cos(2 * np.pi * x / period), np.sin(2 * np.pi * x / period)], axis=1)
        x = root * (x - np.average(x, axis=0, weights=sample.weights))
        fitted = x @ np.linalg.lstsq(x, root * sample.y, rcond=None)[0]
        found[j] = np.sqrt((fitted**2).sum(axis=0) / np.maximum((root**2 * sample.y**2).sum(axis=0), 1e-300))
    return np.clip(found, 0, 1)


def _informations(sample: _Sample, candidates: int) -> np.ndarray:
    """Mutual informations ``(candidates, coordinates)`` [nat] between bins of equal weight, less the bias of counting.

    Of independent variables the plain estimate is ``(BINS - 1)^2 / 2N`` on average: half a chi square of that many.
    """
    effective = sample.weights.sum() ** 2 / (sample.weights**2).sum()
    bias = (BINS - 1) ** 2 / (2 * effective)
    targets = [_bins(column, sample.weights) for column in sample.y.T]
    found = np.zeros((candidates, len(targets)))
    for j in range(candidates):
        place = _bins(sample.x[:, j], sample.weights)
        for k, target in enumerate(targets):
            joint = np.bincount(place * BINS + target, sample.weights, BINS * BINS).reshape(BINS, BINS)
            joint = joint / joint.sum()
            apart = joint.sum(axis=1)[:, None] * joint.sum(axis=0)
            some = joint > 0
            found[j, k] = max(0.0, float((joint[some] * np.log(joint[some] / apart[some])).sum()) - bias)
    return found


def _bins(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The bin of every value, of about equal weight; equal values share one."""
    order = np.argsort(x, kind="stable")
    mass = np.cumsum(weights[order])
    edges = np.unique(np.interp(np.arange(1, BINS) / BINS * mass[-1], mass, x[order]))
    return np.searchsorted(edges, x, side="right")
