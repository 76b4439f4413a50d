r"""A function of a molecule by a network of its features: functional mode analysis for what is not linear.

.. math::  f_t \approx \hat f(x_t), \qquad
           \big\langle (f_t - \hat f(x_t))^2 \big\rangle \big/ \operatorname{var} f \to \text{least}

`FunctionalModes` comes first: it needs fewer frames, and says of itself whether it found anything. A network is for
functions of which it found nothing, or clearly less, such as how far a hinge is from its middle. Judged is the network
on data that had no say in weights, epoch or start; features are named by `gradient_importance` of its ``transform``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import equinox as eqx
import jax
import numpy as np

from thalweg.collective_variables.bases.linear_map import function_values
from thalweg.collective_variables.interpretation.distillation import Variable, beside, values_of
from thalweg.collective_variables.neural.encoder import Encoder, Scale, Scaling
from thalweg.collective_variables.neural.learned_basis import Learned, Training
from thalweg.time_series.cross_validation import taken
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories
from thalweg.time_series.windows import Batch


class Prediction(eqx.Module):
    """A function of features, in its own unit.

    Attributes
    ----------
    encoder : from features to the function in deviations from its mean
    mean, deviation : of the function
    """

    encoder: Encoder
    mean: np.ndarray
    deviation: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return self.encoder.names

    def __call__(self, frames: Any) -> Any:
        return self.mean + self.deviation * self.encoder(frames)


@dataclass(frozen=True)
class FunctionPrediction:
    """Mean squared error of a function predicted from features, over its variance; the function is the last column."""

    def start(self, scaling: Scale, hidden: Sequence[int], key: jax.Array) -> Prediction:
        """A network with random weights."""
        assert isinstance(scaling, Scaling)
        mean, deviation = scaling.mean, scaling.deviation
        inputs = Scaling(mean[:-1], deviation[:-1])
        return Prediction(Encoder.init(inputs, hidden, 1, key), mean[-1:], deviation[-1:])

    def __call__(self, module: Prediction, batch: Batch) -> jax.Array:
        frames, _, weights = batch.ends(batch.frames)
        missed = (frames[:, -1:] - module.mean) / module.deviation - module.encoder(frames[:, :-1])
        return (weights * missed[:, 0] ** 2).sum() / weights.sum()

    def functions(self, module: Prediction) -> Prediction:
        """What has been learned, as functions of frames."""
        return module


@dataclass(frozen=True)
class FunctionalNetworkModel(Learned):
    """A function as a network of features.

    Attributes
    ----------
    correlation : of function and prediction on data that had no say in weights, epoch or start; NaN where data are
        too few for such
    """

    correlation: float = float("nan")

    def score(self, data: TrajectoryData, function: Variable) -> float:
        """Correlation of function and prediction in other data, by the weights of the frames."""
        frames = as_trajectories(data)
        both = values_of(frames, function), function_values(frames, self.functions)
        known, found = (np.concatenate(_read(each))[:, 0].astype(float) for each in both)
        weights = None if frames.weights is None else np.concatenate(frames.weights)
        matrix = np.cov(known, found, aweights=weights)
        size = float(matrix[0, 0] * matrix[1, 1])
        return float(matrix[0, 1]) / np.sqrt(size) if size > 0 else 0.0


@dataclass(frozen=True)
class FunctionalNetwork(Training):
    """A network that predicts a function from features, trained as `Training` says.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((3000, 3))
    >>> method = FunctionalNetwork(hidden=(16,), steps=600, restarts=1)
    >>> bool(method.fit(x, lambda frames: frames[:, :1] ** 2).correlation > 0.9)  # nothing linear predicts it
    True
    """

    def fit(self, data: TrajectoryData, function: Variable) -> FunctionalNetworkModel:
        """Train.

        Parameters
        ----------
        data : features; frames count by their weights
        function : a number of each frame: values ``(frames, 1)`` for every trajectory, or a function of the frames

        Raises
        ------
        ValueError
            If there is not one value per frame, the function does not vary, or data cannot be divided in two.
        """
        frames = as_trajectories(data)
        values = values_of(frames, function)
        if values.n_features != 1:
            raise ValueError(
                f"got {values.n_features} functions; give one number for each frame, (frames, 1)"
            )
        # read once: epochs read often
        values = replace(values, blocks=_read(values), names=None)
        if not np.ptp(np.concatenate(values.blocks)) > 0:
            raise ValueError(
                f"the function is {values.blocks[0][0, 0]:.6g} in all frames; there is nothing to learn"
            )
        together = beside(frames, values)
        together = replace(together, blocks=_read(together))
        learned = self.basis(FunctionPrediction(), 0).fit(together)
        found = FunctionalNetworkModel(*(getattr(learned, each.name) for each in fields(learned)))
        if not learned.unseen:
            return found
        unseen = (taken(each, learned.unseen) for each in (frames, values))
        return replace(found, correlation=found.score(*unseen))


def _read(data: Trajectories) -> list[np.ndarray]:
    """Blocks as arrays."""
    return [next(iter(data.windows(k, [(0, int(length))]))) for k, length in enumerate(data.lengths)]
