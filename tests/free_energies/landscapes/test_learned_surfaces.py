"""Surfaces learned from frames and from forces, where the density is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import vonmises

from thalweg.free_energies.landscapes.density_classifier import DensityClassifier
from thalweg.free_energies.landscapes.landscape import NetworkLandscape
from thalweg.free_energies.landscapes.mean_force_integration import MeanForceIntegration, gridded_forces
from thalweg.free_energies.landscapes.mean_force_network import MeanForceNetwork
from thalweg.free_energies.landscapes.spline_flow import SplineFlow, drawn_points

TURN = 2 * np.pi


def chain(count: int, seed: int, angles: int = 3) -> np.ndarray:
    """Angles of which each is drawn about the one before: F = -2 kT sum_k cos(s_k - s_(k-1)), flat in none."""
    steps = np.random.default_rng(seed).vonmises(0.0, 2.0, size=(count, angles))
    return (np.cumsum(steps, axis=1) + np.pi) % TURN - np.pi


@pytest.mark.long
@pytest.mark.parametrize(("method", "short"), [(SplineFlow, 0.08), (DensityClassifier, 0.03)])
def test_three_coupled_angles_have_their_exact_density(method, short):
    """The entropy is three times that of one step; the density of the first angle is von Mises's.

    A flow has to build differences of angles from couplings of half of them, and stays a twentieth of a nat short.
    """
    surface = method(kT=2.5, periods=(TURN,) * 3, members=2, block=1).fit([chain(20_000, 0)])
    exact = -3 * vonmises(2.0).entropy()
    gained = surface.log_density(chain(20_000, 1)).mean()
    assert exact - short < gained < exact + 0.03
    assert surface.log_likelihoods == pytest.approx(exact, abs=0.1)
    along = surface.projected((0,), others=16)
    known = -2.5 * vonmises(2.0).logpdf(along.centers[0])
    np.testing.assert_allclose(along.free_energy, known - known.min(), atol=1.0)


@pytest.mark.long
def test_points_drawn_from_a_flow_are_distributed_as_its_frames():
    """One angle and one length that depends on it; some of the broad tails that the flow begins with are left."""
    generator = np.random.default_rng(0)
    angle = generator.vonmises(0.0, 1.0, 20_000)
    length = 0.3 + 0.05 * np.cos(angle) + 0.02 * generator.standard_normal(20_000)
    frames = np.stack([angle, length], axis=1)
    flow = SplineFlow(kT=2.5, periods=(TURN, None), members=2, block=1).fit([frames])
    drawn = drawn_points(flow.members[0], 20_000, seed=1)
    np.testing.assert_allclose(drawn[:, 1].mean(), length.mean(), atol=2e-3)
    np.testing.assert_allclose(drawn[:, 1].std(), length.std(), rtol=0.08)
    together, known = (np.corrcoef(np.cos(each[:, 0]), each[:, 1])[0, 1] for each in (drawn, frames))
    assert together == pytest.approx(known, abs=0.03)


def test_a_surface_flattens_itself_as_a_bias_and_takes_either_kind_of_array():
    """Its gradient inside a compiled function is that of the energy; NumPy and JAX give one answer."""
    import jax
    import jax.numpy as jnp

    surface = NetworkLandscape(
        tuple(lambda points, k=k: 2.0 * jnp.cos(points).sum(axis=1) + 0.1 * k for k in range(2)),
        *(2.5, (TURN,) * 3, np.full(3, -np.pi), np.full(3, np.pi), 0.3),
        *(np.zeros(2), np.full(2, np.nan)),
    )
    points = chain(50, 0)
    energy = np.asarray(surface.energy(points))
    np.testing.assert_allclose(energy, np.asarray(surface.energy(jnp.asarray(points))), atol=1e-6)
    biased = jax.jit(jax.grad(lambda values: -surface.energy(values.T).sum()))(jnp.asarray(points.T))
    np.testing.assert_allclose(biased, 2.0 * np.sin(points.T), atol=1e-5)


def test_splines_are_undone_to_rounding():
    """What a spline maps, its inverse maps back, on the line and on the circle."""
    import jax

    from thalweg.free_energies.landscapes.spline_flow import KNOTS, _knots, _splined, _unsplined

    with jax.enable_x64(True):
        raw = jax.random.normal(jax.random.key(0), (50, 2, 3 * KNOTS), "float64")
        u = jax.random.uniform(jax.random.key(1), (50, 2), "float64")
        spline = _knots(raw, np.array([True, False]))
        value, slope = _splined(u, spline)
        np.testing.assert_allclose(_unsplined(value, spline), u, atol=1e-10)
        ahead, _ = _splined(u + 1e-6, spline)
        np.testing.assert_allclose((ahead - value) / 1e-6, np.exp(slope), rtol=1e-3)


def test_forces_around_a_torus_integrate_to_their_energy():
    """F = -cos x - 0.5 cos(x - y), with noise that the claimed error covers."""
    ticks = (np.arange(40) + 0.5) * TURN / 40
    x, y = np.meshgrid(ticks, ticks, indexing="ij")
    exact = -np.cos(x) - 0.5 * np.cos(x - y)
    forces = -np.stack([np.sin(x) + 0.5 * np.sin(x - y), -0.5 * np.sin(x - y)], axis=-1)
    noisy = forces + 0.1 * np.random.default_rng(0).standard_normal(forces.shape)
    method = MeanForceIntegration(lower=(0.0, 0.0), upper=(TURN, TURN), periods=(TURN, TURN))
    model = method.fit(noisy, np.full(forces.shape, 0.1))
    away = (model.free_energy - model.free_energy.mean()) - (exact - exact.mean())
    assert np.sqrt((away**2).mean()) < 0.03
    assert 0.7 < np.sqrt((away**2).mean()) / np.sqrt((model.error**2).mean()) < 1.4


def test_cells_without_forces_have_no_energy_and_gaps_are_refused():
    forces = np.zeros((10, 1))
    method = MeanForceIntegration(lower=(0.0,), upper=(1.0,), periods=(None,))
    ends = np.where(np.arange(10)[:, None] < 8, forces, np.nan)
    assert np.isinf(method.fit(ends, np.ones((10, 1))).free_energy).sum() == 2
    gap = np.where(np.arange(10)[:, None] == 4, np.nan, forces)
    with pytest.raises(ValueError, match="fall into 2 parts"):
        method.fit(gap, np.ones((10, 1)))


def test_mean_forces_of_frames_are_gridded_with_their_errors():
    generator = np.random.default_rng(0)
    s = generator.uniform(0, 1, (20_000, 1))
    mean, error = gridded_forces([s], [3 * s + generator.standard_normal(s.shape)], (0.0,), (1.0,), (5,))
    np.testing.assert_allclose(mean[:, 0], 3 * (np.arange(5) + 0.5) / 5, atol=5 * error.max())
    np.testing.assert_allclose(error, np.sqrt(1 + 9 * 0.2**2 / 12) / np.sqrt(4000), rtol=0.1)


@pytest.mark.long
def test_a_network_of_mean_forces_knows_the_energy_in_four_angles():
    """Forces of the chain with noise of one kJ/mol per radian: the energy to a tenth of that."""
    points = np.random.default_rng(0).uniform(-np.pi, np.pi, (20_000, 4))
    steps = np.diff(points, axis=1, prepend=0.0)
    pull = -2.0 * np.sin(steps)
    forces = pull - np.concatenate([pull[:, 1:], np.zeros((len(pull), 1))], axis=1)
    noisy = forces + np.random.default_rng(1).standard_normal(forces.shape)
    surface = MeanForceNetwork(kT=2.5, periods=(TURN,) * 4, members=2, block=1, epochs=60).fit(
        [points], [noisy]
    )
    energy = np.asarray(surface.energy(points[:2000].astype(np.float32)))
    exact = -2.0 * np.cos(steps[:2000]).sum(axis=1)
    away = (energy - energy.mean()) - (exact - exact.mean())
    assert np.sqrt((away**2).mean()) < 0.1 * exact.std()
    assert surface.force_errors == pytest.approx(1.0, abs=0.15)


def test_bad_input_is_told():
    frames = chain(2000, 0, 2)
    two = {"kT": 2.5, "periods": (TURN, TURN)}
    with pytest.raises(ValueError, match=r"frames of shape \(2000, 2\) for 3 periods"):
        SplineFlow(kT=2.5, periods=(TURN,) * 3).fit([frames])
    with pytest.raises(ValueError, match="more than its period"):
        SplineFlow(**two).fit([np.degrees(frames)])
    with pytest.raises(ValueError, match="variable 1 is 0 in all frames"):
        SplineFlow(**two).fit([frames * [1, 0] + 0.0])
    with pytest.raises(ValueError, match="effective of 2000 frames"):
        DensityClassifier(**two).fit([frames], [np.linspace(0, 4000, 2000)])
    with pytest.raises(ValueError, match="independent blocks"):
        SplineFlow(**two).fit([np.linspace(-3, 3, 2000)[:, None] * [1, 1]])
    with pytest.raises(ValueError, match="kJ/mol per unit"):
        MeanForceNetwork(**two).fit([frames], [np.zeros_like(frames)])
