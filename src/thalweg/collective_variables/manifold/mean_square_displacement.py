r"""The walk on a graph whose mean square displacement is the same everywhere, as Einstein's relation wants it.

Diffusion with :math:`D = 1` in the potential :math:`-\ln\pi` has the Dirichlet form
:math:`\int |\nabla f|^2 \pi`. On points that stand for the measure :math:`\pi` by weights :math:`w` (one for each
frame of equilibrium, :math:`\pi / q` for frames drawn from another density :math:`q`) a symmetric kernel
:math:`k_{ij}` gives it as

.. math::

    \tfrac12 \sum_{ij} a_i\, k_{ij}\, a_j\, (f_i - f_j)^2 \to \int |\nabla f|^2 \pi
    \quad\text{if}\quad \sum_j a_i\, k_{ij}\, a_j\, d_{ij}^2 = 2\, d\, w_i ,

that is if the walk, which holds the populations :math:`w` in equilibrium, goes as far from every point as free
diffusion in :math:`d` dimensions does. The factors :math:`a` solve this as those of a matrix with given row sums do
[sinkhorn1967] [marshall2019]. No density is estimated: densities of frames, the width of the kernel, variable or not,
where it is cut, and its normalization (the powers :math:`\alpha`, :math:`\beta` of [coifman2006] [berry2016], the right
normalization of target measures [banisch2020]) are all absorbed by :math:`a`, and the populations are exactly the
weights.

Its bias, of the second order in the radius of the kernel, and of one over the number of points within it, is what
halves of the frames tell (`DiffusionMap`).
"""

from __future__ import annotations

import numpy as np
import scipy
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import cg

from thalweg.shapes import Shaped

TOLERANCE = 1e-6
"""Relative error of row sums at which iteration ends."""

STEPS, PRODUCTS = 60, 100
"""Newton steps, and products with the matrix in each, at most."""

AT_REST = 0.01
"""Weight of staying, relative to a typical step: a point whose only neighbor has others to serve stays instead."""


def einstein_factors(
    kernel: csr_array, squares: csr_array, weights: Shaped[np.ndarray, " points"], dimension: float
) -> np.ndarray:
    """Factors ``a (points,)`` of the walk whose mean square displacement is that of free diffusion.

    Parameters
    ----------
    kernel, squares : (points, points) of the same entries: kernel and squared distances
    weights : (points,) positive
    dimension : d
    """
    spread = csr_array((kernel.data * squares.data, kernel.indices, kernel.indptr), kernel.shape)
    steps = np.diff(spread.indptr)
    rest = AT_REST * np.asarray(spread.sum(axis=1)).ravel() / np.maximum(steps, 1)
    return _row_factors(csr_array(spread + diags_array(rest)), 2 * dimension * weights)


def _row_factors(matrix: csr_array, sums: Shaped[np.ndarray, " points"]) -> np.ndarray:
    r"""Factors ``a (points,)`` with ``a_i sum_j M_ij a_j = sums_i`` for a symmetric matrix of positive entries.

    They are at the minimum of the convex :math:`\tfrac12 a^T M a - s^T \ln a` in :math:`\ln a`, found by Newton's
    steps, each solved by conjugate gradients.

    Examples
    --------
    >>> a = _row_factors(csr_array(np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 2.0], [1.0, 2.0, 0.0]])), np.ones(3))
    >>> (a * (np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 2.0], [1.0, 2.0, 0.0]]) @ a)).round(5).tolist()
    [1.0, 1.0, 1.0]
    """
    a = np.sqrt(sums / np.asarray(matrix.sum(axis=1)).ravel())
    for _ in range(STEPS):
        rows = a * (matrix @ a)
        error = np.abs(sums / rows - 1).max()
        if error < TOLERANCE:
            break
        hessian = scipy.sparse.linalg.LinearOperator(
            matrix.shape, matvec=lambda v, a=a, rows=rows: rows * v + a * (matrix @ (a * v)), dtype=float
        )
        step, _ = cg(hessian, sums - rows, rtol=min(0.1, error), maxiter=PRODUCTS, M=diags_array(1 / rows))
        a = a * np.exp(np.clip(step, -1, 1))
    return a


def flow_of(kernel: csr_array, a: Shaped[np.ndarray, " points"]) -> csr_array:
    """``a_i k_ij a_j``, sparse."""
    rows = np.repeat(a, np.diff(kernel.indptr))
    return csr_array((kernel.data * rows * a[kernel.indices], kernel.indices, kernel.indptr), kernel.shape)
