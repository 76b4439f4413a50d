r"""Sparse TICA: slow coordinates of few features, for people to read and for biases to be cheap.

.. math::  \max_a \frac{a^T \bar C_t\, a}{a^T C_0\, a} \quad\text{with at most } k \text{ entries of } a
           \text{ not zero}

Features join one by one, each time the one with which the quotient grows most, or are those of the largest
coefficients in the slowest combination of all; the weakest are exchanged while that helps, and the better set of each
size is kept. Others pose the same problem with a penalty [mcgibbon2017] or follow a truncated flow to its solution
[tan2018]. Without being told, `SparseTICA` takes the fewest features whose coordinate is as slow as that of all
features, to a share of its timescale. Later coordinates are uncorrelated with earlier ones.

Where features are more than frames any few tens of them fit the data; the search is then among `CANDIDATES` of them,
half of the largest coefficients in the coordinates of all features, half slowest by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import scipy

from thalweg.collective_variables.bases.basis import along
from thalweg.collective_variables.bases.frame_space import Combinations
from thalweg.collective_variables.bases.linear_map import project
from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.collective_variables.covariances.held_out import FOLDS, held_out_timescales, overfitted
from thalweg.collective_variables.covariances.slow_modes import SlowModes, decay_times, symmetrized
from thalweg.collective_variables.covariances.stationarity import StationaryWeights
from thalweg.collective_variables.linear.evidence import (
    diagnosed,
    observed_processes,
    quoted,
    undersampled,
)
from thalweg.collective_variables.linear.held_out_score import held_out_score
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VACModel
from thalweg.learning.models import Model, Transforming
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.crossings import Process
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

CANDIDATES = 200
"""Features searched through where these are more than frames."""


@dataclass(frozen=True, eq=False)
class SparseModel(Model):
    """Slow coordinates of few features.

    Attributes
    ----------
    dense : the model of all features
    supports : for every coordinate, the features it depends on, most important first
    mean : (features,)
    loadings : (features, dim), coordinates of unit variance
    timescales : (dim,) [ps]
    path : for every coordinate, the timescale [ps] against the number of features
    names : of the features
    notes : what one should know about the data
    processes : of the coordinates, with how often the data show them
    """

    dense: VACModel
    supports: tuple[np.ndarray, ...]
    mean: Shaped[np.ndarray, " features"]
    loadings: Shaped[np.ndarray, "features dim"]
    timescales: Shaped[np.ndarray, " dim"]
    path: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...]
    processes: tuple[Process, ...]

    def transform(self, data: Any) -> Any:
        """Coordinates ``(frames, dim)`` of an array or of every trajectory."""
        return project(data, self.mean, self.loadings)

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        """VAMP-r score of the coordinates on other data; see `covariances.scores`."""
        return held_out_score(as_trajectories(data), self.dense.lagtime, self.loadings, r=r)

    def __str__(self) -> str:
        lines = []
        for k, support in enumerate(self.supports):
            terms = " ".join(f"{self.loadings[i, k]:+.3g} ({self.names[i]})" for i in support)
            time = quoted(self.processes[k : k + 1]) or f"{self.timescales[k]:.4g} ps"
            lines.append(f"{time} of {self.dense.timescales[k]:.4g}: {terms}")
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True)
class SparseTICA(Transforming):
    """TICA with few features per coordinate.

    Parameters
    ----------
    lagtime : int
        In frames.
    dim : int
        Number of coordinates.
    features : int, optional
        Features per coordinate; None for the fewest that keep the timescale.
    keep : float
        Share of the timescale of all features that is enough.
    most : int
        Features per coordinate at most, if their number is not given.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> x = random.standard_normal((20000, 10))
    >>> for t in range(1, len(x)):
    ...     x[t, 3] += 0.98 * x[t - 1, 3]
    >>> SparseTICA(lagtime=5, dim=1).fit(x).supports[0].tolist()
    [3]
    """

    lagtime: int
    dim: int = 1
    features: int | None = None
    keep: float = 0.95
    most: int = 50

    def __post_init__(self):
        if (self.features is not None and self.features < 1) or not 0 < self.keep < 1 or self.most < 1:
            raise ValueError(
                f"features={self.features}, keep={self.keep}, most={self.most}: numbers of features are positive, the "
                "share to keep is between zero and one"
            )

    @on_one_thread
    def fit(self, data: TrajectoryData) -> SparseModel:
        r"""Coordinates of data.

        =====================  ====================================================
        symbol                 variable
        =====================  ====================================================
        :math:`C_0`            ``c0``, of standardized features
        :math:`\bar C_t`       ``ct``, symmetrized, deflated coordinate by coordinate
        :math:`a`              ``full``; ``vector`` on the ``support``
        =====================  ====================================================

        Raises
        ------
        ValueError
            As `TICA.fit` does.
        """
        trajectories = as_trajectories(data)
        dense = TICA(self.lagtime, self.dim, scaling="unit").fit(trajectories)
        sums, candidates = self._candidates(trajectories, dense)
        found = self._found(sums, dense.timescales).among(candidates, dense.mean)
        processes, unseen = diagnosed(
            "crossings",
            lambda: observed_processes(
                project(trajectories, found.mean, found.loadings), found.timescales, self.lagtime
            ),
            (),
        )

        def modes_of(part: Covariances) -> SlowModes:
            one = replace(self, dim=1)._found(part, dense.timescales)
            return SlowModes(one.mean, one.loadings, np.zeros(1), one.timescales)

        by_chance, failed = diagnosed(
            "slowness on data left out",
            lambda: overfitted(found.timescales, held_out_timescales(sums, modes_of, 1)),
            (),
        )
        names = tuple(trajectories.name(i) for i in range(trajectories.n_features))
        notes = (
            trajectories.notes(self.lagtime)
            + by_chance
            + failed
            + undersampled(processes)
            + unseen
            + dense.imprecision
        )
        if len(candidates) < len(names):
            notes += (
                f"{trajectories.n_frames} frames of {len(names)} features: searched among {len(candidates)} of them",
            )
        return SparseModel(dense, *found, names, notes + dense.modes.notes, processes)

    def _candidates(self, data: Trajectories, dense: VACModel) -> tuple[Covariances, np.ndarray]:
        """Covariances of the features searched through, and which these are."""
        if data.n_frames >= data.n_features:
            sums = covariances(data, self.lagtime, reweight=dense.stationary_weights, kept=FOLDS)
            return sums, np.arange(data.n_features)
        frames = np.concatenate([frames for _, _, frames in data.chunks()]) - dense.mean
        deviation = frames.std(axis=0)
        # of every feature alone, by its first and last frames as they are
        ends = [np.cumsum(data.lengths) - data.lengths, np.cumsum(data.lengths)]
        pairs = np.concatenate([np.arange(a, max(a, b - self.lagtime)) for a, b in zip(*ends)])
        alone = (frames[pairs] * frames[pairs + self.lagtime]).mean(axis=0) / np.maximum(deviation**2, 1e-300)
        important = np.abs(dense.loadings * deviation[:, None]).max(axis=1)
        half = CANDIDATES // 2
        chosen = np.union1d(
            np.argsort(-important)[:half], np.argsort(-np.where(deviation > 0, alone, -2.0))[:half]
        )
        chosen = chosen[deviation[chosen] > 1e-7 * np.maximum(np.abs(dense.mean[chosen]), 1e-30)]
        weights = dense.stationary_weights
        # the weight of a frame, which knows all features, as one more column beside those chosen
        direction = np.zeros(data.n_features) if weights is None else weights.direction
        offset = 0.0 if weights is None else (dense.mean - weights.mean) @ direction
        matrix = np.column_stack([np.eye(data.n_features)[:, chosen], direction])
        last = np.eye(len(chosen) + 1)[-1]
        reweight = None if weights is None else StationaryWeights(-offset * last, last)
        sums = covariances(
            along(data, Combinations(dense.mean, matrix)), self.lagtime, reweight=reweight, kept=FOLDS
        )
        return sums.along(np.eye(len(chosen) + 1)[:, :-1]), chosen

    def _found(self, sums: Covariances, targets: np.ndarray) -> _Coordinates:
        """Coordinates of covariances, and timescales of all features that they are to come near to."""
        mean, c0, ct = symmetrized(sums)
        # standardized features, so that sizes of coefficients can be compared
        scale = np.sqrt(np.maximum(np.diag(c0), 0))
        usable = scale > 0
        inverse = np.where(usable, 1 / np.where(usable, scale, 1), 0)
        c0, ct = (matrix * inverse[:, None] * inverse for matrix in (c0, ct))
        supports, loadings, times, paths = [], [], [], []
        for k in range(self.dim):
            support, vector, path = self._coordinate(c0, ct, usable, float(targets[k]), sums)
            # unit variance, a^T C_0 a = 1
            full = np.zeros(len(mean))
            full[support] = vector
            full /= np.sqrt(full @ c0 @ full)
            order = np.argsort(-np.abs(full[support]))
            supports.append(np.asarray(support)[order])
            loadings.append(full * inverse * np.sign(full[np.abs(full).argmax()]))
            times.append(path[-1])
            paths.append(np.array(path))
            # deflation: C_t without this coordinate, so that the next is uncorrelated with it
            ct = ct - np.outer(c0 @ full, c0 @ full) * (full @ ct @ full)
        return _Coordinates(tuple(supports), mean, np.array(loadings).T, np.array(times), tuple(paths))

    def _coordinate(self, c0, ct, usable, target, sums):
        """Features, their coefficients, and timescales on the way."""
        limit = self.features or min(self.most, int(usable.sum()))
        ranked = _by_importance(c0, ct, usable)
        path: list[float] = []
        chosen = _Chosen((), 0.0, np.zeros(0))
        while len(chosen.support) < limit:
            grown = (*chosen.support, _best_addition(c0, ct, chosen, usable))
            candidates = {grown, ranked[: len(grown)]}
            chosen = max(
                (_exchanged(c0, ct, each, usable) for each in candidates), key=lambda each: each.value
            )
            path.append(float(decay_times(np.array([chosen.value]), sums)[0]))
            if self.features is None and path[-1] >= self.keep * target:
                break
        return list(chosen.support), chosen.vector, path


class _Coordinates(NamedTuple):
    """The fields of `SparseModel` that covariances say."""

    supports: tuple[np.ndarray, ...]
    mean: np.ndarray
    loadings: np.ndarray
    timescales: np.ndarray
    path: tuple[np.ndarray, ...]

    def among(self, candidates: np.ndarray, mean: np.ndarray) -> _Coordinates:
        """These coordinates of candidates as those of all features, whose ``mean`` was taken off if these are more."""
        if len(candidates) == len(mean):
            return self
        loadings = np.zeros((len(mean), self.loadings.shape[1]))
        loadings[candidates] = self.loadings
        center = mean.copy()
        center[candidates] += self.mean
        supports = tuple(candidates[support] for support in self.supports)
        return _Coordinates(supports, center, loadings, self.timescales, self.path)


class _Chosen(NamedTuple):
    """A set of features, the largest quotient on them and its coefficients."""

    support: tuple[int, ...]
    value: float
    vector: np.ndarray


def _slowest(c0: np.ndarray, ct: np.ndarray, support: tuple[int, ...]) -> _Chosen:
    """The slowest combination of a set of features."""
    block = np.ix_(support, support)
    values, vectors = scipy.linalg.eigh(ct[block], c0[block] + 1e-9 * np.eye(len(support)))
    return _Chosen(support, float(values[-1]), vectors[:, -1])


def _by_importance(c0: np.ndarray, ct: np.ndarray, usable: np.ndarray) -> tuple[int, ...]:
    """Features by the size of their coefficients in the slowest combination of all."""
    every = _slowest(c0, ct, tuple(np.flatnonzero(usable).tolist()))
    return tuple(every.support[k] for k in np.argsort(-np.abs(every.vector)))


def _best_addition(c0: np.ndarray, ct: np.ndarray, chosen: _Chosen, usable: np.ndarray) -> int:
    """The feature with which the quotient grows most: the larger eigenvalue of each two-dimensional problem."""
    support, vector = list(chosen.support), chosen.vector
    if not support:
        quotients = np.where(usable, np.diag(ct) / np.where(usable, np.diag(c0), 1), -np.inf)
        return int(np.argmax(quotients))
    # the quotient in the plane of the present combination (1) and one further feature (2), for all features at once
    a11, b11 = vector @ ct[np.ix_(support, support)] @ vector, vector @ c0[np.ix_(support, support)] @ vector
    a12, b12 = ct[:, support] @ vector, c0[:, support] @ vector
    a22, b22 = np.diag(ct), np.diag(c0)
    determinant = np.maximum(b11 * b22 - b12**2, 0.0)
    # det B = 0: the feature says what is said already
    free = usable & (determinant > 1e-6 * b11)
    free[support] = False
    if not free.any():
        raise ValueError("no further feature is independent of those chosen; ask for fewer")
    safe = np.where(free, determinant, 1.0)
    # larger root of det(A - lambda B) = 0
    half_trace = (a11 * b22 + a22 * b11 - 2 * a12 * b12) / (2 * safe)
    product = (a11 * a22 - a12**2) / safe
    quotients = half_trace + np.sqrt(np.maximum(half_trace**2 - product, 0))
    return int(np.argmax(np.where(free, quotients, -np.inf)))


def _exchanged(c0: np.ndarray, ct: np.ndarray, support: tuple[int, ...], usable: np.ndarray) -> _Chosen:
    """Features after exchanging the least important one as long as that helps."""
    chosen = _slowest(c0, ct, support)
    for _ in range(len(support) if len(support) > 1 else 0):
        weakest = int(np.argmin(np.abs(chosen.vector)))
        reduced = _slowest(c0, ct, chosen.support[:weakest] + chosen.support[weakest + 1 :])
        candidate = _slowest(c0, ct, (*reduced.support, _best_addition(c0, ct, reduced, usable)))
        if candidate.value <= chosen.value * (1 + 1e-9):
            break
        chosen = candidate
    return chosen
