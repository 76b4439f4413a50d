"""Langevin models: profiles, relaxation times and rates found from data beside those that made them.

Wells are ``5 kT (x^2 - 1)^2`` with unit mass; their relaxation times at three frictions and two memories are exact.
Data are positions alone: from long runs, and from a hundred runs of a few ps off the top of the barrier, which never
see equilibrium. ``z`` is the difference from what is exact in standard errors that the method itself claims; rows of
profiles are the largest relative error of friction, and the largest error of the free energy in kT, over the wells and
the barrier between. Overdamped data have a diffusion that depends on position, in one and in two variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import scipy.linalg

from thalweg.kinetics.langevin.inertial import UnderdampedLangevin, UnderdampedModel
from thalweg.kinetics.langevin.overdamped import OverdampedLangevin
from thalweg.kinetics.langevin.rates import rates_table
from thalweg.kinetics.langevin.whiteness import whiteness
from thalweg.report.benchmark import Row
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.wells import DoubleWell
from thalweg.time_series.trajectories import Trajectories

BARRIER = 5.0
SEEDS = 3
PROFILE = 0.1
"""Relative error of profiles that is allowed."""

WELLS = {
    "friction 0.3": (0.3, None, 193.86),
    "friction 1": (1.0, None, 104.761),
    "friction 10": (10.0, None, 206.292),
    "friction 10, memory 0.1 ps": (10.0, 0.1, 184.455),
    "friction 10, memory 0.5 ps": (10.0, 0.5, 135.505),
}
"""Friction [1/ps], memory time [ps] and the exact relaxation time [ps]."""

LONG = {"runs": 20, "frames": 2000, "dt": 0.05}
SHORT = {"runs": 100, "frames": 300, "dt": 0.02}


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one seed."""
    seeds = 1 if quick else SEEDS
    inertial = {
        f"{kind}/{name}": partial(inertial_wells, name, kind == "barrier", seeds)
        for name in WELLS
        for kind in ("long", "barrier")
    }
    overdamped = {
        "overdamped/one": partial(overdamped_well, seeds),
        "overdamped/two": partial(muller_brown, seeds),
        "mass": partial(bent_coordinate, seeds),
    }
    return {**inertial, **overdamped, "rates": partial(rates, seeds)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """All parts one after the other."""
    for name, part in parts(data, quick).items():
        for row in part():
            yield Row(**{**row.__dict__, "part": name})


def langevin(
    n: int, frames: int, dt: float, friction: float, memory: float | None, seed: int, top: bool
) -> np.ndarray:
    """Positions (n, frames) in the wells, finely integrated; from the wells or off the top, velocities thermal."""
    random = np.random.default_rng(seed)
    x = np.zeros(n) if top else random.choice([-1.0, 1.0], n) + 0.15 * random.standard_normal(n)
    v, z = random.standard_normal(n), random.standard_normal(n)
    fine = max(1, int(np.ceil(dt / 0.0025)))
    h = dt / fine
    coupling = 0.0 if memory is None else np.sqrt(friction / memory)
    drift = np.array([[-friction if memory is None else 0.0, coupling], [-coupling, -1.0 / (memory or 1.0)]])
    mixing = scipy.linalg.expm(h * drift)
    noise = np.linalg.cholesky(np.eye(2) - mixing @ mixing.T + 1e-14 * np.eye(2))
    positions = [x]
    for _ in range(frames - 1):
        for _ in range(fine):
            v = v - 2.0 * h * BARRIER * x * (x**2 - 1.0)
            x = x + 0.5 * h * v
            v, z = mixing @ np.stack([v, z]) + noise @ random.standard_normal((2, n))
            x = x + 0.5 * h * v
            v = v - 2.0 * h * BARRIER * x * (x**2 - 1.0)
        positions.append(x)
    return np.array(positions).T


def fitted(name: str, top: bool, seed: int, hidden: int | None = None) -> UnderdampedModel:
    """The model of one set of data, with memory where there is some."""
    friction, memory, _ = WELLS[name]
    size = SHORT if top else LONG
    x = langevin(size["runs"], size["frames"], size["dt"], friction, memory, seed, top)
    data = Trajectories([run[:, None] for run in x], dt=size["dt"])
    if hidden is None:
        hidden = 0 if memory is None else 1
    return UnderdampedLangevin(1.0, hidden=hidden).fit(data)


def inertial_wells(name: str, top: bool, seeds: int) -> Iterator[Row]:
    """Friction, free energy and relaxation time of the wells, over seeds."""
    friction, memory, exact = WELLS[name]
    source = "100 runs off the barrier" if top else "long runs"
    places = np.linspace(-1.1, 1.1, 23)
    true = BARRIER * (places**2 - 1.0) ** 2
    worst, depth, times, scores, white = [], [], [], [], 0
    for seed in range(seeds):
        model = fitted(name, top, seed)
        found = model.friction(places)
        worst.append(np.abs(found.values / friction - 1.0).max())
        gap = model.free_energy(places).values - true
        depth.append(np.abs(gap - gap.mean()).max() / BARRIER)
        time = model.timescales(1, 12)
        logs = np.log(time.samples[:, 0])
        times.append(float(time.value[0]))
        scores.append((np.log(time.value[0]) - np.log(exact)) / logs.std(ddof=1))
        white += whiteness(model).white
        if memory is not None:
            worst.append(abs(float(model.memory_times().values[0]) / memory - 1.0))
    yield _row(
        f"{name}, {source}: friction" + (", memory time" if memory else ""), worst, "relative error", PROFILE
    )
    yield _row(f"{name}, {source}: free energy", depth, "of the barrier", PROFILE)
    z = np.abs(scores)
    yield Row(
        f"{name}, {source}: relaxation time",
        float(np.mean(times)),
        "ps",
        spread=float(np.std(times)),
        target=f"z <= 2 of {exact:.6g} (found {', '.join(f'{each:.1f}' for each in scores)})",
        met=bool(np.median(z) <= 2.0),
        peer="exact",
        peer_value=exact,
    )
    yield Row(
        f"{name}, {source}: residuals white", float(white), "seeds", target=f"all {seeds}", met=white == seeds
    )
    if memory is not None and not top:
        markov = fitted(name, top, 0, hidden=0)
        yield Row(
            f"{name}, {source}: relaxation time without memory",
            float(markov.operator().timescales(1)[0]),
            "ps",
            target="called wrong by its residuals",
            met=not whiteness(markov).white,
            peer="exact",
            peer_value=exact,
        )


def bent_coordinate(seeds: int) -> Iterator[Row]:
    """Mass, friction and time of a well seen along a coordinate that is bent: exact, as only the coordinate changes.

    With ``y = x + x^3 / 10`` moving with unit mass, x has the mass ``(dy/dx)^2`` and the free energy
    ``U(y(x)) - kT ln dy/dx``.
    """
    places, dt = np.linspace(-0.9, 0.9, 19), 0.05
    mass = (1.0 + 0.3 * places**2) ** 2
    true = BARRIER * ((places + 0.1 * places**3) ** 2 - 1.0) ** 2 - 0.5 * np.log(mass)
    worst, damped, depth, scores, covered = [], [], [], [], []
    for seed in range(seeds):
        y = langevin(20, 2000, dt, 1.0, None, seed, top=False)
        x = np.linspace(-3.0, 3.0, 4001)
        runs = [np.interp(run, x + 0.1 * x**3, x)[:, None] for run in y]
        method = UnderdampedLangevin(1.0, hidden=0, intervals=(20, 8, 6, 6))
        model = method.fit(Trajectories(runs, dt=dt))
        found, friction = model.mass(places), model.friction(places)
        worst.append(np.abs(found.values / mass - 1.0).max())
        covered.append(np.mean(np.abs(found.values - mass) < 2.0 * found.errors))
        damped.append(np.abs(friction.values - 1.0).max())
        gap = model.free_energy(places).values - true
        depth.append(np.abs(gap - gap.mean()).max() / BARRIER)
        time = model.timescales(1, 12)
        scores.append(
            (np.log(time.value[0] / WELLS["friction 1"][2])) / np.log(time.samples[:, 0]).std(ddof=1)
        )
    name = "friction 1 along a bent coordinate"
    yield _row(f"{name}: mass, which doubles to the wells", worst, "relative error", PROFILE)
    yield _row(f"{name}: friction", damped, "relative error", PROFILE)
    yield _row(f"{name}: free energy", depth, "of the barrier", PROFILE)
    share = float(np.mean(covered))
    yield Row(
        f"{name}: places whose mass is within two bars", share, "share", target=">= 0.8", met=share >= 0.8
    )
    told = ", ".join(f"{each:.1f}" for each in scores)
    largest = float(np.abs(scores).max())
    yield Row(f"{name}: relaxation time", largest, "largest |z|", target=f"<= 3 ({told})", met=largest <= 3.0)


def _row(test: str, errors: list[float], unit: str, allowed: float) -> Row:
    """A row of errors over seeds, met by their mean."""
    mean = float(np.mean(errors))
    spread = float(np.std(errors))
    return Row(test, mean, unit, spread=spread, target=f"<= {allowed}", met=mean <= allowed)


def uneven(x: np.ndarray) -> np.ndarray:
    """A diffusion that depends on position."""
    return np.exp(0.5 * np.sin(2.0 * x))


def overdamped_well(seeds: int) -> Iterator[Row]:
    """One variable, short and long steps: profiles, times, coverage of bars."""
    generator = Generator(DoubleWell(3.0), ((-2.2, 2.2),), 500, 1.0, uneven)
    exact = float(generator.timescales(1)[0])
    places = np.linspace(-1.2, 1.2, 25)
    true = DoubleWell(3.0).energy(places[None])
    for lag, frames in ((0.02, 4000), (0.2, 1000)):
        worst, depth, scores, covered = [], [], [], []
        for seed in range(seeds):
            runs = generator.sample(20, frames, lag, seed=seed)
            model = OverdampedLangevin(1.0).fit(Trajectories(runs, dt=lag))
            found = model.diffusion(places)
            worst.append(np.sqrt(np.mean((found.values / uneven(places) - 1.0) ** 2)))
            covered.append(np.mean(np.abs(found.values - uneven(places)) < 2.0 * found.errors))
            gap = model.free_energy(places).values - true
            depth.append(np.sqrt(np.mean((gap - gap.mean()) ** 2)) / 3.0)
            time = model.timescales(1)
            scores.append(float((time.value[0] - exact) / time.error[0]))
        yield _row(f"uneven diffusion, steps of {lag} ps: diffusion", worst, "relative rms", PROFILE)
        yield _row(f"uneven diffusion, steps of {lag} ps: free energy", depth, "rms, of the barrier", PROFILE)
        yield Row(
            f"uneven diffusion, steps of {lag} ps: points within two bars",
            float(np.mean(covered)),
            "share",
            spread=float(np.std(covered)),
            target=">= 0.8",
            met=bool(np.mean(covered) >= 0.8),
        )
        told = ", ".join(f"{each:.1f}" for each in scores)
        worst_z = float(np.abs(scores).max())
        test = f"uneven diffusion, steps of {lag} ps: relaxation time"
        yield Row(test, worst_z, "largest |z|", target=f"<= 3 ({told})", met=worst_z <= 3.0)


def muller_brown(seeds: int) -> Iterator[Row]:
    """Two variables: the relaxation time of Müller-Brown / 20 and its diffusion tensor."""
    potential = MullerBrown(20.0)
    generator = Generator(potential, ((-2.0, 1.6), (-0.9, 2.5)), (62, 60), ceiling=25.0)
    exact = 4.4286
    times, tensors = [], []
    for seed in range(seeds):
        runs = _brownian(potential, generator, seed)
        model = OverdampedLangevin(1.0, intervals=(12, 6, 4)).fit(Trajectories(runs, dt=0.01))
        times.append(float(model.operator((60, 60)).timescales(1)[0]))
        frames = np.concatenate(runs)[::50]
        tensors.append(np.sqrt(np.mean((model.diffusion_at(frames) - np.eye(2)) ** 2)))
    yield _row("Müller-Brown / 20, 2-D: diffusion tensor", tensors, "rms", PROFILE)
    gap = float(np.mean(times) / exact - 1.0)
    yield Row(
        "Müller-Brown / 20, 2-D: relaxation time",
        float(np.mean(times)),
        "ps",
        spread=float(np.std(times)),
        target="within 25 %, twenty runs of 20 ps",
        met=abs(gap) < 0.25,
        peer="exact",
        peer_value=exact,
    )


def _brownian(potential: MullerBrown, generator: Generator, seed: int) -> list[np.ndarray]:
    """Twenty runs of 20 ps from equilibrium by fine steps, noise averaged over two, a frame every 0.01 ps."""
    random, h = np.random.default_rng(seed), 5e-4
    start = random.choice(generator.size, 20, p=generator.stationary_distribution)
    x, frames = generator.points[:, start], []
    noise = random.standard_normal(x.shape)
    for step in range(40_000):
        if step % 20 == 0:
            frames.append(x)
        after = random.standard_normal(x.shape)
        x = x - h * potential.gradient(x) + np.sqrt(0.5 * h) * (noise + after)
        noise = after
    return list(np.array(frames).transpose(2, 0, 1))


def rates(seeds: int) -> Iterator[Row]:
    """Every route to a rate on one fitted model, against a simulation of that model."""
    for name in ("friction 1", "friction 10", "friction 10, memory 0.5 ps"):
        ratios: dict[str, list[float]] = {}
        bars: dict[str, list[float]] = {}
        for seed in range(seeds):
            table = rates_table(fitted(name, False, seed), 200, seed)
            base, spread = table.forward["simulation"], table.errors["simulation"]
            for route, rate in table.forward.items():
                own = table.errors.get(route, 0.0) if route == "reactive flux" else 0.0
                ratios.setdefault(route, []).append(rate / base)
                bars.setdefault(route, []).append(float(np.hypot(own, spread)) / base)
        for route, found in ratios.items():
            if route == "simulation":
                continue
            exact = route in ("exact generator", "reactive flux")
            gap = [abs(r - 1.0) / b for r, b in zip(found, bars[route])]
            yield Row(
                f"{name}: {route} / simulation of the model",
                float(np.mean(found)),
                "ratio",
                spread=float(np.std(found)),
                target="within 3 standard errors" if exact else None,
                met=bool(np.max(gap) <= 3.0) if exact else None,
            )
