"""Frames drawn of states, along coordinates and from models are of these, and their structures come from files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from thalweg.interop import read_topology, structures, write_trajectory
from thalweg.kinetics import DiscreteTrajectories, MarkovStateModel, frames_along, known_chain, sampled_frames
from thalweg.testsystems.chain import timescales
from thalweg.time_series import ShuffleSplit, cross_validate

CHAIN = np.array([[0.9, 0.1, 0.0], [0.05, 0.85, 0.1], [0.0, 0.2, 0.8]])


def test_frames_of_a_state_are_in_it_and_drawn_alike():
    rng = np.random.default_rng(0)
    labels = [rng.integers(0, 4, 300), rng.integers(0, 4, 50), np.array([7])]
    frames = sampled_frames(labels, per_state=20)
    assert sorted(frames) == [0, 1, 2, 3, 7]
    for state, chosen in frames.items():
        assert len(chosen) == (1 if state == 7 else 20)
        assert len(np.unique(chosen, axis=0)) == len(chosen)
        assert all(labels[run][frame] == state for run, frame in chosen)
    # how often a frame of the first run is drawn, over many seeds: its share of the frames of the state
    share = np.mean([(sampled_frames(labels, 5, seed=seed)[0][:, 0] == 0).mean() for seed in range(300)])
    counts = [(run == 0).sum() for run in labels]
    assert share == pytest.approx(counts[0] / sum(counts), abs=0.03)


def test_frames_of_sets_are_those_of_their_states():
    labels = [np.arange(12) % 6]
    frames = sampled_frames(labels, 3, sets=np.array([0, 0, 1, 1, -1, 2]))
    assert sorted(frames) == [0, 1, 2]
    assert set(labels[0][frames[1][:, 1]]) <= {2, 3}
    with pytest.raises(ValueError, match="sets has 2 entries for 6 states"):
        sampled_frames(labels, 3, sets=np.array([0, 1]))


def test_frames_along_a_coordinate_are_the_nearest_to_even_steps():
    rng = np.random.default_rng(0)
    runs = [rng.uniform(-3, 7, (4000, 2)), rng.uniform(-3, 7, (1000, 2))]
    chosen = frames_along(runs, 11, coordinate=1)
    values = np.array([runs[run][frame, 1] for run, frame in chosen])
    np.testing.assert_allclose(values, np.linspace(-3, 7, 11), atol=0.02)
    assert len(np.unique(frames_along([np.zeros((5, 1))], 5), axis=0)) == 5
    gap = [np.array([[0.0], [0.1], [0.2], [9.8], [9.9], [10.0]])]
    assert len(np.unique(frames_along(gap, 6), axis=0)) == 6
    with pytest.raises(ValueError, match="coordinate=2 of 2"):
        frames_along(runs, 3, coordinate=2)


def test_structures_are_the_frames_of_the_files(tmp_path):
    from importlib.resources import files

    pdb = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"
    (tmp_path / "p.pdb").write_bytes(pdb.read_bytes())
    topology = read_topology(tmp_path / "p.pdb")
    rng = np.random.default_rng(0)
    walks = [rng.random((length, len(topology), 3)) for length in (30, 20)]
    paths = [tmp_path / "a.dcd", tmp_path / "b.dcd"]
    for path, walk in zip(paths, walks):
        write_trajectory(path, walk, topology)
    wanted = np.array([[1, 3], [0, 29], [1, 0], [0, 5]])
    found = structures(wanted, paths, topology)
    expected = np.stack([walks[run][frame] for run, frame in wanted])
    np.testing.assert_allclose(found.xyz, expected, atol=1e-5)
    with pytest.raises(ValueError, match="has 20 frames, frame 20 was asked for"):
        structures(np.array([[1, 20]]), paths, topology)
    with pytest.raises(ValueError, match="file 2 of 2"):
        structures(np.array([[2, 0]]), paths, topology)


def test_walks_of_a_model_have_its_transitions_and_populations():
    model = known_chain(CHAIN)
    walks = model.simulate(40_000, runs=2)
    again = MarkovStateModel(1).fit(walks)
    np.testing.assert_allclose(again.transition_matrix, CHAIN, atol=0.01)
    np.testing.assert_allclose(again.stationary_distribution, model.stationary_distribution, atol=0.02)
    assert again.timescales[0] == pytest.approx(timescales(CHAIN, 1)[0], rel=0.1)
    assert not np.array_equal(walks[0], walks[1])


def test_walks_keep_original_numbers_and_begin_where_asked():
    labels = [np.array([3, 5] * 50 + [3, 3, 5, 5] * 20), np.array([8])]
    model = MarkovStateModel(2).fit(labels)
    walk = model.simulate(200, start=5)
    assert walk[0][0] == 5
    assert set(walk[0]) == {3, 5}
    assert walk.dt == 2 * model.dt
    with pytest.raises(ValueError, match="start=8 is no active state"):
        model.simulate(10, start=8)


def test_counts_made_elsewhere_give_the_model_of_these_counts():
    counts = np.array([[100.5, 3.2, 0], [2.9, 50.0, 1.1], [0, 1.3, 20.7]])
    dense, sparse = MarkovStateModel(1).fit_counts(counts), MarkovStateModel(1).fit_counts(csr_array(counts))
    np.testing.assert_allclose(dense.transition_matrix, sparse.transition_matrix)
    flow = dense.stationary_distribution[:, None] * dense.transition_matrix
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    # states in a row balance themselves, whatever the counts: p_ij = c_ij / c_i
    np.testing.assert_allclose(dense.transition_matrix, counts / counts.sum(axis=1, keepdims=True), atol=1e-9)
    whole = MarkovStateModel(1).fit([np.array([0, 1, 1, 0, 1, 0, 0])])
    again = MarkovStateModel(1).fit_counts(whole.counts.matrix)
    np.testing.assert_allclose(again.transition_matrix, whole.transition_matrix)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), "needed is a square matrix"),
        (np.array([[1.0, -1.0], [1.0, 1.0]]), "finite and not negative"),
        (np.array([[1.0, np.nan], [1.0, 1.0]]), "finite and not negative"),
        (np.zeros((2, 2)), "holds no transitions"),
    ],
)
def test_what_is_no_matrix_of_counts_is_answered_with_the_reason(matrix, message):
    with pytest.raises(ValueError, match=message):
        MarkovStateModel(1).fit_counts(matrix)


def test_a_matrix_given_for_trajectories_is_answered_with_where_it_goes():
    with pytest.raises(ValueError, match=r"fit_counts\(matrix\)"):
        MarkovStateModel(1).fit(CHAIN)


def test_populations_times_the_transition_matrix_are_populations_by_any_product():
    model = known_chain(CHAIN)
    pi = model.stationary_distribution
    for product in (np.dot(pi, model.transition_matrix), pi @ model.transition_matrix):
        np.testing.assert_allclose(product, pi)
    assert np.sort(np.linalg.eig(model.transition_matrix)[0].real)[-1] == pytest.approx(1)


def test_arrays_of_states_are_cross_validated_as_they_are():
    rng = np.random.default_rng(0)
    runs = [np.cumsum(rng.random(400) < 0.05) % 2 for _ in range(4)]
    plain = cross_validate(MarkovStateModel(1), runs, ShuffleSplit(3))
    wrapped = cross_validate(MarkovStateModel(1), DiscreteTrajectories(runs), ShuffleSplit(3))
    np.testing.assert_allclose(plain.held_out, wrapped.held_out)
    assert 1 < plain.mean < 2
    assert 1 < cross_validate(MarkovStateModel(1), np.concatenate(runs), ShuffleSplit(2)).mean < 2
