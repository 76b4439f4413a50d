"""Normal modes of a molecule at a minimum, and geometries drawn along them.

Mass-weighted displacements along modes are independent and Gaussian in the harmonic approximation, of variance
``kT / w^2`` for classical nuclei and ``hbar / (2 w) coth(hbar w / 2 kT)`` for quantum ones [smith2017].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from thalweg.labeling.level import Level
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.units import HBAR, WAVENUMBER, Kelvin, thermal_energy

SHIFT = 5e-4
"""Atoms are moved so far to either side for second derivatives [nm]."""

FLOOR = 20.0
"""Softer modes are drawn as if they had this wavenumber, since no parabola holds them [1/cm]."""


@dataclass(frozen=True)
class NormalModes:
    """Vibrations about a minimum, in the order of their frequencies.

    Attributes
    ----------
    minimum : the frame
    wavenumbers : (modes,) [1/cm], negative for imaginary frequencies; overall motion is left out
    modes : (modes, atoms, 3), orthonormal directions of mass-weighted displacements
    level : that forces are of
    """

    minimum: Configuration
    wavenumbers: Float[np.ndarray, " modes"]
    modes: Float[np.ndarray, "modes atoms 3"]
    level: str

    def __str__(self) -> str:
        low, high = self.wavenumbers[0], self.wavenumbers[-1]
        return f"{len(self.wavenumbers)} normal modes by {self.level}, {low:.0f} to {high:.0f} 1/cm"

    def frames(
        self, count: int, temperature: Kelvin = 300.0, seed: int = 0, quantum: bool = True
    ) -> list[Configuration]:
        """Geometries drawn at a temperature.

        Parameters
        ----------
        quantum : whether nuclei have zero-point motion, which at room temperature moves hydrogen atoms three times as
            far as heat does

        Raises
        ------
        ValueError
            If a frequency is imaginary: the frame is no minimum.
        """
        if self.wavenumbers[0] < -FLOOR:
            raise ValueError(
                f"a mode has the imaginary frequency {-self.wavenumbers[0]:.0f}i 1/cm, so that the frame is no minimum "
                f"of {self.level}; relax it first"
            )
        omega = np.maximum(self.wavenumbers, FLOOR) * WAVENUMBER
        kT = thermal_energy(temperature)
        variance = HBAR / (2 * omega) / np.tanh(HBAR * omega / (2 * kT)) if quantum else kT / omega**2
        draws = np.random.default_rng(seed).standard_normal((count, len(omega))) * np.sqrt(variance)
        masses = MASSES[np.asarray(self.minimum.numbers)]
        moved = np.einsum("cm,mad->cad", draws, self.modes) / np.sqrt(masses)[:, None]
        bare = self.minimum.unlabeled
        return [replace(bare, positions=bare.positions + shift) for shift in moved]


def normal_modes(minimum: Configuration, level: Level) -> NormalModes:
    """Normal modes of a molecule by differences of forces, two labels for each coordinate.

    Parameters
    ----------
    minimum : see `nearest_minimum`

    Raises
    ------
    ValueError
        If the frame has a cell.
    LabelFailed
        If the level fails.
    """
    if any(minimum.periodic):
        raise ValueError("normal modes are of molecules, and the frame has a cell; take it away")
    hessian = _hessian(minimum, level)
    masses = np.repeat(MASSES[np.asarray(minimum.numbers)], 3)
    weighted = hessian / np.sqrt(np.outer(masses, masses))
    inner = _without_overall_motion(minimum)
    curvatures, within = np.linalg.eigh(inner.T @ weighted @ inner)
    wavenumbers = np.sign(curvatures) * np.sqrt(np.abs(curvatures)) / WAVENUMBER
    modes = (inner @ within).T.reshape(-1, len(minimum), 3)
    return NormalModes(minimum.unlabeled, wavenumbers, modes, level.name)


def _hessian(frame, level) -> np.ndarray:
    """Second derivatives (3 atoms, 3 atoms) [kJ/mol/nm^2]."""
    positions = np.asarray(frame.positions, float)
    rows = []
    for k in range(positions.size):
        shift = np.zeros(positions.size)
        shift[k] = SHIFT
        above, below = (
            level.label(replace(frame, positions=positions + sign * shift.reshape(positions.shape))).forces
            for sign in (1, -1)
        )
        rows.append((below - above).ravel() / (2 * SHIFT))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2


def _without_overall_motion(frame) -> np.ndarray:
    """Orthonormal basis (3 atoms, modes) of mass-weighted motion that neither moves nor turns the whole."""
    roots = np.sqrt(MASSES[np.asarray(frame.numbers)])
    centered = frame.positions - np.average(frame.positions, axis=0, weights=roots**2)
    shifts = [np.outer(roots, axis).ravel() for axis in np.eye(3)]
    turns = [(roots[:, None] * np.cross(axis, centered)).ravel() for axis in np.eye(3)]
    overall = np.array([*shifts, *turns]).T
    left, singular, _ = np.linalg.svd(overall, full_matrices=True)
    # of a line, one turn is none
    return left[:, int((singular > 1e-6 * singular[0]).sum()) :]
