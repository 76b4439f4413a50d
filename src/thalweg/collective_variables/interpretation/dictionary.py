r"""Which physical variables a learned coordinate is made of, chosen from a dictionary of hundreds.

Every candidate is given as many functions of itself, hats on its range or around its circle, and the coordinates
:math:`\psi` are regressed on them. What a candidate explains is the share of their variance on blocks of data that had
no say in the regression,

.. math::  R^2 = 1 - \frac{\langle |\psi - \hat\psi|^2 \rangle_{\text{held out}}}{\langle |\psi - \bar\psi|^2 \rangle}

Variables are then chosen one after the other: the next is the one that, together with those chosen and in
products with them, explains most of what is left. One after the other alone would begin with a mixture, such as a
distance across two torsions, which says a little of both: whenever one is added, all are exchanged for others until
that gains nothing more (floating search [pudil1994]). The *core* is complete when the next one would add less than a
tenth.

Of sets that explain as well, the simplest is the answer. A distance across the molecule knows its torsions and,
besides, how bonds and angles yield between its ends, so that it explains a map of distances a little better than any
torsion. Members of the core are therefore exchanged for periodic ones (torsions, which turn by themselves) as long as
nine tenths are explained. Others are then added to the core until nothing is gained beyond its error; candidates that
would have served as well are told with each.
Correlations and mutual informations of all candidates stand beside [ravindra2020].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import scipy

from thalweg.collective_variables.bases.basis import feature_names
from thalweg.learning.models import Method, Model
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

NODES = 8
"""Hats of each candidate."""

MOST_FRAMES = 20_000
"""Frames that candidates are judged on, evenly spread."""

MOST_TRIED = 24
"""Candidates tried in products with those chosen, and as many periodic ones: those that explain most of what is left by
themselves."""

LEAST_GAIN = 0.005
"""Share of the variance below which a variable adds nothing worth a name."""

WORTH_EXCHANGE = 1e-4
"""Share of the variance that an exchange has to gain."""

KEPT = 0.9
"""Share of what is explained that a core, or of a gain that another candidate, has to keep to serve as well."""

RIDGES = (1e-6, 1e-4, 1e-2)
"""Of the regression, relative to the mean square of the functions; the one that explains most on folds held out."""

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
        chosen = self._chosen(_Search(sample, functions, names, periods, single))
        return DictionaryRanking(
            chosen,
            names,
            explained,
            _correlations(sample, functions, periods),
            _informations(sample, len(names)),
            notes,
        )

    def _chosen(self, search: _Search) -> tuple[ChosenVariable, ...]:
        """The core, made as simple as it may be, and variables that add to it."""
        chosen: list[int] = []
        core, reached = 0, np.zeros(self.folds)
        while len(chosen) < self.count:
            found, shares = search.best(chosen)
            gain = shares - reached
            if found is None or gain.mean() < max(LEAST_GAIN, 2 * _error(gain)):
                break
            if not core and reached.mean() >= KEPT * shares.mean():
                chosen, reached = search.simplified(chosen, KEPT * shares.mean())
                core = len(chosen)
            else:
                chosen, reached = [*chosen, found], shares
                if not core:
                    chosen, reached = search.exchanged(chosen, reached)
        if not core and chosen:
            core, chosen = len(chosen), search.simplified(chosen, KEPT * reached.mean())[0]
        return search.told(chosen, core)


@dataclass(frozen=True)
class _Search:
    """Candidates and what they are judged on.

    Attributes
    ----------
    single : shares ``(folds,)`` that each explains alone
    judged : what was found for variables given, to be found once
    """

    sample: _Sample
    functions: dict[int, np.ndarray]
    names: tuple[str, ...]
    periods: Sequence[float | None]
    single: dict[int, np.ndarray]
    judged: dict[frozenset[int], dict[int, np.ndarray]] = field(default_factory=dict)

    def beside(self, given: Sequence[int]) -> dict[int, np.ndarray]:
        """Shares ``(folds,)`` of each candidate together with those given; of those that explain most of what is left.

        As many periodic ones are among them, since these are sought.
        """
        if not given:
            return self.single
        if (known := self.judged.get(frozenset(given))) is not None:
            return known
        design = self.design(given)
        rest = self.sample.without(design)
        left = [j for j in self.functions if j not in given]
        order = sorted(left, key=lambda j: -rest.explained(self.functions[j]).mean())
        periodic = [j for j in order if self.periods[j] is not None]
        tried = dict.fromkeys(order[:MOST_TRIED] + periodic[:MOST_TRIED])
        found = {j: self.sample.explained(_with_products(design, self.functions, given, j)) for j in tried}
        self.judged[frozenset(given)] = found
        return found

    def best(self, given: Sequence[int], periodic: bool = False) -> tuple[int | None, np.ndarray]:
        """The variable that beside those given explains most, and the shares of all; None where none is left.

        Parameters
        ----------
        given : chosen before
        periodic : whether only periodic ones are looked at
        """
        shares = {
            j: each for j, each in self.beside(given).items() if not periodic or self.periods[j] is not None
        }
        if not shares:
            return None, np.zeros(len(self.sample.ends) - 1)
        top = max(shares, key=lambda j: shares[j].mean())
        return top, shares[top]

    def exchanged(
        self, chosen: list[int], reached: np.ndarray, periodic: bool = False
    ) -> tuple[list[int], np.ndarray]:
        """Each variable exchanged for a better one beside the others, until all stay; and their shares."""
        place, kept = 0, 0
        while kept < len(chosen):
            found, shares = self.best(chosen[:place] + chosen[place + 1 :], periodic)
            kept += 1
            if found is not None and shares.mean() > reached.mean() + WORTH_EXCHANGE:
                chosen, reached, kept = [*chosen[:place], found, *chosen[place + 1 :]], shares, 1
            place = (place + 1) % len(chosen)
        return chosen, reached

    def simplified(self, chosen: list[int], least: float) -> tuple[list[int], np.ndarray]:
        """Variables exchanged for periodic ones, as far as all together explain ``least``; and their shares."""
        while True:
            offers = {}
            for place, old in enumerate(chosen):
                if self.periods[old] is None:
                    new, shares = self.best(chosen[:place] + chosen[place + 1 :], periodic=True)
                    if new is not None and shares.mean() >= least:
                        offers[shares.mean()] = [*chosen[:place], new, *chosen[place + 1 :]]
            if not offers:
                break
            chosen = offers[max(offers)]
        reached = self.sample.explained(self.design(chosen))
        all_turn = all(self.periods[j] is not None for j in chosen)
        return self.exchanged(chosen, reached, periodic=True) if all_turn else (chosen, reached)

    def design(self, columns: Sequence[int]) -> np.ndarray:
        """The functions of some variables and of all pairs of them."""
        design = np.zeros((len(self.sample.x), 0))
        for k, column in enumerate(columns):
            design = _with_products(design, self.functions, columns[:k], column)
        return design

    def told(self, chosen: list[int], core: int) -> tuple[ChosenVariable, ...]:
        """The chosen ones, of the core the one that explains most alone first, with what each adds to those before."""
        order: list[int] = []
        for _ in range(core):
            left = [j for j in chosen[:core] if j not in order]
            order.append(max(left, key=lambda j: self.sample.explained(self.design([*order, j])).mean()))
        order += chosen[core:]
        reached, told = np.zeros(len(self.sample.ends) - 1), []
        for k, column in enumerate(order):
            shares = self.sample.explained(self.design(order[: k + 1]))
            gain = shares - reached
            others = [j for j in order[: max(core, k + 1)] if j != column]
            alike = tuple(self.names[j] for j in self._alike(column, others))
            told.append(ChosenVariable(self.names[column], column, float(gain.mean()), _error(gain), alike))
            reached = shares
        return tuple(told)

    def _alike(self, column: int, others: Sequence[int]) -> list[int]:
        """Candidates that beside the others serve as well as one, best first."""
        shares = self.beside(others)
        mine = self.sample.explained(self.design([*others, column]))
        without = self.sample.explained(self.design(others)).mean() if others else 0.0
        found = [
            j for j, each in shares.items() if j != column and _as_good(mine, each, mine.mean() - without)
        ]
        return sorted(found, key=lambda j: -shares[j].mean())


def _error(gain: np.ndarray) -> float:
    """Standard error of a mean over folds."""
    return float(gain.std(ddof=1) / np.sqrt(len(gain)))


def _as_good(best: np.ndarray, other: np.ndarray, gain: float) -> bool:
    """Whether the difference of two shares over folds is within two errors, or small beside the gain."""
    away = best - other
    return bool(away.mean() < max(2 * _error(away), (1 - KEPT) * gain))


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
        unit = np.diag(total).mean() * np.eye(len(total))
        shares = np.zeros((len(RIDGES), len(parts)))
        for k, (part, square, product) in enumerate(zip(parts, squares, products, strict=True)):
            all_of_it = (self.weights[part, None] * self.y[part] ** 2).sum()
            for row, ridge in enumerate(RIDGES):
                found = scipy.linalg.solve(total - square + ridge * unit, right - product, assume_a="pos")
                # sum w |y - f c|^2 from the sums of the part held out
                left = all_of_it - 2 * (found * product).sum() + (found * (square @ found)).sum()
                shares[row, k] = 1 - left / all_of_it
        return shares[shares.mean(axis=1).argmax()]

    def without(self, functions: np.ndarray) -> _Sample:
        """The same with what functions explain taken off the coordinates."""
        f = np.concatenate([np.ones((len(functions), 1)), functions], axis=1)
        weighted = f * self.weights[:, None]
        squares = weighted.T @ f
        found = np.linalg.solve(
            squares + RIDGES[0] * np.diag(squares).mean() * np.eye(len(squares)), weighted.T @ self.y
        )
        return replace(self, y=self.y - f @ found)


def _functions(x: np.ndarray, weights: np.ndarray, period: float | None) -> np.ndarray:
    """Hats of one candidate ``(frames, functions)``, one at their node and zero at the others.

    Nodes are quantiles of frames and range mixed half and half: fine where the frames are, and none far from a node.
    """
    low, length = (0.0, period) if period is not None else (x.min(), np.ptp(x))
    x = x if period is None else x % period
    order = np.argsort(x)
    at = np.concatenate([[low], x[order], [low + length]])
    mass = np.concatenate([[0.0], np.cumsum(weights[order]) / weights.sum(), [1.0]])
    # the last node of a circle is its first
    wanted = np.linspace(0, 1, NODES) if period is None else np.arange(NODES) / NODES
    nodes = np.interp(wanted, (mass + (at - low) / length) / 2, at)
    # hats sum to one; the first is left to the constant
    return np.stack([np.interp(x, nodes, each, period=period) for each in np.eye(NODES)[1:]], axis=1)


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
