"""Fits of coarse potentials: exact models come back, and ways that must agree do."""

from functools import partial

import numpy as np
import pytest

from thalweg.coarse_graining import (
    BeadFrames,
    BoltzmannInversion,
    BondedInteraction,
    BSplines,
    CoarseDynamics,
    ForceMatching,
    ForcePass,
    FrameShare,
    InternalCoordinate,
    IterativeBoltzmannInversion,
    PairInteraction,
    Powers,
    RelativeEntropy,
    denoised,
)
from thalweg.coarse_graining.fitting.iterative_inversion import virial_pressure
from thalweg.learned_potentials import Ridge
from thalweg.time_series import gathered
from thalweg.units import BAR

KT = 2.5
STIFFNESS, LENGTH = 20000.0, 0.15
BOND = BondedInteraction(InternalCoordinate("distance", [[0, 1]], Powers(LENGTH)), name="bond")


def bonds(count, noise=0.0, seed=0):
    """Frames of one harmonic bond ``STIFFNESS (r - LENGTH)^2`` at kT, with exact forces and noise on them."""
    rng = np.random.default_rng(seed)
    # p(r) ~ r^2 exp(-u / kT), by rejection from the Gaussian
    width = np.sqrt(KT / 2 / STIFFNESS)
    r = rng.normal(LENGTH, width, 4 * count)
    r = r[rng.random(len(r)) < (r / (LENGTH + 6 * width)) ** 2][:count, None]
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    pull = -2 * STIFFNESS * (r - LENGTH) * direction
    x = np.stack([-r * direction / 2, r * direction / 2], 1)
    # what other atoms do at fixed beads has no mean
    f = np.stack([-pull, pull], 1) + noise * rng.normal(size=x.shape)
    return BeadFrames(x, KT, f, masses=np.full(2, 15.0))


@pytest.mark.parametrize("route", ["forces", "entropy", "inversion"])
def test_three_routes_find_the_spring_of_an_ideal_gas_of_bonds(route):
    frames = bonds(4000, noise=300.0)
    if route == "forces":
        model = ForceMatching((BOND,)).fit(frames)
    elif route == "inversion":
        model = BoltzmannInversion((BOND,)).fit(frames)
    else:
        start = np.array([0.0, 0.7 * STIFFNESS])
        dynamics = CoarseDynamics(length=20.0, replicas=64, save_every=0.2)
        model = RelativeEntropy((BOND,), start=start, dynamics=dynamics).fit(frames)
        assert model.info["settled"]
    assert np.isfinite(model.errors).all()
    # the bins of an inverted histogram and the step of dynamics move it by a few per cent
    assert abs(model.coefficients[1] / STIFFNESS - 1) < 0.05 + 4 * model.errors[1] / STIFFNESS
    assert model.errors[1] < 0.1 * STIFFNESS


def test_matched_forces_of_shares_are_those_of_all_frames():
    frames = bonds(4000, noise=300.0)
    parts = [FrameShare(partial(frames.__getitem__, slice(250 * k, 250 * k + 250)), k) for k in range(16)]
    method = ForceMatching((BOND,), folds=8)
    ours, whole = gathered(ForcePass(method, 16), parts), method.fit(frames)
    np.testing.assert_allclose(ours.coefficients, whole.coefficients, rtol=1e-10)
    np.testing.assert_allclose(ours.errors, whole.errors, rtol=1e-8)


def test_errors_of_matched_forces_cover_what_is_true():
    misses = []
    for seed in range(20):
        model = ForceMatching((BOND,)).fit(bonds(300, noise=500.0, seed=seed))
        misses.append((model.coefficients[1] - STIFFNESS) / model.errors[1])
    assert 0.5 < np.sqrt(np.mean(np.square(misses))) < 1.6


