"""From what a model claims to what holds: intervals, probabilities of classes, and where a model knows its way.

Intervals are conformal [angelopoulos2023]: of training molecules that were left out, ``|y - m| / s`` of mean ``m`` and
claimed deviation ``s`` tells how many deviations hold a share of them. Probabilities are logistic in the score
[lin2007], fitted to molecules left out. Both promise something for molecules like those trained on; whether others
are is asked of the nearest training molecule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from thalweg.binding.ligands.average import LigandModel
from thalweg.binding.ligands.features import LigandFeatures, LigandPrediction, label_table
from thalweg.binding.ligands.kernels import minmax_kernel
from thalweg.learning.calibration import alarm_threshold
from thalweg.shapes import Float

STEEPEST = 1e-6
"""Scores are kept so far from 0 and 1 before their odds are taken."""


@dataclass(frozen=True, eq=False)
class LigandIntervals:
    """Intervals that hold a share of labels.

    Attributes
    ----------
    level : the share
    widths : (tasks,) half widths in claimed deviations
    """

    level: float
    widths: Float[np.ndarray, " tasks"]

    @staticmethod
    def of(
        model: LigandModel, labels: Float[np.ndarray, " molecules *tasks"], level: float = 0.9
    ) -> LigandIntervals:
        """Those of a model and the labels that it was fitted to.

        Raises
        ------
        ValueError
            If labels are too few to promise so much.

        Examples
        --------
        >>> from thalweg.binding.ligands.gaussian_process import LigandProcess
        >>> generator = np.random.default_rng(0)
        >>> counts = generator.integers(0, 3, (80, 8)).astype(np.uint8)
        >>> molecules = LigandFeatures({"counts": counts}, counts[:, :2].astype(float))
        >>> labels = counts[:, 0] + generator.normal(size=80)
        >>> found = LigandIntervals.of(LigandProcess().fit(molecules, labels), labels)
        >>> bool(1.2 < found.widths[0] < 2.2)
        True
        """
        off = np.abs(label_table(labels, len(model.left_out)) - model.left_out)
        scores = off / np.maximum(model.left_out_deviations, 1e-12)
        return LigandIntervals(
            level, np.array([alarm_threshold(each[~np.isnan(each)], 1 - level) for each in scores.T])
        )

    def around(self, found: LigandPrediction) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends, each ``(molecules, tasks)``."""
        half = self.widths * found.deviations
        return found.means - half, found.means + half


@dataclass(frozen=True, eq=False)
class ClassProbabilities:
    """``p = 1 / (1 + exp(-(a logit(score) + b)))`` for each task.

    Attributes
    ----------
    slopes, offsets : (tasks,) ``a`` and ``b``
    """

    slopes: Float[np.ndarray, " tasks"]
    offsets: Float[np.ndarray, " tasks"]

    @staticmethod
    def of(model: LigandModel, labels: Float[np.ndarray, " molecules *tasks"]) -> ClassProbabilities:
        """Those of a model and the labels 0 and 1 that it was fitted to.

        Raises
        ------
        ValueError
            If labels are none of 0, 1 and NaN.
        """
        labels = label_table(labels, len(model.left_out))
        if strange := set(np.unique(labels[~np.isnan(labels)])) - {0.0, 1.0}:
            raise ValueError(f"classes are labeled 0 and 1, found {sorted(strange)[:3]}")
        found = [_logistic(_odds(m), y) for m, y in zip(model.left_out.T, labels.T)]
        return ClassProbabilities(np.array([a for a, _ in found]), np.array([b for _, b in found]))

    def __call__(self, scores: Float[np.ndarray, "molecules tasks"]) -> Float[np.ndarray, "molecules tasks"]:
        """Probabilities of class 1.

        Examples
        --------
        >>> ClassProbabilities(np.ones(1), np.zeros(1))(np.array([[0.25]])).tolist()
        [[0.25]]
        """
        return expit(self.slopes * _odds(scores) + self.offsets)


@dataclass(frozen=True, eq=False)
class ApplicabilityDomain:
    """Where training molecules are near: similarity is the mean over fingerprints of MinMax kernels.

    Attributes
    ----------
    ligands : of the training set
    least : similarity to the nearest training molecule above which a molecule is inside
    """

    ligands: LigandFeatures
    least: float

    @staticmethod
    def of(ligands: LigandFeatures, outside: float = 0.05) -> ApplicabilityDomain:
        """The domain that leaves a fraction ``outside`` of training molecules out, each judged by all others.

        Raises
        ------
        ValueError
            If there are fewer than two molecules.

        Examples
        --------
        >>> counts = np.random.default_rng(0).integers(0, 2, (50, 30)).astype(np.uint8)
        >>> known = LigandFeatures({"counts": counts}, np.zeros((50, 1)))
        >>> strange = LigandFeatures({"counts": 40 * np.eye(1, 30).astype(np.uint8)}, np.zeros((1, 1)))
        >>> domain = ApplicabilityDomain.of(known)
        >>> domain.inside(known).all(), domain.inside(strange)
        (np.True_, array([False]))
        """
        if len(ligands) < 2:
            raise ValueError(f"{len(ligands)} molecules span no domain; give a training set")
        alike = _similarities(ligands, ligands)
        np.fill_diagonal(alike, -1)
        return ApplicabilityDomain(ligands, float(np.quantile(alike.max(1), outside)))

    def similarity(self, ligands: LigandFeatures) -> Float[np.ndarray, " molecules"]:
        """Similarity of each molecule to the nearest training molecule."""
        return _similarities(ligands, self.ligands).max(1)

    def inside(self, ligands: LigandFeatures) -> np.ndarray:
        """Whether each molecule is as near to a training molecule as these are to each other, bool."""
        return self.similarity(ligands) >= self.least


def _similarities(first, second):
    return np.mean([minmax_kernel(first.counts[name], own) for name, own in second.counts.items()], 0)


def _odds(scores):
    return logit(np.clip(scores, STEEPEST, 1 - STEEPEST))


def _logistic(odds, labels):
    """Slope and offset of largest likelihood, of labels softened as Platt does so that none is certain."""
    known = ~np.isnan(labels)
    x, y = odds[known], labels[known]
    ones, zeros = y.sum(), (1 - y).sum()
    soft = np.where(y > 0, (ones + 1) / (ones + 2), 1 / (zeros + 2))

    def minus_likelihood(p):
        z = p[0] * x + p[1]
        off = expit(z) - soft
        return np.logaddexp(0, z).sum() - soft @ z, np.array([off @ x, off.sum()])

    return minimize(minus_likelihood, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x
