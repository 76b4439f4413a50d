"""Free energies in four variables by networks, beside a histogram and a kernel density; ways and saddles on them.

Four torsions of alanine tetrapeptide, in a generalized Born solvent at 500 K: surfaces are fitted to some of the runs
and judged by the mean logarithm of the density at frames of the others. Histogram and kernel density get the number of
bins and the width that do best on runs left out of the fitted ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.temperature import thermal_start
from thalweg.free_energies.landscapes.density_classifier import DensityClassifier
from thalweg.free_energies.landscapes.disconnectivity import disconnectivity_graph
from thalweg.free_energies.landscapes.mean_force_network import MeanForceNetwork
from thalweg.free_energies.landscapes.minimum_path import minimum_path
from thalweg.free_energies.landscapes.spline_flow import SplineFlow
from thalweg.free_energies.surface import FreeEnergySurface
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Dihedrals
from thalweg.interop.openmm.molecules import alanine_tetrapeptide
from thalweg.report.benchmark import Row
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.stationary_points import stationary_points
from thalweg.units import thermal_energy

TURN = 2 * np.pi
TEMPERATURE = 500.0
REPLICAS, TESTED = 32, 8
"""Runs, and how many of them surfaces are judged by."""

CENTERS = 10_000
"""Kernels of the kernel density: all frames would cost hours and change little."""


@cache
def torsions(quick: bool) -> np.ndarray:
    """Four torsions ``(runs, frames, 4)`` [rad], a quarter of a picosecond apart."""
    system, kT = alanine_tetrapeptide("obc2", hydrogen_mass=3.0), thermal_energy(TEMPERATURE)
    found = backbone_dihedrals(system.topology)
    middle = np.stack([found[name][k] for k in (0, 1) for name in ("phi", "psi")])
    variable = Dihedrals(middle, system.topology)
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
    start = thermal_start(system, kT, jax.random.key(0), replicas=REPLICAS)
    frames = 200 if quick else 2400
    run = engine.run(start, 62 * frames, save_every=62)
    skip = frames // 6
    walks = [
        np.asarray(variable(np.moveaxis(np.asarray(each[skip:]), 0, -1)), float).T for each in run.positions
    ]
    return np.stack(walks)


def four_torsions(quick: bool) -> Iterator[Row]:
    """Held-out log-likelihoods."""
    walks = torsions(quick)
    fitted, test = list(walks[TESTED:]), walks[:TESTED].reshape(-1, 4)
    kT = thermal_energy(TEMPERATURE)
    histogram = max(
        (Histogram.of(fitted[6:], bins) for bins in (6, 8, 10, 12, 16)),
        key=lambda each: each.log_density(np.concatenate(fitted[:6])).mean(),
    )
    histogram = Histogram.of(fitted, histogram.bins)
    some = np.concatenate(fitted[:6])[:: 4 if quick else 20]
    kernels = max(
        (Kernels.of(fitted[6:], width) for width in (0.1, 0.15, 0.2, 0.3)),
        key=lambda each: each.log_density(some).mean(),
    )
    kernels = Kernels.of(fitted, kernels.width)
    judged = test[:: 4 if quick else 10]
    peers = {
        f"histogram, {histogram.bins} bins": histogram.log_density(judged),
        f"kernel density, width {kernels.width:g}": kernels.log_density(judged),
    }
    best = max(float(each.mean()) for each in peers.values())
    for name, logs in peers.items():
        yield Row(f"{name}: log-likelihood of runs left out", float(logs.mean()), "nat", _error(logs))
    counted = (_counted(list(each), kT) for each in (walks[TESTED:], walks[:TESTED]))
    yield Row(
        "histogram of phi and psi of fitted runs from that of runs left out", _apart(*counted, kT), "errors"
    )
    epochs = 5 if quick else 60
    for method in (SplineFlow, DensityClassifier):
        started = time.process_time()
        surface = method(kT=kT, periods=(TURN,) * 4, epochs=epochs, members=2 if quick else 3).fit(fitted)
        seconds = time.process_time() - started
        logs = surface.log_density(judged)
        name = method.__name__
        yield Row(
            f"{name}: log-likelihood of runs left out",
            float(logs.mean()),
            "nat",
            _error(logs),
            f"> {best:.3f}",
            bool(logs.mean() > best),
        )
        yield Row(f"{name}: fit", seconds, "CPU s")
        yield from _marginals(name, surface, test, kT)


def _marginals(name: str, surface: Any, test: np.ndarray, kT: float) -> Iterator[Row]:
    """The surface along phi and psi of one residue against the histogram of runs left out, in errors of both."""
    runs = list(test.reshape(TESTED, -1, 4))
    ratio = _apart(surface.projected((0, 1), bins=18, others=16), _counted(runs, kT), kT)
    yield Row(
        f"{name}: its surface of phi and psi from that counted in runs left out",
        ratio,
        "errors",
        None,
        "<= 2",
        ratio <= 2,
    )


def _counted(runs: list[np.ndarray], kT: float) -> Any:
    """The histogram of two torsions; runs are independent, parts of one are not: some cross a barrier once."""
    settings = {"lower": (-np.pi,) * 2, "upper": (np.pi,) * 2, "bins": (18, 18), "periods": (TURN, TURN)}
    return FreeEnergySurface(kT, **settings, block=len(runs[0])).fit([each[:, :2] for each in runs])


def _apart(mine: Any, counted: Any, kT: float) -> float:
    """Root mean square difference of two surfaces in errors of both, where the second is known to half a kT."""
    known = np.isfinite(counted.error) & (counted.error < 0.5 * kT) & np.isfinite(mine.error)
    away = (mine.free_energy - counted.free_energy)[known]
    return float(np.sqrt(((away - away.mean()) ** 2 / (counted.error**2 + mine.error**2)[known]).mean()))


@dataclass(frozen=True)
class Histogram:
    """Counts in cells of four angles, a tenth of a count in each that has none."""

    bins: int
    counts: np.ndarray

    @staticmethod
    def of(runs: list[np.ndarray], bins: int) -> Histogram:
        edges = [np.linspace(-np.pi, np.pi, bins + 1)] * 4
        return Histogram(bins, np.histogramdd(np.concatenate(runs), edges)[0] + 0.1)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        place = np.clip(((points + np.pi) / TURN * self.bins).astype(int), 0, self.bins - 1)
        volume = (TURN / self.bins) ** 4
        return np.log(self.counts[tuple(place.T)] / self.counts.sum() / volume)


@dataclass(frozen=True)
class Kernels:
    """A sum of products of Gaussians of angles."""

    width: float
    centers: np.ndarray

    @staticmethod
    def of(runs: list[np.ndarray], width: float) -> Kernels:
        points = np.concatenate(runs)
        return Kernels(width, points[:: max(1, len(points) // CENTERS)])

    def log_density(self, points: np.ndarray) -> np.ndarray:
        logs = []
        for some in np.array_split(points, max(1, len(points) // 200)):
            away = (some[:, None] - self.centers + np.pi) % TURN - np.pi
            exponent = -0.5 * (away**2).sum(axis=2) / self.width**2
            top = exponent.max(axis=1)
            logs.append(top + np.log(np.exp(exponent - top[:, None]).mean(axis=1)))
        return np.concatenate(logs) - 4 * np.log(self.width * np.sqrt(TURN))


def mean_forces(quick: bool) -> Iterator[Row]:
    """Noisy forces of four coupled angles, F = -2 sum cos(s_k - s_(k-1)), by a network."""
    for seed in range(1 if quick else 3):
        generator = np.random.default_rng(seed)
        points = generator.uniform(-np.pi, np.pi, (4000 if quick else 20_000, 4))
        steps = np.diff(points, axis=1, prepend=0.0)
        pull = -2.0 * np.sin(steps)
        forces = pull - np.concatenate([pull[:, 1:], np.zeros((len(pull), 1))], axis=1)
        noisy = forces + generator.standard_normal(forces.shape)
        epochs = 20 if quick else 100
        surface = MeanForceNetwork(kT=2.5, periods=(TURN,) * 4, members=2, block=1, epochs=epochs).fit(
            [points], [noisy]
        )
        energy = np.asarray(surface.energy(points[:4000].astype(np.float32)))
        exact = -2.0 * np.cos(steps[:4000]).sum(axis=1)
        away = float(np.std(energy - exact) / exact.std())
        yield Row(
            f"mean forces with noise of 1, seed {seed}: error of the energy",
            away,
            "spreads",
            None,
            "<= 0.1",
            away <= 0.1,
        )


def ways(quick: bool) -> Iterator[Row]:
    """Minima, saddles, the path and the graph of Müller and Brown's surface, learned from frames of it."""
    potential, kT, generator = MullerBrown(scale=10.0), 1.0, np.random.default_rng(0)
    lower, upper = np.array(potential.domain).T
    points = generator.uniform(lower, upper, (400_000 if quick else 4_000_000, 2))
    energy = np.asarray(potential.energy(points.T))
    # samples hotter than the surface, weighted back to it
    hot = 3.0
    kept = generator.random(len(points)) < np.exp(-(energy - energy.min()) / hot)
    frames, logs = points[kept], -(energy[kept] / kT - energy[kept] / hot)
    epochs, members = (5, 2) if quick else (60, 3)
    surface = DensityClassifier(kT=kT, periods=(None, None), block=1, epochs=epochs, members=members).fit(
        [frames], [logs]
    )
    exact = stationary_points(potential)
    minima, saddles = exact.of_order(0), exact.of_order(1)
    graph = disconnectivity_graph(surface, frames[:: max(1, len(frames) // 100)], highest=12.0)
    low = saddles.energies[:2] - minima.energies[0]
    yield Row(
        "Müller-Brown V/10 from frames at 3 kT: minima found",
        float(len(graph.minima)),
        "",
        None,
        "3",
        len(graph.minima) == 3,
    )
    if len(graph.minima) < 2:
        return
    height = graph.barrier(0, 1) - graph.minima.energies[0]
    yield Row(
        "barrier between the deep minima",
        float(height),
        "kT",
        None,
        f"{low[1]:.2f} ± 0.5",
        abs(height - low[1]) < 0.5,
    )
    path = minimum_path(surface, graph.minima.positions[0], graph.minima.positions[1])
    away = np.linalg.norm(path.images[:, None] - minima.positions, axis=2).min(axis=0).max()
    yield Row(
        "minimum path: largest distance from one of the three minima",
        float(away),
        "",
        None,
        "<= 0.1",
        away <= 0.1,
    )


def _error(logs: np.ndarray) -> float:
    """Standard error of a mean over runs left out."""
    runs = [each.mean() for each in np.array_split(logs, TESTED)]
    return float(np.std(runs, ddof=1) / np.sqrt(TESTED))


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each a table of its own."""
    every = {"four-torsions": four_torsions, "mean-forces": mean_forces, "ways": ways}
    return {name: partial(work, quick) for name, work in every.items()}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """All parts."""
    for part in parts(data, quick).values():
        yield from part()
