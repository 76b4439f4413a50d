"""All that a model is judged by, in one call: a model that is the reference, and one that is wrong in one thing."""

from dataclasses import replace

import numpy as np
import pytest

from thalweg.coarse_graining import BeadFrames, InternalCoordinate, PairInteraction, compare_models
from thalweg.coarse_graining.interactions.functions import AngleWaves, BSplines, Powers
from thalweg.kinetics.validation.acceleration import TimescaleRatios

COORDINATES = {
    "bond": InternalCoordinate("distance", [[0, 1], [1, 2], [2, 3]], Powers(0.0)),
    "torsion": InternalCoordinate("dihedral", [[0, 1, 2, 3]], AngleWaves(1)),
}
RATIOS = TimescaleRatios(lag=5.0, processes=1, states=20, samples=20)


def chains(seed, memory=20.0, stretch=1.0, runs=6, frames=2000):
    """Four beads whose torsion is an Ornstein-Uhlenbeck process of a deviation of 0.5 and that memory [frames]."""
    rng = np.random.default_rng(seed)
    noise, phi = rng.normal(size=(runs, frames)), np.zeros((runs, frames))
    for t in range(1, frames):
        phi[:, t] = np.exp(-1 / memory) * phi[:, t - 1] + np.sqrt(1 - np.exp(-2 / memory)) * noise[:, t]
    phi = 0.5 * phi.ravel()
    x = np.zeros((len(phi), 4, 3))
    x[:, 0] = [-0.1, 0.1, 0]
    x[:, 2, 0] = 0.15 * stretch + rng.normal(0, 0.005, len(phi))
    x[:, 3, 0] = x[:, 2, 0] + 0.1
    x[:, 3, 1], x[:, 3, 2] = 0.1 * np.cos(phi), 0.1 * np.sin(phi)
    return BeadFrames(x, kT=2.5, lengths=(frames,) * runs)


def test_a_model_that_is_the_reference_is_at_every_floor_and_as_fast():
    found = compare_models(COORDINATES, chains(0), chains(1), times=(1.0, 1.0), ratios=RATIOS)
    assert found.surface is not None
    assert found.dynamics is not None
    for each in (*found.distributions, found.surface):
        assert each.comparison.divergence < 4 * each.comparison.floor + 0.002, each.names
    assert abs(np.log(found.dynamics.factor)) < 4 * found.dynamics.factor_log_error
    assert not found.shortcomings
    assert len(found.in_words()) == 2 + len(found.dynamics.in_words())


def test_a_wrong_bond_is_named_and_a_faster_torsion_is_a_factor():
    found = compare_models(
        COORDINATES, chains(0), chains(1, memory=10.0, stretch=1.2), times=(1.0, 1.0), ratios=RATIOS
    )
    assert found.dynamics is not None
    assert found.worst.names == ("bond [nm]",)
    assert found.worst.comparison.divergence > 0.1
    assert abs(np.log(found.dynamics.factor / 2)) < 4 * found.dynamics.factor_log_error


def test_without_times_the_surface_is_that_of_torsions_and_weights_leave_no_time_scales():
    reference, model = chains(0), chains(1)
    found = compare_models(COORDINATES, reference, model)
    assert found.dynamics is None
    assert found.surface is not None
    assert found.surface.names == ("torsion 1 [rad]",)
    weighted = replace(reference, weights=np.ones(len(reference)))
    found = compare_models(COORDINATES, weighted, model, times=(1.0, 1.0), ratios=RATIOS)
    assert found.dynamics is None
    assert "these are weighted" in found.shortcomings[0]


def test_a_liquid_is_compared_by_radial_distributions_and_temperatures_are_never_mixed():
    rng = np.random.default_rng(0)
    boxes = np.broadcast_to(np.eye(3) * 2.0, (20, 3, 3))
    gas, denser_near = (BeadFrames(rng.uniform(0, 2, (20, 60, 3)), 2.5, boxes=boxes) for _ in range(2))
    pairs = {"B-B": PairInteraction(BSplines(0.1, 0.9, 5, True), 0.9, np.ones(60, int))}
    one = compare_models({}, gas, denser_near, pairs=pairs).radial["B-B"]
    assert one.difference < 2 * one.floor
    with pytest.raises(ValueError, match="compare at one temperature"):
        compare_models({}, gas, BeadFrames(gas.positions, 3.0, boxes=boxes), pairs=pairs)
