"""Which frames are chosen for labels: those a potential does not know, and no two alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from thalweg.labeling.choice import (
    ChoiceRule,
    FarthestFrames,
    FarthestFromData,
    LargestGrade,
    LargestSpread,
    RandomFrames,
    choose_frames,
)
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Spread
from thalweg.systems.configuration import Configuration

RULES = [RandomFrames(), FarthestFrames(), LargestSpread(), LargestGrade(), FarthestFromData()]
MORSE = LearnedPotential({1: 0.0}, (morse((1,), [400.0], [20.0], [0.074], cutoff=0.5),))


def pairs(lengths):
    return [Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, x]])) for x in lengths]


@dataclass(frozen=True)
class Unsure(LearnedPotential):
    """One that is as unsure as a bond is longer than 0.08 nm."""

    def spread(self, configurations):
        lengths = [np.linalg.norm(np.diff(frame.positions, axis=0)) for frame in configurations]
        errors = np.maximum(np.array(lengths) - 0.08, 0)
        return Spread(errors, tuple(np.full((2, 3), each) for each in errors))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_every_rule_chooses_as_many_different_frames_as_are_asked_for(rule):
    assert isinstance(rule, ChoiceRule)
    frames, known = pairs(np.linspace(0.07, 0.11, 12)), pairs([0.074, 0.08])
    chosen = choose_frames(frames, 5, known, Unsure(MORSE.references, MORSE.terms), rule)
    assert len(set(chosen)) == 5


def test_what_is_known_already_is_chosen_last():
    frames = pairs([0.074, 0.09, 0.12])
    assert choose_frames(frames, 2, known=pairs([0.074]), rule=FarthestFrames()) == [2, 1]
    assert choose_frames(frames, 1, known=pairs([0.074]), rule=FarthestFromData()) == [2]


def test_frames_of_which_a_potential_is_unsure_are_chosen_by_default_and_no_two_alike():
    frames = pairs([0.075, 0.1, 0.1, 0.1, 0.1, 0.095, 0.076, 0.077, 0.078])
    chosen = choose_frames(frames, 2, potential=Unsure(MORSE.references, MORSE.terms))
    assert len({1, 2, 3, 4} & set(chosen)) == 1
    assert 0 not in chosen or 6 not in chosen


def test_extrapolation_is_graded_where_a_potential_has_no_spread():
    known, frames = pairs(np.linspace(0.07, 0.08, 20)), pairs([0.072, 0.075, 0.2, 0.078])
    assert choose_frames(frames, 1, known, MORSE) == [2]


def test_random_frames_are_those_of_the_seed():
    frames = pairs(np.linspace(0.07, 0.11, 30))
    first, again, other = (choose_frames(frames, 4, rule=RandomFrames(seed)) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("count", "settings", "words"),
    [
        (9, {}, "9 frames were asked for out of 3"),
        (0, {}, "ask for 1 to 3"),
        (1, {"rule": LargestSpread()}, "LargestSpread asks a potential"),
        (1, {"rule": LargestGrade(), "potential": MORSE}, "against the frames that are known"),
        (1, {"rule": FarthestFromData()}, "from the frames that are known"),
    ],
)
def test_what_a_rule_needs_is_said(count, settings, words):
    with pytest.raises(ValueError, match=words):
        choose_frames(pairs([0.07, 0.08, 0.09]), count, **settings)
