"""Replicas that change places: every rung keeps its own ensemble, and what was rare becomes common."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from scipy.stats import norm

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.free_energies.difference import free_energy_difference
from thalweg.free_energies.reweighting import MBAR
from thalweg.geometry.variables import Coordinates
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.system import system_from_openmm
from thalweg.machine.arrays import stored_arrays
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.campaign import drive
from thalweg.sampling.exchange.ladder import Ladder
from thalweg.sampling.exchange.mixing import LadderMixing, second_eigenvalue
from thalweg.sampling.exchange.scaled_bias import ScaledBias
from thalweg.sampling.exchange.temperatures import EnergyQuantiles
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.climb import placed_ladder
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.systems.state import thermal_state
from thalweg.systems.topology import Topology
from thalweg.testsystems.wells import DoubleWell, HarmonicWell
from thalweg.units import BOLTZMANN


def particles(replicas, place=0.0, seed=0, kT=1.0):
    start = jnp.full((1, 1, replicas), place)
    return thermal_state(start, np.ones(1), kT, jax.random.key(seed))


def engine(potential, dt=0.2, kT=1.0):
    return NativeEngine.for_potential(potential, np.ones(1), Langevin(kT=kT, dt=dt))


def spread(rates, tried):
    """Standard error of a mean of so many numbers in [0, 1]; attempts a few relaxation times apart."""
    return 3 * 0.5 / np.sqrt(tried) + 0 * rates


@pytest.fixture(scope="module")
def oscillators():
    """48 ladders of three temperatures of a harmonic oscillator, of which BAOAB has the exact configurations."""
    ladder = Ladder([1.0, 2.0, 4.0], stride=20, copies=48)
    return engine(HarmonicWell()).run(particles(3 * 48), 8000, save_every=20, bias=ladder)


def test_neighbors_change_places_as_often_as_their_ensembles_overlap(oscillators):
    # 2 P(U_cold > U_hot) of two squares of normal numbers
    exact = 4 / np.pi * np.arctan(np.sqrt(0.5))
    state = oscillators.bias_state
    found = np.asarray(state.accepted / state.tried)
    np.testing.assert_allclose(found, exact, atol=spread(found, np.asarray(state.tried)).max())
    assert exact < 0.8


def test_each_rung_keeps_its_own_temperature_in_positions_and_momenta(oscillators):
    for rung, kT in enumerate((1.0, 2.0, 4.0)):
        energies = oscillators.energy[oscillators.rungs == rung]
        assert energies.mean() == pytest.approx(kT / 2, abs=4 * kT * np.sqrt(0.5 / (len(energies) / 4)))
    heat = (
        np.asarray(oscillators.state.momenta[0, 0]) ** 2 / np.array([1.0, 2.0, 4.0])[oscillators.rungs[:, -1]]
    )
    # where momenta kept the size they had on the rung before, this would be 1.5 and more
    assert heat.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / heat.size))


def test_a_ladder_that_always_accepts_carries_replicas_from_end_to_end_without_turning():
    ladder = Ladder([1.0, 1.0, 1.0, 1.0], stride=1)
    state, climb = ladder.init(), eqx.filter_jit(ladder.exchanged)
    for _ in range(16):
        state = climb(state, jnp.zeros(4), jnp.zeros((0, 4)))
    mixing = LadderMixing.of(state)
    assert mixing.rates.tolist() == [1.0, 1.0, 1.0]
    # of four rungs a round trip takes eight attempts, and 1 / 2 of one comes to an end at each
    assert mixing.expected == 8.0
    assert mixing.round_trips == pytest.approx(8, abs=3)


@pytest.mark.long
def test_windows_change_places_as_often_as_they_overlap_and_mbar_undoes_them():
    stiffness, apart, copies = 4.0, 0.7, 48
    x = Coordinates([0], dims=1)
    windows = [HarmonicRestraint(x, [center], [stiffness]) for center in (-apart, 0.0, apart)]
    ladder = Ladder(1.0, stride=20, biases=windows, copies=copies, seed=3)
    run = engine(HarmonicWell()).run(particles(3 * copies), 8000, save_every=20, bias=ladder)
    # log chance is normal with mean -s^2 / 2 and variance s^2 = 2 (k apart)^2 / (k + 1)
    deviation = stiffness * apart * np.sqrt(2 / (stiffness + 1))
    rates = np.asarray(run.bias_state.chance / run.bias_state.tried)
    np.testing.assert_allclose(rates, 2 * norm.cdf(-deviation / 2), atol=0.02)
    frames = slice(50, None)
    energy, values = run.energy[:, frames].reshape(-1), run.values[:, frames].reshape(1, -1)
    rungs = run.rungs[:, frames].reshape(-1)
    model = MBAR(1.0).fit(ladder.relative(energy, values, 1.0), np.bincount(rungs))
    weights, x = np.exp(model.log_weights), run.positions[:, frames].reshape(-1)
    # without windows a normal distribution, of which windows see the middle; one costs k c^2 / 2 (k + 1) of free energy
    middle = np.abs(x) < 1.5
    exact = 1 - 3 * norm.pdf(1.5) / (2 * norm.cdf(1.5) - 1)
    assert weights[middle] @ x[middle] ** 2 / weights[middle].sum() == pytest.approx(exact, abs=0.02)
    assert model.free_energies[[0, 2]] - model.free_energies[1] == pytest.approx(
        stiffness / (2 * (stiffness + 1)) * apart**2, abs=0.03
    )


@pytest.mark.long
def test_every_temperature_has_the_exact_populations_of_an_asymmetric_double_well_and_so_have_weights():
    well, kT, copies = DoubleWell(barrier=5.0, tilt=0.5), [0.8, 1.3, 2.0, 3.5], 32
    ladder = Ladder(kT, stride=20, copies=copies)
    run = engine(well, dt=0.03, kT=kT[0]).run(particles(4 * copies, -1.0), 24_000, save_every=20, bias=ladder)
    late = slice(300, None)
    right, rungs, energy = run.positions[:, late, 0, 0] > 0, run.rungs[:, late], run.energy[:, late]
    values = np.zeros((0, rungs.size))
    model = MBAR(kT[0]).fit(
        ladder.relative(energy.reshape(-1), values, kT[0]), np.bincount(rungs.reshape(-1))
    )
    base, grid = model.log_weights.reshape(rungs.shape), np.linspace(-3, 3, 4001)
    for rung, temperature in enumerate(kT):
        density = np.exp(-well.energy(grid[None]) / temperature)
        exact = -temperature * np.log(density[grid > 0].sum() / density[grid < 0].sum())
        on_rung = (rungs == rung).reshape(copies, -1)
        shares = (on_rung * right.reshape(copies, -1)).sum(1) / on_rung.sum(1)
        error = shares.std(ddof=1) / np.sqrt(copies)
        assert shares.mean() == pytest.approx(1 / (1 + np.exp(exact / temperature)), abs=4 * error)
        assert error < 0.01
        # from frames of all temperatures, with an error bar from blocks of each replica's continuous trajectory
        logs = base - (1 / temperature - 1 / kT[0]) * energy
        found = free_energy_difference(list(right), list(~right), list(logs), temperature)
        assert found.shortcomings == ()
        assert found.value == pytest.approx(exact, abs=4 * found.error)
        assert found.error < 0.2 * temperature


@pytest.mark.long
def test_frames_of_the_lowest_temperature_change_their_well_far_more_often_than_without_exchange():
    well, copies = DoubleWell(barrier=8.0), 16
    ladder = Ladder([1.0, 1.6, 2.6, 4.0], stride=20, copies=copies)
    climbing = engine(well, dt=0.03).run(particles(4 * copies, -1.0), 12_000, save_every=20, bias=ladder)
    alone = engine(well, dt=0.03).run(particles(4 * copies, -1.0), 12_000, save_every=20)

    def crossings(x):
        side = np.sign(x) * (np.abs(x) > 0.5)
        return sum(np.count_nonzero(np.diff(row[row != 0])) for row in side)

    coldest = [
        climbing.positions[4 * c : 4 * c + 4, :, 0, 0].T[(climbing.rungs[4 * c : 4 * c + 4] == 0).T]
        for c in range(copies)
    ]
    # a quarter of the steps are at the lowest temperature, and yet
    assert crossings(coldest) > 5 * max(1, crossings(alone.positions[:, :, 0, 0]))


def test_parts_of_a_bias_share_what_they_have_in_common():
    restraint = HarmonicRestraint(Coordinates([0], dims=1), [0.5], [3.0])
    ladder = Ladder(2.0, 10, [ScaledBias(restraint, factor) for factor in (0.0, 0.5, 1.0)])
    assert [leaf.shape for leaf in ladder.own] == [(3,)]
    energies = ladder.bias_energies(jnp.array([[1.5, 0.5]]))
    np.testing.assert_allclose(energies, [[0, 0], [0.75, 0], [1.5, 0]])
    np.testing.assert_allclose(ladder.energy(ladder.init(), jnp.array([[1.5, 1.5, 1.5]])), [0, 0.75, 1.5])


@pytest.fixture(scope="module")
def springs():
    """Five particles on springs: 15 harmonic degrees of freedom, in OpenMM."""
    system = openmm.System()
    force = openmm.CustomExternalForce("50*(x^2+y^2+z^2)")
    for particle in range(5):
        system.addParticle(10.0)
        force.addParticle(particle)
    system.addForce(force)
    names, n = ("X",) * 5, 5
    topology = Topology(names, ("",) * n, names, (1,) * n, (0,) * n, np.zeros((0, 2), int))
    return system_from_openmm(system, topology, np.zeros((5, 3)))


@pytest.mark.long
def test_openmm_changes_temperatures_as_often_and_with_the_energies_that_are_exact(springs):
    from scipy.stats import f

    kT = np.array([2.0, 2.6, 3.4])
    runner = OpenMMEngine(springs, Langevin(kT=2.0, dt=0.02, friction=5.0), "Reference")
    start = thermal_state(jnp.zeros((5, 3, 3)), springs.masses, 2.0, jax.random.key(0))
    run = runner.run(start, 40_000, save_every=100, bias=Ladder(kT, stride=50))
    rates = np.asarray(run.bias_state.accepted / run.bias_state.tried)
    exact = 2 * f.sf(kT[1:] / kT[:-1], 15, 15)
    np.testing.assert_allclose(rates, exact, atol=3 * 0.5 / np.sqrt(400))
    for rung in range(3):
        found = run.energy[run.rungs == rung]
        assert found.mean() == pytest.approx(
            7.5 * kT[rung], abs=4 * np.sqrt(7.5 * 2) * kT[rung] / np.sqrt(400)
        )
    assert run.rungs.shape == (3, 400)
    assert LadderMixing.of(run.bias_state).round_trips > 30


def test_temperatures_are_placed_with_equal_acceptance():
    rng, kT = np.random.default_rng(0), np.geomspace(1, 4, 6)
    energies = EnergyQuantiles.of(kT, [0.5 * t * rng.chisquare(60, 4000) for t in kT])
    card = placed_ladder(energies, 1.0, 4.0, walkers=24, acceptance=0.3)
    rungs = len(card["kT"])
    assert 24 % rungs == 0
    assert min(card["rates"]) > 0.28
    assert card["notes"] == []
    # harmonic: geometric
    np.testing.assert_allclose(card["kT"], np.geomspace(1, 4, rungs), rtol=0.02)
    few = placed_ladder(energies, 1.0, 4.0, walkers=4, acceptance=0.3)
    assert len(few["kT"]) == 4
    assert few["kT"][-1] < 2.6
    assert "the ladder ends at" in few["notes"][0]


def test_weak_spots_are_told():
    ladder = Ladder([1.0, 2.0, 3.0], stride=1)
    state, climb = ladder.init(), eqx.filter_jit(ladder.exchanged)
    for _ in range(200):  # the first pair often, the second never: it would have to bring 1e6 kJ/mol down
        energy = jnp.array([0.0, 0.0, 1e6])[state.standing]
        state = climb(state, energy, jnp.zeros((0, 3)))
    mixing = LadderMixing.of(state)
    assert mixing.round_trips == 0
    assert any("rungs 1 and 2 change places in 0 %" in doubt for doubt in mixing.doubts)
    assert second_eigenvalue(mixing.rates) == pytest.approx(1.0)


def test_what_cannot_be_a_ladder_is_told(wells):
    x = Coordinates([0], dims=1)
    with pytest.raises(ValueError, match="at least two temperatures"):
        Ladder([1.0], stride=10)
    restraint = HarmonicRestraint(x, [0.0], [1.0])
    with pytest.raises(ValueError, match="of several kinds"):
        Ladder(1.0, 10, [restraint, ScaledBias(restraint, 0.5)])
    with pytest.raises(ValueError, match="5 replicas for a ladder on which 3 stand"):
        engine(HarmonicWell()).run(particles(5), 10, save_every=10, bias=Ladder([1.0, 2.0, 3.0], 5))
    still = NativeEngine.for_potential(HarmonicWell(), np.ones(1), VelocityVerlet(dt=0.1))
    with pytest.raises(ValueError, match="has no temperature"):
        still.run(particles(2), 10, save_every=10, bias=Ladder([1.0, 2.0], 5))
    with pytest.raises(ValueError, match="do not ascend"):
        replace(wells.EXCHANGE, temperatures=(300.0, 200.0))
    with pytest.raises(ValueError, match="multiple"):
        replace(wells.EXCHANGE, temperatures=(100.0, 200.0, 300.0), walkers=8)


@pytest.mark.long
def test_a_campaign_weighs_all_temperatures_and_lets_walkers_go_where_they_weigh(wells, tmp_path):
    store = Store(tmp_path)
    drive(store, wells.EXCHANGE)
    weights = WeightedFrames.read(store, "results/weights")
    grid = np.linspace(-3, 3, 4001)
    density = np.exp(-DoubleWell(6.0, 1.0).energy(grid[None]))
    share = density[grid > 0].sum() / density.sum()
    right = [walk[:, 0] > 0 for walk in weights.walks("features")]
    found = free_energy_difference(right, [~r for r in right], weights.walks("pooled"), 1.0)
    assert found.value == pytest.approx(-np.log(share / (1 - share)), abs=4 * found.error)
    assert found.error < 0.25
    assert weights.card["rungs"][0] == pytest.approx(1.0)
    assert weights.card["rungs"][-1] == pytest.approx(480 * BOLTZMANN, rel=1e-6)
    assert all(0.2 < rate < 0.95 for one in weights.card["exchange"] for rate in one["rates"])
    with stored_arrays(store.file("starts/s1-weighted", "starts.npz")) as arrays:
        assert (arrays["positions"][:, 0, 0] > 0).mean() == pytest.approx(share, abs=0.25)
