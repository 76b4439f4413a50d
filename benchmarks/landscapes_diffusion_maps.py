"""Diffusion maps: exact spectra from equilibrium and from hotter frames, committors, frames in no order, speed, memory.

Frames are drawn exactly from model potentials whose spectra are exact (`thalweg.testsystems.Generator`), all settings
are the defaults. ``z`` is the difference from the exact answer in standard errors that the map itself claims; hotter
frames carry the weights that undo their temperature. ``exact functions`` is what is left where the eigenfunctions are
known and only their mean square gradients are averaged over the same frames: chance alone.
"""

from __future__ import annotations

import importlib.util
import resource
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from scipy.sparse import diags_array
from scipy.sparse.linalg import eigsh

from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.collective_variables.linear.vac import VAC
from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap
from thalweg.kinetics.artificial_dynamics import artificial_dynamics
from thalweg.kinetics.reactions.committor import committor
from thalweg.report.benchmark import Row
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.wells import PrinzPotential, QuadrupleWell
from thalweg.time_series.trajectories import Trajectories

MULLER_BROWN = ((-2.0, 1.6), (-0.9, 2.5))
SYSTEMS = {
    "quadruple well": (partial(Generator, QuadrupleWell(), ((-2.0, 2.0),) * 2, (160, 160)), 0.25, 0.5, 3),
    "Prinz": (partial(Generator, PrinzPotential(), ((-1.25, 1.25),), 800), 1.0, 2.0, 3),
    "Müller-Brown / 20": (partial(Generator, MullerBrown(20.0), MULLER_BROWN, (200, 200)), 1.0, 2.0, 2),
    "Müller-Brown / 15": (partial(Generator, MullerBrown(15.0), MULLER_BROWN, (200, 200)), 1.0, 2.0, 2),
}
"""Generator for a temperature, kT, kT of hotter frames, processes asked for."""

FRAMES = 5000
SEEDS = 3
PEER, PATIENCE = "pydiffmap", 60
RUNS = {
    "Prinz": (1e-3, 20, 3),
    "quadruple well": (2e-3, 500, 3),
    "Müller-Brown / 20": (5e-4, 200, 1),
}
"""Systems walked in: time step, steps between frames (two of these are the lag, below the last time scale that is
compared), functions compared."""

CELLS = 150
"""Cells of the basis of the ordered frames."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes Prinz's potential and few frames."""
    names = ["Prinz"] if quick else list(SYSTEMS)
    return (
        {f"spectrum/{name}": partial(spectra, name, quick) for name in names}
        | {"committor": partial(committors, quick)}
        | {f"without order/{name}": partial(without_order, name, quick) for name in names if name in RUNS}
        | {
            "without order/peptide": partial(peptide_without_order, quick),
            "speed": partial(speed, quick),
            "many frames": partial(many_frames, quick),
            "streamed": partial(streamed, quick),
        }
    )


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def drawn(generator: Generator, frames: int, seed: int) -> np.ndarray:
    """Frames ``(frames, dims)`` of the stationary distribution, independent."""
    random = np.random.default_rng(seed)
    cells = random.choice(generator.size, frames, p=generator.stationary_distribution)
    points = generator.points.T[cells]
    return points + generator.grid.spacing * (random.random(points.shape) - 0.5)


def weighted(generator: Generator, hotter: Generator, frames: int, seed: int) -> Trajectories:
    """Frames of a hotter system with the weights that undo its temperature."""
    x = drawn(hotter, frames, seed)
    energy = np.asarray(generator.potential.energy(x.T))
    return Trajectories([x], weights=[np.exp(-(1 / generator.kT - 1 / hotter.kT) * (energy - energy.min()))])


