"""Restart rules: pure functions that send walkers where they help."""

import json
from dataclasses import replace

import numpy as np
import pytest

from thalweg.sampling.campaign import drive
from thalweg.sampling.restarts.bandit import Bandit
from thalweg.sampling.restarts.boundary_extrapolation import BoundaryExtrapolation
from thalweg.sampling.restarts.diffusion_frontier import DiffusionMapFrontier
from thalweg.sampling.restarts.directed import Directed
from thalweg.sampling.restarts.least_counts import LeastCounts
from thalweg.sampling.restarts.ranked_rules import RankedRules, relative_entropy
from thalweg.sampling.restarts.reap import REAP
from thalweg.sampling.restarts.rule import SampledFrames, clustered_frames
from thalweg.sampling.restarts.uncertainty import Uncertainty
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store

OF_STATES = [LeastCounts(), Uncertainty()]


def some_counts(seed=0, states=8):
    counts = np.random.default_rng(seed).poisson(4.0, (states, states)).astype(float)
    counts[3], counts[:, 3] = 0, 0
    return counts


@pytest.mark.parametrize("rule", OF_STATES, ids=lambda rule: type(rule).__name__)
class TestRulesOfStates:
    def test_never_name_a_state_nobody_has_seen(self, rule):
        assert 3 not in rule.states(some_counts(), 50, 0)

    def test_are_content_with_one_state(self, rule):
        np.testing.assert_array_equal(rule.states(np.full((1, 1), 3.0), 4, 0), [0, 0, 0, 0])

    def test_names_of_states_mean_nothing(self, rule):
        """Other than to break ties: renamed states are chosen as often."""
        counts = np.diag([90.0, 40.0, 5.0, 0.0, 0.0])
        counts[[0, 1, 1, 2, 2], [1, 0, 2, 1, 3]] = 8, 9, 3, 2, 1
        order = np.array([2, 0, 4, 1, 3])
        renamed = rule.states(counts[np.ix_(order, order)], 8, seed=0)
        np.testing.assert_array_equal(np.sort(order[renamed]), np.sort(rule.states(counts, 8, seed=0)))

    def test_choose_a_state_hardly_known_before_one_well_known(self, rule):
        assert rule.states(np.array([[500.0, 20.0], [20.0, 20.0]]), 2, seed=0)[0] == 1


def test_a_state_just_entered_has_the_least_counts():
    counts = np.diag([9.0, 5.0, 0.0])
    counts[1, 2] = 1
    assert LeastCounts().states(counts, 1, 0)[0] == 2


def test_ties_are_broken_by_the_seed():
    chosen = {int(LeastCounts().states(np.eye(6), 1, seed)[0]) for seed in range(60)}
    assert chosen == set(range(6))


def test_uncertainty_lowers_the_variance_of_the_slowest_eigenvalue_more_than_even_sampling():
    """Two wells in a chain; posterior spread of the eigenvalue, counts being added as told or evenly."""
    hop = np.array([0.15, 0.15, 0.01, 0.15, 0.15])
    chain = np.diag(hop, 1) + np.diag(hop, -1)
    chain += np.diag(1 - chain.sum(1))
    rng = np.random.default_rng(0)

    def spread(counts):
        draws = [[rng.dirichlet(row + 1 / 6) for row in counts] for _ in range(3000)]
        return np.std([np.sort(np.linalg.eigvals(np.array(draw)).real)[-2] for draw in draws])

    told = 1000 * chain
    for state in Uncertainty(transitions=300.0).states(told, 20, 0):
        told[state] += 300 * chain[state]
    assert spread(told) < 0.92 * spread(2000 * chain)


def seen(walks, states=20, memory=None, periods=None, rounds=None):
    rounds = np.zeros(len(walks), int) if rounds is None else rounds
    names = tuple("xyz"[: walks[0].shape[1]])
    return clustered_frames(walks, rounds, np.arange(len(walks)), states, 1, names, periods, memory)


def in_states(*walks, counts, **given):
    """Frames whose feature is the number of their state."""
    states = [np.array(walk) for walk in walks]
    rounds = given.pop("rounds", np.zeros(len(walks), int))
    features = [walk[:, None].astype(float) for walk in states]
    return SampledFrames(features, states, counts, rounds, np.arange(len(walks)), 1, ("x",), **given)


