r"""Infrared and Raman spectra from dynamics, by time correlation.

A classical molecule of dipole ``mu`` absorbs, with the harmonic correction for quantum motion [ramirez2004], over all
orientations

.. math::  A(\tilde\nu) = \frac{N_A \pi}{3 c^2 4 \pi \epsilon_0} \frac{P_{\dot\mu}(\tilde\nu)}{kT},

where ``P`` is the power spectrum of ``dmu/dt`` (`power_spectra`): prefactor, correction and the square of the frequency
have become the time derivative. Its integral over a line is the intensity of the harmonic molecule. Raman activities
are ``(45 P_a + 7 P_gamma) / kT`` of the polarizability's mean and anisotropy alike.

Integrators of Verlet's kind with steps ``dt`` vibrate too fast, ``sin(w' dt / 2) = w dt / 2``: by 19 1/cm at 3700 and
half a femtosecond. Say ``step`` and the axis is put right.

Spectra of finite runs are full of maxima that mean nothing. A mean of ``K`` independent pieces of Gaussian noise is a
Gamma variable of shape ``K`` [percival1993], so that the ratio of two levels of a flat spectrum has Fisher's
distribution ``F(2K, 2K)``. ``K`` is read off the scatter among runs: ``R`` of them have a squared standard error of
``1 / (K + 1)``, relative to the mean, in expectation. A *peak* is a maximum so much above the dips beside it that a
flat spectrum has any such with a probability of `CHANCE` at most.

Not to be trusted where nuclei are quantum: anharmonic bands of hydrogens lie some tens of wavenumbers too high, and
overtones are too weak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.integrate import trapezoid
from scipy.signal import find_peaks
from scipy.stats import f as fisher

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

PIECES, FINEST, COARSEST = 16, 10.0, 40.0
"""Pieces that a spectrum is a mean of, at least, as long as lines are no wider than the coarsest resolution [1/cm]; and
the finest that more time is used for."""

CHANCE = 0.05
"""Probability that a flat spectrum has any peak."""

DEEP = 10.0
"""Peaks that must rise by more than this factor above the dips beside them are worth a word."""


@dataclass(frozen=True)
class Infrared(Method):
    """The infrared spectrum of dipoles along runs.

    Parameters
    ----------
    temperature : of the runs
    resolution : full width at half maximum of an infinitely sharp line [1/cm]; None for the finest that leaves a mean
        of 16 pieces, between 10 and 40
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
    resolution: float | None = None
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
    resolution: float | None = None
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
    shares : of each sample in the mean
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
    shares: Float[np.ndarray, " samples"]
    resolution: float
    temperature: Kelvin
    notes: tuple[str, ...] = ()

    def headline(self) -> Mapping[str, object]:
        found = self._told(8)
        return {
            "kind": self.kind,
            "peaks [1/cm]": found,
            "samples": len(self.samples),
            "resolution [1/cm]": round(self.resolution, 1),
        }

    def __str__(self) -> str:
        peaks = self._told(None)
        told = (
            f"{self.kind} spectrum at {self.temperature:g} K from {len(self.samples)} samples, "
            f"{self.resolution:.0f} 1/cm wide lines, " + (f"peaks at {peaks} 1/cm" if peaks else "no peaks")
        )
        return "\n".join([told, *(f"note: {note}" for note in self.notes)])

    def peaks(self, prominence: float = 0.02) -> Float[np.ndarray, " peaks"]:
        """Centers of the maxima that are no chance (`least_ratio`), (peaks,) [1/cm].

        The center is the mean over what lies above half the height, which counts as often as it is above.

        Parameters
        ----------
        prominence : part of the highest value by which they must stand out, too
        """
        return np.array([_center(self.wavenumbers, self.values, *part) for part in self._parts(prominence)])

    def peak_errors(self, prominence: float = 0.02) -> Float[np.ndarray, " peaks"]:
        """Standard errors of the `peaks`, (peaks,) [1/cm], by leaving out each sample [efron1994]; NaN of one."""
        count = len(self.samples)
        if count < 2:
            return np.full(len(self._parts(prominence)), np.nan)
        left = (self.values - self.shares[:, None] * self.samples) / (1 - self.shares[:, None])
        centers = np.array(
            [[_center(self.wavenumbers, each, *part) for each in left] for part in self._parts(prominence)]
        )
        return np.sqrt((count - 1) * np.var(centers.reshape(-1, count), axis=1))

    @property
    def independent_pieces(self) -> float:
        """Independent pieces ``K`` that the spectrum is as good as the mean of, by the scatter of its samples."""
        if len(self.samples) < 2:
            return 1.0
        some = self.values > 1e-9 * self.values.max()
        relative = float(np.mean((self.errors[some] / self.values[some]) ** 2))
        return max(1 / max(relative, 1e-6) - 1, 1.0)

    @property
    def least_ratio(self) -> float:
        """Height over that of the higher dip beside it from which on a maximum is a peak.

        Any two of the ``N`` values that the resolution keeps apart may be the maximum and the dip.
        """
        apart = max(2.0, np.ptp(self.wavenumbers) / self.resolution)
        freedom = 2 * self.independent_pieces
        return float(fisher.isf(CHANCE / (apart * (apart - 1)), freedom, freedom))

    def intensity(self, low: float, high: float) -> tuple[float, float]:
        """Intensity between two wavenumbers [1/cm], and its standard error; infrared in km/mol, Raman in Å^4/amu."""
        inside = (self.wavenumbers >= low) & (self.wavenumbers <= high)
        each = trapezoid(self.samples[:, inside], self.wavenumbers[inside], axis=1)
        return float(trapezoid(self.values[inside], self.wavenumbers[inside])), float(
            _error_of_mean(each, self.shares)
        )

    def _parts(self, prominence: float) -> list[tuple[slice, float]]:
        """Where each peak is above half its height and the dips beside it, and what share of its height that is."""
        apart = max(1, round(self.resolution / (self.wavenumbers[1] - self.wavenumbers[0])))
        places, told = find_peaks(self.values, prominence=prominence * self.values.max(), distance=apart)
        heights = self.values[places]
        dips = heights - told["prominences"]
        real = heights > self.least_ratio * dips
        parts = []
        for place, level in zip(places[real], np.maximum(0.5, dips / heights)[real]):
            below = np.flatnonzero(self.values <= level * self.values[place])
            before, after = below[below < place], below[below > place]
            start = before[-1] if len(before) else 0
            stop = after[0] + 1 if len(after) else len(self.values)
            parts.append((slice(start, stop), float(level)))
        return parts

    def _told(self, most: int | None) -> str:
        """The first peaks, with their errors where these are a wavenumber or more."""
        found = [
            f"{peak:.0f} ± {error:.0f}" if error >= 0.5 else f"{peak:.0f}"
            for peak, error in zip(self.peaks(), self.peak_errors())
        ]
        return ", ".join(found[:most]) + (", ..." if most is not None and len(found) > most else "")


