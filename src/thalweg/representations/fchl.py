"""FCHL19: spectra of distances and angles around an atom, after Faber, Christensen, Huang and von Lilienfeld.

Distances to neighbors of each element (or channel), ``r = r_ij``, binned log-normally on a grid of ``R``
[christensen2020],

    sum_j  r^(-N2) f(r) exp(-(ln R - m)^2 / 2 s^2) / (sqrt(2 pi) s R)
           with m = ln(r^2 / sqrt(r^2 + w)),  s^2 = ln(1 + w / r^2);

angles between pairs of neighbors of each two elements, in bins of mean distance, as the first Fourier terms, with the
weight of an Axilrod-Teller energy [axilrod1943],

    sum_j<k  c3 (1 + 3 cos t_i cos t_j cos t_k) / (r_ij r_ik r_jk)^N3  f(r_ij) f(r_ik)
             sqrt(eta / pi) exp(-eta (R - (r_ij + r_ik) / 2)^2)  2 exp(-(zeta n)^2 / 2) (cos n t_i, sin n t_i),  n odd.

Powers count distances in ångström, as published. The paper's cutoff function is the cosine; ours is smooth unless told.
The sine of an angle has a kink where three atoms are in line; here it is ``sqrt(sin^2 + SOFTENING^2)``.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.representations.element_channels import channel_weights, element_channels
from thalweg.representations.environments import Environments
from thalweg.representations.neighbor_pairs import pair_sums, pair_weights, products_summed
from thalweg.representations.representation import Representation
from thalweg.representations.symmetry_functions import CUTOFF_FUNCTIONS
from thalweg.shapes import Array, Float
from thalweg.units import ANGSTROM, InCode, Nanometers

SOFTENING = 0.01
"""Where atoms are in line the sine of their angle is this instead of zero."""


class FCHL19(Representation):
    """FCHL19, with the published settings by default.

    Parameters
    ----------
    cutoff : where neighbors vanish [nm]
    radial : number of log-normal bins
    angular : number of bins of mean distance
    orders : number of odd Fourier terms
    width : ``w`` [nm^2]
    eta : of the bins of mean distance [1/nm^2]
    zeta : damping of Fourier terms
    pair_power, triple_power : ``N2``, ``N3``
    triple_weight : ``c3``
    cutoff_function : "smooth", or "cosine" as published
    channels : number of mixtures the elements of neighbors are compressed into; None keeps them apart
    elements : atomic numbers

    Examples
    --------
    >>> from thalweg.systems.configuration import Configuration
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]))
    >>> FCHL19(cutoff=0.6).features([water])[0].shape
    (3, 168)
    """

    cutoff: Nanometers = eqx.field(static=True, default=0.8)
    radial: int = eqx.field(static=True, default=24)
    angular: int = eqx.field(static=True, default=20)
    orders: int = eqx.field(static=True, default=1)
    width: InCode[float] = eqx.field(static=True, default=0.0032)
    eta: InCode[float] = eqx.field(static=True, default=270.0)
    zeta: float = eqx.field(static=True, default=float(np.pi))
    pair_power: float = eqx.field(static=True, default=1.8)
    triple_power: float = eqx.field(static=True, default=0.57)
    triple_weight: float = eqx.field(static=True, default=13.4)
    cutoff_function: str = eqx.field(static=True, default="smooth")
    channels: int | None = eqx.field(static=True, default=None)
    elements: InCode[tuple[int, ...] | None] = eqx.field(static=True, default=None, kw_only=True)

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        weights = channel_weights(element_channels(self.elements, self.channels), environments)
        distances = environments.distances
        decay = CUTOFF_FUNCTIONS[self.cutoff_function](distances, self.cutoff)
        pairs = self._distances_spectrum(distances, decay)
        pairs = products_summed(weights, pairs).reshape(-1, distances.shape[-1])
        columns = jnp.concatenate([environments.vectors, distances[None], decay[None], weights])
        return jnp.concatenate([pairs, pair_sums(columns, self._angles_spectrum)])

    def _distances_spectrum(self, distances, decay):
        """Bins of each neighbor, ``(bins, neighbors, sites)``."""
        squares = distances * distances
        spread = jnp.log1p(self.width / squares)
        mean = jnp.log(distances) - 0.5 * spread  # m = ln(r^2 / sqrt(r^2 + w)), s^2 = ln(1 + w / r^2)
        amplitude = decay * (distances / ANGSTROM) ** -self.pair_power / jnp.sqrt(2 * np.pi * spread)
        bins = self.cutoff * np.arange(1, self.radial + 1) / self.radial
        return jnp.stack(
            [
                jnp.exp(-((float(np.log(center)) - mean) ** 2) / (2 * spread))
                * amplitude
                * float(ANGSTROM / center)
                for center in bins
            ]
        )

    def _angles_spectrum(self, mine, others, share):
        """Pairs of one round, ``(features, sites)``.

        Rows of ``mine`` and ``others`` are vectors from the site, distances, ``f``, and weights in element channels.

        ==============================  ==============================================
        ``cos t_i, cos t_j, cos t_k``   ``cosine, cosine_j, cosine_k``, (pairs, sites)
        ``R``                           ``bins``, centers of mean distance [nm]
        ``2 exp(-(zeta n)^2 / 2) ...``  ``waves``, (2 orders, pairs, sites)
        ==============================  ==============================================
        """
        r_ij, r_ik = mine[3], others[3]
        dot = (mine[:3] * others[:3]).sum(0)
        r_jk = jnp.sqrt(jnp.maximum(r_ij * r_ij + r_ik * r_ik - 2 * dot, 1e-8))
        cosine = dot / (r_ij * r_ik)
        cosine_j = (r_ij * r_ij - dot) / (r_ij * r_jk)
        cosine_k = (r_ik * r_ik - dot) / (r_ik * r_jk)
        # c3 (1 + 3 cos t_i cos t_j cos t_k) / (r_ij r_ik r_jk)^N3 f(r_ij) f(r_ik) sqrt(eta / pi)
        volume = r_ij * r_ik * r_jk / ANGSTROM**3
        weight = self.triple_weight * (1 + 3 * cosine * cosine_j * cosine_k) * volume**-self.triple_power
        weight = weight * mine[4] * others[4] * share * float(np.sqrt(self.eta / np.pi) * ANGSTROM)
        sine = jnp.sqrt(jnp.maximum(1 - cosine * cosine, 0) + SOFTENING**2)
        waves = _odd_waves(cosine, sine, self.orders, self.zeta)
        # exp(-eta (R - (r_ij + r_ik) / 2)^2), then all products of channels and waves with these bins
        mean = 0.5 * (r_ij + r_ik)
        bins = self.cutoff * np.arange(1, self.angular + 1) / self.angular
        radial = jnp.stack([jnp.exp(-self.eta * (mean - float(center)) ** 2) for center in bins])
        weights = pair_weights(mine[5:], others[5:]) * weight
        angular = (weights[:, None] * waves).reshape(-1, *cosine.shape)
        return products_summed(angular, radial).reshape(-1, cosine.shape[-1])


def _odd_waves(cosine, sine, orders, zeta):
    """``2 exp(-(zeta n)^2 / 2)`` times cosine and sine of ``n`` angles, for odd ``n``."""
    # from n to n + 2 by the addition theorem of twice the angle
    waves, c, s = [], cosine, sine
    double_c, double_s = 2 * cosine * cosine - 1, 2 * sine * cosine
    for order in range(orders):
        factor = 2 * float(np.exp(-0.5 * (zeta * (2 * order + 1)) ** 2))
        waves += [factor * c, factor * s]
        c, s = c * double_c - s * double_s, s * double_c + c * double_s
    return jnp.stack(waves)
