r"""Timescales of slow coordinates on data that had no part in finding them, from the block sums of one pass.

Coordinates that are fitted to few data with many functions are slow in these data by chance: the variational principle
that makes exact timescales upper bounds holds for other data only. Blocks are divided into folds, coordinates found in
all folds but one, and their autocorrelation at the lag time taken from that one:

.. math::  \hat\lambda = \frac{\sum_k v_k^T C_{0t}^{(k)} v_k}{\sum_k v_k^T C_{00}^{(k)} v_k}
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.slow_modes import SlowModes, decay_times

OVERFITTED = 2.0
"""Factor by which a timescale is longer than on data left out, from which it is pointed out."""

FOLDS = 2
"""Parts of the data, each left out once."""

STRETCHES = 8
"""Stretches of neighboring blocks that data are divided into; dealt out to the folds in turn."""


def held_out_timescales(
    sums: Covariances, modes_of: Callable[[Covariances], SlowModes], dim: int, folds: int = FOLDS
) -> np.ndarray:
    """Timescales ``(dim,)`` [ps] of the slowest modes on the blocks left out; NaN where nothing decays there.

    Parameters
    ----------
    sums : with the blocks
    modes_of : from covariances to modes
    dim : number of modes
    folds : number of parts of the data, each of stretches of neighboring blocks, since those know each other

    Raises
    ------
    ValueError
        If there are fewer blocks than folds.

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> from thalweg.collective_variables.covariances.slow_modes import reversible_modes
    >>> sums = covariances(np.random.default_rng(0).standard_normal((400, 30)))
    >>> modes = lambda part: reversible_modes(part, 1e-10)
    >>> float(modes(sums).eigenvalues[0]) > 0.3, bool(np.isfinite(held_out_timescales(sums, modes, 1)[0]))
    (True, False)
    """
    fold = dealt_folds(sums.n_blocks, folds)
    products, squares = np.zeros(dim), np.zeros(dim)
    for k in range(folds):
        # v_k from all folds but one, its autocorrelation v_k^T C_0t v_k over v_k^T C_00 v_k from that one
        left = sums.resampled(1.0 * (fold == k))
        vectors = modes_of(sums.resampled(1.0 * (fold != k))).vectors[:, :dim]
        count = vectors.shape[1]
        c0t, c00 = ((vectors * (c @ vectors)).sum(axis=0) for c in (left.c0t, left.c00))
        products[:count] += c0t
        squares[:count] += c00
    return decay_times(products / np.where(squares > 0, squares, np.inf), sums)


def dealt_folds(blocks: int, folds: int = FOLDS) -> np.ndarray:
    """To which fold each block belongs ``(blocks,)``: stretches of neighboring blocks in turn.

    Raises
    ------
    ValueError
        If there are fewer blocks than folds.

    Examples
    --------
    >>> dealt_folds(8).tolist()
    [0, 1, 0, 1, 0, 1, 0, 1]
    """
    if blocks < folds:
        raise ValueError(f"{blocks} blocks of data make no {folds} folds; use longer or more trajectories")
    stretches = max(folds, min(STRETCHES, blocks))
    return np.arange(blocks) * stretches // blocks % folds


def overfitted(timescales: np.ndarray, held_out: np.ndarray) -> tuple[str, ...]:
    """A note if the slowest timescale is far from what it is on data left out, or both are unknown there."""
    slow, left = float(timescales[0]), float(held_out[0])
    if not np.isfinite(slow):
        return (
            "the largest eigenvalue is no decay: too many functions for the data, or nothing slow in them",
        )
    if slow <= OVERFITTED * np.nan_to_num(left):
        return ()
    return (
        f"the slowest timescale is {slow:.3g} ps in these data and {left:.3g} ps on halves of them left out: too few "
        "crossings, or too many functions for the data; compare by cross_validate",
    )
