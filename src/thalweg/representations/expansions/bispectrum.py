"""Hyperspherical bispectrum of the neighbor density [bartok2010], as SNAP defines it [thompson2015].

A neighbor at ``(x, y, z)``, distance r, is a point on the three-sphere and so a rotation,

    a = cos t - i (z / r) sin t,    b = (y / r) sin t - i (x / r) sin t,    t = f pi (r - r_min) / (r_c - r_min),

whose representation matrices ``U_j(a, b)``, j = 0, 1/2, 1, ..., are summed over neighbors,

    u_j = w_self 1 + sum_k s(r_k) w_k U_j(a_k, b_k),    s(r) = (1 + cos(pi (r - r_min) / (r_c - r_min))) / 2,

and coupled by Clebsch-Gordan coefficients to numbers that rotations leave alone:

    B_(j1 j2 j) = tr(u_j^+ C (u_j1 x u_j2) C^T),    0 <= j2 <= j1 <= j <= J,  |j1 - j2| <= j <= j1 + j2.

Indices are doubled in code, as in SNAP. The cosine has one continuous derivative at the cutoff, as there.
"""

from __future__ import annotations

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.representations.environments import Environments
from thalweg.representations.representation import Representation
from thalweg.representations.spherical_harmonics import clebsch_gordan
from thalweg.shapes import Array, Float
from thalweg.units import InCode, Nanometers

TOGETHER = 64
"""Sites worked on together, so that what is computed on the way stays near the processor."""


