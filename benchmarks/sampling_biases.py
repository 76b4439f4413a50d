"""Every bias on potentials whose free energies are known by quadrature, its cost, and alanine dipeptide in vacuum.

``ROUTES x SYSTEMS`` is one table: a route is a function from a well and a seed to a free-energy difference with its
claimed error, and another bias joins by a line in `ROUTES`. Every route has the same number of steps: a first part in
which the bias grows, and as many under the bias held; restraints do not grow and have both for themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sampling_peers import Absent, Peer

from thalweg.dynamics.engine import Bias
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.temperature import thermal_start
from thalweg.free_energies.difference import agreement, free_energy_difference
from thalweg.free_energies.work import free_energy_from_work
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Coordinates, Dihedrals
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.report.benchmark import Row
from thalweg.sampling.bias.adaptive_force import AdaptiveBiasingForce
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.metadynamics import Metadynamics
from thalweg.sampling.bias.method import BiasMethod, Limits
from thalweg.sampling.bias.moving import MovingRestraint
from thalweg.sampling.bias.opes import OPES, OPESExplore
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.reweighted import reweighted
from thalweg.systems.state import State, thermal_state
from thalweg.testsystems.muller_brown import TERMS, MullerBrown
from thalweg.testsystems.potential import Potential
from thalweg.testsystems.wells import DoubleWell, ObliqueDoubleWell
from thalweg.units import thermal_energy

WALKERS = 16


@dataclass(frozen=True)
class Well:
    """A potential with a region whose free energy is asked for, at kT.

    ``limits`` of the biased coordinates and half the spread within a state; ``steps`` of each of two parts; bias
    settings from the height of the barrier alone.
    """

    potential: Potential
    kT: float
    dt: float
    steps: int
    start: tuple[float, ...]
    limits: Limits
    barrier: float
    region: Callable[[np.ndarray], np.ndarray]
    windows: tuple[int, ...]
    stiffness: float

    @property
    def dims(self) -> int:
        return len(self.start)

    @property
    def variable(self) -> Coordinates:
        return Coordinates([0], dims=self.dims)

    def exact(self) -> float:
        """``F(region) - F(rest)`` by quadrature."""
        axes = [np.linspace(low, high, 1201) for low, high in self.potential.domain]
        points = np.stack(np.meshgrid(*axes, indexing="ij"))
        energy = np.asarray(self.potential.energy(points))
        weight = np.exp(-(energy - energy.min()) / self.kT)
        inside = self.region(np.moveaxis(points, 0, -1))
        return float(-self.kT * np.log(weight[inside].sum() / weight[~inside].sum()))

    def engine(self) -> NativeEngine:
        integrator = Overdamped(kT=self.kT, dt=self.dt, diffusion=self.kT)
        return NativeEngine.for_potential(self.potential, np.ones(1), integrator)

    def begin(self, places: np.ndarray, seed: int) -> State:
        """Walkers at ``places`` (dims, walkers)."""
        x = jnp.asarray(places, jnp.float32)[None]
        return thermal_state(x, np.ones(1), self.kT, jax.random.key(seed))


SYSTEMS = {
    "double well": Well(
        DoubleWell(5.0, 0.5), 1.0, 1e-3, 40_000, (-1.0,),
        Limits(np.array([-2.0]), np.array([2.0]), np.array([0.1])), 7.0, lambda x: x[..., 0] > 0, (16,), 40.0,
    ),
    "oblique double well": Well(
        ObliqueDoubleWell(), 0.8, 1e-3, 40_000, (-1.0, -0.3),
        Limits(np.array([-2.0, -2.5]), np.array([2.0, 2.5]), np.array([0.1, 0.2])), 8.0, lambda x: x[..., 0] > 0.5,
        (12, 4), 20.0,
    ),
    "Müller-Brown / 10": Well(
        MullerBrown(10.0), 1.0, 2e-4, 120_000, (-0.558, 1.442),
        Limits(np.array([-1.8, -0.6]), np.array([1.4, 2.4]), np.array([0.1, 0.1])), 12.0, lambda x: x[..., 1] < 0.75,
        (14, 14), 100.0,
    ),
}  # fmt: skip


def growing(method: Callable[[Well], BiasMethod], well: Well, seed: int) -> tuple[float, float]:
    """A bias that grows, then is held; frames of the second part."""
    bias = method(well).on(well.variable, well.limits, well.kT, well.dt)
    engine = well.engine()
    begin = well.begin(np.repeat(np.array(well.start)[:, None], WALKERS, 1), seed)
    first = engine.run(begin, well.steps, save_every=50, bias=bias)
    held = FrozenBias(bias, first.bias_state)
    second = engine.run(first.state, well.steps, save_every=50, bias=held)
    return _difference(well, reweighted([second], [held], well.kT, skip=0.1))


def while_it_grows(method: Callable[[Well], BiasMethod], well: Well, seed: int) -> tuple[float, float]:
    """The frames of a run of both parts in which the bias never stops to grow."""
    bias = method(well).on(well.variable, well.limits, well.kT, well.dt)
    begin = well.begin(np.repeat(np.array(well.start)[:, None], WALKERS, 1), seed)
    run = well.engine().run(begin, 2 * well.steps, save_every=50, bias=bias)
    return _difference(well, reweighted([run], [bias], well.kT, skip=0.3))


def umbrella(well: Well, seed: int) -> tuple[float, float]:
    """Windows on a grid, as many steps in all as the other routes have."""
    axes = [
        np.linspace(low + 0.15 * (high - low), high - 0.15 * (high - low), n)
        for low, high, n in zip(well.limits.lower, well.limits.upper, well.windows)
    ]
    centers = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(well.dims, -1)
    row = HarmonicRestraint(well.variable, centers, [well.stiffness] * well.dims)
    steps = 2 * well.steps * WALKERS // centers.shape[1] // 50 * 50
    run = well.engine().run(well.begin(centers, seed), steps, save_every=50, bias=row)
    return _difference(well, reweighted([run], [row], well.kT, skip=0.1))


def _difference(well: Well, frames) -> tuple[float, float]:
    found = frames.difference(lambda positions: well.region(positions[:, 0]))
    return found.value / well.kT, found.error / well.kT


METHODS = {
    "metadynamics": lambda well: Metadynamics(height=0.3 * well.kT, bias_factor=8.0, stride=100 * well.dt),
    "OPES": lambda well: OPES(barrier=well.barrier * well.kT, stride=100 * well.dt),
    "OPES explore": lambda well: OPESExplore(barrier=well.barrier * well.kT, stride=100 * well.dt),
    "ABF": lambda well: AdaptiveBiasingForce(stride=50 * well.dt),
}
ROUTES: dict[str, Callable[[Well, int], tuple[float, float]]] = {
    **{name: partial(growing, method) for name, method in METHODS.items()},
    **{f"{name}, while it grows": partial(while_it_grows, METHODS[name]) for name in ("OPES", "ABF")},
    "umbrella, MBAR": umbrella,
}
"""Ways to a difference and its claimed error [kT]: functions of a well and a seed."""

LEFT_HANDED = {"vacuum": 8.69, "obc2": 9.51}
"""F(0 < phi < 126 deg) - F(rest) of alanine dipeptide, ff14SB, 300 K [kJ/mol]; 80 ns of reference runs."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one seed instead of three."""
    seeds = range(1 if quick else 3)
    wells = {name: partial(_well, name, seeds) for name in SYSTEMS}
    alanine = {
        f"alanine in {solvent}, {name}": partial(_alanine, name, solvent, range(2))
        for solvent in LEFT_HANDED
        for name in (*ALANINE, "umbrella")
    }
    return {
        **wells,
        "pulling": partial(_pulling, seeds),
        "mean forces": partial(_mean_forces, seeds),
        "cost": _cost,
        "openmm-opes": partial(_peer, 3 if quick else 9),
    } | alanine


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def _well(name: str, seeds: range) -> Iterator[Row]:
    """Errors of every route beside what it claims."""
    well = SYSTEMS[name]
    exact = well.exact() / well.kT
    for route, function in ROUTES.items():
        found = np.array([function(well, seed) for seed in seeds])
        yield _row(f"{name}, {route}", found[:, 0] - exact, found[:, 1], "kT")


