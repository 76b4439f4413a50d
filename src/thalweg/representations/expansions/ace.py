"""The atomic cluster expansion: invariant products of one to four factors of the neighbor density [drautz2019].

With ``A_nlm`` the density of neighbors, ``n`` counted from 1 and standing for radial function and element channel
together, and ``T`` two of its factors coupled to degree ``L``,

    order 1:  A_n00                                     pairs
    order 2:  sum_m  A_nlm A_n'lm                       triples: bond angles
    order 3:  sum_M  T_(nl,n'l')LM  A_n''LM             quadruples: dihedrals
    order 4:  sum_M  T_(nl,n'l')LM  T_(n''l'',n'''l''')LM

(the body order is one more). Invariants of an order are kept while ``sum (n + l)`` is no more than its level. Products
are coupled through natural parity only. Those of four identical degrees are not all independent; a ridge does not
mind. Together they span the SNAP bispectrum and the moment tensors of the same level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.representations.density import DensityRepresentation, harmonic_factors
from thalweg.representations.element_channels import element_channels
from thalweg.representations.environments import Environments
from thalweg.representations.radial import ChebyshevBasis, Exponential, RadialScale
from thalweg.representations.spherical_harmonics import coupling
from thalweg.shapes import Array, Float
from thalweg.units import InCode, Nanometers


class ACE(DensityRepresentation):
    """Atomic cluster expansion.

    Parameters
    ----------
    cutoff : [nm]
    levels : highest level of the invariants of order 1, 2, ...; up to four of them
    degrees : highest degree ``l`` of their factors
    radial_scale : where radial functions are finer: `radial.Exponential`, at short range, or `radial.Agnesi`, about a
        distance
    channels : number of mixtures the elements of neighbors are compressed into; None keeps them apart
    elements : atomic numbers, or None until `over` fills them in

    Examples
    --------
    >>> from thalweg.systems.configuration import Configuration
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]))
    >>> ACE(cutoff=0.5, levels=(6, 6)).features([water])[0].shape
    (3, 62)
    """

    cutoff: Nanometers = eqx.field(static=True, default=0.5)
    levels: tuple[int, ...] = eqx.field(static=True, default=(16, 14, 12, 11))
    degrees: tuple[int, ...] = eqx.field(static=True, default=(0, 8, 6, 4))
    radial_scale: RadialScale = eqx.field(static=True, default=Exponential())
    channels: int | None = eqx.field(static=True, default=None)
    elements: InCode[tuple[int, ...] | None] = eqx.field(static=True, default=None, kw_only=True)

    @property
    def plan(self) -> Products:
        """Which factors are multiplied."""
        return _products(self.levels, self.degrees, len(element_channels(self.elements, self.channels)))

    def factors(
        self, environments: Environments
    ) -> tuple[Float[Array, "functions neighbors sites"], Float[Array, "angular neighbors sites"]]:
        basis = ChebyshevBasis(self.plan.radial, self.cutoff, self.radial_scale)
        return harmonic_factors(environments, basis, self.plan.degree, self.elements, self.channels)

    def invariants(self, density: Float[Array, "functions angular sites"]) -> Float[Array, "features sites"]:
        plan = self.plan
        parts = [density[:, l * l : (l + 1) ** 2] for l in range(plan.degree + 1)]
        # order 1: A_n00; order 2: sum_m A_nlm A_n'lm
        features = [parts[0][plan.singles, 0]]
        features += [(parts[l][a] * parts[l][b]).sum(1) for l, (a, b) in plan.pairs.items()]
        # T_(nl,n'l')LM, (pairs of factors, 2 L + 1, sites), then orders 3 and 4
        coupled = {
            L: jnp.concatenate([_coupled(parts[l], parts[k], a, b, L) for (l, k), (a, b) in tables.items()])
            for L, tables in plan.coupled.items()
        }
        features += [(coupled[L][a] * parts[L][b]).sum(1) for L, (a, b) in plan.triples.items()]
        features += [(coupled[L][a] * coupled[L][b]).sum(1) for L, (a, b) in plan.quadruples.items()]
        return jnp.concatenate(features)


def _coupled(left, right, a, b, degree):
    """``T = C (left_a (x) right_b)``, ``(pairs, 2 degree + 1, sites)``."""
    l, k = left.shape[1] // 2, right.shape[1] // 2
    outer = (left[a][:, :, None] * right[b][:, None]).reshape(len(a), -1, left.shape[-1])
    matrix = coupling(l, k, degree).reshape(-1, 2 * degree + 1).T
    return jnp.matmul(jnp.asarray(matrix, outer.dtype), outer)


Pairs = tuple[np.ndarray, np.ndarray]
"""Rows of the first and of the second factor of each product."""


@dataclass(frozen=True)
class Products:
    """Which factors are multiplied to invariants.

    Attributes
    ----------
    radial, degree : number of radial functions and highest degree of the density
    singles : rows of the density that are invariants themselves
    pairs : by degree, rows of the density
    coupled : by degree L, then by the degrees of the two factors, rows of the density that make up ``T``
    triples : by degree L, rows of ``T`` and of the density
    quadruples : by degree L, rows of ``T`` twice
    levels : (invariants,) ``sum (n + l)`` of each
    """

    radial: int
    degree: int
    singles: np.ndarray
    pairs: dict[int, Pairs]
    coupled: dict[int, dict[tuple[int, int], Pairs]]
    triples: dict[int, Pairs]
    quadruples: dict[int, Pairs]
    levels: np.ndarray


@lru_cache
def _products(levels: Sequence[int], degrees: Sequence[int], channels: int) -> Products:
    """All invariants up to the levels and degrees of each order.

    Raises
    ------
    ValueError
        If there are more than four orders, or not one degree for each.
    """
    if not 0 < len(levels) <= 4 or len(degrees) < len(levels):
        raise ValueError(
            f"levels={levels} with degrees={degrees}; give one to four levels and a degree for each of them"
        )
    # all other factors of an invariant have at least n = 1 and l = 0, which leaves the rest of the level to one
    radial = max(level - order for order, level in enumerate(levels))
    tables = _Coupled()
    invariants: list[list] = [[] for _ in levels]
    for order, (level, degree) in enumerate(zip(levels, degrees), 1):
        factors = _factors(level - (order - 1), degree, channels, radial)
        for chosen in combinations_with_replacement(factors, order):
            total = sum(factor.n + factor.l for factor in chosen)
            if total <= level:
                invariants[order - 1] += [(L, a, b, total) for L, a, b in _invariants(chosen, tables)]
    by_degree = [_by_degree(of_order, tables) for of_order in invariants]
    # features of one order stand by degree, in the order in which they were found
    sorted_levels = [
        total for of_order in invariants for *_, total in sorted(of_order, key=lambda invariant: invariant[0])
    ]
    singles = by_degree[0][0][0] if by_degree[0] else np.zeros(0, np.int32)
    by_degree += [{}] * 4
    return Products(
        radial=radial,
        degree=max(min(l, level - 1) for l, level in zip(degrees, levels)),
        singles=singles,
        pairs=by_degree[1],
        coupled=tables.arrays(),
        triples=by_degree[2],
        quadruples=by_degree[3],
        levels=np.array(sorted_levels),
    )


@dataclass(frozen=True)
class _Factor:
    """A row of the density: ``n`` from 1, degree, place."""

    n: int
    l: int
    row: int


def _factors(top: int, degree: int, channels: int, radial: int) -> list[_Factor]:
    """Factors with ``n + l <= top`` up to a degree; rows of the density stand by channel, then radial function."""
    return [
        _Factor(n, l, c * radial + n - 1)
        for l in range(min(degree, top - 1) + 1)
        for n in range(1, top - l + 1)
        for c in range(channels)
    ]


class _Coupled:
    """Pairs of factors coupled to a degree, each listed once."""

    def __init__(self):
        self.rows: dict = {}

    def row(self, a, b, degree):
        pairs = self.rows.setdefault(degree, {}).setdefault((a.l, b.l), {})
        return ((a.l, b.l), pairs.setdefault((a.row, b.row), len(pairs)))

    def place(self, degree, row):
        """Row of ``T`` once all pairs of all degrees of factors stand below each other."""
        kinds = self.rows[degree]
        return sum(len(kinds[kind]) for kind in list(kinds)[: list(kinds).index(row[0])]) + row[1]

    def arrays(self):
        return {
            degree: {kind: tuple(np.array(list(pairs), np.int32).T) for kind, pairs in kinds.items()}
            for degree, kinds in self.rows.items()
        }


def _invariants(chosen, tables):
    """Degree and the two rows of each invariant of some factors; rows of ``T`` as `_Coupled` names them."""
    match chosen:
        case (a,) if a.l == 0:
            yield 0, a.row, a.row
        case (a, b) if a.l == b.l:
            yield a.l, a.row, b.row
        case (a, b, c) if _natural(a.l, b.l, c.l):
            yield c.l, tables.row(a, b, c.l), c.row
        case (a, b, c, d):
            for degree in range(a.l + b.l + 1):
                if _natural(a.l, b.l, degree) and _natural(c.l, d.l, degree):
                    yield degree, tables.row(a, b, degree), tables.row(c, d, degree)


def _natural(l1, l2, l3):
    return abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0


def _by_degree(order, tables):
    """Rows of both factors of each product, by degree."""

    def place(degree, row):
        return tables.place(degree, row) if isinstance(row, tuple) else row

    return {
        degree: tuple(
            np.array(
                [[place(degree, a), place(degree, b)] for L, a, b, _ in order if degree == L], np.int32
            ).T
        )
        for degree in sorted({L for L, *_ in order})
    }
