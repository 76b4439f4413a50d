"""Biased runs tell of the unbiased dynamics: by weights, by accelerated time, by the weights of paths."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.time_series.accelerated import AcceleratedTrajectories, accelerated, unbiasing_weights
from thalweg.time_series.blocks import segments
from thalweg.time_series.path_weights import langevin_response, log_path_weights, overdamped_response
from thalweg.time_series.trajectories import Trajectories
from thalweg.time_series.windows import Windows


def test_pairs_in_accelerated_time_are_those_of_frames_repeated():
    random = np.random.default_rng(0)
    x, repeats = random.standard_normal((60, 2)), random.integers(1, 6, 60)
    data = AcceleratedTrajectories([x], acceleration=[repeats.astype(float)])
    spelled_out = Trajectories([np.repeat(x, repeats, axis=0)])
    for lag in (1, 4, 37):
        ours, theirs = covariances(data, lag), covariances(spelled_out, lag)
        np.testing.assert_allclose(ours.c0t, theirs.c0t, rtol=1e-10)
        np.testing.assert_allclose(ours.c00, theirs.c00, rtol=1e-10)
        np.testing.assert_allclose(ours.mean_t, theirs.mean_t, rtol=1e-10)


def test_a_constant_bias_changes_the_unit_of_time_only():
    random = np.random.default_rng(1)
    x = np.zeros((20_000, 1))
    for t in range(1, len(x)):
        x[t] = 0.97 * x[t - 1] + random.standard_normal()
    plain = TICA(10, dim=1).fit(Trajectories([x], dt=0.5))
    slowed = TICA(30, dim=1).fit(
        accelerated(Trajectories([x], dt=0.5), [np.full(len(x), np.log(3.0))], kT=1.0)
    )
    np.testing.assert_allclose(slowed.timescales, 3 * plain.timescales, rtol=1e-6)


def test_frames_that_stand_for_more_time_than_the_lag_are_pointed_out():
    x = np.cumsum(np.random.default_rng(0).standard_normal((2000, 1)), axis=0)
    bias = np.where(np.arange(2000) < 20, 7.0, 0.0)
    notes = TICA(10, dim=1).fit(accelerated(Trajectories([x]), [bias], kT=1.0)).notes
    assert "up to 1.1e+03 dt of unbiased time" in notes[0]
    assert "of a frame with itself" in notes[0]
    assert "as many as 1.2% of them" in notes[1]
    unbiased = TICA(10, dim=1).fit(accelerated(Trajectories([x]), [np.zeros(2000)], kT=1.0)).notes
    assert not any("unbiased time" in note for note in unbiased)


def test_weights_give_averages_of_the_unbiased_ensemble():
    random = np.random.default_rng(2)
    x = 2 * random.standard_normal((200_000, 1))
    bias = -(x[:, 0] ** 2) / 8 + x[:, 0] ** 2 / 2
    weighted = covariances(Trajectories([x], weights=unbiasing_weights([-bias], kT=1.0)))
    np.testing.assert_allclose(weighted.c00, [[1.0]], rtol=0.02)


def _double_well(steps, walkers, dt, lowered, seed):
    """Overdamped runs in ``3 (x^2 - 1)^2``, its barrier lowered: positions, bias energies, path weights."""
    random = np.random.default_rng(seed)
    x = random.choice([-1.0, 1.0], walkers)
    frames, forces, noises = [x], [], []
    for _ in range(steps):
        bump = lowered * np.exp(-2 * x**2)
        bias_force, noise = -4 * x * bump, random.standard_normal(walkers)
        x = x + (-12 * x * (x**2 - 1) + bias_force) * dt + np.sqrt(2 * dt) * noise
        frames.append(x)
        forces.append(bias_force)
        noises.append(noise)
    frames, forces, noises = (np.array(each) for each in (frames, forces, noises))
    energies = -lowered * np.exp(-2 * frames**2)
    paths = [
        log_path_weights(forces[:, [k]], noises[:, [k]], overdamped_response(1.0, dt, 1.0))
        for k in range(walkers)
    ]
    return frames, energies, paths


def test_path_weights_give_the_timescale_of_a_barrier_that_the_bias_had_lowered():
    dt, lag, basis = 5e-3, 40, Indicators(np.linspace(-1.6, 1.6, 17)[:, None])
    free, _, _ = _double_well(20_000, 20, dt, 0.0, seed=1)
    frames, energies, paths = _double_well(20_000, 20, dt, 1.0, seed=2)
    runs = [run[:, None] for run in frames.T]
    exact = VAC(lag, 1, basis).fit(Trajectories([run[:, None] for run in free.T], dt=dt))
    biased = VAC(lag, 1, basis).fit(Trajectories(runs, dt=dt))
    weights = unbiasing_weights(list(energies.T), kT=1.0)
    unbiased = VAC(lag, 1, basis).fit(Trajectories(runs, dt=dt, weights=weights, log_path=paths))
    assert biased.timescales[0] < 0.65 * exact.timescales[0]
    assert abs(unbiased.timescales[0] / exact.timescales[0] - 1) < 0.15


def test_a_force_in_an_aboba_step_is_worth_as_much_as_its_noise():
    mass, friction, dt, kT, force, noise = 12.0, 3.0, 0.02, 2.5, 7.0, 0.4
    damping = np.exp(-friction * dt)

    def velocity_after(push, drawn):
        kicked = 0.3 + dt / 2 * push / mass
        kicked = damping * kicked + np.sqrt((1 - damping**2) * kT / mass) * drawn
        return kicked + dt / 2 * push / mass

    shift = langevin_response(np.array([mass]), friction, dt, kT)[0] * force
    np.testing.assert_allclose(velocity_after(force, noise), velocity_after(0.0, noise + shift))


def test_networks_see_pairs_in_accelerated_time_with_their_weights():
    random = np.random.default_rng(0)
    x, repeats = random.standard_normal((90, 2)), random.integers(1, 4, 90)
    data = AcceleratedTrajectories([x], acceleration=[repeats.astype(float)])
    batches = list(Windows(data, segments(data.lengths, 1), 5, batch=40)(random))
    first, last, weights = (np.concatenate(parts) for parts in zip(*(b.ends(b.frames) for b in batches)))
    whole = covariances(data, 5)
    assert len(batches) > 2
    assert abs(weights.sum() / (repeats.sum() - 5) - 1) < 0.3
    np.testing.assert_allclose(weights @ first / weights.sum(), whole.mean_0, atol=0.15)
    np.testing.assert_allclose(weights @ last / weights.sum(), whole.mean_t, atol=0.15)


def test_what_is_no_bias_is_explained():
    data = Trajectories([np.zeros((3, 1))])
    with pytest.raises(ValueError, match=r"kT=0\.0 must be positive"):
        accelerated(data, [np.zeros(3)], 0.0)
    with pytest.raises(ValueError, match="bias of trajectory 0 is not finite"):
        unbiasing_weights([np.array([0.0, np.nan])], 1.0)
    with pytest.raises(ValueError, match="acceleration must have one entry per frame"):
        accelerated(data, [np.zeros(2)], 1.0)
    with pytest.raises(
        ValueError, match="lagtime=50 leaves no pairs in accelerated trajectories of up to 3 frames"
    ):
        covariances(accelerated(data, [np.zeros(3)], 1.0), 50)
    with pytest.raises(ValueError, match="path weights of trajectory 0 have shape"):
        Trajectories([np.zeros((3, 1))], log_path=[np.zeros(4)])
