"""Landscapes of the race: model potentials whose populations, free energies and passage times are known exactly.

Also a plug-in: its apparatuses are named by the plans of campaigns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.variables import Coordinates
from thalweg.sampling.apparatus import Apparatus, factory
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.potential import Potential
from thalweg.testsystems.wells import ObliqueDoubleWell

WALKERS = 8
VISITED = 12.0
"""Cells up to so many kT above the lowest one count for coverage."""


@dataclass(frozen=True)
class Landscape:
    """A particle on a potential, where it begins and what it is to find.

    Attributes
    ----------
    name : in the table
    potential, kT, dt : of the dynamics, overdamped with D = 1
    start : where all walkers begin
    target : whether points (2, ...) are where the first visit is timed to
    side : whether points are in the set whose free energy is asked for
    goal : feature along which `Directed` looks, and whether towards larger values
    cells : along both dimensions, for coverage and divergence
    length : steps of a walk
    save_every : steps between frames
    rounds : swarms
    sketch : speed-ups of the first sketch of this race, by rule
    """

    name: str
    potential: Potential
    kT: float
    dt: float
    start: tuple[float, float]
    target: Callable[[np.ndarray], np.ndarray]
    side: Callable[[np.ndarray], np.ndarray]
    goal: tuple[str, bool]
    cells: tuple[int, int]
    length: int
    save_every: int
    rounds: int
    sketch: dict[str, float]

    @cached_property
    def exact(self) -> Generator:
        """The generator on a fine grid."""
        return Generator(self.potential, self.potential.domain, (216, 204), kT=self.kT)

    @cached_property
    def free_energy(self) -> float:
        """Of the side less that of the rest, exact [kJ/mol]."""
        return self.exact.free_energy_difference(self.side)

    @cached_property
    def passage(self) -> float:
        """Mean steps of a walker from the start to the target, exact."""
        times = self.exact.mean_first_passage_time(self.target)
        return float(self.exact.interpolated(times, np.array([self.start]))[0]) / self.dt

    @cached_property
    def leaving(self) -> float:
        """Mean steps of a walker from the start to the side, exact."""
        times = self.exact.mean_first_passage_time(self.side)
        return float(self.exact.interpolated(times, np.array([self.start]))[0]) / self.dt

    @cached_property
    def edges(self) -> list[np.ndarray]:
        """Of the cells."""
        return [np.linspace(*ends, n + 1) for ends, n in zip(self.potential.domain, self.cells)]

    @cached_property
    def populations(self) -> np.ndarray:
        """Of the cells, exact."""
        weights = self.exact.stationary_distribution
        return np.histogram2d(*self.exact.points, bins=self.edges, weights=weights)[0]

    @cached_property
    def worth_a_visit(self) -> np.ndarray:
        """Cells low enough to count for coverage."""
        with np.errstate(divide="ignore"):
            height = -np.log(self.populations / self.populations.max())
        return height <= VISITED

    def apparatus(self) -> Apparatus:
        """What simulates it."""
        dynamics = Overdamped(kT=self.kT, dt=self.dt)
        return Apparatus(
            engine=NativeEngine.for_potential(self.potential, np.ones(1), dynamics),
            features=Coordinates([0], dims=2),
            positions=np.array([self.start]),
            masses=np.ones(1),
            kT=self.kT,
            bounds=tuple(np.array(self.potential.domain).T),
            card={"engine": "native"},
        )


MULLER_BROWN = Landscape(
    "Müller-Brown/10",
    MullerBrown(10.0),
    kT=1.0,
    dt=2e-4,
    start=(-0.5582, 1.4417),
    target=lambda x: (x[0] - 0.6235) ** 2 + (x[1] - 0.0280) ** 2 < 0.2**2,
    side=lambda x: x[1] < 0.75,
    goal=("0 y", False),
    cells=(24, 24),
    length=1000,
    save_every=50,
    rounds=30,
    sketch={"REAP": 80, "BoundaryExtrapolation": 67, "LeastCounts": 65, "DiffusionMapFrontier": 39},
)
WELLS = Landscape(
    "2-D double well",
    ObliqueDoubleWell(),
    kT=0.8,
    dt=1e-3,
    start=(-1.0, -0.3),
    target=lambda x: x[0] > 0.9,
    side=lambda x: x[0] > 0,
    goal=("0 x", True),
    cells=(20, 20),
    length=250,
    save_every=10,
    rounds=30,
    sketch={},
)
DEEP = replace(MULLER_BROWN, name="Müller-Brown/6", potential=MullerBrown(6.0), dt=1e-4)
"""The same surface with wells deeper by two thirds; not in the race."""

LANDSCAPES = {"muller-brown": MULLER_BROWN, "wells": WELLS}


@factory
def landscape(name: str) -> Apparatus:
    """The apparatus of a landscape by its name in the table of parts, or the deep one."""
    return DEEP.apparatus() if name == "deep" else LANDSCAPES[name].apparatus()
