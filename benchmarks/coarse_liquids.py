"""Coarse-grained liquids: what a step costs, and methanol at one site, judged by its structure and pressure.

A difference of ``g`` is the root mean square over distances up to 1 nm, beside that of the halves of the reference.
Every judged run starts anew from a frame of the reference with a seed that no fit has used; spreads are over such runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ase.io import read

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.iterative_inversion import IterativeBoltzmannInversion, virial_pressure
from thalweg.coarse_graining.fitting.relative_entropy import RelativeEntropy
from thalweg.coarse_graining.interactions.functions import BSplines
from thalweg.coarse_graining.interactions.interaction import PairInteraction
from thalweg.coarse_graining.judgement.distributions import (
    bead_radial_distribution,
)
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.report.benchmark import Row
from thalweg.systems.state import thermal_state
from thalweg.units import ANGSTROM, BOLTZMANN, KILOCALORIE

BINS = 50
"""Of radial distributions, up to 1 nm."""

SEEDS = range(2)
"""Of the runs that judge a model."""

FITS = CoarseDynamics(length=10.0, dt=0.01, friction=2.0, save_every=0.1, skip=0.25)
JUDGED = CoarseDynamics(length=16.0, dt=0.01, friction=2.0, save_every=0.25, skip=0.25)


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes fewer frames, shorter runs and one seed."""
    folder = data / "coarse_graining" / "methanol_mscg"
    return {
        "speed": lambda: speed(quick),
        "methanol/inversion": lambda: methanol(folder, "iterative Boltzmann inversion", quick),
        "methanol/entropy": lambda: methanol(folder, "relative entropy", quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def speed(quick: bool) -> Iterator[Row]:
    """Steps of one-site beads at the density of methanol, cutoff 1 nm."""
    for cells in (8,) if quick else (8, 16):
        count, spacing = cells**3, 14.1 ** (-1 / 3)
        pairs = PairInteraction(BSplines(0.25, 1.0, 14, True), 1.0, np.ones(count, int))
        r = np.linspace(0.25, 1.0, 200)
        wanted = np.minimum(4 * ((0.3 / r) ** 12 - (0.3 / r) ** 6), 40.0)
        c = np.linalg.lstsq(pairs.functions.design(r)[0].T, wanted, rcond=None)[0]
        grid = np.stack(np.meshgrid(*3 * [np.arange(cells)], indexing="ij"), -1).reshape(-1, 3)
        masses = np.full(count, 32.0)
        engine = NativeEngine.for_potential(
            pairs.energy(c, count), masses, Langevin(kT=2.5, dt=0.005, friction=2.0)
        )
        x = jnp.asarray((grid + 0.5) * spacing, jnp.float32)[..., None]
        box = jnp.asarray(np.eye(3) * cells * spacing, jnp.float32)
        run = engine.run(
            thermal_state(x, masses, 2.5, jax.random.key(0), box), 100 if quick else 300, save_every=100
        )
        steps = 100 if quick else 500
        began = time.process_time()
        engine.run(run.state, steps, save_every=100)
        spent = time.process_time() - began
        yield Row(f"{count:,} one-site beads, cutoff 1 nm", steps / spent, "steps/s of processor time")


def methanol(folder: Path, way: str, quick: bool) -> Iterator[Row]:
    """One site of methanol from the 20 frames of MS-CG's example, at 1 bar."""
    if not folder.is_dir():
        yield Row("methanol", None, "", target="data are not here; see `thalweg bench --help`")
        return
    frames = _methanol(folder / "MeOH_example.dat.gz")
    pairs = PairInteraction(BSplines(0.26, 1.0, 18, True), 1.0, np.ones(frames.positions.shape[1], int))
    half = len(frames) // 2
    halves = _difference(pairs, frames[:half], frames[half:])
    began = time.process_time()
    fit, judged = (replace(one, length=1.0) if quick else one for one in (FITS, JUDGED))
    if way == "relative entropy":
        start = ForceMatching((pairs,)).fit(frames).coefficients
        model = RelativeEntropy(
            (pairs,),
            start=start,
            dynamics=fit,
            rounds=1 if quick else 7,
            least_effective=0.0,
            longest_step=20.0,
            pressure=1.0,
        ).fit(frames)
    else:
        model = IterativeBoltzmannInversion(
            pairs,
            fit,
            rounds=1 if quick else 8,
            damping=1.0,
            settled=halves / 2,
            pressure=1.0,
            bins=BINS,
        ).fit(frames)
    spent = time.process_time() - began
    found, bars = [], []
    for seed in SEEDS:
        drawn = judged.run(model.energy(), frames, seed=1000 + seed)
        found.append(_difference(pairs, frames, drawn))
        bars.append(virial_pressure(pairs, model.coefficients, drawn))
    name = f"methanol, one site, {way}"
    value, bar = float(np.mean(found)), float(np.mean(bars))
    yield Row(
        f"{name}: difference of g", value, "", _error(found), "<= that of halves", value <= halves,
        "halves of the reference", halves,
    )  # fmt: skip
    met = max(abs(each - 1.0) for each in bars) <= 50
    yield Row(f"{name}: pressure", bar, "bar", _error(bars), "within 50 of 1, each seed", met)
    yield Row(f"{name}: processor time of the fit", spent, "s")


def _methanol(file: Path) -> BeadFrames:
    """20 frames of 1,000 molecules with forces, 300 K."""
    images = read(file, index=":", format="lammps-dump-text")
    scale = KILOCALORIE / ANGSTROM
    x = np.stack([image.get_positions() for image in images]) * ANGSTROM
    f = np.stack([image.get_forces() for image in images]) * scale
    boxes = np.stack([np.asarray(image.cell) for image in images]) * ANGSTROM
    n = x.shape[1]
    return BeadFrames(
        x, BOLTZMANN * 300, f, boxes, kinds=np.ones(n, int), masses=np.full(n, 32.042), molecules=np.arange(n)
    )


def _difference(pairs: PairInteraction, one: BeadFrames, other: BeadFrames) -> float:
    """Root mean square difference of two radial distributions."""
    a, b = (bead_radial_distribution(pairs, frames, BINS)[1] for frames in (one, other))
    return float(np.sqrt(np.mean((a - b) ** 2)))


def _error(values: list[float]) -> float | None:
    return None if len(values) < 2 else float(np.std(values, ddof=1) / np.sqrt(len(values)))
