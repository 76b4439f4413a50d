"""Sparse factorizations that foretell their memory, and say what they were for where there is none.

The factors of a sparse matrix have more entries than it: all of them where anything leads anywhere, few for a chain of
neighbors. Ordered by Cuthill and McKee so that neighbors are close, entries stay between the first of each row and the
diagonal, the envelope; the ordering by approximate minimum degree that is used seldom needs more.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.sparse.linalg import SuperLU, splu

from thalweg.machine.memory import SPARED, available_memory, require_memory

ENTRY = 24
"""Bytes of an entry of a factor: its value and its row, twice while room for them grows."""


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
    MemoryError
        If the factors would not fit, before the work.

    Examples
    --------
    >>> factorized(csc_array(np.diag([2.0, 2.0])), "halves").solve(np.ones(2)).tolist()
    [0.5, 0.5]
    """
    states = matrix.shape[0]
    require_memory(_bytes_of_factors(matrix), f"{what} of {states} connected states; use fewer states")
    try:
        return splu(csc_array(matrix))
    except RuntimeError as error:
        raise ValueError(
            f"no {what}: some states are connected with the others by less than rounding; leave them out, "
            "or use fewer states"
        ) from error


def _bytes_of_factors(matrix: csr_array | csc_array) -> float:
    """Memory of both factors; the envelope is looked for only where full ones would not fit."""
    full = ENTRY * float(matrix.shape[0]) ** 2
    return full if full <= (1 - SPARED) * available_memory() else min(full, ENTRY * _factor_entries(matrix))


def _factor_entries(matrix: csr_array | csc_array) -> float:
    """Entries of both factors within the envelope of the ordered matrix.

    Examples
    --------
    >>> from scipy.sparse import diags_array
    >>> _factor_entries(csr_array(diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(100, 100))))
    298.0
    """
    size = matrix.shape[0]
    pattern = csr_array(abs(matrix) + abs(matrix).T)
    place = np.empty(size, int)
    place[reverse_cuthill_mckee(pattern, symmetric_mode=True)] = np.arange(size)
    rows, columns = (place[each] for each in pattern.nonzero())
    first = np.arange(size)
    np.minimum.at(first, rows, columns)
    return size + 2.0 * float((np.arange(size) - first).sum())
