"""What every policy must do, tried on each with a short campaign on the Müller-Brown surface."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from thalweg import registry
from thalweg.collective_variables.manifold.embeddings.isomap import Isomap
from thalweg.collective_variables.neural.autoencoders import Autoencoder, VariationalAutoencoder
from thalweg.collective_variables.neural.learned_basis import Training
from thalweg.geometry.variables import Coordinates
from thalweg.kinetics.reactions.regions import Intervals
from thalweg.references import references
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.bias.metadynamics import Metadynamics
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.campaign import drive
from thalweg.sampling.plans import from_plain, plain
from thalweg.sampling.policies.committor_loop import CommittorLoop
from thalweg.sampling.policies.local_diffusion_map_loop import LocalDiffusionMapLoop
from thalweg.sampling.policies.markov_restarts import MarkovRestarts
from thalweg.sampling.policies.mesa import MESA
from thalweg.sampling.policies.rave import RAVE
from thalweg.sampling.policies.replica_exchange import ReplicaExchange
from thalweg.sampling.policies.sandcv import SandCV
from thalweg.sampling.policies.shooting import Shooting
from thalweg.sampling.policies.slow_variable_loop import SlowVariableLoop
from thalweg.sampling.policy import CampaignRecord, DrivenVariable, Policy, Work
from thalweg.sampling.store import Store

TOY = Path(__file__).parents[1] / "sampling" / "toy_campaign.py"
RECIPE = ApparatusRecipe("toy_campaign.muller_brown")
EXAMPLES = {
    "MarkovRestarts": MarkovRestarts(
        RECIPE, seeds=(0, 3), walkers=4, swarms=2, length=0.08, save_every=0.004, lagtime=0.004, states=10
    ),
    "SlowVariableLoop": SlowVariableLoop(
        RECIPE, seeds=(0, 3), walkers=4, cycles=1, swarm=0.2, drive=0.4, produce=0.4, segment=0.2, save_every=0.004,
        lagtime=0.02, skip=0.0, bias=Metadynamics(height=0.5, bias_factor=8.0, stride=0.01), states=10,
    ),
    "MESA": MESA(
        RECIPE, seeds=(0, 3), walkers=4, cycles=2, swarm=0.2, drive=0.2, produce=0.2, segment=0.2, save_every=0.004,
        lagtime=0.02, states=10, settled=1.0,
        learner=Autoencoder(dim=2, hidden=(8,), steps=50, restarts=1),
        bias=Metadynamics(height=0.5, bias_factor=8.0, stride=0.01),
    ),
    "SandCV": SandCV(
        RECIPE, seeds=(0, 3), walkers=4, cycles=2, swarm=0.2, drive=0.2, produce=0.2, segment=0.2, save_every=0.004,
        lagtime=0.02, states=10, settled=1.0,
        learner=Isomap(dim=1, landmarks=60), bias=Metadynamics(height=0.5, bias_factor=8.0, stride=0.01),
    ),
    "RAVE": RAVE(
        RECIPE, seeds=(0, 3), walkers=4, cycles=2, swarm=0.2, drive=0.2, produce=0.2, segment=0.2, save_every=0.004,
        lagtime=0.02, states=10, learner=VariationalAutoencoder(dim=1, hidden=(8,), steps=50, restarts=1), directions=4,
    ),
    "LocalDiffusionMapLoop": LocalDiffusionMapLoop(
        RECIPE, seeds=(0, 3), walkers=4, visits=1, swarm=0.2, drive=0.1, free=0.04, tries=1, save_every=0.004,
        lagtime=0.02, bias=Metadynamics(height=0.5, bias_factor=8.0, stride=0.01),
    ),
    "CommittorLoop": CommittorLoop(
        RECIPE, seeds=(0, 3), walkers=4, cycles=2, swarm=0.2, drive=0.2, produce=0.2, segment=0.2, save_every=0.004,
        lagtime=0.02, states=10, settled=1.0, a=Intervals((1.5,), (9.0,), (1,)), b=Intervals((-9.0,), (1.35,), (1,)),
        training=Training(hidden=(8,), steps=50, restarts=1), bias=OPES(barrier=5.0, stride=0.01),
    ),
    "ReplicaExchange": ReplicaExchange(
        RECIPE, seeds=(0, 3), walkers=4, hottest=480.0, pilot=0.08, length=0.16, segment=0.08, exchange_every=0.004,
        save_every=0.004, skip=0.04, swarm=0.08, lagtime=0.004,
    ),
    "Shooting": Shooting(
        RECIPE, Intervals((2.0,), (9.0,), (1,)), Intervals((-9.0,), (0.5,), (1,)), points=2, shots=6, volley=3,
        seeds=(0, 3), longest=0.08, save_every=0.004,
    ),
}  # fmt: skip
"""A small example of each policy."""

SLOW = ("MESA", "RAVE", "SandCV", "CommittorLoop")
"""Those that teach a variable several times over."""


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.setenv(registry.WITH, "")
    registry.name_files([TOY])


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.long if name in SLOW else ()) for name in EXAMPLES],
)
def policy(request):
    return EXAMPLES[request.param]


@pytest.fixture(scope="module")
def planned(policy, tmp_path_factory):
    """The store of a campaign that has run, and the tasks of all rounds as they were planned before each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(registry.WITH, "")
        registry.name_files([TOY])
        folder = tmp_path_factory.mktemp("campaign")
        store = Store(folder)
        drive(store, policy)
    return store, [list(policy.plan(store, k)) for k in range(policy.rounds)]


