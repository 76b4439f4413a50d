"""Element channels: many elements told apart by few numbers.

A representation that tells elements apart keeps one density of neighbors per *channel*; a neighbor of element ``a``
enters channel ``c`` with weight ``U_ca``. With one channel per element, ``U`` is the identity and the number of
pair features grows with the square of the number of elements. Fewer channels mix the elements by their likeness:
``U`` holds the leading eigenvectors, each times the root of its eigenvalue, of the alchemical kernel

    K_ab = exp(-|p_a - p_b|^2 / 2),

where ``p`` holds period, group, electronegativity and covalent radius in units of their spread over the s, p and d
blocks. Of all mixtures into so few channels this one keeps most of ``K`` [willatt2018]; with as many channels as
elements nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from thalweg.representations.environments import Environments
from thalweg.shapes import Array, Float

PERIODS = ((1, 2), (3, 10), (11, 18), (19, 36), (37, 54), (55, 86), (87, 118))
"""First and last atomic number of each row of the periodic table."""

ELECTRONEGATIVITIES = (
    "2.20 0 0.98 1.57 2.04 2.55 3.04 3.44 3.98 0 0.93 1.31 1.61 1.90 2.19 2.58 3.16 0 0.82 1.00 1.36 1.54 1.63 1.66 "
    "1.55 1.83 1.88 1.91 1.90 1.65 1.81 2.01 2.18 2.55 2.96 3.00 0.82 0.95 1.22 1.33 1.60 2.16 1.90 2.20 2.28 2.20 "
    "1.93 1.69 1.78 1.96 2.05 2.10 2.66 2.60 0.79 0.89 1.10 1.12 1.13 1.14 1.13 1.17 1.20 1.20 1.10 1.22 1.23 1.24 "
    "1.25 1.10 1.27 1.30 1.50 2.36 1.90 2.20 2.20 2.28 2.54 2.00 1.62 2.33 2.02 2.00 2.20 2.20 0.70 0.90 1.10 1.30 "
    "1.50 1.38 1.36 1.28 1.30 1.30"
)
"""Pauling's scale, hydrogen to curium; zero for the noble gases without a value."""

RADII = (
    "31 28 128 96 84 76 71 66 57 58 166 141 121 111 107 105 102 106 203 176 170 160 153 139 139 132 126 124 132 122 "
    "122 120 119 120 120 116 220 195 190 175 164 154 147 146 142 139 145 144 142 139 139 138 139 140 244 215 207 204 "
    "203 201 199 198 198 196 194 192 192 189 190 187 187 175 170 162 151 144 141 136 136 132 145 146 148 140 150 150 "
    "260 221 215 206 200 196 190 187 180 169"
)
"""Covalent radii, hydrogen to curium [pm] [cordero2008]."""

SPREADS = (1.5, 5.0, 0.6, 40.0)
"""What counts as one step of difference in period, group, electronegativity and radius [pm]."""


def element_channels(
    elements: Sequence[int], channels: int | None = None
) -> Float[np.ndarray, "channels elements"]:
    """Weights ``U`` of ``elements`` (atomic numbers) in channels: the identity, or the best mixture into fewer.

    Raises
    ------
    ValueError
        If there are more channels than elements, none, or an element beyond curium is to be mixed.

    Examples
    --------
    >>> element_channels((1, 6)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> element_channels((1, 6, 7, 8), 2).shape
    (2, 4)
    """
    elements = tuple(int(z) for z in elements)
    if channels is None:
        return np.eye(len(elements))
    if not 0 < channels <= len(elements):
        raise ValueError(
            f"channels={channels} for {len(elements)} elements; use 1 to {len(elements)}, or None to keep them apart"
        )
    properties = np.array([_properties(z) for z in elements])
    differences = properties[:, None] - properties[None]
    values, vectors = np.linalg.eigh(np.exp(-0.5 * (differences**2).sum(-1)))
    leading = np.argsort(-values, kind="stable")[:channels]
    signs = np.sign(vectors[np.abs(vectors[:, leading]).argmax(0), leading])
    return (vectors[:, leading] * signs * np.sqrt(np.maximum(values[leading], 0))).T


def channel_weights(
    weights: Float[Array, "channels elements"], environments: Environments
) -> Float[Array, "channels neighbors sites"]:
    """Weight of each neighbor in each channel, in the precision of the environments' vectors.

    Sites that only fill a block (kind -1) are neighbors of none, so their weight of zero does not matter.
    """
    weights = np.asarray(weights)
    kinds, dtype = environments.neighbor_kinds, environments.vectors.dtype
    if weights.shape == (1, 1):
        return jnp.full((1, *kinds.shape), weights[0, 0], dtype)
    masks = [(kinds == a).astype(dtype) for a in range(weights.shape[1])]
    return jnp.stack([sum(float(u) * mask for u, mask in zip(row, masks) if u) for row in weights])


def _properties(number):
    """Period, group, electronegativity and covalent radius of an element, each in units of its spread."""
    electronegativities = [float(value) for value in ELECTRONEGATIVITIES.split()]
    radii = [float(value) for value in RADII.split()]
    if not 0 < number <= len(radii):
        raise ValueError(
            f"element {number} has no tabulated properties (1 to {len(radii)} have); keep elements apart, channels=None"
        )
    period = next(k for k, (_, last) in enumerate(PERIODS) if number <= last)
    first, last = PERIODS[period]
    step = number - first
    group = step + 1 if step < 2 and number < last else max(3, 18 - (last - number))
    values = (period + 1, group, electronegativities[number - 1], radii[number - 1])
    return [value / spread for value, spread in zip(values, SPREADS)]