def _row(test: str, errors: np.ndarray, claimed: np.ndarray, unit: str) -> Row:
    """The root mean square error of some seeds, beside the claimed one."""
    error, bar = (float(np.sqrt(np.mean(np.square(x)))) for x in (errors, claimed))
    # 2.2 times the claim is what the mean square of three normal numbers exceeds once in 500
    return Row(
        f"{test}: error of {len(errors)} seeds; claimed {bar:.2f}", error, unit,
        target=f"<= {2.2 * bar:.2f}, 2.2 times the claim", met=error <= 2.2 * bar, peer="exact",
    )  # fmt: skip


def _pulling(seeds: range) -> Iterator[Row]:
    """Work of pulling from one well to the other and back: ensembles held at either end."""
    well, stiffness = SYSTEMS["double well"], 40.0
    x = np.linspace(-2.5, 2.5, 20001)
    energy = np.asarray(well.potential.energy(x[None]))
    held = [np.exp(-energy - 0.5 * stiffness * (x - end) ** 2).sum() for end in (-1.0, 1.0)]
    exact, engine = float(-np.log(held[1] / held[0])), well.engine()
    there = MovingRestraint(well.variable, [-1.0], [1.0], [stiffness], jumps=200, stride=10)
    found = {"there": [], "both ways": []}
    for seed in seeds:
        works = []
        for way in (there, there.reversed()):
            restraint = HarmonicRestraint(well.variable, way.start, way.stiffness)
            begin = well.begin(np.repeat(np.asarray(way.start)[:, None], 200, 1), seed)
            relaxed = engine.run(begin, 2000, save_every=2000, bias=restraint)
            pulled = engine.run(relaxed.state, way.steps, save_every=way.stride, bias=way)
            works.append(way.work(pulled)[:, -1])
        for name, backward in (("there", None), ("both ways", works[1])):
            estimate = free_energy_from_work(works[0], 1.0, backward)
            found[name].append((estimate.value, estimate.error))
    for name, each in found.items():
        values = np.array(each)
        yield _row(f"double well, 200 pulls, {name}", values[:, 0] - exact, values[:, 1], "kT")


