"""Scores of Markov models are those of their functions, on the states of the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from thalweg.kinetics.counts.active_set import ActiveStates
from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.scores import gmrq, vamp_score_of_counts
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.testsystems.chain import eigenvalues
from thalweg.time_series.cross_validation import ShuffleSplit, cross_validate


def test_the_exact_functions_score_what_the_spectrum_says(prinz, chain):
    """With exact counts VAMP-r is the sum of r-th powers of eigenvalues, and GMRQ their sum."""
    flow = csr_array(prinz.stationary_distribution[:, None] * chain)
    values = eigenvalues(chain, 4)
    functions = np.linalg.eig(chain)
    functions = np.real(functions.eigenvectors[:, np.argsort(-np.real(functions.eigenvalues))[:4]])
    assert vamp_score_of_counts(flow, functions, r=2) == pytest.approx((values**2).sum())
    assert vamp_score_of_counts(flow, functions, r=1) == pytest.approx(values.sum())
    assert gmrq(flow, functions) == pytest.approx(values.sum())
    mixed = functions @ np.random.default_rng(0).standard_normal((4, 4))
    assert vamp_score_of_counts(flow, mixed, r=2) == pytest.approx((values**2).sum())


def test_no_functions_score_higher_than_the_exact_ones(prinz, chain):
    flow = csr_array(prinz.stationary_distribution[:, None] * chain)
    best = (eigenvalues(chain, 3) ** 2).sum()
    random = np.random.default_rng(0)
    for _ in range(20):
        assert vamp_score_of_counts(flow, random.standard_normal((60, 3)), r=2) < best


def test_scores_of_training_data_exceed_those_of_other_data_and_both_surround_the_exact(chain, sample):
    exact = (eigenvalues(np.linalg.matrix_power(chain, 2), 4) ** 2).sum()
    pairs = []
    for seed in range(6):
        train, test = sample(20, 500, seed=seed), sample(20, 500, seed=100 + seed)
        model = MarkovStateModel(2, n_processes=3).fit(train)
        pairs.append((model.score(train), model.score(test)))
    training, held_out = np.array(pairs).T
    assert training.mean() > held_out.mean()
    error = held_out.std(ddof=1) / np.sqrt(6)
    assert held_out.mean() < exact + 3 * error


def test_states_thrown_away_are_not_rewarded(long_run, sample):
    """The same model that speaks of the left half only scores worse than the whole."""
    test = sample(10, 3000, seed=9)
    whole = MarkovStateModel(2, n_processes=2).fit(long_run)
    kept = whole.active.states[whole.active.states < 30]
    half = ActiveStates(kept, whole.n_states, 0.5)
    within = whole.method.estimator.fit(half.restrict(whole.counts.matrix))
    part = replace(whole, active=half, fit=within)
    assert part.score(test) < whole.score(test) - 0.2
    assert part.gmrq(test) < whole.gmrq(test) - 0.1


def test_states_a_model_never_saw_are_part_of_its_score(long_run):
    model = MarkovStateModel(2, n_processes=2).fit(long_run)
    known = model.score(long_run)
    random = np.random.default_rng(0)
    blocks = [np.where(random.random(len(b)) < 0.7, b, 77) for b in long_run.blocks]
    assert model.score(DiscreteTrajectories(blocks, dt=long_run.dt)) < known - 0.1


def test_models_without_detailed_balance_are_scored_by_real_functions():
    random = np.random.default_rng(0)
    ring = np.cumsum(random.random(30000) < 0.6) % 5
    model = MarkovStateModel(1, estimator=Nonreversible(), n_processes=2).fit([ring])
    assert np.iscomplexobj(model.eigenvalues)
    sizes = np.abs(model.eigenvalues) ** 2
    assert model.score([ring]) == pytest.approx(sizes.sum(), rel=1e-3)


def test_more_states_do_not_deceive_cross_validation(long_run):
    """Sixty states overfit little data in training, not when held out."""
    few = DiscreteTrajectories([b[:150] for b in long_run.blocks], dt=long_run.dt, n_states=60)
    result = cross_validate(MarkovStateModel(2, n_processes=3), few, ShuffleSplit(6), parts=20)
    assert result.mean < np.nanmean(result.training)
    assert not result.failures


def test_an_impossible_score_is_refused(long_run):
    model = MarkovStateModel(2).fit(long_run)
    with pytest.raises(ValueError, match=r"r=0 must be at least one"):
        model.score(long_run, r=0)
    with pytest.raises(ValueError, match="leaves no pairs"):
        model.score([np.array([0, 1])])
    empty = transition_counts([np.array([0, 1])], 1).matrix * 0
    with pytest.raises(ValueError, match="no pairs of frames"):
        vamp_score_of_counts(empty, np.ones((2, 1)))