def spectra(name: str, quick: bool) -> Iterator[Row]:
    """Slow rates by default settings."""
    make, kT, hot, count = SYSTEMS[name]
    generator, hotter = (make(kT=temperature, diffusion=kT) for temperature in (kT, hot))
    exact = generator.spectrum(count + 1)[0][1:]
    frames = 1500 if quick else FRAMES
    for kind in ("equilibrium", f"kT = {hot:g}"):
        found, claimed = [], []
        for seed in range(SEEDS):
            same = kind == "equilibrium"
            data = drawn(generator, frames, seed) if same else weighted(generator, hotter, frames, seed)
            estimate = DiffusionMap(dim=count, diffusion=kT).fit(data).rate_errors(samples=20)
            found.append(estimate.value)
            claimed.append(estimate.error)
        z = (np.array(found) - exact) / np.array(claimed)
        for k in range(count):
            yield Row(
                f"{name}, {frames} frames, {kind}: rate {k + 1}, mean of {SEEDS} (z = "
                + ", ".join(f"{each:+.1f}" for each in z[:, k])
                + ")",
                float(np.mean(found, axis=0)[k]),
                "1/ps",
                float(np.median(claimed, axis=0)[k]),
                f"{exact[k]:.4g} within 2 errors",
                bool((np.abs(z[:, k]) < 2).all()),
            )


def committors(quick: bool) -> Iterator[Row]:
    """The committor of Müller-Brown / 20 from hotter frames, by the walk of the map."""
    make, kT, hot, _ = SYSTEMS["Müller-Brown / 20"]
    generator, hotter = make(kT=kT), make(kT=hot)
    in_a, in_b = (
        lambda x, c=c: np.hypot(x[0] - c[0], x[1] - c[1]) < 0.1 for c in ((-0.558, 1.442), (0.623, 0.028))
    )
    exact = generator.committor(in_a, in_b)
    frames = 1000 if quick else 3000
    for seed in range(SEEDS):
        model = DiffusionMap(dim=1, diffusion=1.0).fit(weighted(generator, hotter, frames, seed))
        x = model.points.T
        chain = artificial_dynamics(model)
        q = committor(chain, np.flatnonzero(in_a(x)), np.flatnonzero(in_b(x)))
        truth = generator.interpolated(exact, model.points)
        weights = model.weights / model.weights.sum()
        near = np.hypot(x[0] + 0.05, x[1] - 0.467) < 0.1
        label = f"Müller-Brown / 20, {frames} frames at kT = {hot:g}, seed {seed}"
        error = float(np.sqrt(weights @ (q - truth) ** 2))
        yield Row(
            f"{label}: committor, root mean square error in equilibrium",
            error,
            "",
            0.0,
            "<= 0.05",
            error <= 0.05,
        )
        if near.any():
            value, wanted = float(q[near].mean()), float(truth[near].mean())
            yield Row(
                f"{label}: committor within 0.1 of (-0.05, 0.467), exact {wanted:.3f}",
                value,
                "",
                float(q[near].std() / near.sum() ** 0.5),
                "within 0.05",
                abs(value - wanted) <= 0.05,
            )


def ten_dimensions(frames: int, seed: int) -> np.ndarray:
    """Müller-Brown / 20 with eight narrow harmonic dimensions."""
    x = drawn(SYSTEMS["Müller-Brown / 20"][0](kT=1.0), frames, seed)
    return np.concatenate([x, 0.3 * np.random.default_rng(seed).standard_normal((frames, 8))], axis=1)


def without_order(name: str, quick: bool) -> Iterator[Row]:
    """Slow functions of frames in no order, beside those of the same frames in order and the exact ones."""
    make, kT, _, count = SYSTEMS[name]
    step, every, processes = RUNS[name]
    generator = make(kT=kT, diffusion=kT)
    functions = generator.spectrum(count + 1)[1][1 : processes + 1]
    for seed in range(1 if quick else SEEDS):
        runs = _walks(generator, step, every, seed)
        frames = np.concatenate(runs)
        exact = np.stack([generator.interpolated(each, frames) for each in functions], axis=1)
        yield from _compared(f"{name}, seed {seed}", *_both(runs, frames, processes, 2, seed), exact)


