"""Long-distance equivariants: the potential that far atoms make here, beside who is near [grisafi2019].

Every atom is a Gaussian that makes the potential ``1/r^p`` of its element's channel. Around a site that potential is,
for atoms beyond the Gaussians' width, nothing but its derivatives at the site [huguenindumittan2023]:

    V_blm = sum_j  Y_lm(r_j) r_j^l g_l(r_j),    g_l(r) = P(p/2 + l, r^2 / 2 s^2) / r^(p + 2 l),

``P`` the regularized incomplete gamma function, one beyond the width: exactly ``1/r^(p + l)``. With the density of near
neighbors ``A_anlm`` the features are

    V_b00,    A_an00 V_b00,    sum_m A_anlm V_blm,    sum_m V_alm V_blm,

potential, what it does to charges and dipoles that depend on the surroundings, and the squares of fields that dipoles
induced by them have as energy.

Atoms count up to a far cutoff, where they fade out smoothly. In the open that is all there is, if the cutoff is beyond
the molecule. In a cell it is a damped sum over images: what neutral groups of atoms do converges with the cutoff (the
constant of Madelung of rock salt to 2e-3 at a cutoff of four lattice constants and to 5e-5 at eight, with ``fade`` 0),
potentials of one element alone do not; where Ewald's sum matters take latent charges.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.representations.density import DensityRepresentation
from thalweg.representations.element_channels import channel_weights, element_channels
from thalweg.representations.environments import Environments
from thalweg.representations.radial import ChebyshevBasis
from thalweg.representations.spherical_harmonics import spherical_harmonics
from thalweg.shapes import Array, Float
from thalweg.units import InCode, Nanometers


class LODE(DensityRepresentation):
    """Potential of far atoms, and its products with the density of near ones.

    Parameters
    ----------
    cutoff : how far atoms make a potential [nm]
    near : how far the density of near neighbors reaches [nm]
    radial : number of radial functions of near neighbors
    degree : highest degree of the spherical harmonics: 0 potentials, 1 fields, 2 their gradients
    exponent : of the potential: 1 for charges, 6 for dispersion
    smearing : width of the Gaussians [nm]
    fade : fraction of the cutoff from which on atoms fade out
    channels : number of mixtures the elements of neighbors are compressed into; None keeps them apart
    elements : atomic numbers, or None until `over` fills them in

    Examples
    --------
    >>> from thalweg.systems.configuration import Configuration
    >>> pair = Configuration(np.array([11, 17]), np.array([[0, 0, 0], [1.0, 0, 0]]))
    >>> features = LODE(cutoff=3.0).features([pair])[0]
    >>> np.round(features[0, :2], 3).tolist()  # potentials of sodium and of chlorine, where sodium is
    [0.0, 1.0]
    """

    cutoff: Nanometers = eqx.field(static=True, default=2.0)
    near: Nanometers = eqx.field(static=True, default=0.4)
    radial: int = eqx.field(static=True, default=3)
    degree: int = eqx.field(static=True, default=1)
    exponent: int = eqx.field(static=True, default=1)
    smearing: Nanometers = eqx.field(static=True, default=0.1)
    fade: float = eqx.field(static=True, default=0.8)
    channels: int | None = eqx.field(static=True, default=None)
    elements: InCode[tuple[int, ...] | None] = eqx.field(static=True, default=None, kw_only=True)

    def factors(
        self, environments: Environments
    ) -> tuple[Float[Array, "functions neighbors sites"], Float[Array, "angular neighbors sites"]]:
        """Near functions in each channel, then far ones of each degree and channel; harmonics times ``sqrt(4 pi)``."""
        r = environments.distances
        weights = channel_weights(element_channels(self.elements, self.channels), environments)
        near = (weights[:, None] * ChebyshevBasis(self.radial, self.near)(r)).reshape(-1, *r.shape)
        far = jnp.stack([self._potential(r, l) for l in range(self.degree + 1)])
        far = (far[:, None] * weights).reshape(-1, *r.shape)
        angular = np.sqrt(4 * np.pi).astype(r.dtype) * spherical_harmonics(
            environments.vectors / r, self.degree
        )
        return jnp.concatenate([near, far]), angular

    def _potential(self, r, l):
        """``r^l g_l(r)`` fading out."""
        shape = jnp.full((), self.exponent / 2 + l, r.dtype)
        inside = jax.scipy.special.gammainc(shape, r * r / (2 * self.smearing**2))
        x = jnp.clip((r / self.cutoff - self.fade) / (1 - self.fade), 0, 1)
        fading = 1 - x * x * x * (10 - 15 * x + 6 * x * x)
        return inside * fading / r ** (self.exponent + l)

    def invariants(self, density: Float[Array, "functions angular sites"]) -> Float[Array, "features sites"]:
        channels = len(element_channels(self.elements, self.channels))
        near = density[: channels * self.radial]
        far = density[channels * self.radial :].reshape(self.degree + 1, channels, *density.shape[1:])
        first, second = np.triu_indices(channels)
        blocks = [far[0, :, 0]]
        for l in range(self.degree + 1):
            m = slice(l * l, (l + 1) ** 2)
            mine = far[l, :, m]
            blocks.append(jnp.einsum("ams,bms->abs", near[:, m], mine).reshape(-1, density.shape[-1]))
            blocks.append((mine[first] * mine[second]).sum(1))
        return jnp.concatenate(blocks)
