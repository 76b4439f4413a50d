"""Square submatrices of locally maximal volume: which rows span the others best [goreinov2010].

Of a tall matrix, ``m`` rows are chosen whose determinant is, in absolute value, as large as exchanges of one row can
make it. Then every row of the matrix is a combination of the chosen ones,

    x = sum_j c_j a_j,    |c_j| <= tolerance,

and ``max_j |c_j|`` of any other row says whether it lies between the chosen ones (up to one) or how far beyond.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lu, solve

from thalweg.shapes import Float

TOLERANCE = 1.01
"""A row is exchanged while the volume grows by more than this factor."""


def combinations(
    rows: Float[np.ndarray, "rows functions"], basis: Float[np.ndarray, "functions functions"]
) -> Float[np.ndarray, "rows functions"]:
    """Coefficients ``c`` of ``rows = c @ basis``, whatever the scale of each column."""
    scale = np.abs(basis).max(0)
    return solve((basis / scale).T, (rows / scale).T, check_finite=False).T


def _starting_rows(rows: Float[np.ndarray, "rows functions"]) -> np.ndarray:
    """Indices of rows that are independent, from Gaussian elimination with the largest pivots."""
    order = lu(rows, p_indices=True, check_finite=False)[0]
    return np.argsort(order)[: rows.shape[1]]


def maximum_volume(
    rows: Float[np.ndarray, "rows functions"],
    start: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
) -> np.ndarray:
    """Indices of as many ``rows`` as there are columns, of locally maximal volume.

    Parameters
    ----------
    start : indices to begin with, independent; those of `_starting_rows` unless given
    tolerance : no exchange of one row makes the volume grow by more than this factor

    Raises
    ------
    ValueError
        If there are fewer rows than columns.

    Examples
    --------
    >>> corners = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [2.0, 0.1]])
    >>> sorted(maximum_volume(corners).tolist())
    [1, 3]
    """
    count, functions = rows.shape
    if count < functions:
        raise ValueError(
            f"{count} rows cannot span {functions} columns; give at least as many rows, or fewer columns"
        )
    chosen = _starting_rows(rows) if start is None else np.array(start, int)
    coefficients = combinations(rows, rows[chosen])
    while True:
        best = int(np.abs(coefficients).argmax())
        row, column = divmod(best, functions)
        pivot = coefficients[row, column]
        if abs(pivot) <= tolerance:
            return chosen
        change = coefficients[row].copy()
        change[column] -= 1.0
        coefficients -= np.outer(coefficients[:, column] / pivot, change)
        chosen[column] = row
