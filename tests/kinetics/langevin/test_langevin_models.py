"""Langevin models against data of known dynamics, exact spectra, and each other."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from thalweg.kinetics.langevin.inertial import UnderdampedLangevin
from thalweg.kinetics.langevin.likelihoods.accelerations import AccelerationSteps
from thalweg.kinetics.langevin.likelihoods.frames import pieces
from thalweg.kinetics.langevin.likelihoods.inertial_steps import InertialSteps, Layout, starting_parameters
from thalweg.kinetics.langevin.likelihoods.splines import SplineAxis, Splines
from thalweg.kinetics.langevin.many_body import ManyBodyFreeEnergy
from thalweg.kinetics.langevin.memory_kernels import mori_zwanzig, volterra_kernel
from thalweg.kinetics.langevin.overdamped import OverdampedLangevin
from thalweg.kinetics.langevin.phase_operator import PhaseOperator
from thalweg.kinetics.langevin.ranking import rank_by_relaxation
from thalweg.kinetics.langevin.rates import rates_table
from thalweg.kinetics.langevin.surface import FittedFreeEnergy, KnownFreeEnergy
from thalweg.kinetics.langevin.whiteness import step_scan, whiteness
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.oscillator import OrnsteinUhlenbeck
from thalweg.testsystems.wells import CosineWell, DoubleWell
from thalweg.time_series.trajectories import Trajectories


def langevin(
    n: int,
    frames: int,
    dt: float,
    friction: float,
    memory: float | None,
    barrier: float,
    seed: int,
    top: bool = False,
    longest: float = 0.01,
):
    """Positions and velocities (n, frames) in ``barrier (x^2 - 1)^2`` with kT = m = 1, in steps up to ``longest``.

    Starts are in the wells, or all at the top of the barrier; velocities are thermal. Two kicks a frame instead of many
    make the noise of positions look another by a tenth.
    """
    random = np.random.default_rng(seed)
    x = np.zeros(n) if top else random.choice([-1.0, 1.0], n) + 0.15 * random.standard_normal(n)
    v, z = random.standard_normal(n), random.standard_normal(n)
    fine = max(1, int(np.ceil(dt / longest)))
    h = dt / fine
    coupling = 0.0 if memory is None else np.sqrt(friction / memory)
    drift = np.array([[-friction if memory is None else 0.0, coupling], [-coupling, -1.0 / (memory or 1.0)]])
    mixing = scipy.linalg.expm(h * drift)
    noise = np.linalg.cholesky(np.eye(2) - mixing @ mixing.T + 1e-14 * np.eye(2))
    positions, velocities = [x], [v]
    for _ in range(frames - 1):
        for _ in range(fine):
            v = v - 2.0 * h * barrier * x * (x**2 - 1.0)
            x = x + 0.5 * h * v
            v, z = mixing @ np.stack([v, z]) + noise @ random.standard_normal((2, n))
            x = x + 0.5 * h * v
            v = v - 2.0 * h * barrier * x * (x**2 - 1.0)
        positions.append(x)
        velocities.append(v)
    return np.array(positions).T, np.array(velocities).T


def flat(value):
    return lambda x: np.full(x.shape, value)


def uneven(x):
    return np.exp(0.5 * np.sin(2.0 * x))


def oscillator(stiffness: float, lag: float, frames: int, runs: int = 10) -> Trajectories:
    """Exact steps of an Ornstein-Uhlenbeck process."""
    random, system = np.random.default_rng(0), OrnsteinUhlenbeck(stiffness)
    x = [random.standard_normal(runs) / stiffness**0.5]
    for _ in range(frames - 1):
        mean, variance = system.propagator(x[-1], lag)
        x.append(mean + variance**0.5 * random.standard_normal(runs))
    return Trajectories([run[:, None] for run in np.array(x).T], dt=lag)


# the operators, without data


@pytest.mark.parametrize(
    ("friction", "hidden", "exact"),
    [(1.0, (), 104.761), (10.0, (), 206.292), (0.0, ((flat(10.0), 0.5),), 135.505)],
)
def test_the_generator_in_phase_space_has_the_exact_times_of_the_turnover_and_of_memory(
    friction, hidden, exact
):
    degree = 12 if hidden else 36
    operator = PhaseOperator(DoubleWell(5.0), 1.0, flat(1.0), flat(friction), hidden, cells=90, degree=degree)
    assert operator.timescales(1)[0] == pytest.approx(exact, rel=3e-3)


def test_mass_that_depends_on_position_only_bends_the_coordinate():
    class Bent(DoubleWell):
        def energy(self, x):
            # y = x + x^3 / 10 moves with unit mass in the double well; F(x) = U(y) - kT ln dy/dx
            return super().energy(x + 0.1 * x**3) - np.log(1.0 + 0.3 * x[0] ** 2)

    straight = PhaseOperator(DoubleWell(2.0), 1.0, flat(1.0), flat(2.0), cells=160, degree=20)
    bent = PhaseOperator(Bent(2.0), 1.0, lambda x: (1.0 + 0.3 * x**2) ** 2, flat(2.0), cells=160, degree=20)
    assert bent.timescales(1)[0] == pytest.approx(straight.timescales(1)[0], rel=3e-3)


def test_a_grid_that_goes_around_has_the_spectrum_of_free_rotation():
    class Flat(CosineWell):
        def energy(self, x):
            return 0.0 * x[0]

    around = Generator(Flat(), ((-np.pi, np.pi),), 200, periodic=(True,))
    assert around.timescales(3) == pytest.approx([1.0, 1.0, 0.25], rel=1e-3)


def test_diffusion_that_depends_on_position_gives_the_passage_time_of_the_double_integral():
    generator = Generator(DoubleWell(1.0), ((-1.8, 1.8),), 600, 1.0, uneven)
    x = np.linspace(-1.8, 1.8, 20001)
    weights = np.exp(-DoubleWell(1.0).energy(x[None]))
    inner = np.cumsum(weights) * (x[1] - x[0])
    outer = np.where((x > -1.0) & (x < 1.0), inner / weights / uneven(x), 0.0)
    time = generator.mean_first_passage_time(lambda y: y[0] > 1.0)
    assert generator.interpolated(time, [[-1.0]])[0] == pytest.approx(np.trapezoid(outer, x), rel=2e-3)


# likelihoods


@pytest.mark.long
def test_the_score_is_the_derivative_of_the_likelihood_also_through_hidden_variables():
    x, _ = langevin(3, 40, 0.05, 10.0, 0.5, 2.0, seed=0)
    own = pieces(Trajectories([run[:, None] for run in x], dt=0.05))
    axis = SplineAxis(-1.6, 1.6, 5)
    energy, constant = Splines((axis,), ((0,),)), Splines((axis,), ((),))
    layout = Layout(1, energy, constant, constant, (constant,))
    steps = InertialSteps(own, layout, 1.0, 10.0)
    theta = starting_parameters(layout, np.ones(1), np.full(1, 10.0), [0.7], [0.4])
    theta[: energy.size] = np.random.default_rng(1).standard_normal(energy.size)
    relative = AccelerationSteps.of(steps, np.ones(1))
    theta[layout.blocks["mass0"]] = 0.4
    assert relative.energies(relative.accelerations(theta)) == pytest.approx(theta)
    for evidence in (steps, relative):
        score = evidence(theta).score
        for k in range(0, len(theta), 3):
            h = 1e-5 * np.eye(len(theta))[k]
            slope = (evidence(theta + h).log_likelihood - evidence(theta - h).log_likelihood) / 2e-5
            assert score[k] == pytest.approx(slope, rel=1e-5, abs=1e-5)


@pytest.mark.long
def test_forces_asked_to_be_smooth_do_not_make_particles_light():
    # roughness of F itself, not of F/m, would draw mass and friction of weakly damped runs down by a standard error
    scores = []
    for seed in range(8):
        x, _ = langevin(40, 120, 0.02, 1.0, None, 5.0, seed, top=True, longest=0.0025)
        data = Trajectories([run[:, None] for run in x], dt=0.02)
        mass = UnderdampedLangevin(1.0, hidden=0, intervals=(20, 8, 0, 0)).fit(data).mass(np.zeros(1))
        scores.append(float(np.log(mass.values[0]) / (mass.errors[0] / mass.values[0])))
    assert abs(np.mean(scores)) < 2.5 / len(scores) ** 0.5


def test_what_the_data_do_not_know_is_raised_by_its_variance():
    space = Splines((SplineAxis(0.0, 1.0, 4),), ((0,),))
    fitted = FittedFreeEnergy(space, np.zeros(space.size), 2.0)
    mean, x = np.zeros(space.size), np.array([[0.25, 0.5]])
    variance = np.sum(space.derivatives(x.T, ()) ** 2, axis=1)
    known = KnownFreeEnergy(fitted, mean, 0.1 * np.eye(space.size))
    unknown = KnownFreeEnergy(fitted, mean, 100.0 * np.eye(space.size))
    assert known.energy(x) == pytest.approx(0.0)
    assert unknown.energy(x) == pytest.approx(100.0 * variance / 2.0 - 2.0)


def test_short_trajectories_stay_whole_and_long_ones_are_cut_evenly():
    random = np.random.default_rng(0)
    short = pieces(Trajectories(list(random.standard_normal((3, 301, 1))), dt=1.0))
    assert short.weights.shape == (3, 300)
    long = pieces(Trajectories([random.standard_normal((1201, 1))], dt=1.0))
    assert long.weights.shape == (5, 240)
    assert long.n_steps == 1200
    assert long.thinned(500).weights.shape == (3, 240)


@pytest.mark.long
@pytest.mark.parametrize(("propagator", "lag"), [("local", 0.2), ("grid", 1.0)])
def test_steps_as_long_as_relaxation_do_not_bias_diffusion(propagator, lag):
    # a difference quotient would find D (1 - e^-kt) / kt, 0.8 and 0.4 of it
    data = oscillator(2.0, lag, 1500)
    model = OverdampedLangevin(1.0, intervals=(8, 4, 4), propagator=propagator).fit(data)
    found = model.diffusion(np.array([-0.5, 0.0, 0.5]))
    assert np.all(np.abs(found.values - 1.0) < 3.5 * found.errors)
    assert found.errors.max() < 0.15


@pytest.mark.long
def test_uneven_diffusion_and_free_energy_are_found_with_errors_that_cover():
    generator = Generator(DoubleWell(2.0), ((-2.1, 2.1),), 300, 1.0, uneven)
    runs = generator.sample(10, 2000, lag=0.05, seed=1)
    model = OverdampedLangevin(1.0).fit(Trajectories(runs, dt=0.05))
    x = np.linspace(-1.3, 1.3, 14)
    found, energy = model.diffusion(x), model.free_energy(x)
    assert np.mean(np.abs(found.values - uneven(x)) < 2.0 * found.errors) > 0.7
    true = DoubleWell(2.0).energy(x[None])
    shift = np.mean(energy.values - true)
    assert np.sqrt(np.mean((energy.values - true - shift) ** 2)) < 0.3
    time = model.timescales(1)
    assert abs(time.value[0] - generator.timescales(1)[0]) < 3.0 * time.error[0]
    assert whiteness(model).white


@pytest.mark.long
@pytest.mark.parametrize(("friction", "memory"), [(1.0, None), (10.0, 0.5)])
def test_a_hundred_short_runs_off_the_barrier_tell_friction_and_free_energy(friction, memory):
    x, _ = langevin(100, 150, 0.02, friction, memory, 5.0, seed=5, top=True)
    data = Trajectories([run[:, None] for run in x], dt=0.02)
    hidden = 0 if memory is None else 1
    model = UnderdampedLangevin(1.0, hidden=hidden, intervals=(16, 8, 4, 0)).fit(data)
    places = np.linspace(-1.0, 1.0, 9)
    found, energy = model.friction(places), model.free_energy(places)
    assert np.all(np.abs(found.values - friction) < 3.5 * found.errors)
    assert found.errors.max() < 0.2 * friction
    true = 5.0 * (places**2 - 1.0) ** 2
    gap = energy.values - true
    assert np.abs(gap - gap.mean()).max() < 1.2
    if memory:
        time = model.memory_times()
        assert abs(time.values[0] - memory) < 3.5 * time.errors[0]


@pytest.mark.long
def test_velocities_that_are_given_are_used():
    x, v = langevin(20, 300, 0.05, 2.0, None, 2.0, seed=2)
    both = Trajectories([np.stack([a, b], axis=1) for a, b in zip(x, v)], dt=0.05)
    model = UnderdampedLangevin(1.0, velocities=True, hidden=0, intervals=(10, 6, 4, 0)).fit(both)
    friction, mass = model.friction(np.zeros(1)), model.mass(np.zeros(1))
    assert abs(friction.values[0] - 2.0) < 3.5 * friction.errors[0]
    assert abs(mass.values[0] - 1.0) < 3.5 * mass.errors[0]


@pytest.mark.long
def test_a_model_without_memory_of_motion_with_memory_is_called_wrong():
    x, _ = langevin(10, 400, 0.05, 10.0, 0.5, 2.0, seed=3)
    data = Trajectories([run[:, None] for run in x], dt=0.05)
    small = (10, 6, 3, 0)
    assert not whiteness(UnderdampedLangevin(1.0, hidden=0, intervals=small).fit(data)).white
    assert whiteness(UnderdampedLangevin(1.0, hidden=1, intervals=small).fit(data)).white


@pytest.mark.long
def test_inertia_fades_with_the_step_and_the_scan_names_the_shortest_right_one():
    x, _ = langevin(20, 1600, 0.02, 20.0, None, 0.3, seed=4)
    data = Trajectories([run[:, None] for run in x], dt=0.02)
    scan = step_scan(OverdampedLangevin(1.0, intervals=(8, 4, 4)), data, (1, 64))
    assert not scan.tests[0].white
    assert scan.shortest == 64


@pytest.mark.long
def test_all_routes_to_a_rate_agree_within_their_errors_at_strong_friction():
    x, _ = langevin(20, 800, 0.05, 5.0, None, 3.0, seed=6)
    data = Trajectories([run[:, None] for run in x], dt=0.05)
    table = rates_table(UnderdampedLangevin(1.0, hidden=0, intervals=(12, 6, 4, 0)).fit(data), 100)
    exact = table.forward["exact generator"]
    for route in ("simulation", "reactive flux"):
        assert abs(table.forward[route] - exact) < 3.5 * table.errors[route] + 0.05 * exact
    # parabolas of a barrier of three kT
    assert table.forward["Grote-Hynes"] == pytest.approx(exact, rel=0.35)
    assert table.forward["transition state"] > exact


@pytest.mark.long
def test_the_better_of_two_variables_comes_first():
    random = np.random.default_rng(0)
    generator = Generator(DoubleWell(2.0), ((-2.1, 2.1),), 200)
    runs = generator.sample(10, 1000, lag=0.05, seed=2)
    noisy = [np.concatenate([run, run + 0.7 * random.standard_normal(run.shape)], axis=1) for run in runs]
    ranking = rank_by_relaxation(
        OverdampedLangevin(1.0, intervals=(10, 6, 4)), Trajectories(noisy, dt=0.05, names=["good", "noisy"])
    )
    assert ranking.names == ("good", "noisy")
    assert ranking.distinction > 2.0


# kernels and many bodies


def test_volterra_finds_the_kernel_that_made_the_motion():
    x, v = langevin(20, 4000, 0.02, 5.0, 0.3, 0.5, seed=7)
    data = Trajectories([np.stack([a, b], axis=1) for a, b in zip(x, v)], dt=0.02)
    found = volterra_kernel(data, kT=1.0, length=1.0, velocities=True)
    exact = 5.0 * (1.0 - np.exp(-found.times / 0.3))
    late = found.times > 0.2
    assert np.abs(found.running - exact)[late].max() < 4.0 * found.friction.errors[late].max()
    assert found.friction.errors.max() < 1.0


def test_mori_zwanzig_operators_repeat_correlations_exactly():
    x = np.cumsum(np.random.default_rng(0).standard_normal((500, 2)), axis=0) % 3.0
    x -= x.mean(axis=0)
    operators = mori_zwanzig([x], 4)

    def c(n):
        return x[n:].T @ x[: len(x) - n] / (len(x) - n)

    assert c(3) == pytest.approx(operators[0] @ c(2) + operators[1] @ c(1) + operators[2] @ c(0))


def test_free_energy_of_three_bodies_has_the_gradient_that_made_the_frames():
    random = np.random.default_rng(0)
    precision = np.array([[2.0, 0.8, 0.0], [0.8, 2.0, -0.5], [0.0, -0.5, 1.0]])
    x = random.multivariate_normal(np.zeros(3), np.linalg.inv(precision), 8000)
    model = ManyBodyFreeEnergy(1.0, order=2, intervals=(6, 3)).fit(x)
    places = x[:200]
    error = model.gradient(places) - places @ precision
    assert np.sqrt(np.mean(error**2)) < 0.15 * np.sqrt(np.mean((places @ precision) ** 2))
    profile = model.free_energy(places)
    true = 0.5 * np.einsum("ni,ij,nj->n", places, precision, places)
    gap = profile.values - (true - true.mean())
    assert np.mean(np.abs(gap) < 2.5 * profile.errors) > 0.7


# what cannot be


def test_angles_that_jump_across_their_border_are_refused_until_their_period_is_known():
    random = np.random.default_rng(0)
    angle = np.cumsum(0.1 * random.standard_normal((4, 2000)), axis=1)
    wrapped = [((run + np.pi) % (2.0 * np.pi) - np.pi)[:, None] for run in angle]
    data = Trajectories(wrapped, dt=1.0)
    with pytest.raises(ValueError, match=r"jumps by up to 6\..*periods=\[6\.28319\]"):
        pieces(data)
    own = pieces(data, periods=[2.0 * np.pi])
    assert np.abs(own.steps).max() < 1.0


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda d: UnderdampedLangevin(1.0, velocities=True).fit(d), "1 column: positions and then as many"),
        (lambda d: OverdampedLangevin(1.0, lagtime=10).fit(d), "at least 50 are needed"),
        (lambda d: OverdampedLangevin(1.0, lagtime=500).fit(d), "leaves no pairs"),
        (lambda d: OverdampedLangevin(-1.0).fit(d), "kT=-1.0 must be positive"),
        (lambda d: volterra_kernel(d, 1.0, 80.0), "at most half of the longest trajectory, 50 frames"),
        (lambda d: mori_zwanzig([d[0]], 200), "the longest has 100"),
    ],
)
def test_what_data_cannot_give_is_refused_with_numbers(ask, words):
    data = Trajectories([np.random.default_rng(0).standard_normal((100, 1))], dt=1.0)
    with pytest.raises(ValueError, match=words):
        ask(data)
