"""Kernels between environments: how alike two of them are, from their features.

`DotProduct` of normalized features, raised to a power, is the kernel of Gaussian approximation potentials
[bartok2013]; `GaussianKernel` falls off with the distance of features, in ``width`` times their typical distance.
Both are functions of dot products, so that kernels and their derivatives are matrix products.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float
from thalweg.units import InCode


class DotProduct(eqx.Module):
    """``k(f, g) = (f . g)^exponent``, of features of length one."""

    exponent: int = eqx.field(static=True, default=4)

    def __call__(
        self, features: Float[Array, "features sites"], points: Float[Array, "points features"]
    ) -> Float[Array, "points sites"]:
        """Kernels of sites with points."""
        return (points @ features) ** self.exponent

    def self_kernel(self, features: Float[np.ndarray, "sites features"]) -> np.ndarray:
        """``k(f, f)``."""
        return (features * features).sum(1) ** self.exponent

    def pushed(
        self,
        features: Float[np.ndarray, "sites features"],
        owners: np.ndarray,
        pulls: Float[np.ndarray, "pairs 3 features"],
        points: Float[np.ndarray, "points features"],
    ) -> np.ndarray:
        """Derivatives of kernels from those of features, ``(pairs, 3, points)``."""
        slopes = self.exponent * (features @ points.T) ** (self.exponent - 1)
        changes = (pulls.reshape(-1, pulls.shape[-1]) @ points.T).reshape(len(owners), 3, len(points))
        changes *= slopes[owners][:, None]
        return changes

    def pulled_variance(
        self,
        features: Float[np.ndarray, "sites features"],
        pulls: Float[np.ndarray, "sites 3 features"],
    ) -> Float[np.ndarray, "3"]:
        """``sum_ij p_i . (d^2 k / df_i df_j) . p_j``: variances of sums of derivatives along each of three pulls."""
        dots = features @ features.T
        first = self.exponent * dots ** (self.exponent - 1)
        second = self.exponent * (self.exponent - 1) * dots ** max(self.exponent - 2, 0)
        sums = []
        for pull in pulls.transpose(1, 0, 2):  # d^2k/df dg = k' 1 + k'' g f^T, of the dot product of f and g
            across = pull @ features.T
            sums.append((first * (pull @ pull.T)).sum() + (second * across * across.T).sum())
        return np.array(sums)

    def fitted(self, features: Float[np.ndarray, "sites features"]) -> DotProduct:
        """The same: it has no scale."""
        return self


class GaussianKernel(eqx.Module):
    """``exp(-|f - g|^2 / 2 (width scale)^2)``, ``scale`` the root mean square distance of features seen."""

    width: float = 1.0
    scale: InCode[float] = 1.0

    def __call__(
        self, features: Float[Array, "features sites"], points: Float[Array, "points features"]
    ) -> Float[Array, "points sites"]:
        inverse = 0.5 / (self.width * self.scale) ** 2
        squares = (features * features).sum(0) + (points * points).sum(1)[:, None] - 2 * points @ features
        if isinstance(squares, np.ndarray):  # in the precision it came in
            return np.exp(-inverse * np.maximum(squares, 0))
        return jnp.exp(-inverse * jnp.maximum(squares, 0))

    def self_kernel(self, features: Float[np.ndarray, "sites features"]) -> np.ndarray:
        return np.ones(len(features))

    def pushed(
        self,
        features: Float[np.ndarray, "sites features"],
        owners: np.ndarray,
        pulls: Float[np.ndarray, "pairs 3 features"],
        points: Float[np.ndarray, "points features"],
    ) -> np.ndarray:
        inverse = 1 / (self.width * self.scale) ** 2
        squares = (features**2).sum(1)[:, None] + (points**2).sum(1) - 2 * features @ points.T
        kernels = inverse * np.exp(-0.5 * inverse * np.maximum(squares, 0))
        changes = (pulls.reshape(-1, pulls.shape[-1]) @ points.T).reshape(len(owners), 3, len(points))
        changes -= np.einsum("pax,px->pa", pulls, features[owners])[..., None]
        changes *= kernels[owners][:, None]
        return changes

    def pulled_variance(
        self, features: Float[np.ndarray, "sites features"], pulls: Float[np.ndarray, "sites 3 features"]
    ) -> Float[np.ndarray, "3"]:
        inverse = 1 / (self.width * self.scale) ** 2
        norms = (features * features).sum(1)
        squares = norms[:, None] + norms - 2 * features @ features.T
        kernels = inverse * np.exp(-0.5 * inverse * np.maximum(squares, 0))
        sums = []
        for pull in pulls.transpose(1, 0, 2):
            # d^2k/df dg = k / w^2 (1 - (f - g)(f - g)^T / w^2)
            across = pull @ features.T
            along = np.diagonal(across)[:, None] - across
            sums.append((kernels * (pull @ pull.T + inverse * along * along.T)).sum())
        return np.array(sums)

    def fitted(self, features: Float[np.ndarray, "sites features"]) -> GaussianKernel:
        """With the scale of ``features``."""
        spread = features.var(0).sum()
        return GaussianKernel(self.width, float(np.sqrt(2 * spread)) or 1.0)


Kernel = DotProduct | GaussianKernel
