"""What coarse models are judged by."""

import numpy as np
import pytest

from thalweg.coarse_graining import (
    AngleWaves,
    BeadFrames,
    BSplines,
    InternalCoordinate,
    PairInteraction,
    bead_angular_distribution,
    bead_radial_distribution,
    compare_surfaces,
    jensen_shannon,
)


def gas(frames=20, beads=60, seed=0):
    box = np.broadcast_to(np.eye(3) * 2.0, (frames, 3, 3))
    x = np.random.default_rng(seed).uniform(0, 2, (frames, beads, 3))
    return BeadFrames(x, 2.5, boxes=box), PairInteraction(
        BSplines(0.1, 0.9, 5, True), 0.9, np.ones(beads, int)
    )


def test_an_ideal_gas_has_no_structure():
    frames, pairs = gas()
    _, g = bead_radial_distribution(pairs, frames, bins=9)
    # standard error of a count of independent pairs
    pairs_seen = 20 * 60 * 59 / 2 * 4 / 3 * np.pi * np.diff(np.linspace(0, 0.9, 10) ** 3) / 8
    assert (np.abs(g - 1) < 4 / np.sqrt(pairs_seen)).all()
    theta, p = bead_angular_distribution(pairs, frames, within=0.8, bins=18)
    assert np.trapezoid(p, theta) == pytest.approx(1, abs=0.02)
    assert np.abs(p - np.sin(theta) / 2).max() < 0.05


def test_the_divergence_of_two_coins_is_the_textbook_one():
    p, q = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    m = (p + q) / 2
    exact = 0.5 * (p * np.log(p / m)).sum() + 0.5 * (q * np.log(q / m)).sum()
    assert jensen_shannon(7 * p, 3 * q) == pytest.approx(exact)
    with pytest.raises(ValueError, match="without counts"):
        jensen_shannon(p, 0 * q)


def test_a_model_that_is_the_reference_lies_at_the_floor_and_another_does_not():
    torsion = InternalCoordinate("dihedral", [[0, 1, 2, 3]], AngleWaves(1))

    def chain(center, seed):
        phi = np.random.default_rng(seed).normal(center, 0.5, 4000)
        x = np.zeros((4000, 4, 3))
        x[:, 0], x[:, 2], x[:, 1] = [1, 0, 0], [0, 0, 1], [0, 0, 0]
        x[:, 3] = np.stack([np.cos(phi), np.sin(phi), np.ones(4000)], 1)
        return BeadFrames(x, 2.5)

    same = compare_surfaces([torsion], chain(0.0, 1), chain(0.0, 2))
    other = compare_surfaces([torsion], chain(0.0, 1), chain(0.4, 2))
    assert same.divergence < 2 * same.floor
    assert other.divergence > 5 * other.floor
    assert other.error > 3 * same.error


def test_surfaces_of_two_temperatures_are_not_compared():
    frames = BeadFrames(np.random.default_rng(0).normal(size=(4, 4, 3)), 2.5)
    hotter = BeadFrames(frames.positions, 3.0)
    with pytest.raises(ValueError, match="one temperature"):
        compare_surfaces([InternalCoordinate("dihedral", [[0, 1, 2, 3]], AngleWaves(1))], frames, hotter)
