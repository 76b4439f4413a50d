r"""Infrared and Raman spectra from dynamics, by time correlation.

A classical molecule of dipole ``mu`` absorbs, with the harmonic correction for quantum motion [ramirez2004], over all
orientations

.. math::  A(\tilde\nu) = \frac{N_A \pi}{3 c^2 4 \pi \epsilon_0} \frac{P_{\dot\mu}(\tilde\nu)}{kT},

where ``P`` is the power spectrum of ``dmu/dt`` (`power_spectra`): prefactor, correction and the square of the frequency
have become the time derivative. Its integral over a line is the intensity of the harmonic molecule. Raman activities
are ``(45 P_a + 7 P_gamma) / kT`` of the polarizability's mean and anisotropy alike.

Integrators of Verlet's kind with steps ``dt`` vibrate too fast, ``sin(w' dt / 2) = w dt / 2``: by 19 1/cm at 3700 and
half a femtosecond. Say ``step`` and the axis is put right.

Not to be trusted where nuclei are quantum: anharmonic bands of hydrogens lie some tens of wavenumbers too high, and
overtones are too weak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.integrate import trapezoid
from scipy.signal import find_peaks

from thalweg.learning.models import Method, Model
from thalweg.shapes import Float
from thalweg.spectra.intensities import ABSORPTION, ACTIVITY, anisotropic, isotropic
from thalweg.time_series.power_spectra import power_spectra
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import WAVENUMBER, InFrames, Kelvin, Picoseconds, thermal_energy

CENTIMETERS = WAVENUMBER / (2 * np.pi)
"""One wavenumber as a frequency [1/ps per 1/cm]."""

HALF_WIDTH = 1.44
"""Full width at half maximum of Hann's window, over one per length."""

ENOUGH_RUNS = 4
"""Runs from which on they, and no pieces of them, give error bars."""

HIGHEST = 4000.0
"""Vibrations that frames should see [1/cm]."""


@dataclass(frozen=True)
class Infrared(Method):
    """The infrared spectrum of dipoles along runs.

    Parameters
    ----------
    temperature : of the runs
    resolution : full width at half maximum of an infinitely sharp line [1/cm]
    step : time step of an integrator of Verlet's kind, whose error in frequencies is taken out; None for none

    Examples
    --------
    >>> time = 0.001 * np.arange(8000)[:, None]
    >>> moment = 0.01 * np.cos(1000.0 * WAVENUMBER * time) * np.array([1.0, 0.0, 0.0])
    >>> found = Infrared(temperature=300.0).fit(Trajectories([moment], dt=0.001))
    >>> found.peaks().round().tolist()
    [1000.0]
    """

    temperature: Kelvin
    resolution: float = 10.0
    step: Picoseconds | None = None

    def fit(self, data: Trajectories) -> Spectrum:
        """The spectrum of runs with the three components of the dipole [e nm].

        Raises
        ------
        ValueError
            If there are not three components, times are in frames, or runs are too short.
        """
        if data.n_features != 3:
            raise ValueError(f"a dipole has 3 components, the runs have {data.n_features}")
        return _spectrum(self, data, np.full(3, ABSORPTION), "infrared", "km/mol per 1/cm")


@dataclass(frozen=True)
class Raman(Method):
    """The Raman spectrum of polarizabilities along runs, as activities; parameters of `Infrared`."""

    temperature: Kelvin
    resolution: float = 10.0
    step: Picoseconds | None = None

    def fit(self, data: Trajectories) -> Spectrum:
        """The spectrum of runs with the nine components of the polarizability volume, row after row [nm^3].

        Raises
        ------
        ValueError
            If there are not nine components, times are in frames, or runs are too short.
        """
        if data.n_features != 9:
            raise ValueError(
                f"a polarizability has 9 components, row after row; the runs have {data.n_features}"
            )
        tensors = [np.asarray(block, float).reshape(-1, 3, 3) for block in data.blocks]
        parts = [np.column_stack([isotropic(x), anisotropic(x).reshape(-1, 9)]) for x in tensors]
        weights = ACTIVITY * np.array([45.0, *[7.0 * 1.5] * 9])
        return _spectrum(self, Trajectories(parts, dt=data.dt), weights, "Raman", "Å^4/amu per 1/cm")


