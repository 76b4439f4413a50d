"""Average of models with weights that suit molecules which these have not seen: stacking [wolpert1992].

Each model says of every training molecule what it expects without having seen it, its ``left_out``: by trees that did
not, by all other molecules, by the network of another fold. Weights are the nonnegative ones, of sum one, of least
squares on these [breiman1996b]; no molecule is spent on choosing them, and no test set is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.optimize import nnls

from thalweg.binding.ligands.features import LigandFeatures, LigandPrediction, label_table
from thalweg.binding.ligands.forest import LigandForest
from thalweg.binding.ligands.gaussian_process import LigandProcess
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float


@runtime_checkable
class LigandModel(Protocol):
    """What was learned of ligands: `LigandForestModel`, `LigandProcessModel`, `LigandNetworkModel`, averages."""

    @property
    def left_out(self) -> Float[np.ndarray, "molecules tasks"]:
        """Training molecules as predicted without having seen them, NaN without a label."""
        ...

    @property
    def left_out_deviations(self) -> Float[np.ndarray, "molecules tasks"]:
        """Claimed standard deviations of these."""
        ...

    def predict(self, ligands: LigandFeatures) -> LigandPrediction:
        """Labels that other molecules are expected to have."""
        ...


@runtime_checkable
class LigandMethod(Protocol):
    """A way to learn of ligands."""

    def fit(self, ligands: LigandFeatures, labels: Float[np.ndarray, " molecules *tasks"]) -> LigandModel:
        """The model of these labels, NaN where there is none."""
        ...


@dataclass(frozen=True)
class LigandAverage(Method):
    """Settings of the average.

    Parameters
    ----------
    methods : what is averaged

    Examples
    --------
    >>> counts = np.random.default_rng(0).integers(0, 3, (60, 8)).astype(np.uint8)
    >>> molecules = LigandFeatures({"counts": counts}, counts[:, :2].astype(float))
    >>> model = LigandAverage((LigandProcess(), LigandForest(trees=20))).fit(molecules, counts[:, 0].astype(float))
    >>> bool(np.isclose(model.weights.sum(), 1)), model.predict(molecules).means.shape
    (True, (60, 1))
    """

    methods: Sequence[LigandMethod] = (LigandProcess(), LigandForest())

    def fit(
        self, ligands: LigandFeatures, labels: Float[np.ndarray, " molecules *tasks"]
    ) -> LigandAverageModel:
        """All models, and the weight of each for each task.

        Raises
        ------
        ValueError
            If there are no methods, or labels do not fit the molecules.
        """
        return averaged([each.fit(ligands, labels) for each in self.methods], labels)


def averaged(
    models: Sequence[LigandModel], labels: Float[np.ndarray, " molecules *tasks"]
) -> LigandAverageModel:
    """The average of models that were fitted to the same molecules and ``labels``.

    Raises
    ------
    ValueError
        If there are no models.
    """
    if not models:
        raise ValueError("there is nothing to average; give at least one method, such as LigandProcess()")
    left_out = np.stack([each.left_out for each in models])
    labels = label_table(labels, left_out.shape[1])
    weights = np.stack([_weights(left_out[:, :, k], values) for k, values in enumerate(labels.T)], 1)
    claimed = np.stack([each.left_out_deviations for each in models])
    return LigandAverageModel(tuple(models), weights, *_mixed(weights, left_out, claimed))


@dataclass(frozen=True, eq=False, repr=False)
class LigandAverageModel(Model):
    """Models and the weights of their average.

    Attributes
    ----------
    models : what is averaged
    weights : (models, tasks) of sum one for each task
    left_out, left_out_deviations : (molecules, tasks) as those of each model, averaged
    """

    models: tuple[LigandModel, ...]
    weights: Float[np.ndarray, "models tasks"]
    left_out: Float[np.ndarray, "molecules tasks"]
    left_out_deviations: Float[np.ndarray, "molecules tasks"]

    def predict(self, ligands: LigandFeatures) -> LigandPrediction:
        """Averages; deviations are those of the mixture, disagreement between models included."""
        found = [each.predict(ligands) for each in self.models]
        return LigandPrediction(
            *_mixed(self.weights, np.stack([f.means for f in found]), np.stack([f.deviations for f in found]))
        )


def _weights(left_out, values):
    """Nonnegative weights of sum one, of least squares on predictions of unseen molecules."""
    known = ~np.isnan(values)
    middle = values[known].mean()
    found = nnls((left_out[:, known] - middle).T, values[known] - middle)[0]
    return found / found.sum() if found.sum() > 0 else np.full(len(left_out), 1 / len(left_out))


def _mixed(weights, means, deviations):
    """Mean and standard deviation of a mixture."""
    shares = weights[:, None, :]
    mean = (shares * means).sum(0)
    variance = (shares * (deviations**2 + (means - mean) ** 2)).sum(0)
    return mean, np.sqrt(variance)
