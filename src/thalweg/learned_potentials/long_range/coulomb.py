"""Coulomb energies of whole frames, for point charges, smeared ones and multipoles, in the open and in cells.

In a cell ``K = erf(a r)/r + (K - erf(a r)/r)``: the first part by waves or a mesh, the rest over pairs nearby, where
``K`` is the kernel of two atoms; it is ``1/r`` for points, ``erf`` for Gaussian charges. In the open, all pairs. Over
the last tenth of the cutoff, where next to nothing is left of it, the rest goes to zero smoothly, so that forces are
derivatives of the energy whoever comes and goes.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.long_range.whole_frames import WholeFrame
from thalweg.potentials.electrostatics.ewald import smooth_energy, wave_vectors
from thalweg.potentials.electrostatics.multipoles import (
    SQRT_PI,
    Multipoles,
    multipole_energy,
    point_kernel,
    smooth_kernel,
)
from thalweg.potentials.electrostatics.particle_mesh import smooth_mesh_energy
from thalweg.shapes import Array, Float, Int
from thalweg.units import COULOMB

RadialKernel = Callable
"""``kernel(r, own, partner, order)``: radial derivatives for atoms of such kinds at distances ``r`` [nm]."""


class BareCharges(eqx.Module):
    """``1 / r``."""

    def __call__(self, r: Float[Array, " *pairs"], own: Array, partner: Array, order: int) -> list[jax.Array]:
        return point_kernel(r, order)


class GaussianCharges(eqx.Module):
    """``erf(r / sqrt(2 (w_i^2 + w_j^2))) / r``: charges smeared over Gaussians, as wide as elements say [nm]."""

    widths: Float[Array, " elements"]

    def __call__(self, r: Float[Array, " *pairs"], own: Array, partner: Array, order: int) -> list[jax.Array]:
        squares = jnp.asarray(self.widths, r.dtype) ** 2
        return smooth_kernel(r, 1 / jnp.sqrt(2 * (squares[own] + squares[partner])), order)


class DistantCharges(eqx.Module):
    """``S(r) / r``, where ``S`` rises smoothly from none at ``inner`` to one at ``outer`` [nm]."""

    inner: float = eqx.field(static=True)
    outer: float = eqx.field(static=True)

    def __call__(self, r: Float[Array, " *pairs"], own: Array, partner: Array, order: int) -> list[jax.Array]:
        b, width = point_kernel(r, order), self.outer - self.inner
        x = jnp.clip((r - self.inner) / width, 0, 1)
        share = x * x * x * (10 - 15 * x + 6 * x * x)
        values = [share * b[0]]
        if order:
            values.append(share * b[1] - 30 * (x * (1 - x)) ** 2 / width * b[0] / r)
        if order > 1:
            slope = 30 * (x * (1 - x)) ** 2 / width
            bend = 60 * x * (1 - x) * (1 - 2 * x) / width**2
            values.append(share * b[2] + (bend - 3 * slope / r) * b[0] / r**2)
        return values


class Thole(eqx.Module):
    """Fields of smeared charges ``exp(-a u^3)``, ``u = r / (alpha_i alpha_j)^(1/6)`` [thole1981].

    The energy of two charges, which induction does not need, is left that of points.

    Attributes
    ----------
    polarizabilities : of each element, as volumes [nm^3]
    damping : ``a``; the larger the sharper
    """

    polarizabilities: Float[Array, " elements"]
    damping: Float[Array, ""] | float

    def __call__(self, r: Float[Array, " *pairs"], own: Array, partner: Array, order: int) -> list[jax.Array]:
        volumes = jnp.asarray(self.polarizabilities, r.dtype)
        x = self.damping * r**3 / jnp.sqrt(volumes[own] * volumes[partner])
        falling = jnp.exp(-x)
        b = point_kernel(r, 2)
        return [b[0], b[1] * (1 - falling), b[2] * (1 - (1 + x) * falling)][: order + 1]


def coulomb_energy(
    frame: WholeFrame, moments: Multipoles, alpha: float, cutoff: float, kernel: RadialKernel | None = None
) -> Float[Array, ""]:
    """Energy of all atoms with all others, once each [kJ/mol]; by ``erf(a r)/r`` itself where there is no kernel."""
    if frame.box is None:
        return COULOMB * _in_the_open(frame, moments, alpha, kernel)
    if frame.mesh is not None:
        total = smooth_mesh_energy(frame.points, moments.charges, frame.box, alpha, frame.mesh)
    else:
        total = smooth_energy(frame.points, moments, frame.box, alpha, frame.waves)
    return COULOMB * (total if kernel is None else total + _nearby(frame, moments, alpha, cutoff, kernel))


def _in_the_open(frame, moments, alpha, kernel):
    """All pairs, half of those both ways round."""
    r, apart, r_of = _all_pairs(frame)
    kinds = frame.kinds
    if kernel is None:
        values = smooth_kernel(r_of, alpha, moments.order)
    else:
        values = kernel(r_of, kinds[:, None], kinds[None, :], moments.order)
    own, partner = (jax.tree.map(lambda leaf, at=at: leaf[(..., *at)], moments) for at in _SIDES)
    return 0.5 * jnp.where(apart, multipole_energy(values, r, own, partner), 0.0).sum()


_SIDES = ((slice(None), None), (None, slice(None)))
"""Owners along the first axis of pairs, partners along the second."""


def _all_pairs(frame):
    """Vectors (3, sites, sites) from each site to each, whether these are two atoms, and distances, one where not."""
    points, there = frame.points, frame.kinds >= 0
    r = points[:, None, :] - points[:, :, None]
    apart = there[:, None] & there[None, :] & ~np.eye(points.shape[1], dtype=bool)
    return r, apart, jnp.sqrt(jnp.where(apart, (r * r).sum(0), 1.0))


def _nearby(frame, moments, alpha, cutoff, kernel):
    """What pairs nearby have more than by the smooth kernel; neighbors that are not there are too far to matter."""
    present = frame.environments
    own_kinds, distances = frame.kinds, present.distances
    values = [
        full - smooth
        for full, smooth in zip(
            kernel(distances, own_kinds[None], present.neighbor_kinds, moments.order),
            smooth_kernel(distances, alpha, moments.order),
        )
    ]
    own = jax.tree.map(lambda leaf: leaf[..., None, :], moments)
    energies = multipole_energy(values, present.vectors, own, moments.of(present.partners))
    energies = energies * _fading(distances, cutoff)
    return 0.5 * jnp.where(own_kinds >= 0, energies, 0.0).sum()


def fields(
    frame: WholeFrame, charges: Float[Array, " sites"], alpha: float, cutoff: float, kernel: RadialKernel
) -> Float[Array, "3 sites"]:
    """The field of all other ``charges`` at each site, minus the gradient of their potential [kJ/mol/e/nm]."""
    kinds = frame.kinds
    if frame.box is None:
        r, apart, distances = _all_pairs(frame)
        values = kernel(distances, kinds[:, None], kinds[None, :], 1)[1]
        return -COULOMB * (r * jnp.where(apart, charges * values, 0.0)).sum(2)
    present = frame.environments
    r = present.distances
    values = kernel(r, kinds[None], present.neighbor_kinds, 1)[1] - smooth_kernel(r, alpha, 1)[1]
    weights = jnp.asarray(charges)[present.partners] * values * _fading(r, cutoff)
    return _smooth_fields(frame, charges, alpha) - COULOMB * (present.vectors * weights).sum(1)


def _smooth_fields(frame, charges, alpha):
    """Those of ``erf(a r)/r``, by waves or a mesh."""
    if frame.mesh is not None:
        return _fields_of_mesh(frame, charges, alpha)

    def energy(dipoles):
        return smooth_energy(frame.points, Multipoles(charges, dipoles), frame.box, alpha, frame.waves)

    return -COULOMB * jax.grad(energy)(jnp.zeros_like(frame.points))


def _fields_of_mesh(frame, charges, alpha):
    """Minus the gradient of the energy of unit charges put where the atoms are; that with each other falls out."""
    probes = jnp.where(frame.kinds >= 0, 1.0, 0.0).astype(charges.dtype)

    def energy(places, sign):
        points = jnp.concatenate([frame.points, places], 1)
        return smooth_mesh_energy(
            points, jnp.concatenate([charges, sign * probes]), frame.box, alpha, frame.mesh
        )

    return -0.5 * COULOMB * jax.grad(lambda places: energy(places, 1.0) - energy(places, -1.0))(frame.points)


def charge_interactions(
    frame: WholeFrame, alpha: float, cutoff: float, kernel: RadialKernel
) -> Float[Array, "sites sites"]:
    """``J``, for which `coulomb_energy` of charges is ``q . J q / 2`` [kJ/mol/e^2], zero for what fills a block."""
    kinds = frame.kinds
    there = kinds >= 0
    if frame.box is None:
        _, apart, distances = _all_pairs(frame)
        return COULOMB * jnp.where(apart, kernel(distances, kinds[:, None], kinds[None, :], 0)[0], 0.0)
    present = frame.environments
    more = kernel(present.distances, kinds[None], present.neighbor_kinds, 0)[0]
    more = (more - smooth_kernel(present.distances, alpha, 0)[0]) * _fading(present.distances, cutoff)
    sites = len(kinds)
    rows = jnp.broadcast_to(jnp.arange(sites), present.partners.shape)
    matrix = jnp.zeros((sites, sites), more.dtype).at[rows, present.partners].add(more)
    matrix = (matrix + matrix.T) / 2 + _smooth_matrix(frame, alpha)
    return COULOMB * jnp.where(there[:, None] & there[None, :], matrix, 0.0)


def _smooth_matrix(frame, alpha):
    """The part by waves, what atoms do to themselves taken off, and the background."""
    k = wave_vectors(frame.waves, frame.box)
    squared = (k * k).sum(1)
    there = squared > 0
    squared = jnp.where(there, squared, 1.0)
    volume = jnp.abs(jnp.linalg.det(jnp.asarray(frame.box)))
    weights = 8 * np.pi / volume * jnp.where(there, jnp.exp(-squared / (4 * alpha * alpha)) / squared, 0.0)
    phases = k @ frame.points
    cosine, sine = jnp.cos(phases), jnp.sin(phases)
    own = jnp.eye(phases.shape[1], dtype=phases.dtype) * (2 * alpha / SQRT_PI)
    return (
        cosine.T @ (weights[:, None] * cosine)
        + sine.T @ (weights[:, None] * sine)
        - own
        - (np.pi / (alpha * alpha * volume))
    )


def _fading(distances, cutoff):
    """One up to nine tenths of the cutoff, then to zero with two continuous derivatives."""
    x = jnp.clip(10 * distances / cutoff - 9, 0, 1)
    return 1 - x * x * x * (10 - 15 * x + 6 * x * x)


def of_kinds(table: Float[Array, " elements"], kinds: Int[Array, " sites"], like: Array) -> jax.Array:
    """Entries of a table over elements for each site, zero for what only fills a block."""
    return jnp.where(kinds >= 0, jnp.asarray(table, like.dtype)[kinds], 0.0)
