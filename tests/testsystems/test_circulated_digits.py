"""Figures in circulation that differ from the converged ones in a last digit, from the grids that give them.

They are exact for their grids: nodes where the walls stand half a spacing outside, sets that end at nodes,
and hop rates by the mean energy of two cells (the square-root approximation of Lie et al. 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.wells import CosineWell, PrinzPotential, TripleWell2D


@dataclass(frozen=True)
class SquareRootApproximation(Generator):
    """Hops by the mean of the two cells' energies."""

    def hop_rates(self, origin, step, along):
        neighbor = self.points[:, origin]
        neighbor[along, np.arange(origin.size)] += step
        rise = self.potential.energy(neighbor) / self.kT - self.reduced_energy[origin]
        return self.diffusion / self.grid.spacing[along] ** 2 * np.exp(-0.5 * rise)


def nodes(domain, count):
    """The domain whose cells are centered on ``count`` nodes from end to end."""
    return tuple((a - 0.5 * (b - a) / (count - 1), b + 0.5 * (b - a) / (count - 1)) for a, b in domain)


def test_prinz_potential_with_sets_that_end_at_cell_centers():
    generator = Generator(PrinzPotential(), ((-1.2, 1.2),), 2000)
    left, right = generator.points[0] < -0.6, generator.points[0] > 0.6
    assert round(generator.rate(left, right).forward, 4) == 0.5530
    assert round(generator.mean_first_passage_time(right, left), 4) == 1.8453
    committor = generator.interpolated(generator.committor(left, right), [[-0.25], [0.0], [0.25]])
    np.testing.assert_array_equal(committor.round(4), [0.2795, 0.5895, 0.8978])


def test_cosine_well_on_nodes_from_wall_to_wall():
    timescales = Generator(CosineWell(), nodes(CosineWell().domain, 4000), 4000).timescales(3)
    assert timescales[0] == pytest.approx(7.1160, abs=5e-5)
    np.testing.assert_array_equal(timescales[1:].round(5), [0.41424, 0.32467])


@pytest.mark.long
def test_triple_well_in_two_dimensions_by_the_square_root_approximation():
    domain = nodes(((-2.5, 2.5), (-2.0, 3.0)), 400)
    generator = SquareRootApproximation(
        TripleWell2D(), domain, (400, 400), kT=0.59405, diffusion=0.59405, ceiling=20.0
    )
    x, y = generator.points
    left, right = ((x - side) ** 2 + (y + 0.04) ** 2 < 0.09 for side in (-1.05, 1.05))
    assert round(generator.rate(left, right).forward, 5) == 0.03675
    assert round(generator.mean_first_passage_time(right, left), 2) == 27.30
    timescales = generator.timescales(3)
    assert [round(t, d) for t, d in zip(timescales, (3, 4, 4))] == [12.684, 1.3377, 0.2556]


def test_thiede_problems_by_the_square_root_approximation():
    generator = SquareRootApproximation(
        MullerBrown(20.0), ((-2.505, 1.495), (-1.505, 2.495)), (400, 400), ceiling=20.0
    )
    x, y = generator.points
    a = 6.5 * (x + 0.5) ** 2 - 11.0 * (x + 0.5) * (y - 1.5) + 6.5 * (y - 1.5) ** 2 < 0.3
    rate = generator.rate(a, (x - 0.6) ** 2 + 5.0 * (y - 0.02) ** 2 < 0.2)
    assert (round(rate.forward, 5), round(rate.flux, 5)) == (0.03906, 0.03195)
    times = generator.mean_first_passage_time(y > 1.15)
    mean = generator.mean(times, y < 0.15)
    assert round(mean, 3) == 5.629
    assert round(np.sqrt(generator.mean(times**2, y < 0.15) - mean**2), 3) == 0.260
