"""What only the native engine promises: bits that do not depend on chunks, few compilations, fresh lists."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics import native_engine
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.loop import advance
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.potentials.energy import Energy
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.systems.state import State, thermal_state
from thalweg.testsystems.wells import DoubleWell

KT = 1.0


def start(atoms=1, dims=1, replicas=16):
    x = 0.5 * jax.random.normal(jax.random.key(5), (atoms, dims, replicas))
    return thermal_state(x, np.ones(atoms), KT, jax.random.key(0))


def engine():
    return NativeEngine.for_potential(DoubleWell(), np.ones(1), Langevin(KT, 0.05))


def assert_same_run(one, other):
    for name in ("positions", "energy", "values", "bias_energy", "valid"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.state.positions, other.state.positions)
    np.testing.assert_array_equal(one.state.momenta, other.state.momenta)
    np.testing.assert_array_equal(*(jax.random.key_data(run.state.key) for run in (one, other)))
    assert int(one.state.step) == int(other.state.step)


@pytest.mark.parametrize("seconds", [1e-9, 1e9])
def test_results_do_not_depend_on_how_often_the_shell_looks_in(monkeypatch, seconds):
    usual = engine().run(start(), 600, save_every=30)
    monkeypatch.setattr(native_engine, "CHUNK_SECONDS", seconds)
    assert_same_run(engine().run(start(), 600, save_every=30), usual)


def test_more_frames_than_fit_a_chunk_are_all_there(monkeypatch):
    usual = engine().run(start(), 900, save_every=3)
    monkeypatch.setattr(native_engine, "CHUNK_BYTES", 64 * 8)
    assert_same_run(engine().run(start(), 900, save_every=3), usual)


def test_saving_less_often_gives_the_same_trajectory():
    often, seldom = (engine().run(start(), 600, save_every=n) for n in (20, 60))
    np.testing.assert_array_equal(often.positions[:, 2::3], seldom.positions)


def test_replicas_do_not_know_each_other():
    state = start()
    alone = State(state.positions[..., :8], state.momenta[..., :8], state.key, state.step)
    engine_ = NativeEngine.for_potential(DoubleWell(), np.ones(1), VelocityVerlet(0.01))
    both, half = engine_.run(state, 50, save_every=50), engine_.run(alone, 50, save_every=50)
    np.testing.assert_allclose(both.positions[:8], half.positions, rtol=1e-5)


def test_a_new_temperature_time_step_length_or_bias_of_the_same_shape_compiles_nothing():
    class Slow(eqx.Module):
        layer: eqx.nn.MLP
        names = ("s",)
        units = ("",)
        periods = (None,)

        def __call__(self, positions, box=None):
            return jax.vmap(self.layer, 1, 1)(positions[0])

    def run(kT, steps, seed, center):
        bias = HarmonicRestraint(Slow(eqx.nn.MLP(1, 1, 8, 1, key=jax.random.key(seed))), [center], [3.0])
        other = NativeEngine.for_potential(DoubleWell(), np.ones(1), Langevin(kT, 0.01 * kT))
        return other.run(start(), steps, save_every=steps // 10, bias=bias)

    first = run(1.0, 100, 0, 0.2)
    compiled = advance._cached._cache_size()
    second = run(1.5, 550, 1, -0.3)
    assert advance._cached._cache_size() == compiled
    assert np.abs(first.values[:, 0] - second.values[:, 0]).min() > 0


class Spring(Energy):
    def __call__(self, positions, box=None):
        return 0.5 * (positions**2).sum((0, 1))


def test_the_first_step_begins_with_the_force_of_where_it_starts():
    dt, state = 0.1, start()
    x, p = (np.asarray(array[0, 0], float) for array in (state.positions, state.momenta))
    one = NativeEngine.for_potential(Spring(), np.ones(1), VelocityVerlet(dt)).run(state, 1, save_every=1)
    np.testing.assert_allclose(one.positions[:, 0, 0, 0], x + dt * (p - dt / 2 * x), rtol=1e-5)
    assert int(one.state.step) == int(state.step) + 1


def test_the_start_is_told_where_no_force_is_found_there():
    class Nowhere(Energy):
        def __call__(self, positions, box=None):
            return (
                jnp.sqrt(positions[1, 0] - positions[1, 0]) * positions[1, 0]
            )  # the slope of a root at zero

    state = start(atoms=2, replicas=2)
    run = NativeEngine.for_potential(Nowhere(), np.ones(2), Langevin(KT, 0.01)).run(state, 20, save_every=10)
    assert run.valid.tolist() == [0, 0]
    assert "broke after step 0" in run.diverged[0]
    assert "atom 1" in run.diverged[0]
    np.testing.assert_array_equal(run.state.positions, state.positions)


class Listed(Energy):
    """A spring that is right only within ``skin`` of where its list was made, as a neighbour list is."""

    made_at: jax.Array
    skin: float = eqx.field(static=True)

    def __call__(self, positions, box=None):
        near = (jnp.abs(positions - self.made_at) <= self.skin).all((0, 1))
        return jnp.where(near, 0.5 * (positions**2).sum((0, 1)), jnp.nan)

    def refreshed(self, positions, box=None):
        return Listed(jnp.asarray(positions), self.skin)

    def stale(self, positions, box=None):
        return (jnp.abs(positions - self.made_at) > 0.5 * self.skin).any()


def test_neighbour_lists_are_renewed_before_they_fail_and_no_step_is_lost():
    listed = Listed(jnp.full((1, 1, 16), 1e3), 0.5)
    plain = Listed(jnp.zeros((1, 1, 16)), 1e6)
    integrator = Langevin(KT, 0.05)
    seen = []
    often = NativeEngine.for_potential(listed, np.ones(1), integrator).run(
        start(), 600, save_every=20, observers=[lambda done, total, chunk: seen.append(done)]
    )
    once = NativeEngine.for_potential(plain, np.ones(1), integrator).run(start(), 600, save_every=20)
    assert often.diverged == {}
    assert len(seen) > 10
    np.testing.assert_allclose(often.positions, once.positions, atol=1e-4)


def test_a_list_that_cannot_be_fresh_is_an_error_not_an_endless_loop():
    never = Listed(jnp.zeros((1, 1, 16)), -1.0)
    with pytest.raises(RuntimeError, match="wider skin"):
        NativeEngine.for_potential(never, np.ones(1), Langevin(KT, 0.05)).run(start(), 10, save_every=10)
