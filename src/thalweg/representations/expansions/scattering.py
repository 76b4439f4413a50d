"""Solid-harmonic wavelet scattering: moduli of wavelets of the atoms, and wavelets of these moduli.

Wavelets are Gaussians times solid harmonics, at widths ``s_j`` [eickenberg2018]:

    psi_jlm(r) = b_l (r / s_j)^l exp(-r^2 / 2 s_j^2) Y_lm(r / |r|).

A field ``h`` on the atoms around site ``i`` (those of an element channel, to begin with) answers at any of them with

    U_i[j, l] h (r_k) = (sum_m |sum_n h_n f(r_in) f(r_kn) psi_jlm(r_n - r_k)|^2)^(1/2),

``f`` the cutoff. First order are the answers at the site to each channel; second order are the answers at the site to
the field of the first ones, ``U_i[j', l'] U_i[j, l]`` at widths ``s_j' > s_j``; all to powers ``q``.

The paper smears atoms and integrates ``U^q`` over space, on a grid: invariance under rotations is then as good as the
grid is fine, and the modulus has kinks where it vanishes. Here space is replaced by the atoms: responses are taken at
atoms only, second-order wavelets sum over atoms, and the integral is the sum over sites that a readout makes. Smearing
only widens a wavelet, so the widths hold it. Invariances are then exact to rounding without a grid, and the modulus is
softened, ``sqrt(x^2 + SOFTENING^2) - SOFTENING``. The work grows with the square of the number of neighbors.
"""

from __future__ import annotations

from math import e, pi

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.representations.element_channels import channel_weights, element_channels
from thalweg.representations.environments import Environments
from thalweg.representations.radial import smooth_cutoff
from thalweg.representations.representation import Representation
from thalweg.representations.spherical_harmonics import spherical_harmonics
from thalweg.shapes import Array, Float
from thalweg.units import InCode, Nanometers

SOFTENING = 0.05
"""Where a modulus is smaller than this its kink is rounded; one neighbor at the peak of a wavelet answers with one."""


