"""Forest of decision trees [breiman2001] on counts and descriptors: what everything else is to beat.

Trees are grown on bootstrap samples, so that every training molecule is predicted by the trees that did not see it. Of
labels 0 and 1 the variance that splits reduce is half of Gini's impurity, and the mean over trees a probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.binding.ligands.features import (
    LigandFeatures,
    LigandPrediction,
    in_table,
    known_labels,
    label_table,
)
from thalweg.binding.ligands.trees import RegressionTrees
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float, Int


@dataclass(frozen=True)
class LigandForest(Method):
    """Settings of the forest.

    Parameters
    ----------
    trees : how many for each task
    columns : fraction of all columns that a split chooses from
    leaf : molecules in a leaf at least
    seed : of bootstrap samples and columns

    Examples
    --------
    >>> counts = np.random.default_rng(0).integers(0, 3, (80, 8)).astype(np.uint8)
    >>> molecules = LigandFeatures({"counts": counts}, counts[:, :2].astype(float))
    >>> model = LigandForest(trees=50, columns=0.5).fit(molecules, counts[:, 0].astype(float))
    >>> model.predict(molecules).means[:3, 0].round().tolist() == counts[:3, 0].tolist()
    True
    """

    trees: int = 300
    columns: float = 0.1
    leaf: int = 1
    seed: int = 0

    def fit(
        self, ligands: LigandFeatures, labels: Float[np.ndarray, " molecules *tasks"]
    ) -> LigandForestModel:
        """A forest for each task.

        Raises
        ------
        ValueError
            If labels do not fit the molecules, see `label_table`.
        """
        from sklearn.ensemble import RandomForestRegressor

        labels = label_table(labels, len(ligands))
        table = ligands.table
        varying = np.flatnonzero(np.ptp(table, 0) > 0)
        table = table[:, varying]
        forests, means, deviations = [], [], []
        for task, (known, values) in enumerate(known_labels(labels)):
            forest = RandomForestRegressor(
                self.trees,
                max_features=self.columns,
                min_samples_leaf=self.leaf,
                random_state=self.seed + task,
            ).fit(table[known], values)
            forests.append(RegressionTrees.of(forest.estimators_))
            mean, deviation = _out_of_bag(forest, table[known], values)
            means.append((known, mean))
            deviations.append((known, deviation))
        return LigandForestModel(
            tuple(forests), varying, in_table(means, len(ligands)), in_table(deviations, len(ligands))
        )


@dataclass(frozen=True, eq=False, repr=False)
class LigandForestModel(Model):
    """Forests fitted to a training set.

    Attributes
    ----------
    forests : trees of each task
    varying : columns of `LigandFeatures.table` that they read
    left_out : (molecules, tasks) each training molecule as predicted by trees that did not see it, NaN without a label
    left_out_deviations : the deviation between these trees
    """

    forests: tuple[RegressionTrees, ...]
    varying: Int[np.ndarray, " varying"]
    left_out: Float[np.ndarray, "molecules tasks"]
    left_out_deviations: Float[np.ndarray, "molecules tasks"]

    def predict(self, ligands: LigandFeatures) -> LigandPrediction:
        """Means over trees, and the deviation between them."""
        table = ligands.table[:, self.varying]
        means, deviations = [], []
        for forest in self.forests:
            of_trees = forest.of_each(table)
            means.append(of_trees.mean(0))
            deviations.append(of_trees.std(0))
        return LigandPrediction(np.stack(means, 1), np.stack(deviations, 1))


def _out_of_bag(forest, table, values):
    """Mean and deviation over the trees that did not see a molecule; the training mean where all did."""
    counts, sums, squares = (np.zeros(len(values)) for _ in range(3))
    for tree, seen in zip(forest.estimators_, forest.estimators_samples_):
        unseen = np.setdiff1d(np.arange(len(values)), seen)
        found = tree.predict(table[unseen])
        counts[unseen] += 1
        sums[unseen] += found
        squares[unseen] += found**2
    means = np.where(counts > 0, sums / np.maximum(counts, 1), values.mean())
    variances = np.where(counts > 1, squares / np.maximum(counts, 1) - means**2, values.var())
    return means, np.sqrt(np.maximum(variances, 0))
