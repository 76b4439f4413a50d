"""Do coarse models keep the dynamics? How much faster each slow process of five beads of alanine dipeptide is.

The published frames are in order of time, but how far apart they are is not published with them: there, times of the
reference and factors are in frames. Whether one factor fits all processes does not ask for that. Models are of least
relative entropy, with the coupling of both torsions, and run with a friction of 5 per picosecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import coarse_graining
import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.judgement.comparison import compare_surfaces
from thalweg.coarse_graining.judgement.dynamics import compare_dynamics
from thalweg.coarse_graining.mapping import BeadMapping
from thalweg.coarse_graining.reference import AtomicDynamics
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.kinetics.validation.acceleration import TimescaleComparison, TimescaleRatios
from thalweg.report.benchmark import Row
from thalweg.units import BOLTZMANN

DYNAMICS = CoarseDynamics(length=400.0, replicas=32, save_every=0.1, skip=0.05)
ATOMS = AtomicDynamics(length=800.0, dt=0.004, friction=1.0, replicas=16, save_every=0.1, skip=0.05)
SEEDS = range(2)
PROCESSES = ("phi", "psi")


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes short runs and one seed."""
    return {"published": lambda: published(data, quick), "simulated": lambda: simulated(quick)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def published(data: Path, quick: bool) -> Iterator[Row]:
    """The published 10,000 frames at 300 K in water."""
    frames = coarse_graining._alanine(data)
    if frames is None:
        yield Row("coarse dynamics", None, "", target="data are not here; see `thalweg bench --help`")
        return
    seeds = [0] if quick else SEEDS
    found = [_compared(frames, 1.0, 3.0, seed, quick) for seed in seeds]
    yield from _told("alanine, published frames at 300 K", found, "frames", "frames/ps")


def simulated(quick: bool) -> Iterator[Row]:
    """Atoms in implicit water at 600 K, where both torsions turn often; each seed with its own reference."""
    kT = BOLTZMANN * 600
    system = alanine_dipeptide("obc2", hydrogen_mass=3.0)
    backbone = [k for k, name in enumerate(system.topology.names) if name in ("C", "N", "CA")][:5]
    mapping = BeadMapping.slices(backbone, system.masses, names=("C", "N", "CA", "C", "N"))
    atoms = replace(ATOMS, length=100.0) if quick else ATOMS
    found = []
    for seed in [0] if quick else SEEDS:
        frames = atoms.run(system, kT, seed=seed).on_beads(mapping)
        found.append(_compared(frames, atoms.save_every, 0.4, seed, quick))
    yield from _told("alanine, simulated at 600 K", found, "ps", "")


def _compared(
    frames: BeadFrames, dt: float, lag: float, seed: int, quick: bool
) -> tuple[TimescaleComparison, float]:
    """Time scales of both, and the divergence of the surface."""
    dynamics = replace(DYNAMICS, length=20.0) if quick else DYNAMICS
    few = frames[:: max(1, len(frames) // 10_000)]
    drawn = dynamics.run(coarse_graining._entropy(few, 3, quick=False).energy(), few, seed=seed)
    ratios = TimescaleRatios(lag=lag, processes=len(PROCESSES), states=60, samples=100, seed=seed)
    found = compare_dynamics(coarse_graining.SURFACE, frames, drawn, (dt, dynamics.save_every), ratios)
    return found, compare_surfaces(coarse_graining.SURFACE, frames, drawn).divergence


def _told(name: str, found: list[tuple[TimescaleComparison, float]], unit: str, per: str) -> Iterator[Row]:
    """A row for each time scale and factor, each seed with its own error; why where there is none."""
    for seed, (each, divergence) in enumerate(found):
        of = f"{name}, seed {seed}"
        yield Row(f"{of}: divergence of the surface", divergence, "nat")
        for k, process in enumerate(PROCESSES):
            yield Row(
                f"{of}: {process}, time scale of the reference",
                *_number(each.reference[k], each.reference_errors[k], unit),
            )
            yield Row(
                f"{of}: {process}, time scale of the model",
                *_number(each.model[k], each.model_errors[k], "ps"),
            )
            factor = each.factors[k]
            if each.shortcomings[k]:
                yield Row(f"{of}: {process}, acceleration", None, per, target=f"none: {each.shortcomings[k]}")
            else:
                yield Row(
                    f"{of}: {process}, acceleration", float(factor), per, float(factor * each.log_errors[k])
                )
        if each.one_factor is None:
            yield Row(
                f"{of}: one factor for all", None, "", target="cannot be told: fewer than two are resolved"
            )
        else:
            yield Row(f"{of}: chi-square of one factor for all", each.chi_square, "")
            yield Row(
                f"{of}: probability of so much or more",
                each.probability,
                "",
                target="> 0.05",
                met=each.one_factor,
            )
    factors = np.array([each.factors for each, _ in found])
    if len(found) > 1:
        for k, process in enumerate(PROCESSES):
            if np.isfinite(factors[:, k]).all():
                spread = float(np.std(factors[:, k], ddof=1) / np.sqrt(len(found)))
                yield Row(
                    f"{name}, {process}: acceleration, mean over seeds",
                    float(factors[:, k].mean()),
                    per,
                    spread,
                )


def _number(value: float, error: float, unit: str) -> tuple[float | None, str, float | None]:
    known = bool(np.isfinite(value))
    return (float(value) if known else None), unit, float(error) if known and np.isfinite(error) else None
