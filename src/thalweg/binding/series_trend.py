"""What makes a ligand bind better than its kin, in any pocket: kernel ridge regression about the mean of each series.

Across proteins, differences within a series are what can be learned; the offset of a series is not asked for. With
``P`` the projection that takes from each series its mean and ``K`` a kernel, predictions are

    f = K P (P K P + l)^-1 P y,

and the ridge ``l`` is the one that does best on groups of series left out of the training set.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.learning.models import Method, Model
from thalweg.learning.splits import folds
from thalweg.shapes import Float


@dataclass(frozen=True)
class SeriesTrend(Method):
    """Settings of the regression.

    Parameters
    ----------
    ridges : to choose from
    parts : into which groups are dealt to choose
    seed : of that deal

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> x, series = generator.normal(size=60), np.repeat(np.arange(6), 10)
    >>> labels = np.where(series == 0, np.nan, 2 * x + series)
    >>> model = SeriesTrend(parts=3).fit(np.outer(x, x), labels, series.tolist(), series.tolist())
    >>> bool(np.corrcoef(model.means[:10], x[:10])[0, 1] > 0.999)
    True
    """

    ridges: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0, 30.0)
    parts: int = 5
    seed: int = 0

    def fit(
        self,
        kernel: Float[np.ndarray, "ligands ligands"],
        labels: Float[np.ndarray, " ligands"],
        series: Sequence[Hashable],
        groups: Sequence[Hashable],
    ) -> SeriesTrendModel:
        """The trend in labels where they are known, for all ligands.

        Parameters
        ----------
        labels : NaN for ligands to be predicted
        series : of which set of ligands of one target each is
        groups : of which cluster of proteins each is; they are left out whole to choose the ridge

        Raises
        ------
        ValueError
            If the known ligands are of fewer groups than ``parts``.
        """
        known = np.flatnonzero(~np.isnan(labels))
        own = [groups[k] for k in known]
        errors = np.zeros(len(self.ridges))
        for train, test in folds(len(known), self.parts, self.seed, own):
            found = _trend(kernel, labels, series, known[train], known[test], self.ridges)
            centered = _centering([series[k] for k in known[test]])
            errors += (((found - labels[known[test]]) @ centered) ** 2).sum(1)
        ridge = self.ridges[int(errors.argmin())]
        means = _trend(kernel, labels, series, known, np.arange(len(labels)), (ridge,))[0]
        return SeriesTrendModel(means + labels[known].mean(), ridge)


@dataclass(frozen=True, eq=False, repr=False)
class SeriesTrendModel(Model):
    """The fitted trend.

    Attributes
    ----------
    means : (ligands,) whose differences within a series are what is expected; offsets of series say nothing
    ridge : that was chosen
    """

    means: Float[np.ndarray, " ligands"]
    ridge: float


def _trend(kernel, labels, series, train, test, ridges):
    """``K P (P K P + l)^-1 P y`` at ``test`` for each ridge, (ridges, test)."""
    centered = _centering([series[k] for k in train])
    values, vectors = np.linalg.eigh(centered @ kernel[np.ix_(train, train)] @ centered)
    inner = vectors.T @ (centered @ labels[train])
    outer = kernel[np.ix_(test, train)] @ centered @ vectors
    return np.array([outer @ (inner / (np.maximum(values, 0) + ridge)) for ridge in ridges])


def _centering(series):
    """``P``, which takes from each series its mean."""
    names = list(dict.fromkeys(series))
    place = np.array([names.index(each) for each in series])
    same = (place[:, None] == place).astype(float)
    return np.eye(len(place)) - same / same.sum(1, keepdims=True)
