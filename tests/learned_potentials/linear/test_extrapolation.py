"""The D-optimality grade: where a linear potential is interpolated and where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.learned_potentials.linear.design import Part
from thalweg.learned_potentials.linear.extrapolation import NOBODY, STOPPED, ActiveSet, site_rows
from thalweg.learned_potentials.linear.linear_term import LinearTerm, PlainFeatures
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import NoUncertainty
from thalweg.learned_potentials.uncertainty.graded import graded
from thalweg.learning.storage import load_tree, save_tree
from thalweg.representations.expansions.ace import ACE
from thalweg.systems.configuration import Configuration


def argon(distance):
    """Two atoms ``distance`` [nm] apart."""
    return Configuration(np.array([18, 18]), np.array([[0.0, 0, 0], [distance, 0, 0]]))


def cluster(seed, width=0.02, size=1.0):
    """A rattled tetrahedron with an atom in its middle."""
    corners = size * 0.2 * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    shaken = corners + np.random.default_rng(seed).normal(0, width, corners.shape)
    return Configuration(np.full(5, 18), shaken)


ONE = (Part(ACE(cutoff=0.5, levels=(1,), degrees=(0,), elements=(18,)), PlainFeatures(1, 1)),)
"""A single function of the distance, which falls off to the cutoff."""

SEVERAL = (Part(ACE(cutoff=0.6, levels=(4, 4), degrees=(0, 2), elements=(18,)), PlainFeatures(9, 1)),)


def test_with_one_function_the_grade_is_its_ratio_to_the_largest_of_the_training_set():
    training = [argon(r) for r in (0.3, 0.35, 0.4)]
    asked = [argon(r) for r in (0.25, 0.3, 0.45)]
    active = ActiveSet.of(ONE, training)
    (values, _, _), (seen, _, _) = site_rows(ONE, asked), site_rows(ONE, training)
    expected = np.abs(values[:, 0]) / np.abs(seen).max()
    np.testing.assert_allclose(np.concatenate(active.grades(ONE, asked)), expected, rtol=1e-12)
    assert active.frames[0].tolist() == [0]


def test_no_training_atom_is_extrapolated_and_squeezed_ones_are():
    training = [cluster(seed) for seed in range(30)]
    assert SEVERAL[0].basis.count == site_rows(SEVERAL, training[:1])[0].shape[1]
    active = ActiveSet.of(SEVERAL, training)
    assert max(grades.max() for grades in active.grades(SEVERAL, training)) <= 1.0101
    assert max(grades.max() for grades in active.grades(SEVERAL, [cluster(99, size=0.8)])) > 2


def test_directions_never_seen_have_large_grades():
    active = ActiveSet.of(SEVERAL, [cluster(0)])
    assert (active.frames[0] == NOBODY).any()
    assert np.concatenate(active.grades(SEVERAL, [cluster(1)])).max() > STOPPED


def test_frames_that_enter_the_active_set_are_those_beyond_it():
    training = [cluster(seed) for seed in range(30)]
    active = ActiveSet.of(SEVERAL, training)
    candidates = [training[3], cluster(98, size=0.7), cluster(99, size=0.8)]
    wider, entered = active.extended(SEVERAL, candidates, threshold=1.5)
    assert 0 not in entered
    assert len(entered) >= 1
    assert np.linalg.slogdet(wider.rows[0])[1] > np.linalg.slogdet(active.rows[0])[1]
    assert max(grades.max() for grades in wider.grades(SEVERAL, candidates)) <= 1.5 + 1e-9
    assert {len(training) + k for k in entered} <= set(wider.frames[0].tolist())


def test_a_potential_keeps_its_active_set_and_says_where_it_lacks_one(tmp_path):
    training = [cluster(seed) for seed in range(12)]
    term = LinearTerm(SEVERAL, np.zeros(9), None, 1.0)
    bare = LearnedPotential({18: 0.0}, (term,))
    with pytest.raises(NoUncertainty, match="no active set"):
        bare.grades(training)
    with pytest.raises(NoUncertainty, match="does not know its training set"):
        LearnedPotential({14: 0.0}, (stillinger_weber_silicon(),)).grades(training)
    potential = bare.with_active_set(training)
    again = load_tree(save_tree(tmp_path / "potential.npz", potential))
    for here, there in zip(potential.grades(training), again.grades(training)):
        np.testing.assert_array_equal(here, there)


def test_an_active_set_too_dear_is_one_of_a_small_expansion_and_the_card_says_so(tmp_path):
    training, term = [cluster(seed) for seed in range(12)], LinearTerm(SEVERAL, np.zeros(9), None, 1.0)
    bare = LearnedPotential({18: 0.0}, (term,))
    spanned = graded(bare, training, work=100.0)
    assert "functions of an expansion" in spanned.card["active_set"]["rows"]
    assert spanned.card["active_set"]["frames"] == 1
    here, far = spanned.grades([training[0], cluster(99, size=0.8)])
    assert here.max() < 1.01 < far.max()
    made = graded(bare, training, [cluster(99, size=0.8), *training[:3]])
    assert made.card["active_set"]["held_out_beyond_2"] == 1
    assert made.card["active_set"]["held_out_median"] <= 1.01
    assert graded(LearnedPotential({14: 0.0}, (stillinger_weber_silicon(),)), []).card == {}


def test_grades_do_not_depend_on_how_many_frames_are_asked_at_once():
    training = [cluster(seed) for seed in range(12)]
    active = ActiveSet.of(SEVERAL, training)
    several = active.grades(SEVERAL, training)
    for frame, grades in zip(training, several):
        np.testing.assert_allclose(active.grades(SEVERAL, [frame])[0], grades, rtol=1e-6)
