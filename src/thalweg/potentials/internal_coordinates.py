"""Distances, angles and dihedrals of few atoms with their gradients, and energies of one such coordinate.

Every coordinate function takes ``positions`` already gathered, one array ``(terms, 3, *replicas)`` per atom role, and
returns an `Internal`: the value, how it changes along itself, and its gradient for each role. A bonded energy is then
one scalar function ``u(q)`` of the field's papers, and its force ``-u'(q) dq/dx``; ``u'`` comes from forward mode.

A dihedral's value is the pair ``(cos phi, sin phi)``: for most torsions no angle is ever needed. Its gradient is
singularity-free [blondel1996]: with ``b1, b2, b3`` the bond vectors, ``m = b1 x b2`` and ``n = b2 x b3``,

    dphi/dx1 = -|b2| m / m^2,    dphi/dx4 = |b2| n / n^2,
    dphi/dx2 = -dphi/dx1 (1 + b1.b2/b2^2) + dphi/dx4 b2.b3/b2^2,   the rest by translation invariance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.potentials.explicit_gradient import ExplicitGradient
from thalweg.shapes import Array, Box, Energies, Int, Positions
from thalweg.systems.box import close_image


class Internal(NamedTuple):
    """A coordinate of each term: its value, ``d value / d q``, and ``dq/dx`` for every atom role."""

    value: Any
    direction: Any
    gradient: tuple[jax.Array, ...]


Difference = Callable[[Array, Array], jax.Array]


def distance(atoms: list[jax.Array], difference: Difference) -> Internal:
    """``r = |x2 - x1|`` [nm]."""
    d = difference(atoms[1], atoms[0])
    r = jnp.sqrt(_dot(d, d))
    along = d / r[:, None]
    return Internal(r, jnp.ones_like(r), (-along, along))


def angle(atoms: list[jax.Array], difference: Difference) -> Internal:
    """The angle ``1-2-3``, ``theta = atan2(|u x v|, u.v)``, in [0, pi] [rad]."""
    u, v = difference(atoms[0], atoms[1]), difference(atoms[2], atoms[1])
    normal = _cross(u, v)
    sine, cosine = jnp.sqrt(_dot(normal, normal)), _dot(u, v)
    floor = jnp.finfo(u.dtype).tiny ** 0.5
    axis = normal / jnp.maximum(sine, floor)[:, None]
    first = _cross(u, axis) / _dot(u, u)[:, None]
    last = _cross(axis, v) / _dot(v, v)[:, None]
    return Internal(jnp.arctan2(sine, cosine), jnp.ones_like(sine), (first, -first - last, last))


def dihedral(atoms: list[jax.Array], difference: Difference) -> Internal:
    """The dihedral ``1-2-3-4`` (IUPAC sign) as ``(cos phi, sin phi)``."""
    b1, b2, b3 = (difference(after, before) for before, after in itertools.pairwise(atoms))
    m, n = _cross(b1, b2), _cross(b2, b3)
    inverse_m, inverse_n = 1 / _dot(m, m), 1 / _dot(n, n)
    length_squared = _dot(b2, b2)
    length = jnp.sqrt(length_squared)
    scale = jnp.sqrt(inverse_m * inverse_n)
    cosine, sine = _dot(m, n) * scale, length * _dot(b1, n) * scale
    first = m * (-length * inverse_m)[:, None]
    last = n * (length * inverse_n)[:, None]
    lever = first * (_dot(b1, b2) / length_squared)[:, None] - last * (_dot(b2, b3) / length_squared)[:, None]
    return Internal((cosine, sine), (-sine, cosine), (first, -first - lever, lever - last, last))


class InternalEnergy(ExplicitGradient):
    """``U = sum_t u(q_t)``: one function of one internal coordinate per term.

    Attributes
    ----------
    coordinate : `distance`, `angle` or `dihedral`
    potential : function of the coordinate's value (arrays ``(terms, *replicas)``), giving [kJ/mol]
    atoms : (roles, terms) int, the atoms of each term
    periodic : whether atoms see each other's nearest image when a box is given
    """

    coordinate: Callable = eqx.field(static=True)
    potential: Callable
    atoms: Int[Array, "roles terms"]
    periodic: bool = eqx.field(static=True, default=False)

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        q = internal(self.coordinate, positions, self.atoms, box if self.periodic else None)
        u, slope = jax.jvp(self.potential, (q.value,), (q.direction,))
        return u.sum(0), gathered_gradient(positions, self.atoms, [slope[:, None] * g for g in q.gradient])


def internal(coordinate: Callable, positions: Positions, atoms, box: Box | None) -> Internal:
    """A coordinate of ``positions`` at the rows ``atoms`` ``(roles, terms)``; nearest images if given a ``box``."""

    def difference(after, before):
        return after - before if box is None else close_image(after - before, box)

    return coordinate([positions[role] for role in atoms], difference)


def gathered_gradient(positions: Positions, atoms, gradients) -> jax.Array:
    """Gradients ``(terms, dims, *replicas)`` of each role summed on the atoms ``(roles, terms)`` they belong to."""
    total = jnp.zeros_like(positions)
    for role, gradient in zip(atoms, gradients):
        total = total.at[role].add(gradient)
    return total


def _dot(a, b):
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]


def _cross(a, b):
    ax, ay, az, bx, by, bz = (*(a[:, k] for k in range(3)), *(b[:, k] for k in range(3)))
    return jnp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)
