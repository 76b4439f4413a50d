"""An envelope of confidence: verdicts follow errors, strangers are outside, and what cannot calibrate is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.confidence.envelope import (
    DOUBTED,
    INSIDE,
    LABELS,
    OUTSIDE,
    Envelope,
    _doubted,
    _some,
    _vague,
    verdict_of,
)
from thalweg.learned_potentials.gradient_domain.site_term import SiteGradientDomainTerm
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.networks.element_networks import Network
from thalweg.learned_potentials.networks.gradient_training import GradientTraining
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.uncertainty.calibrated import force_errors, usual_error
from thalweg.learning.calibration import rank_correlation, roc_area
from thalweg.learning.optimizers import Adam
from thalweg.learning.trainer import Trainer
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.symmetry_functions import SymmetryFunctions, radial_grid
from thalweg.systems.configuration import Configuration

TRUTH = morse((1,), [400.0], [20.0], [0.074], cutoff=0.5)
SMALL = ACE(cutoff=0.4, levels=(6, 5))


def triangles(count, size, seed):
    """Three atoms displaced by normal deviates of a ``size`` [nm], labeled."""
    moved = size * np.random.default_rng(seed).normal(size=(count, 3, 3))
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0.04, 0.1, 0]])
    frames = [Configuration(np.array([1, 1, 1]), corners + each) for each in moved]
    said = TRUTH.evaluate(frames)
    return [replace(f, energy=e, forces=g) for f, e, g in zip(frames, said.energies, said.forces)]


@pytest.fixture(scope="module")
def envelope():
    return Envelope.of(None, triangles(40, 0.004, 1), triangles(20, 0.004, 2), SMALL)


@pytest.mark.long
def test_scores_tell_frames_of_large_errors_from_others(envelope):
    like, hot = triangles(40, 0.004, 3), triangles(40, 0.016, 4)
    errors = force_errors(envelope.potential, [*like, *hot])
    bad = errors > 3 * np.sqrt(np.mean(errors[:40] ** 2))
    scores = envelope.score([*like, *hot])
    assert 10 < bad.sum() < 50
    assert roc_area(scores, bad) > 0.9
    assert rank_correlation(scores, errors) > 0.7
    verdicts = np.array(envelope.verdicts([*like, *hot]))
    assert (verdicts[:40] == "inside").mean() > 0.8
    assert (verdicts[bad] != "inside").mean() > 0.9
    own = errors > 3 * envelope.usual
    expected = envelope.probabilities([*like, *hot]).sum()
    assert expected == pytest.approx(own.sum(), rel=0.25)  # of some 30, known to two of its deviations


@pytest.mark.long
def test_unknown_elements_and_atoms_that_left_are_outside(envelope):
    frame = triangles(1, 0.004, 5)[0]
    helium = replace(frame, numbers=np.array([1, 1, 2]))
    gone = replace(frame, positions=frame.positions * np.array([[1], [20], [1]]))
    assert envelope.score([helium])[0] == np.inf
    assert envelope.verdicts([helium, gone]) == ["outside", "outside"]
    with pytest.raises(ValueError, match="frame 1 has coordinates"):
        envelope.score([frame, replace(frame, positions=np.nan * frame.positions)])


@pytest.mark.long
def test_a_saved_envelope_says_the_same(envelope, tmp_path):
    frames = triangles(5, 0.01, 6)
    read = Envelope.load(envelope.save(tmp_path / "envelope"))
    assert read.potential is read.second
    np.testing.assert_array_equal(read.score(frames), envelope.score(frames))
    with pytest.raises(ValueError, match="holds no envelope"):
        Envelope.load(envelope.second.save(tmp_path / "model"))


@pytest.mark.long
def test_a_network_gets_an_envelope_through_a_representation():
    functions = SymmetryFunctions(0.4, radial_grid(0.4, 6, 0.05), ())
    learner = Network(functions, (8,), training=GradientTraining(Trainer(80, Adam(1e-2)), 4))
    train = triangles(40, 0.004, 1)
    network = Recipe(learner).fit(train)
    envelope = Envelope.of(network, train, triangles(20, 0.004, 2), SMALL)
    like, hot = triangles(40, 0.004, 3), triangles(40, 0.02, 4)
    errors = force_errors(network, [*like, *hot])
    bad = errors > 3 * np.sqrt(np.mean(errors[:40] ** 2))
    assert roc_area(envelope.score([*like, *hot]), bad) > 0.9
    assert envelope.opinions(like).shape == (40, 2)


@pytest.mark.long
def test_a_second_opinion_that_errs_less_shows_the_error_itself():
    train = triangles(40, 0.004, 1)
    coarse = Recipe(Linear(ACE(cutoff=0.4, levels=(3,)))).fit(train)
    envelope = Envelope.of(coarse, train, triangles(20, 0.004, 2), SMALL)
    assert isinstance(envelope.second.terms[-1], SiteGradientDomainTerm)
    hot = triangles(40, 0.012, 4)
    errors, second = (force_errors(one, hot) for one in (coarse, envelope.second))
    assert np.median(second) < 0.2 * np.median(errors)
    opinions = envelope.opinions(hot)
    np.testing.assert_allclose(np.median(opinions[:, 1] / errors), 1.0, atol=0.1)
    claimed, told = (
        rank_correlation(each, errors) for each in (opinions[:, 0], envelope.errors.medians(opinions))
    )
    assert told > max(0.95, claimed)


def test_a_kernel_is_taught_some_frames_of_many_and_each_element():
    big = [Configuration(np.ones(200, int), np.zeros((200, 3)), forces=np.zeros((200, 3)))] * 50
    rare = Configuration(np.array([1, 8]), np.eye(3)[:2], forces=np.zeros((2, 3)))
    chosen = _some([*big[:7], rare, *big[7:]])
    assert any(frame is rare for frame in chosen)
    assert 0.8 * LABELS < 3 * sum(map(len, chosen)) < LABELS + 12
    assert len(_some([rare] * 30)) == 30
    assert _some([*big, replace(rare, forces=None)]) == []  # nothing is known of oxygen


def test_the_usual_error_of_a_few_frames_is_known_to_its_standard_error():
    drawn = np.exp(0.4 * np.random.default_rng(0).normal(size=(2000, 40)))
    usual = np.log([usual_error(each) for each in drawn])
    assert np.mean([_vague(each) for each in drawn]) == pytest.approx(usual.std(), rel=0.1)


def test_verdicts_are_probabilities_in_words():
    assert [verdict_of(p) for p in (0.0, 0.1, 0.11, 0.5, 0.51)] == [
        "inside",
        "inside",
        "border",
        "border",
        "outside",
    ]


def test_one_in_twenty_of_good_frames_like_those_held_out_is_doubted_and_not_more():
    random = np.random.default_rng(3)
    held_out, new = random.uniform(0, 0.4, (400, 100)), random.uniform(0, 0.4, (400, 500))
    good = random.uniform(size=new.shape) > new
    inside = [_doubted(each) for each in held_out]
    assert min(inside) >= INSIDE
    doubted = [(each[one] > t).mean() for each, one, t in zip(new, good, inside)]
    assert np.mean(doubted) == pytest.approx(1 / DOUBTED, abs=0.005)
    few_are_wide = np.append(np.full(38, 0.01), [0.45, 0.3])  # 1.25 good ones among them, of 38.9
    assert _doubted(few_are_wide) == INSIDE
    assert _doubted(held_out[0, :18]) == INSIDE  # too few to promise it
    assert _doubted(np.full(39, 0.9)) == OUTSIDE


def test_what_cannot_calibrate_is_refused():
    train = triangles(6, 0.004, 1)
    bare = [replace(frame, forces=None) for frame in triangles(6, 0.004, 2)]
    with pytest.raises(ValueError, match="0 of 6 held-out frames have forces"):
        Envelope.of(None, train, bare)
    with pytest.raises(ValueError, match="3 of 3 held-out frames are training frames"):
        Envelope.of(None, train, train[:3])
    with pytest.raises(ValueError, match="no training frames"):
        Envelope.of(None, [], train)
    with pytest.raises(ValueError, match="more than 1"):
        Envelope.of(None, train, triangles(6, 0.004, 2), limit=1.0)
