"""The map that linear models share: frames in, functions of them, coordinates out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.collective_variables.basis import Functions, along
from thalweg.collective_variables.trajectories import Table, Trajectories


def seen(data: Any, functions: Functions) -> Any:
    """Functions of an array of frames, or of every trajectory."""
    if isinstance(data, Trajectories):
        return along(data, functions)
    if isinstance(data, Table):
        return _table(seen(data.to_numpy(), functions), data)
    return functions(as_frames(data))


def project(data: Any, mean: np.ndarray, matrix: np.ndarray) -> Any:
    """``(x - mean) @ matrix`` of an array ``(frames, functions)``, NumPy or JAX, a DataFrame, or of every trajectory.

    Examples
    --------
    >>> project(np.ones((2, 3)), np.zeros(3), np.ones((3, 1)))
    array([[3.],
           [3.]])
    """
    if isinstance(data, Table):
        return _table(project(data.to_numpy(), mean, matrix), data)
    if not isinstance(data, Trajectories):
        data = as_frames(data)
        if data.ndim != 2 or data.shape[1] != len(mean):
            raise ValueError(f"got shape {data.shape}, needed is (frames, {len(mean)}) as in the fit")
        xp = data.__array_namespace__()
        if xp is np:
            return (data - mean.astype(data.dtype if data.dtype.kind == "f" else float)) @ matrix
        return (data - xp.asarray(mean, dtype=data.dtype)) @ xp.asarray(matrix, dtype=data.dtype)
    if data.n_features != len(mean):
        raise ValueError(f"got {data.n_features} features, needed are {len(mean)} as in the fit")
    parts: list[list[np.ndarray]] = [[] for _ in range(len(data))]
    for k, _, frames in data.chunks():
        parts[k].append((frames - mean) @ matrix)
    return replace(data, blocks=[np.concatenate(chunks) for chunks in parts], names=None)


def _table(values: Any, like: Any) -> Any:
    """Values of the frames of a DataFrame as another one with the same index."""
    names = [f"coordinate {k + 1}" for k in range(values.shape[1])]
    return type(like)(np.asarray(values), index=like.index, columns=names)


def as_frames(data: Any) -> Any:
    """An array as it is, anything else as a NumPy array."""
    return data if hasattr(data, "__array_namespace__") else np.asarray(data)
