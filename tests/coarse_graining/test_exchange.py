"""Beads whose replicas change temperatures: both sides of a barrier as often as they should be."""

import numpy as np
import pytest

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.interactions.functions import AngleWaves, Powers
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.sampling import Ladder

KT = 2.5
TERMS = (
    BondedInteraction(
        InternalCoordinate("distance", [[0, 1], [1, 2], [2, 3]], Powers(0.4, 0.02)), name="bond"
    ),
    BondedInteraction(InternalCoordinate("angle", [[0, 1, 2], [1, 2, 3]], Powers(1.6, 0.15)), name="angle"),
    BondedInteraction(InternalCoordinate("dihedral", [[0, 1, 2, 3]], AngleWaves(2)), name="turn"),
)
BARRIER, TILT = 6 * KT, 0.5 * KT
MODEL = LinearCoarseModel(
    TERMS, np.array([0.0, KT, 0.0, KT, 0.0, TILT, -BARRIER, 0.0]), np.zeros(8), 4, None, {}
)
"""A torsion with minima at 0 and 180 degrees, 12 kT of barrier and a preference ``TILT sin`` that favors neither."""


@pytest.fixture(scope="module")
def start():
    """All replicas on one side, at 0 degrees."""
    x = 0.4 * np.array([[-0.03, 1.0, 0], [0, 0, 0], [1.0, 0, 0], [1.03, 1.0, 0]])
    return BeadFrames(x[None], KT, masses=np.full(4, 50.0))


def across(frames):
    x = frames.positions
    b = np.diff(x, axis=1)
    return (np.cross(b[:, 0], b[:, 1]) * np.cross(b[:, 1], b[:, 2])).sum(1) < 0


def test_replicas_on_a_ladder_cross_what_others_do_not(start):
    dynamics = CoarseDynamics(length=100.0, dt=0.005, friction=2.0, replicas=48, save_every=0.5)
    alone = across(dynamics.run(MODEL.energy(), start)).mean()
    ladder = Ladder(KT * 1.5 ** np.arange(6), stride=20, copies=8)
    frames = dynamics.run(MODEL.energy(), start, ladder=ladder)
    assert frames.kT == KT
    # a sixth of all frames is at the lowest temperature
    assert sum(frames.lengths) == len(frames) == 48 * 150 // 6
    assert alone < 0.2
    assert across(frames).mean() == pytest.approx(0.5, abs=0.15)


def test_a_ladder_without_the_temperature_asked_for_is_refused(start):
    with pytest.raises(ValueError, match="no rung"):
        CoarseDynamics(length=1.0).run(MODEL.energy(), start, ladder=Ladder([3.0, 4.0], stride=20))
