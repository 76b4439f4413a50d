"""Smooth overlap of atomic positions: the power spectrum of smeared neighbors [bartok2013].

Every neighbor is a Gaussian of width ``smearing``; their density is expanded in orthonormal radial functions ``g_n``
and spherical harmonics, and

    p_(cn)(c'n')l = sqrt(8 pi^2 / (2l + 1)) sum_m  c_(cn)lm c_(c'n')lm,

each pair once, those of unlike functions times sqrt(2), so that the dot product of two power spectra is the overlap of
two densities, squared and averaged over all rotations.
"""

from __future__ import annotations

from functools import lru_cache

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.special import ive

from thalweg.representations.density import DensityRepresentation, harmonic_factors
from thalweg.representations.element_channels import element_channels
from thalweg.representations.environments import Environments
from thalweg.representations.radial import ChebyshevBasis, Exponential
from thalweg.shapes import Array, Float
from thalweg.units import InCode, Nanometers

STRETCH = 1e-3
"""Radial polynomials are polynomials of the distance itself, to one part in a thousand."""

FAINT = 0.01
"""Spectra shorter than this part of that of one neighbor half way to the cutoff are not scaled up to length one."""


class SOAP(DensityRepresentation):
    """SOAP power spectrum.

    Parameters
    ----------
    cutoff : [nm]
    radial : number of radial functions
    degree : highest degree of the spherical harmonics
    smearing : width of the Gaussians [nm]
    normalized : scale each spectrum to length one, as kernels want it: ``p / sqrt(|p|^2 + p_0^2)``, ``p_0`` a `FAINT`
        part of the length that one neighbor half way to the cutoff makes, so that an atom whose neighbors leave fades
    channels : number of mixtures the elements of neighbors are compressed into; None keeps them apart
    elements : atomic numbers, or None until `over` fills them in

    Examples
    --------
    >>> from thalweg.systems.configuration import Configuration
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]))
    >>> SOAP(cutoff=0.5, radial=4, degree=3).features([water])[0].shape
    (3, 144)
    """

    cutoff: Nanometers = eqx.field(static=True, default=0.5)
    radial: int = eqx.field(static=True, default=8)
    degree: int = eqx.field(static=True, default=6)
    smearing: Nanometers = eqx.field(static=True, default=0.05)
    normalized: bool = eqx.field(static=True, default=True)
    channels: int | None = eqx.field(static=True, default=None)
    elements: InCode[tuple[int, ...] | None] = eqx.field(static=True, default=None, kw_only=True)

    def factors(
        self, environments: Environments
    ) -> tuple[Float[Array, "functions neighbors sites"], Float[Array, "angular neighbors sites"]]:
        primitives = self._contractions[0].shape[1]
        basis = ChebyshevBasis(primitives, self.cutoff, Exponential(STRETCH))
        return harmonic_factors(environments, basis, self.degree, self.elements, self.channels)

    def invariants(self, density: Float[Array, "functions angular sites"]) -> Float[Array, "features sites"]:
        return self.expanded(density)[0]

    def expanded(
        self, density: Float[Array, "functions angular sites"]
    ) -> tuple[Float[Array, "features sites"], tuple]:
        """The spectrum; smeared functions by degree ``(functions, m, sites)``, it again, and its length before."""
        channels, sites = len(element_channels(self.elements, self.channels)), density.shape[-1]
        parts, spectra = [], []
        for l, matrix in enumerate(self._contractions):
            part = density[:, l * l : (l + 1) ** 2].reshape(channels, matrix.shape[1], -1)
            smeared = jnp.matmul(jnp.asarray(matrix, part.dtype), part)
            parts.append(smeared.reshape(channels * self.radial, 2 * l + 1, sites))
            spectra.append(_of_pairs(jnp.einsum("ams,bms->abs", parts[-1], parts[-1])) * _weight(l))
        spectrum = jnp.concatenate(spectra)
        if not self.normalized:
            return spectrum, (parts, spectrum, jnp.ones(sites, spectrum.dtype))
        faint = FAINT * _half_way(self.cutoff, self.radial, self.degree, self.smearing)
        length = jnp.sqrt((spectrum * spectrum).sum(0) + faint**2)
        spectrum = spectrum / length
        return spectrum, (parts, spectrum, length)

    def pushed(
        self,
        expanded: tuple,
        radial: Float[Array, "functions pairs"],
        angular: Float[Array, "angular pairs"],
        radial_steps: Float[Array, "3 functions pairs"],
        angular_steps: Float[Array, "3 angular pairs"],
    ) -> Float[Array, "3 features pairs"]:
        """As of any density, but two factors at a time, each of one neighbor and one site: ten times less to do."""
        parts, spectrum, length = expanded
        changes = []
        for l, (matrix, part) in enumerate(zip(self._contractions, parts)):
            m = slice(l * l, (l + 1) ** 2)
            # d c_alm = (dR_a) Y_lm + R_a (dY_lm) of one neighbor, and d sum_m c_a c_b = sum_m c_b dc_a + (a <-> b)
            values, slopes = self._smeared(matrix, radial), self._smeared(matrix, radial_steps)
            by_angular = (part * angular[m]).sum(1)
            by_angular_steps = (part * angular_steps[:, None, m]).sum(2)
            half = slopes[:, :, None] * by_angular + values[:, None] * by_angular_steps[:, None]
            changes.append(_of_pairs(half + half.swapaxes(1, 2)) * _weight(l))
        change = jnp.concatenate(changes, 1)
        if self.normalized:  # d (p / |p|) = (dp - p (p . dp) / |p|^2) / |p|
            change = change - spectrum * (spectrum * change).sum(1, keepdims=True)
        return change / length

    def _smeared(self, matrix, radial):
        """Smeared functions in each channel of some neighbors, ``(..., functions, pairs)``."""
        channels = radial.reshape(*radial.shape[:-2], -1, matrix.shape[1], radial.shape[-1])
        smeared = jnp.matmul(jnp.asarray(matrix, radial.dtype), channels)
        return smeared.reshape(*radial.shape[:-2], -1, radial.shape[-1])

    @property
    def _contractions(self):
        return _smeared_contractions(self.cutoff, self.radial, self.degree, self.smearing)


