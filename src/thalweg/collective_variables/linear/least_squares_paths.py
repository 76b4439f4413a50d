r"""Linear predictions of one number from many features: a path from few directions to many.

Ordinary least squares of more features than independent frames predicts noise. Both paths here spend directions one by
one, and how many are worth having is told by data left out:

* *partial least squares* [wold1984] takes directions by their covariance with what is left of the function,
  :math:`w_k \propto X^T (y - \hat y_{k-1})`, and fits to the scores :math:`t_k = X w_k` less their parts along those
  before; these are the steps of conjugate gradients on the normal equations;
* *principal components* are taken by their variance, whatever the function is.

With all directions both are ordinary least squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.shapes import Float

EXHAUSTED = 1e-10
"""Length of a direction, relative to the first one, or of a singular value to the largest, that counts as none."""


@runtime_checkable
class LeastSquaresPath(Protocol):
    """From few directions to many. A frozen dataclass of plain data."""

    def __call__(
        self, x: Float[np.ndarray, "frames features"], y: Float[np.ndarray, " frames"], most: int
    ) -> Float[np.ndarray, "most features"]:
        """Coefficients of ``y`` on ``x`` by 1 to ``most`` directions; the last repeated where there are no more."""
        ...


@dataclass(frozen=True)
class PartialLeastSquares:
    """Directions by their covariance with what is left of the function [wold1984].

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((200, 5))
    >>> coefficients = PartialLeastSquares()(x, x @ [1.0, 0.0, -2.0, 0.0, 0.0], 5)
    >>> (abs(coefficients[4].round(6)) + 0.0).tolist()
    [1.0, 0.0, 2.0, 0.0, 0.0]
    """

    def __call__(
        self, x: Float[np.ndarray, "frames features"], y: Float[np.ndarray, " frames"], most: int
    ) -> Float[np.ndarray, "most features"]:
        path = np.zeros((most, x.shape[1]))
        scores = np.zeros((0, len(x)))
        directions = np.zeros((0, x.shape[1]))
        left, first = y.astype(float), 0.0
        for k in range(most):
            direction = x.T @ left
            size = float(np.linalg.norm(direction))
            first = first or size
            if size <= EXHAUSTED * first or size == 0.0:
                path[k:] = path[k - 1] if k else 0.0
                break
            direction = direction / size
            score = x @ direction
            # t_k less its parts along those before, twice for the rounding; r_k with t_k = X r_k follows suit
            for _ in range(2):
                along = scores @ score
                score = score - along @ scores
                direction = direction - along @ directions
            norm = float(np.linalg.norm(score))
            score, direction = score / norm, direction / norm
            scores, directions = np.vstack([scores, score]), np.vstack([directions, direction])
            share = float(score @ left)
            left = left - share * score
            path[k] = (path[k - 1] if k else 0.0) + share * direction
        return path


@dataclass(frozen=True)
class PrincipalComponents:
    """Directions by their variance, the basis of functional mode analysis as it was first done [hub2009].

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((200, 3)) * [1.0, 9.0, 3.0]
    >>> path = PrincipalComponents()(x, x[:, 2], 3)
    >>> abs(path[:, 2]).round(1).tolist()
    [0.0, 1.0, 1.0]
    """

    def __call__(
        self, x: Float[np.ndarray, "frames features"], y: Float[np.ndarray, " frames"], most: int
    ) -> Float[np.ndarray, "most features"]:
        # of x = U S V^T, coefficients are sums of v_k (u_k . y) / s_k; from the smaller matrix of products
        few = len(x) < x.shape[1]
        squares, vectors = np.linalg.eigh(x @ x.T if few else x.T @ x)
        kept = [j for j in range(len(squares) - 1, -1, -1) if squares[j] > EXHAUSTED * squares[-1]][:most]
        right = x.T @ vectors[:, kept] / np.sqrt(squares[kept]) if few else vectors[:, kept]
        terms = right * (right.T @ (x.T @ y) / squares[kept])
        path = np.cumsum(terms.T, axis=0)
        if not len(path):
            return np.zeros((most, x.shape[1]))
        return np.concatenate([path, np.repeat(path[-1:], most - len(path), axis=0)])
