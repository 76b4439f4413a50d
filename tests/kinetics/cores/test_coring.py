"""Cores make transitions what they are: visits elsewhere that last."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.cores.core_set_model import CoreSets
from thalweg.kinetics.cores.coring import (
    cored,
    cores_of_clusters,
    cores_of_sets,
    dynamical_coring,
    milestones,
    transition_based_assignment,
)
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.clustering import KMeans
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import timescale_errors
from thalweg.testsystems.chain import chain_committor
from thalweg.time_series.trajectories import Trajectories


@pytest.fixture(scope="module")
def sets(long_run):
    return metastable_sets(MarkovStateModel(2).fit(long_run), 4)


@pytest.fixture(scope="module")
def divided(long_run, sets):
    """The four wells, divided in the middle of the barriers."""
    blocks = [sets.assignments[b] for b in long_run.blocks]
    return DiscreteTrajectories([np.where(b < 0, 0, b) for b in blocks], dt=long_run.dt)


def test_a_way_between_cores_is_divided_in_its_middle():
    way = [np.array([-1, 0, -1, -1, -1, 1, -1, 0, -1])]
    data = cored([np.array([2, 0, 2, 2, 2, 1, 2, 0, 2])], np.array([0, 1, -1]))
    np.testing.assert_array_equal(data.blocks[0], way[0])
    assigned = transition_based_assignment(data)
    assert assigned.blocks[0].tolist() == [0, 0, 0, 1, 1, 1, 0]


def test_weights_stay_with_their_frames():
    runs = DiscreteTrajectories(
        [np.array([1, 0, 1, 2, 1]), np.array([1, 1])], weights=[np.arange(5.0), np.ones(2)]
    )
    assigned = transition_based_assignment(runs, np.array([0, -1, 1]))
    assert len(assigned) == 1
    assert assigned.weights[0].tolist() == [1.0, 2.0, 3.0]


def test_last_and_next_cores_are_those_of_a_loop():
    cores = np.random.default_rng(0).integers(-3, 3, 300).clip(-1)
    last, coming = milestones(cores)
    for t in range(300):
        earlier, later = cores[: t + 1][cores[: t + 1] >= 0], cores[t:][cores[t:] >= 0]
        assert last[t] == (earlier[-1] if len(earlier) else -1)
        assert coming[t] == (later[0] if len(later) else -1)


def test_every_state_lasts_the_dwell_time_after_dynamical_coring():
    states = np.random.default_rng(0).choice(3, 5000, p=[0.6, 0.3, 0.1])
    cut = dynamical_coring([states], dwell=4).blocks[0]
    lengths = np.diff(np.append(np.flatnonzero(np.diff(cut, prepend=-1)), len(cut)))
    assert lengths.min() >= 4
    assert dynamical_coring([states], dwell=1).blocks[0].tolist() == states.tolist()


def test_dynamical_coring_undoes_flicker():
    """Flickers of one frame make a division into two states forget its timescale of 50 steps; coring does not."""
    random = np.random.default_rng(0)
    side = np.cumsum(random.random(60000) < 0.01) % 2
    seen = np.where(random.random(60000) < 0.05, 1 - side, side)
    assert MarkovStateModel(1).fit([seen]).timescales[0] < 10
    estimate = timescale_errors(MarkovStateModel(1).fit(dynamical_coring([seen], 4)), samples=20)
    assert abs(estimate.value[0] - 50) < 3 * estimate.error[0] + 4  # coring misses visits below four frames


@pytest.mark.parametrize("lagtime", [2, 5])
def test_milestoning_is_right_where_a_division_into_the_same_wells_is_not(
    prinz, long_run, sets, divided, lagtime
):
    exact = prinz.timescales(3)
    model = CoreSets(lagtime, cores_of_sets(sets, 0.85)).fit(long_run)
    estimate = model.timescale_errors(samples=40)
    plain = timescale_errors(MarkovStateModel(lagtime, n_processes=3).fit(divided), samples=40)
    distance = np.abs(np.log(estimate.value / exact))
    assert (distance < np.abs(np.log(plain.value / exact))).all()
    assert (np.abs(estimate.value - exact) < 3 * estimate.error + 0.05 * exact).all()
    assert plain.value[1] < exact[1] - 3 * plain.error[1]
    np.testing.assert_allclose(model.transition_matrix.sum(axis=1), 1)


def test_populations_of_cores_are_mean_committors(prinz, chain, long_run, sets):
    cores = cores_of_sets(sets, 0.85)
    model = CoreSets(3, cores).fit(long_run)
    exact = [
        prinz.stationary_distribution @ chain_committor(chain, (cores >= 0) & (cores != k), cores == k)
        for k in range(4)
    ]
    np.testing.assert_allclose(model.stationary_distribution, exact, atol=0.03)


def test_cores_that_fill_the_states_give_the_counts_of_a_markov_model(long_run):
    """Without space between cores last and next core are the state itself."""
    wells = [b // 15 for b in long_run.blocks[:4]]
    model, plain = CoreSets(2).fit(wells), MarkovStateModel(2).fit(wells)
    np.testing.assert_array_equal(model.counts.lagged.sum(axis=0), plain.counts.matrix.toarray())


def test_frames_far_from_their_centers_are_in_no_core():
    x = np.concatenate([np.random.default_rng(0).standard_normal((500, 1)) * 0.5 + c for c in (0, 6)])
    clustering = KMeans(2).fit(x)
    data = cores_of_clusters(clustering, Trajectories([x], dt=0.1), share=0.3)
    inside = data.blocks[0] >= 0
    assert inside.mean() == pytest.approx(0.3, abs=0.01)
    centers = clustering.centers[clustering.transform(x), 0]
    assert np.abs(x[inside, 0] - centers[inside]).max() < np.abs(x[~inside, 0] - centers[~inside]).max()
    assert data.dt == 0.1
    assert CoreSets(1).fit(cored(data)).counts.together.shape[1:] == (2, 2)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: dynamical_coring([np.array([0, 1, 0])], 0), "dwell=0 must be at least one frame"),
        (lambda: dynamical_coring([np.array([0, 1, 0])], 5), "no trajectory stays in a core"),
        (lambda: cored([np.array([0, 1, 2])], np.array([0, 1])), r"cores has shape \(2,\)"),
        (lambda: cored([np.array([0, 1, 2])], np.array([0, -1, 2])), "cores must be numbered from 0"),
        (
            lambda: CoreSets(1, np.array([0, -1, 1])).fit([np.array([0, 1, 0, 2])]),
            r"cores \[1\] are never left",
        ),
        (
            lambda: CoreSets(9, np.array([0, -1, 1])).fit([np.array([0, 1, 0, 2])]),
            "lagtime=9 leaves no pairs",
        ),
    ],
)
def test_what_cannot_be_cored_is_answered_with_the_reason(act, message):
    with pytest.raises(ValueError, match=message):
        act()


def test_sets_without_a_core_are_named(sets):
    with pytest.raises(ValueError, match=r"sets \[.*\] have no state of membership 0.999"):
        cores_of_sets(sets, 0.999)