def peptide_without_order(quick: bool) -> Iterator[Row]:
    """The same on alanine dipeptide in vacuum at 500 K, from sines and cosines of phi and psi."""
    from landscapes_states import simulated

    from thalweg.geometry.torsions import backbone_dihedrals
    from thalweg.geometry.variables import Dihedrals
    from thalweg.interop.openmm.molecules import alanine_dipeptide

    for seed in range(1 if quick else SEEDS):
        positions, topology = simulated(alanine_dipeptide(), seed, 500.0, 40 if quick else 200, 16)
        found = backbone_dihedrals(topology)
        angles = Dihedrals(np.concatenate([found["phi"], found["psi"]]), topology)
        runs = []
        for run in positions:
            values = np.asarray(angles(np.moveaxis(run, 0, -1).astype(np.float32)), float).T
            runs.append(np.concatenate([np.cos(values), np.sin(values)], axis=1))
        frames = np.concatenate(runs)
        yield from _compared(f"alanine dipeptide, 500 K, seed {seed}", *_both(runs, frames, 1, 1, seed))


def _both(
    runs: list[np.ndarray], frames: np.ndarray, count: int, lagtime: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Slow functions ``(frames, count)`` at the frames: of a map of these shuffled, and of pairs in order, in cells."""
    random = np.random.default_rng(seed)
    shuffled = random.permutation(frames)
    mapped = DiffusionMap(dim=count).fit(shuffled).transform(frames)
    cells = Indicators(shuffled[:CELLS])
    return mapped, VAC(lagtime=lagtime, dim=count, basis=cells).fit(runs).transform(frames)


def _compared(
    label: str, mapped: np.ndarray, ordered: np.ndarray, exact: np.ndarray | None = None
) -> Iterator[Row]:
    """How much of functions is in the space of others: the least canonical correlation."""
    number = f"slowest {mapped.shape[1]}" if mapped.shape[1] > 1 else "slowest function"
    least = _least_correlation(mapped, ordered)
    yield Row(
        f"{label}: {number}, without order and in order", least, "correlation", None, ">= 0.9", least >= 0.9
    )
    if exact is None:
        return
    least, other = _least_correlation(mapped, exact), _least_correlation(ordered, exact)
    yield Row(f"{label}: {number}, in order and exact", other, "correlation")
    yield Row(
        f"{label}: {number}, without order and exact",
        least,
        "correlation",
        None,
        ">= that in order, or 0.98",
        least >= min(other, 0.98),
    )


def _least_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """The least canonical correlation of two sets of functions at the same frames."""
    x, y = (np.linalg.qr(each - each.mean(axis=0))[0] for each in (x, y))
    return float(np.linalg.svd(x.T @ y)[1].min())


def _walks(generator: Generator, step: float, every: int, seed: int) -> list[np.ndarray]:
    """Runs ``(100, dims)`` of overdamped dynamics, begun in equilibrium."""
    x, random = drawn(generator, 60, seed).T, np.random.default_rng(1000 + seed)
    kept = []
    for k in range(100 * every):
        drift = np.asarray(generator.potential.gradient(x))
        x = x - step * drift + np.sqrt(2 * generator.kT * step) * random.standard_normal(x.shape)
        if (k + 1) % every == 0:
            kept.append(x)
    return list(np.stack(kept).transpose(2, 0, 1))


def speed(quick: bool) -> Iterator[Row]:
    """Processor time of one map in ten dimensions, beside the peer's in the same process where it is installed."""
    x = ten_dimensions(2000 if quick else 50_000, 0)
    start = time.process_time()
    model = DiffusionMap(dim=4, neighbors=64).fit(x)
    own = time.process_time() - start
    label = f"{len(x)} points in 10 D"
    yield Row(f"{label}, 64 neighbors", own, "CPU s")
    walk = model.walk
    waits, root = np.asarray(walk.flow.sum(axis=1)).ravel() / walk.mass, np.sqrt(walk.mass)
    laplacian = diags_array(waits) - diags_array(1 / root) @ walk.flow @ diags_array(1 / root)
    slowest = np.sort(eigsh(laplacian, 2, which="SA", tol=1e-8, ncv=40, v0=root)[0])[1]
    off = abs(model.eigenvalues[0] / slowest - 1)
    yield Row(
        f"{label}: slowest eigenvalue, from Lanczos' on the same graph", off, "", None, "<= 1e-3", off <= 1e-3
    )
    if importlib.util.find_spec(PEER) is None:
        return
    from pydiffmap.diffusion_map import DiffusionMap as Peer

    peer = Peer.from_sklearn(n_evecs=4, k=64, epsilon="bgh", alpha=0.5)
    start = time.process_time()
    peer.construct_Lmat(x)
    ratio = (time.process_time() - start) / own
    yield Row(f"{label}: time of {PEER} for its matrix alone, over ours for all", ratio, "", None, "")
    with _limited(PATIENCE) as limit:
        peer._make_diffusion_coords(peer.L)
    ratio = (time.process_time() - start) / own
    told = f"time of {PEER} over ours" + (
        f", ended after {PATIENCE} CPU s without eigenvalues" * limit.reached
    )
    yield Row(f"{label}: {told}", ratio, "", None, ">= 8", ratio >= 8)


class _limited:
    """A block that ends after so many seconds of processor time."""

    def __init__(self, seconds: int):
        self.seconds, self.reached = seconds, False

    def __enter__(self) -> _limited:
        signal.signal(signal.SIGPROF, self._ended)
        signal.setitimer(signal.ITIMER_PROF, self.seconds)
        return self

    def __exit__(self, kind: type | None, *rest: object) -> bool:
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.reached = kind is TimeoutError
        return self.reached

    def _ended(self, *_: object) -> None:
        raise TimeoutError


def many_frames(quick: bool) -> Iterator[Row]:
    """A hundred thousand points: time and memory."""
    x = ten_dimensions(5000 if quick else 100_000, 1)
    start = time.process_time()
    DiffusionMap(dim=4, neighbors=64).fit(x)
    spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    yield Row(f"{len(x)} points in 10 D, 64 neighbors", spent, "CPU s", None, "<= 300", spent <= 300)
    yield Row(f"{len(x)} points in 10 D: peak memory of the process", peak, "GB", None, "<= 4", peak <= 4)


def streamed(quick: bool) -> Iterator[Row]:
    """A million frames read in chunks: landmarks, the map, and its extension to all of them."""
    generator = SYSTEMS["Müller-Brown / 20"][0](kT=1.0)
    count = 4 if quick else 40
    blocks = [_Drawn(generator, 5000 if quick else 25_000, seed) for seed in range(count)]
    data = Trajectories(blocks)
    start = time.process_time()
    model = DiffusionMap(dim=2, diffusion=1.0, max_frames=10_000).fit(data)
    fitted = time.process_time() - start
    frames, mean = 0, np.zeros(2)
    for _, _, chunk in data.chunks():
        mean += model(chunk).sum(axis=0)
        frames += len(chunk)
    spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    exact = generator.spectrum(2)[0][1]
    yield Row(
        f"{frames} frames streamed: map of {len(model.points)} landmarks", fitted, "CPU s", None, "", None
    )
    yield Row(f"{frames} frames streamed: map and extension", spent, "CPU s", None, "minutes", spent < 1200)
    yield Row(f"{frames} frames streamed: peak memory of the process", peak, "GB", None, "<= 4", peak <= 4)
    rate = float(model.rates[0])
    yield Row(
        f"{frames} frames streamed: slowest rate",
        rate,
        "1/ps",
        0.0,
        f"{exact:.4g}",
        abs(rate / exact - 1) < 0.1,
    )


class _Drawn:
    """A trajectory drawn anew each time it is read."""

    def __init__(self, generator: Generator, frames: int, seed: int):
        self.generator, self.seed, self.shape = generator, seed, (frames, generator.potential.dims)

    def __iter__(self) -> Iterator[np.ndarray]:
        yield drawn(self.generator, self.shape[0], self.seed)
