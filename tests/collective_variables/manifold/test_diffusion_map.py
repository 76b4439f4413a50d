"""Diffusion maps: spectra of a circle, a sphere and of Ornstein-Uhlenbeck diffusion, with weights, anywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.bases.basis import Basis, Functions
from thalweg.collective_variables.linear.vac import VAC
from thalweg.collective_variables.manifold.bandwidth import DensityReach, FixedReach
from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap, DiffusionMapModel
from thalweg.collective_variables.manifold.landmarks import DeltaNet
from thalweg.collective_variables.manifold.mahalanobis import Mahalanobis
from thalweg.time_series.trajectories import Trajectories


def circle(frames, seed=0):
    turn = np.random.default_rng(seed).uniform(0, 2 * np.pi, frames)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


@pytest.fixture(scope="module")
def gaussian():
    """Frames of variance two, weighted to variance one: the Ornstein-Uhlenbeck process has rates 1, 2, 3."""
    x = np.sqrt(2) * np.random.default_rng(1).standard_normal((3000, 1))
    return Trajectories([x], weights=[np.exp(-(x[:, 0] ** 2) / 4)])


@pytest.fixture(scope="module")
def hermite(gaussian):
    return DiffusionMap(dim=3).fit(gaussian)


def test_waves_around_a_circle_relax_at_the_squares_of_their_numbers():
    model = DiffusionMap(dim=4).fit(circle(2000))
    np.testing.assert_allclose(model.rates, [1, 1, 4, 4], rtol=0.1)
    assert model.dimension == 1.0


@pytest.mark.long
def test_harmonics_on_a_sphere_relax_at_two_and_six():
    x = np.random.default_rng(0).standard_normal((3000, 3))
    model = DiffusionMap(dim=8).fit(x / np.linalg.norm(x, axis=1)[:, None])
    np.testing.assert_allclose(model.rates, [2] * 3 + [6] * 5, rtol=0.12)
    assert model.dimension == 2.0


def test_weighted_frames_have_the_hermite_functions_of_what_they_are_weighted_to(gaussian, hermite):
    np.testing.assert_allclose(hermite.rates, [1, 2, 3], rtol=0.12)
    x = hermite.points[:, 0]
    exact = np.stack([x, (x**2 - 1) / 2**0.5, (x**3 - 3 * x) / 6**0.5])
    overlaps = np.abs(exact @ (hermite.weights[:, None] * hermite.functions))
    # the third lives far out, where few frames are
    assert (np.diag(overlaps) > [0.99, 0.97, 0.8]).all()


def test_populations_of_the_walk_are_the_weights(gaussian, hermite):
    weights = gaussian.weights[0] / gaussian.weights[0].sum()
    np.testing.assert_allclose(hermite.weights, weights[hermite.frames], rtol=0.02, atol=1e-6)


def test_rates_are_in_physical_time_where_the_diffusion_coefficient_is_given(gaussian, hermite):
    model = DiffusionMap(dim=3, diffusion=0.25).fit(gaussian)
    np.testing.assert_allclose(model.rates, 0.25 * hermite.rates, rtol=1e-6)
    np.testing.assert_allclose(model.timescales * model.rates, 1)


def test_a_map_in_other_units_has_rates_in_those(gaussian, hermite):
    scaled = Trajectories([10 * gaussian[0]], weights=gaussian.weights)
    np.testing.assert_allclose(DiffusionMap(dim=3).fit(scaled).rates, hermite.rates / 100, rtol=1e-3)


def test_functions_at_the_frames_of_the_fit_are_those_of_the_fit(hermite):
    inside = np.abs(hermite.points[:, 0]) < 3
    values = hermite(hermite.points[inside])
    np.testing.assert_allclose(values, hermite.coordinates[inside], rtol=1e-3, atol=2e-3)
    with jax.enable_x64(True):
        dense = np.asarray(hermite(jnp.asarray(hermite.points[:200])))
    np.testing.assert_allclose(dense, hermite(hermite.points[:200]), atol=1e-9)


@pytest.mark.parametrize(
    "reach", [None, FixedReach(0.15), DensityReach()], ids=["neighbors", "fixed", "density"]
)
def test_gradients_are_those_of_finite_differences(gaussian, hermite, reach):
    model = hermite if reach is None else DiffusionMap(dim=2, reach=reach).fit(gaussian[0][:300])
    x, step = np.array([[0.3123], [-1.2789]]), 1e-6
    with jax.enable_x64(True):
        gradient = jax.vmap(jax.jacobian(lambda frame: model(frame[None])[0]))(jnp.asarray(x))
    difference = (model(x + step) - model(x - step)) / (2 * step)
    np.testing.assert_allclose(np.asarray(gradient)[:, :, 0], difference, rtol=1e-5, atol=1e-5)


def test_a_frame_out_of_reach_has_the_coordinates_of_the_nearest(hermite):
    farthest = hermite.points[:, 0].argmax()
    np.testing.assert_allclose(hermite(np.array([[50.0]]))[0], hermite.coordinates[farthest])


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_a_fixed_reach_has_the_same_spectrum(alpha):
    model = DiffusionMap(dim=2, reach=FixedReach(), alpha=alpha).fit(circle(800))
    np.testing.assert_allclose(model.eigenvalues, [1, 1], rtol=0.2)


def test_a_reach_by_the_density_has_the_same_spectrum():
    x = np.random.default_rng(2).standard_normal((800, 1))
    np.testing.assert_allclose(
        DiffusionMap(dim=2, reach=DensityReach()).fit(x).eigenvalues, [1, 2], rtol=0.25
    )


@pytest.mark.long
def test_geometry_alone_remains_where_the_density_is_divided_out():
    turn = np.random.default_rng(3).vonmises(0, 0.7, 1500)
    model = DiffusionMap(dim=2, reach=FixedReach(0.4), alpha=1.0).fit(
        np.stack([np.cos(turn), np.sin(turn)], axis=1)
    )
    np.testing.assert_allclose(model.rates, [1, 1], rtol=0.15)


def test_diffusion_that_depends_on_the_place_has_its_own_spectrum():
    # y = x + x^3 / 10 of the Ornstein-Uhlenbeck process x: D(y) = (dy/dx)^2, the same rates 1, 2
    x = np.random.default_rng(4).standard_normal((800, 1))
    table = np.linspace(-6, 6, 4001)

    def diffusion(y):
        xp = y.__array_namespace__()
        # interp is no function of the array standard, but both libraries have it
        place = xp.interp(y[:, 0], xp.asarray(table + table**3 / 10), xp.asarray(table))
        return ((1 + 0.3 * place**2) ** 2)[:, None, None]

    model = DiffusionMap(dim=2, metric=Mahalanobis(diffusion), dimension=1.0).fit(x + x**3 / 10)
    plain = DiffusionMap(dim=2, dimension=1.0).fit(x)
    np.testing.assert_allclose(model.eigenvalues, plain.eigenvalues, rtol=0.1)
    assert model.rates[0] == pytest.approx(1, rel=0.15)


@pytest.mark.long
def test_a_map_is_a_basis_of_other_methods():
    assert isinstance(DiffusionMap(dim=5), Basis)
    rng = np.random.default_rng(5)
    x = np.zeros((1500, 1))
    for t in range(1, len(x)):
        x[t] = 0.95 * x[t - 1] + np.sqrt(1 - 0.95**2) * rng.standard_normal()
    functions = DiffusionMap(dim=5).fit(Trajectories([x]))
    assert isinstance(functions, Functions)
    model = VAC(lagtime=1, dim=1, basis=DiffusionMap(dim=5)).fit(x)
    assert model.eigenvalues[0] == pytest.approx(0.95, abs=0.03)


def test_diffusion_time_shortens_coordinates_by_their_decay(gaussian, hermite):
    later = DiffusionMap(dim=3, time=0.5).fit(gaussian)
    np.testing.assert_allclose(
        later.coordinates, hermite.coordinates * np.exp(-0.5 * hermite.rates), atol=1e-6
    )


def test_more_frames_than_wanted_are_represented_by_landmarks(gaussian, hermite):
    model = DiffusionMap(dim=2, max_frames=2000, landmarks=DeltaNet(1000)).fit(gaussian)
    assert len(model.points) <= 1000
    assert "3000 frames are represented by" in model.notes[0]
    np.testing.assert_allclose(model.rates, [1, 2], rtol=0.15)
    assert model.transform(gaussian)[0].shape == (3000, 2)


def test_a_map_is_saved_and_loaded(hermite, tmp_path):
    again = DiffusionMapModel.load(hermite.save(tmp_path / "map"))
    x = np.array([[0.5], [-0.7]])
    np.testing.assert_array_equal(again(x), hermite(x))


@pytest.mark.long
def test_errors_of_rates_cover_the_exact_ones():
    deviations = []
    for seed in range(6):
        x = np.random.default_rng(seed).standard_normal((1500, 1))
        estimate = DiffusionMap(dim=3).fit(x).rate_errors(samples=20)
        deviations.append((estimate.value - [1, 2, 3]) / estimate.error)
    assert (np.abs(deviations) < 2).mean() > 0.85
    assert np.std(deviations) > 0.3


def test_duplicates_are_joined_and_told():
    x = circle(800)
    doubled = DiffusionMap(dim=2, neighbors=32).fit(np.concatenate([x, x[:400]]))
    assert "400 of 1200 frames stand exactly where another one does" in doubled.notes[0]
    weights = np.where(np.arange(800) < 400, 2.0, 1.0)
    weighted = DiffusionMap(dim=2, neighbors=32).fit(Trajectories([x], weights=[weights]))
    np.testing.assert_allclose(doubled.rates, weighted.rates, rtol=1e-3)


def test_a_small_part_that_hangs_apart_is_left_out_and_told():
    model = DiffusionMap(dim=2, neighbors=50).fit(np.concatenate([circle(800), circle(60) + 30.0]))
    assert "2 parts of 800, 60 frames" in model.notes[0]
    assert "7 % of the weight" in model.notes[0]
    np.testing.assert_allclose(model.rates, [1, 1], rtol=0.2)


def test_clouds_of_which_none_has_half_of_the_weight_are_refused():
    x = np.concatenate([circle(300), circle(290) + 30.0, circle(280) - 30.0])
    with pytest.raises(ValueError, match="3 parts of 300, 290, 280 frames"):
        DiffusionMap(dim=2, neighbors=32).fit(x)


def test_a_radius_that_isolates_points_is_told_with_numbers():
    with pytest.raises(ValueError, match=r"parts of .* frames between which no neighbors lie"):
        DiffusionMap(dim=1, reach=FixedReach(1e-6)).fit(circle(500))


def test_weights_that_leave_few_frames_are_refused():
    weights = np.full(500, 1e-6)
    weights[:3] = 1.0
    with pytest.raises(ValueError, match=r"3\.0 effective of 500 frames"):
        DiffusionMap().fit(Trajectories([circle(500)], weights=[weights]))


def test_too_few_frames_for_many_dimensions_are_told():
    model = DiffusionMap(dim=2, neighbors=64).fit(np.random.default_rng(0).standard_normal((300, 10)))
    assert any("300 frames are too few" in note for note in model.notes)
    with pytest.raises(ValueError, match="20 different frames make no map"):
        DiffusionMap().fit(circle(20))


def test_raw_angles_are_told():
    phi = np.mod(np.cumsum(np.random.default_rng(0).normal(0, 0.5, (3000, 1)), axis=0), 2 * np.pi)
    with pytest.warns(UserWarning, match="look like raw angles"):
        DiffusionMap(dim=1, neighbors=32).fit(phi)
