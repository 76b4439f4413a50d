"""Parts of a free energy by number of variables, mean metrics, and the effective dynamics that both make."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from thalweg.kinetics.langevin.many_body import ManyBodyFreeEnergy
from thalweg.kinetics.langevin.mean_metric import EffectiveDynamics, MeanMetric
from thalweg.kinetics.langevin.memory_kernels import mori_zwanzig
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import DoubleWell

TURN = 2.0 * np.pi


def angles(count, triple, seed=0):
    """Frames of three angles with a free energy of one, two and, by ``triple``, three of them; kT = 1."""
    random, found = np.random.default_rng(seed), []
    while sum(map(len, found)) < count:
        x = random.uniform(-np.pi, np.pi, (100_000, 3))
        found.append(x[random.random(len(x)) < np.exp(-4.4 - energy(x, triple))])
    return np.concatenate(found)[:count]


def energy(x, triple):
    pair = 0.8 * np.cos(x[:, 0] - x[:, 1])
    return -0.8 * np.cos(x).sum(axis=1) + pair + triple * np.prod(np.sin(x), axis=1)


def test_parts_of_one_two_and_three_angles_are_those_that_made_the_frames():
    model = ManyBodyFreeEnergy(1.0, periods=[TURN] * 3).fit(angles(8000, 1.2))
    assert model.order == 3
    evenly = np.repeat(np.linspace(-np.pi, np.pi, 48, endpoint=False)[:, None], 3, axis=1)
    x = np.random.default_rng(1).uniform(-np.pi, np.pi, (300, 3))
    single = model.part((1,), x[:, 1:2], evenly).values
    pair = model.part((0, 1), x[:, :2], evenly).values
    none = model.part((1, 2), x[:, 1:], evenly).values
    triple = model.part((0, 1, 2), x, evenly).values
    assert single == pytest.approx(-0.8 * np.cos(x[:, 1]), abs=0.25)
    assert np.sqrt(np.mean((pair - 0.8 * np.cos(x[:, 0] - x[:, 1])) ** 2)) < 0.1
    assert np.sqrt(np.mean(none**2)) < 0.1
    assert np.sqrt(np.mean((triple - 1.2 * np.prod(np.sin(x), axis=1)) ** 2)) < 0.1
    with pytest.raises(ValueError, match=r"x has shape \(300, 3\), a part of 2 variables needs"):
        model.part((0, 1), x)


def test_parts_add_up_to_the_free_energy_and_their_variances_to_its_own():
    frames = angles(4000, 1.2)
    model = ManyBodyFreeEnergy(1.0, order=3, periods=[TURN] * 3).fit(frames)
    random = np.random.default_rng(0)
    apart = np.stack([random.choice(column, 4000) for column in model.frames.T], axis=1)
    parts = [model.part(term, apart[:, list(term)]).values for term in model.splines.terms]
    whole = model.free_energy(apart).values
    total = np.sum(parts, axis=0)
    assert total - total.mean() == pytest.approx(whole, abs=1e-8)
    assert sum(model.shares().values()) == pytest.approx(whole.var(), rel=0.1)


def test_frames_of_pairs_alone_have_no_part_of_three():
    model = ManyBodyFreeEnergy(1.0, order=3, periods=[TURN] * 3).fit(angles(4000, 0.0))
    shares = model.shares()
    assert shares[0, 1, 2] < 0.02 * shares[0, 1]


def test_mean_metric_of_scattered_tensors_is_their_mean_at_each_place():
    random = np.random.default_rng(0)
    x = random.uniform(-1.0, 1.0, (4000, 2))

    def mean(x):
        off = 6.0 * np.sin(2.0 * x[:, 0])
        return np.moveaxis(np.array([[100.0 + 50.0 * x[:, 1], off], [off, 1.2 + 0.5 * x[:, 0]]]), -1, 0)

    noise = random.standard_normal((4000, 2, 4))
    root = np.linalg.cholesky(mean(x))
    metrics = root @ (noise @ noise.transpose(0, 2, 1) / 4.0) @ root.transpose(0, 2, 1)
    model = MeanMetric(intervals=(5, 3)).fit(x, [metrics])
    places = random.uniform(-0.9, 0.9, (200, 2))
    found = model.tensors(places)
    assert np.linalg.eigvalsh(found.values).min() > 0.0
    size = np.array([[100.0, 10.0], [10.0, 1.0]])
    assert np.sqrt(np.mean(((found.values - mean(places)) / size) ** 2)) < 0.06
    assert np.mean(np.abs(found.values - mean(places)) < 2.5 * found.errors) > 0.8
    with pytest.raises(ValueError, match="metric of frame 3 of trajectory 0"):
        MeanMetric().fit(x, [np.where(np.arange(4000)[:, None, None] == 3, np.nan, metrics)])


def test_effective_dynamics_of_any_function_of_the_only_variable_has_the_time_scales_of_that_variable():
    generator = Generator(DoubleWell(2.0), ((-2.2, 2.2),), 400)
    random = np.random.default_rng(0)
    x = random.choice(generator.points[0], 20_000, p=generator.stationary_distribution)
    x = x + random.uniform(-0.0055, 0.0055, len(x))
    bent, slope = (x + 0.3 * x**3)[:, None], 1.0 + 0.9 * x**2
    free_energy = ManyBodyFreeEnergy(1.0).fit(bent)
    metric = MeanMetric().fit(bent, [(slope**2)[:, None, None]])
    effective = EffectiveDynamics(free_energy, metric)
    assert effective.operator().timescales(1)[0] == pytest.approx(generator.timescales(1)[0], rel=0.06)
    # Ito's formula at the top of the barrier, where U' = 0 and the function has no curvature
    assert effective.drift(np.array([[0.0]]))[0, 0] == pytest.approx(0.0, abs=0.4)


def test_mori_zwanzig_operators_are_those_of_the_hidden_variable_projected_out():
    friction, memory, dt = 5.0, 0.4, 0.1
    rate = np.sqrt(friction / memory)
    motion = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, rate], [0.0, -rate, -1.0 / memory]])
    step = scipy.linalg.expm(dt * motion)
    noise = np.linalg.cholesky(np.eye(3) - step @ step.T + 1e-12 * np.eye(3))
    random = np.random.default_rng(0)
    state, frames = random.standard_normal((3, 400)), []
    for _ in range(1000):
        frames.append(state[:2])
        state = step @ state + noise @ random.standard_normal((3, 400))
    found = mori_zwanzig(list(np.array(frames).transpose(2, 0, 1)), 4)
    seen, unseen = slice(0, 2), slice(2, 3)
    hidden = step[unseen, unseen]
    exact = [step[seen, seen]] + [
        step[seen, unseen] @ np.linalg.matrix_power(hidden, k) @ step[unseen, seen] for k in range(3)
    ]
    assert found == pytest.approx(np.array(exact), abs=0.01)
    assert np.abs(exact[1]).max() > 0.05
