r"""Neighborhoods: what maps see that put together a whole from local pieces.

Local geometry is that of a few neighbors of each landmark, and all of it is in their distances: with :math:`d` the
metric, the products of steps from the landmark ``x`` to its neighbors ``a`` and ``b`` are

.. math::  G_{ab} = \tfrac12 \left(d(x, a)^2 + d(x, b)^2 - d(a, b)^2\right).

A map that lets every neighborhood be itself as nearly as can be is smoothest in the sense of a quadratic form
:math:`M`: its coordinates are the solutions of :math:`M y = \lambda D y` of least :math:`\lambda > 0`, with :math:`D` a
measure of the landmarks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy
from scipy.sparse import coo_array, csc_array, csr_array, diags_array, eye_array
from scipy.sparse.linalg import eigsh, splu

from thalweg.collective_variables.linear.pca import loading_signs
from thalweg.collective_variables.manifold.embeddings.embedding import Solved
from thalweg.collective_variables.manifold.metric import Metric
from thalweg.collective_variables.manifold.neighbors import Neighbors, graph, nearest, parts
from thalweg.shapes import Shaped

SHIFT = 1e-10
"""What is added to a form before it is inverted, in units of its median diagonal entry; it vanishes on constants."""

LEAST_MEASURE = 1e-10
"""Measure of a landmark, over their mean, below which it counts for so much: beyond, rounding would."""


class _Graph(NamedTuple):
    """Neighbors of landmarks in a graph that hangs together.

    Attributes
    ----------
    neighbors : indices and distances
    lengths : (landmarks, landmarks) distances of neighbors, sparse and symmetric
    """

    neighbors: Neighbors
    lengths: csr_array


def connected_graph(points: np.ndarray, neighbors: int, metric: Metric) -> _Graph:
    """Nearest neighbors and their graph.

    Raises
    ------
    ValueError
        If the graph falls into several parts; the message says what number of neighbors would join them, if any of
        twice, four or eight times as many does.
    """
    found = nearest(points, neighbors, metric)
    lengths = graph(found)
    pieces = parts(lengths)
    if len(pieces.sizes) == 1:
        return _Graph(found, lengths)
    listed = ", ".join(str(size) for size in pieces.sizes[:5]) + (", ..." if len(pieces.sizes) > 5 else "")
    more = [factor * neighbors for factor in (2, 4, 8) if factor * neighbors < len(points)]
    joined = next((k for k in more if len(parts(graph(nearest(points, k, metric))).sizes) == 1), None)
    way_out = (
        f"{joined} would join them"
        if joined
        else f"no number up to {max(more, default=neighbors)} joins them: map each by itself"
    )
    raise ValueError(
        f"neighbors={neighbors} leave {len(points)} landmarks in {len(pieces.sizes)} parts of {listed}, with "
        f"no way between; {way_out}, or give frames between them"
    )


def local_products(
    points: Shaped[np.ndarray, "points features"],
    members: Shaped[np.ndarray, "neighborhoods count"],
    metric: Metric,
    centers: Shaped[np.ndarray, " neighborhoods"] | None = None,
) -> Shaped[np.ndarray, "neighborhoods count count"]:
    """Products ``G`` of the steps to ``members`` from every point, or from ``centers`` alone (indices of points)."""
    centers = np.arange(len(points)) if centers is None else centers
    flat = metric.embedded(points)
    if flat is not None:
        steps = np.asarray(flat)[members] - np.asarray(flat)[centers][:, None]
        return steps @ steps.transpose(0, 2, 1)
    products = []
    for point, near in zip(points[centers], members):
        squares = np.asarray(metric.between(points[near], points[near])) ** 2
        away = np.asarray(metric.between(point[None], points[near]))[0] ** 2
        products.append(0.5 * (away[:, None] + away - squares))
    return np.array(products)


def tangent_coordinates(products: Shaped[np.ndarray, "points count count"], dim: int) -> np.ndarray:
    """Orthonormal coordinates ``(points, count, dim)`` of every neighborhood along its directions of largest extent.

    Raises
    ------
    ValueError
        If some neighborhood extends in fewer directions.
    """
    centered = products - products.mean(axis=1, keepdims=True)
    centered = centered - centered.mean(axis=2, keepdims=True)
    values, vectors = np.linalg.eigh(centered)
    least = values[:, -dim] / np.maximum(values[:, -1], 1e-300)
    if flat := int((least < 1e-12).sum()):
        raise ValueError(
            f"dim={dim}: the neighborhoods of {flat} of {len(products)} landmarks extend in fewer directions; ask for "
            "fewer coordinates or more neighbors"
        )
    return vectors[:, :, : -dim - 1 : -1]


def assembled(
    pieces: Shaped[np.ndarray, "neighborhoods count count"],
    members: Shaped[np.ndarray, "neighborhoods count"],
    points: int,
) -> csr_array:
    """The form ``(points, points)`` that is the sum of local ones, each among its ``members``."""
    count = members.shape[1]
    rows = np.repeat(members, count, axis=1).ravel()
    columns = np.tile(members, (1, count)).ravel()
    return csr_array(coo_array((pieces.ravel(), (rows, columns)), (points, points)))


def smoothest(form: csr_array, measure: np.ndarray, dim: int) -> Solved:
    """The ``dim`` smoothest functions of landmarks in the sense of ``form``, which vanishes for constants alone.

    Parameters
    ----------
    form : (landmarks, landmarks), symmetric, not negative, its rows of sum zero
    measure : (landmarks,) positive; the functions have mean zero and variance one in it
    dim : of them

    Returns
    -------
    solved : the spectrum is that of the form, from the least eigenvalue above zero on
    """
    measure = np.maximum(measure, LEAST_MEASURE * measure.mean())
    measure = measure / measure.sum()
    root = np.sqrt(measure)
    scaled = diags_array(1 / root) @ form @ diags_array(1 / root)
    shift = SHIFT * float(np.median(scaled.diagonal()))
    n = len(measure)
    inverse = splu(csc_array(scaled + shift * eye_array(n)))

    def without_constants(x: np.ndarray) -> np.ndarray:
        return x - root * (root @ x)

    def solve(x: np.ndarray) -> np.ndarray:
        return without_constants(inverse.solve(without_constants(x.ravel())))

    start = without_constants(np.random.default_rng(0).standard_normal(n))
    count = min(dim + 3, n - 2)
    operator = scipy.sparse.linalg.LinearOperator((n, n), matvec=solve, dtype=float)
    values, vectors = eigsh(operator, count, which="LA", v0=start)
    order = np.argsort(-values)
    spectrum = np.maximum(1 / values[order] - shift, 0.0)
    functions = vectors[:, order[:dim]] / root[:, None]
    return Solved(functions * loading_signs(functions), spectrum)
