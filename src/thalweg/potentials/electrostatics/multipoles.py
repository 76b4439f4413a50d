"""Charges, dipoles and quadrupoles in each other's fields, for any kernel that depends on the distance.

An atom's moments act on a kernel ``f(r)`` as ``L = q + mu . D + M : D D / 2``, with ``D`` the gradient in its own
position and ``M`` the traceless part of ``sum q x x``. With ``r = x_j - x_i`` and the radial derivatives
``B_0 = f``, ``B_(l+1) = -B_l' / r``, the energy ``L_i L_j f`` is a sum of contractions of the moments with ``r``
[aguado2003].
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.shapes import Array, Float

SQRT_PI = 1.7724538509055159


class Multipoles(eqx.Module):
    """Multipole moments of atoms; None for none of a kind.

    Attributes
    ----------
    charges : (atoms,) [e]
    dipoles : (3, atoms) [e nm]
    quadrupoles : (3, 3, atoms), traceless part of the second moment ``sum q x x`` [e nm^2]
    """

    charges: Float[Array, " *atoms"]
    dipoles: Float[Array, " 3 *atoms"] | None = None
    quadrupoles: Float[Array, " 3 3 *atoms"] | None = None

    @property
    def order(self) -> int:
        """The highest derivative of a kernel that two atoms of such moments need."""
        return 4 if self.quadrupoles is not None else 2 if self.dipoles is not None else 0

    def of(self, atoms: Array | slice | tuple) -> Multipoles:
        """The moments of some ``atoms``, an index of the last axis."""
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[..., atoms], self)


def point_kernel(r: Float[Array, " *pairs"], order: int) -> list[jax.Array]:
    """``1 / r`` and its radial derivatives up to ``order``.

    Examples
    --------
    >>> [float(b) for b in point_kernel(jnp.asarray(2.0), 2)]
    [0.5, 0.125, 0.09375]
    """
    r = jnp.asarray(r)
    values = [1 / r]
    for l in range(1, order + 1):
        values.append((2 * l - 1) * values[-1] / (r * r))
    return values


def smooth_kernel(r: Float[Array, " *pairs"], alpha: Array | float, order: int) -> list[jax.Array]:
    """``erf(alpha r) / r``, the long-range part of Ewald's splitting, and its radial derivatives up to ``order``.

    It is also the interaction of two Gaussian charges whose variances add to ``1 / (2 alpha^2)``.
    """
    r = jnp.asarray(r)
    values = [jax.scipy.special.erf(alpha * r) / r]
    tail = jnp.exp(-((alpha * r) ** 2)) / (alpha * SQRT_PI)
    for l in range(1, order + 1):
        values.append(((2 * l - 1) * values[-1] - (2 * alpha * alpha) ** l * tail) / (r * r))
    return values


def _at_contact(alpha: Array | float, order: int) -> list:
    """`smooth_kernel` at distance zero: ``2 alpha / sqrt(pi) (2 alpha^2)^l / (2 l + 1)``."""
    return [2 * alpha / SQRT_PI * (2 * alpha * alpha) ** l / (2 * l + 1) for l in range(order + 1)]


def multipole_energy(
    kernel: list[jax.Array], r: Float[Array, " 3 *pairs"], own: Multipoles, partner: Multipoles
) -> jax.Array:
    """``L_i L_j f`` of each pair, in units of the kernel; ``r`` points from owner to partner.

    ==============  =======================================
    ``f, -f'/r``    ``b[0], b[1], ...``
    ``mu_i . r``    ``d_i``
    ``M_i r``       ``v_i``
    ``r . M_i r``   ``s_i``
    ==============  =======================================
    """
    b, q_i, q_j = kernel, jnp.asarray(own.charges), partner.charges
    energy = q_i * q_j * b[0]
    if own.dipoles is None and own.quadrupoles is None:
        return energy
    zero = jnp.zeros_like(r)
    mu_i, mu_j = (zero if one.dipoles is None else one.dipoles for one in (own, partner))
    d_i, d_j = (mu_i * r).sum(0), (mu_j * r).sum(0)
    energy += (q_j * d_i - q_i * d_j + (mu_i * mu_j).sum(0)) * b[1] - d_i * d_j * b[2]
    if own.quadrupoles is None:
        return energy
    m_i, m_j = own.quadrupoles, partner.quadrupoles
    assert m_j is not None
    v_i, v_j = (m_i * r).sum(1), (m_j * r).sum(1)
    s_i, s_j = (v_i * r).sum(0), (v_j * r).sum(0)
    energy += 0.5 * (q_i * s_j + q_j * s_i) * b[2]
    energy += ((mu_j * v_i).sum(0) - (mu_i * v_j).sum(0)) * b[2] + 0.5 * (d_i * s_j - d_j * s_i) * b[3]
    energy += 0.5 * (m_i * m_j).sum((0, 1)) * b[2] - (v_i * v_j).sum(0) * b[3] + 0.25 * s_i * s_j * b[4]
    return energy


def own_energy(moments: Multipoles, alpha: Array | float) -> jax.Array:
    """``- sum_i L_i L_i erf(alpha r) / r / 2`` at distance zero: what the smooth sum has too much of."""
    b, moments = _at_contact(alpha, 2), jax.tree.map(jnp.asarray, moments)
    energy = moments.charges**2 * b[0]
    if moments.dipoles is not None:
        energy += (moments.dipoles**2).sum(0) * b[1]
    if moments.quadrupoles is not None:
        energy += 0.5 * (moments.quadrupoles**2).sum((0, 1)) * b[2]
    return -0.5 * energy.sum()
