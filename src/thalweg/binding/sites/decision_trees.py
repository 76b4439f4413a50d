"""Decision trees as plain arrays: kept in files that execute nothing, and asked without the program that grew them.

A tree is read from its root: a row goes left where its feature is at most the threshold, else right, until it comes to
a leaf, which holds a value; the answer is the mean over trees [breiman2001].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.learning.models import Model
from thalweg.shapes import Float, Int, Shaped

AT_ONCE = 20_000
"""Rows that go down all trees together."""


@dataclass(frozen=True, eq=False, repr=False)
class DecisionTrees(Model):
    """Nodes of all trees, one after the other.

    Attributes
    ----------
    roots : (trees,) node that each begins at
    features : (nodes,) which column decides; negative at leaves
    thresholds : (nodes,)
    left, right : (nodes,) where it goes on
    values : (nodes,) what leaves answer
    """

    roots: Int[np.ndarray, " trees"]
    features: Int[np.ndarray, " nodes"]
    thresholds: Float[np.ndarray, " nodes"]
    left: Int[np.ndarray, " nodes"]
    right: Int[np.ndarray, " nodes"]
    values: Float[np.ndarray, " nodes"]

    @staticmethod
    def of_classifier(forest: Any) -> DecisionTrees:
        """Those of a fitted forest of scikit-learn for two classes, whose leaves answer how probable the second is.

        Examples
        --------
        >>> from sklearn.ensemble import ExtraTreesClassifier
        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> forest = ExtraTreesClassifier(10, random_state=0).fit(x[:100], x[:100, 0] > 0)
        >>> own = DecisionTrees.of_classifier(forest).predict(x)
        >>> bool(np.allclose(own, forest.predict_proba(x)[:, 1]))
        True
        """
        trees = [each.tree_ for each in forest.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])

        def joined(of_tree):
            return np.concatenate([of_tree(tree, root) for tree, root in zip(trees, roots)])

        return DecisionTrees(
            roots.astype(np.int32),
            joined(lambda tree, _: tree.feature).astype(np.int32),
            joined(lambda tree, _: tree.threshold),
            joined(lambda tree, root: tree.children_left + root).astype(np.int32),
            joined(lambda tree, root: tree.children_right + root).astype(np.int32),
            joined(lambda tree, _: tree.value[:, 0, 1] / tree.value[:, 0].sum(-1)),
        )

    def predict(self, table: Shaped[np.ndarray, "rows columns"]) -> Float[np.ndarray, " rows"]:
        """Mean over trees of what the leaf of each row answers.

        Features are rounded to single precision, as they were when the trees were grown.
        """
        parts = np.array_split(np.asarray(table, np.float32), max(1, -(-len(table) // AT_ONCE)))
        return np.concatenate([self._down(part) for part in parts])

    def _down(self, table):
        total = np.zeros(len(table))
        every = np.arange(len(table))
        for root in self.roots:
            node = np.full(len(table), root)
            going = every if self.features[root] >= 0 else every[:0]
            while len(going):
                here = node[going]
                lower = table[going, self.features[here]] <= self.thresholds[here]
                node[going] = np.where(lower, self.left[here], self.right[here])
                going = going[self.features[node[going]] >= 0]
            total += self.values[node]
        return total / len(self.roots)
