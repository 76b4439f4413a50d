"""Motion with inertia and memory: closed forms against polynomial bases and matrix exponentials."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from thalweg.testsystems.euler_chain import EulerChain
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.oscillator import DampedOscillator, MemoryOscillator, OrnsteinUhlenbeck
from thalweg.testsystems.underdamped import GeneralizedLangevin, LangevinGenerator
from thalweg.testsystems.wells import DoubleWell, HarmonicWell, PrinzPotential

TIMES = np.linspace(0.0, 5.0, 11)


@pytest.mark.parametrize("friction", [0.5, 1.0, 8.0])
def test_langevin_in_a_harmonic_well_relaxes_at_the_roots(friction):
    oscillator = DampedOscillator(stiffness=2.0, friction=friction, mass=1.5, kT=0.8)
    model = LangevinGenerator(HarmonicWell(2.0), kT=0.8, friction=friction, mass=1.5, functions=(24, 24))
    assert model.timescales(1) == pytest.approx(-1.0 / oscillator.rates.real.max(), rel=1e-6)


def test_memory_in_a_harmonic_well_relaxes_at_the_roots():
    oscillator = MemoryOscillator(stiffness=2.0, friction=5.0, memory_time=0.3, kT=0.8)
    model = GeneralizedLangevin(HarmonicWell(2.0), 0.8, friction=5.0, memory_time=0.3, functions=(14, 14, 14))
    assert model.timescales(1) == pytest.approx(-1.0 / oscillator.rates.real.max(), rel=1e-6)


@pytest.mark.parametrize("friction", [0.5, 8.0])
def test_autocorrelation_of_the_damped_oscillator_is_that_of_its_linear_equations(friction):
    oscillator = DampedOscillator(stiffness=2.0, friction=friction, mass=1.5)
    drift = np.array([[0.0, 1.0], [-2.0 / 1.5, -friction]])
    exact = [scipy.linalg.expm(drift * t)[0, 0] / 2.0 for t in TIMES]
    np.testing.assert_allclose(oscillator.autocorrelation(TIMES), exact, atol=1e-12)


@pytest.mark.parametrize("memory_time", [0.1, 2.0])
def test_autocorrelation_with_memory_is_that_of_its_linear_equations(memory_time):
    oscillator = MemoryOscillator(stiffness=2.0, friction=3.0, memory_time=memory_time)
    coupling = np.sqrt(3.0 / memory_time)
    drift = np.array([[0.0, 1.0, 0.0], [-2.0, 0.0, coupling], [0.0, -coupling, -1.0 / memory_time]])
    exact = [scipy.linalg.expm(drift * t)[0, 0] / 2.0 for t in TIMES]
    np.testing.assert_allclose(oscillator.autocorrelation(TIMES), exact, atol=1e-12)


def test_short_memory_is_no_memory():
    with_memory = MemoryOscillator(stiffness=2.0, friction=3.0, memory_time=1e-6).autocorrelation(TIMES)
    np.testing.assert_allclose(with_memory, DampedOscillator(2.0, 3.0).autocorrelation(TIMES), atol=1e-5)


def test_ornstein_uhlenbeck_propagator_keeps_equilibrium():
    process = OrnsteinUhlenbeck(stiffness=2.0, kT=1.5, diffusion=0.7)
    variance = process.autocorrelation(np.zeros(1))[0]
    mean, spread = process.propagator(np.ones(1), 0.4)
    assert mean[0] ** 2 * variance + spread == pytest.approx(variance)
    assert mean[0] * variance == pytest.approx(process.autocorrelation(np.array([0.4]))[0])


def test_high_friction_is_overdamped():
    """Corrections are of order one over friction squared."""
    slowest = LangevinGenerator(DoubleWell(3.0), friction=50.0, functions=(32, 8)).timescales(1)[0]
    overdamped = Generator(DoubleWell(3.0), ((-2.2, 2.2),), 800, diffusion=1.0 / 50.0).timescales(1)[0]
    assert slowest == pytest.approx(overdamped, rel=0.02)


def test_too_few_functions_are_named():
    with pytest.raises(ValueError, match="are converged with"):
        LangevinGenerator(DoubleWell(5.0), friction=0.01, functions=(12, 6)).timescales(8)


def test_the_euler_chain_is_slower_by_a_percent_and_less_at_smaller_steps():
    exact = Generator(PrinzPotential(), ((-1.25, 1.25),), 3000).timescales(1)[0]
    slower = [
        EulerChain(PrinzPotential(), ((-1.25, 1.25),), cells, dt=dt).timescales(1)[0] / exact - 1.0
        for cells, dt in ((100, 1e-3), (200, 2.5e-4), (400, 6.25e-5))
    ]
    assert slower[0] == pytest.approx(0.0125, abs=1e-4)
    assert slower[0] > slower[1] > 3.0 * slower[2] > 0.0


def test_cells_wider_than_the_noise_are_refused():
    with pytest.raises(ValueError, match="use at least 59"):
        EulerChain(PrinzPotential(), ((-1.3, 1.3),), 20)
