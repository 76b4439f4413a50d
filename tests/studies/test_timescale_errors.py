"""The error that labels leave in time scales, of walks over a known barrier."""

import numpy as np
import pytest

from thalweg.report.of_runs.evidence import RunEvidence, Walk
from thalweg.studies.runs.timescale_errors import Hopping, labels_errors
from thalweg.systems.topology import Topology
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import DoubleWell

LAG = 0.01
WELL = DoubleWell(barrier=3.0)
FLAT = DoubleWell(barrier=1.0)


def evidence(lag=LAG):
    """Walks free of bias, and walks under a bias that leaves a third of the barrier."""
    moving, biased = (
        Generator(potential, WELL.domain, 120).sample(40, 1500, lag, seed=k)
        for k, potential in enumerate((WELL, FLAT))
    )

    def walks(points):
        nowhere = np.zeros((1500, 0)), np.zeros((1500, 3), int)
        return tuple(Walk(0, walk.astype(np.float32), *nowhere) for walk in points)

    weights = tuple(np.asarray(FLAT.energy(walk.T) - WELL.energy(walk.T)) for walk in biased)
    return RunEvidence(
        Topology(("X",), ("",), ("X",), (1,), (0,), np.zeros((0, 2), int)), (), ("x",), 1.0, lag, walks(moving),
        walks(biased), weights, weights, (),
    )  # fmt: skip


@pytest.fixture(scope="module")
def hopping():
    return Hopping.of(evidence(), 10, 400)


def at(hopping, walks):
    return np.concatenate([walk.features[:, 0] for walk in walks.weighted])[hopping.asked].astype(float)


def test_members_that_differ_on_the_barrier_leave_the_scatter_of_its_time_scale(hopping):
    places = at(hopping, evidence())
    heights = (0.3, -0.3, 0.1, -0.1)
    (error,), doubt = labels_errors(hopping, [h * np.exp(-((places / 0.3) ** 2)) for h in heights], 1)

    def exact(h):
        return np.log(Generator(_Hill(h), WELL.domain, 120).timescales(1)[0])

    expected = np.sqrt(3 * np.var([exact(h) for h in heights]))
    assert doubt == ""
    assert error == pytest.approx(expected, rel=0.25)


def test_members_that_differ_by_a_constant_leave_none(hopping):
    (error,), _ = labels_errors(hopping, [np.full(len(hopping.asked), k) for k in (-5.0, 0.0, 7.0)], 1)
    assert error < 1e-6


def test_frames_that_jump_over_the_barrier_are_told():
    far = evidence(lag=0.3)
    hopping = Hopping.of(far, 1, 400)
    places = at(hopping, far)
    _, doubt = labels_errors(hopping, [h * np.exp(-((places / 0.2) ** 2)) for h in (0.5, -0.5)], 1)
    assert "walkers jump over barriers between frames" in doubt


class _Hill(DoubleWell):
    height: float

    def __init__(self, height):
        super().__init__(barrier=3.0)
        self.height = height

    def energy(self, x):
        return super().energy(x) + self.height * np.exp(-((x[0] / 0.3) ** 2))
