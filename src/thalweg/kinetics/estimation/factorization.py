"""Sparse factorizations that say what they were for where there is none."""

from __future__ import annotations

from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import SuperLU, splu


def factorized(matrix: csr_array | csc_array, what: str) -> SuperLU:
    """The factorization of a sparse matrix.

    Parameters
    ----------
    matrix : (n, n)
    what : what is solved for, for the message

    Raises
    ------
    ValueError
        If the matrix is singular, as it is to rounding where parts of a chain are hardly connected.

    Examples
    --------
    >>> import numpy as np
    >>> factorized(csc_array(np.diag([2.0, 2.0])), "halves").solve(np.ones(2)).tolist()
    [0.5, 0.5]
    """
    try:
        return splu(csc_array(matrix))
    except RuntimeError as error:
        raise ValueError(
            f"no {what}: some states are connected with the others by less than rounding; leave them out, "
            "or use fewer states"
        ) from error
