"""Symmetry functions: bond lengths and angles around an atom, binned by Gaussians and powers of cosines.

Sums over neighbors and pairs of neighbors [behler2007], [behler2011]:

    radial  sum_j   exp(-eta (r_ij - s)^2) f(r_ij)
    narrow  sum_j<k a_ijk exp(-eta (r_ij^2 + r_ik^2 + r_jk^2)) f(r_ij) f(r_ik) f(r_jk)
    wide    sum_j<k a_ijk exp(-eta (r_ij^2 + r_ik^2)) f(r_ij) f(r_ik)
            with a_ijk = 2^(1 - zeta) (1 + lambda cos t_ijk)^zeta


for each element channel of the neighbor, or pair of channels of the two. Narrow ones (G4 of the second paper, G3 of
the first) see only pairs that are close to each other; wide ones (G5) see all. Every pair counts once.

Where no parameters are given they follow from the cutoff alone: shifted radial Gaussians side by side
[gastegger2018], and angular ones around the site whose widths are spread evenly [imbalzano2018].
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.representations.element_channels import channel_weights, element_channels
from thalweg.representations.environments import Environments
from thalweg.representations.neighbor_pairs import pair_sums, pair_weights, products_summed
from thalweg.representations.radial import cosine_cutoff, smooth_cutoff
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float
from thalweg.units import InCode, Nanometers

CUTOFF_FUNCTIONS = {"smooth": smooth_cutoff, "cosine": cosine_cutoff}
"""What ``f`` may be; the cosine is that of the papers, whose second derivative jumps at the cutoff."""


class SymmetryFunctions(Representation):
    """Behler and Parrinello's radial and angular symmetry functions.

    Parameters
    ----------
    cutoff : where neighbors vanish [nm]
    radial : (eta [1/nm^2], shift [nm]) of each radial function; `radial_grid` of the cutoff by default
    narrow, wide : (eta [1/nm^2], zeta, lambda) of each angular function; `angular_grid` of the cutoff by default
    cutoff_function : "smooth", with two derivatives that vanish at the cutoff, or "cosine" as in the papers, with one
    channels : number of mixtures the elements of neighbors are compressed into; None keeps them apart
    elements : atomic numbers

    Raises
    ------
    ValueError
        If a zeta is no positive whole number, or the cutoff function has no known name.

    Examples
    --------
    >>> from thalweg.systems.configuration import Configuration
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]))
    >>> functions = SymmetryFunctions(0.5, radial=((20.0, 0.0),), narrow=(), wide=((20.0, 1, 1.0),))
    >>> functions.features([water])[0].shape
    (3, 5)
    """

    cutoff: Nanometers = eqx.field(static=True)
    radial: InCode[tuple[tuple[float, float], ...] | None] = eqx.field(static=True, default=None)
    narrow: InCode[tuple[tuple[float, int, float], ...] | None] = eqx.field(static=True, default=None)
    wide: InCode[tuple[tuple[float, int, float], ...] | None] = eqx.field(static=True, default=None)
    cutoff_function: str = eqx.field(static=True, default="smooth")
    channels: int | None = eqx.field(static=True, default=None)
    elements: InCode[tuple[int, ...] | None] = eqx.field(static=True, default=None, kw_only=True)

    def __post_init__(self):
        self.radial = radial_grid(self.cutoff) if self.radial is None else _plain(self.radial)
        self.narrow = angular_grid(self.cutoff) if self.narrow is None else _plain(self.narrow)
        self.wide = angular_grid(self.cutoff) if self.wide is None else _plain(self.wide)
        if self.cutoff_function not in CUTOFF_FUNCTIONS:
            raise ValueError(
                f"cutoff_function={self.cutoff_function!r} is not known; use one of {', '.join(CUTOFF_FUNCTIONS)}"
            )
        for _, zeta, _ in self.narrow + self.wide:
            if int(zeta) != zeta or zeta < 1:
                raise ValueError(f"zeta={zeta}; the power of 1 + lambda cos must be a whole number from 1 on")

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        weights = channel_weights(element_channels(self.elements, self.channels), environments)
        distances = environments.distances
        decay = CUTOFF_FUNCTIONS[self.cutoff_function](distances, self.cutoff)
        radial = [
            (jnp.exp(-eta * (distances - shift) ** 2) * decay * weights).sum(1) for eta, shift in self.radial
        ]
        blocks = [jnp.concatenate(radial)] if radial else []
        if self.narrow or self.wide:
            blocks.append(self._angular(environments.vectors, distances, decay, weights))
        return jnp.concatenate(blocks)

    def _angular(self, vectors, distances, decay, weights):
        """Sums over pairs of neighbors."""
        etas = sorted({eta for eta, _, _ in self.narrow + self.wide})
        squares = distances * distances
        gaussians = jnp.stack([jnp.exp(-eta * squares) * decay for eta in etas])
        columns = jnp.concatenate([vectors, (1 / distances)[None], squares[None], gaussians, weights])
        return pair_sums(columns, lambda mine, others, share: self._pairs(mine, others, share, etas))

    def _pairs(self, mine, others, share, etas):
        """Contribution of one round of pairs, ``(features, sites)``."""
        dot = (mine[:3] * others[:3]).sum(0)
        cosine = dot * mine[3] * others[3]
        apart = jnp.maximum(mine[4] + others[4] - 2 * dot, 1e-12)
        gaussians = mine[5 : 5 + len(etas)] * others[5 : 5 + len(etas)]
        weights = pair_weights(mine[5 + len(etas) :], others[5 + len(etas) :]) * share
        near = CUTOFF_FUNCTIONS[self.cutoff_function](jnp.sqrt(apart), self.cutoff)
        blocks = []
        if self.narrow:
            used = [etas.index(eta) for eta in _distinct(self.narrow, 0)]
            third = jnp.stack([jnp.exp(-etas[k] * apart) * near for k in used])
            blocks.append(_sums(gaussians[np.array(used)] * third, weights, cosine, self.narrow))
        if self.wide:
            used = [etas.index(eta) for eta in _distinct(self.wide, 0)]
            blocks.append(_sums(gaussians[np.array(used)], weights, cosine, self.wide))
        return jnp.concatenate(blocks)


def radial_grid(cutoff: float, count: int = 12, first: float = 0.05) -> tuple[tuple[float, float], ...]:
    """Gaussians side by side from ``first`` to the cutoff [nm]: (eta, shift), ``eta = 1 / 2 w^2`` for a spacing w."""
    shifts = np.linspace(first, cutoff, count + 1)[:-1]
    width = (cutoff - first) / count
    return tuple((float(0.5 / width**2), float(shift)) for shift in shifts)


def angular_grid(
    cutoff: float, count: int = 4, zetas: Sequence[int] = (1, 4, 16), first: float = 0.1
) -> tuple[tuple[float, int, float], ...]:
    """(eta, zeta, lambda): Gaussians around the site, ``first`` to the cutoff wide [nm], each power with both signs."""
    widths = np.linspace(first, cutoff, count)
    return tuple(
        (float(0.5 / w**2), int(zeta), sign) for w in widths for zeta in zetas for sign in (-1.0, 1.0)
    )


def _plain(table):
    """Nested tuples of numbers, whatever sequence they came in."""
    return tuple(tuple(row) for row in table)


def _distinct(functions, *columns):
    """Different values in some columns of a table, in order of appearance."""
    return list(
        dict.fromkeys(
            row[columns[0]] if len(columns) == 1 else tuple(row[c] for c in columns) for row in functions
        )
    )


def _sums(gaussians, weights, cosine, functions):
    """Sums over rows of every Gaussian, weight and angular factor, ordered as ``functions``, channels within each."""
    factors = jnp.stack(_angular_factors(cosine, _distinct(functions, 1, 2)))
    radial = (gaussians[:, None] * weights).reshape(-1, *cosine.shape)
    sums = products_summed(radial, factors)
    sums = sums.reshape(len(gaussians), len(weights), len(factors), -1).swapaxes(1, 2)
    etas, kinds = _distinct(functions, 0), _distinct(functions, 1, 2)
    sums = sums.reshape(len(etas) * len(kinds), len(weights), -1)
    places = [etas.index(eta) * len(kinds) + kinds.index((zeta, l)) for eta, zeta, l in functions]
    if places != list(range(len(sums))):
        sums = sums[np.array(places)]
    return sums.reshape(-1, sums.shape[-1])


def _angular_factors(cosine, kinds):
    """``2^(1 - zeta) (1 + lambda cos)^zeta`` for every (zeta, lambda), by repeated squaring."""
    squares = {l: {1: 0.5 * (1 + l * cosine)} for _, l in kinds}
    factors = []
    for zeta, l in kinds:
        square, power, product = squares[l], 1, 2.0
        while power <= zeta:
            if power not in square:
                square[power] = square[power // 2] * square[power // 2]
            if int(zeta) & power:
                product = product * square[power]
            power *= 2
        factors.append(product)
    return factors
