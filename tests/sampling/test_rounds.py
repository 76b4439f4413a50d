"""Rounds of a policy are counted without being made, and as many as can be kept."""

from __future__ import annotations

import dataclasses

import pytest

from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.policies.markov_restarts import MarkovRestarts
from thalweg.sampling.policies.slow_variable_loop import SlowVariableLoop

RECIPE = ApparatusRecipe("studies.apparatus", {})


@pytest.mark.parametrize("cycles", [1, 2, 5])
@pytest.mark.parametrize("segment", [100.0, 30.0])
def test_the_rounds_of_a_loop_are_its_stages_and_the_weights(cycles, segment):
    loop = SlowVariableLoop(RECIPE, cycles=cycles, segment=segment)
    assert loop.rounds == len(loop.stages) + 1


def test_more_rounds_than_can_be_kept_are_refused_without_being_listed():
    with pytest.raises(ValueError, match="make more than 100000 rounds"):
        SlowVariableLoop(RECIPE, cycles=10**10, segment=50.0)
    with pytest.raises(ValueError, match="make more than 100000 rounds"):
        dataclasses.replace(MarkovRestarts(RECIPE), swarms=10**9)
