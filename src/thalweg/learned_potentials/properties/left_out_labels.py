"""What a kernel would say of labels had it been fitted without them, in closed form [rasmussen2006]."""

from __future__ import annotations

import numpy as np

from thalweg.shapes import Float


def left_out(
    inverse: Float[np.ndarray, "labels labels"], y: Float[np.ndarray, " labels"], groups: np.ndarray
) -> tuple[Float[np.ndarray, " labels"], Float[np.ndarray, " labels"]]:
    """Errors of labels, and their claimed deviations, when fitted without their group.

    ``inverse`` is that of the covariance of all labels with noise; errors are ``(K^-1)_gg^-1 (K^-1 y)_g`` and their
    covariance ``(K^-1)_gg^-1`` [rasmussen2006]. Labels of a group stand together.
    """
    solution = inverse @ y
    errors, deviations = np.empty(len(y)), np.empty(len(y))
    edges = np.flatnonzero(np.diff(groups)) + 1
    for own in np.split(np.arange(len(y)), edges):
        block = np.linalg.inv(inverse[np.ix_(own, own)])
        errors[own] = block @ solution[own]
        deviations[own] = np.sqrt(np.maximum(np.diag(block), 1e-300))
    return errors, deviations
