"""Runs that learn as they go: ethanol at 500 K with GFN2-xTB asked, silicon that melts with Stillinger and Weber's.

A run starts from one structure and nothing known. Judged are whether it lasts, how many labels it buys for each step,
how much the energy jumps where it learns, and what the model that it leaves is worth: forces on an independent run of
the truth, whether it lasts by itself, and the radial distribution of the melt beside that of the truth, whose own
spread is that of two halves of its run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import ase.build
import numpy as np

from thalweg.dynamics.stability import Stability, stability
from thalweg.interop.files.configurations import from_atoms
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.dynamics import dynamics_frames
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.known_potential import KnownPotential
from thalweg.labeling.level import Level
from thalweg.learned_potentials.frames.errors import errors
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.term import Term
from thalweg.report.benchmark import Row
from thalweg.representations.expansions.ace import ACE
from thalweg.sampling.policies.label_frames import label
from thalweg.sampling.policies.on_the_fly import OnTheFlyRun, learn_on_the_fly
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.fly import OnTheFly
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

MEV_PER_ANGSTROM, MEV = unit("meV/Å", "force"), unit("meV", "energy")

ETHANOL = OnTheFly(
    (500.0,), recipe=Recipe(Linear(ACE(cutoff=0.4, levels=(8, 7, 6)))), tolerance=150 * MEV_PER_ANGSTROM
)

MELTING = (1000.0, 3500.0, 2000.0)
"""Of the bath of silicon [K]: solid, above where a crystal without defects gives way, and a melt that is not hot."""

SILICON = OnTheFly(
    MELTING,
    dt=0.002,
    look_every=0.02,
    check_every=1.0,
    save_every=0.1,
    recipe=Recipe(Linear(ACE(cutoff=0.5, levels=(10, 8, 6)))),
)

BINS = np.linspace(0.18, 0.54, 73)
"""Of distances in the melt [nm]; the cell is 1.086 nm wide."""

MELT = 10.0
"""Last part of a run in which the melt is looked at [ps]."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Ethanol and silicon; ``quick`` takes a fiftieth of the time and eight atoms."""
    del data
    return {"ethanol": partial(ethanol, quick), "silicon": partial(silicon, quick)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def ethanol(quick: bool, seed: int = 1) -> Iterator[Row]:
    """Ethanol at 500 K, with GFN2-xTB asked."""
    level = TightBinding()
    start = nearest_minimum(conformers("CCO")[0], level)
    settings = _shortened(ETHANOL, seed) if quick else _seeded(ETHANOL, seed)
    run, seconds = _run(start, level, settings)
    yield from _of_run("ethanol, 500 K, GFN2-xTB", run, seconds)
    apart = dynamics_frames(start, level, 20 if quick else 200, 500.0, every=0.02, begin=1.0, seed=100 + seed)
    yield from _of_model("ethanol, 500 K, GFN2-xTB", run, _labeled(apart, level))
    length = 0.5 if quick else 50.0
    lasts = stability(run.potential, start, Stability(500.0, length, 5e-4, (5e-4,), length / 25, replicas=2))
    yield _lasting("ethanol, 500 K, the model alone, two copies", lasts.time_of_failure, length)


def silicon(quick: bool, seed: int = 1) -> Iterator[Row]:
    """Silicon heated until it melts, with Stillinger and Weber's potential asked."""
    truth = stillinger_weber_silicon()
    level = KnownPotential(truth, "Stillinger-Weber")
    start = from_atoms(ase.build.bulk("Si", cubic=True).repeat((1 if quick else 2,) * 3))
    settings = _shortened(SILICON, seed) if quick else _seeded(SILICON, seed)
    run, seconds = _run(start, level, settings)
    yield from _of_run(f"silicon, {len(start)} atoms", run, seconds)
    made = _melted(start, truth, settings, 200 + 10 * seed)
    yield from _of_model(f"silicon, {len(start)} atoms, the melt", run, _labeled(made[-200::4], level))
    if quick:
        return
    last = round(MELT / settings.save_every)
    ours, theirs = run.frames[-last:], made[-last:]
    found, true = radial_distribution(ours), radial_distribution(theirs)
    halves = [radial_distribution(theirs[half]) for half in (slice(None, last // 2), slice(last // 2, None))]
    off, spread = (float(np.abs(a - b).mean()) for a, b in ((found, true), halves))
    name = f"silicon, {len(start)} atoms, radial distribution of the melt"
    yield Row(f"{name}: mean difference from the truth", off, "", target="<= 0.05", met=off <= 0.05)
    yield Row(f"{name}: mean difference of halves of the truth's run", spread, "")
    places = [float(0.5 * (BINS[k] + BINS[k + 1])) for k in (found.argmax(), true.argmax())]
    yield Row(
        f"{name}: place of the first peak", 10 * places[0], "Å", peer="truth", peer_value=10 * places[1]
    )
    yield Row(
        f"{name}: height of the first peak",
        float(found.max()),
        "",
        peer="truth",
        peer_value=float(true.max()),
    )


def _melted(start: Configuration, truth: Term, settings: OnTheFly, seed: int) -> list[Configuration]:
    """Frames along the same temperatures by the truth, with other noise."""
    made, share = [start], settings.duration / len(settings.temperatures)
    for stage, kelvin in enumerate(settings.temperatures):
        count = max(2, int(share / settings.save_every))
        made += dynamics_frames(
            made[-1], truth, count, kelvin, settings.save_every, 0.0, settings.dt, seed + stage
        )
    return made


def radial_distribution(frames: Sequence[Configuration]) -> np.ndarray:
    """``g(r)`` of atoms in an orthogonal cell, averaged over ``frames``, in `BINS`."""
    counts = np.zeros(len(BINS) - 1)
    for frame in frames:
        edges = np.diagonal(frame.box)
        apart = frame.positions[:, None] - frame.positions[None]
        distances = np.linalg.norm(apart - edges * np.round(apart / edges), axis=-1)
        counts += np.histogram(distances[np.triu_indices(len(frame), 1)], BINS)[0]
    atoms, volume = len(frames[0]), frames[0].volume
    shells = 4 / 3 * np.pi * np.diff(BINS**3)
    return counts / len(frames) / (0.5 * atoms * (atoms - 1) * shells / volume)


def _seeded(settings: OnTheFly, seed: int) -> OnTheFly:
    return replace(settings, seed=seed)


def _shortened(settings: OnTheFly, seed: int) -> OnTheFly:
    return replace(settings, duration=settings.duration / 50, legs=2, seed=seed)


def _run(start: Configuration, level: Level, settings: OnTheFly) -> tuple[OnTheFlyRun, float]:
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = learn_on_the_fly(start, level, Store(folder), settings)
    return run, time.process_time() - began


def _labeled(frames: Sequence[Configuration], level: Level) -> list[Configuration]:
    with tempfile.TemporaryDirectory() as folder:
        return label(frames, level, Store(folder)).frames


def _of_run(name: str, run: OnTheFlyRun, seconds: float) -> Iterator[Row]:
    """How long it lasted, what it bought and how the energy jumped."""
    settings = run.plan.settings
    yield _lasting(
        name, run.calls[-1].time if not len(run.times) else float(run.times[-1]), settings.duration
    )
    share = 100 * run.share
    yield Row(f"{name}: calls, of {settings.steps} steps", share, "%", target="< 3 %", met=share < 3)
    for why in ("start", "unsure", "check", "broken"):
        yield Row(f"{name}: calls, {why}", float(sum(call.why == why for call in run.calls)), "")
    half = [call for call in run.calls if call.time > settings.duration / 2]
    yield Row(f"{name}: calls in the second half, unsure", float(sum(c.why == "unsure" for c in half)), "")
    jumps = np.array([call.jump for call in run.calls if np.isfinite(call.jump)])
    atoms = len(run.plan.start)
    yield Row(
        f"{name}: jump of the energy for each atom, RMS",
        float(np.sqrt(np.mean(jumps**2))) / atoms / MEV,
        "meV",
    )
    yield Row(
        f"{name}: worst atom at checks, median error",
        float(np.median(run.checks)) / MEV_PER_ANGSTROM,
        "meV/Å",
    )
    missed = float(np.mean(run.checks > max(run.limit, settings.tolerance)))
    yield Row(f"{name}: checks with more error than was allowed", 100 * missed, "%")
    yield Row(f"{name}: the whole run", seconds, "CPU s")


def _of_model(name: str, run: OnTheFlyRun, frames: Sequence[Configuration]) -> Iterator[Row]:
    found = errors(run.potential, frames)
    yield Row(
        f"{name}: forces on an independent run of the truth, MAE",
        found.forces.mae / MEV_PER_ANGSTROM,
        "meV/Å",
    )


def _lasting(name: str, lasted: float, wanted: float) -> Row:
    lasted = min(lasted, wanted)
    return Row(f"{name}: lasts", lasted, "ps", target=f"{wanted:g} ps", met=bool(lasted >= wanted - 0.11))