def _mean_forces(seeds: range) -> Iterator[Row]:
    """The surface that the adaptive biasing force integrates, up to 8 kT, without any reweighting."""
    for name in ("double well", "Müller-Brown / 10"):
        well, errors, claimed = SYSTEMS[name], [], []
        bias = METHODS["ABF"](well).on(well.variable, well.limits, well.kT, well.dt)
        for seed in seeds:
            begin = well.begin(np.repeat(np.array(well.start)[:, None], WALKERS, 1), seed)
            model = bias.free_energy(
                well.engine().run(begin, 2 * well.steps, save_every=500, bias=bias).bias_state
            )
            energy = np.asarray(well.potential.energy(np.stack(np.meshgrid(*model.centers, indexing="ij"))))
            low = np.isfinite(model.free_energy) & (energy < energy.min() + 8 * well.kT)
            apart = (model.free_energy - energy)[low]
            errors.append(apart.std() / well.kT)
            claimed.append(np.sqrt(np.mean(model.error[low] ** 2)) / well.kT)
        yield _row(f"{name}, surface from mean forces", np.array(errors), np.array(claimed), "kT")


ALANINE: dict[str, BiasMethod] = {
    "metadynamics": Metadynamics(height=0.6, bias_factor=15.0, stride=0.5),
    "OPES": OPES(barrier=50.0, stride=0.5),
    "OPES explore": OPESExplore(barrier=50.0, stride=0.5),
    "ABF": AdaptiveBiasingForce(stride=0.2),
}
TORSION_LIMITS = Limits(np.full(2, -np.pi), np.full(2, np.pi), np.full(2, 0.175))


def _torsions(solvent: str = "vacuum"):
    system = alanine_dipeptide(solvent, hydrogen_mass=3.0)
    quads = backbone_dihedrals(system.topology)
    return system, Dihedrals(np.concatenate([quads["phi"], quads["psi"]]), system.topology)


def _alanine(name: str, solvent: str, seeds: range) -> Iterator[Row]:
    """The side of positive phi against the rest: 6.4 ns in which the bias grows and 9.6 ns under it, of 32 walkers."""
    kT, found = thermal_energy(300.0), []
    system, variable = _torsions(solvent)
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
    spent = time.process_time()
    for seed in seeds:
        frames = (_windows if name == "umbrella" else partial(_held, ALANINE[name]))(
            engine, system, variable, kT, seed
        )
        degrees = [np.degrees(walk[:, 0].astype(float)) for walk in frames.along(variable)]
        inside = [(phi > 0) & (phi < 126) for phi in degrees]
        found.append((frames.difference_of(inside), frames.notes))
    minutes = (time.process_time() - spent) / 60 / len(seeds)
    exact, head = LEFT_HANDED[solvent], f"alanine dipeptide, {solvent}, {name}"
    for seed, (each, notes) in enumerate(found):
        error, told = abs(each.value - exact), "; ".join((*each.shortcomings, *notes))
        yield Row(
            f"{head}, seed {seed}: F(0 < phi < 126 deg){'; told: ' + told if told else ''}", each.value, "kJ/mol",
            each.error, target=f"within 1 of {exact}", met=error <= 1.0, peer="80 ns of reference runs",
            peer_value=exact,
        )  # fmt: skip
    yield Row(
        f"{head}: processor time of a seed; {agreement([each for each, _ in found])}", minutes, "min",
        target="<= 20", met=minutes <= 20,
    )  # fmt: skip