def _center(wavenumbers, values, part, level):
    """Mean of the wavenumbers of a ``part``, by how far ``values`` are above a ``level``, a share of the highest."""
    above = np.maximum(values[part] - level * values[part].max(), 0)
    return float(above @ wavenumbers[part] / above.sum())


def _error_of_mean(each, shares):
    """Standard error of the mean of samples, first axis, of which each has its share; NaN of one."""
    count = len(each)
    if count < 2:
        return np.full(np.shape(each)[1:], np.nan)
    return np.sqrt((shares**2 @ (each - shares @ each) ** 2) * count / (count - 1))


def _spectrum(method, data: Trajectories, weights, kind, unit) -> Spectrum:
    """Power spectra of features, times ``weights`` over ``kT``, on an axis in wavenumbers."""
    if isinstance(data.dt, InFrames):
        raise ValueError("the time between frames is not known; give runs with dt [ps]")
    apart = len(data) >= ENOUGH_RUNS
    wanted = _resolution(data) if method.resolution is None else method.resolution
    length = HALF_WIDTH / (wanted * CENTIMETERS)
    found = power_spectra(data, length, split=not apart)
    resolution = HALF_WIDTH / (found.length * CENTIMETERS)
    each = np.einsum("f,rfn->rn", weights, found.values) * CENTIMETERS / thermal_energy(method.temperature)
    each = each[:, :-1]  # the frequency of every other frame has no axis of its own where frames are steps
    share = found.pieces / found.pieces.sum()
    values, errors = share @ each, _error_of_mean(each, share)
    wavenumbers, stretched = _axis(found.frequencies[:-1] / CENTIMETERS, method.step)
    made = Spectrum(
        kind,
        wavenumbers,
        values * stretched,
        errors * stretched,
        unit,
        each * stretched,
        share,
        resolution,
        method.temperature,
    )
    return replace(made, notes=_notes(data, apart, made, wanted))


def _resolution(data: Trajectories) -> float:
    """The finest [1/cm] that leaves `PIECES` pieces, half over each other, of runs of these lengths."""
    times = data.dt * np.asarray(data.lengths, float)
    length = min(2 * times.sum() / (PIECES + len(times)), times.min())
    return float(np.clip(HALF_WIDTH / (length * CENTIMETERS), FINEST, COARSEST))


def _axis(wavenumbers, step):
    """Wavenumbers without the error of an integrator, and how much denser lines lie on the axis then."""
    if step is None:
        return wavenumbers, np.ones(len(wavenumbers))
    phase = 0.5 * wavenumbers * WAVENUMBER * step
    if phase[-1] >= np.pi / 2:
        raise ValueError(f"step={step:g} ps is longer than the time between frames; an integrator's is not")
    return np.sin(phase) / (0.5 * step * WAVENUMBER), 1 / np.cos(phase)


def _notes(data, apart, spectrum, wanted):
    notes = []
    if not apart:
        notes.append(
            f"errors are of pieces of {len(data)} runs; modes keep their energy for long, so that {ENOUGH_RUNS} runs "
            "or more tell them better"
        )
    if spectrum.resolution > 1.01 * wanted:
        notes.append(
            f"the runs are so short that lines are {spectrum.resolution:.0f} 1/cm wide, not {wanted:g}"
        )
    if spectrum.least_ratio > DEEP:
        notes.append(
            f"the spectrum is as good as the mean of {spectrum.independent_pieces:.1f} independent pieces: maxima "
            f"count as peaks where they are {spectrum.least_ratio:.0f} times as high as the dips beside them; longer "
            "runs, or more of them, or a coarser resolution tell weaker ones"
        )
    highest = 0.5 / data.dt / CENTIMETERS
    if highest < HIGHEST:
        notes.append(
            f"frames {data.dt:g} ps apart see no further than {highest:.0f} 1/cm; faster motion folds back"
        )
    return tuple(notes)
