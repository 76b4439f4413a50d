"""Harmonic bonds, angles and 1-3 (Urey-Bradley) distances:  u(q) = k/2 (q - q0)^2."""

from __future__ import annotations

import equinox as eqx
import jax

from thalweg.potentials.explicit_gradient import per_replica
from thalweg.potentials.internal_coordinates import InternalEnergy, angle, distance
from thalweg.shapes import Array, Float, Int


class Harmonic(eqx.Module):
    """``u(q) = k/2 (q - q0)^2``, one ``k`` and ``q0`` per term."""

    center: Float[Array, " terms"]
    stiffness: Float[Array, " terms"]

    def __call__(self, q: Float[Array, " terms *replicas"]) -> jax.Array:
        stretch = q - per_replica(self.center, q)
        return 0.5 * per_replica(self.stiffness, q) * stretch * stretch


def harmonic_bonds(
    pairs: Int[Array, "terms 2"],
    length: Float[Array, " terms"],
    stiffness: Float[Array, " terms"],
    periodic: bool = False,
) -> InternalEnergy:
    """Bonds or Urey-Bradley terms between ``pairs``: ``length`` [nm], ``stiffness`` [kJ/mol/nm^2].

    Examples
    --------
    >>> import numpy as np
    >>> bond = harmonic_bonds(np.array([[0, 1]]), np.array([0.1]), np.array([200.0]))
    >>> float(bond(np.array([[0.0, 0, 0], [0, 0, 0.2]])).round(6))
    1.0
    """
    return InternalEnergy(distance, Harmonic(length, stiffness), pairs.T, periodic)


def harmonic_angles(
    triples: Int[Array, "terms 3"],
    angles: Float[Array, " terms"],
    stiffness: Float[Array, " terms"],
    periodic: bool = False,
) -> InternalEnergy:
    """Angles over ``triples``, the vertex in the middle: ``angles`` [rad], ``stiffness`` [kJ/mol/rad^2]."""
    return InternalEnergy(angle, Harmonic(angles, stiffness), triples.T, periodic)