def _held(method: BiasMethod, engine, system, variable, kT: float, seed: int):
    bias = method.on(variable, TORSION_LIMITS, kT, 0.004)
    first = engine.run(
        thermal_start(system, kT, jax.random.key(seed), replicas=32), 50_000, save_every=250, bias=bias
    )
    held = FrozenBias(bias, first.bias_state)
    second = engine.run(first.state, 75_000, save_every=50, bias=held)
    return reweighted([second], [held], kT, skip=0.05)


def _windows(engine, system, variable, kT: float, seed: int):
    """30 by 30 windows of 18 ps, each led there from the start within 12 ps.

    The surface bends down by 200 kJ/mol/rad^2 and more on its barriers; a softer window there has two minima, and its
    frames stay in whichever they came to.
    """
    at = -np.pi + (np.arange(30) + 0.5) * 2 * np.pi / 30
    centers = np.stack(np.meshgrid(at, at, indexing="ij")).reshape(2, -1)
    state = thermal_start(system, kT, jax.random.key(seed), replicas=centers.shape[1])
    begin = np.asarray(variable(state.positions, None))
    way = (centers - begin + np.pi) % (2 * np.pi) - np.pi
    for part in np.linspace(0, 1, 31)[1:]:
        led = HarmonicRestraint(variable, begin + part * way, [400.0, 400.0])
        state = engine.run(state, 100, save_every=100, bias=led).state
    row = HarmonicRestraint(variable, centers, [400.0, 400.0])
    run = engine.run(state, 4_500, save_every=100, bias=row)
    return reweighted([run], [row], kT, skip=0.1)


def _cost() -> Iterator[Row]:
    """Processor time of a step of 32 replicas of alanine dipeptide, grown biases beside none, taken in turns."""
    kT = thermal_energy(300.0)
    system, variable = _torsions()
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
    start = thermal_start(system, kT, jax.random.key(0), replicas=32)
    sides: dict[str, tuple[Bias | None, State, object]] = {"none": (None, start, None)}
    for name, method in ALANINE.items():
        bias = method.on(variable, TORSION_LIMITS, kT, 0.004)
        grown = engine.run(start, 10_000, save_every=500, bias=bias)
        sides[name] = (bias, grown.state, grown.bias_state)
    seconds = {name: [] for name in sides}
    for _ in range(6):
        for name, (bias, state, bias_state) in sides.items():
            spent = time.process_time()
            engine.run(state, 2000, save_every=250, bias=bias, bias_state=bias_state)
            seconds[name].append(time.process_time() - spent)
    plain = np.array(seconds.pop("none")[1:])
    for name, each in seconds.items():
        ratios = np.array(each[1:]) / plain
        yield Row(
            f"alanine dipeptide, vacuum, step under {name} on phi and psi, 40 ps grown", float(np.median(ratios)),
            "of the unbiased", float(np.ptp(ratios) / 2), target="<= 1.3", met=float(np.median(ratios)) <= 1.3,
        )  # fmt: skip


