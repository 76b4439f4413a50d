"""Converged answers of the model systems, to the digits known.

Where a figure in circulation differs in the last digit it is said; `test_circulated_digits` shows which grids
some of those come from.
"""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.testsystems import chain
from thalweg.testsystems.euler_chain import EulerChain
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown, WithHarmonicDimensions
from thalweg.testsystems.richardson import extrapolated
from thalweg.testsystems.stationary_points import stationary_points
from thalweg.testsystems.underdamped import GeneralizedLangevin, LangevinGenerator
from thalweg.testsystems.wells import (
    CosineWell,
    DoubleWell,
    ObliqueDoubleWell,
    PrinzPotential,
    QuadrupleWell,
    TripleWell1D,
    TripleWell2D,
)

BROWN = ((-1.8, 1.3), (-0.6, 2.3))


def disc(x, y, radius):
    return lambda points: (points[0] - x) ** 2 + (points[1] - y) ** 2 < radius**2


def thiede_a(points):
    """The ellipse A of Thiede et al. 2019 around the upper minimum."""
    x, y = points[0] + 0.5, points[1] - 1.5
    return 6.5 * x**2 - 11.0 * x * y + 6.5 * y**2 < 0.3


def thiede_b(points):
    """The ellipse B of Thiede et al. 2019 around the lower minimum."""
    return (points[0] - 0.6) ** 2 + 5.0 * (points[1] - 0.02) ** 2 < 0.2


def test_timescales_of_prinz_potential():
    generator = Generator(PrinzPotential(), ((-1.25, 1.25),), 500)
    timescales = extrapolated(lambda g: g.timescales(4), generator)
    np.testing.assert_allclose(timescales, [0.834033, 0.126767, 0.0650983, 0.0121830], rtol=5e-6)


def test_reaction_across_prinz_potential():
    generator = Generator(PrinzPotential(), ((-1.2, 1.2),), 800)
    left, right = (lambda x: x[0] < -0.6), (lambda x: x[0] > 0.6)
    assert generator.rate(left, right).forward == pytest.approx(0.55330, abs=5e-6)
    assert generator.mean_first_passage_time(right, left) == pytest.approx(1.84466, abs=5e-6)
    committor = generator.interpolated(generator.committor(left, right), [[-0.25], [0.0], [0.25]])
    np.testing.assert_allclose(committor, [0.27927, 0.58942, 0.89788], atol=6e-6)


def test_eigenvalues_of_the_euler_chain_on_prinz_potential():
    euler = EulerChain(PrinzPotential(), ((-1.3, 1.3),), 150)
    np.testing.assert_array_equal(euler.eigenvalues(3, steps=100).round(5), [0.88832, 0.45086, 0.21103])
    np.testing.assert_allclose(euler.timescales(3) / euler.dt, [844.4, 125.5, 64.28], atol=0.05)


def test_timescales_of_the_cosine_well():
    generator = Generator(CosineWell(), CosineWell().domain, 400)
    timescales = extrapolated(lambda g: g.timescales(3), generator)
    np.testing.assert_allclose(timescales, [7.11531, 0.414070, 0.324437], rtol=2e-6)


def test_hop_chain_of_state_free_vampnets():
    matrix = chain.hop_chain(PrinzPotential(), np.linspace(-1.0, 1.0, 100))
    np.testing.assert_array_equal(chain.timescales(matrix, 3).round(1), [6038.9, 922.4, 475.1])
    vamp2 = np.sum(chain.eigenvalues(matrix, 4) ** 200)
    assert vamp2 == pytest.approx(3.42890, abs=5e-6)


def test_triple_well_in_one_dimension():
    potential = TripleWell1D()
    generator = Generator(potential, potential.domain, 800, kT=0.28125, diffusion=0.28125)
    timescales = extrapolated(lambda g: g.timescales(3), generator)
    np.testing.assert_allclose(timescales, [5293.43, 188.820, 0.248822], rtol=3e-6)
    minima = np.array([0.507, 3.158, 5.425])
    found = np.sort(stationary_points(potential).of_order(0).positions[:, 0])
    np.testing.assert_allclose(found, minima, atol=1e-3)
    left, right = (lambda x: np.abs(x[0] - minima[0]) < 0.2), (lambda x: np.abs(x[0] - minima[2]) < 0.2)
    assert generator.rate(left, right).forward == pytest.approx(1.621e-4, abs=5e-8)
    middle = generator.interpolated(generator.committor(left, right), minima[1:2, None])
    assert middle == pytest.approx(0.99302, abs=5e-6)


