"""Effective models: terms of one to four variables, drift, diffusion and metric of projected motion, and memory.

Angles have a density with exact terms of one, two and three (or four) of them. Müller-Brown motion is seen along a
straight line and along a bent variable, whose free energy, drift and mean metric are quadratures. The wells with memory
have exact operators of Mori and Zwanzig, from correlations by the generator of `GeneralizedLangevin`, and an exact
kernel. Every part has three seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
import scipy.sparse.linalg

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.kinetics.langevin.many_body import ManyBodyFreeEnergy
from thalweg.kinetics.langevin.mean_metric import EffectiveDynamics, MeanMetric
from thalweg.kinetics.langevin.memory_kernels import mori_zwanzig, volterra_kernel
from thalweg.kinetics.langevin.overdamped import OverdampedLangevin
from thalweg.kinetics.langevin.simulation import Tables, simulated_phases
from thalweg.report.benchmark import Row
from thalweg.systems.state import thermal_state
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.underdamped import GeneralizedLangevin
from thalweg.testsystems.wells import DoubleWell
from thalweg.time_series.trajectories import Trajectories

TURN = 2.0 * np.pi
SEEDS = 3
PROFILE = 0.1
"""Relative error of profiles that is allowed."""

FRAMES = 20_000
"""Of the angles, independent."""

BARRIER, FRICTION, MEMORY = 5.0, 10.0, 0.5
"""Of the wells with memory [kT, 1/ps, ps]."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one seed."""
    seeds = 1 if quick else SEEDS
    bodies = {f"bodies/{count}": partial(many_bodies, count, seeds) for count in (3, 4)}
    lines = {f"projection/{variable.name}": partial(projection, variable, seeds) for variable in (LINE, BENT)}
    return {**bodies, **lines, "memory": partial(memory, seeds)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """All parts one after the other."""
    for name, part in parts(data, quick).items():
        for row in part():
            yield Row(**{**row.__dict__, "part": name})


def _row(test: str, errors: list[float], unit: str, allowed: float | None = PROFILE) -> Row:
    """A row of errors over seeds, met by their mean."""
    mean, spread = float(np.mean(errors)), float(np.std(errors))
    if allowed is None:
        return Row(test, mean, unit, spread=spread)
    return Row(test, mean, unit, spread=spread, target=f"<= {allowed}", met=mean <= allowed)


# terms of several variables


def angle_energy(x: np.ndarray) -> np.ndarray:
    """Singles, one pair, and one term of all angles ``(frames, angles)`` [kT]."""
    pair = 0.8 * np.cos(x[:, 0] - x[:, 1])
    return -0.8 * np.cos(x).sum(axis=1) + pair + 1.2 * np.prod(np.sin(x), axis=1)


def angles(count: int, seed: int) -> np.ndarray:
    """Independent frames of so many angles, by rejection."""
    random, found = np.random.default_rng(seed), []
    lowest = -0.8 * count - 2.0
    while sum(map(len, found)) < FRAMES:
        x = random.uniform(-np.pi, np.pi, (200_000, count))
        found.append(x[random.random(len(x)) < np.exp(lowest - angle_energy(x))])
    return np.concatenate(found)[:FRAMES]


def many_bodies(count: int, seeds: int) -> Iterator[Row]:
    """Parts of the free energy, each averaged to zero over every turn of its angles."""
    every = tuple(range(count))
    x = np.random.default_rng(99).uniform(-np.pi, np.pi, (2000, count))
    exact = {
        (0,): -0.8 * np.cos(x[:, 0]),
        (0, 1): 0.8 * np.cos(x[:, 0] - x[:, 1]),
        (1, 2): np.zeros(len(x)),
        every: 1.2 * np.prod(np.sin(x), axis=1),
    }
    evenly = np.repeat(np.linspace(-np.pi, np.pi, 48, endpoint=False)[:, None], count, axis=1)
    errors: dict[tuple[int, ...], list[float]] = {term: [] for term in exact}
    covered, slopes, orders = [], [], []
    for seed in range(seeds):
        frames = angles(count, seed)
        model = ManyBodyFreeEnergy(1.0, periods=(TURN,) * count).fit(frames)
        orders.append(model.order)
        for term, true in exact.items():
            found = model.part(term, x[:, list(term)], evenly) if len(term) <= model.order else None
            values = np.zeros(len(x)) if found is None else found.values
            errors[term].append(np.sqrt(np.mean((values - true) ** 2)))
            if found is not None:
                covered.append(np.mean(np.abs(values - true) < 2.0 * found.errors))
        gap = model.gradient(frames[:2000]) - angle_gradient(frames[:2000])
        slopes.append(np.sqrt(np.mean(gap**2) / np.mean(angle_gradient(frames[:2000]) ** 2)))
    yield Row(
        f"{count} angles: variables of one term, found by itself",
        float(np.mean(orders)),
        "variables",
        target=f"{count} in all {seeds}",
        met=bool((np.array(orders) == count).all()),
    )
    for term, true in exact.items():
        size = np.sqrt(np.mean(true**2))
        name = f"{count} angles: part of angles {' '.join(map(str, term))}"
        if size > 0:
            yield _row(name, [each / size for each in errors[term]], "relative rms")
        else:
            yield _row(f"{name}, which is none", errors[term], "rms, kT", 0.06)
    yield _row(f"{count} angles: gradient at the frames", slopes, "relative rms", None)
    share = float(np.mean(covered))
    yield Row(
        f"{count} angles: places of parts within two bars", share, "share", target=">= 0.8", met=share >= 0.8
    )


def angle_gradient(x: np.ndarray) -> np.ndarray:
    """Of `angle_energy`."""
    slope = 0.8 * np.sin(x)
    turn = 0.8 * np.sin(x[:, 0] - x[:, 1])
    slope[:, 0] -= turn
    slope[:, 1] += turn
    for k in range(x.shape[1]):
        others = np.delete(np.sin(x), k, axis=1)
        slope[:, k] += 1.2 * np.cos(x[:, k]) * others.prod(axis=1)
    return slope


# motion along one variable of two


@dataclass(frozen=True)
class Line:
    """A variable ``a x + b y + c y^2``."""

    name: str
    a: float
    b: float
    c: float

    def values(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """At points."""
        return self.a * x + self.b * y + self.c * y**2

    def slope(self, y: np.ndarray) -> np.ndarray:
        """``(d/dx, d/dy)``."""
        return np.stack([np.full(y.shape, self.a), self.b + 2.0 * self.c * y])


LINE = Line("line", 0.7071, -0.7071, 0.0)
BENT = Line("bent", 1.0, 0.0, -0.3)
POTENTIAL = MullerBrown(20.0)
WHOLE = 4.4286
"""Slowest relaxation time of the motion in two dimensions [ps]."""


@dataclass(frozen=True)
class Exact:
    """Quadratures along a variable, at places where frames are."""

    places: np.ndarray
    free_energy: np.ndarray
    metric: np.ndarray
    drift: np.ndarray
    time: float


def quadrature(variable: Line, bins: int = 320) -> Exact:
    """Free energy, mean metric, and drift ``<-grad U . grad s + laplacian s | s>``; and the time of their process."""
    x, y = np.meshgrid(np.linspace(-2.2, 1.8, 2400), np.linspace(-1.1, 2.7, 2400), indexing="ij")
    points = np.stack([x.ravel(), y.ravel()])
    energy = POTENTIAL.energy(points)
    weights = np.exp(energy.min() - energy)
    s, slope = variable.values(*points), variable.slope(points[1])
    near = weights > 1e-9 * weights.max()
    edges = np.linspace(s[near].min(), s[near].max(), bins + 1)

    def summed(values: np.ndarray) -> np.ndarray:
        return np.histogram(s, edges, weights=weights * values)[0]

    total = summed(np.ones(len(s)))
    pull = -(POTENTIAL.gradient(points) * slope).sum(axis=0) + 2.0 * variable.c
    middle = (edges[1:] + edges[:-1]) / 2.0
    metric = summed((slope**2).sum(axis=0)) / total
    free_energy = -np.log(total)
    known = free_energy - free_energy.min() < 9.0
    time = _relaxation(middle[known], free_energy[known], metric[known])
    often = np.flatnonzero(free_energy - free_energy.min() < 5.0)[::4]
    return Exact(middle[often], free_energy[often], metric[often], (summed(pull) / total)[often], time)


def _relaxation(places: np.ndarray, free_energy: np.ndarray, metric: np.ndarray) -> float:
    """Of the process of these, by finite volumes in its own bins."""
    h = places[1] - places[0]
    face = 0.5 * (metric[1:] + metric[:-1]) / h**2
    rise = 0.5 * np.diff(free_energy)
    up, down = face * np.exp(-rise), face * np.exp(rise)
    rates = np.diag(up, 1) + np.diag(down, -1)
    rates -= np.diag(rates.sum(axis=1))
    return float(-1.0 / np.sort(np.linalg.eigvals(rates).real)[-2])


def brownian(seed: int) -> np.ndarray:
    """Runs ``(64, 2000, 2)`` of 20 ps from equilibrium, a frame each 0.01 ps."""
    generator = Generator(POTENTIAL, ((-2.0, 1.6), (-0.9, 2.5)), (62, 60), ceiling=25.0)
    random = np.random.default_rng(seed)
    start = random.choice(generator.size, 64, p=generator.stationary_distribution)
    places = generator.points[:, start][None].astype(np.float32)
    engine = NativeEngine.for_potential(POTENTIAL, np.ones(1), Overdamped(kT=1.0, dt=2e-4))
    state = thermal_state(places, np.ones(1), 1.0, jax.random.key(seed))
    run = engine.run(state, 100_000, save_every=50)
    return np.asarray(run.positions, float)[:, :, 0, :]


def projection(variable: Line, seeds: int) -> Iterator[Row]:
    """Free energy, metric and drift from frames and from steps, each beside its quadrature."""
    exact = quadrature(variable)
    at = exact.places[:, None]
    found: dict[str, list[float]] = {}

    def note(name: str, error: float) -> None:
        found.setdefault(name, []).append(float(error))

    for seed in range(seeds):
        runs = brownian(seed)
        values = [variable.values(*run.T)[:, None] for run in runs]
        metrics = [(variable.slope(run[:, 1]) ** 2).sum(axis=0)[:, None, None] for run in runs]
        frames = EffectiveDynamics(ManyBodyFreeEnergy(1.0).fit(values), MeanMetric().fit(values, metrics))
        steps = OverdampedLangevin(1.0).fit(Trajectories(values, dt=0.01))
        models = {
            "frames": (frames.free_energy.free_energy(at).values, frames.diffusion(at).values[:, 0, 0]),
            "steps": (steps.free_energy(at).values, steps.diffusion(at).values),
        }
        drifts = {"frames": frames.drift(at)[:, 0], "steps": steps.drift_at(at)[:, 0]}
        times = {"frames": frames.operator().timescales(1)[0], "steps": steps.operator().timescales(1)[0]}
        for source, (free_energy, metric) in models.items():
            gap = free_energy - exact.free_energy
            note(
                f"{source}: free energy",
                np.sqrt(np.mean((gap - gap.mean()) ** 2)) / np.ptp(exact.free_energy),
            )
            note(f"{source}: diffusion", np.sqrt(np.mean((metric / exact.metric - 1.0) ** 2)))
            away = np.sqrt(np.mean((drifts[source] - exact.drift) ** 2))
            note(f"{source}: drift", away / np.sqrt(np.mean(exact.drift**2)))
            note(f"{source}: time", times[source])
    for name, errors in found.items():
        if not name.endswith("time"):
            unit = "rms, of its range" if name.endswith("energy") else "relative rms"
            yield _row(f"{variable.name}, {name}", errors, unit)
    for source in ("frames", "steps"):
        own = found[f"{source}: time"]
        gap = abs(np.mean(own) / exact.time - 1.0)
        yield Row(
            f"{variable.name}, {source}: relaxation time ({WHOLE} in two dimensions)",
            float(np.mean(own)),
            "ps",
            spread=float(np.std(own)),
            target="within 10 % of the exact one of the effective process" if source == "frames" else None,
            met=bool(gap <= PROFILE) if source == "frames" else None,
            peer="exact",
            peer_value=exact.time,
        )


# memory


def remembering(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities ``(200, 5001)`` of wells with memory in equilibrium, each 0.008 ps."""
    x = np.linspace(-2.5, 2.5, 5001)
    weights = np.exp(-BARRIER * (x**2 - 1.0) ** 2)
    flat = np.ones(len(x))
    tables = Tables(
        x,
        -4.0 * BARRIER * x * (x**2 - 1.0),
        flat,
        0.0 * flat,
        np.array([FRICTION * flat]),
        np.array([MEMORY]),
        1.0,
    )
    random = np.random.default_rng(seed)
    start = random.choice(x, 200, p=weights / weights.sum())
    return simulated_phases(tables, start, 10_000, 0.004, 2, random)


def exact_operators(dt: float, length: int) -> np.ndarray:
    """Operators of position and velocity, from correlations ``<g_i(t) g_j(0)> = (e^(tL) g_i) . g_j`` of the generator.

    Those of all steps at once: ``C_(n+1) = sum_s Omega_s C_(n-s)`` is a triangular system of blocks.
    """
    system = GeneralizedLangevin(DoubleWell(BARRIER), friction=FRICTION, memory_time=MEMORY)
    places, speeds, others = system.functions
    x = np.linspace(-2.5, 2.5, 5001)
    weights = np.exp(-BARRIER * (x**2 - 1.0) ** 2)
    spread = np.sqrt((weights * x**2).sum() / weights.sum())
    start = np.zeros((places * speeds * others, 2))
    start[speeds * others, 0] = spread
    start[others, 1] = 1.0
    moved = scipy.sparse.linalg.expm_multiply(
        system.generator, start, start=0.0, stop=dt * length, num=length + 1, endpoint=True
    )
    correlations = np.einsum("tki,kj->tij", moved, start)
    zero = np.zeros((2, 2))
    blocks = [[correlations[n - s] if n >= s else zero for n in range(length)] for s in range(length)]
    right = np.concatenate(list(correlations[1:]), axis=1)
    solved = np.linalg.solve(np.block(blocks).T, right.T).T
    return solved.reshape(2, length, 2).transpose(1, 0, 2)


def memory(seeds: int) -> Iterator[Row]:
    """Operators and kernel of the wells beside what is exact."""
    dt, length = 0.008, 40
    exact = exact_operators(dt, length)
    markov, remembered, friction, covered, end = [], [], [], [], []
    for seed in range(seeds):
        x, v = remembering(seed)
        series = [np.stack(pair, axis=1) for pair in zip(x, v)]
        found = mori_zwanzig(series, length)
        markov.append(np.abs(found[0] - exact[0]).max() / np.abs(exact[0]).max())
        # the part that memory has in the change of velocity by velocity, all of it
        remembered.append(np.linalg.norm(found[1:, 1] - exact[1:, 1]) / np.linalg.norm(exact[1:, 1]))
        kernel = volterra_kernel(Trajectories(series, dt=dt), 1.0, 2.0, velocities=True)
        true = FRICTION * (1.0 - np.exp(-kernel.times / MEMORY))
        friction.append(np.sqrt(np.mean((kernel.running - true) ** 2)) / FRICTION)
        late = slice(1, None)
        covered.append(np.mean(np.abs(kernel.running - true)[late] < 2.0 * kernel.friction.errors[late]))
        end.append(abs(kernel.running[-1] / true[-1] - 1.0))
    yield _row("wells with memory: Markov operator", markov, "relative")
    yield _row("wells with memory: memory operators of velocity", remembered, "relative norm")
    yield _row("wells with memory: running friction over 2 ps", friction, "rms, of the friction")
    yield _row("wells with memory: friction at 2 ps", end, "relative error")
    yield Row(
        "wells with memory: times at which the running friction is within two bars",
        float(np.mean(covered)),
        "share",
        spread=float(np.std(covered)),
        target=">= 0.8",
        met=bool(np.mean(covered) >= 0.8),
    )