@dataclass(frozen=True, eq=False)
class Spectrum(Model):
    """A vibrational spectrum with error bars.

    Attributes
    ----------
    kind : ``"infrared"`` or ``"Raman"``
    wavenumbers : [1/cm]
    values, errors : intensity per wavenumber and its standard error, in ``unit``
    unit : of the values
    samples : (runs or pieces, wavenumbers), what the values are means of
    resolution : [1/cm]
    temperature : [K]
    notes : what one should know
    """

    kind: str
    wavenumbers: Float[np.ndarray, " wavenumbers"]
    values: Float[np.ndarray, " wavenumbers"]
    errors: Float[np.ndarray, " wavenumbers"]
    unit: str
    samples: Float[np.ndarray, "samples wavenumbers"]
    resolution: float
    temperature: Kelvin
    notes: tuple[str, ...] = ()

    def headline(self) -> Mapping[str, object]:
        found = self.peaks()
        return {
            "kind": self.kind,
            "peaks [1/cm]": ", ".join(f"{peak:.0f}" for peak in found[:8])
            + (", ..." if len(found) > 8 else ""),
            "samples": len(self.samples),
            "resolution [1/cm]": self.resolution,
        }

    def __str__(self) -> str:
        peaks = ", ".join(f"{peak:.0f}" for peak in self.peaks())
        told = f"{self.kind} spectrum at {self.temperature:g} K from {len(self.samples)} samples, peaks at {peaks} 1/cm"
        return "\n".join([told, *(f"note: {note}" for note in self.notes)])

    def peaks(self, prominence: float = 0.02) -> Float[np.ndarray, " peaks"]:
        """Wavenumbers of maxima that stand out by a part ``prominence`` of the highest, and by twice their error."""
        apart = max(1, round(self.resolution / (self.wavenumbers[1] - self.wavenumbers[0])))
        places, told = find_peaks(self.values, prominence=prominence * self.values.max(), distance=apart)
        errors = np.nan_to_num(self.errors[places])
        places = places[told["prominences"] > 2 * errors]
        # the parabola through three points
        left, middle, right = (self.values[places + shift] for shift in (-1, 0, 1))
        shift = 0.5 * (left - right) / (left - 2 * middle + right)
        return self.wavenumbers[places] + shift * (self.wavenumbers[1] - self.wavenumbers[0])

    def intensity(self, low: float, high: float) -> tuple[float, float]:
        """Intensity between two wavenumbers [1/cm], and its standard error; infrared in km/mol, Raman in Å^4/amu."""
        inside = (self.wavenumbers >= low) & (self.wavenumbers <= high)
        each = trapezoid(self.samples[:, inside], self.wavenumbers[inside], axis=1)
        error = each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
        return float(trapezoid(self.values[inside], self.wavenumbers[inside])), float(error)


def _spectrum(method, data: Trajectories, weights, kind, unit) -> Spectrum:
    """Power spectra of features, times ``weights`` over ``kT``, on an axis in wavenumbers."""
    if isinstance(data.dt, InFrames):
        raise ValueError("the time between frames is not known; give runs with dt [ps]")
    length = HALF_WIDTH / (method.resolution * CENTIMETERS)
    apart = len(data) >= ENOUGH_RUNS
    found = power_spectra(data, length, split=not apart)
    resolution = HALF_WIDTH / (found.length * CENTIMETERS)
    each = np.einsum("f,rfn->rn", weights, found.values) * CENTIMETERS / thermal_energy(method.temperature)
    each = each[:, :-1]  # the frequency of every other frame has no axis of its own where frames are steps
    share = found.pieces / found.pieces.sum()
    values = share @ each
    count = len(each)
    errors = np.full(len(values), np.nan)
    if count > 1:
        errors = np.sqrt((share**2 @ (each - values) ** 2) * count / (count - 1))
    wavenumbers, stretched = _axis(found.frequencies[:-1] / CENTIMETERS, method.step)
    notes = _notes(data, apart, resolution, method.resolution)
    return Spectrum(
        kind,
        wavenumbers,
        values * stretched,
        errors * stretched,
        unit,
        each * stretched,
        resolution,
        method.temperature,
        notes,
    )


def _axis(wavenumbers, step):
    """Wavenumbers without the error of an integrator, and how much denser lines lie on the axis then."""
    if step is None:
        return wavenumbers, np.ones(len(wavenumbers))
    phase = 0.5 * wavenumbers * WAVENUMBER * step
    if phase[-1] >= np.pi / 2:
        raise ValueError(f"step={step:g} ps is longer than the time between frames; an integrator's is not")
    return np.sin(phase) / (0.5 * step * WAVENUMBER), 1 / np.cos(phase)


def _notes(data, apart, resolution, wanted):
    notes = []
    if not apart:
        notes.append(
            f"errors are of pieces of {len(data)} runs; modes keep their energy for long, so that {ENOUGH_RUNS} runs "
            "or more tell them better"
        )
    if resolution > 1.01 * wanted:
        notes.append(f"the runs are so short that lines are {resolution:.0f} 1/cm wide, not {wanted:g}")
    highest = 0.5 / data.dt / CENTIMETERS
    if highest < HIGHEST:
        notes.append(
            f"frames {data.dt:g} ps apart see no further than {highest:.0f} 1/cm; faster motion folds back"
        )
    return tuple(notes)
