"""Learning curves of frames chosen by each rule, beside those of frames drawn at random.

The teacher is GFN2-xTB, so that labels are cheap and made here; the pool is dynamics of one molecule at 500 K. Every
curve begins with the same 50 random frames and goes on by batches that a rule chooses with the potential of the last;
errors are of forces, on frames of another run. Each seed has dynamics, first frames and draws of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.choice import (
    ChoiceRule,
    FarthestFrames,
    FarthestFromData,
    LargestGrade,
    LargestSpread,
    RandomFrames,
    choose_frames,
)
from thalweg.labeling.geometries.dynamics import dynamics_frames
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.report.benchmark import Row
from thalweg.sampling.policies.label_frames import label
from thalweg.sampling.store import Store
from thalweg.studies.tables.fit_study import usual_learner
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

MOLECULES = {"ethanol": "CCO", "aspirin": "CC(=O)Oc1ccccc1C(=O)O"}

SIZES = (50, 100, 200, 300, 500)
"""Labels after each batch."""

ALL = 1000
"""Random frames whose error is to be reached with fewer."""

POOL, TEST, EVERY = 2000, 400, 0.01
"""Frames to choose from and to judge by, and the time between them [ps]."""

SEEDS = (1, 2, 3)

RULES: dict[str, ChoiceRule] = {
    "random": RandomFrames(),
    "spread": LargestSpread(),
    "grade": LargestGrade(),
    "farthest frames": FarthestFrames(),
    "farthest from data": FarthestFromData(),
}


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """A part for each molecule; ``quick`` takes one seed, a small pool and the first sizes of ethanol."""
    del data
    if quick:
        return {"ethanol": partial(curves, "ethanol", SEEDS[:1], SIZES[:2], 150, 300)}
    return {name: partial(curves, name, SEEDS, SIZES, ALL, POOL) for name in MOLECULES}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def curves(name: str, seeds: Sequence[int], sizes: Sequence[int], most: int, pool: int) -> Iterator[Row]:
    """Errors of each rule at each size, and the labels that reach what ``most`` random ones do."""
    wanted = [
        _error(_fitted(frames[:most]), test) for frames, test in (_random(name, s, pool) for s in seeds)
    ]
    goal = float(np.mean(wanted))
    yield _row(f"{name}: random, {most} labels", wanted)
    for rule in RULES:
        errors = np.array([list(_curve(name, rule, seed, sizes, pool)) for seed in seeds])
        for size, here in zip(sizes, errors.T, strict=True):
            yield _row(f"{name}: {rule}, {size} labels", here)
        reached = [size for size, here in zip(sizes, errors.T, strict=True) if here.mean() <= goal]
        fewest = float(reached[0]) if reached else None
        told = f"<= {sizes[-1]} labels for the error of random {most}"
        if rule != "random":
            yield Row(
                f"{name}: {rule}, labels that reach random {most}",
                fewest or np.inf,
                "",
                target=told,
                met=bool(reached),
            )


def _row(test: str, errors: Sequence[float]) -> Row:
    values = np.asarray(errors)
    spread = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return Row(test, float(values.mean()), "meV/Å", spread=spread)


def _curve(name: str, rule: str, seed: int, sizes: Sequence[int], pool: int) -> Iterator[float]:
    """Errors at ``sizes``, each batch chosen by what was learned before."""
    frames, test = _random(name, seed, pool)
    known, rest = list(frames[: sizes[0]]), list(frames[sizes[0] :])
    for k, size in enumerate(sizes):
        potential = _fitted(known)
        yield _error(potential, test)
        if k + 1 < len(sizes):
            chosen = set(choose_frames(rest, sizes[k + 1] - size, known, potential, RULES[rule]))
            known += [rest[j] for j in sorted(chosen)]
            rest = [frame for j, frame in enumerate(rest) if j not in chosen]


def _fitted(frames: Sequence[Configuration]) -> LearnedPotential:
    """The default, whose size follows the number of labels."""
    return Recipe(usual_learner(frames)).fit(list(frames))


def _error(potential: LearnedPotential, test: Sequence[Configuration]) -> float:
    """Root mean square error of force components [meV/Å]."""
    found = potential.evaluate(test).forces
    off = np.concatenate([each - frame.forces for each, frame in zip(found, test, strict=True)])
    return float(np.sqrt(np.mean(off**2))) / unit("meV/Å", "force")


@cache
def _random(name: str, seed: int, pool: int) -> tuple[list[Configuration], list[Configuration]]:
    """Labeled frames in random order, and those of another run."""
    level = TightBinding()
    start = nearest_minimum(conformers(MOLECULES[name])[0], level)
    runs = [
        dynamics_frames(start, level, count, 500.0, every=EVERY, begin=1.0, seed=10 * seed + k)
        for k, count in enumerate((pool, TEST))
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        labeled, test = (label(run, level, store).frames for run in runs)
    order = np.random.default_rng(seed).permutation(len(labeled))
    return [labeled[k] for k in order], test