def _of_pairs(products):
    """Those of each pair of functions, of ``(..., functions, functions, sites)``, unlike ones times sqrt(2)."""
    first, second = np.triu_indices(products.shape[-2])
    weights = np.where(first == second, 1.0, np.sqrt(2.0))
    return products[..., first, second, :] * weights[:, None].astype(products.dtype)


def _weight(l):
    """What makes the dot product of two spectra the overlap of densities."""
    return np.sqrt(8 * np.pi**2 / (2 * l + 1))


@lru_cache
def _half_way(cutoff: float, radial: int, degree: int, smearing: float) -> float:
    """Length of the spectrum of one neighbor at half the cutoff."""
    matrices = _smeared_contractions(cutoff, radial, degree, smearing)
    x = 0.5
    y = 2 * (np.exp(-STRETCH * x) - np.exp(-STRETCH)) / (1 - np.exp(-STRETCH)) - 1
    functions = np.cos(np.arange(matrices[0].shape[1]) * np.arccos(y)) * (1 - x**2) ** 3
    # of one direction, sum_m Y_lm^2 = (2l + 1) / 4 pi, and the length of all products c_n c_n' is |c|^2
    lengths = [
        _weight(l) * (2 * l + 1) / (4 * np.pi) * np.sum((matrix @ functions) ** 2)
        for l, matrix in enumerate(matrices)
    ]
    return float(np.linalg.norm(lengths))


@lru_cache
def _smeared_contractions(cutoff: float, radial: int, degree: int, smearing: float) -> tuple[np.ndarray, ...]:
    """For each degree, the matrix that turns Chebyshev polynomials into radial functions of smeared atoms.

    With ``i_l`` the modified spherical Bessel functions, a Gaussian of unit weight at distance ``r`` has coefficients

        c_nl(r) = 4 pi (r_c / 2 pi s^2)^(3/2) int_0^inf x^2 g_n(x) exp(-(x^2 + r^2) / 2 s^2) i_l(x r / s^2) dx,

    computed by quadrature and fitted by polynomials in ``r`` up to the cutoff. Matrices ``(radial, polynomials)``.

    ==================  ===============================================================
    ``x, dx``           nodes ``x`` and weights ``dx`` of the quadrature, up to ``end``
    ``g_n(x)``          ``basis``, (radial, nodes)
    ``r``               distances at which polynomials are fitted, (points,)
    ``i_l(x r / s^2)``  ``bessel``, (points, nodes), times ``exp(-argument)``
    ``c_nl(r)``         ``functions``, (points, radial)
    ``T_k(y(r))``       ``chebyshev``, (points, polynomials)
    ==================  ===============================================================
    """
    # orthonormal g_n: Legendre polynomials up to where the last Gaussian ends, by Cholesky of int x^2 P_n P_m
    end = cutoff + 3 * smearing
    nodes, measure = np.polynomial.legendre.leggauss(200)
    x, dx = (nodes + 1) * end / 2, measure * end / 2
    powers = np.stack([np.polynomial.legendre.Legendre.basis(n)(nodes) for n in range(radial)])
    overlap = np.linalg.cholesky((powers * x**2 * dx) @ powers.T)
    basis = np.linalg.solve(overlap, powers)
    # Chebyshev nodes up to the cutoff, where the polynomials are fitted; enough of them to resolve a Gaussian
    polynomials = int(np.ceil(1.3 * cutoff / smearing)) + 5
    r = (np.cos(np.pi * (np.arange(400) + 0.5) / 400) + 1) * cutoff / 2
    stretched = 2 * (np.exp(-STRETCH * r / cutoff) - np.exp(-STRETCH)) / (1 - np.exp(-STRETCH)) - 1
    chebyshev = np.polynomial.chebyshev.chebvander(stretched, polynomials - 1)
    # exp(-(x^2 + r^2) / 2 s^2) i_l(x r / s^2), with the exponential of the argument moved into the Gaussian
    argument = x[None, :] * r[:, None] / smearing**2
    gaussian = np.exp(-((x[None, :] - r[:, None]) ** 2) / (2 * smearing**2))
    matrices = []
    for l in range(degree + 1):
        bessel = ive(l + 0.5, argument) * np.sqrt(np.pi / (2 * argument))
        functions = 4 * np.pi * (gaussian * bessel * x**2 * dx) @ basis.T
        functions *= cutoff**1.5 / (2 * np.pi * smearing**2) ** 1.5
        matrices.append(np.linalg.lstsq(chebyshev, functions, rcond=None)[0].T)
    return tuple(matrices)
