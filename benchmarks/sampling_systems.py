"""Landscapes of the race: model potentials whose populations, free energies and passage times are known exactly, and a
molecule whose numbers long runs have found.

Also a plug-in: its apparatuses are named by the plans of campaigns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.variables import Coordinates
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe, factory
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

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the plane."""
        lower, upper = np.array(self.potential.domain).T
        return lower, upper

    @property
    def variable(self) -> Variable:
        """What metadynamics biases."""
        return Coordinates([0], dims=2)

    def points(self, features: np.ndarray) -> np.ndarray:
        """Of features (frames, features), points (2, frames)."""
        return features.T

    def apparatus(self) -> Apparatus:
        """What simulates it."""
        dynamics = Overdamped(kT=self.kT, dt=self.dt)
        return Apparatus(
            engine=NativeEngine.for_potential(self.potential, np.ones(1), dynamics),
            features=Coordinates([0], dims=2),
            positions=np.array([self.start]),
            masses=np.ones(1),
            kT=self.kT,
            bounds=self.bounds,
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


ALANINE = ApparatusRecipe(
    "studies.apparatus",
    {
        "system": {"molecule": "alanine_dipeptide", "solvent": "obc2", "hydrogen_mass": "3 amu"},
        "dynamics": {"engine": "native", "temperature": "400 K", "dt": "4 fs"},
        "features": {"kind": "TorsionFeatures"},
    },
)


@dataclass(frozen=True)
class Molecule:
    """Alanine dipeptide in OBC2, as hot as makes plain walks arrive now and then; its plane is that of phi and psi.

    Rules know sines and cosines of both. ``passage`` [steps] and ``free_energy`` [kJ/mol] are what the part
    ``alanine/reference`` printed; other attributes as those of a `Landscape`.
    """

    passage: float
    free_energy: float
    name: str = "alanine dipeptide, OBC2, 400 K"
    dt: float = 0.004
    length: int = 2500
    save_every: int = 125
    rounds: int = 30
    goal: tuple[str, bool] = ("sin phi ALA2", True)
    cells: tuple[int, int] = (18, 18)
    sketch: dict[str, float] = field(default_factory=dict)
    populations: None = None

    @property
    def kT(self) -> float:
        """[kJ/mol]"""
        return self.apparatus().kT

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the plane."""
        return np.full(2, -np.pi), np.full(2, np.pi)

    @property
    def worth_a_visit(self) -> np.ndarray:
        """Every cell."""
        return np.ones(self.cells, bool)

    @property
    def edges(self) -> list[np.ndarray]:
        """Of the cells."""
        return [np.linspace(-np.pi, np.pi, n + 1) for n in self.cells]

    @property
    def variable(self) -> Variable:
        """What metadynamics biases."""
        return self.apparatus().features.angles

    def target(self, x: np.ndarray) -> np.ndarray:
        """The middle of the left-handed basin."""
        phi, psi = np.degrees(x)
        return (phi > 40) & (phi < 90) & (np.abs(psi - 20) < 60)

    def side(self, x: np.ndarray) -> np.ndarray:
        """0 < phi < 126 degrees."""
        return (x[0] > 0) & (x[0] < np.radians(126))

    def points(self, features: np.ndarray) -> np.ndarray:
        """Phi and psi (2, frames) of their sines and cosines."""
        return np.arctan2(features[:, :2], features[:, 2:]).T

    def apparatus(self) -> Apparatus:
        """What simulates it."""
        return ALANINE.build()


LANDSCAPES = {"muller-brown": MULLER_BROWN, "wells": WELLS}
"""In the race, of particles."""

RACED: dict[str, Landscape | Molecule] = LANDSCAPES | {"alanine": Molecule(passage=2.22e6, free_energy=10.49)}
"""All of the race."""


@factory
def landscape(name: str) -> Apparatus:
    """The apparatus of a landscape by its name in the table of parts, or the deep one."""
    return DEEP.apparatus() if name == "deep" else LANDSCAPES[name].apparatus()
