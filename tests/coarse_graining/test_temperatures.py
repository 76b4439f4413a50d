"""A coarse potential with an energy and an entropy part, where free energies of each temperature are known."""

import numpy as np
import pytest

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.temperatures import TemperatureForceMatching
from thalweg.coarse_graining.interactions.functions import Powers
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
from thalweg.units import BOLTZMANN

STIFF, HIDDEN = 400.0, 40.0
BOND = BondedInteraction(InternalCoordinate("distance", [[0, 1]], Powers(1.0, 1.0, (1, 2, 3))), name="bond")


def frames(temperature, count=40_000, seed=0):
    """Two beads at r with U = STIFF (r - 1)^2 / 2 + HIDDEN exp(2 (r - 1)) y^2 / 2 and y left out.

    Its free energy is STIFF (r - 1)^2 / 2 + kT (r - 1): an energy and an entropy part, exactly.
    """
    rng, kT = np.random.default_rng(seed), BOLTZMANN * temperature
    r = 1 + rng.normal(0, 0.1, count)
    y = rng.normal(0, np.sqrt(kT / (HIDDEN * np.exp(2 * (r - 1)))))
    pull = -STIFF * (r - 1) - HIDDEN * np.exp(2 * (r - 1)) * y**2
    x = np.zeros((count, 2, 3))
    x[:, 1, 0] = r
    forces = np.zeros_like(x)
    forces[:, 1, 0], forces[:, 0, 0] = pull, -pull
    return BeadFrames(x, kT, forces)


@pytest.fixture(scope="module")
def model():
    method = TemperatureForceMatching(ForceMatching((BOND,)))
    return method.fit([frames(t, seed=k) for k, t in enumerate((250.0, 300.0, 350.0))])


def test_energy_and_entropy_are_told_apart(model):
    energy, entropy = model.energy_part(), model.entropy_part()
    # functions are (r - 1), (r - 1)^2, (r - 1)^3
    expected = np.array([0.0, STIFF / 2, 0.0])
    assert np.abs((energy.coefficients - expected)[:2] / energy.errors[:2]).max() < 4
    assert entropy.coefficients[0] == pytest.approx(model.kT, abs=4 * entropy.errors[0])
    assert entropy.errors[0] < 0.6 * model.kT


@pytest.mark.parametrize("temperature", [275.0, 400.0])
def test_other_temperatures_follow(model, temperature):
    kT = BOLTZMANN * temperature
    at = model.at(kT)
    assert at.coefficients[0] == pytest.approx(kT, abs=4 * at.errors[0])
    assert at.coefficients[1] == pytest.approx(STIFF / 2, abs=4 * at.errors[1])
    assert (at.info["spans beyond those fitted"] > 0) == (temperature > 350)


def test_at_one_of_two_temperatures_it_is_nearly_the_fit_of_that_alone():
    both = [frames(250.0, 10_000), frames(350.0, 10_000, seed=1)]
    model = TemperatureForceMatching(ForceMatching((BOND,))).fit(both)
    for each in both:
        alone = ForceMatching((BOND,)).fit(each)
        assert model.at(each.kT).coefficients == pytest.approx(alone.coefficients, rel=0.02, abs=2e-3 * STIFF)


def test_one_temperature_is_refused():
    with pytest.raises(ValueError, match="two temperatures"):
        TemperatureForceMatching(ForceMatching((BOND,))).fit([frames(300.0, 100), frames(300.0, 100)])
    with pytest.raises(ValueError, match="must be positive"):
        TemperatureForceMatching(ForceMatching((BOND,))).fit([frames(300.0, 100), frames(310.0, 100)]).at(0.0)
