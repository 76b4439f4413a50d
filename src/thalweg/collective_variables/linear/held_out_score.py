"""Scores of linear models on trajectories they were not fitted to, by covariances of their combinations only."""

from __future__ import annotations

import numpy as np

from thalweg.collective_variables.bases.basis import along
from thalweg.collective_variables.bases.frame_space import Combinations
from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.collective_variables.covariances.scores import vamp_score
from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories


def held_out_score(
    data: Trajectories,
    lagtime: int,
    first: Float[np.ndarray, "functions dim"],
    last: Float[np.ndarray, "functions dim"] | None = None,
    r: int = 2,
) -> float:
    """VAMP-r score of combinations of functions, the constant included; see `covariances.scores`.

    Parameters
    ----------
    data : values of the functions
    lagtime : in frames
    first, last, r : as for `vamp_score`

    Raises
    ------
    ValueError
        If the lag time leaves no pairs, or ``r`` is less than one.
    """
    both = first if last is None else np.hstack([first, last])
    seen = along(data, Combinations(np.zeros(len(both)), both))
    one = np.eye(both.shape[1])
    if last is None:
        return vamp_score(covariances(seen, lagtime, n_blocks=1), one, r=r)
    dim = first.shape[1]
    return vamp_score(covariances(seen, lagtime, n_blocks=1), one[:, :dim], one[:, dim:], r)