class Scattering(Representation):
    """Solid-harmonic wavelet scattering to second order.

    Parameters
    ----------
    cutoff : where neighbors vanish [nm]
    widths : of the wavelets [nm], ascending; ``scales`` of the cutoff by default
    degree : highest degree ``l``
    exponents : powers ``q`` of the moduli; whole numbers
    orders : 1 or 2
    channels : number of mixtures the elements of neighbors are compressed into; None keeps them apart
    elements : atomic numbers

    Raises
    ------
    ValueError
        If widths do not ascend, exponents are no positive whole numbers, or there are other orders.

    Examples
    --------
    >>> from thalweg.systems.configuration import Configuration
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]))
    >>> Scattering(0.5, widths=(0.05, 0.1), degree=1, exponents=(1,)).features([water])[0].shape
    (3, 16)
    """

    cutoff: Nanometers = eqx.field(static=True, default=0.5)
    widths: tuple[Nanometers, ...] | None = eqx.field(static=True, default=None)
    degree: int = eqx.field(static=True, default=3)
    exponents: tuple[int, ...] = eqx.field(static=True, default=(1, 2))
    orders: int = eqx.field(static=True, default=2)
    channels: int | None = eqx.field(static=True, default=None)
    elements: InCode[tuple[int, ...] | None] = eqx.field(static=True, default=None, kw_only=True)

    def __post_init__(self):
        self.widths = scales(self.cutoff) if self.widths is None else tuple(self.widths)
        if not all(0 < a < b for a, b in zip(self.widths, self.widths[1:])):
            raise ValueError(f"widths={self.widths}; widths of wavelets must be positive and ascend")
        if self.orders not in (1, 2):
            raise ValueError(f"orders={self.orders}; scattering is known to order 1 or 2 here")
        if any(q < 1 or q != int(q) for q in self.exponents):
            raise ValueError(f"exponents={self.exponents}; powers of moduli must be whole numbers from 1 on")

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        matrix = element_channels(self.elements, self.channels)
        weights = channel_weights(matrix, environments)
        vectors, sites = environments.vectors, len(environments.kinds)
        wavelets = self._wavelets(vectors, len(self.widths))
        first = self._moduli(weights.transpose(2, 0, 1), wavelets)
        moduli = [first.reshape(sites, -1)]
        if self.orders == 2:
            # h_n f(r_in) of the neighbors and the h of the site itself
            strengths = weights * smooth_cutoff(environments.distances, self.cutoff)
            centers = sum(
                jnp.asarray(column, vectors.dtype)[:, None] * (jnp.asarray(environments.kinds) == a)
                for a, column in enumerate(matrix.T)
            )
            fields = self._fields(vectors, jnp.concatenate([strengths, centers[:, None]], 1))
            # U_i[j', l'] of the fields U[j, l] of the first order: (sites, channels, j, l, j', l'), of which j' > j
            second = self._moduli(fields.reshape(len(fields), sites, -1).transpose(1, 2, 0), wavelets)
            second = second.reshape(*fields.shape[1:], *second.shape[2:])
            for j in range(len(self.widths) - 1):
                moduli.append(second[:, :, j, :, j + 1 :].reshape(sites, -1))
        columns = jnp.concatenate(moduli, 1).T
        return jnp.concatenate([columns ** int(q) for q in self.exponents])

    def _fields(self, vectors, strengths):
        """Answers at each neighbor to all atoms around the site, ``(neighbors, sites, channels, widths, degrees)``.

        ``strengths`` are those of the neighbors and, last, of the site itself, ``(channels, atoms, sites)``.
        """
        rows = vectors.shape[1]
        everyone = jnp.concatenate([vectors, jnp.zeros_like(vectors[:, :1])], 1)

        @jax.checkpoint
        def at(k):
            others = (np.arange(rows + 1) != k)[:, None]
            away = jnp.where(others, everyone - jax.lax.dynamic_index_in_dim(vectors, k, 1), self.cutoff)
            wavelets = self._wavelets(away, len(self.widths) - 1)
            return self._moduli((strengths * others).transpose(2, 0, 1), wavelets)

        return jax.lax.map(at, jnp.arange(rows))

    def _wavelets(self, vectors, widths):
        """Of vectors ``(3, atoms, sites)``, with the cutoff: ``(sites, atoms, widths * harmonics)``."""
        distances = jnp.sqrt(jnp.maximum((vectors * vectors).sum(0), 1e-12))
        harmonics = spherical_harmonics(vectors / distances, self.degree)
        decay = smooth_cutoff(distances, self.cutoff)
        near = jnp.minimum(distances, self.cutoff)
        wavelets = []
        for width in self.widths[:widths]:
            x = near / width
            gaussian = jnp.exp(-0.5 * x * x) * decay
            for l in range(self.degree + 1):
                peak = (e / l) ** (l / 2) if l else 1.0
                wavelets.append(
                    float(np.sqrt(4 * pi / (2 * l + 1)) * peak) * gaussian * harmonics[l * l : (l + 1) ** 2]
                )
                gaussian = gaussian * x
        return jnp.concatenate(wavelets).transpose(2, 1, 0)

    def _moduli(self, fields, wavelets):
        """Moduli of the answers to fields ``(sites, fields, atoms)``: ``(sites, fields, widths, degrees)``."""
        answers = jnp.matmul(fields, wavelets)
        squares = (answers * answers).reshape(*answers.shape[:2], -1, (self.degree + 1) ** 2)
        sums = [squares[..., l * l : (l + 1) ** 2].sum(-1) for l in range(self.degree + 1)]
        return jnp.sqrt(jnp.stack(sums, -1) + SOFTENING**2) - SOFTENING


def scales(cutoff: float, count: int = 4, first: float = 0.05) -> tuple[float, ...]:
    """Widths of wavelets in a geometric row from ``first`` to 0.4 cutoffs [nm]."""
    return tuple(float(width) for width in np.geomspace(first, 0.4 * cutoff, count))