def test_directed_restarts_weigh_progress_and_novelty_as_the_formula_does():
    """Progress 0, 1/2, 1 and counts 8, 2, 4: rewards are 0, 1/2 + a, 1 + 2a/3."""
    counts = np.diag([8.0, 2.0, 4.0])
    sampled = in_states([0, 1, 2], counts=counts)
    for alpha, best in [(0.1, 2), (1.4, 2), (1.6, 1)]:
        assert sampled.state[Directed("x", exploration=alpha).choose(sampled, 1, 0).frames[0]] == best
    assert sampled.state[Directed("x", larger=False, exploration=0.1).choose(sampled, 1, 0).frames[0]] == 0


def test_a_goal_that_was_not_measured_is_answered_with_what_was():
    with pytest.raises(ValueError, match='feature = "z" is none of those measured on frames: x'):
        Directed("z").choose(in_states([0, 1], counts=np.eye(2)), 1, 0)


def test_the_weight_of_reap_goes_to_the_variable_along_which_the_extremes_are():
    """One axis is noise, along the other a few walks went far: its weight grows by a step each round, up to one."""
    random = np.random.default_rng(0)
    walks = [random.standard_normal((300, 2)) for _ in range(4)]
    walks[3][:, 1] += np.linspace(0, 1, 300) ** 6 * 12
    memory = {}
    for round in range(4):
        chosen = REAP(step=0.2).choose(seen(walks, 30, memory), 4, seed=0)
        memory = chosen.memory
        np.testing.assert_allclose(memory["weights"], [max(0, 0.3 - 0.2 * round), min(1, 0.7 + 0.2 * round)])
    assert seen(walks, 30).features[chosen.frames, 1].min() > 3


def test_the_bandit_takes_the_upper_confidence_bound():
    """Two states of populations 2/3 and 1/3 have rewards one and zero; three walks of four began in the first.

    Bounds are 1 + c sqrt(ln 4 / 3) and 0 + c sqrt(ln 4): equal for c = 2.01.
    """
    counts = np.array([[90.0, 10.0], [20.0, 80.0]])
    sampled = in_states([0, 0], [0, 0], [0, 0], [1, 1], counts=counts)
    equal = 1 / (np.sqrt(np.log(4)) - np.sqrt(np.log(4) / 3))
    for c, best in [(0.99 * equal, 0), (1.01 * equal, 1)]:
        assert sampled.state[Bandit(exploration=c, prior=1e-6).choose(sampled, 1, 0).frames[0]] == best


def band(seed=0, frames=600, ends=(0.3, 5.2)):
    """Frames of a curved band and their place along it; most of them in the middle."""
    random = np.random.default_rng(seed)
    turn = ends[0] + np.ptp(ends) * random.beta(2, 2, frames)
    radius = 1 + 0.03 * random.standard_normal(frames)
    return turn, np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)


def test_the_frontier_of_a_curved_band_is_its_ends():
    """In the plane both ends are near each other; along the band they are farthest apart."""
    turn, frames = band()
    chosen = turn[DiffusionMapFrontier(dim=1).choose(seen([frames]), 4, 0).frames]
    assert chosen.min() == turn.min()
    assert chosen.max() == turn.max()


def test_a_frontier_does_not_end_where_an_angle_begins_anew():
    angle = np.random.default_rng(0).uniform(-1.0, 1.0, 500) + np.pi
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    chosen = angle[
        DiffusionMapFrontier(dim=1).choose(seen([wrapped[:, None]], periods=(2 * np.pi,)), 2, 0).frames
    ]
    np.testing.assert_allclose(np.sort(chosen), [np.pi - 1, np.pi + 1], atol=0.05)


def test_extrapolation_lies_beyond_the_ends_of_a_band_along_its_tangent():
    turn, frames = band()
    restarts = BoundaryExtrapolation(step=1.0, dim=1).choose(seen([frames]), 2, 0)
    begun, there = turn[restarts.frames], restarts.targets
    beyond = np.unwrap(np.stack([begun, np.arctan2(there[:, 1], there[:, 0])]), axis=0)[1]
    assert beyond.min() < turn.min()
    assert beyond.max() > turn.max()
    steps = there - frames[restarts.frames]
    tangent = np.stack([-np.sin(begun), np.cos(begun)], axis=1)
    cosines = np.abs((steps * tangent).sum(1)) / np.linalg.norm(steps, axis=1)
    assert cosines.min() > 0.9


