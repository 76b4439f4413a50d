"""Restricted Boltzmann machines: exact sums, exact distributions of small ones, contacts of a site."""

from __future__ import annotations

from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.interpretation.importance import loading_importance
from thalweg.collective_variables.neural.boltzmann_machine import (
    BoltzmannMachineModel,
    ContrastiveDivergence,
    PersistentChains,
    RestrictedBoltzmannMachine,
)
from thalweg.time_series.trajectories import Trajectories


def _machine(visible: int, hidden: int, seed: int = 0, scale: float = 1.5) -> BoltzmannMachineModel:
    random = np.random.default_rng(seed)
    return BoltzmannMachineModel(
        scale * random.standard_normal((visible, hidden)),
        random.standard_normal(visible),
        random.standard_normal(hidden),
    )


def _two_sites() -> BoltzmannMachineModel:
    """Four and three contacts that come together, each site there half of the time."""
    coupling = 3.0 * np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    return BoltzmannMachineModel(coupling, -coupling.sum(axis=1) / 2, -coupling.sum(axis=0) / 2)


def _all(units: int) -> np.ndarray:
    return np.array(list(product([0.0, 1.0], repeat=units)))


@pytest.mark.parametrize(("visible", "hidden"), [(7, 3), (3, 7), (5, 5)])
def test_the_partition_function_is_the_sum_over_both_layers(visible, hidden):
    machine = _machine(visible, hidden)
    terms = [
        machine.visible @ v + machine.hidden @ h + v @ machine.loadings @ h
        for v in _all(visible)
        for h in _all(hidden)
    ]
    assert machine.log_partition() == pytest.approx(np.logaddexp.reduce(terms), rel=1e-12)
    chances = np.exp(-machine.free_energy(_all(visible)) - machine.log_partition())
    assert chances.sum() == pytest.approx(1.0, rel=1e-12)


def _drawn(machine: BoltzmannMachineModel, count: int, seed: int) -> np.ndarray:
    frames = _all(len(machine.visible))
    chances = np.exp(-machine.free_energy(frames) - machine.log_partition())
    return frames[np.random.default_rng(seed).choice(len(frames), count, p=chances / chances.sum())]


def _divergence(known: BoltzmannMachineModel, found: BoltzmannMachineModel) -> float:
    frames = _all(len(known.visible))
    logs = [-each.free_energy(frames) - each.log_partition() for each in (known, found)]
    return float(np.exp(logs[0]) @ (logs[0] - logs[1]))


@pytest.mark.parametrize("chains", [PersistentChains(), ContrastiveDivergence(sweeps=5)])
def test_a_small_machine_is_learned_from_its_samples(chains):
    known = _two_sites()
    frames = _drawn(known, 20000, 0)
    found = RestrictedBoltzmannMachine(hidden=2, chains=chains).fit(frames)
    independent = RestrictedBoltzmannMachine(hidden=1, steps=1, learning_rate=1e-9).fit(frames)
    missed, whole = _divergence(known, found), _divergence(known, independent)
    assert whole > 0.5
    assert missed < 0.1 * whole
    more = _drawn(known, 20000, 1)
    assert known.log_likelihood(more) - found.log_likelihood(more) == pytest.approx(missed, abs=0.01)
    if isinstance(chains, PersistentChains):
        # contrastive divergence is biased; sampling noise of 23 parameters in 20,000 frames is 23 / 40,000
        assert missed < 0.01


def test_contacts_that_do_not_know_each_other_have_their_own_likelihood():
    random = np.random.default_rng(0)
    chances = np.array([0.1, 0.5, 0.8, 0.3])
    frames = (random.random((20000, 4)) < chances).astype(float)
    found = RestrictedBoltzmannMachine(hidden=2, penalty=0.01).fit(frames)
    mean = frames.mean(axis=0)
    best = (mean * np.log(mean) + (1 - mean) * np.log(1 - mean)).sum()
    assert found.log_likelihood(frames) == pytest.approx(best, abs=0.005)


def test_units_are_the_sites_whose_contacts_come_together():
    random = np.random.default_rng(1)
    sites = random.random((6000, 2)) < [0.3, 0.4]
    members = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
    flips = random.random((6000, 12)) < 0.15
    frames = np.where(members < 2, sites[:, np.minimum(members, 1)], random.random((6000, 12)) < 0.3) ^ (
        flips & (members < 2)
    )
    names = [f"LIG..RES{k}" for k in range(12)]
    data = Trajectories([frames[:3000].astype(float), frames[3000:].astype(float)], names=names)
    model = RestrictedBoltzmannMachine(hidden=2, penalty=0.003).fit(data)
    found = loading_importance(model, data)
    first = {frozenset(np.argsort(-found.values[:, k])[:4].tolist()) for k in range(2)}
    assert first == {frozenset({0, 1, 2, 3}), frozenset({4, 5, 6, 7})}
    on = np.concatenate(list(model.transform(data).blocks))
    alike = np.abs(np.corrcoef(on.T, sites.T)[:2, 2:])
    assert (alike.max(axis=0) > 0.8).all()
    np.testing.assert_allclose(
        model.transform(jnp.asarray(frames[:5], jnp.float32)),
        model.transform(frames[:5].astype(float)),
        rtol=1e-4,
    )


def test_weights_of_frames_decide_what_is_learned():
    frames = np.concatenate([np.zeros((500, 3)), np.ones((500, 3))])
    weights = np.repeat([0.9, 0.1], 500)
    found = RestrictedBoltzmannMachine(hidden=1).fit(Trajectories([frames], weights=[weights]))
    chances = np.exp(-found.free_energy(_all(3)) - found.log_partition())
    assert chances[0] == pytest.approx(0.9, abs=0.03)
    assert chances[-1] == pytest.approx(0.1, abs=0.03)


def test_what_is_no_contact_is_refused():
    with pytest.raises(ValueError, match=r"got values from 0.2 to 3; compare distances"):
        RestrictedBoltzmannMachine().fit(np.array([[0.2, 3.0], [0.4, 1.0]]))
    with pytest.raises(ValueError, match="must be positive"):
        RestrictedBoltzmannMachine(hidden=0)
    with pytest.raises(ValueError, match="must be positive"):
        RestrictedBoltzmannMachine(chains=PersistentChains(sweeps=0))
    with pytest.raises(ValueError, match="at most 20 units"):
        _machine(22, 21).log_partition()