def _peer(seeds: int) -> Iterator[Row]:
    """openmm-opes and OPES here: one well with as many steps and as many deposits in all, and steps of a molecule.

    One route here has 18 times as many steps, which take about twice the processor time of openmm-opes.
    """
    well, steps, stride = SYSTEMS["Müller-Brown / 10"], 400_000, 100
    routes = {
        f"OPES, {steps} steps of 16 walkers": (seeds, partial(_grown, well, steps, stride, 16)),
        f"OPES, {steps} steps of one walker": (seeds // 3, partial(_grown, well, steps, stride, 1)),
        f"OPES, {18 * steps} steps of 16 walkers": (
            seeds // 3,
            partial(_grown, well, 18 * steps, stride, 16),
        ),
    }
    try:
        with Peer("openmm-opes") as peer:
            yield from _step_times(peer)
            name = f"openmm-opes, {steps} steps of one walker"
            routes[name] = (seeds, partial(_grown_by_peer, peer, well, steps, stride))
            for route, (repeats, function) in routes.items():
                yield from _rows_of_route(well, route, [function(seed) for seed in range(repeats)])
    except Absent as reason:
        yield Row("openmm-opes", None, "kT", target=str(reason))


def _rows_of_route(well: Well, route: str, found: list[tuple[float, float, float]]) -> Iterator[Row]:
    """The root mean square error of free energies, claimed errors, and processor time of seeds."""
    value, claimed, seconds = np.array(found).T
    off = value - well.exact() / well.kT
    given = off[np.isfinite(off)]
    yield Row(
        f"Müller-Brown / 10, {route}: error of {len(given)} of {len(off)} seeds; claimed, "
        f"median {np.nanmedian(claimed):.2f}",
        float(np.sqrt(np.mean(given**2))), "kT", _spread_of_root(given), peer="exact",
    )  # fmt: skip
    yield Row(f"{route}: processor time of a seed", float(np.median(seconds)), "s", float(seconds.std()))


def _spread_of_root(off: np.ndarray) -> float:
    """Standard error of a root mean square, by leaving each out."""
    roots = [np.sqrt(np.mean(np.delete(off, k) ** 2)) for k in range(len(off))]
    return float(np.std(roots) * (len(off) - 1) ** 0.5)


def _grown(well: Well, steps: int, stride: int, walkers: int, seed: int) -> tuple[float, float, float]:
    """Free energy [kT], claimed error, and processor time [s] of a bias that grows."""
    method = OPES(barrier=well.barrier * well.kT, stride=stride * well.dt)
    bias, engine = method.on(well.variable, well.limits, well.kT, well.dt), well.engine()
    begin = well.begin(np.repeat(np.array(well.start)[:, None], walkers, 1), seed)
    engine.run(begin, stride, save_every=stride, bias=bias)  # compiles
    spent = time.process_time()
    run = engine.run(begin, steps // walkers, save_every=stride, bias=bias)
    spent = time.process_time() - spent
    points = [walk[:, 0] for walk in run.positions]
    return (*_of_frames(well, points, list(np.asarray(run.bias_energy, float))), spent)


def _grown_by_peer(peer: Peer, well: Well, steps: int, stride: int, seed: int) -> tuple[float, float, float]:
    """What `_grown` gives, of openmm-opes."""
    lower, upper, widths = (np.asarray(x).tolist() for x in well.limits)
    terms = [
        f"({A / 10})*exp(({a})*(x-({X}))^2+({b})*(x-({X}))*(y-({Y}))+({c})*(y-({Y}))^2)"
        for A, a, b, c, X, Y in TERMS
    ]
    answer = peer.ask(
        what="on_plane", energy="+".join(terms), start=well.start, lower=lower, upper=upper, width=2 * widths[0],
        barrier=well.barrier * well.kT, kT=well.kT, dt=well.dt, stride=stride, steps=steps, seed=seed,
    )  # fmt: skip
    value, claimed = _of_frames(well, [np.array(answer["frames"])], [np.array(answer["bias"])])
    return value, claimed, answer["seconds"]


def _of_frames(well: Well, points: list[np.ndarray], bias: list[np.ndarray]) -> tuple[float, float]:
    """The free energy of the region by frames that weigh ``exp(bias / kT)``, without their first 30 %."""
    late = slice(round(0.3 * len(points[0])), None)
    inside = [well.region(walk[late]) for walk in points]
    logs = [walk[late] / well.kT for walk in bias]
    try:
        found = free_energy_difference(inside, [~one for one in inside], logs, well.kT)
    except ValueError:
        return np.nan, np.nan
    return found.value / well.kT, found.error / well.kT


def _step_times(peer: Peer) -> Iterator[Row]:
    """Of alanine dipeptide under OPES on its torsions: one walker there, one and 32 here."""
    kT = thermal_energy(300.0)
    system, variable = _torsions()
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
    bias = ALANINE["OPES"].on(variable, TORSION_LIMITS, kT, 0.004)
    with as_file(files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb") as pdb:
        answer = peer.ask(
            what="step_times", pdb=str(pdb), torsions=variable.table.array.tolist(), steps=10_000,
            platform="Reference",
        )  # fmt: skip
    plain, biased = answer["microseconds"]
    for walkers in (1, 32):
        start = thermal_start(system, kT, jax.random.key(0), replicas=walkers)
        grown = engine.run(start, 10_000, save_every=500, bias=bias)
        spent = time.process_time()
        engine.run(grown.state, 5_000, save_every=500, bias=bias, bias_state=grown.bias_state)
        each = 1e6 * (time.process_time() - spent) / 5_000 / walkers
        yield Row(
            f"alanine dipeptide, vacuum, step of a walker under OPES, {walkers} in a run", each, "µs",
            peer=f"{answer['peer']}, one walker, reference platform; {plain:.3g} without bias", peer_value=biased,
            ratio=biased / each,
        )  # fmt: skip