def test_fits_of_two_halves_add_up_to_the_fit_of_the_whole():
    frames = bonds(400, noise=100.0)
    method = ForceMatching((BOND,), regularization=Ridge(1e-9), folds=4)
    first, beads = method.sums(frames[:200])
    second, _ = method.sums(frames[200:])
    halves = method.solve([a + b for a, b in zip(first, second)], beads)
    whole = method.fit(frames)
    parts = method.fit(frames[k : k + 100] for k in range(0, 400, 100))
    np.testing.assert_allclose(halves.coefficients, whole.coefficients, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(parts.coefficients, whole.coefficients, rtol=1e-9, atol=1e-6)


def test_a_prior_leaves_what_it_does_not_know():
    frames = bonds(500)
    prior = BOND.energy(np.array([0.0, 0.4 * STIFFNESS]), 2)
    model = ForceMatching((BOND,), prior=prior).fit(frames)
    assert abs(model.coefficients[1] - 0.6 * STIFFNESS) < 1e-3 * STIFFNESS


def test_weights_make_a_biased_sample_whole():
    x = bonds(3000, noise=100.0)
    r = np.linalg.norm(x.positions[:, 1] - x.positions[:, 0], axis=1)
    twice = BeadFrames(x.positions, KT, x.forces, weights=np.exp(-STIFFNESS * (r - LENGTH) ** 2 / KT))
    model = BoltzmannInversion((BOND,)).fit(twice)
    assert abs(model.coefficients[1] / (2 * STIFFNESS) - 1) < 0.15


def test_noise_makes_labels_less_noisy_and_a_bond_softer_by_what_theory_says():
    frames, sigma = bonds(2000, noise=3000.0), 0.004
    made = denoised(frames, sigma, copies=5)
    model = ForceMatching((BOND,)).fit(made)
    # along the bond two beads move: variances of r add, kT / 2k + 2 sigma^2
    soft = KT / 2 / (KT / 2 / STIFFNESS + 2 * sigma**2)
    assert abs(model.coefficients[1] / soft - 1) < 0.1
    bare = ForceMatching((BOND,)).fit(frames)
    assert model.errors[1] / model.coefficients[1] < 0.5 * bare.errors[1] / bare.coefficients[1]


def test_the_pair_potential_of_a_gas_comes_back_from_its_forces():
    rng = np.random.default_rng(0)
    box = np.eye(3) * 2.0
    splines = BSplines(0.2, 0.9, 7, True)
    pairs = PairInteraction(splines, 0.9, np.ones(40, int))
    exact = rng.normal(size=len(splines.names))
    x = rng.uniform(0, 2, (30, 40, 3))
    _, rows = pairs.rows(x, np.broadcast_to(box, (30, 3, 3)))
    f = rows @ exact + rng.normal(size=x.shape)
    frames = BeadFrames(x, KT, f, boxes=np.broadcast_to(box, (30, 3, 3)))
    model = ForceMatching((pairs,)).fit(frames)
    assert np.abs((model.coefficients - exact) / model.errors).max() < 5
    assert model.info["mean squared residual [(kJ/mol/nm)^2]"] == pytest.approx(1.0, rel=0.1)


def test_products_of_coordinates_are_not_inverted():
    product = BondedInteraction(*(2 * [InternalCoordinate("distance", [[0, 1]], Powers(0.15))]), name="two")
    with pytest.raises(ValueError, match="several coordinates"):
        BoltzmannInversion((product,)).fit(bonds(10))


def test_the_pressure_of_a_gas_of_pairs_is_that_of_its_virial():
    rng = np.random.default_rng(0)
    box = np.broadcast_to(np.eye(3) * 2.0, (50, 3, 3))
    frames = BeadFrames(rng.uniform(0, 2, (50, 30, 3)), KT, boxes=box)
    splines = BSplines(0.05, 0.9, 9, True)
    pairs = PairInteraction(splines, 0.9, np.ones(30, int))
    c = rng.normal(size=len(splines.names))
    r = np.linspace(0, 0.9, 4000)
    slope = c @ splines.design(r)[1]
    # an ideal gas in place of the liquid: P = rho kT - (2 pi / 3) rho (rho - 1 / V) int u' r^3 dr
    rho, volume = 30 / 8, 8.0
    exact = rho * KT - 2 * np.pi / 3 * rho * (rho - 1 / volume) * np.trapezoid(slope * r**3, r)
    assert virial_pressure(pairs, c, frames) * BAR == pytest.approx(exact, rel=0.1)


@pytest.mark.long
def test_iterative_inversion_finds_the_liquid_it_came_from():
    """A fluid of 125 beads that attract weakly: radial distribution and pressure are those of the reference."""
    splines = BSplines(0.25, 0.9, 14, True)
    pairs = PairInteraction(splines, 0.9, np.ones(125, int))
    r = np.linspace(0.25, 0.9, 200)
    wanted = 4 * 1.0 * ((0.34 / r) ** 12 - (0.34 / r) ** 6)
    exact = np.linalg.lstsq(splines.design(r)[0].T, np.minimum(wanted, 40.0), rcond=None)[0]
    grid = (np.stack(np.meshgrid(*3 * [np.arange(5)], indexing="ij"), -1).reshape(-1, 3) + 0.5) * 0.42
    box = np.eye(3)[None] * 2.1
    start = BeadFrames(grid[None], KT, boxes=box, kinds=np.ones(125, int), masses=np.full(125, 40.0))
    dynamics = CoarseDynamics(length=60.0, dt=0.005, friction=2.0, save_every=0.3)
    reference = dynamics.run(pairs.energy(exact, 125), start)
    bar = virial_pressure(pairs, exact, reference)
    model = IterativeBoltzmannInversion(pairs, dynamics, rounds=8, pressure=bar, bins=45).fit(reference)
    assert model.info["difference of g"] < 0.05
    assert abs(model.info["pressure [bar]"] - bar) < 50
