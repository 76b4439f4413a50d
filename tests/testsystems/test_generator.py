"""The finite-volume generator: theorems, order, quadrature, and samples."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from thalweg.testsystems import chain
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown, WithHarmonicDimensions
from thalweg.testsystems.oscillator import OrnsteinUhlenbeck
from thalweg.testsystems.richardson import extrapolated
from thalweg.testsystems.wells import DoubleWell, HarmonicWell, PrinzPotential, QuadrupleWell


@pytest.fixture(scope="module")
def prinz():
    return Generator(PrinzPotential(), ((-1.2, 1.2),), 200)


@pytest.fixture(scope="module")
def brown():
    return Generator(MullerBrown(20.0), ((-1.8, 1.3), (-0.6, 2.3)), (40, 40))


def left(x):
    return x[0] < -0.6


def right(x):
    return x[0] > 0.6


def integral(function, a, b):
    edges = np.linspace(a, b, 13)
    return sum(quad(function, u, v, epsrel=1e-12)[0] for u, v in pairwise(edges))


def test_rate_and_committor_in_one_dimension_agree_with_quadrature():
    """``q(x) = int_a^x exp(U) / int_a^b exp(U)`` and ``J = 1 / (Z int_a^b exp(U))``."""
    potential = PrinzPotential()
    resistance = integral(lambda x: np.exp(potential.energy(np.array([x]))), -0.6, 0.6)
    flux = 1.0 / (resistance * integral(lambda x: np.exp(-potential.energy(np.array([x]))), -1.2, 1.2))
    committor = integral(lambda x: np.exp(potential.energy(np.array([x]))), -0.6, 0.25) / resistance
    generator = Generator(potential, ((-1.2, 1.2),), 400)
    assert extrapolated(lambda g: g.rate(left, right).flux, generator) == pytest.approx(flux, rel=1e-6)
    ours = generator.interpolated(generator.committor(left, right), [[0.25]])
    assert ours == pytest.approx(committor, abs=1e-5)


def test_harmonic_well_relaxes_as_the_ornstein_uhlenbeck_process():
    generator = Generator(HarmonicWell(2.0), HarmonicWell(2.0).domain, 400, kT=0.8, diffusion=0.7)
    exact = OrnsteinUhlenbeck(2.0, kT=0.8, diffusion=0.7).timescales(4)
    np.testing.assert_allclose(extrapolated(lambda g: g.timescales(4), generator), exact, rtol=1e-4)


@pytest.mark.parametrize("radius", [0.3, 0.37])
def test_error_falls_by_four_when_cells_are_halved_also_for_sets_with_curved_boundaries(radius):
    def passage(cells):
        generator = Generator(QuadrupleWell(), ((-2.0, 2.0), (-2.0, 2.0)), (cells, cells), kT=0.5)
        times = generator.mean_first_passage_time(lambda x: (x[0] - 1.0) ** 2 + (x[1] - 1.0) ** 2 < radius**2)
        return generator.interpolated(times, [[-1.0, -1.0]])[0]

    errors = np.abs([passage(32) - passage(256), passage(64) - passage(256)])
    assert 2.5 < errors[0] / errors[1] < 7.0


def test_timescales_converge_to_fourth_order_after_extrapolation(prinz):
    exact = Generator(PrinzPotential(), prinz.domain, 6400).timescales(1)[0]
    errors = [
        abs(extrapolated(lambda g: g.timescales(1)[0], replace(prinz, shape=n)) - exact) for n in (60, 120)
    ]
    assert errors[0] / errors[1] > 12.0


def test_hops_are_in_detailed_balance(brown):
    flow = brown.rate_matrix.multiply(brown.stationary_distribution[:, None]).tocsr()
    assert abs(flow - flow.T).max() < 1e-12 * abs(flow).max()
    np.testing.assert_allclose(brown.rate_matrix.sum(axis=1), 0.0, atol=1e-8)


def test_eigenfunctions_are_orthonormal_in_equilibrium(brown):
    functions = brown.eigenfunctions(4)
    overlap = (functions * brown.stationary_distribution) @ functions.T
    np.testing.assert_allclose(overlap, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(functions[0], 1.0, atol=1e-6)


def test_committor_back_is_one_minus_the_committor_forth(brown):
    a, b = (lambda x: x[1] > 1.2), (lambda x: x[1] < 0.2)
    np.testing.assert_allclose(brown.committor(a, b), 1.0 - brown.committor(b, a), atol=1e-10)
    forth, back = brown.rate(a, b), brown.rate(b, a)
    assert forth.forward == pytest.approx(back.backward, rel=1e-9)
    assert forth.flux == pytest.approx(back.flux, rel=1e-9)


def test_masks_give_the_answers_of_the_chain_itself(prinz):
    a, b = left(prinz.points), right(prinz.points)
    step = 1e-6
    matrix = np.eye(prinz.size) + step * prinz.rate_matrix.toarray()
    np.testing.assert_allclose(prinz.committor(a, b), chain.chain_committor(matrix, a, b), atol=1e-8)
    ours, theirs = prinz.mean_first_passage_time(b), chain.chain_mean_first_passage_time(matrix, b, lag=step)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_transition_matrix_has_the_spectrum_of_the_generator(prinz):
    timescales = chain.timescales(prinz.transition_matrix(0.05), 3, lag=0.05)
    np.testing.assert_allclose(timescales, prinz.timescales(3), rtol=1e-8)


def test_samples_are_stationary_and_relax_at_the_slowest_rate(prinz):
    """Means of 4000 trajectories, within four standard errors."""
    first = prinz.eigenfunctions(2)[1]
    frames = np.array(prinz.sample(4000, 5, lag=0.1, seed=3))
    values = first[prinz.at(frames.reshape(-1, 1)).reshape(4000, 5)]
    for lag in range(1, 5):
        products = values[:, 0] * values[:, lag]
        error = products.std() / np.sqrt(len(products))
        assert abs(products.mean() - np.exp(-0.1 * lag / prinz.timescales(1)[0])) < 4.0 * error
    assert np.all(np.abs(values.mean(axis=0)) < 4.0 / np.sqrt(4000))


def test_samples_start_where_asked_and_repeat_with_the_seed(brown):
    coarse = replace(brown, shape=(20, 20))
    a = coarse.sample(20, 3, lag=0.1, start=lambda x: x[1] > 1.2, seed=1)
    b = coarse.sample(20, 3, lag=0.1, start=lambda x: x[1] > 1.2, seed=1)
    assert len(a) == 20
    assert a[0].shape == (3, 2)
    assert all(x[0, 1] > 1.2 - coarse.grid.spacing[1] for x in a)
    np.testing.assert_array_equal(a, b)


def test_three_dimensions_relax_as_their_parts():
    potential = WithHarmonicDimensions(DoubleWell(2.0), dimensions=2, stiffness=4.0)
    generator = Generator(potential, ((-1.9, 1.9), (-2.0, 2.0), (-2.0, 2.0)), (24, 12, 12), ceiling=20.0)
    alone = Generator(DoubleWell(2.0), ((-1.9, 1.9),), 24, ceiling=20.0)
    assert generator.timescales(1) == pytest.approx(alone.timescales(1), rel=1e-3)


def test_cells_above_the_ceiling_are_left_out_without_consequence(brown):
    lower = replace(brown, ceiling=20.0)
    assert lower.size < brown.size
    np.testing.assert_allclose(lower.timescales(1), brown.timescales(1), rtol=1e-4)
    assert np.isnan(lower.grid.unfolded(lower.reduced_energy)).sum() == 1600 - lower.size


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (lambda: Generator(PrinzPotential(), ((-1.0, 1.0),), (10, 10)), "has 1; give one of both"),
        (lambda: Generator(DoubleWell(100.0), ((-1.5, 1.5),), 100), "into 2 parts; raise it"),
        (lambda: Generator(PrinzPotential(), ((-1.0, 1.0),), 10).at([[2.0]]), "1 of 1 points lie in no cell"),
        (lambda: Generator(PrinzPotential(), ((-1.0, 1.0),), 10).committor(left, left), "overlap or touch"),
        (
            lambda: Generator(PrinzPotential(), ((-1.0, 1.0),), 10).probability(lambda x: x[0] > 9),
            "finer than",
        ),
        (
            lambda: Generator(PrinzPotential(), ((-1.0, 1.0),), 10).probability(np.ones(3, bool)),
            "3 entries",
        ),
        (
            lambda: Generator(PrinzPotential(), ((-1.0, 1.0),), 5000).transition_matrix(1.0),
            "at most 4000 cells",
        ),
    ],
)
def test_mistakes_are_named(problem, message):
    with pytest.raises(ValueError, match=message):
        problem()
