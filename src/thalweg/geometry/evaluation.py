"""A variable along a stored trajectory."""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.machine.precision import full_precision
from thalweg.shapes import Array, Float

CHUNK_NUMBERS = 1_000_000
"""Coordinates handed to the compiled variable at once: some megabytes, few calls."""

CHUNK_VALUES = 1_000_000
"""Values asked of it at once."""

ROW = 16
"""Frames that fill the registers of a processor: chunks are multiples of them where there is choice."""


def evaluate(
    variable: Callable,
    frames: Float[Array, "frames atoms dims"],
    box: Float[Array, "3 3"] | Float[Array, "frames 3 3"] | None = None,
) -> Float[np.ndarray, "frames values"]:
    """Values of ``variable`` in every frame.

    Frames go through the compiled variable as replicas, in chunks of one size (the last one padded), so
    memory stays bounded and one compilation serves all. ``frames`` may be a memory map.

    Parameters
    ----------
    variable : any `thalweg.dynamics.engine.Variable`
    frames : (frames, atoms, dims) [nm]
    box : box vectors as rows [nm], one for all or ``(frames, 3, 3)``

    Returns
    -------
    (frames, values) array; float32 unless JAX computes in 64 bits

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> frames = np.zeros((2, 2, 3), np.float32)
    >>> frames[:, 1, 0] = 0.25, 0.5
    >>> evaluate(Distances([[0, 1]]), frames).tolist()
    [[0.25], [0.5]]
    """
    count, atoms, dims = frames.shape
    chunk = _chunk(count, atoms * dims, len(variable.names))
    values = np.zeros((0, len(variable.names)), np.float32)
    for start in range(0, count, chunk):
        part = _padded(frames[start : start + chunk], chunk)
        cell = _padded(box[start : start + chunk], chunk) if box is not None and box.ndim == 3 else box
        columns = np.asarray(_values(variable, part, cell))
        if start == 0:
            values = np.empty((count, columns.shape[1]), columns.dtype)
        values[start : start + chunk] = columns[: count - start]
    return values


def _chunk(count: int, numbers: int, values: int) -> int:
    """Frames to handle at once: few different lengths, as each is compiled anew."""
    most = max(1, min(CHUNK_NUMBERS // numbers, CHUNK_VALUES // max(1, values)))
    if most < ROW:
        return most
    return min(most // ROW * ROW, max(ROW, 1 << max(0, count - 1).bit_length()))


def _padded(part, length: int) -> np.ndarray:
    """``part`` continued to ``length`` frames by repeating its last one."""
    part = np.asarray(part)
    return (
        part
        if len(part) == length
        else np.concatenate([part, np.repeat(part[-1:], length - len(part), axis=0)])
    )


@full_precision()
@eqx.filter_jit
def _values(variable, frames, box):
    positions = jnp.moveaxis(jnp.asarray(frames), 0, -1)
    if box is None or box.ndim == 2:
        return variable(positions, box).T
    return jax.vmap(variable, in_axes=(-1, 0))(positions, jnp.asarray(box))
