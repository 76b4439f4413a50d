"""Regression trees [breiman2001] as arrays: grown by scikit-learn, kept and asked without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.shapes import Float, Int, Shaped

LEAF = -1
"""In place of a child."""


@dataclass(frozen=True, eq=False)
class RegressionTrees:
    """Trees, the nodes of all one after another.

    A row goes to the left child of a node where its number in ``columns`` is at most the threshold.

    Attributes
    ----------
    roots : (trees,) node where each tree begins
    columns : (nodes,) which column a node reads
    thresholds : (nodes,) what it compares with
    left, right : (nodes,) its children, `LEAF` in leaves
    values : (nodes,) mean label of the training rows that reach it
    """

    roots: Int[np.ndarray, " trees"]
    columns: Int[np.ndarray, " nodes"]
    thresholds: Float[np.ndarray, " nodes"]
    left: Int[np.ndarray, " nodes"]
    right: Int[np.ndarray, " nodes"]
    values: Float[np.ndarray, " nodes"]

    @staticmethod
    def of(trees: Sequence[Any]) -> RegressionTrees:
        """Those of fitted trees of scikit-learn."""
        grown = [each.tree_ for each in trees]
        sizes = np.array([each.node_count for each in grown])
        roots = np.cumsum(sizes) - sizes
        children = [
            np.concatenate([np.where(kids < 0, LEAF, kids + root) for kids, root in zip(side, roots)]).astype(
                np.int32
            )
            for side in ([each.children_left for each in grown], [each.children_right for each in grown])
        ]
        return RegressionTrees(
            roots,
            np.concatenate([np.maximum(each.feature, 0) for each in grown]).astype(np.int32),
            np.concatenate([each.threshold for each in grown]),
            *children,
            np.concatenate([each.value[:, 0, 0] for each in grown]),
        )

    def of_each(self, table: Shaped[np.ndarray, "rows columns"]) -> Float[np.ndarray, "trees rows"]:
        """What each tree says of each row.

        Examples
        --------
        >>> stump = RegressionTrees(np.array([0]), np.array([1, 0, 0]), np.array([0.5, 0.0, 0.0]),
        ...     np.array([1, LEAF, LEAF]), np.array([2, LEAF, LEAF]), np.array([0.0, -1.0, 1.0]))
        >>> stump.of_each(np.array([[9.0, 0.0], [9.0, 1.0]])).tolist()
        [[-1.0, 1.0]]
        """
        rows = np.arange(len(table))
        nodes = np.repeat(self.roots[:, None], len(table), 1)
        while (inner := self.left[nodes] != LEAF).any():
            goes_left = table[rows, self.columns[nodes]] <= self.thresholds[nodes]
            nodes = np.where(inner, np.where(goes_left, self.left[nodes], self.right[nodes]), nodes)
        return self.values[nodes]
