"""Pathways carry the whole flux, widest first, between states and between sets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array

from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.macrostates.sign_structure import sign_sets
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.reactions.committor import committor
from thalweg.kinetics.reactions.hitting import first_hits, passage_times
from thalweg.kinetics.reactions.passage_times import mean_first_passage_time
from thalweg.kinetics.reactions.pathways import pathways
from thalweg.kinetics.reactions.transition_paths import ReactiveFlux, coarse_grained, reactive_flux


def flux_of(net, start, target):
    """A flux with these net flows."""
    net = np.asarray(net, float)
    total = net[start].sum()
    states = np.full(len(net), 1 / len(net))
    ends = np.asarray(start), np.asarray(target)
    return ReactiveFlux(csr_array(net), float(total), 1.0, np.full(len(net), 0.5), *ends, states)


@pytest.fixture(scope="module")
def maze():
    """Counts among twelve states on a random graph, both ways."""
    random = np.random.default_rng(2)
    states = [0]
    graph = [random.choice(12, 4, replace=False) for _ in range(12)]
    for _ in range(60000):
        states.append(int(random.choice(graph[states[-1]])))
    return np.array(states)


def test_the_widest_path_comes_first_though_it_is_longer():
    net = np.zeros((5, 5))
    net[0, 1], net[1, 4] = 2.0, 2.0
    net[0, 2], net[2, 3], net[3, 4] = 3.0, 3.0, 3.0
    found = pathways(flux_of(net, [0], [4]), share=1.0)
    assert [way.states for way in found] == [(0, 2, 3, 4), (0, 1, 4)]
    assert [way.flux for way in found] == [3.0, 2.0]
    assert found[0].share == pytest.approx(0.6)
    assert found[0].bottleneck == (0, 2)


@pytest.mark.parametrize("estimator", [None, Nonreversible()])
def test_capacities_add_up_to_the_flux_and_fall(maze, estimator):
    options = {} if estimator is None else {"estimator": estimator}
    flux = reactive_flux(MarkovStateModel(1, **options).fit([maze]), [0, 5], [7, 3])
    found = pathways(flux, share=1.0)
    assert sum(way.flux for way in found) == pytest.approx(flux.total, rel=1e-6)
    assert (np.diff([way.flux for way in found]) < 1e-12).all()
    for way in found:
        assert way.states[0] in (0, 5)
        assert way.states[-1] in (7, 3)
        assert len(set(way.states)) == len(way.states)
    carried = np.zeros((12, 12))
    for way in found:
        for i, j in pairwise(way.states):
            carried[i, j] += way.flux
    assert (carried <= flux.net.toarray() + 1e-9).all()


def test_the_first_path_is_the_widest_of_all_paths(maze):
    flux = reactive_flux(MarkovStateModel(1).fit([maze]), [0], [7])
    net = flux.net.toarray()

    def widest(state, visited, width):
        """By trying all paths."""
        if state == 7:
            return width
        return max(
            (
                widest(j, visited | {j}, min(width, net[state, j]))
                for j in np.flatnonzero(net[state])
                if j not in visited
            ),
            default=0.0,
        )

    assert pathways(flux)[0].flux == pytest.approx(widest(0, {0}, np.inf))


def test_fewer_paths_are_given_if_fewer_are_asked_for(maze):
    flux = reactive_flux(MarkovStateModel(1).fit([maze]), [0], [7])
    assert len(pathways(flux, share=1.0, most=2)) == 2
    few = pathways(flux, share=0.5)
    assert 0.5 <= sum(way.share for way in few) < 1
    with pytest.raises(ValueError, match=r"share=1.5 must lie between zero and one"):
        pathways(flux, share=1.5)


def test_flux_between_sets_conserves_the_total(maze):
    flux = reactive_flux(MarkovStateModel(1).fit([maze]), [0, 5], [7])
    sets = np.array([0, 1, 1, 2, 2, 0, 3, 4, 3, 2, 1, 3])
    few = coarse_grained(flux, sets)
    net = few.net.toarray()
    assert net[0].sum() == pytest.approx(flux.total)
    assert net[:, 4].sum() == pytest.approx(flux.total)
    for inner in (1, 2, 3):
        assert net[inner].sum() == pytest.approx(net[:, inner].sum())
    assert few.committor[[0, 4]].tolist() == [0.0, 1.0]
    assert sum(way.flux for way in pathways(few, share=1.0)) == pytest.approx(flux.total)
    np.testing.assert_allclose(few.stationary_distribution.sum(), 1)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (np.zeros(11, int), r"sets has shape \(11,\)"),
        (np.zeros(12, int), r"sets \[0\] hold states of A and others"),
        (np.array([0, -1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]), r"active states \[1\] are in no set"),
    ],
)
def test_sets_that_mix_ends_with_others_are_refused(maze, sets, message):
    flux = reactive_flux(MarkovStateModel(1).fit([maze]), [0], [7])
    with pytest.raises(ValueError, match=message):
        coarse_grained(flux, sets)


def test_first_hits_of_two_sets_are_committors_and_of_more_add_to_one(maze):
    model = MarkovStateModel(1).fit([maze])
    np.testing.assert_allclose(first_hits(model, [[0], [7]])[:, 1], committor(model, [0], [7]))
    three = first_hits(model, [[0, 1], [7], [4]])
    np.testing.assert_allclose(three.sum(axis=1), 1)
    merged = three[:, 1] + three[:, 2]
    np.testing.assert_allclose(merged, committor(model, [0, 1], [7, 4]))
    with pytest.raises(ValueError, match="sets overlap"):
        first_hits(model, [[0, 1], [1]])


def test_passage_times_have_the_moments_of_their_distribution(maze):
    model = MarkovStateModel(1).fit([maze])
    times = passage_times(model, [0, 2], [7], steps=3000)
    assert times.late < 1e-9
    assert times.mean == pytest.approx(times.probabilities @ times.times)
    assert times.mean == pytest.approx(mean_first_passage_time(model, [0, 2], [7]))
    square = times.probabilities @ times.times**2
    assert times.spread == pytest.approx(np.sqrt(square - times.mean**2))
    with pytest.raises(ValueError, match="start and target overlap"):
        passage_times(model, [0], [0, 1])


def test_a_rare_passage_is_spread_as_widely_as_its_mean():
    random = np.random.default_rng(0)
    side = np.cumsum(random.random(50000) < 0.005) % 2
    model = MarkovStateModel(1).fit([2 * side + random.integers(0, 2, 50000)])
    times = passage_times(model, [0, 1], [2, 3], steps=10)
    assert times.spread / times.mean == pytest.approx(1, abs=0.01)
    assert times.late > 0.9


def test_signs_and_simplex_find_the_same_wells(long_run):
    model = MarkovStateModel(2).fit(long_run)
    crisp, fuzzy = sign_sets(model, 4), metastable_sets(model, 4)
    inside = np.nan_to_num(fuzzy.memberships).max(axis=1) > 0.8
    same = crisp.assignments[inside] == fuzzy.assignments[inside]
    assert same.mean() > 0.95
    assert crisp.populations.sum() == pytest.approx(1)
    assert set(np.unique(crisp.assignments)) <= {-1, 0, 1, 2, 3}
    np.testing.assert_array_equal(np.isnan(crisp.memberships[:, 0]), np.isnan(fuzzy.memberships[:, 0]))


def test_signs_need_detailed_balance_and_enough_states(long_run):
    with pytest.raises(ValueError, match="PCCA needs a reversible model"):
        sign_sets(MarkovStateModel(2, estimator=Nonreversible()).fit(long_run), 2)
    with pytest.raises(ValueError, match="n_sets=99 must lie between 2"):
        sign_sets(MarkovStateModel(2).fit(long_run), 99)
