"""Time scales under another energy by hops under the old one, beside those of its own generator."""

from functools import cache

import equinox as eqx
import numpy as np
import pytest

from thalweg.kinetics.perturbed_timescale import perturbed_timescales, weighted_hops
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.potential import Potential
from thalweg.testsystems.wells import DoubleWell, ObliqueDoubleWell


class Changed(Potential):
    """A potential with a hill [kJ/mol] at a place, and a slope along x."""

    potential: Potential
    height: float
    place: tuple[float, ...] = eqx.field(static=True)
    slope: float

    @property
    def domain(self):
        return self.potential.domain

    def energy(self, x):
        return self.potential.energy(x) + self.added(x)

    def added(self, x):
        exp = x.__array_namespace__().exp
        apart = sum((each - at) ** 2 for each, at in zip(x, self.place))
        return self.height * exp(-apart / 0.3**2) + self.slope * x[0]


# potential, kT, a place on the barrier, cells, and a lag in which a walker goes about a tenth nanometer
SYSTEMS = {
    "well": (DoubleWell(6.0, 1.0), 1.0, (0.0,), (120,), 0.005),
    "wells": (ObliqueDoubleWell(), 0.8, (0.0, 0.0), (36, 36), 0.005),
    "muller_brown": (MullerBrown(10.0), 1.0, (-0.822, 0.624), (40, 40), 0.002),
}


@cache
def hops_of(name, lag):
    """Between the cells of a system, and their populations."""
    potential, kT, _, cells, _ = SYSTEMS[name]
    old = Generator(potential, potential.domain, cells, kT=kT)
    hops = old.stationary_distribution[:, None] * old.transition_matrix(lag)
    return (hops + hops.T) / 2, old.stationary_distribution


def generators(name, height, slope):
    potential, kT, place, cells, _ = SYSTEMS[name]
    other = Changed(potential, height, place, slope)
    return other, *(Generator(each, potential.domain, cells, kT=kT) for each in (potential, other))


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize(("height", "slope"), [(0.3, 0.0), (0.0, 0.3), (-0.3, 0.2), (1.0, 0.0)])
def test_a_time_scale_under_another_energy_is_that_of_its_generator(name, height, slope):
    other, old, new = generators(name, height, slope)
    (found,) = perturbed_timescales(*hops_of(name, SYSTEMS[name][-1]), other.added(old.points) / old.kT)
    exact = new.timescales(1)[0] / old.timescales(1)[0]
    assert abs(np.log(found / exact)) < 0.02 + 0.06 * (abs(height) + abs(slope))


def test_hops_that_jump_the_barrier_miss_what_is_added_there():
    other, old, new = generators("well", 1.0, 0.0)
    exact = np.log(new.timescales(1)[0] / old.timescales(1)[0])
    told = []
    for lag in (0.005, 0.05, 0.5):
        told.append(np.log(perturbed_timescales(*hops_of("well", lag), other.added(old.points))[0]))
    assert exact > told[0] > told[1] > told[2]
    assert told[0] > 0.9 * exact
    assert told[2] < 0.5 * exact


def test_walks_under_a_bias_tell_what_is_added_on_a_barrier_that_they_cross():
    other, old, new = generators("well", 1.0, 0.0)
    flat = Generator(Changed(old.potential, -4.0, (0.0,), 0.0), old.domain, 120)
    walks = [walk[:, 0] for walk in flat.sample(100, 1000, 0.005, seed=1)]
    states = [np.abs(walk[:, None] - old.points[0]).argmin(1) for walk in walks]
    bias = flat.reduced_energy - old.reduced_energy
    hops, populations = weighted_hops(states, [bias[walk] for walk in states], old.size)
    known = np.bincount(np.concatenate(states), minlength=old.size) > 0
    (found,) = perturbed_timescales(hops, populations, np.where(known, other.added(old.points), np.nan))
    # hops cost a tenth of the logarithm, see above; the walks, some hundredths
    assert abs(np.log(found) / np.log(new.timescales(1)[0] / old.timescales(1)[0]) - 0.93) < 0.1


def test_the_same_added_everywhere_changes_nothing():
    hops, populations = hops_of("wells", 0.005)
    same = perturbed_timescales(hops, populations, np.full(len(populations), 30.0), 2)
    np.testing.assert_allclose(same, 1.0, rtol=1e-6)


def test_walks_that_are_not_joined_are_refused():
    hops, populations = weighted_hops([np.array([0, 1, 0]), np.array([2, 3, 2])], [np.zeros(3)] * 2, 4)
    with pytest.raises(ValueError, match=r"hops join 2 of 4 microstates with 50 % of the population"):
        perturbed_timescales(hops, populations, np.zeros(4))
