"""Strided counts do not overlap, effective ones are as many as are independent."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg.kinetics.counts.inefficiency as module
from thalweg.kinetics.counts.counting import Counting, Effective, Sliding, Strided
from thalweg.kinetics.counts.inefficiency import inefficiencies
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories


@pytest.fixture
def runs():
    random = np.random.default_rng(0)
    return [np.cumsum(random.random(n) < 0.1) % 5 for n in (3000, 800, 4, 60)]


def test_strided_counts_are_those_of_frames_a_lag_time_apart(runs):
    data = DiscreteTrajectories(runs, weights=[np.linspace(0.5, 1, len(r)) for r in runs])
    counts = Strided(offset=2).count(data, 7, n_blocks=5)
    exact = np.zeros((5, 5))
    for states, weights in zip(runs, data.weights):
        for t in range(2, len(states) - 7, 7):
            exact[states[t], states[t + 7]] += weights[t]
    np.testing.assert_allclose(counts.matrix.toarray(), exact)
    assert (counts.lagtime, counts.apart) == (7, 7)
    assert counts.report.used.tolist() == [428, 113, 0, 8]
    assert counts.n_blocks > 1


def test_strided_counts_of_all_offsets_are_the_sliding_ones(runs):
    strided = sum(Strided(k).count(runs, 5).matrix.toarray() for k in range(5))
    np.testing.assert_array_equal(strided, Sliding().count(runs, 5).matrix.toarray())


def plain_inefficiency(notes):
    """The sum of the module's docstring, shift by shift."""
    total, number = 1.0, sum(map(len, notes))
    for shift in range(1, number):
        taking_part = [n for n in notes if len(n) >= 2 ** (1 + int(np.log2(shift)))]
        if not taking_part:
            break
        _, targets = np.unique(np.concatenate(taking_part), return_inverse=True)
        chance = ((np.bincount(targets) / len(targets)) ** 2).sum()
        same = np.concatenate([n[shift:] == n[:-shift] for n in taking_part])
        rho = (same.mean() - chance) / (1 - chance) * (1 - shift / number)
        if rho <= 0:
            break
        total += 2 * rho
        if shift + 1 >= 5 * total:
            break
    return max(total, 1.0)


@pytest.mark.parametrize("lagtime", [1, 12])
def test_inefficiencies_are_those_of_a_plain_sum(runs, lagtime, monkeypatch):
    monkeypatch.setattr(module, "EVERY", 10**6)
    found = inefficiencies(DiscreteTrajectories(runs), lagtime)
    for state in range(5):
        notes = [r[lagtime:][r[:-lagtime] == state] for r in runs if len(r) > lagtime]
        assert found[state] == pytest.approx(plain_inefficiency([n for n in notes if len(n)]))


def test_runs_that_differ_do_not_make_all_counts_one():
    """Half of the runs change state twice as often: no reason to believe in a memory as long as the runs."""
    random = np.random.default_rng(0)
    runs = [np.cumsum(random.random(20000) < rate) % 3 for rate in (0.02, 0.04) * 3]
    alike = [np.cumsum(random.random(20000) < 0.03) % 3 for _ in range(6)]
    mixed, same = (Effective().count(data, 5).matrix.sum() for data in (runs, alike))
    assert 0.5 < mixed / same < 1.5


def test_many_short_runs_of_another_kind_do_not_lengthen_the_memory_of_a_long_one():
    random = np.random.default_rng(0)
    long = np.cumsum(random.random(100000) < 0.01) % 3
    short = [np.cumsum(random.random(int(n)) < 0.05) % 3 for n in random.integers(6, 30, 2000)]
    alone = inefficiencies(DiscreteTrajectories([long]), 5)
    assert (inefficiencies(DiscreteTrajectories([long, *short]), 5) < 2 * alone).all()


def test_the_integral_beyond_the_first_shifts_is_close_to_the_sum(runs, monkeypatch):
    found = inefficiencies(DiscreteTrajectories(runs), 40)
    monkeypatch.setattr(module, "EVERY", 10**6)
    np.testing.assert_allclose(found, inefficiencies(DiscreteTrajectories(runs), 40), rtol=0.03)


def test_effective_counts_change_no_probability(long_run):
    sliding = Sliding().count(long_run, 20).matrix.toarray()
    effective = Effective().count(long_run, 20).matrix.toarray()
    seen = sliding.sum(axis=1) > 0
    share = effective[seen].sum(axis=1) / sliding[seen].sum(axis=1)
    np.testing.assert_allclose(effective[seen], sliding[seen] * share[:, None])
    assert (share <= 1 + 1e-12).all()
    assert share.min() < 0.5


def test_counts_of_a_chain_at_its_own_step_are_independent(sample):
    effective = Effective().count(sample(1, 100000), 1).matrix.sum()
    assert effective == pytest.approx(99999, rel=0.02)


def test_a_state_left_always_in_the_same_way_is_given_the_lag_time():
    ring = np.tile([0, 1, 2], 100)
    assert inefficiencies(DiscreteTrajectories([ring], n_states=4), 4)[:3].tolist() == [4.0, 4.0, 4.0]
    assert np.isnan(inefficiencies(DiscreteTrajectories([ring], n_states=4), 4)[3])


@pytest.mark.parametrize("counting", [Sliding(), Strided(), Effective()])
def test_models_of_all_countings_agree_with_the_exact_chain(prinz, long_run, counting):
    assert isinstance(counting, Counting)
    model = MarkovStateModel(2, counting=counting).fit(long_run)
    assert model.timescales[0] == pytest.approx(prinz.timescales(1)[0], rel=0.1)


def test_a_negative_offset_is_refused(runs):
    with pytest.raises(ValueError, match="offset=-1 must be zero frames or more"):
        Strided(-1).count(runs, 2)