def test_extrapolation_of_an_angle_steps_through_the_end_of_its_range():
    angle = np.random.default_rng(0).uniform(2.0, np.pi - 0.01, 500)[:, None]
    restarts = BoundaryExtrapolation(step=3.0, dim=1).choose(seen([angle], periods=(2 * np.pi,)), 2, 0)
    steps = restarts.targets - angle[restarts.frames]
    assert sorted(np.sign(steps[:, 0])) == [-1, 1]
    assert np.abs(steps).max() < 0.1


def test_relative_entropy_is_that_of_the_rows_weighed_by_populations():
    """Populations 2/3 and 1/3; only the first row differs: 0.9 ln(0.9/0.8) + 0.1 ln(0.1/0.2)."""
    chain, other = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.8, 0.2], [0.2, 0.8]])
    expected = 2 / 3 * (0.9 * np.log(9 / 8) + 0.1 * np.log(0.5))
    assert relative_entropy(chain, other, prior=0.0) == pytest.approx(expected)


class First:
    """The first frame, always."""

    cites = ()

    def choose(self, sampled, n, seed):
        from thalweg.sampling.restarts.rule import Restarts

        return Restarts(np.zeros(n, int), memory={"rounds": sampled.memory.get("rounds", 0) + 1})


def test_the_rule_whose_walkers_found_new_states_has_more_walkers_in_the_next_round():
    """The walks of the second rule went to states nobody knew, those of the first stayed."""
    ranked = RankedRules((First(), First()))
    counts = np.ones((4, 4))
    first = ranked.choose(in_states([0, 0], [0, 0], [0, 0], counts=counts), 3, seed=0)
    dealt = np.array(first.memory["dealt"])
    assert set(dealt) == {0, 1}
    walks = [[0, 0, 0], *([1 + k, 3, 3] if rule else [0, 0, 0] for k, rule in enumerate(dealt))]
    counts = np.zeros((4, 4))
    for walk in walks:
        np.add.at(counts, (walk[:-1], walk[1:]), 1)
    later = in_states(*walks, counts=counts, rounds=np.array([0, 1, 1, 1]), memory=first.memory)
    later = replace(later, walkers=np.array([0, 0, 1, 2]))
    second = ranked.choose(later, 3, seed=1)
    assert sorted(second.memory["dealt"]) == [0, 1, 1]
    assert second.memory["scores"][1] > second.memory["scores"][0]
    assert [kept["rounds"] for kept in second.memory["kept"]] == [2, 2]


def test_a_campaign_remembers_what_its_rule_learned_and_goes_on_from_it(toy, tmp_path):
    """Killed after any round, the weights and the end are the same."""
    policy = replace(toy.RESTARTS, walkers=4, swarms=4, length=0.08, rule=REAP(step=0.05))
    drive(Store(tmp_path / "whole"), policy)
    for rounds in range(1, policy.rounds + 1):
        drive(Store(tmp_path / "parts"), policy, rounds=rounds)
    assert Store(tmp_path / "whole").digest() == Store(tmp_path / "parts").digest()
    weights = [
        json.loads(Store(tmp_path / "whole").file(f"starts/s0-{k:04d}", "starts.json").read_text())["memory"][
            "weights"
        ]
        for k in range(3)
    ]
    assert np.ptp([w[0] for w in weights]) > 0.04
    np.testing.assert_allclose(np.sum(weights, axis=1), 1)
    assert np.abs(np.diff(np.array(weights)[:, 0])).max() < 0.0501


def test_walkers_are_pulled_beyond_the_boundary_and_let_go_there(toy, tmp_path):
    """Where they begin is near the targets, nearer than where they were chosen; what it took is in the cost."""
    rule = BoundaryExtrapolation(step=2.0, points=60, pull=0.02)
    policy = replace(toy.RESTARTS, walkers=4, swarms=2, length=0.08, rule=rule)
    assert policy.cost() == pytest.approx(4 * (2 * 0.08 + 0.02))
    store = Store(tmp_path)
    drive(store, policy)
    chosen, reached = (np.load(store.file(f"starts/s0-0000{end}", "starts.npz")) for end in ("", "-reached"))
    before = np.linalg.norm(chosen["positions"][:, 0] - chosen["targets"], axis=1)
    after = np.linalg.norm(reached["positions"][:, 0] - chosen["targets"], axis=1)
    assert np.median(after) < 0.6 * np.median(before)
    first = Segment.read(store, policy.entries(0)[1]).features[:, 0]
    assert np.median(np.linalg.norm(first - reached["positions"][:, 0], axis=1)) < 0.2
