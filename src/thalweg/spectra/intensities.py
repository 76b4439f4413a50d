"""Absolute intensities of infrared and Raman bands.

A vibration of a dipole by ``dmu/dQ`` along a mass-weighted coordinate absorbs, over its line and all orientations,

    A = N_A pi / (3 c^2 4 pi epsilon_0) |dmu/dQ|^2,

and scatters with the activity ``45 a'^2 + 7 gamma'^2``, ``a`` the mean and ``gamma`` the anisotropy of the
polarizability [porezag1996].
"""

from __future__ import annotations

import numpy as np

from thalweg.units import ANGSTROM, COULOMB, MOLAR, WAVENUMBER

LIGHT = WAVENUMBER / (2 * np.pi) * 1e7
"""[nm/ps]; a wavenumber is one per 1e7 nm."""

ABSORPTION = np.pi * COULOMB / (3 * LIGHT**2) * MOLAR * 1e12
"""``N_A pi / (3 c^2 4 pi epsilon_0)`` [km/mol per e^2/amu]: one per mole and nanometer is 1e-12 km/mol times 1/nm^3."""

ACTIVITY = 1.0 / ANGSTROM**4
"""One nm^4/amu [Å^4/amu]."""


def isotropic(tensors: np.ndarray) -> np.ndarray:
    """Mean polarizability ``a`` of tensors (..., 3, 3)."""
    return np.trace(tensors, axis1=-2, axis2=-1) / 3


def anisotropic(tensors: np.ndarray) -> np.ndarray:
    """Traceless part (..., 3, 3), of which ``gamma^2`` is 3/2 times the sum of squares."""
    return tensors - isotropic(tensors)[..., None, None] * np.eye(3)
