"""Rates beside exact ones: restarted walks for the price of plain ones, and escapes under a bias.

Passages: chains of cells whose times are known exactly, walks restarted by least counts, `passage_rate` over seeds. The
error of a rate is the root mean square of its logarithm's, refused ones left out and counted. Plain walks that begin
anew whenever they arrive would need ``1 / error^2`` passages for it, of a mean time that is known exactly; the ratio is
of their aggregate time and that of the restarted walks.

Escapes: runs from the left of a double well of 8 kT, `exit_times` under metadynamics with rare and with frequent
deposits and under OPES with a barrier lower than the real one; 40 runs a seed. The same of a molecule: how long alanine
dipeptide stays in its left-handed basin, beside runs without a bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.temperature import thermal_start
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Coordinates, Dihedrals
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.reactions.exit_times import ExitTimes, exit_times
from thalweg.kinetics.reactions.passage_rate import passage_rate
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.report.benchmark import Row
from thalweg.sampling.bias.independent_biases import IndependentBiases
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.sampling.bias.method import Limits
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.restarts.least_counts import LeastCounts
from thalweg.systems.state import State, thermal_state
from thalweg.testsystems.chain import sampled_states
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.potential import Potential
from thalweg.testsystems.wells import DoubleWell, TripleWell1D
from thalweg.units import thermal_energy

SEEDS, SAMPLES = 10, 20
"""Campaigns, and replicates behind each error."""

ESCAPE_SEEDS, RUNS, BARRIER, DT = 2, 40, 8.0, 1e-3


@dataclass(frozen=True)
class Passage:
    """A chain of cells, the passage that is timed, and what restarted walks spend on it.

    Attributes
    ----------
    name : in the table
    potential, kT, cells : D is ``kT``
    dt : between frames [ps]
    a, b : ends of both sets
    states : clusters, all equally wide
    swarms, walkers, frames : of a campaign
    """

    name: str
    potential: Potential
    kT: float
    cells: int
    dt: float
    a: tuple[float, float]
    b: tuple[float, float]
    states: int
    swarms: int
    walkers: int
    frames: int

    @cached_property
    def generator(self) -> Generator:
        """What moves the walks."""
        return Generator(
            self.potential, self.potential.domain, self.cells, kT=self.kT, diffusion=self.kT, ceiling=60
        )

    @cached_property
    def matrix(self) -> np.ndarray:
        """From frame to frame."""
        return self.generator.transition_matrix(self.dt)

    @property
    def sets(self) -> tuple[np.ndarray, np.ndarray]:
        """Cells of both sets."""
        x = self.generator.points[0]
        low, high = np.array([self.a, self.b]).T[..., None]
        first, second = (x > low) & (x < high)
        return first, second

    @cached_property
    def time(self) -> float:
        """Mean passage time [ps] of the chain as seen at every frame."""
        (a, b), weights = self.sets, self.generator.stationary_distribution
        inside = self.matrix[np.ix_(~b, ~b)]
        times = np.zeros(len(b))
        times[~b] = self.dt * np.linalg.solve(np.eye(len(inside)) - inside, np.ones(len(inside)))
        return float((weights * times)[a].sum() / weights[a].sum())

    def walks(self, seed: int) -> list[np.ndarray]:
        """Cells along the walks of one campaign, from the first set."""
        random, found = np.random.default_rng(seed), []
        start, clusters, counts = self.sets[0].astype(float), self.clusters, np.zeros((self.states,) * 2)
        for swarm in range(self.swarms):
            swarmed = list(sampled_states(self.matrix, self.walkers, self.frames, start, random))
            seen = DiscreteTrajectories([clusters[walk] for walk in swarmed], n_states=self.states)
            counts += transition_counts(seen, 1, 1).matrix.toarray()
            found += swarmed
            frames = np.concatenate(found)
            start = np.zeros(len(start))
            for state in LeastCounts().states(counts, self.walkers, seed * self.swarms + swarm):
                start[random.choice(frames[clusters[frames] == state])] += 1
        return found

    @property
    def clusters(self) -> np.ndarray:
        """Cluster of every cell."""
        size = self.generator.size
        return np.arange(size) * self.states // size


PASSAGES = {
    "triple-well": Passage(
        "triple well", TripleWell1D(), 0.28125, 180, 0.05, (0.307, 0.707), (5.225, 5.625), 30, 60, 32, 60
    ),
}  # fmt: skip


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each passage, and escapes; ``quick`` takes two seeds and one."""
    found: dict[str, Callable[[], Iterator[Row]]] = {
        name: partial(_passage_rows, passage, 2 if quick else SEEDS) for name, passage in PASSAGES.items()
    }
    return found | {
        "escapes": partial(_escape_rows, 1 if quick else ESCAPE_SEEDS),
        "left-handed basin": partial(_left_handed_rows, 400.0 if quick else 300.0),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def _passage_rows(passage: Passage, seeds: int) -> Iterator[Row]:
    (a, b), clusters, given = passage.sets, passage.clusters, []
    for seed in range(seeds):
        walks = passage.walks(seed)
        states = DiscreteTrajectories([clusters[walk] for walk in walks], passage.dt)
        masks = [[each[walk] for walk in walks] for each in (a, b)]
        found = passage_rate(states, *masks, lagtimes=(2, 5, 10), samples=SAMPLES)
        given += [] if found.shortcomings else [found]
    spent = passage.swarms * passage.walkers * passage.frames * passage.dt
    told = f"{passage.name}, {len(given)} of {seeds} seeds given a rate"
    yield Row(f"{passage.name}: mean passage time over aggregate time", passage.time / spent, "1")
    if len(given) < 2:
        yield Row(f"{told}: error of ln k", None, "1", target="at least two seeds with a rate")
        return
    off = np.array([np.log(one.time / passage.time) for one in given])
    z = off / np.array([one.log_error for one in given])
    error, mean_error = float(np.sqrt(np.mean(off**2))), float(off.std(ddof=1) / len(off) ** 0.5)
    yield Row(
        f"{told}: mean error of ln k",
        float(off.mean()),
        "1",
        spread=mean_error,
        target="within 2 standard errors",
        met=bool(abs(off.mean()) < 2 * mean_error),
    )
    size = float(np.sqrt(np.mean(z**2)))
    yield Row(f"{told}: error over its bar, rms", size, "1", target="<= 1.3", met=size <= 1.3)
    plain = passage.time / error**2
    yield Row(
        f"{told}: aggregate time for an error of ln k of {error:.2f}",
        spent,
        "ps",
        target="less than plain",
        met=spent < plain,
        peer="plain, exact",
        peer_value=plain,
        ratio=plain / spent,
    )


X = Coordinates([0], dims=1)


def _biases() -> dict[str, tuple[Any, bool]]:
    """Biases of the escapes, and whether they leave the transition state alone."""

    def metadynamics(stride: int) -> WellTemperedMetadynamics:
        return WellTemperedMetadynamics(X, -2.0, 2.0, 0.1, height=0.5, bias_factor=6.0, kT=1.0, stride=stride)

    limits = Limits(np.array([-2.0]), np.array([2.0]), np.array([0.05]))
    flooding = OPES(barrier=4.5, stride=0.2, capacity=64).on(X, limits, kT=1.0, dt=DT)
    return {
        "metadynamics, a deposit in 2 ps": (metadynamics(2000), True),
        "metadynamics, a deposit in 0.02 ps": (metadynamics(20), False),
        "OPES flooding of 4.5 kT": (flooding, True),
    }


def _escapes(bias: Any, seed: int, most: int = 12) -> ExitTimes:
    """Of all runs, until each has left or the time is over."""
    engine = NativeEngine.for_potential(DoubleWell(BARRIER), np.ones(1), Overdamped(kT=1.0, dt=DT))
    state = thermal_state(-jnp.ones((1, 1, RUNS), jnp.float32), np.ones(1), 1.0, jax.random.key(seed))
    each, grown, energies, outside = IndependentBiases(bias, RUNS), None, [], []
    for _ in range(most):
        run = engine.run(state, 6000, save_every=5, bias=each, bias_state=grown)
        state, grown = run.state, run.bias_state
        energies.append(run.bias_energy)
        outside.append(run.positions[:, :, 0, 0] > 0.5)
        if np.concatenate(outside, axis=1).any(axis=1).all():
            break
    columns = (list(np.concatenate(each, axis=1)) for each in (energies, outside))
    return exit_times(*columns, kT=1.0, dt=run.dt_frames)


def _escape_rows(seeds: int) -> Iterator[Row]:
    generator = Generator(DoubleWell(BARRIER), ((-2.0, 2.0),), 800)
    times = generator.mean_first_passage_time(lambda x: x[0] > 0.5)
    exact = float(generator.interpolated(times, np.array([[-1.0]]))[0])
    for name, (bias, free) in _biases().items():
        found = [_escapes(bias, seed) for seed in range(seeds)]
        refused = sum(bool(one.shortcomings) for one in found)
        if not free:
            yield Row(f"{name}: refused of {seeds} seeds", refused, "1", target="all", met=refused == seeds)
            continue
        total = sum(one.exits for one in found)
        mean = sum(one.times.sum() for one in found) / total
        error = float(mean / total**0.5)
        faster = np.mean([one.acceleration for one in found])
        yield Row(
            f"{name}, {faster:.0f} times faster, {refused} of {seeds} seeds refused: mean escape time",
            float(mean),
            "ps",
            spread=error,
            target="within 2 standard errors",
            met=bool(abs(mean - exact) < 2 * error),
            peer="exact",
            peer_value=exact,
        )


def _left_handed_rows(temperature: float) -> Iterator[Row]:
    """How long alanine dipeptide stays left-handed in OBC2: 64 runs without a bias, 64 under each of three."""
    kT = thermal_energy(temperature)
    system = alanine_dipeptide("obc2", hydrogen_mass=3.0)
    quads = backbone_dihedrals(system.topology)
    torsions = Dihedrals(np.concatenate([quads["phi"], quads["psi"]]), system.topology)
    phi = Dihedrals(quads["phi"], system.topology)
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
    state = thermal_start(system, kT, jax.random.key(0), replicas=64)
    for degrees in np.linspace(-80, 55, 28):
        led = HarmonicRestraint(torsions, np.radians([degrees, 40.0]), [300.0, 50.0])
        state = engine.run(state, 100, save_every=100, bias=led).state
    start = engine.run(state, 2500, save_every=2500).state

    def metadynamics(stride: int) -> WellTemperedMetadynamics:
        return WellTemperedMetadynamics(
            phi, -np.pi, np.pi, 0.15, height=1.0, bias_factor=8.0, kT=kT, stride=stride
        )

    limits = Limits(np.array([-np.pi]), np.array([np.pi]), np.array([0.1]))
    flooding = OPES(barrier=10.0, stride=1.0, capacity=64).on(phi, limits, kT, 0.004)
    plain, *biased = (
        _left(engine, start, phi, bias, kT) for bias in (None, flooding, metadynamics(2500), metadynamics(50))
    )
    head = f"alanine dipeptide, OBC2, {temperature:g} K, leaving the left-handed basin"
    yield Row(
        f"{head}: without a bias, {plain.exits} of 64 runs, p = {plain.p_value:.2f}",
        plain.mean,
        "ps",
        plain.error,
    )
    for name, one in zip(("OPES flooding of 10 kJ/mol", "a hill in 10 ps", "a hill in 0.2 ps"), biased):
        apart = abs(np.log(one.mean / plain.mean)) / np.hypot(one.exits**-0.5, plain.exits**-0.5)
        refused = bool(one.shortcomings)
        yield Row(
            f"{head}: {name}, {one.exits} of 64 runs, {one.acceleration:.1f} times faster, "
            f"{'refused' if refused else 'given'} (p = {one.p_value:.2g})",
            one.mean, "ps", one.error, target="within 2 standard errors, or refused", met=bool(refused or apart < 2),
            peer="without a bias", peer_value=plain.mean, ratio=one.mean / plain.mean,
        )  # fmt: skip


def _left(
    engine: NativeEngine, state: State, phi: Dihedrals, bias: Any, kT: float, most: int = 60
) -> ExitTimes:
    """Of 64 runs, until two thirds have left or 6 ns are over."""
    each = None if bias is None else IndependentBiases(bias, 64)
    grown, energies, outside = None, [], []
    for _ in range(most):
        run = engine.run(state, 25_000, save_every=25, bias=each, bias_state=grown)
        state, grown = run.state, run.bias_state
        degrees = np.degrees(
            np.asarray(phi(jnp.moveaxis(jnp.asarray(run.positions), (0, 1), (-2, -1)), None))[0]
        )
        outside.append((degrees < -20) | (degrees > 160))
        energies.append(np.zeros(degrees.shape) if bias is None else run.bias_energy)
        if np.concatenate(outside, axis=1).any(axis=1).mean() > 2 / 3:
            break
    columns = (list(np.concatenate(each, axis=1)) for each in (energies, outside))
    return exit_times(*columns, kT=kT, dt=run.dt_frames)
