"""Spectra of molecules whose lines are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from thalweg.labeling.geometries.normal_modes import normal_modes
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.known_potential import KnownPotential
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.spectra.harmonic import harmonic_spectrum
from thalweg.spectra.intensities import ABSORPTION
from thalweg.spectra.property_trajectories import property_trajectories
from thalweg.spectra.time_correlation import Infrared, Raman
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.time_series.power_spectra import power_spectra
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import ONE_FRAME, WAVENUMBER, thermal_energy

CHARGE, WAVES, TEMPERATURE = 0.3, 2000.0, 300.0
REDUCED = MASSES[1] * MASSES[9] / (MASSES[1] + MASSES[9])
INTENSITY = ABSORPTION * CHARGE**2 / REDUCED


def oscillators(dt: float = 0.001, frames: int = 5000, omega: float = WAVES * WAVENUMBER):
    """Dipoles of four charged springs of the mean energy kT, at other phases and along other axes."""
    time, swing = dt * np.arange(frames)[:, None], np.sqrt(2 * thermal_energy(TEMPERATURE) / REDUCED) / omega
    axes = [*np.eye(3), np.array([0.6, 0.0, 0.8])]
    return [CHARGE * swing * np.cos(omega * time + phase) * axis for phase, axis in enumerate(axes)]


def test_a_charged_spring_absorbs_at_its_frequency_what_the_harmonic_formula_says():
    found = Infrared(TEMPERATURE, resolution=10.0).fit(Trajectories(oscillators(), dt=0.001))
    assert found.peaks() == pytest.approx([WAVES], abs=0.1)
    assert found.intensity(WAVES - 200, WAVES + 200)[0] == pytest.approx(INTENSITY, rel=1e-4)
    assert not found.notes


def test_a_line_is_as_wide_as_the_resolution():
    found = Infrared(TEMPERATURE, resolution=20.0).fit(Trajectories(oscillators(), dt=0.001))
    apart = np.diff(found.wavenumbers)[0]
    above = found.wavenumbers[found.values > found.values.max() / 2]
    assert 20.0 - 2 * apart < np.ptp(above) <= 20.0


def test_error_bars_are_those_of_the_mean_of_runs():
    loud = [scale * run for scale, run in zip((1.0, 2.0, 1.0, 2.0), oscillators())]
    found = Infrared(TEMPERATURE).fit(Trajectories(loud, dt=0.001))
    value, error = found.intensity(WAVES - 200, WAVES + 200)
    assert value == pytest.approx(2.5 * INTENSITY, rel=1e-4)
    assert error == pytest.approx(np.std([1, 4, 1, 4], ddof=1) / 2 * INTENSITY, rel=1e-4)
    peak = found.values.argmax()
    assert found.errors[peak] / found.values[peak] == pytest.approx(error / value, rel=1e-3)


def test_the_integral_of_a_power_spectrum_is_the_mean_square_rate():
    noise = np.cumsum(np.random.default_rng(2).normal(size=(4000, 2)), axis=0)
    found = power_spectra(Trajectories([noise], dt=0.5), length=100.0)
    flat = found.values[0] * np.sinc(found.frequencies * 0.5) ** 2
    total = np.trapezoid(flat, found.frequencies, axis=1)
    assert total == pytest.approx((np.diff(noise, axis=0) ** 2).mean(0) / 0.5**2, rel=0.03)


def test_the_error_of_a_verlet_integrator_in_the_frequency_is_taken_out():
    step, true = 0.001, 3700.0
    fast = 2 / step * np.arcsin(0.5 * true * WAVENUMBER * step)
    data = Trajectories(oscillators(omega=fast), dt=step)
    assert Infrared(TEMPERATURE).fit(data).peaks()[0] > true + 50
    corrected = Infrared(TEMPERATURE, step=step).fit(data)
    assert corrected.peaks() == pytest.approx([true], abs=0.3)
    plain = Infrared(TEMPERATURE).fit(data).intensity(3000, 4200)[0]
    assert corrected.intensity(3000, 4000)[0] == pytest.approx(plain, rel=0.01)


def test_a_vibration_of_the_mean_polarizability_scatters_by_45_times_the_square_of_its_slope():
    slope, anisotropy = 0.02, 0.01
    tensor = slope * np.eye(3) + anisotropy * np.diag([2.0, -1.0, -1.0]) / 3
    runs = [run[:, :1] / CHARGE * tensor.reshape(1, 9) for run in oscillators()[:1]]
    found = Raman(TEMPERATURE).fit(Trajectories(runs, dt=0.001))
    expected = 1e4 * (45 * slope**2 + 7 * anisotropy**2) / REDUCED
    assert found.intensity(WAVES - 200, WAVES + 200)[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (Trajectories([np.zeros((100, 2))], dt=0.1), "3 components"),
        (Trajectories([np.zeros((100, 3))], dt=ONE_FRAME), "time between frames"),
        (Trajectories([np.zeros((10, 3))], dt=0.001), "too short"),
        (Trajectories([np.zeros((100, 3))], dt=0.001, weights=[np.ones(100)]), "weights"),
    ],
)
def test_runs_that_give_no_spectrum_are_refused(data, told):
    with pytest.raises(ValueError, match=told):
        Infrared(TEMPERATURE).fit(data)


def test_few_coarse_runs_are_told():
    found = Infrared(TEMPERATURE).fit(Trajectories(oscillators(0.005, 200)[:1], dt=0.005))
    assert [note.split()[0] for note in found.notes] == ["errors", "the", "the", "frames"]
    assert np.isnan(found.peak_errors()).all()


def noise(runs: int, frames: int, seed: int, dt: float = 0.002):
    """Dipoles whose rates have a flat spectrum."""
    random = np.random.default_rng(seed)
    return Trajectories([np.cumsum(random.normal(size=(frames, 3)), 0) for _ in range(runs)], dt=dt)


def band(wavenumber: float, seed: int, frames: int = 2500, dt: float = 0.002, lifetime: float = 1.0):
    """A damped spring along x that noise drives: a complex amplitude that forgets its phase, exactly."""
    random = np.random.default_rng(seed)
    kept = np.exp(-dt / lifetime)
    kicks = np.sqrt((1 - kept**2) / 2) * random.normal(size=(frames, 2)) @ np.array([1, 1j])
    kicks[0] /= np.sqrt(1 - kept**2)
    swing = lfilter([1.0], [1.0, -kept], kicks)
    phase = np.exp(1j * wavenumber * WAVENUMBER * dt * np.arange(frames))
    return np.outer((swing * phase).real, [1.0, 0.0, 0.0])


def test_noise_without_lines_has_no_peaks():
    spectra = [Infrared(TEMPERATURE).fit(noise(runs, 2500, seed)) for runs in (2, 6) for seed in range(20)]
    assert (
        sum(len(each.peaks(0.0)) > 0 for each in spectra) <= 5
    )  # of 40, at 5 % each: by chance once in a hundred
    maxima = [np.sum(np.diff(np.sign(np.diff(each.values))) < 0) for each in spectra]
    assert min(maxima) > 50


def test_the_number_of_independent_pieces_is_that_which_noise_was_cut_into():
    found = [Infrared(TEMPERATURE, resolution=40.0).fit(noise(6, 2500, seed)) for seed in range(5)]
    count = 7  # pieces of 1.2 ps in 5 ps, half over each other, under Hann's window [percival1993]
    pieces = 6 * 3 * 18 * count**2 / (19 * count - 1)
    assert np.mean([each.independent_pieces for each in found]) == pytest.approx(pieces, rel=0.05)


def test_lines_that_noise_drives_are_found_where_they_are_and_no_others():
    lines, off = np.array([600.0, 1000.0, 1150.0, 3000.0]), []
    for seed in range(8):
        runs = [
            sum(
                band(each, 1000 * seed + 10 * run + k) * (1.0, 0.7, 1.0, 0.2)[k]
                for k, each in enumerate(lines)
            )
            for run in range(6)
        ]
        found = Infrared(TEMPERATURE).fit(Trajectories(runs, dt=0.002))
        places, errors = found.peaks(0.0), found.peak_errors(0.0)
        assert len(places) == len(lines)
        off.append((places - lines) / errors)
    assert np.abs(off).max() < 6
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(1.2, abs=0.5)  # Student's t of five degrees


def test_the_resolution_is_what_the_time_affords():
    found = [Infrared(TEMPERATURE).fit(noise(4, frames, 0)).resolution for frames in (300, 2500, 20000)]
    assert found == pytest.approx([80.0, 24.0, 10.0], rel=0.03)


BOND = KnownPotential(
    morse((1, 9), [0.0, 500.0, 0.0], [20.0, 22.0, 20.0], [0.1, 0.092, 0.1], cutoff=2.0), "Morse"
)


class ChargedBond:
    """The bond with two opposite charges at its ends as a level."""

    name = "charged bond"

    def label(self, frame):
        arrow = frame.positions[1] - frame.positions[0]
        return replace(BOND.label(frame), properties={"dipole": CHARGE * arrow})

    def check(self, frame):
        """Any frame will do."""

    def seconds(self, frame):
        return 0.0

    def provenance(self):
        return {}


def hydrogen_fluoride() -> Configuration:
    return Configuration(np.array([9, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.01, 0.094]]))


def test_the_harmonic_band_of_point_charges_is_their_charge_over_the_reduced_mass():
    level = ChargedBond()
    found = harmonic_spectrum(
        normal_modes(nearest_minimum(hydrogen_fluoride(), level, force=1e-4), level), level
    )
    assert found.wavenumbers == pytest.approx([np.sqrt(2 * 500.0 * 22.0**2 / REDUCED) / WAVENUMBER], rel=1e-4)
    assert found.intensities == pytest.approx([INTENSITY], rel=1e-4)
    broad = np.linspace(3000, 5500, 5001)
    assert np.trapezoid(found.broadened(broad), broad) == pytest.approx(INTENSITY, rel=1e-4)
    with pytest.raises(ValueError, match="polarizabilities"):
        found.broadened(broad, kind="Raman")


@pytest.mark.long
def test_dynamics_of_a_cold_bond_has_the_harmonic_spectrum():
    minimum = nearest_minimum(hydrogen_fluoride(), BOND, force=1e-4)
    moments = property_trajectories(
        minimum,
        BOND.term,
        lambda frames: [CHARGE * (x.positions[1] - x.positions[0]) for x in frames],
        temperature=10.0,
        runs=32,
        time=2.0,
        begin=1.0,
    )
    found = Infrared(10.0, step=0.0005).fit(moments)
    peak = np.sqrt(2 * 500.0 * 22.0**2 / REDUCED) / WAVENUMBER
    # the molecule turns, too, at some tens of 1/cm: a line there, and two wings of the vibration
    band = abs(found.wavenumbers - peak) < 400
    assert np.average(found.wavenumbers[band], weights=found.values[band]) == pytest.approx(peak, abs=5)
    value, error = found.intensity(peak - 400, peak + 400)
    assert abs(value - INTENSITY) < 3 * error
