r"""Functions of frames that a Galerkin approximation has found, with what is needed to sum their equations.

.. math::  f(x) = g(x) + s(x)\, \Big(c_0 + \sum_j c_j\, \varphi_j(x)\Big)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.collective_variables.bases.basis import Functions
from thalweg.collective_variables.bases.linear_map import as_frames, function_values, mapped
from thalweg.kinetics.galerkin.boundary import BoundaryValues
from thalweg.kinetics.galerkin.forms import Increments
from thalweg.kinetics.reactions.stopped_windows import StoppedWindows
from thalweg.learning.models import Model
from thalweg.shapes import Shaped


@dataclass(frozen=True, eq=False)
class Trial:
    """Functions that vanish on sets, the constant first, and a guess that has the values given there.

    Attributes
    ----------
    functions : of frames, anything
    boundary : the sets, the values given on them
    """

    functions: Functions
    boundary: BoundaryValues

    @property
    def size(self) -> int:
        """Number of functions."""
        return 1 + len(self.functions.names)

    def values(self, frames: Any, labels: np.ndarray | None = None) -> Any:
        """Functions ``(frames, functions)``; zero where labels say that a frame is in a set."""
        xp = frames.__array_namespace__()
        factor = self.boundary.factor(frames)
        if labels is not None:
            factor = xp.where(labels == 0, factor, 0.0)
        ones = xp.ones((len(frames), 1), dtype=frames.dtype)
        return factor[:, None] * xp.concat([ones, self.functions(frames)], axis=1)

    def guess(self, frames: Any, labels: np.ndarray | None = None) -> Any:
        """The guess ``(frames,)``."""
        found = self.boundary.guess(frames)
        if labels is not None:
            for k, value in enumerate(self.boundary.values):
                found = np.where(labels == k + 1, value, found)
        return found

    def onward(self, windows: StoppedWindows, accrued: float = 0.0) -> Increments:
        """What windows add to the forms of a function of the future, which grows by ``accrued`` in each step."""
        values, guess = self._evaluated(windows)
        at, stops = windows.begins, windows.stops
        changes, sources = values[stops] - values[at], guess[stops] - guess[at] + accrued * windows.steps
        return Increments(windows.block, windows.weights, values[at], changes, sources)

    def backward(self, windows: StoppedWindows, weights: np.ndarray) -> Increments:
        """What windows add to the forms of a function of the past, with these weights of their begins."""
        values, guess = self._evaluated(windows)
        at, origin = windows.last, windows.origins
        changes, sources = values[origin] - values[at], guess[origin] - guess[at]
        return Increments(windows.block, weights, values[at], changes[None], sources[None])

    def _evaluated(self, windows: StoppedWindows) -> tuple[np.ndarray, np.ndarray]:
        return (
            np.asarray(self.values(windows.frames, windows.labels)),
            np.asarray(self.guess(windows.frames, windows.labels)),
        )


@dataclass(frozen=True, eq=False)
class GalerkinFunction(Model):
    """A function of frames with given values on sets: committor or passage time.

    Attributes
    ----------
    name : what it is
    trial : what it is a combination of
    coefficients : (functions,)
    replicates : (samples, functions), of resampled data
    limits : lowest and highest possible value
    feature_names : of the fit, by which columns of a DataFrame are found; None where there were none
    """

    name: str
    trial: Trial
    coefficients: Shaped[np.ndarray, " functions"]
    replicates: Shaped[np.ndarray, "samples functions"]
    limits: tuple[float, float]
    feature_names: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the one value."""
        return (self.name,)

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        values = self.trial.values(frames) @ xp.asarray(self.coefficients, dtype=frames.dtype)
        return xp.clip(self.trial.guess(frames) + values, *self.limits)[:, None]

    def transform(self, data: Any) -> Any:
        """Values ``(frames, 1)`` of an array, NumPy or JAX, or of every trajectory."""
        return mapped(data, self.feature_names, lambda frames: function_values(frames, self))

    def error(self, frames: Shaped[np.ndarray, "frames features"]) -> np.ndarray:
        """Standard error ``(frames,)`` by resampled data; NaN without any."""
        if len(self.replicates) < 2:
            return np.full(len(frames), np.nan)
        return self.of_replicates(np.asarray(as_frames(frames), float)).std(axis=1, ddof=1)

    def of_replicates(self, frames: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Values ``(frames, samples)`` by every resampling."""
        return self._combined(frames, labels, self.replicates)

    def at(self, frames: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Values ``(frames,)``, those of frames in sets by their labels."""
        return self._combined(frames, labels, self.coefficients[None])[:, 0]

    def _combined(
        self, frames: np.ndarray, labels: np.ndarray | None, coefficients: np.ndarray
    ) -> np.ndarray:
        values, guess = self.trial.values(frames, labels), self.trial.guess(frames, labels)
        return np.clip(guess[:, None] + values @ coefficients.T, *self.limits)

    def headline(self) -> dict[str, object]:
        """What it is made of."""
        return {"function": self.name, "functions": self.trial.size, "replicates": len(self.replicates)}

    def __str__(self) -> str:
        return f"{self.name} from {self.trial.size} functions"


def gradients(function: GalerkinFunction, frames: Shaped[np.ndarray, "frames features"]) -> np.ndarray:
    """Gradients ``(frames, features)`` of a function."""
    import jax
    import jax.numpy as jnp

    slope = jax.grad(lambda x: function(x).sum())
    parts = [np.asarray(slope(jnp.asarray(part))) for part in _pieces(frames)]
    return np.concatenate(parts).astype(float)


def _pieces(frames: np.ndarray, size: int = 2048) -> Iterator[np.ndarray]:
    for start in range(0, len(frames), size):
        yield frames[start : start + size]
