r"""Polynomials of standardized features, products included, up to a total degree [nuske2014].

.. math::  \varphi_\alpha(x) = \prod_i \mathrm{He}_{\alpha_i}\!\left(\frac{x_i - \bar x_i}{\sigma_i}\right),
           \qquad 1 \le \textstyle\sum_i \alpha_i \le d

with the Hermite polynomials that are orthonormal under a normal distribution, which keeps covariances well
conditioned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb, factorial
from typing import Any

import numpy as np

from thalweg.collective_variables.bases.basis import feature_names
from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories

MOST = 5000
"""Functions above which a basis is refused."""


@dataclass(frozen=True)
class Polynomials:
    """Products of powers of features up to a total ``degree``.

    Parameters
    ----------
    degree : largest sum of exponents

    Raises
    ------
    ValueError
        If the degree is not positive, or there would be more than 5000 functions.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((100, 2))
    >>> Polynomials(2).fit(Trajectories([x], names=["a", "b"])).names
    ('a', 'b', 'a^2', 'a b', 'b^2')
    """

    degree: int = 3

    def __post_init__(self):
        if self.degree < 1:
            raise ValueError(f"degree={self.degree} must be at least one")

    def fit(self, data: Trajectories) -> PolynomialFunctions:
        """The functions, fitted to data.

        Raises
        ------
        ValueError
            If there would be more than 5000 functions.
        """
        count = comb(data.n_features + self.degree, self.degree) - 1
        if count > MOST:
            raise ValueError(
                f"{data.n_features} features have {count} products up to degree {self.degree}; reduce them first "
                "(PCA, TICA), take a lower degree, or use Landmarks"
            )
        sums = covariances(data, n_blocks=1)
        deviations = np.sqrt(np.diagonal(sums.c00))
        exponents = tuple(_exponents(data.n_features, self.degree))
        scale = np.where(deviations > 0, deviations, 1.0)
        return PolynomialFunctions(sums.mean_0, scale, exponents, feature_names(data))


@dataclass(frozen=True, eq=False)
class PolynomialFunctions:
    """Fitted polynomials.

    Attributes
    ----------
    mean, scale : (features,)
    exponents : for every function, the features that it is a product of, with their exponents
    features : names of the features
    """

    mean: Shaped[np.ndarray, " features"]
    scale: Shaped[np.ndarray, " features"]
    exponents: tuple[tuple[tuple[int, int], ...], ...]
    features: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return tuple(
            " ".join(self.features[i] + (f"^{n}" if n > 1 else "") for i, n in factors)
            for factors in self.exponents
        )

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        x = (frames - xp.asarray(self.mean, dtype=frames.dtype)) / xp.asarray(self.scale, dtype=frames.dtype)
        highest = max(n for factors in self.exponents for _, n in factors)
        # He_{n+1}(x) = x He_n(x) - n He_{n-1}(x), divided by sqrt(n!) below
        powers = [xp.ones_like(x), x]
        for n in range(1, highest):
            powers.append(x * powers[n] - n * powers[n - 1])
        columns = []
        for factors in self.exponents:
            value = 1.0
            for i, n in factors:
                value = value * powers[n][:, i] / factorial(n) ** 0.5
            columns.append(value)
        return xp.stack(columns, axis=1)


def _exponents(features: int, degree: int) -> Iterator[tuple[tuple[int, int], ...]]:
    for total in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(features), total):
            yield tuple((i, chosen.count(i)) for i in sorted(set(chosen)))