def test_triple_well_in_two_dimensions():
    """In circulation with 12.684 and k_AB .03675, of a square-root approximation on 400 x 400 nodes."""
    potential = TripleWell2D()
    generator = Generator(potential, potential.domain, (150, 150), kT=0.59405, diffusion=0.59405)
    timescales = extrapolated(lambda g: g.timescales(3), generator)
    np.testing.assert_allclose(timescales, [12.6863, 1.33769, 0.255571], rtol=5e-6)
    left, right = disc(-1.05, -0.04, 0.3), disc(1.05, -0.04, 0.3)
    assert extrapolated(lambda g: g.rate(left, right).forward, generator) == pytest.approx(0.036758, abs=1e-6)
    assert generator.mean_first_passage_time(right, left) == pytest.approx(27.30, abs=5e-3)


def test_quadruple_well_has_the_rates_of_the_double_well_one_one_two():
    """In circulation with 33.579; the double well alone, with 6400 cells, gives 33.5800 too."""
    potential = QuadrupleWell()
    generator = Generator(potential, potential.domain, (120, 120), kT=0.25, diffusion=0.25)
    timescales = extrapolated(lambda g: g.timescales(4), generator)
    np.testing.assert_allclose(timescales, [33.5800, 33.5800, 16.7900, 0.30208], rtol=1e-5)
    single = Generator(DoubleWell(barrier=1.0), ((-2.0, 2.0),), 6400, kT=0.25, diffusion=0.25).timescales(1)
    np.testing.assert_allclose(timescales[:3], single / [1, 1, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("scale", "timescales", "rates", "passage", "committor"),
    [
        (20.0, [4.42884, 0.201357, 0.184370], [0.036741, 0.167387, 0.030128], 27.2385, 0.80452),
        (15.0, [9.65000, 0.212408, 0.161060], [0.0097296, 0.089385, 0.0087745], 102.801, 0.87037),
    ],
)
def test_muller_brown(scale, timescales, rates, passage, committor):
    """The third time scale is set by the walls, here at x = -1.8 and y = 2.3.

    In circulation with 4.4286 .2014 .1856, k .03672 .16735, flux .030116, 27.25 (V/20) and 9.6493 .2124
    .1621, .009728, 102.8 (V/15), of a grid not stated.
    """
    generator = Generator(MullerBrown(scale), BROWN, (120, 120))
    a, b = disc(-0.558, 1.442, 0.1), disc(0.623, 0.028, 0.1)

    def answers(g):
        rate = g.rate(a, b)
        saddle = g.interpolated(g.committor(a, b), [[-0.05, 0.467]])[0]
        return np.array([rate.forward, rate.backward, rate.flux, g.mean_first_passage_time(b, a), saddle])

    np.testing.assert_allclose(extrapolated(lambda g: g.timescales(3), generator), timescales, rtol=5e-6)
    np.testing.assert_allclose(extrapolated(answers, generator), [*rates, passage, committor], rtol=2e-5)


def test_timescales_of_the_muller_data_of_msmbuilder_in_its_box():
    """kT = 15, frames of 0.01 with D = 1, reflected at the box; the third is in circulation as 6.66."""
    generator = Generator(MullerBrown(), ((-1.5, 1.2), (-0.2, 2.0)), (120, 120), kT=15.0)
    frames = 100.0 * extrapolated(lambda g: g.timescales(3), generator)
    np.testing.assert_allclose(frames, [964.196, 21.2398, 6.60320], rtol=1e-5)


def test_reaction_on_muller_brown_with_eight_harmonic_dimensions():
    """In circulation with .03906 and .03195, of masks on the 400 x 400 nodes of the shipped committor."""
    potential = WithHarmonicDimensions(MullerBrown(20.0), dimensions=8, stiffness=2.0)
    generator = Generator(potential.potential, ((-2.5, 1.5), (-1.5, 2.5)), (200, 200))
    rate = generator.rate(thiede_a, thiede_b)
    assert rate.forward == pytest.approx(0.03912, abs=6e-6)
    assert rate.flux == pytest.approx(0.03199, abs=3e-6)


def test_ellipses_and_committor_are_those_of_the_shipped_data(data_set):
    folder = data_set("kinetics", "muller_dga")
    points = np.load(folder / "c10d_muller_brown_trajs.npy").reshape(-1, 10).T
    for region, name in ((thiede_a, "stateA"), (thiede_b, "stateB")):
        shipped = np.load(folder / f"c10d_muller_brown_{name}.npy").ravel() > 0
        np.testing.assert_array_equal(region(points), shipped)
    generator = Generator(MullerBrown(20.0), ((-2.5, 1.5), (-1.5, 2.5)), (200, 200))
    nodes = np.meshgrid(np.load(folder / "c10d_xgrid.npy"), np.load(folder / "c10d_ygrid.npy"))
    ours = generator.interpolated(
        generator.committor(thiede_a, thiede_b), np.stack([axis.ravel() for axis in nodes], 1)
    )
    shipped = np.load(folder / "c10d_reference_committor.npy").ravel()
    energy = MullerBrown(20.0).energy(np.stack([axis.ravel() for axis in nodes]))
    weights = np.exp(energy.min() - energy)
    assert np.abs(ours - shipped)[weights > np.exp(-10)].max() < 1.4e-3
    assert np.sqrt(weights @ (ours - shipped) ** 2 / weights.sum()) < 1.8e-4


def test_passage_along_y_of_muller_brown():
    """In circulation as 5.629 +- .260, of sets that end at nodes."""
    generator = Generator(MullerBrown(20.0), ((-2.5, 1.5), (-1.5, 2.5)), (200, 200))
    times = generator.mean_first_passage_time(lambda x: x[1] > 1.15)
    mean = generator.mean(times, lambda x: x[1] < 0.15)
    spread = np.sqrt(generator.mean(times**2, lambda x: x[1] < 0.15) - mean**2)
    assert mean == pytest.approx(5.6284, abs=1e-4)
    assert spread == pytest.approx(0.2627, abs=1e-4)


def test_muller_brown_over_ten():
    """In circulation with 3.634 for the free energy."""
    generator = Generator(MullerBrown(10.0), BROWN, (200, 200))
    times = generator.mean_first_passage_time(disc(0.6235, 0.0280, 0.2))
    assert generator.interpolated(times, [[-0.5582, 1.4417]]) == pytest.approx(1980.8, abs=0.05)
    assert generator.free_energy_difference(lambda x: x[1] < 0.75) == pytest.approx(3.6346, abs=5e-5)


def test_stationary_points_of_muller_brown():
    points = stationary_points(MullerBrown())
    minima, saddles = points.of_order(0), points.of_order(1)
    np.testing.assert_array_equal(minima.energies.round(4), [-146.6995, -108.1667, -80.7678])
    expected = [[-0.5582, 1.4417], [0.6235, 0.0280], [-0.0500, 0.4667]]
    np.testing.assert_array_equal(minima.positions.round(4), expected)
    np.testing.assert_array_equal(saddles.energies[:2].round(4), [-72.2489, -40.6648])
    np.testing.assert_array_equal(saddles.positions[:2].round(4), [[0.2125, 0.2930], [-0.8220, 0.6243]])


@pytest.mark.parametrize(
    ("barrier", "tilt", "passage", "digits"),
    [(5.0, 0.0, 36.484, 3), (8.0, 0.0, 437.50, 2), (5.0, 0.5, 59.397, 3)],
)
def test_passage_over_a_quartic_barrier(barrier, tilt, passage, digits):
    generator = Generator(DoubleWell(barrier, tilt), ((-2.2, 2.2),), 800)
    times = generator.mean_first_passage_time(lambda x: x[0] > 1.0)
    assert round(generator.interpolated(times, [[-1.0]])[0], digits) == passage


def test_free_energy_of_the_tilted_double_well():
    generator = Generator(DoubleWell(5.0, 0.5), ((-2.2, 2.2),), 800)
    assert generator.free_energy_difference(lambda x: x[0] > 0.0) == pytest.approx(0.9494, abs=5e-5)


def test_passage_along_the_oblique_double_well():
    potential = ObliqueDoubleWell()
    generator = Generator(potential, potential.domain, (120, 120), kT=0.8, diffusion=0.8)
    times = generator.mean_first_passage_time(lambda x: x[0] > 0.9)
    assert generator.interpolated(times, [[-1.0, 0.0]]) == pytest.approx(362.6, abs=0.05)


@pytest.mark.parametrize(
    ("friction", "functions", "timescale"),
    [(0.3, (100, 150), 193.86), (1.0, (60, 60), 104.761), (10.0, (40, 20), 206.292)],
)
def test_langevin_dynamics_turns_over_with_friction(friction, functions, timescale):
    slowest = LangevinGenerator(DoubleWell(5.0), friction=friction, functions=functions).timescales(1)
    assert slowest == pytest.approx(timescale, abs=5e-3 if friction < 1 else 5e-4)


@pytest.mark.parametrize(
    ("memory_time", "functions", "timescale"), [(0.1, (32, 14, 14), 184.455), (0.5, (36, 36, 20), 135.505)]
)
def test_memory_speeds_up_the_crossing(memory_time, functions, timescale):
    model = GeneralizedLangevin(DoubleWell(5.0), memory_time=memory_time, functions=functions)
    assert model.timescales(1) == pytest.approx(timescale, abs=5e-4)
