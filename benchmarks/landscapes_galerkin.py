"""Galerkin approximations beside exact answers: a committor among ten dimensions, rates and passage times of model
potentials from short trajectories begun anywhere, a hidden coordinate, and whether errors cover.

``ROUTES x SYSTEMS`` is one table: a route is a function from trajectories of a system to its numbers with errors, and
another one joins by a line in `ROUTES`. ``z`` is the difference from the exact answer in errors that the route claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from thalweg.collective_variables.bases.basis import Basis, Then
from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.collective_variables.bases.kernels import Landmarks
from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap
from thalweg.collective_variables.neural.learned_basis import LearnedBasis, Training
from thalweg.collective_variables.neural.slowness import ReversibleScore
from thalweg.kinetics.galerkin.adapted_kernels import AdaptedKernels
from thalweg.kinetics.galerkin.delay_embedding import delay_embedded
from thalweg.kinetics.galerkin.dynamical_galerkin import DynamicalGalerkin
from thalweg.kinetics.known_chain import known_chain
from thalweg.kinetics.reactions.passage_times import mean_first_passage_time
from thalweg.kinetics.reactions.regions import Ellipsoid, Intervals, Region
from thalweg.kinetics.reactions.transition_paths import reactive_flux
from thalweg.kinetics.states.clustering import KMeans
from thalweg.report.benchmark import Row
from thalweg.testsystems.chain import sampled_states
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.potential import Potential
from thalweg.testsystems.wells import PrinzPotential, TripleWell1D, TripleWell2D
from thalweg.time_series.trajectories import Trajectories

Numbers = dict[str, tuple[float, float]]
"""Value and standard error of each number of `NUMBERS`."""

NUMBERS = ("k_AB", "mean passage time", "committor")

HALF = 0.5**0.5


@dataclass(frozen=True)
class System:
    """A potential with two sets, where its committor is compared, and how it is sampled: short runs begun anywhere.

    ``dt`` is the step [ps], ``steps`` the length of a run, ``lagtime`` that of a window; windows begin ``every`` so
    many steps, and runs at energies of up to ``highest`` [kT] above the lowest.
    """

    potential: Potential
    kT: float
    domain: tuple[tuple[float, float], ...]
    cells: tuple[int, ...]
    a: Region
    b: Region
    at: tuple[float, ...]
    dt: float
    steps: int
    lagtime: int
    every: int
    runs: int = 1500
    highest: float = 12.0

    @property
    def generator(self) -> Generator:
        return Generator(self.potential, self.domain, self.cells, self.kT, diffusion=self.kT)

    def sets(self) -> tuple[Callable, ...]:
        """Both as functions of ``x (dims, cells)``, as the exact answers want them."""
        return tuple(partial(_inside, region) for region in (self.a, self.b))

    def sampled(self, seed: int) -> Trajectories:
        """Euler-Maruyama runs from points drawn uniformly among those that are not too high."""
        random, low, high = np.random.default_rng(seed), *np.array(self.domain).T
        drawn = random.uniform(low, high, (200 * self.runs, len(low)))
        energy = self.potential.energy(drawn.T) / self.kT
        x = drawn[energy < energy.min() + self.highest][: self.runs]
        frames = np.empty((self.steps + 1, *x.shape))
        frames[0] = x
        for step in range(1, self.steps + 1):
            noise = np.sqrt(2 * self.kT * self.dt) * random.standard_normal(x.shape)
            x = x - self.dt * self.potential.gradient(x.T).T + noise
            frames[step] = x
        return Trajectories(list(frames.swapaxes(0, 1)), dt=self.dt)


def _inside(region: Region, x: np.ndarray) -> np.ndarray:
    """Whether points ``x (dims, *points)`` are in a region."""
    return (np.asarray(region.distance(x.reshape(len(x), -1).T)) <= 0).reshape(x.shape[1:])


WELLS = tuple(Ellipsoid(center, 0.1) for center in ((-0.558, 1.442), (0.623, 0.028)))
BOX = ((-1.8, 1.3), (-0.6, 2.3))
SYSTEMS = {
    "Prinz": System(
        PrinzPotential(), 1.0, ((-1.2, 1.2),), (800,), Intervals((-np.inf,), (-0.6,)), Intervals((0.6,), (np.inf,)),
        (0.0,), dt=1e-4, steps=1000, lagtime=500, every=50,
    ),
    "triple well, 1-D": System(
        TripleWell1D(), 0.28125, ((-0.4, 6.5),), (1600,), Intervals((0.307,), (0.707,)), Intervals((5.225,), (5.625,)),
        (3.158,), dt=5e-4, steps=2000, lagtime=50, every=25,  # longer windows all fall back before they end
    ),
    "triple well, 2-D": System(
        TripleWell2D(), 0.59405, ((-2.7, 2.7), (-2.6, 3.3)), (150, 150), Ellipsoid((-1.05, -0.04), 0.3),
        Ellipsoid((1.05, -0.04), 0.3), (-0.5, 0.8), dt=5e-4, steps=1000, lagtime=500, every=50,
    ),
    "Müller-Brown V/20": System(
        MullerBrown(20.0), 1.0, BOX, (160, 160), *WELLS, (-0.05, 0.467), dt=1e-4, steps=2000, lagtime=1000, every=100,
    ),
    "Müller-Brown V/15": System(
        MullerBrown(15.0), 1.0, BOX, (160, 160), *WELLS, (-0.05, 0.467), dt=1e-4, steps=2000, lagtime=1000, every=100,
    ),
}  # fmt: skip
"""Systems whose rates, passage times and committors are exact."""


def galerkin(basis: Basis, system: System, data: Trajectories) -> Numbers:
    """What a Galerkin approximation says of a system."""
    method = DynamicalGalerkin(system.a, system.b, system.lagtime, basis, every=system.every)
    model = method.fit(data)
    at = np.array([system.at])
    numbers = {
        "k_AB": (float(model.rate_ab.value), float(model.rate_ab.error)),
        "mean passage time": (float(model.passage_ab.value), float(model.passage_ab.error)),
    }
    return numbers | {"committor": (float(model.transform(at)[0, 0]), float(model.committor.error(at)[0]))}


ROUTES: dict[str, Callable[[System, Trajectories], Numbers]] = {
    "Galerkin, adapted kernels": partial(galerkin, AdaptedKernels(150, rounds=2)),
    "Galerkin, landmarks": partial(galerkin, Landmarks(100)),
}
"""Ways to the same numbers: functions of a system and its trajectories."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one seed instead of three, and fewer repeats."""
    seeds = range(1 if quick else 3)
    systems = {name: partial(_system, name, seeds) for name in SYSTEMS}
    return {
        "ten dimensions": partial(_ten_dimensions, data, seeds),
        **systems,
        "hidden coordinate": partial(_hidden_coordinate, seeds),
        "errors": partial(_errors, 20 if quick else 60),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def _ten_dimensions(data: Path, seeds: range) -> Iterator[Row]:
    """Root mean square error of the committor outside the sets of the published set of 1000 runs of five frames."""
    folder, name = data / "kinetics" / "muller_dga", "10-D Müller-Brown, error of the committor"
    if not folder.exists():
        yield Row(name, None, "", target="data set muller_dga is absent")
        return
    runs = np.load(folder / "c10d_muller_brown_trajs.npy")
    a = Ellipsoid((-0.5, 1.5), (0.3**0.5, 0.025**0.5), columns=(0, 1), axes=((HALF, HALF), (HALF, -HALF)))
    b = Ellipsoid((0.6, 0.02), (0.2**0.5, 0.04**0.5), columns=(0, 1))
    grid = tuple(np.load(folder / f"c10d_{axis}grid.npy") for axis in ("x", "y"))
    exact = RegularGridInterpolator(grid, _oriented(np.load(folder / "c10d_reference_committor.npy"), grid))
    frames = runs.reshape(-1, runs.shape[-1])
    outside = (np.asarray(a.distance(frames)) > 0) & (np.asarray(b.distance(frames)) > 0)
    inside = np.all([(frames[:, k] >= grid[k][0]) & (frames[:, k] <= grid[k][-1]) for k in (0, 1)], axis=0)
    judged = outside & inside
    known = exact(frames[judged, :2])
    cells = KMeans(300, seed=0).fit(Trajectories(list(runs))).centers
    bases: dict[str, Callable[[int], Basis]] = {
        "adapted kernels": lambda seed: AdaptedKernels(seed=seed),
        "400 landmarks": lambda seed: Landmarks(400, seed=seed),
        "300 indicators": lambda seed: Indicators(cells),
        "60 functions of a diffusion map": lambda seed: DiffusionMap(dim=60),
        "cubic polynomials": lambda seed: Polynomials(3),
        "100 landmarks along four learned functions": _along_learned,
    }
    for kind, basis in bases.items():
        found = []
        for seed in seeds:
            method = DynamicalGalerkin(a, b, 4, basis(seed), samples=0)
            values = method.fit(Trajectories(list(runs), dt=0.1)).transform(frames[judged])[:, 0]
            found.append(float(np.sqrt(np.mean((values - known) ** 2))))
        target = {"target": "<= 0.07", "met": max(found) <= 0.07} if kind == "adapted kernels" else {}
        spread = float(np.ptp(found) / 2) if len(found) > 1 else None
        yield Row(f"{name}, {kind}", float(np.mean(found)), "", spread, **target)


def _along_learned(seed: int) -> Basis:
    """Landmarks in the slow functions of a network, which nobody told what is slow."""
    return Then(LearnedBasis(ReversibleScore(4), 1, Training(seed=seed)), Landmarks(100, seed=seed))


def _oriented(values: np.ndarray, grid: tuple[np.ndarray, ...]) -> np.ndarray:
    """Values over (x, y), whichever axis the file has first: the committor is one at the second well."""
    place = tuple(int(np.argmin(np.abs(axis - at))) for axis, at in zip(grid, (0.6, 0.02)))
    return values if values[place] > 0.5 else values.T


@cache
def _exact(name: str) -> dict[str, float]:
    system = SYSTEMS[name]
    generator, (in_a, in_b) = system.generator, system.sets()
    committor = generator.interpolated(generator.committor(in_a, in_b), np.array([system.at]))
    times = generator.mean_first_passage_time(in_b, in_a)
    return {
        "k_AB": generator.rate(in_a, in_b).forward,
        "mean passage time": float(times),
        "committor": float(np.ravel(committor)[0]),
    }


def _system(name: str, seeds: range) -> Iterator[Row]:
    """All routes to the numbers of one system."""
    system, exact = SYSTEMS[name], _exact(name)
    data = {seed: system.sampled(seed) for seed in seeds}
    for route, answers in ROUTES.items():
        found = [answers(system, data[seed]) for seed in seeds]
        for number in NUMBERS:
            values, errors = np.array([each[number] for each in found]).T
            yield _against(f"{name}: {number}, {route}", values, errors, exact[number])


def _against(test: str, values: np.ndarray, errors: np.ndarray, exact: float, unit: str = "") -> Row:
    """Values of several seeds beside the exact one: right if the mean square of ``z`` is what it is by chance."""
    z = (values - exact) / errors
    told = f"rms z <= 2 (z {', '.join(f'{each:.1f}' for each in z)})"
    spread = float(values.std(ddof=1)) if len(values) > 1 else float(errors[0])
    met = bool(np.sqrt(np.mean(z**2)) <= 2)
    return Row(test, float(values.mean()), unit, spread, told, met, "exact", exact)


def _hidden_coordinate(seeds: range) -> Iterator[Row]:
    """Mean passage time along y of a process whose x nobody sees, with and without what was seen before."""
    potential, spacing = MullerBrown(20.0), 0.1
    a, b = Intervals((-np.inf,), (0.15,), columns=(0,)), Intervals((1.15,), (np.inf,), columns=(0,))
    kinds = {
        "y alone": (0, 0, 5),
        "y alone, memory": (0, 4, 10),
        "y and 4 earlier ones": (4, 0, 5),
    }
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for seed in seeds:
        runs = _seen_along_y(potential, 1000, 50, spacing, seed)
        for kind, (delays, memory, lagtime) in kinds.items():
            data = delay_embedded(runs, delays) if delays else runs
            model = DynamicalGalerkin(a, b, lagtime, AdaptedKernels(150, rounds=2), memory).fit(data)
            found[kind].append((float(model.passage_ab.value), float(model.passage_ab.error)))
    for kind, pairs in found.items():
        values, errors = np.array(pairs).T
        z = (values - 5.629) / np.hypot(errors, 0.260)
        spread = float(values.std(ddof=1)) if len(values) > 1 else float(errors[0])
        target = {} if kind == "y alone" else {"met": bool(np.sqrt(np.mean(z**2)) <= 2)}
        told = f"5.629 ± 0.260 (z {', '.join(f'{each:.1f}' for each in z)})"
        yield Row(
            f"Müller-Brown along y: mean passage time, {kind}", float(values.mean()), "", spread, told,
            peer="direct simulation", peer_value=5.629, **target,
        )  # fmt: skip


def _seen_along_y(potential: Potential, runs: int, frames: int, spacing: float, seed: int) -> Trajectories:
    """y of runs begun uniformly where the energy is not too high."""
    random, dt = np.random.default_rng(seed), 1e-3
    drawn = random.uniform((-1.8, -0.6), (1.3, 2.3), (200 * runs, 2))
    energy = potential.energy(drawn.T)
    x = drawn[energy < energy.min() + 12.0][:runs]
    seen = [x[:, 1]]
    for _ in range(frames - 1):
        for _ in range(round(spacing / dt)):
            x = x - dt * potential.gradient(x.T).T + np.sqrt(2 * dt) * random.standard_normal(x.shape)
        seen.append(x[:, 1])
    return Trajectories(list(np.stack(seen, axis=1)[..., None]), dt=spacing)


def _errors(repeats: int) -> Iterator[Row]:
    """How often intervals of 95 % hold the exact answer, of a driven chain of nine states seen in short runs."""
    states, places = 9, np.arange(9.0)[:, None]
    matrix = _driven(states)
    chain = known_chain(matrix, lag=1.0)
    exact = {
        "rate_ab": reactive_flux(chain, [0], [states - 1]).rate,
        "passage_ab": mean_first_passage_time(chain, [0], [states - 1]),
        "passage_ba": mean_first_passage_time(chain, [states - 1], [0]),
        "population_a": float(chain.fit.stationary_distribution[0]),
    }
    method = DynamicalGalerkin(
        Intervals((-1.0,), (0.5,)), Intervals((7.5,), (9.0,)), 8, Indicators(places), samples=60
    )
    covered = {name: 0 for name in exact}
    for seed in range(repeats):
        random = np.random.default_rng([7, seed])
        walks = sampled_states(matrix, 400, 25, np.full(states, 1 / states), random)
        model = method.fit(Trajectories([places[row] for row in walks]))
        for name, value in exact.items():
            low, high = getattr(model, name).interval()
            covered[name] += bool(low <= value <= high)
    for name, count in covered.items():
        share = count / repeats
        # what a true coverage of 95 % stays above in 999 of 1000 such benchmarks
        least = 0.95 - 3.1 * (0.95 * 0.05 / repeats) ** 0.5
        yield Row(
            f"driven chain: 95 % intervals of {name} that cover",
            share,
            "",
            target=f">= {least:.2f}",
            met=share >= least,
        )


def _driven(states: int) -> np.ndarray:
    """A walk with a drift, slower below the middle, and a way back from the last state to the first."""
    matrix = np.zeros((states, states))
    for k in range(states):
        if k + 1 < states:
            matrix[k, k + 1] = 0.25 if k < states // 2 else 0.35
        if k:
            matrix[k, k - 1] = 0.3
    matrix[-1, 0] = 0.2
    matrix[np.diag_indices(states)] = 1 - matrix.sum(axis=1)
    return matrix
