"""Learning curves of frames chosen by each rule, beside those of frames drawn at random.

Geometries are those of rMD17, dynamics at 500 K; the teacher is GFN2-xTB, so that labels cost milliseconds and are made
here. What learns is the local gradient-domain kernel, whose errors still fall where others have reached what they can.
Every curve begins with the same 50 random frames and goes on by batches that a rule chooses with the potential of the
last; errors are of forces, on other frames. Each seed draws pool, test and first frames anew out of 2000. A rule
is worth something if it reaches with half the labels what random frames reach.

Frames of a pool are as likely as dynamics visits them, and so are those to judge by: where both are alike, random
frames are hard to beat, and a root mean square over all frames is what they are best at. So the error of the worst
twentieth of the test frames stands beside it.

Of molecules that nothing was designed with, campaigns of 100 labels end with large displacements along modes and bonds:
how many lead below the start or do not conserve energy, with the kernel in bounds (`KernelBound`) and without.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from thalweg.interop.files.configurations import read_configurations
from thalweg.interop.quantum.levels import level_of
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.labeling.choice import (
    ChoiceRule,
    FarthestFrames,
    FarthestFromData,
    LargestGrade,
    LargestSpread,
    RandomFrames,
    choose_frames,
)
from thalweg.labeling.geometries.far_from_minimum import far_from_minimum
from thalweg.learned_potentials.frames.errors import errors_of
from thalweg.learned_potentials.recipes.molecular import local_gradient_domain
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.uncertainty.calibrated import force_errors
from thalweg.report.benchmark import Row
from thalweg.sampling.campaign import drive
from thalweg.sampling.policies import active_learning
from thalweg.sampling.policies.active_learning import begin_learning, cycles_done, lesson_entry, sets_taught
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.teach import Lesson, labels_of
from thalweg.studies.potential.beginning import beginning_of
from thalweg.studies.potential.campaign import potential_study
from thalweg.studies.potential.repair import repaired
from thalweg.studies.tables.potential_study import potential_study_from_table
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

MOLECULES = ("ethanol", "aspirin")

SIZES = (50, 100, 200)
"""Labels after each batch."""

TWICE = 2 * SIZES[-1]
"""Random frames whose error is to be reached with half of them."""

FEW, MANY = 500, 1000
"""Labels chosen, and random ones whose error they are to reach, in the parts that take long."""

DISPLACED = (
    ("CO", "C=O", "CN", "C=C"),
    ("CC=O", "OC=O", "NC=O", "CC#N"),
    ("CC(=O)O", "CC(=O)N", "CS", "CF"),
    ("COC",),
    ("CCC",),
)
"""Molecules that are displaced by a lot, those of a part together; the last two have 72 and 144 permutations."""

POOL, TEST = 1000, 300
"""Frames to choose from and to judge by."""

REMEMBERED = 1500
"""Force components that answer for the spread of forces."""

WORST = 20
"""One of so many test frames is among the worst."""

SEEDS = (1, 2, 3)

RULES: dict[str, ChoiceRule] = {
    "random": RandomFrames(),
    "spread": LargestSpread(),
    "spread of all": LargestSpread(of_all=True),
    "grade": LargestGrade(),
    "farthest frames": FarthestFrames(),
    "farthest from data": FarthestFromData(),
}


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """A part for each molecule and rule, and for the largest sizes of ethanol; ``quick`` takes one seed of one rule."""
    if quick:
        return {
            "ethanol/farthest frames": partial(
                curve, data, "ethanol", "farthest frames", SEEDS[:1], SIZES[:2]
            )
        }
    curves = {
        f"{name}/{rule}": partial(curve, data, name, rule, SEEDS, SIZES)
        for name in MOLECULES
        for rule in RULES
    }
    stable = {f"stability/{k}": partial(stability, molecules) for k, molecules in enumerate(DISPLACED, 1)}
    return (
        curves
        | stable
        | {"one command": one_command}
        | {
            f"ethanol/{FEW} against {MANY}, seed {seed}": partial(
                few_against_many, data, "ethanol", "spread", seed
            )
            for seed in SEEDS
        }
    )


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def curve(data: Path, name: str, rule: str, seeds: Sequence[int], sizes: Sequence[int]) -> Iterator[Row]:
    """Errors of a rule at each size, over those of as many random frames, and beside those of twice as many."""
    found = np.array([list(_curve(data, name, rule, seed, sizes)) for seed in seeds])
    for size, here in zip(sizes, np.moveaxis(found, 1, 0), strict=True):
        yield _row(f"{name}: {rule}, {size} labels", here[:, 0])
        yield _row(f"{name}: {rule}, {size} labels, worst frames", here[:, 1])
    if rule == "random":
        return
    alike = np.array([_random_errors(data, name, seed, sizes[-1]) for seed in seeds])
    ratios = found[:, -1] / alike
    for kind, each in zip(("all frames", "worst frames"), ratios.T, strict=True):
        yield _ratio(f"{name}: {rule} over random, {sizes[-1]} labels, {kind}", each)
    if len(seeds) > 1:
        goal = np.array([_random_errors(data, name, seed, 2 * sizes[-1]) for seed in seeds])
        yield _row(f"{name}: random, {2 * sizes[-1]} labels", goal[:, 0])
        reached = found[:, -1, 0] / goal[:, 0]
        yield _ratio(f"{name}: {rule}, {sizes[-1]} labels over random, {2 * sizes[-1]}", reached, 1.0)


def few_against_many(data: Path, name: str, rule: str, seed: int) -> Iterator[Row]:
    """Error of `FEW` chosen labels beside that of `MANY` random ones."""
    sizes = (*SIZES, FEW)
    chosen = list(_curve(data, name, rule, seed, sizes))[-1][0]
    goal = _random_errors(data, name, seed, MANY)[0]
    yield _row(f"{name}: random, {MANY} labels, seed {seed}", [goal])
    yield Row(
        f"{name}: {rule}, {FEW} labels, seed {seed}",
        chosen,
        "meV/Å",
        target=f"<= random, {MANY} labels",
        met=bool(chosen <= goal),
    )


def stability(molecules: Sequence[str]) -> Iterator[Row]:
    """Large displacements of molecules after campaigns of 100 labels, the kernel in bounds and without."""
    for smiles in molecules:
        with tempfile.TemporaryDirectory() as folder:
            yield from _displaced(smiles, Path(folder))


def _displaced(smiles: str, folder: Path) -> Iterator[Row]:
    study = potential_study_from_table({"potential": {"what": [smiles]}, "learning": {"labels": 100}})
    level, store = level_of("gfn2"), Store(folder / "campaign")
    begun = beginning_of(study.potential, level, study.learning, None, _quietly)
    begin_learning(store, begun.first, begun.test, level, begun.recipe)
    drive(store, study.learning)
    cycle = cycles_done(store) - 1
    known, judged = labels_of(store, sets_taught(store, cycle)), labels_of(store, (active_learning.TEST,))
    last = Lesson.read(store, lesson_entry(cycle)).potential
    mended = repaired(last, begun, level, Store(folder / "repairs"), known, study.learning.seed, _quietly)
    free = replace(last, terms=(*last.terms[:-1], replace(last.terms[-1], bound=None)))
    far = far_from_minimum(free, begun.modes, level)
    count, bought = f"of {len(far.ways)}", len(mended.bought)
    lead = f"{smiles}: displacements that lead below the start or explode"
    yield Row(lead, float(mended.far.faults), count, target="0", met=mended.far.holds)
    yield Row(f"{lead}, without bounds", float(far.faults), count)
    if not mended.far.holds:
        yield Row(f"{smiles}: {mended.far}", None, "")
    yield Row(f"{smiles}: labels", float(len(known) + bought), "")
    for what, potential in (("", mended.potential), (", without bounds", free)):
        error = errors_of(judged, potential.evaluate(judged)).forces.rmse / unit("meV/Å", "force")
        yield Row(f"{smiles}: forces{what}", error, "meV/Å")


def _quietly(_message: str, _fraction: float) -> None:
    pass


def one_command() -> Iterator[Row]:
    """What ``thalweg potential CCO --level gfn2`` takes and leaves."""
    study = potential_study_from_table({"potential": {"what": ["CCO"]}})
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        results = potential_study(study, Path(folder), lambda _: _quietly)
    # no longer on an idle machine than what all threads took together
    seconds, end = time.process_time() - began, results.cycles[-1]
    error = end.force_error / unit("meV/Å", "force")
    wanted = study.learning.error / unit("meV/Å", "force")
    yield Row("ethanol by one command, processor time", seconds, "s", target="<= 300", met=seconds <= 300)
    yield Row("ethanol by one command, labels", float(end.labels), "")
    yield Row(
        "ethanol by one command, forces", error, "meV/Å", target=f"<= {wanted:.0f}", met=bool(error <= wanted)
    )
    broken = [each for each in results.diagnoses if each.severity == "problem"]
    yield Row(
        "ethanol by one command, faults found by 10 ps and large displacements",
        float(len(broken)),
        "",
        target="0",
        met=not broken,
    )
    for fault in broken:
        yield Row(fault.sentence, None, "")


def _row(test: str, errors: Sequence[float]) -> Row:
    return Row(test, float(np.mean(errors)), "meV/Å", spread=_spread(errors))


def _ratio(test: str, ratios: Sequence[float], wanted: float | None = None) -> Row:
    value, met = float(np.mean(ratios)), None
    if wanted is not None:
        met = bool(value <= wanted)
    target = "" if wanted is None else f"<= {wanted:g}"
    return Row(test, value, "", spread=_spread(ratios), target=target, met=met)


def _spread(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _curve(
    data: Path, name: str, rule: str, seed: int, sizes: Sequence[int]
) -> Iterator[tuple[float, float]]:
    """Errors at ``sizes``, each batch chosen by what was learned before."""
    frames, test = _drawn(data, name, seed)
    known, rest = list(frames[: sizes[0]]), list(frames[sizes[0] :])
    for k, size in enumerate(sizes):
        potential = _fitted(known)
        yield _errors(potential, test)
        if k + 1 < len(sizes):
            chosen = set(choose_frames(rest, sizes[k + 1] - size, known, potential, RULES[rule]))
            known += [rest[j] for j in sorted(chosen)]
            rest = [frame for j, frame in enumerate(rest) if j not in chosen]


@cache
def _random_errors(data: Path, name: str, seed: int, size: int) -> tuple[float, float]:
    """Errors of the first ``size`` frames of a pool, which are in random order."""
    frames, test = _drawn(data, name, seed)
    return _errors(_fitted(frames[:size]), test)


def _fitted(frames: Sequence[Configuration]) -> LearnedPotential:
    return local_gradient_domain(remembered=REMEMBERED).fit(list(frames))


def _errors(potential: LearnedPotential, test: Sequence[Configuration]) -> tuple[float, float]:
    """Root mean square errors of force components, of all frames and of the worst [meV/Å]."""
    errors = np.sort(force_errors(potential, test)) / unit("meV/Å", "force")
    worst = errors[-(len(errors) // WORST) :]
    return float(np.sqrt(np.mean(errors**2))), float(np.sqrt(np.mean(worst**2)))


@cache
def _drawn(data: Path, name: str, seed: int) -> tuple[list[Configuration], list[Configuration]]:
    """Labeled frames of a pool in random order, and others to judge by."""
    folder, level = data / "potentials" / "rmd17", TightBinding()
    frames = [
        frame.unlabeled
        for part in ("train", "test")
        for frame in read_configurations(folder / f"{name}_{part}_01.extxyz.gz")
    ]
    order = np.random.default_rng(seed).permutation(len(frames))
    labeled = [level.label(frames[k]) for k in order[: POOL + TEST]]
    return labeled[:POOL], labeled[POOL:]
