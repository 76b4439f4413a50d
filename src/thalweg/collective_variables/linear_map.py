"""The linear map that PCA and TICA models share: frames in, coordinates out."""

from __future__ import annotations

from typing import overload

import numpy as np

from thalweg.collective_variables.trajectories import Trajectories


@overload
def project(data: Trajectories, mean: np.ndarray, matrix: np.ndarray) -> Trajectories: ...
@overload
def project(data: np.ndarray, mean: np.ndarray, matrix: np.ndarray) -> np.ndarray: ...


def project(data, mean, matrix):
    """``(x - mean) @ matrix`` of an array ``(frames, features)``, or of every trajectory.

    Examples
    --------
    >>> project(np.ones((2, 3)), np.zeros(3), np.ones((3, 1)))
    array([[3.],
           [3.]])
    """
    if not isinstance(data, Trajectories):
        data = np.asarray(data)
        if data.ndim != 2 or data.shape[1] != len(mean):
            raise ValueError(f"got shape {data.shape}, needed is (frames, {len(mean)}) as in the fit")
        return (data - mean.astype(data.dtype if data.dtype.kind == "f" else float)) @ matrix
    if data.n_features != len(mean):
        raise ValueError(f"got {data.n_features} features, needed are {len(mean)} as in the fit")
    parts: list[list[np.ndarray]] = [[] for _ in range(len(data))]
    for k, _, frames in data.chunks():
        parts[k].append((frames - mean) @ matrix)
    return Trajectories([np.concatenate(chunks) for chunks in parts], dt=data.dt, weights=data.weights)
