"""Exact answers get the best score of each task, problems follow from seeds, and null models are worse than ours."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.contest.entry import own_entries
from thalweg.contest.jail.messages import Refused
from thalweg.contest.judging import PUBLIC, judge, seeds
from thalweg.contest.listing import TASKS, task_named

QUICK = ("slow-variables", "sampling-policies", "coarse-models", "affinities")


def problem(name: str, secret: bytes = PUBLIC):
    task = task_named(name)
    return task.problem(seeds(task, secret)[0])


@pytest.mark.parametrize("name", QUICK)
def test_a_problem_follows_from_its_seed_and_from_nothing_else(name):
    first, again, other = problem(name), problem(name), problem(name, b"another secret, long")
    differ = []
    for key, array in first.given.items():
        np.testing.assert_array_equal(array, again.given[key])
        differ.append(not np.array_equal(array, other.given[key]))
    assert any(differ) or name == "sampling-policies"


def test_exact_affinities_have_no_error():
    drawn = problem("affinities")
    exact = drawn.affinities[len(drawn.noise) :]
    assert drawn.play(lambda asked, shapes: {"affinities": exact}).value == 0.0
    off = drawn.play(lambda asked, shapes: {"affinities": exact + 0.5})
    assert off.value == pytest.approx(0.5)


def test_the_exact_surface_has_no_divergence_whatever_its_constant():
    drawn = problem("coarse-models")
    exact = drawn.surface.energy(drawn.asked.T)
    assert drawn.play(lambda asked, shapes: {"energies": exact + 100.0}).value == pytest.approx(
        0.0, abs=1e-12
    )
    flat = drawn.play(lambda asked, shapes: {"energies": 0.0 * exact}).value
    assert 0.05 < flat < np.log(2)


def test_forces_of_the_coarse_task_average_to_minus_the_gradient_of_the_free_energy():
    surface, random = problem("coarse-models").surface, np.random.default_rng(0)
    points = np.repeat(np.array([[0.3], [-0.8]]), 40_000, axis=1)
    forces = surface.forces(points, random)
    error = forces.std(axis=1) / np.sqrt(points.shape[1])
    assert (np.abs(forces.mean(axis=1) + surface.gradient(points[:, :1])[:, 0]) < 4 * error).all()


def test_exact_slow_functions_capture_all_and_time_none():
    drawn = problem("slow-variables")
    functions, _ = drawn.slow_functions()
    everything = drawn.play(lambda asked, shapes: {"coordinates": functions[drawn.shuffle]})
    assert everything.value == pytest.approx(1.0, abs=1e-9)
    order = np.arange(len(functions))[:, None] * np.ones(2)
    assert drawn.play(lambda asked, shapes: {"coordinates": order}).value < 0.01


def test_slow_runs_relax_as_their_generator_says():
    """The mean of the slow function's autocorrelation at the lag time, over runs, in standard errors."""
    drawn = problem("slow-variables")
    functions, eigenvalues = drawn.slow_functions()
    runs = functions.reshape(len(drawn.slow) // 2, -1, 2)
    products = (runs[:, :-10] * runs[:, 10:]).mean(axis=1) / (functions**2).mean(axis=0)
    error = products.std(axis=0, ddof=1) / np.sqrt(len(products))
    assert (np.abs(products.mean(axis=0) - eigenvalues) < 4 * error).all()


def test_starts_that_are_no_frames_are_refused():
    drawn = problem("sampling-policies")
    for start in (-1.0, 0.5, 1e9):
        with pytest.raises(Refused, match="whole numbers from 0"):
            drawn.play(lambda asked, shapes, start=start: {"starts": np.full(shapes["starts"], start)})


def test_walkers_sent_back_to_the_start_find_less_than_those_that_go_on():
    drawn = problem("sampling-policies")
    back = drawn.play(lambda asked, shapes: {"starts": np.zeros(shapes["starts"])})
    on = drawn.play(
        lambda asked, shapes: {"starts": np.full(shapes["starts"], asked["frames"].shape[1] - 1.0)}
    )
    assert on.value > back.value + 3 * np.hypot(on.error, back.error)


@pytest.mark.long
def test_exact_forces_have_no_error():
    drawn = problem("potentials")
    score = drawn.play(lambda asked, shapes: {"forces": drawn.labels(asked["positions"])[1].astype(float)})
    assert score.value == 0.0
    hot, warm = drawn.withheld[10:], drawn.withheld[:10]
    assert (
        drawn.labels(hot.reshape(-1, 7, 3))[0].mean() > drawn.labels(warm.reshape(-1, 7, 3))[0].mean() + 5.0
    )


def test_every_task_has_a_null_model_among_our_entries():
    for task in TASKS:
        words = [entry.words for entry in own_entries(task.name)]
        assert len(words) >= 2
        assert sum(each.startswith("Null model") for each in words) == 1


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_our_methods_are_better_than_null_models(task):
    rows = [judge(task, entry) for entry in own_entries(task.name)]
    assert [row.cause for row in rows] == [""] * len(rows)
    (null,) = (row for row in rows if row.words.startswith("Null model"))
    sign = 1 if task.larger_is_better else -1
    for row in rows:
        assert row is null or sign * (row.value - null.value) > 3 * np.hypot(row.error, null.error)
