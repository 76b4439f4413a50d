"""Infrared intensities and Raman activities of normal modes, by differences of dipoles and polarizabilities.

    A_k = N_A pi / (3 c^2 4 pi epsilon_0) |dmu/dQ_k|^2,     S_k = 45 a'_k^2 + 7 gamma'_k^2,

with the molecule moved along each mode to either side [porezag1996]. Any level that gives the properties will do, a
quantum program or `KnownPotential` with models of properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from thalweg.labeling.geometries.normal_modes import NormalModes
from thalweg.labeling.level import Level
from thalweg.learning.models import Model
from thalweg.shapes import Float
from thalweg.spectra.intensities import ABSORPTION, ACTIVITY, anisotropic, isotropic
from thalweg.systems.elements import MASSES

SHIFT = 1e-3
"""The atom that moves most is moved so far to either side [nm]."""


@dataclass(frozen=True, eq=False)
class HarmonicSpectrum(Model):
    """Bands of normal modes, in the order of their frequencies.

    Attributes
    ----------
    wavenumbers : (modes,) [1/cm], negative for imaginary frequencies
    intensities : (modes,) infrared [km/mol]
    activities : (modes,) Raman [Å^4/amu], or None where the level gives no polarizability
    depolarizations : (modes,) ``3 gamma'^2 / (45 a'^2 + 4 gamma'^2)``, three quarters where symmetry makes ``a'`` zero
    level : of the properties
    """

    wavenumbers: Float[np.ndarray, " modes"]
    intensities: Float[np.ndarray, " modes"]
    activities: Float[np.ndarray, " modes"] | None
    depolarizations: Float[np.ndarray, " modes"] | None
    level: str

    def headline(self) -> Mapping[str, object]:
        strongest = np.argsort(-self.intensities)[:4]
        bands = ", ".join(f"{self.wavenumbers[k]:.0f} ({self.intensities[k]:.0f})" for k in sorted(strongest))
        return {"modes": len(self.wavenumbers), "strongest [1/cm (km/mol)]": bands, "level": self.level}

    def __str__(self) -> str:
        lines = [
            f"{len(self.wavenumbers)} modes by {self.level}",
            "   1/cm   km/mol" + "   Å^4/amu" * self._scatters,
        ]
        for k, wavenumber in enumerate(self.wavenumbers):
            activity = f" {self.activities[k]:9.2f}" if self.activities is not None else ""
            lines.append(f"{wavenumber:7.1f} {self.intensities[k]:8.2f}{activity}")
        return "\n".join(lines)

    @property
    def _scatters(self) -> bool:
        return self.activities is not None

    def broadened(
        self, wavenumbers: Float[np.ndarray, " points"], width: float = 10.0, kind: str = "infrared"
    ) -> Float[np.ndarray, " points"]:
        """Gaussian lines of full width ``width`` [1/cm] at half maximum, per wavenumber, as of a `Spectrum`.

        Raises
        ------
        ValueError
            If ``kind`` is neither ``"infrared"`` nor ``"Raman"``, or there are no activities.
        """
        strengths = {"infrared": self.intensities, "Raman": self.activities}.get(kind)
        if strengths is None:
            raise ValueError(
                f"there is no {kind} spectrum by {self.level}; a level with polarizabilities gives both"
            )
        deviation = width / np.sqrt(8 * np.log(2))
        off = (np.asarray(wavenumbers)[:, None] - self.wavenumbers) / deviation
        return np.exp(-0.5 * off**2) @ strengths / (deviation * np.sqrt(2 * np.pi))


def harmonic_spectrum(modes: NormalModes, level: Level) -> HarmonicSpectrum:
    """Intensities of ``modes`` with the properties that ``level`` gives, two labels for each mode.

    Raises
    ------
    ValueError
        If the level gives no dipole.
    LabelFailed
        If the level fails.
    """
    roots = np.sqrt(MASSES[np.asarray(modes.minimum.numbers)])[:, None]
    dipoles, tensors = [], []
    for mode in modes.modes:
        moved = mode / roots
        step = SHIFT / np.linalg.norm(moved, axis=1).max()
        above, below = (
            level.label(
                replace(modes.minimum, positions=modes.minimum.positions + sign * step * moved)
            ).properties
            for sign in (1, -1)
        )
        if "dipole" not in above:
            raise ValueError(f"{level.name} gives no dipole, and without one there is no infrared spectrum")
        dipoles.append((above["dipole"] - below["dipole"]) / (2 * step))
        if "polarizability" in above:
            tensors.append((above["polarizability"] - below["polarizability"]) / (2 * step))
    intensities = ABSORPTION * (np.reshape(dipoles, (-1, 3)) ** 2).sum(1)
    if not tensors:
        return HarmonicSpectrum(modes.wavenumbers, intensities, None, None, level.name)
    mean = isotropic(np.array(tensors)) ** 2
    anisotropy = 1.5 * (anisotropic(np.array(tensors)) ** 2).sum((1, 2))
    activities = ACTIVITY * (45 * mean + 7 * anisotropy)
    polarized = 3 * anisotropy / np.maximum(45 * mean + 4 * anisotropy, 1e-300)
    return HarmonicSpectrum(modes.wavenumbers, intensities, activities, polarized, level.name)
