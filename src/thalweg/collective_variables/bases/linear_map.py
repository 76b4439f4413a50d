"""The map that linear models share: frames in, functions of them, coordinates out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.collective_variables.bases.basis import Functions, along
from thalweg.time_series.trajectories import Table, Trajectories, as_trajectories


def function_values(data: Any, functions: Functions) -> Any:
    """Functions of an array of frames, or of every trajectory."""
    if isinstance(data, Trajectories):
        return along(data, functions)
    return functions(as_frames(data))


def names_of_features(data: Any) -> tuple[str, ...] | None:
    """Names of the features of trajectories, None where they have none."""
    names = getattr(data, "names", None)
    return None if names is None else tuple(names)


def mapped(data: Any, names: tuple[str, ...] | None, transform: Callable[[Any], Any]) -> Any:
    """``transform`` of arrays and trajectories, a list of arrays as trajectories, a DataFrame as a DataFrame.

    Parameters
    ----------
    names : of the features of the fit; columns are found by them

    Raises
    ------
    ValueError
        If a column is missing, or the fit knew no names.
    """
    if isinstance(data, list | tuple) and all(getattr(block, "ndim", 0) == 2 for block in data):
        data = as_trajectories(data)
    if not isinstance(data, Table):
        return transform(data)
    if names is None:
        raise ValueError("the model was fitted to features without names; give data.to_numpy()")
    columns = [str(column) for column in data.columns]
    if missing := [name for name in names if name not in columns]:
        raise ValueError(f"the table has no columns {', '.join(missing[:10])}, which the model was fitted to")
    frames = data.to_numpy()[:, [columns.index(name) for name in names]]
    values = np.asarray(transform(frames))
    coordinates = [f"coordinate {k + 1}" for k in range(values.shape[1])]
    table: Any = data
    return type(table)(values, index=table.index, columns=coordinates)


def project(data: Any, mean: np.ndarray, matrix: np.ndarray) -> Any:
    """``(x - mean) @ matrix`` of an array ``(frames, functions)``, NumPy or JAX, or of every trajectory.

    Examples
    --------
    >>> project(np.ones((2, 3)), np.zeros(3), np.ones((3, 1)))
    array([[3.],
           [3.]])
    """
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


def as_frames(data: Any) -> Any:
    """An array as it is, anything else as a NumPy array.

    Raises
    ------
    ValueError
        If it is a table, of which this model knows no names.
    """
    if isinstance(data, Table):
        raise ValueError("this model does not know columns by name; give data.to_numpy()")
    return data if hasattr(data, "__array_namespace__") else np.asarray(data)
