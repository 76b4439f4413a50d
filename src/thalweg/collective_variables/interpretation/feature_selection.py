r"""Which features to take for a linear fit, from few to many, and the fit on them.

Both ways look at correlations only: of the features with each other, :math:`R`, and with what is fitted, :math:`r`.
Orthogonal matching pursuit [pati1993] takes the feature most correlated with what the ones before have left over. The
lasso [tibshirani1996] lets features in as its penalty on the sum of absolute coefficients is lowered, along the whole
path [efron2004], and may let go of some again. It shrinks coefficients; so the fit here is by least squares on the
features it chose, :math:`R_{SS}\, b_S = r_S`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import scipy

from thalweg.shapes import Float

Support = tuple[int, ...]


@runtime_checkable
class Selection(Protocol):
    """A way to choose features: `OrthogonalMatchingPursuit`, `Lasso`."""

    def supports(
        self, gram: Float[np.ndarray, "features features"], target: Float[np.ndarray, " features"], most: int
    ) -> list[Support]:
        """Sets of 0, 1, 2, ... features from correlations of standardized features; where a size is left out, fewer."""
        ...


@dataclass(frozen=True)
class OrthogonalMatchingPursuit:
    """Features one by one, each the best for what is left.

    Examples
    --------
    >>> OrthogonalMatchingPursuit().supports(np.eye(3), np.array([0.1, 0.9, 0.5]), most=2)
    [(), (1,), (1, 2)]
    """

    def supports(
        self, gram: Float[np.ndarray, "features features"], target: Float[np.ndarray, " features"], most: int
    ) -> list[Support]:
        """Sets of growing size; see `Selection.supports`."""
        from sklearn.linear_model import orthogonal_mp_gram

        if not np.abs(target).max(initial=0.0) > 0:
            return [()]
        with warnings.catch_warnings():  # a path that ends where features are used up is an answer, too
            warnings.simplefilter("ignore", RuntimeWarning)
            path = orthogonal_mp_gram(gram, target, n_nonzero_coefs=most, return_path=True)
        return _growing(np.asarray(path).reshape(len(target), -1))


@dataclass(frozen=True)
class Lasso:
    """Features in the order in which the lasso lets them in.

    Examples
    --------
    >>> Lasso().supports(np.eye(3), np.array([0.1, 0.9, 0.5]), most=2)
    [(), (1,), (1, 2)]
    """

    def supports(
        self, gram: Float[np.ndarray, "features features"], target: Float[np.ndarray, " features"], most: int
    ) -> list[Support]:
        """Sets along the path of the penalty; see `Selection.supports`."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import lars_path_gram

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            path = lars_path_gram(
                Xy=target, Gram=gram, n_samples=1, max_iter=8 * most, method="lasso", copy_X=True
            )
        return _growing(path[2])[: most + 1]


def coefficients(gram: np.ndarray, target: np.ndarray, support: Support) -> np.ndarray:
    """Least-squares coefficients ``(features,)``, zero outside the support."""
    solution = np.zeros(len(target))
    if support:
        chosen = list(support)
        solution[chosen] = scipy.linalg.lstsq(gram[np.ix_(chosen, chosen)], target[chosen], cond=1e-10)[0]
    return solution


def _growing(path: np.ndarray) -> list[Support]:
    """The first set of each size along a path of coefficients ``(features, steps)``; the one before if left out."""
    first: dict[int, Support] = {0: ()}
    for column in path.T:
        support = tuple(np.flatnonzero(column).tolist())
        first.setdefault(len(support), support)
    growing: list[Support] = []
    for size in range(max(first) + 1):
        growing.append(first.get(size, growing[-1] if growing else ()))
    return growing
