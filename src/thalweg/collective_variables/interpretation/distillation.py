r"""Sparse distillation: a learned variable said again in a few named features.

.. math::  z(x) \approx c + \sum_{j \in S} l_j\, (x_j - \bar x_j), \qquad |S| \text{ small}

Features are chosen by orthogonal matching pursuit or the lasso (`feature_selection`) from block sums of one pass over
the data. For every number of features the fit, choice included, is repeated without one block after the other and
judged on it; taken is the least number whose error is within one standard error of the best [breiman1984]. Errors are
shares of the variable's variance that are left unexplained.

Where the variable is a function of these very features, its gradients may be fitted along with it,

.. math::  \big\langle (z - \hat z)^2 \big\rangle + \gamma \sum_j \sigma_j^2\,
           \big\langle (\partial_j z - l_j)^2 \big\rangle ,

which matters where it is to drive a simulation: its forces are then right on average, even along features that hardly
vary in the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.bases.basis import along, feature_names
from thalweg.collective_variables.bases.linear_map import project
from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.collective_variables.interpretation.feature_selection import (
    OrthogonalMatchingPursuit,
    Selection,
    Support,
    coefficients,
)
from thalweg.learning.models import Method, Model
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.trajectories import CHUNK, Trajectories, TrajectoryData, as_trajectories

Variable = Callable[[Any], Any] | Trajectories | Sequence[np.ndarray] | np.ndarray


@dataclass(frozen=True, eq=False)
class DistilledModel(Model):
    """A linear variable of few features.

    Attributes
    ----------
    mean : (features,)
    loadings : (features, dim), zero but for the features in use
    offset : (dim,), values at the mean of the features
    supports : for every coordinate, the features it depends on, most important first
    errors : for every coordinate, held-out error against the number of features, none first, as a share of the variance
    standard_errors : of those, over blocks
    names : of the features
    """

    mean: Shaped[np.ndarray, " features"]
    loadings: Shaped[np.ndarray, "features dim"]
    offset: Shaped[np.ndarray, " dim"]
    supports: tuple[np.ndarray, ...]
    errors: tuple[np.ndarray, ...]
    standard_errors: tuple[np.ndarray, ...]
    names: tuple[str, ...]

    def transform(self, data: Any) -> Any:
        """Values ``(frames, dim)`` of an array, NumPy or JAX, or of every trajectory."""
        values = project(data, self.mean, self.loadings)
        if isinstance(values, Trajectories):
            return replace(values, blocks=[block + self.offset for block in values.blocks])
        return values + values.__array_namespace__().asarray(self.offset, dtype=values.dtype)

    def __str__(self) -> str:
        lines = []
        for k, support in enumerate(self.supports):
            terms = " ".join(f"{self.loadings[i, k]:+.3g} ({self.names[i]})" for i in support)
            constant = self.offset[k] - self.mean @ self.loadings[:, k]
            error, spread = (column[k][len(support)] for column in (self.errors, self.standard_errors))
            lines.append(f"{constant:.3g} {terms}".rstrip() + f"; {error:.1%} ± {spread:.1%} unexplained")
        return "\n".join(lines)


@dataclass(frozen=True)
class Distillation(Method):
    """A small linear model of any variable.

    Parameters
    ----------
    features : number of features per coordinate; None for the fewest within one standard error of the best
    most : features tried at most
    selection : how features are chosen, `OrthogonalMatchingPursuit` or `Lasso`
    gradients : weight of the variable's gradients beside its values; zero for values alone
    n_blocks : about how many blocks of data are left out in turn

    Raises
    ------
    ValueError
        If a number is not positive, or the weight of gradients is negative.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((2000, 10))
    >>> data = Trajectories([x], names=[f"d{k}" for k in range(10)])
    >>> model = Distillation().fit(data, lambda frames: np.tanh(0.3 * frames[:, 3:4] - 0.2 * frames[:, 7:8]))
    >>> model.supports[0].tolist(), model.transform(x).shape
    ([3, 7], (2000, 1))
    """

    features: int | None = None
    most: int = 20
    selection: Selection = field(default_factory=OrthogonalMatchingPursuit)
    gradients: float = 0.0
    n_blocks: int = 10

    def __post_init__(self):
        if (self.features is not None and self.features < 1) or self.most < 1 or self.n_blocks < 2:
            raise ValueError(
                f"features={self.features}, most={self.most} must be positive, n_blocks={self.n_blocks} at least two"
            )
        if self.gradients < 0:
            raise ValueError(f"gradients={self.gradients} is a weight; give zero or more")

    @on_one_thread
    def fit(self, data: TrajectoryData, variable: Variable) -> DistilledModel:
        """The variable in terms of the features of ``data``.

        Parameters
        ----------
        data : named features
        variable : what to say in them: a function of the same frames, in JAX if its gradients are asked for
            (``model.transform``), or its values ``(frames, dim)`` for every trajectory

        Raises
        ------
        ValueError
            If values and frames are not equally many, the variable does not vary, gradients are asked for of
            values alone, or the data cannot be divided into blocks.
        """
        frames = as_trajectories(data)
        values = values_of(frames, variable)
        sums = covariances(beside(frames, values), n_blocks=self.n_blocks)
        if sums.n_blocks < 2:
            raise ValueError(
                "held-out errors need data that can be divided; give longer or more trajectories"
            )
        slopes = np.zeros((sums.n_blocks, frames.n_features, values.n_features))
        if self.gradients:
            if not callable(variable):
                raise ValueError("gradients of plain values are unknown; give the variable as a function")
            slopes = _mean_gradients(frames, variable, self.n_blocks, values.n_features)
        coordinates = [
            self._coordinate(_Sums(sums, slopes, k, self.gradients)) for k in range(values.n_features)
        ]
        loadings, supports, errors, standard = (list(column) for column in zip(*coordinates))
        count = frames.n_features
        return DistilledModel(
            mean=sums.mean_0[:count],
            loadings=np.array(loadings).T,
            offset=sums.mean_0[count:],
            supports=tuple(supports),
            errors=tuple(errors),
            standard_errors=tuple(standard),
            names=feature_names(frames),
        )

    def _coordinate(self, sums: _Sums) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Loadings, features, and held-out errors against their number."""
        most = max(self.features or 0, self.most)
        path = sums.path(self.selection, most, None)
        held_out = np.array([sums.errors(self.selection, len(path) - 1, k) for k in range(sums.n_blocks)])
        error, standard = held_out.mean(axis=0), held_out.std(axis=0, ddof=1) / np.sqrt(sums.n_blocks)
        # the fewest features within one standard error of the best number
        best = int(np.argmin(error))
        enough = error <= error[best] + standard[best]
        count = int(np.argmax(enough)) if self.features is None else min(self.features, len(path) - 1)
        loadings, weights = sums.fitted(path[count], None)
        support = np.array(sorted(path[count], key=lambda j: -weights[j]), int)
        return loadings, support, error, standard


