r"""The metric of a variable: how lengths in its values and in positions go together, frame by frame.

.. math::  G_{ij} = \sum_a D_a\, \frac{\partial \phi_i}{\partial x_a} \cdot \frac{\partial \phi_j}{\partial x_a}

With :math:`D_a` the diffusion constant of atom a, ``G`` is the diffusion matrix of the values; with :math:`1/m_a`, the
inverse mass matrix. Gradients of any function of the values follow from its derivatives and ``G`` alone.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.machine.memory import require_memory
from thalweg.machine.precision import full_precision
from thalweg.shapes import Array, Float

CHUNK_NUMBERS = 2_000_000
"""Derivatives held at once."""


def metric_tensors(
    variable: Callable,
    frames: Float[Array, "frames atoms dims"],
    mobilities: Float[Array, " mobilities"],
    box: Float[Array, "3 3"] | None = None,
) -> Float[np.ndarray, "frames values values"]:
    """``G`` in every frame.

    Parameters
    ----------
    variable : any `thalweg.dynamics.engine.Variable`
    frames : (frames, atoms, dims) [nm]
    mobilities : (atoms,), diffusion constants [nm^2/ps] or inverse masses [1/amu]
    box : box vectors as rows [nm]

    Raises
    ------
    ValueError
        If there is not one mobility for each atom.

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> frames = np.array([[[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]]], np.float32)
    >>> metric_tensors(Distances([[0, 1]]), frames, np.array([1.0, 0.5])).tolist()
    [[[1.5]]]
    """
    mobilities = np.asarray(mobilities, np.float32)
    if mobilities.shape != (frames.shape[1],):
        raise ValueError(
            f"got mobilities of shape {mobilities.shape} for {frames.shape[1]} atoms; give one for each"
        )
    values = len(variable.names)
    require_memory(
        4 * len(frames) * values**2, f"metrics of {len(frames)} frames and {values} values; give fewer"
    )
    chunk = min(len(frames), max(1, CHUNK_NUMBERS // (values * frames[0].size)))
    parts = []
    for start in range(0, len(frames), chunk):
        part = np.asarray(frames[start : start + chunk], np.float32)
        missing = chunk - len(part)
        filled = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
        parts.append(np.asarray(_metrics(variable, filled, mobilities, box))[: len(part)])
    return np.concatenate(parts)


@full_precision()
@eqx.filter_jit
def _metrics(variable: Callable, frames: Array, mobilities: Array, box: Array | None) -> jax.Array:
    def metric(positions: jax.Array) -> jax.Array:
        slopes = jax.jacrev(lambda x: variable(x, box))(positions)
        return jnp.einsum("iad,a,jad->ij", slopes, mobilities, slopes)

    return jax.vmap(metric)(jnp.asarray(frames))
