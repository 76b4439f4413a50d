r"""Principal coordinates of a kernel: the flat space whose products are the kernel's, largest directions first.

With weights :math:`w` that sum to one, the kernel is centered, :math:`K_c = (1 - 1 w^T) K (1 - w 1^T)`, and

.. math::  W^{1/2} K_c W^{1/2} u = \lambda u, \qquad y_i = \sqrt{\lambda / w_i}\; u_i

are coordinates of weighted variance :math:`\lambda`. Of :math:`K = -d^2 / 2` they are those of classical
multidimensional scaling [torgerson1952], of any other kernel those of kernel PCA [schoelkopf1998]. A new frame has
(Nyström) the coordinates :math:`y(x) = \lambda^{-1/2} \sum_j (k(x, c_j) - \bar k_j) \sqrt{w_j} u_j`, which at a
landmark are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy

from thalweg.collective_variables.linear.pca import loading_signs
from thalweg.collective_variables.manifold.embeddings.extension import metric_squares
from thalweg.collective_variables.manifold.metric import Metric
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped

SHOWN = 10
"""Eigenvalues kept beyond those of the coordinates."""

VANISHING = 1e-10
"""Eigenvalue over the largest below which a direction has no extent."""


class _PrincipalCoordinates(NamedTuple):
    """Coordinates of landmarks and what extends them.

    Attributes
    ----------
    coordinates : (landmarks, dim)
    spectrum : largest eigenvalues, of the coordinates and some more
    factors : (landmarks, dim), of kernels with landmarks
    offset : (dim,) subtracted
    """

    coordinates: np.ndarray
    spectrum: np.ndarray
    factors: np.ndarray
    offset: np.ndarray


def principal_coordinates(kernel: np.ndarray, weights: np.ndarray, dim: int) -> _PrincipalCoordinates:
    """Principal coordinates of a kernel ``(landmarks, landmarks)``.

    Raises
    ------
    ValueError
        If the kernel has fewer directions of positive extent than ``dim``.
    """
    n = len(kernel)
    require_memory(40.0 * n * n, f"products of {n} landmarks; use fewer")
    means = kernel @ weights
    centered = kernel - means - means[:, None] + weights @ means
    root = np.sqrt(weights)
    count = min(n, dim + SHOWN)
    values, vectors = scipy.linalg.eigh(root[:, None] * centered * root, subset_by_index=(n - count, n - 1))
    values, vectors = values[::-1], vectors[:, ::-1][:, :dim]
    positive = int((values > VANISHING * max(values[0], 1e-300)).sum())
    if positive < dim:
        raise ValueError(
            f"dim={dim}: the landmarks extend in {positive} directions only; ask for so many at most"
        )
    factors = root[:, None] * vectors * loading_signs(vectors) / np.sqrt(values[:dim])
    # by the extension, which loses nothing where weights are tiny, as a division by their root does
    offset = means @ factors
    return _PrincipalCoordinates(kernel @ factors - offset, values, factors, offset)


def _products(squares: Any) -> Any:
    return -0.5 * squares


def _gaussian(squares: Any) -> Any:
    return squares.__array_namespace__().exp(-0.5 * squares)


PRODUCTS: dict[str, Callable[[Any], Any]] = {"distance": _products, "gaussian": _gaussian}
"""Kernels as functions of squared distances over the squared width."""


@dataclass(frozen=True, eq=False)
class KernelCoordinates:
    """Principal coordinates of any frame, from its kernels with landmarks.

    Attributes
    ----------
    landmarks : (landmarks, features)
    metric : between frames
    kernel : ``"distance"`` or ``"gaussian"``
    width : of the kernel, in units of the metric
    factors : (landmarks, dim)
    offset : (dim,)
    names : one per coordinate
    """

    landmarks: Shaped[np.ndarray, "landmarks features"]
    metric: Metric
    kernel: str
    width: float
    factors: Shaped[np.ndarray, "landmarks dim"]
    offset: Shaped[np.ndarray, " dim"]
    names: tuple[str, ...]

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        factors, offset = (xp.asarray(array, dtype=frames.dtype) for array in (self.factors, self.offset))
        squares = metric_squares(self.metric, frames, self.landmarks)
        return PRODUCTS[self.kernel](squares / self.width**2) @ factors - offset
