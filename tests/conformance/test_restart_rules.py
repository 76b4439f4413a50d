"""What every rule that chooses where to go on must do, tried on each with a few walks along a bent valley."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from thalweg.references import references
from thalweg.sampling.plans import from_plain, plain
from thalweg.sampling.restarts.bandit import Bandit
from thalweg.sampling.restarts.boundary_extrapolation import BoundaryExtrapolation
from thalweg.sampling.restarts.diffusion_frontier import DiffusionMapFrontier
from thalweg.sampling.restarts.directed import Directed
from thalweg.sampling.restarts.least_counts import LeastCounts
from thalweg.sampling.restarts.random_restarts import RandomRestarts
from thalweg.sampling.restarts.ranked_rules import RankedRules
from thalweg.sampling.restarts.reap import REAP
from thalweg.sampling.restarts.rule import RestartRule, clustered_frames
from thalweg.sampling.restarts.uncertainty import Uncertainty

EXAMPLES = {
    "LeastCounts": LeastCounts(),
    "Uncertainty": Uncertainty(transitions=5.0),
    "RandomRestarts": RandomRestarts(),
    "Directed": Directed("y", larger=False),
    "REAP": REAP(step=0.1),
    "Bandit": Bandit(exploration=0.5),
    "DiffusionMapFrontier": DiffusionMapFrontier(points=60),
    "BoundaryExtrapolation": BoundaryExtrapolation(points=60),
    "RankedRules": RankedRules((LeastCounts(), BoundaryExtrapolation(dim=1, points=60), REAP())),
}


def walks(seed=0, count=6, length=80):
    """Walks along a half circle, begun at its top, in two rounds."""
    random = np.random.default_rng(seed)
    turn = np.pi / 2 + np.cumsum(0.05 * random.standard_normal((count, length)), axis=1)
    radius = 1 + 0.05 * random.standard_normal((count, length))
    return list(np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1))


def seen(frames=None, memory=None, **changes):
    frames = walks() if frames is None else frames
    rounds, walkers = np.arange(len(frames)) // 3, np.arange(len(frames)) % 3
    found = clustered_frames(frames, rounds, walkers, 12, 2, ("x", "y"), memory=memory)
    return dataclasses.replace(found, **changes)


@pytest.fixture(params=EXAMPLES)
def rule(request):
    return EXAMPLES[request.param]


def test_every_rule_has_an_example_here(public, without_example):
    assert not without_example(public(RestartRule, "sampling"), EXAMPLES)


def test_it_is_a_rule_that_a_plan_can_hold_and_cites_what_the_references_know(rule):
    assert isinstance(rule, RestartRule)
    assert from_plain(json.loads(json.dumps(plain(rule)))) == rule
    assert set(rule.cites) <= set(references())


@pytest.mark.parametrize("walkers", [1, 3, 11])
def test_it_names_one_frame_for_each_walker_and_remembers_what_a_file_can_keep(rule, walkers):
    sampled = seen()
    restarts = rule.choose(sampled, walkers, seed=0)
    assert restarts.frames.shape == (walkers,)
    assert restarts.frames.dtype.kind == "i"
    assert restarts.frames.min() >= 0
    assert restarts.frames.max() < len(sampled.features)
    if restarts.targets is not None:
        assert rule.pull > 0
        assert restarts.targets.shape == (walkers, 2)
    assert json.loads(json.dumps(restarts.memory)) == restarts.memory


def test_equal_walks_and_seeds_give_equal_starts_and_what_was_shown_stays_as_it_was(rule):
    memory = rule.choose(seen(), 3, seed=1).memory
    kept = json.dumps(memory)
    sampled = seen(memory=memory)
    before = [walk.copy() for walk in sampled.walks], sampled.counts.copy()
    first, second = (rule.choose(sampled, 6, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.frames, second.frames)
    assert first.memory == second.memory
    np.testing.assert_array_equal(sampled.counts, before[1])
    for walk, copy in zip(sampled.walks, before[0]):
        np.testing.assert_array_equal(walk, copy)
    assert json.dumps(memory) == kept


def test_the_second_round_goes_on_from_what_was_remembered(rule):
    """Whatever a rule remembers, it finds its way with it and after a walker was lost."""
    first = rule.choose(seen(walks()[:3]), 3, seed=0)
    later = seen(memory=json.loads(json.dumps(first.memory)))
    fewer = seen(walks()[:5], memory=first.memory)
    for sampled in (later, fewer):
        assert rule.choose(sampled, 3, seed=1).frames.shape == (3,)


def test_without_a_transition_there_is_nothing_to_choose_from_or_all_of_it_is_told(rule):
    """Rules of states need transitions, those of maps frames enough."""
    still = [np.zeros((3, 2)), np.ones((2, 2))]
    sampled = seen(still, counts=np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"no transition was counted|different frames are too few"):
        rule.choose(sampled, 2, seed=0)
