"""Covariances of properties: kernels between sites times dot products of their tensors, summed over sites.

With ``g_n`` independent Gaussian processes of covariance ``k(f, f') = m^2 + exp(-|f - f'|^2 / 2 w^2)`` between sites of
one element, a property ``y_a(A) = sum_{i in A} sum_n g_n(f_i) T_ina`` has

    cov(y_a(A), y_b(B)) = sum_{i in A, j in B}  k(f_i, f_j) sum_n T_ina T_jnb,

which turns as the two properties do [grisafi2018]. The constant ``m^2`` makes what does not depend on surroundings: a
charge, dipole or polarizability of each element.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from thalweg.shapes import Float, Int

TOGETHER = 2000
"""Sites of one element that are compared at once."""


@dataclass(frozen=True)
class Sites:
    """Atoms of some frames as a readout sees them.

    Attributes
    ----------
    kinds : (sites,), element of each
    features : (sites of the kind, features), of each kind
    tensors : (sites, channels, components)
    owners : (sites,), row of the labels that each contributes to
    rows : number of these
    """

    kinds: Int[np.ndarray, " sites"]
    features: tuple[Float[np.ndarray, "_ _"], ...]
    tensors: Float[np.ndarray, "sites channels components"]
    owners: Int[np.ndarray, " sites"]
    rows: int

    @property
    def components(self) -> int:
        """Numbers in a row of the labels."""
        return self.tensors.shape[2]

    def of_rows(self, chosen: Int[np.ndarray, " rows"]) -> Sites:
        """The sites of some rows of the labels, which are numbered anew in the order of ``chosen``."""
        place = np.full(self.rows, -1)
        place[chosen] = np.arange(len(chosen))
        mine = place[self.owners] >= 0
        features = tuple(columns[mine[self.kinds == kind]] for kind, columns in enumerate(self.features))
        return Sites(self.kinds[mine], features, self.tensors[mine], place[self.owners[mine]], len(chosen))


def covariance(one: Sites, other: Sites, width: float, constant: float) -> Float[np.ndarray, "labels others"]:
    """``cov(y_a(A), y_b(B))``, rows and columns in the order (row of the labels, component)."""
    a, b = one.components, other.components
    total = np.zeros((one.rows, a, other.rows, b))
    for kind, (left, right) in enumerate(zip(one.features, other.features)):
        mine, theirs = np.flatnonzero(one.kinds == kind), np.flatnonzero(other.kinds == kind)
        if not (len(mine) and len(theirs)):
            continue
        onto = _sums(other.owners[theirs], other.rows).T
        for start in range(0, len(mine), TOGETHER):
            some = mine[start : start + TOGETHER]
            kernel = constant + _gaussian(left[start : start + TOGETHER], right, width)
            first = _sums(one.owners[some], one.rows)
            for p in range(a):
                for q in range(b):
                    dots = one.tensors[some][:, :, p] @ other.tensors[theirs][:, :, q].T
                    total[:, p, :, q] += first @ (kernel * dots) @ onto
    return total.reshape(one.rows * a, other.rows * b)


def channel_weights_of(
    known: Sites, coefficients: Float[np.ndarray, " labels"]
) -> tuple[Float[np.ndarray, "_ channels"], ...]:
    """What each known site contributes to the functions ``g_n``: ``sum_b T_jnb a_b``, of each kind."""
    along = coefficients.reshape(known.rows, known.components)[known.owners]
    weights = np.einsum("snc,sc->sn", known.tensors, along)
    return tuple(weights[known.kinds == kind] for kind in range(len(known.features)))


def read_out(
    sites: Sites,
    points: tuple[Float[np.ndarray, "_ _"], ...],
    weights: tuple[Float[np.ndarray, "_ channels"], ...],
    width: float,
    constant: float,
) -> Float[np.ndarray, "rows components"]:
    """``sum_i sum_n g_n(f_i) T_in`` with ``g_n(f) = sum_j k(f, f_j) w_jn``."""
    functions = np.zeros(sites.tensors.shape[:2])
    for kind, columns in enumerate(sites.features):
        mine = np.flatnonzero(sites.kinds == kind)
        for start in range(0, len(mine), TOGETHER):
            kernel = constant + _gaussian(columns[start : start + TOGETHER], points[kind], width)
            functions[mine[start : start + TOGETHER]] = kernel @ weights[kind]
    return _sums(sites.owners, sites.rows) @ np.einsum("sn,snc->sc", functions, sites.tensors)


def _gaussian(left, right, width):
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
    return np.exp(np.maximum(squares, 0) * (-0.5 / width**2))


def _sums(owners, rows):
    """Matrix that sums sites into rows."""
    return sparse.csr_matrix((np.ones(len(owners)), (owners, np.arange(len(owners)))), (rows, len(owners)))
