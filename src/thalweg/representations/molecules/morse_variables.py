"""Morse variables of all pairs of atoms, ``y_ij = exp(-r_ij / a)``: bounded at both ends, gone when atoms part.

Source: permutationally invariant polynomials are polynomials in them [braams2009]; ``a`` near 0.1 to 0.2 nm.
"""

from __future__ import annotations

import jax.numpy as jnp

from thalweg.representations.molecules.inverse_distances import pair_distances
from thalweg.shapes import Array, Float, Positions


def morse_variables(positions: Positions, length: float = 0.1) -> Float[Array, " pairs *replicas"]:
    """``exp(-r_ij / length)`` of all pairs, in the order of `inverse_distances.all_pairs`.

    Parameters
    ----------
    positions : ``(atoms, 3, *replicas)`` [nm]
    length : decay length ``a`` [nm]

    Examples
    --------
    >>> y = morse_variables(jnp.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]]), 0.1)
    >>> round(float(y[0]), 4)
    0.3679
    """
    return jnp.exp(-pair_distances(positions) / length)
