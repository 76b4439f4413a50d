"""A measured number or class from molecules alone, with all that one must know to use it.

Beside an average of models stand intervals (or probabilities of classes), both from training molecules that each model
left out, and the domain in which they hold; and the training molecules by name, so that one asked about again is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.binding.ligands.average import LigandAverage, LigandAverageModel
from thalweg.binding.ligands.calibrated import ApplicabilityDomain, ClassProbabilities, LigandIntervals
from thalweg.binding.ligands.features import LigandFeatures
from thalweg.binding.ligands.forest import LigandForest
from thalweg.binding.ligands.gaussian_process import LigandProcess
from thalweg.learning.models import Method, Model
from thalweg.shapes import Bool, Float

CLASSES = (0.0, 1.0)
"""Labels of what is told apart, where there are no others."""


@dataclass(frozen=True)
class QSAR(Method):
    """Settings.

    Parameters
    ----------
    average : models whose average predicts
    level : share of labels that intervals hold

    Examples
    --------
    >>> counts = np.random.default_rng(0).integers(0, 3, (60, 8)).astype(np.uint8)
    >>> molecules = LigandFeatures({"counts": counts}, counts[:, :2].astype(float))
    >>> model = QSAR().fit(molecules, counts[:, 0].astype(float), [str(k) for k in range(60)])
    >>> found = model.predict(molecules)
    >>> bool((found.lower < found.values).all()), model.is_of_classes
    (True, False)
    """

    average: LigandAverage = LigandAverage((LigandProcess(), LigandForest(trees=100)))  # noqa: RUF009
    level: float = 0.9

    def fit(
        self, ligands: LigandFeatures, labels: Float[np.ndarray, " molecules"], names: Sequence[str]
    ) -> QSARModel:
        """The model of labels, which are classes where all are 0 or 1.

        Raises
        ------
        ValueError
            If all labels are the same, or molecules are too few for intervals.
        """
        values = np.unique(labels[~np.isnan(labels)])
        if len(values) == 1:
            raise ValueError(
                f"all {len(labels)} labels are {values[0]:g}: one class only, from which nothing can be told "
                "apart; add molecules of another label"
            )
        average = self.average.fit(ligands, labels)
        classes = set(values) <= set(CLASSES)
        return QSARModel(
            average,
            None if classes else LigandIntervals.of(average, labels, self.level),
            ClassProbabilities.of(average, labels) if classes else None,
            ApplicabilityDomain.of(ligands),
            tuple(names),
            np.asarray(labels, float),
        )


@dataclass(frozen=True, eq=False)
class QSARPrediction:
    """What is said of molecules.

    Attributes
    ----------
    values : (molecules,) expected labels, or probabilities of class 1
    lower, upper : (molecules,) ends of intervals, NaN for classes
    similarities : (molecules,) to the nearest training molecule, between 0 and 1
    inside : (molecules,) whether that is as near as training molecules are to each other
    """

    values: Float[np.ndarray, " molecules"]
    lower: Float[np.ndarray, " molecules"]
    upper: Float[np.ndarray, " molecules"]
    similarities: Float[np.ndarray, " molecules"]
    inside: Bool[np.ndarray, " molecules"]


@dataclass(frozen=True, eq=False, repr=False)
class QSARModel(Model):
    """What was learned of one table.

    Attributes
    ----------
    average : what predicts
    intervals : of numbers, None for classes
    probabilities : of classes, None for numbers
    domain : where training molecules are near
    names : (molecules,) of the training set
    labels : (molecules,) of the training set
    """

    average: LigandAverageModel
    intervals: LigandIntervals | None
    probabilities: ClassProbabilities | None
    domain: ApplicabilityDomain
    names: tuple[str, ...]
    labels: Float[np.ndarray, " molecules"]

    def headline(self) -> dict[str, object]:
        """How many molecules, of what kind."""
        return {"molecules": len(self.names), "labels": "classes" if self.is_of_classes else "numbers"}

    @property
    def is_of_classes(self) -> bool:
        """Whether labels are 0 and 1 alone."""
        return self.probabilities is not None

    def predict(self, ligands: LigandFeatures) -> QSARPrediction:
        """Labels of molecules, how sure they are, and whether the model knows its way there."""
        found = self.average.predict(ligands)
        similarities = self.domain.similarity(ligands)
        inside = similarities >= self.domain.least
        if self.probabilities is not None:
            unknown = np.full(len(ligands), np.nan)
            return QSARPrediction(
                self.probabilities(found.means)[:, 0], unknown, unknown, similarities, inside
            )
        assert self.intervals is not None
        lower, upper = self.intervals.around(found)
        return QSARPrediction(found.means[:, 0], lower[:, 0], upper[:, 0], similarities, inside)
