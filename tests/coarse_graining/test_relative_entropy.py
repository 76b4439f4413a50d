"""Relative entropy from few frames: what they leave undecided stays where it began; steps too far are taken back."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.relative_entropy import RelativeEntropy
from thalweg.coarse_graining.interactions.functions import AngleWaves, Powers
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
from thalweg.coarse_graining.simulation import CoarseDynamics

KT = 2.5
BONDS = BondedInteraction(
    InternalCoordinate("distance", [[k, k + 1] for k in range(4)], Powers(0.4, 0.02)), name="bond"
)
ANGLES = BondedInteraction(
    InternalCoordinate("angle", [[k, k + 1, k + 2] for k in range(3)], Powers(1.8, 0.15)), name="angle"
)
TURNS = [InternalCoordinate("dihedral", [[k, k + 1, k + 2, k + 3]], AngleWaves(3)) for k in range(2)]
TORSIONS = BondedInteraction(
    InternalCoordinate("dihedral", [[0, 1, 2, 3], [1, 2, 3, 4]], AngleWaves(1)), name="turn"
)
KNOWN = np.array([0.0, KT, 0.0, KT, -KT, 0.5 * KT])
"""Springs of bonds and angles, and waves of torsions."""

DYNAMICS = CoarseDynamics(length=30.0, dt=0.004, replicas=60, save_every=0.5)


@pytest.fixture(scope="module")
def truth():
    """Frames of five beads of which all is known."""
    model = RelativeEntropy((BONDS, ANGLES, TORSIONS), start=KNOWN, dynamics=DYNAMICS, rounds=1, settled=1e9)
    zigzag = np.array([[0.4 * np.sin(0.9) * k, 0.4 * np.cos(0.9) * (k % 2), 0.01 * k**2] for k in range(5)])
    start = BeadFrames(zigzag[None], KT, masses=np.full(5, 50.0))
    energy = model.fit(start).energy()
    return DYNAMICS.run(energy, DYNAMICS.run(energy, start, seed=1), seed=2)


@pytest.mark.long
def test_a_prior_keeps_what_few_frames_leave_undecided(truth):
    # the product of all waves of both torsions: 36 functions, none of which is there
    both = BondedInteraction(*TURNS, name="both")
    few = truth[:: len(truth) // 60]
    found = {}
    for width in (0.5, np.inf):
        start = np.concatenate([KNOWN, np.zeros(len(both.names))])
        method = RelativeEntropy(
            (BONDS, ANGLES, TORSIONS, both),
            start=start,
            dynamics=DYNAMICS,
            rounds=3,
            prior_width=width,
            settled=0.0,
        )
        found[width] = np.abs(method.fit(few).of("both")[0]).max() / KT
    assert found[0.5] < 0.5 * found[np.inf]
    assert found[0.5] < 1.5


def test_a_prior_hardly_matters_where_data_decide(truth):
    start = KNOWN * [1, 1, 1, 1, 0.5, 0.5]
    plain = RelativeEntropy((BONDS, ANGLES, TORSIONS), start=start, dynamics=DYNAMICS, rounds=4)
    model, free = (replace(plain, prior_width=width).fit(truth) for width in (3.0, np.inf))
    waves, errors = model.of("turn")
    assert np.abs(waves - free.of("turn")[0]).max() < 0.1 * KT
    assert np.abs(waves - KNOWN[4:]).max() < 0.2 * KT
    assert (errors > 0).all()


@dataclass(frozen=True)
class BreaksOnce(CoarseDynamics):
    """Dynamics of which the second simulation breaks."""

    def run(self, energy, start, seed=0):
        if seed == 2:
            raise RuntimeError("the coarse model's dynamics broke in every replica")
        return super().run(energy, start, seed)


def test_a_step_that_breaks_the_model_is_taken_back(truth):
    said = []
    dynamics = BreaksOnce(length=10.0, dt=0.004, replicas=60, save_every=0.5)
    start = KNOWN * [1, 1, 1, 1, 0, 0]
    method = RelativeEntropy(
        (BONDS, ANGLES, TORSIONS), start=start, dynamics=dynamics, rounds=4, progress=said.append
    )
    model = method.fit(truth)
    assert any("went too far" in words for words in said)
    assert np.abs(model.of("turn")[0] - KNOWN[4:]).max() < 0.5 * KT
    first = replace(dynamics, length=2.0)
    with pytest.raises(RuntimeError, match="broke"):
        replace(method, dynamics=_Broken(first.length)).fit(truth)


@dataclass(frozen=True)
class _Broken(CoarseDynamics):
    """Dynamics that always break."""

    def run(self, energy, start, seed=0):
        raise RuntimeError("the coarse model's dynamics broke in every replica")
