r"""The dimension of what a cloud of points lies on, from how its neighborhoods spread.

The neighbors of a point spread by a covariance :math:`C` with as many large eigenvalues as there are dimensions,

.. math::  d = \frac{(\mathrm{tr}\, C)^2}{\mathrm{tr}\, C^2},

the median over points, where :math:`\mathrm{tr}\, C^2` is freed of what the finite number :math:`k` of neighbors adds:
:math:`\mathrm{tr}\,\hat C^2 - (\mathrm{tr}\,\hat C)^2 / k`.
"""

from __future__ import annotations

import numpy as np

from thalweg.collective_variables.manifold.neighbors import Neighbors
from thalweg.shapes import Shaped

LOOKED_AT = 300
"""Points whose neighborhoods are looked at."""


def local_dimension(points: Shaped[np.ndarray, "points features"], neighbors: Neighbors) -> float:
    """The dimension of the neighborhoods of points in flat features.

    Examples
    --------
    >>> from thalweg.collective_variables.manifold.neighbors import nearest
    >>> turn = np.random.default_rng(0).uniform(0, 6.28, 2000)
    >>> circle = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    >>> round(local_dimension(circle, nearest(circle, 30)), 1)
    1.0
    """
    step = -(-len(points) // LOOKED_AT)
    around = points[neighbors.indices[::step]] - points[::step, None]
    count = around.shape[1]
    # tr C^2 from the Gram matrix of the neighbors, which has the same eigenvalues
    gram = around @ np.swapaxes(around, 1, 2) / count
    trace = np.trace(gram, axis1=1, axis2=2)
    squares = (gram**2).sum(axis=(1, 2)) - trace**2 / count
    apart = (trace > 0) & (squares > 0)
    if not apart.any():
        return 1.0
    return float(np.clip(np.median(trace[apart] ** 2 / squares[apart]), 1.0, points.shape[1]))