class _Sums:
    """Block sums of one coordinate and the features, with any block left out."""

    def __init__(self, sums: Covariances, slopes: np.ndarray, coordinate: int, gamma: float):
        self.sums, self.slopes, self.gamma = sums, slopes[:, :, coordinate], gamma
        self.count = slopes.shape[1]
        self.column = self.count + coordinate
        self.variance = float(sums.c00[self.column, self.column])
        if not self.variance > 1e-14 * sums.mean_0[self.column] ** 2:
            raise ValueError(
                f"coordinate {coordinate} of the variable does not vary; there is nothing to say"
            )
        deviation = np.sqrt(np.maximum(np.diag(sums.c00)[: self.count], 0))
        varies = deviation > 1e-7 * np.maximum(np.abs(sums.mean_0[: self.count]), 1e-30)
        self.scale = np.where(varies, deviation, np.inf)

    @property
    def n_blocks(self) -> int:
        return self.sums.n_blocks

    def without(self, block: int | None) -> tuple[Covariances, np.ndarray, np.ndarray]:
        """All blocks but one: their sums, and correlations of standardized features among each other and with it."""
        times = np.ones(self.n_blocks)
        if block is not None:
            times[block] = 0.0
        sums, n = self.sums.resampled(times), self.count
        # normal equations in standardized features; gradients add gamma to the diagonal, and gamma sigma <dz> to the
        # right-hand side
        gram = sums.c00[:n, :n] / self.scale[:, None] / self.scale + self.gamma * np.diag(
            1.0 * np.isfinite(self.scale)
        )
        target = sums.c00[:n, self.column] / self.scale
        if self.gamma:
            weight = times * self.sums.blocks.weight
            target = target + self.gamma * np.where(np.isfinite(self.scale), self.scale, 0.0) * (
                weight @ self.slopes / weight.sum()
            )
        return sums, gram, target

    def path(self, selection: Selection, most: int, block: int | None) -> list[Support]:
        """Sets of features, from those that vary."""
        _, gram, target = self.without(block)
        usable = np.flatnonzero(np.isfinite(self.scale))
        inner = selection.supports(gram[np.ix_(usable, usable)], target[usable], min(most, len(usable)))
        return [tuple(usable[list(support)].tolist()) for support in inner]

    def fitted(self, support: Support, block: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Loadings, and their size in standardized features."""
        _, gram, target = self.without(block)
        standardized = coefficients(gram, target, support)
        return standardized / self.scale, np.abs(standardized)

    def errors(self, selection: Selection, sizes: int, block: int) -> np.ndarray:
        """Mean squared error in the block left out, for none up to ``sizes`` features, over the variance."""
        training, *_ = self.without(block)
        times = np.zeros(self.n_blocks)
        times[block] = 1.0
        test, n = self.sums.resampled(times), self.count
        errors = np.empty(sizes + 1)
        path = self.path(selection, sizes, block)
        for size in range(sizes + 1):
            # <(z - c - l . (x - mean))^2> in the block, from its covariances and the shift of its mean
            row = np.append(-self.fitted(path[min(size, len(path) - 1)], block)[0], 1.0)
            chosen = [*range(n), self.column]
            bias = row @ (test.mean_0 - training.mean_0)[chosen]
            errors[size] = row @ test.c00[np.ix_(chosen, chosen)] @ row + bias**2
        return errors / self.variance


@dataclass(frozen=True, eq=False)
class _Named:
    """A variable as functions of frames."""

    variable: Callable[[Any], Any]
    names: tuple[str, ...]

    def __call__(self, frames: Any) -> Any:
        return self.variable(frames)


def values_of(data: Trajectories, variable: Variable) -> Trajectories:
    """Values of the variable, one row per frame, evaluated when they are read.

    Raises
    ------
    ValueError
        If values and frames are not equally many, or the variable gives no values ``(frames, dim)``.
    """
    if not callable(variable):
        values = as_trajectories(variable)
        if values.lengths.tolist() != data.lengths.tolist():
            raise ValueError(
                f"got values for {len(values)} trajectories of {values.n_frames} frames, features for "
                f"{len(data)} of {data.n_frames}; give one row of values for each frame"
            )
        return values
    first = next(data.windows(0, [(0, 1)]))
    shape = np.asarray(variable(first)).shape
    if len(shape) != 2 or shape[0] != 1:
        raise ValueError(f"the variable gave shape {shape} for one frame; needed is (frames, dim)")
    return along(data, _Named(variable, tuple(f"value {k}" for k in range(shape[1]))))


def beside(data: Trajectories, values: Trajectories) -> Trajectories:
    """Features and values as columns of the same frames."""
    blocks = [_Beside((data, values), k) for k in range(len(data))]
    return replace(data, blocks=blocks, names=None)


@dataclass(frozen=True, eq=False)
class _Beside:
    """One trajectory of several side by side."""

    parts: tuple[Trajectories, ...]
    trajectory: int

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.parts[0].lengths[self.trajectory]), sum(part.n_features for part in self.parts)

    def __iter__(self) -> Iterator[np.ndarray]:
        length = self.shape[0]
        spans = [(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK)]
        for frames in zip(*(part.windows(self.trajectory, spans) for part in self.parts)):
            yield np.concatenate(frames, axis=1)


def _mean_gradients(data: Trajectories, variable: Callable, n_blocks: int, dim: int) -> np.ndarray:
    """Weighted mean gradients ``(blocks, features, dim)`` in the blocks of `covariances`."""

    @jax.jit
    def summed(frames, weights):
        gradients = jax.vmap(jax.jacrev(lambda x: variable(x[None])[0]))(frames)
        return jnp.einsum("f,fkj->jk", weights, gradients)

    sums: dict[int, np.ndarray] = {}
    weights: dict[int, float] = {}
    for pairs in data.pairs(segments(data.lengths, n_blocks), 0):
        weight = np.ones(len(pairs.x)) if pairs.weights is None else pairs.weights
        block = pairs.segment.block
        part = np.asarray(summed(jnp.asarray(pairs.x, jnp.float32), jnp.asarray(weight, jnp.float32)), float)
        sums[block] = sums.get(block, np.zeros((data.n_features, dim))) + part
        weights[block] = weights.get(block, 0.0) + float(weight.sum())
    return np.array([sums[block] / weights[block] for block in sorted(sums) if weights[block] > 0])
