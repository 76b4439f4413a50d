"""Committors: networks beside exact ones, in two and in ten dimensions, from swarms and from weighted frames alone;
rates from their gradients; and, for alanine dipeptide, beside shots from the transition surface that they claim.

Exact answers are those of `thalweg.testsystems`; the committor in ten dimensions is that of the published data set.
``z`` is the difference from an exact answer in standard errors that the method itself claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import RegularGridInterpolator

from thalweg.collective_variables.interpretation.symbolic_regression import SymbolicRegression
from thalweg.collective_variables.neural.learned_basis import Training
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.composed_variables import Concatenate, SineCosine
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.metric_tensors import metric_tensors
from thalweg.geometry.torsions import backbone_dihedrals, torsions_about
from thalweg.geometry.variables import Coordinates, Dihedrals
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.kinetics.committors.gradient_rate import gradient_rates
from thalweg.kinetics.committors.losses import DirichletLoss, SemigroupLoss
from thalweg.kinetics.committors.martingale import martingale_test
from thalweg.kinetics.committors.network_committor import CommittorModel, NetworkCommittor
from thalweg.kinetics.committors.shot_outcomes import ShotOutcomes
from thalweg.kinetics.committors.variable_ranking import rank_variables
from thalweg.kinetics.reactions.regions import Ellipsoid, Intervals, Region
from thalweg.report.benchmark import Row
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.sampling.tasks.shoot import shoot
from thalweg.systems.state import thermal_state
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.potential import Potential
from thalweg.testsystems.wells import PrinzPotential, TripleWell1D, TripleWell2D
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import thermal_energy


@dataclass(frozen=True)
class Problem:
    """A potential, two sets in it, and where its committor is compared."""

    potential: Potential
    kT: float
    domain: tuple[tuple[float, float], ...]
    cells: tuple[int, ...]
    a: Region
    b: Region
    at: tuple[tuple[float, ...], ...]

    @property
    def generator(self) -> Generator:
        return Generator(self.potential, self.domain, self.cells, self.kT, diffusion=self.kT)

    def sets(self) -> tuple[Callable, Callable]:
        """Both as signed functions of ``x (dims, cells)``, as the exact answers want them."""
        return tuple(
            lambda x, region=region: np.asarray(region.distance(x.T)) <= 0 for region in (self.a, self.b)
        )


def _discs(*centers: tuple[float, float], radius: float) -> tuple[Ellipsoid, ...]:
    return tuple(Ellipsoid(center, radius) for center in centers)


WELLS = _discs((-0.558, 1.442), (0.623, 0.028), radius=0.1)
BOX = ((-1.8, 1.3), (-0.6, 2.3))
PROBLEMS = {
    "Prinz": Problem(
        PrinzPotential(), 1.0, ((-1.2, 1.2),), (800,), Intervals((-np.inf,), (-0.6,)), Intervals((0.6,), (np.inf,)),
        ((-0.25,), (0.0,), (0.25,)),
    ),
    "triple well, 1-D": Problem(
        TripleWell1D(), 0.28125, ((-0.4, 6.5),), (1600,), Intervals((0.307,), (0.707,)), Intervals((5.225,), (5.625,)),
        ((3.158,),),
    ),
    "triple well, 2-D": Problem(
        TripleWell2D(), 0.59405, ((-2.7, 2.7), (-2.6, 3.3)), (150, 150),
        *_discs((-1.05, -0.04), (1.05, -0.04), radius=0.3), ((0.0, 1.5), (-0.5, 0.8)),
    ),
    "Müller-Brown V/15": Problem(MullerBrown(15.0), 1.0, BOX, (160, 160), *WELLS, ((-0.05, 0.467),)),
    "Müller-Brown V/20": Problem(MullerBrown(20.0), 1.0, BOX, (160, 160), *WELLS, ((-0.05, 0.467),)),
}  # fmt: skip
"""Problems whose committors and rates are exact."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one seed instead of three."""
    seeds = range(1 if quick else 3)
    return {
        "swarms": partial(_swarms, seeds),
        "ten dimensions": partial(_ten_dimensions, data, seeds),
        "weighted frames": partial(_weighted_frames, quick, seeds),
        "variables": partial(_variables, seeds),
        "alanine": partial(_alanine, seeds),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


@cache
def _exact(name: str) -> tuple[Generator, np.ndarray, Any]:
    """Generator, committor of its cells, and rates."""
    problem = PROBLEMS[name]
    generator = problem.generator
    return generator, generator.committor(*problem.sets()), generator.rate(*problem.sets())


def _walked(
    problem: Problem, x: np.ndarray, steps: int, kT: float, dt: float, random: Any, stop: bool
) -> tuple:
    """Euler-Maruyama walks ``(walkers, steps + 1, dims)`` from ``x (walkers, dims)``, how long each is, and calls."""
    walks = np.empty((len(x), steps + 1, x.shape[1]))
    walks[:, 0], lengths, going = x, np.full(len(x), steps + 1), np.arange(len(x))
    calls = 0
    for step in range(1, steps + 1):
        here = walks[going, step - 1]
        noise = np.sqrt(2 * kT * dt) * random.standard_normal(here.shape)
        walks[going, step] = here - dt * problem.potential.gradient(here.T).T + noise
        calls += len(going)
        if stop:
            inside = [
                np.asarray(region.distance(walks[going, step])) <= 0 for region in (problem.a, problem.b)
            ]
            ended = inside[0] | inside[1]
            lengths[going[ended]] = step + 1
            going = going[~ended]
    return walks, lengths, calls


def _swarm_data(
    problem: Problem, ends: np.ndarray, seed: int, starts: int, shots: int, steps: int, dt: float
) -> tuple[Trajectories, int]:
    """Swarms of short shots from places of a run at three times the temperature, and what all cost in force calls."""
    random = np.random.default_rng(seed)
    hot, _, calls = _walked(problem, np.repeat(ends, 50, axis=0), 600, 3 * problem.kT, dt, random, stop=False)
    places = hot[:, 200::10].reshape(-1, hot.shape[2])
    outside = [np.asarray(region.distance(places)) > 0 for region in (problem.a, problem.b)]
    places = random.permutation(places[outside[0] & outside[1]])[:starts]
    walks, lengths, more = _walked(
        problem, np.repeat(places, shots, axis=0), steps, problem.kT, dt, random, stop=True
    )
    return Trajectories([walk[:n] for walk, n in zip(walks, lengths)], dt=dt), calls + more


def _off(model: CommittorModel, problem: Problem, name: str, highest: float) -> tuple[float, float, float]:
    """RMSE over cells outside the sets up to ``highest`` [kT] and over equilibrium, and the error that is claimed."""
    generator, exact, _ = _exact(name)
    x = generator.points.T
    outside = (np.asarray(problem.a.distance(x)) > 0) & (np.asarray(problem.b.distance(x)) > 0)
    energy = generator.reduced_energy - generator.reduced_energy.min()
    low = outside & (energy < highest)
    off = model.transform(x)[:, 0] - exact
    weights = np.where(outside, generator.stationary_distribution, 0)
    claimed = model.error(x[low])
    return (
        float(np.sqrt((off[low] ** 2).mean())),
        float(np.sqrt(weights @ off**2 / weights.sum())),
        float(np.sqrt((claimed**2).mean())),
    )


def _swarms(seeds: range) -> Iterator[Row]:
    name, dt, steps = "Müller-Brown V/20", 1e-3, 50
    problem = PROBLEMS[name]
    ends = np.array([WELLS[0].center, WELLS[1].center])
    for seed in seeds:
        data, calls = _swarm_data(problem, ends, seed, 1900, 10, steps, dt)
        model = NetworkCommittor(
            problem.a, problem.b, SemigroupLoss(25), Training(steps=2000, seed=seed)
        ).fit(data)
        over_cells, over_equilibrium, claimed = _off(model, problem, name, highest=8.0)
        what = f"{name}, swarms, {calls:.2g} force calls, seed {seed}"
        yield Row(
            f"{what}: RMSE of q below 8 kT", over_cells, "", claimed, "<= 0.02 with <= 1e6 calls",
            over_cells <= 0.02 and calls <= 1e6, "exact",
        )  # fmt: skip
        yield Row(
            f"{what}: RMSE of q at equilibrium",
            over_equilibrium,
            "",
            None,
            "<= 0.02",
            over_equilibrium <= 0.02,
        )
        fresh, _ = _swarm_data(problem, ends, 1000 + seed, 1000, 4, 200, dt)
        test = martingale_test(model, fresh, problem.a, problem.b, lagtimes=(10, 25, 50, 100, 200))
        least = float(np.nanmin(test.p_values))
        yield Row(f"{what}: martingale test, least p of five lags", least, "", None, "passes", test.passed)
        yield Row(f"{what}: mean increments at five lags are at most, with 95 %", test.bound, "")


def _ellipse(center: tuple[float, float], form: tuple[float, float, float], level: float) -> Ellipsoid:
    """``form_0 dx^2 + form_1 dx dy + form_2 dy^2 <= level`` in the first two features."""
    stiffness, axes = np.linalg.eigh([[form[0], form[1] / 2], [form[1] / 2, form[2]]])
    return Ellipsoid(center, tuple(np.sqrt(level / stiffness)), (0, 1), axes=tuple(map(tuple, axes.T)))


THIEDE = _ellipse((-0.5, 1.5), (6.5, -11.0, 6.5), 0.3), _ellipse((0.6, 0.02), (1.0, 0.0, 5.0), 0.2)
"""Sets of the ten-dimensional problem [thiede2019]."""


def _ten_dimensions(data: Path, seeds: range) -> Iterator[Row]:
    folder = data / "kinetics" / "muller_dga"
    if not folder.exists():
        yield Row("10-D Müller-Brown", None, "", target=f"skipped: no {folder}")
        return
    runs, in_a, in_b, grid, x, y = (
        np.load(folder / f"c10d_{name}.npy")
        for name in (
            "muller_brown_trajs", "muller_brown_stateA", "muller_brown_stateB", "reference_committor", "xgrid", "ygrid",
        )
    )  # fmt: skip
    for region, mask in zip(THIEDE, (in_a, in_b)):
        assert ((region.distance(runs.reshape(-1, 10)) <= 0) == (mask.ravel() > 0)).all()
    frames = runs.reshape(-1, 10)
    outside = (in_a.ravel() == 0) & (in_b.ravel() == 0)
    exact = RegularGridInterpolator((y, x), grid, bounds_error=False, fill_value=None)(frames[outside, 1::-1])
    for seed in seeds:
        model = NetworkCommittor(*THIEDE, SemigroupLoss(4), Training(steps=400, restarts=4, seed=seed)).fit(
            list(runs)
        )
        off = model.transform(frames[outside])[:, 0] - exact
        claimed = float(np.sqrt((model.error(frames[outside]) ** 2).mean()))
        value = float(np.sqrt((off**2).mean()))
        yield Row(
            f"10-D Müller-Brown, 5,000 frames, all ten features: RMSE of q, seed {seed}", value, "", claimed, "<= 0.07",
            value <= 0.07, "gradient-adapted kernel", 0.093, 0.093 / value,
        )  # fmt: skip


def _weighted_frames(quick: bool, seeds: range) -> Iterator[Row]:
    for name in list(PROBLEMS)[:1] if quick else PROBLEMS:
        problem = PROBLEMS[name]
        _, q, rates = _exact(name)
        points = np.array(problem.at)
        exact = problem.generator.interpolated(q, points)
        for seed in seeds:
            data = _uniform(problem, seed, 10_000)
            model = NetworkCommittor(
                problem.a, problem.b, DirichletLoss(), Training(steps=2000, seed=seed)
            ).fit(data)
            found, error = model.transform(points)[:, 0], model.error(points)
            for place, value, spread, right in zip(problem.at, found, error, exact):
                off = abs(value - right)
                yield Row(
                    f"{name}, uniform frames with Boltzmann weights: q at {place}, seed {seed}", float(value), "",
                    float(spread), "within 0.01 or 3 standard errors", bool(off <= max(0.01, 3 * spread)), "exact",
                    float(right),
                )  # fmt: skip
            rate = gradient_rates(model, data, problem.kT)
            value, spread = float(rate.forward.value), float(rate.errors[1])
            z = (value - rates.forward) / spread
            yield Row(
                f"{name}, uniform frames with Boltzmann weights: k_AB, seed {seed}", value, "1/time", spread,
                "within 3 standard errors", abs(z) <= 3, "exact", rates.forward,
            )  # fmt: skip


def _uniform(problem: Problem, seed: int, count: int) -> Trajectories:
    """Frames spread uniformly where the energy is below 15 kT, with Boltzmann weights."""
    random = np.random.default_rng(seed)
    low, high = np.array(problem.domain).T
    x = random.uniform(low, high, (20 * count, len(low)))
    energy = problem.potential.energy(x.T) / problem.kT
    chosen = np.flatnonzero(energy < energy.min() + 15)[:count]
    return Trajectories([x[chosen]], weights=[np.exp(energy.min() - energy[chosen])])


def _variables(seeds: range) -> Iterator[Row]:
    name = "Müller-Brown V/20"
    problem = PROBLEMS[name]
    generator, q, _ = _exact(name)
    engine = NativeEngine.for_potential(problem.potential, np.ones(1), Overdamped(kT=1.0, dt=5e-4))
    apparatus = Apparatus(engine, Coordinates([0], dims=2), np.zeros((1, 2)), np.ones(1), kT=1.0)
    for seed in seeds:
        random = np.random.default_rng(seed)
        x = generator.points.T
        energy = generator.reduced_energy - generator.reduced_energy.min()
        surface = np.flatnonzero((np.abs(q - 0.5) < 0.02) & (energy < 10))
        across = np.flatnonzero((np.abs(x[:, 0] - 0.0) < 0.02) & (energy < 10))
        spread = {}
        for kind, cells in (("q = 1/2", surface), ("x = 0", across)):
            shots = _shots(apparatus, problem, x[random.choice(cells, 20)], 50, seed)
            spread[kind] = shots.distribution()
        for kind, least, most in (("q = 1/2", 0.0, 0.05), ("x = 0", 0.15, 0.5)):
            value = spread[kind].deviation
            yield Row(
                f"{name}, deviation of q beyond the binomial one on {kind}, seed {seed}", value, "", None,
                f"between {least} and {most}", least <= value <= most,
            )  # fmt: skip
        places = np.flatnonzero((q > 0.05) & (q < 0.95) & (energy < 10))
        starts = random.choice(places, 60)
        shots = _shots(apparatus, problem, x[starts], 10, seed + 100)
        logit = np.log(q[starts] / (1 - q[starts]))
        ranking = rank_variables(shots, {"logit of q": logit, "x": x[starts, 0], "y": x[starts, 1]})
        second = ranking.variables[1]
        yield Row(
            f"{name}, {ranking.shots} shots: log likelihood of q above that of {second.name}, seed {seed}",
            second.behind, "", second.behind_error, "q first", ranking.best.name == "logit of q",
        )  # fmt: skip
        data = Trajectories([x[places]], names=("x", "y"))
        front = SymbolicRegression(complexity=12).fit(
            data, lambda frames: generator.interpolated(q, frames)[:, None]
        )
        formula = front.best
        off = np.sqrt(((formula(x[places])[:, 0] - q[places]) ** 2).mean())
        yield Row(
            f"{name}, formula of q, {formula}, seed {seed}: RMSE",
            float(off),
            "",
            None,
            "<= 0.05",
            off <= 0.05,
        )


def _shots(apparatus: Apparatus, problem: Problem, x: np.ndarray, shots: int, seed: int) -> ShotOutcomes:
    places = jnp.asarray(np.repeat(x, shots, axis=0).T[None], jnp.float32)
    start = thermal_state(places, np.ones(1), 1.0, jax.random.key(seed))
    fan = shoot(apparatus, start, problem.a, problem.b, longest=30.0, save_every=apparatus.dt * 4)
    return ShotOutcomes(x, fan.outcomes.reshape(len(x), shots))


def _alanine(seeds: range) -> Iterator[Row]:
    system, kT = alanine_dipeptide("vacuum", hydrogen_mass=3.0), thermal_energy(300)
    named = backbone_dihedrals(system.topology)
    turned = np.concatenate([named["phi"], named["psi"]])
    angles = Dihedrals(turned, system.topology)
    # beside phi and psi, by which the sets are given, all other torsions about these bonds and about the amide bonds
    about = torsions_about(system.topology, np.concatenate([turned, named["omega"]]))
    others = about[~(about[:, None] == turned).all(axis=2).any(axis=1)]
    features = Concatenate(SineCosine(angles), SineCosine(Dihedrals(others, system.topology)))
    a, b = (_around(phi, psi) for phi, psi in ((-82.0, 70.0), (72.0, -55.0)))
    for seed in seeds:
        positions, log_weights = _biased(system, angles, kT, seed)
        flat = positions.reshape(-1, *positions.shape[2:])
        values = evaluate(features, flat).astype(float)
        walks = positions.shape[:2]
        weights = np.exp(log_weights - log_weights.max())
        data = Trajectories(list(values.reshape(*walks, -1)), weights=list(weights), names=features.names)
        metric = metric_tensors(features, flat, 1 / np.asarray(system.masses))
        training = Training(
            hidden=(32, 32), steps=2000, restarts=3, batch=1024, learning_rate=5e-3, seed=seed
        )
        model = NetworkCommittor(a, b, DirichletLoss(), training).fit(
            data, list(metric.reshape(*walks, *metric.shape[1:]))
        )
        near = np.flatnonzero(np.abs(model.transform(values)[:, 0] - 0.5) < 0.05)
        chance = weights.ravel()[near]
        chosen = np.random.default_rng(seed).choice(near, 20, replace=False, p=chance / chance.sum())
        engine = NativeEngine(system, Langevin(kT=kT, dt=0.002))
        apparatus = Apparatus(engine, features, np.asarray(system.positions), np.asarray(system.masses), kT)
        places = jnp.asarray(np.moveaxis(np.repeat(flat[chosen], 100, axis=0), 0, -1), jnp.float32)
        start = thermal_state(places, apparatus.masses, kT, jax.random.key(seed))
        fan = shoot(apparatus, start, a, b, longest=8.0, save_every=0.02)
        surface = ShotOutcomes(values[chosen], fan.outcomes.reshape(20, 100)).distribution()
        what = f"alanine dipeptide, C7eq to C7ax, 100 shots from each of 20 frames of q = 1/2, seed {seed}"
        off = abs(surface.mean - 0.5)
        yield Row(
            f"{what}: mean", surface.mean, "", surface.mean_error, "within 3 standard errors of 0.5",
            off <= 3 * surface.mean_error,
        )  # fmt: skip
        yield Row(
            f"{what}: deviation beyond the binomial one", surface.deviation, "", None, "<= 0.15",
            surface.deviation <= 0.15,
        )  # fmt: skip
        yield Row(
            f"{what}: shots without end", float(surface.unfinished), "", None, "few", surface.unfinished < 100
        )


def _around(phi: float, psi: float) -> Ellipsoid:
    """Conformations within some 28 degrees of two torsions, in their sines and cosines."""
    angles = np.radians([phi, psi])
    return Ellipsoid((*np.sin(angles), *np.cos(angles)), 0.5, columns=(0, 1, 2, 3))


def _biased(system: Any, angles: Dihedrals, kT: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames ``(walkers, frames, atoms, 3)`` under a grown and then held bias on phi and psi, their log weights."""
    turn = (np.pi, np.pi)
    bias = WellTemperedMetadynamics(
        angles,
        lower=(-np.pi, -np.pi),
        upper=turn,
        widths=[0.35, 0.35],
        height=0.6,
        bias_factor=15.0,
        kT=kT,
        stride=125,
    )
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
    positions = jnp.repeat(jnp.asarray(system.positions, jnp.float32)[..., None], 32, axis=-1)
    start = thermal_state(positions, system.masses, kT, jax.random.key(seed))
    grown = engine.run(start, 25_000, save_every=500, bias=bias)
    held = engine.run(grown.state, 40_000, save_every=50, bias=FrozenBias(bias, grown.bias_state))
    skip = 100
    return held.positions[:, skip:], held.bias_energy[:, skip:].astype(float) / kT
