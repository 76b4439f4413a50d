"""The adaptive biasing force: forces become the potential they are slopes of, walkers at rest between limits, exact
free energies from what was sampled under a bias that changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.geometry.variables import Coordinates
from thalweg.sampling.bias.adaptive_force import AdaptiveBiasingForce
from thalweg.sampling.bias.method import Limits

KT = 2.5
LINE, PLANE = Coordinates([0], dims=1), Coordinates([0], dims=2)


class Angles:
    """Two coordinates, the second with a period."""

    names, units, periods = ("x", "angle"), ("", "rad"), (None, 2 * np.pi)

    def __call__(self, positions, box=None):
        return positions[0]


def made(variable, lower, upper, widths, **settings):
    limits = Limits(*(np.array(x, float) for x in (lower, upper, widths)))
    return AdaptiveBiasingForce(stride=0.1, **settings).on(variable, limits, KT, 0.1)


def test_a_potential_is_found_from_its_slopes_on_bounded_and_periodic_axes():
    with jax.enable_x64(True):
        bias = made(Angles(), [-1.0, -np.pi], [1.0, np.pi], [0.05, 0.1])
        x, angle = (np.asarray(bias.grid.nodes(k))[bias.grid.interior[k]] for k in range(2))
        exact = np.sin(2 * x)[:, None] * (2 + np.cos(angle))
        slopes = np.stack(
            [2 * np.cos(2 * x)[:, None] * (2 + np.cos(angle)), -np.sin(2 * x)[:, None] * np.sin(angle)]
        )
        found = np.asarray(bias._integrated(jnp.asarray(slopes)))
    np.testing.assert_allclose(found - found.mean(), exact - exact.mean(), atol=2e-3)


def test_what_replicas_feel_of_a_linear_potential_is_linear():
    """Of V = a lambda the mean over the spring is W = a s - a^2 sigma^2 / 2 kT, away from the limits."""
    with jax.enable_x64(True):
        bias = made(LINE, [-2.0], [2.0], [0.1])
        nodes = np.asarray(bias.grid.nodes(0))
        felt = np.asarray(bias._felt(4.0 * jnp.asarray(nodes[bias.grid.interior])))
    middle = np.abs(nodes) < 1
    np.testing.assert_allclose(felt[middle], (4.0 * nodes - 16 * 0.01 / (2 * KT))[middle], atol=1e-6)


def drawn(bias, free, nodes, updates=600, walkers=8):
    """The state after draws from the exact biased density on ``nodes`` (values, points) at each update."""

    def deposit(state, key):
        energy = free + bias.energy(state, nodes)
        where = jax.random.categorical(key, -energy / KT, shape=(walkers,))
        return bias.update(state, nodes[:, where]), None

    keys = jax.random.split(jax.random.key(0), updates)
    return jax.jit(lambda state: jax.lax.scan(deposit, state, keys)[0])(bias.init())


def test_the_free_energy_of_a_double_well_is_found_within_its_errors_and_the_bias_makes_it_flat():
    bias = made(LINE, [-2.0], [2.0], [0.15], full_samples=50)
    x = jnp.linspace(-2.0, 2.0, 801)
    free = 12.0 * (x**2 - 1) ** 2 + 2.0 * x
    state = drawn(bias, free, x[None])
    model = bias.free_energy(state)
    (at,) = model.centers
    exact = 12.0 * (at**2 - 1) ** 2 + 2.0 * at
    low = np.isfinite(model.free_energy) & (exact < 5 * KT)
    assert np.abs(at[low]).max() > 1.3
    assert low.sum() > 40
    apart = (model.free_energy - exact)[low]
    apart -= apart.mean()
    # errors along the line are correlated: the mean square is that of few independent numbers
    assert np.sqrt((apart**2).mean()) < 2.5 * np.sqrt((model.error[low] ** 2).mean())
    assert np.sqrt((apart**2).mean()) < 0.15 * KT
    flat = np.asarray(free + bias.potential(state, x[None]))[np.abs(np.asarray(x)) < 1.2]
    assert np.std(flat) < 0.5 * KT < np.std(np.asarray(free)[np.abs(np.asarray(x)) < 1.2])


@pytest.mark.long
def test_in_a_plane_with_an_angle_the_free_energy_is_found_within_its_errors():
    bias = made(Angles(), [-1.5, -np.pi], [1.5, np.pi], [0.2, 0.4], full_samples=50)
    x, angle = jnp.meshgrid(jnp.linspace(-1.5, 1.5, 61), jnp.linspace(-np.pi, np.pi, 65)[:-1], indexing="ij")
    nodes = jnp.stack([x.ravel(), angle.ravel()])
    free = 8 * nodes[0] ** 2 + 5 * jnp.cos(nodes[1]) + 3 * nodes[0] * jnp.sin(nodes[1])
    model = bias.free_energy(drawn(bias, free, nodes, updates=3000))
    s, a = np.meshgrid(*model.centers, indexing="ij")
    exact = 8 * s**2 + 5 * np.cos(a) + 3 * s * np.sin(a)
    low = np.isfinite(model.free_energy) & (exact < exact.min() + 5 * KT)
    apart = (model.free_energy - exact)[low]
    apart -= apart.mean()
    assert np.sqrt((apart**2).mean()) < 2.0 * np.sqrt((model.error[low] ** 2).mean())
    assert np.sqrt((apart**2).mean()) < 0.15 * KT


def test_a_grid_that_was_left_behind_is_told():
    bias = made(PLANE, [-1.0, -1.0], [1.0, 1.0], [0.2, 0.2])
    places = jnp.array([[0.0, 0.1, 3.0], [0.0, 0.2, 0.0]])
    state = bias.update(bias.init(), places)
    assert (int(state.deposits), int(state.beyond)) == (3, 1)
    assert "1 of 3 deposits were beyond the limits" in bias.doubts(state)[0]
    assert not bias.doubts(bias.update(bias.init(), places[:, :2]))


def test_too_large_a_grid_is_refused_with_its_size():
    with pytest.raises(ValueError, match="400 x 400 x 400"):
        made(Coordinates([0]), [-1.0] * 3, [1.0] * 3, [0.01] * 3)


def test_without_deposits_there_is_no_free_energy():
    bias = made(LINE, [-1.0], [1.0], [0.1])
    with pytest.raises(ValueError, match="0 deposits leave 0 bins"):
        bias.free_energy(bias.init())