def test_every_policy_has_an_example_here(public, without_example):
    assert not without_example(public(Policy, "sampling"), EXAMPLES)


def test_it_is_a_policy_that_needs_no_more_than_an_apparatus(policy):
    assert isinstance(policy, Policy)
    assert policy == type(policy)(**vars(policy))
    assert isinstance(type(policy)(recipe=RECIPE), Policy)
    with pytest.raises(AttributeError):
        policy.walkers = 1


def test_it_cites_what_the_references_know_and_says_in_sentences_how_it_goes(policy):
    assert set(policy.cites) <= set(references())
    sentences = policy.in_words()
    assert sentences
    assert all(isinstance(words, str) and words.endswith(".") for words in sentences)


def test_what_it_plans_can_be_written_down_and_read_again(planned):
    _, rounds = planned
    for task in (one for tasks in rounds for one in tasks):
        assert isinstance(task.work, Work)
        assert from_plain(plain(task.work)) == task.work


def test_a_plan_is_a_function_of_what_is_committed_and_commits_nothing(policy, planned):
    store, rounds = planned
    before = sorted(path.name for path in store.path.rglob("*"))
    assert [list(policy.plan(store, k)) for k in range(policy.rounds)] == rounds
    assert sorted(path.name for path in store.path.rglob("*")) == before


def test_every_entry_is_planned_once_and_all_that_is_needed_is_planned(policy, planned):
    store, rounds = planned
    ids = [task.id for tasks in rounds for task in tasks]
    assert max(Counter(ids).values()) == 1
    assert all(store.has(entry) for entry in ids)
    assert set(policy.needed()) <= set(ids)
    assert policy.needed()


def test_its_cost_is_that_of_its_tasks(policy, planned):
    _, rounds = planned
    assert policy.cost() == pytest.approx(sum(task.cost for tasks in rounds for task in tasks))
    assert policy.cost() > 0


def test_its_evidence_are_committed_walks_of_each_seed(policy, planned):
    store, _ = planned
    course = policy.evidence(store)
    assert isinstance(course, CampaignRecord)
    assert {walk.seed for walk in course.moving} == set(range(len(policy.seeds)))
    for walk in (*course.moving, *course.weighted):
        assert walk.segments
        assert all(store.has(entry) for entry in walk.segments)
    assert course.weights is None or store.has(course.weights)


def test_what_it_drove_is_a_variable_of_features_and_of_positions(policy, planned):
    store, _ = planned
    driven = policy.variable(store)
    if driven is None:
        pytest.skip("drives nothing")
    assert isinstance(driven, DrivenVariable)
    features = Coordinates([0], dims=2)
    places = np.random.default_rng(0).normal(0, 0.5, (1, 2, 6)).astype(np.float32)
    values = driven.values(places[0].T.astype(float))
    assert values.shape == (6, len(driven.names))
    np.testing.assert_allclose(np.asarray(driven.variable(features)(places)).T, values, rtol=1e-3, atol=1e-3)