class Bispectrum(Representation):
    """SNAP's bispectrum components, in the order in which LAMMPS has them.

    Neighbors fade out by a cosine, as in LAMMPS: the second derivative jumps at the cutoff.

    Attributes
    ----------
    cutoff : of the largest element [nm]; LAMMPS's ``rcutfac`` in Å
    twojmax : twice the largest angular momentum
    rfac0, rmin0 : fraction f of the half circle that distances are mapped to, and r_min [nm]
    weights : w of each element; one for all by default
    radii : the cutoff of two elements is the sum of theirs times ``cutoff``; the largest must be one half
    wself : weight of the central atom
    bzero : whether the components of an atom alone are subtracted
    switch : whether neighbors fade out towards the cutoff
    elements : atomic numbers

    Raises
    ------
    ValueError
        If weights or radii do not match the elements.
    """

    cutoff: Nanometers = eqx.field(static=True, default=0.47)
    twojmax: int = eqx.field(static=True, default=6)
    rfac0: float = eqx.field(static=True, default=0.99363)
    rmin0: float = eqx.field(static=True, default=0.0)
    weights: tuple[float, ...] | None = eqx.field(static=True, default=None)
    radii: tuple[float, ...] | None = eqx.field(static=True, default=None)
    wself: float = eqx.field(static=True, default=1.0)
    bzero: bool = eqx.field(static=True, default=True)
    switch: bool = eqx.field(static=True, default=True)
    elements: InCode[tuple[int, ...] | None] = eqx.field(static=True, default=None, kw_only=True)

    def __check_init__(self):
        for name, values in (("weights", self.weights), ("radii", self.radii)):
            if values is not None and self.elements is not None and len(values) != len(self.elements):
                raise ValueError(
                    f"{len(values)} {name} given for {len(self.elements)} elements; give one for each"
                )
        if self.radii is not None and abs(max(self.radii) - 0.5) > 1e-12:
            raise ValueError(
                f"radii {self.radii}: the largest must be 0.5, as cutoff belongs to two such atoms"
            )

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        neighborhoods = environments.vectors, environments.neighbor_kinds, environments.kinds
        sites = neighborhoods[2].shape[0]
        if sites <= TOGETHER:
            return self._components(*neighborhoods)
        blocks = -(-sites // TOGETHER)

        def split(array):
            edge = [(0, 0)] * (array.ndim - 1) + [(0, blocks * TOGETHER - sites)]
            padded = jnp.pad(array, edge, mode="edge")
            return jnp.moveaxis(padded.reshape(*array.shape[:-1], blocks, TOGETHER), -2, 0)

        rows = jax.lax.map(
            jax.checkpoint(lambda block: self._components(*block)), tuple(map(split, neighborhoods))
        )
        return jnp.moveaxis(rows, 0, 1).reshape(rows.shape[1], -1)[:, :sites]

    def _components(self, vectors, neighbor_kinds, kinds):
        """Components of a few sites.

        =======================  ======================================================
        ``u``                    entries of all ``u_j`` one after another
        ``z``                    ``C (u_j1 x u_j2) C^T``, entry by entry (entries, sites)
        =======================  ======================================================
        """
        u = jnp.concatenate(self._sums(vectors, neighbor_kinds, kinds))
        traces, owners = [], []
        for first, second, target, owner, weights in _coupling_tables(self.twojmax):
            z = (jnp.asarray(weights, vectors.dtype)[..., None] * u[first] * u[second]).sum(0)
            traces.append((u[target].conj() * z).real)
            owners.append(owner)
        every = components(self.twojmax)
        rows = jax.ops.segment_sum(jnp.concatenate(traces), np.concatenate(owners), len(every))
        if not self.bzero:
            return rows
        # of an atom alone u_j = w_self 1
        alone = [self.wself**3 * (j + 1) for _, _, j in every]
        return rows - jnp.asarray(alone, rows.dtype)[:, None]

    def _sums(self, vectors, neighbor_kinds, kinds):
        """``u_j``, ``((j + 1)^2, sites)`` for each j."""
        fading, a, b = self._rotations(vectors, neighbor_kinds, kinds)
        half, sums = jax.lax.complex(fading, jnp.zeros_like(fading))[None, None], []
        for j in range(self.twojmax + 1):
            # left half of s w U_j of each neighbor, by recursion; summed, the right half mirrors it
            half = _next_left_half(half, j, a, b) if j else half
            left = half.sum(2)
            whole = jnp.concatenate([left, _mirrored(left[: (j + 1) // 2][::-1], j)])
            itself = self.wself * np.eye(j + 1).reshape(-1, 1)
            sums.append(whole.reshape((j + 1) ** 2, -1) + jnp.asarray(itself, whole.dtype))
        return sums

    def _rotations(self, vectors, neighbor_kinds, kinds):
        """``s w``, ``a`` and ``b`` of each neighbor ``(neighbors, sites)``, the latter complex."""
        r, (x, y, z) = jnp.sqrt((vectors * vectors).sum(0)), vectors
        cutoff, weight = self._pairs(vectors.dtype, neighbor_kinds, kinds)
        near = jnp.minimum(r, cutoff)
        angle = jnp.pi * (near - self.rmin0) / (cutoff - self.rmin0)  # t / f
        sine = jnp.abs(jnp.sin(self.rfac0 * angle))
        a = jax.lax.complex(jnp.cos(self.rfac0 * angle) * jnp.sign(near - self.rmin0), -z * sine / r)
        b = jax.lax.complex(y * sine / r, -x * sine / r)
        fading = jnp.where(r < cutoff, weight, 0.0)
        if self.switch:
            fading = fading * 0.5 * (1 + jnp.cos(jnp.maximum(angle, 0)))
        return fading, a, b

    def _pairs(self, dtype, neighbor_kinds, kinds):
        """Cutoff of each pair and weight of each neighbor."""
        weight = jnp.ones(neighbor_kinds.shape, dtype)
        if self.weights is not None:
            weight = jnp.asarray(self.weights, dtype)[neighbor_kinds]
        if self.radii is None:
            return jnp.full(neighbor_kinds.shape, self.cutoff, dtype), weight
        radii = jnp.asarray(self.radii, dtype)
        return self.cutoff * (radii[kinds] + radii[neighbor_kinds]), weight


def components(twojmax: int) -> list[tuple[int, int, int]]:
    """Doubled (j1, j2, j) of each component, in SNAP's order.

    Examples
    --------
    >>> components(2)
    [(0, 0, 0), (1, 0, 1), (1, 1, 2), (2, 0, 2), (2, 2, 2)]
    """
    return [
        (j1, j2, j)
        for j1 in range(twojmax + 1)
        for j2 in range(j1 + 1)
        for j in range(j1 - j2, min(twojmax, j1 + j2) + 1, 2)
        if j >= j1
    ]


def _next_left_half(half, j, a, b):
    """Rows up to j / 2 of U_j, ``(rows, columns, neighbors, sites)``, from those of U_(j - 1), by recursion."""
    if j % 2 == 0:
        half = jnp.concatenate([half, _mirrored(half[-1:], j - 1)])
    rows, columns = np.arange(j // 2 + 1)[:, None], np.arange(j)[None, :]

    def scaled(numbers):
        return jnp.asarray(np.sqrt(numbers)[:, :, None, None], a.real.dtype)

    # U_j[m, m'] = sqrt((j - m') / (j - m)) a* U_(j-1)[m, m'] - sqrt(m' / (j - m)) b* U_(j-1)[m, m' - 1]
    same, shifted = scaled((j - columns) / (j - rows)), scaled((columns + 1) / (j - rows))
    edge, before = ((0, 0), (0, 1), (0, 0), (0, 0)), ((0, 0), (1, 0), (0, 0), (0, 0))
    return jnp.pad(same * a.conj() * half, edge) - jnp.pad(shifted * b.conj() * half, before)


def _mirrored(rows, j):
    """Rows of the other half of U_j that mirror these, the last of ``rows`` first: ``(-1)^(m - m') conj``, reversed.

    ``rows`` are the last ones of the left half, in reverse order or one alone.
    """
    count, columns = rows.shape[:2]
    row = (j + 1) // 2 - 1 - np.arange(count)
    signs = 1.0 - 2.0 * ((row[:, None] + np.arange(columns)[None, :]) % 2)
    signs = signs.reshape(count, columns, *[1] * (rows.ndim - 2))
    return (jnp.asarray(signs, rows.real.dtype) * rows.conj())[:, ::-1]


def _couplings(j1: int, j2: int, j: int):
    """Terms of each entry of the left half of ``C (u_j1 x u_j2) C^T``, and which entry it is.

    A term is an entry of u_j1, one of u_j2 and a coefficient. The right half adds the same.
    """
    for row in range(j // 2 + 1):
        for column in range(j + 1):
            # the row in the middle mirrors itself: half of its columns, and its middle counted once
            if 2 * row == j and 2 * column > j:
                continue
            double = 1.0 if 2 * row == j == 2 * column else 2.0
            terms = [
                (p * (j1 + 1) + q, p2 * (j2 + 1) + q2, double * c * d)
                for p, p2, c in _pairs_of_momenta(j1, j2, j)[row]
                for q, q2, d in _pairs_of_momenta(j1, j2, j)[column]
            ]
            yield terms, row * (j + 1) + column


@cache
def _coupling_tables(twojmax: int):
    """Couplings of entries with about as many terms, together; short ones end in terms of weight zero.

    Of each group: tables ``(terms, entries)`` of what is multiplied, as entries of all u_j one after another; the entry
    of u_j that each sum meets and the component that it belongs to, ``(entries,)``; the table of coefficients.
    """
    begin = np.cumsum([0] + [(j + 1) ** 2 for j in range(twojmax + 1)])
    groups: dict[int, list] = {}
    for owner, (j1, j2, j) in enumerate(components(twojmax)):
        for terms, target in _couplings(j1, j2, j):
            table = np.array(terms) + np.array([begin[j1], begin[j2], 0.0])
            size = int(np.ceil(np.log2(len(terms)) / 2))
            groups.setdefault(size, []).append((table, target + begin[j], owner))
    merged = []
    for members in groups.values():
        tables, targets, owners = zip(*members)
        most = max(map(len, tables))
        whole = np.stack([np.pad(table, ((0, most - len(table)), (0, 0))) for table in tables], 1)
        first, second, weights = np.moveaxis(whole, 2, 0)
        places = (np.array(each, np.int32) for each in (first, second, targets, owners))
        merged.append((*places, weights))
    return merged


@cache
def _pairs_of_momenta(j1: int, j2: int, j: int):
    """For each m of j: the (m1, m2, coefficient) that add up to it; all counted from 0, momenta doubled."""
    rows = []
    for m in range(j + 1):
        row = []
        for m1 in range(j1 + 1):
            m2 = m - m1 + (j1 + j2 - j) // 2
            if 0 <= m2 <= j2:
                halves = (j1 / 2, m1 - j1 / 2, j2 / 2, m2 - j2 / 2, j / 2, m - j / 2)
                row.append((m1, m2, clebsch_gordan(*halves)))
        rows.append(row)
    return rows
