"""A chain of cells answers where few windows leave a well, and a ridge does not kill who waits in it."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.kinetics.galerkin.cell_answer import _cell_values
from thalweg.kinetics.galerkin.dynamical_galerkin import DynamicalGalerkin
from thalweg.kinetics.galerkin.forms import Forms, RidgeChoice, given_ridge, solved
from thalweg.kinetics.known_chain import known_chain
from thalweg.kinetics.reactions.committor import committor
from thalweg.kinetics.reactions.passage_times import first_passage_times
from thalweg.kinetics.reactions.regions import Intervals
from thalweg.testsystems.chain import sampled_states
from thalweg.time_series.trajectories import Trajectories

STATES = 31


def three_wells(barrier: float) -> np.ndarray:
    """Metropolis hops between neighbors among three wells, the barrier to the last lower by 3 kT."""
    x = np.linspace(-1.5, 1.5, STATES)
    energy = barrier * np.sin(np.pi * x) ** 2 - 3.0 * ((x > 0) & (x < 1))
    matrix = np.zeros((STATES, STATES))
    for i in range(STATES):
        for j in (i - 1, i + 1):
            if 0 <= j < STATES:
                matrix[i, j] = 0.5 * min(1.0, np.exp(energy[i] - energy[j]))
    matrix[np.diag_indices(STATES)] = 1 - matrix.sum(axis=1)
    return matrix


def test_cells_answer_as_the_chain_they_were_counted_from():
    """Committor and passage time over ten kT, whatever the begins; a cell from which nothing leads is no harm."""
    matrix = three_wells(10.0)
    chain = known_chain(matrix, lag=1.0)
    begun = np.random.default_rng(0).uniform(1, 2, STATES)
    counts = begun[:, None] * matrix
    inner, ends = counts[1:-1, 1:-1], counts[1:-1][:, [0, -1]]
    apart = np.zeros((STATES - 1, STATES + 1))
    apart[:-1, : STATES - 2], apart[:-1, -2:], apart[-1, STATES - 2] = inner, ends, 5.0
    found = _cell_values(apart, np.zeros(STATES - 1), (0.0, 1.0))
    np.testing.assert_allclose(found[:-1], committor(chain, [0], [STATES - 1])[1:-1], rtol=1e-6)
    assert found[-1] == pytest.approx(found[:-1].mean())
    times = _cell_values(counts[:-1], begun[:-1], (0.0,))
    np.testing.assert_allclose(times, first_passage_times(chain, [STATES - 1])[:-1], rtol=1e-6)


def test_a_ridge_drawn_to_the_chain_does_not_kill_who_waits_in_a_well():
    """One window in a hundred thousand leaves: ten of ten thousand, drawn to zero, forget the passage time."""
    matrix = three_wells(10.0)
    known = first_passage_times(known_chain(matrix, lag=1.0), [STATES - 1])[:-1]
    inside, share = matrix[:-1, :-1], 1 / (STATES - 1)
    identity = np.eye(STATES - 1) * share
    changes, sources = share * (inside - np.eye(STATES - 1)), np.full(STATES - 1, share)
    forms = Forms(np.ones(1), identity[None], changes[None, None], sources[None, None], 1)
    ridge = RidgeChoice(1e-3, np.full(STATES - 1, share**0.5), np.zeros(0))
    assert solved(forms, ridge)[5] < 0.05 * known[5]
    np.testing.assert_allclose(solved(forms, ridge, -known), known, rtol=1e-6)


def test_mistakes_at_the_rim_of_a_well_do_not_decide_about_all_of_it():
    """Smooth functions follow the barriers only nearly: what is left over, divided by the leak, were all there is."""
    matrix = three_wells(10.0)
    known = first_passage_times(known_chain(matrix, lag=1.0), [STATES - 1])[:-1]
    places = np.arange(STATES - 1.0)
    smooth = np.exp(-(((places[:, None] - np.linspace(0, STATES, 14)) / 3) ** 2))
    mass = smooth.T @ smooth / len(places)
    changes = smooth.T @ (matrix[:-1, :-1] - np.eye(STATES - 1)) @ smooth / len(places)
    forms = Forms(np.ones(1), mass[None], changes[None, None], smooth.mean(axis=0)[None, None], 1)
    drawn = np.linalg.lstsq(smooth, known, rcond=None)[0]
    plain, beside = (smooth @ solved(forms, given_ridge(forms, 1e-3, slow), -drawn) for slow in (0, 3))
    assert abs(plain[5] / known[5] - 1) > 0.2
    np.testing.assert_allclose(beside[[5, 15]], known[[5, 15]], rtol=0.05)


@pytest.mark.long
def test_passage_times_of_a_well_left_by_less_than_ten_windows_are_within_their_errors_and_it_is_told():
    matrix, places = three_wells(7.0), np.arange(float(STATES))[:, None]
    chain = known_chain(matrix, lag=1.0)
    walks = sampled_states(matrix, 1500, 40, np.full(STATES, 1 / STATES), np.random.default_rng(0))
    a, b = Intervals((-1.0,), (0.5,)), Intervals((29.5,), (31.0,))
    model = DynamicalGalerkin(a, b, 5, Indicators(places), every=2, samples=20).fit(
        Trajectories([places[walk] for walk in walks])
    )
    at = np.array([[1.0], [5.0], [15.0]])
    known = committor(chain, [0], [STATES - 1])[[1, 5, 15]]
    error = model.committor.error(at)
    assert (np.abs(model.transform(at)[:, 0] - known) < 4 * error + 1e-3).all()
    # the guess is a half: an answer nobody knows would err by as much
    assert error.max() < 0.2
    times = first_passage_times(chain, [STATES - 1])[[1, 5, 15]]
    found = model.passage_to_b.transform(at)[:, 0]
    np.testing.assert_array_less(np.abs(found - times), 4 * model.passage_to_b.error(at))
    # killed by ten of 12,000 windows of five steps walkers would be gone after 6,000 steps of 128,000
    assert (np.abs(np.log(found / times)) < np.log(3)).all()
    assert any("would leave the slowest well" in note for note in model.notes)
