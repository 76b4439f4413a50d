"""Where a fit had no data its potential goes up, whatever the functions reach: there are no holes to fall into."""

import numpy as np
import pytest

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.boltzmann_inversion import BoltzmannInversion
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.interactions.functions import BSplines
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
from thalweg.coarse_graining.simulation import CoarseDynamics

KT, STIFF, LENGTH = 2.5, 2000.0, 0.4
WIDE = BSplines(0.05, 1.2, 30)
BOND = BondedInteraction(InternalCoordinate("distance", [[0, 1]], WIDE), name="bond")


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    r = rng.normal(LENGTH, np.sqrt(KT / STIFF), (4000, 1))
    r = r[np.abs(r[:, 0] - LENGTH) < 0.12]
    u = rng.normal(size=(len(r), 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    pull = -STIFF * (r - LENGTH) * u
    return BeadFrames(
        np.stack([np.zeros_like(u), r * u], 1), KT, np.stack([-pull, pull], 1), masses=np.full(2, 12.0)
    )


@pytest.mark.parametrize(
    "method", [ForceMatching((BOND,)), BoltzmannInversion((BOND,))], ids=["forces", "inversion"]
)
def test_a_spline_that_reaches_beyond_the_data_goes_up_there(frames, method):
    model = method.fit(frames)
    r = np.linspace(0.06, 1.19, 200)
    energy = model.coefficients @ WIDE.design(r)[0]
    seen = frames.positions[:, 1]
    short, far = np.linalg.norm(seen, axis=1).min(), np.linalg.norm(seen, axis=1).max()
    lowest = energy.min()
    assert short < r[energy.argmin()] < far
    assert energy[r < short - 0.02].min() > lowest + 2 * KT
    assert energy[r > far + 0.02].min() > lowest + 2 * KT
    assert (np.diff(energy[r < short - 0.05]) <= 1e-9).all()
    assert (np.diff(energy[r > far + 0.05]) >= -1e-9).all()


def test_dynamics_stay_where_the_data_were(frames):
    model = ForceMatching((BOND,)).fit(frames)
    drawn = CoarseDynamics(length=20.0, replicas=50).run(model.energy(), frames)
    r = np.linalg.norm(drawn.positions[:, 1] - drawn.positions[:, 0], axis=1)
    assert r.mean() == pytest.approx(LENGTH, abs=0.03)
    assert r.min() > 0.2
    assert r.max() < 0.6


def test_splines_between_data_lie_on_a_line():
    splines = BSplines(0.0, 1.0, 5)
    seen = np.array([False, True, True, False, False, True, True, False])
    c = splines.continued(np.array([0, 4.0, 1.0, 9.0, 9.0, -2.0, -1.0, 0]), seen)
    assert c.tolist() == [7.0, 4.0, 1.0, 0.0, -1.0, -2.0, -1.0, 0.0]
