"""How alike molecules are: shared substructures over all that either has, and distances between scaled descriptors.

For counts ``a`` and ``b`` the Tanimoto or MinMax kernel [ralaivola2005] is ``sum min(a, b) / sum max(a, b)``: positive
definite, one for equal counts, zero where nothing is shared. Sums of minima are products of unary codes (``a >= k`` for
k = 1, 2, ...), that is matrix products: a dense one of what many molecules have, a sparse one of what few have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from thalweg.shapes import Float, Int, Shaped

FURTHEST = 4.0
"""Scaled descriptors further from the middle count as so far."""

COMMON = 0.02
"""Substructures that more molecules than this fraction have go into the dense product."""


def minmax_kernel(
    first: Shaped[np.ndarray, "some columns"], second: Shaped[np.ndarray, "others columns"]
) -> Float[np.ndarray, "some others"]:
    """``sum min(a, b) / sum max(a, b)`` of all pairs of rows, none negative [ralaivola2005]; one where both are empty.

    Examples
    --------
    >>> minmax_kernel(np.array([[2, 1, 0]]), np.array([[1, 1, 1], [2, 1, 0]])).round(3).tolist()
    [[0.5, 1.0]]
    """
    shared = _shared(first, second)
    either = first.sum(1, dtype=float)[:, None] + second.sum(1, dtype=float) - shared
    return np.where(either > 0, shared / np.maximum(either, 1), 1.0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class DescriptorScale:
    """Descriptors on one scale: less the mean, over the deviation, at most `FURTHEST`; constant ones left out.

    Attributes
    ----------
    kept : which descriptors vary
    means, deviations : of these
    """

    kept: Int[np.ndarray, " kept"]
    means: Float[np.ndarray, " kept"]
    deviations: Float[np.ndarray, " kept"]

    @staticmethod
    def of(descriptors: Float[np.ndarray, "molecules descriptors"]) -> DescriptorScale:
        """The scale of a training set; each descriptor is first flattened by ``sign(x) log(1 + |x|)``.

        Examples
        --------
        >>> scale = DescriptorScale.of(np.array([[1.0, 5.0], [2.0, 5.0]]))
        >>> scale(np.array([[1.0, 7.0], [1e30, 5.0]])).round(2).tolist()
        [[-1.0], [4.0]]
        """
        flat = _flat(descriptors)
        deviations = flat.std(0)
        kept = np.flatnonzero(deviations > 1e-9)
        return DescriptorScale(kept, flat.mean(0)[kept], deviations[kept])

    def __call__(
        self, descriptors: Float[np.ndarray, "molecules descriptors"]
    ) -> Float[np.ndarray, "molecules kept"]:
        scaled = (_flat(descriptors)[:, self.kept] - self.means) / self.deviations
        return np.clip(scaled, -FURTHEST, FURTHEST)


def mean_squared_distances(
    first: Float[np.ndarray, "some columns"], second: Float[np.ndarray, "others columns"]
) -> Float[np.ndarray, "some others"]:
    """Squared distances of all pairs of rows over the number of columns."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * first @ second.T
    return np.maximum(squares, 0) / max(first.shape[1], 1)


def _shared(first, second):
    """``sum min(a, b)`` of all pairs of rows."""
    a, b = first, second
    dense, rare = [(np.zeros((len(a), 0)), np.zeros((len(b), 0)))], []
    for level in range(1, int(min(a.max(initial=0), b.max(initial=0))) + 1):
        # columns in which no row of either side reaches this count add nothing
        kept = (a >= level).any(0) & (b >= level).any(0)
        a, b = a[:, kept], b[:, kept]
        codes = a >= level, b >= level
        common = codes[0].mean(0) * codes[1].mean(0) > COMMON**2
        dense.append(tuple(code[:, common] for code in codes))
        rare.append(tuple(sparse.csr_array(code[:, ~common].astype(np.float32)) for code in codes))
    x, y = (np.concatenate(codes, 1).astype(np.float32) for codes in zip(*dense))
    shared = x @ y.T
    if rare:
        x, y = (sparse.hstack(codes, format="csr") for codes in zip(*rare))
        shared += (x @ y.T).toarray()
    return shared


def _flat(values):
    return np.sign(values) * np.log1p(np.abs(values))
