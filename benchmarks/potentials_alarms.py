"""Whether learned potentials of crystals know where they are wrong, with symmetric and strained frames in all sets.

Copper by effective medium theory, silicon by Stillinger and Weber's potential, and elements of mlearn (Zuo et al. 2020)
where they are: frames whose forces vanish by symmetry beside displaced ones, with exact labels and with labels of 1 and
3 meV/Å of noise, which is more than good models err. A recipe is fitted to cool frames, calibrated on others like them,
and tried on cool and on hot ones, whose forces are known without noise. Targets: claimed deviations within a factor of
1.5 of errors, alarms on fewer than 10 % of good frames and on at least 90 % of bad ones, whose force error is more than
three times the usual one; extrapolation grades whatever the recipe.

Frames are drawn anew for each seed, and frames of all seeds judged together. Ratios of claims over errors are means
over seeds, in their logarithms, of root mean squares: over the frames that turned out good, and over all cool ones,
whatever turned out. Errors of a few cool frames are several times the usual one, and of 40 frames their root mean
square is known to some 30 % only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import ase.build
import numpy as np
from ase.calculators.emt import EMT

from thalweg.interop.files.configurations import from_atoms, read_configurations
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.recipes.linear import (
    expansion,
    expansion_with_kernel,
    gaussian_approximation,
    moment_tensors,
    snap,
)
from thalweg.learned_potentials.uncertainty.calibrated import ForceAlarm, force_errors, root_mean_squares
from thalweg.learned_potentials.uncertainty.committee import Committee
from thalweg.learned_potentials.uncertainty.graded import graded
from thalweg.report.benchmark import Row
from thalweg.representations.expansions.ace import ACE
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

MEV_PER_ANGSTROM = unit("meV/Å", "force")

SEEDS = (100, 101, 102)
"""Of the frames."""

NOISES = (0.0, 1.0, 3.0)
"""Of labels that are learned from [meV/Å]."""

COOL, HOT = 0.1, (0.12, 0.35)
"""Displacements of training frames, and range of those of trial frames [Å]."""

CALM = 40
"""Cool displaced frames in a trial, which come first."""

RECIPES = {
    "expansion and kernel": expansion_with_kernel(levels=(10, 12, 8), points=150),
    "expansion": expansion(levels=(12, 10, 8), degrees=(0, 6, 4)),
    "Gaussian approximation": gaussian_approximation(points=200),
    "moment tensors": moment_tensors(level=10),
    "spectral neighbor analysis": snap(twojmax=6),
    "committee": Recipe(Committee(Linear(ACE(cutoff=0.5, levels=(10, 8))), 4)),
}
"""Recommended recipes for crystals, of a size for a minute, and a committee."""

ELEMENTS = ("Cu", "Mo", "Si")


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one recipe, and one seed."""
    recipes = list(RECIPES)[:1] if quick else list(RECIPES)
    found = {
        f"{crystal}, {noise:g} meV/Å/{name}": partial(
            tried, crystal, name, noise, SEEDS[:1] if quick else SEEDS
        )
        for noise in (NOISES[1:2] if quick else NOISES)
        for crystal in ("copper", "silicon")
        for name in recipes
    }
    folder = data / "potentials" / "mlearn"
    if folder.is_dir() and not quick:
        found |= {
            f"mlearn/{element}/{name}": partial(tried_on_files, folder, element, name)
            for element in ELEMENTS
            for name in list(RECIPES)[:2]
        }
    return found


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def tried(crystal: str, name: str, noise: float, seeds: Sequence[int] = SEEDS) -> Iterator[Row]:
    """One recipe on copper or silicon with labels of some ``noise`` [meV/Å]."""
    each = [judged(RECIPES[name], *sets(crystal, noise, seed), cool=CALM) for seed in seeds]
    yield from summarized(f"{crystal}, {noise:g} meV/Å, {name}", each)


def sets(crystal: str, noise: float, seed: int) -> tuple[list[Configuration], ...]:
    """Frames to learn from, to hold out, and without noise to be tried on."""
    random = np.random.default_rng(seed)
    training = [*displaced(crystal, np.full(60, COOL), random), *strained(crystal, 34, random)]
    held_out = [*displaced(crystal, np.full(16, COOL), random), *strained(crystal, 12, random)]
    tested = [
        *displaced(crystal, np.full(CALM, COOL), random),
        *strained(crystal, 12, random),
        *displaced(crystal, np.linspace(*HOT, 30), random),
    ]
    return (
        [noisy(frame, noise, random) for frame in training],
        [noisy(frame, noise, random) for frame in held_out],
        tested,
    )


def noisy(frame: Configuration, noise: float, random: np.random.Generator) -> Configuration:
    """The frame with noise on its forces, which add up to zero still."""
    off = noise * MEV_PER_ANGSTROM * random.normal(size=frame.positions.shape)
    return replace(frame, forces=frame.forces + off - off.mean(0))


def tried_on_files(folder: Path, element: str, name: str) -> Iterator[Row]:
    """One recipe on an element of mlearn: every fifth training frame is held out."""
    frames, tested = (
        read_configurations(folder / f"{element}_{part}.extxyz.gz") for part in ("train", "test")
    )
    frames = frames[::2]
    training = [frame for k, frame in enumerate(frames) if k % 4]
    one = judged(RECIPES[name], training, frames[::4], tested, cool=0)
    yield from summarized(f"mlearn {element}, {name}", [one])


@dataclass(frozen=True)
class Judged:
    """A potential on frames it was not taught.

    Attributes
    ----------
    claims, errors : root mean squares over the force components of each frame, (frames,) [kJ/mol/nm]
    open : frames whose forces are not zero by symmetry
    cool : frames like those taught
    bad : frames whose error is too large
    raised : frames with an alarm
    grades : the largest of each frame
    """

    claims: np.ndarray
    errors: np.ndarray
    open: np.ndarray
    cool: np.ndarray
    bad: np.ndarray
    raised: np.ndarray
    grades: np.ndarray

    def ratio(self, frames: np.ndarray, third: int | None = None) -> float:
        """Claims over errors of open ``frames``, (frames,) bool, or of a ``third`` of them, the lowest claims first."""
        chosen = np.flatnonzero(frames & self.open)
        if third is not None:
            chosen = np.array_split(chosen[np.argsort(self.claims[chosen])], 3)[third]
        return float(np.sqrt(np.mean(self.claims[chosen] ** 2) / np.mean(self.errors[chosen] ** 2)))


def judged(
    recipe: Recipe,
    training: Sequence[Configuration],
    held_out: Sequence[Configuration],
    tested: Sequence[Configuration],
    cool: int,
) -> Judged:
    """What becomes of ``tested`` frames, of which the first are ``cool``, with one potential."""
    potential = graded(recipe.fit(training, validation=held_out), training, held_out)
    alarm = ForceAlarm.known(potential)
    spread = potential.spread(tested)
    claims, errors = root_mean_squares(spread.forces), force_errors(potential, tested)
    return Judged(
        claims,
        errors,
        claims > spread.certain * (1 + 1e-9),
        np.arange(len(tested)) < cool,
        errors > alarm.largest,
        alarm.raised(tested),
        np.array([each.max() for each in potential.grades(tested)]),
    )


def summarized(name: str, each: Sequence[Judged]) -> Iterator[Row]:
    """Claims over errors, alarms and grades of the potentials of all seeds."""
    kinds = {
        "good": lambda one: one.ratio(~one.bad),
        "good, lowest third": lambda one: one.ratio(~one.bad, 0),
        "good, highest third": lambda one: one.ratio(~one.bad, 2),
        "cool": lambda one: one.ratio(one.cool),
    }
    for label, ratio in kinds.items():
        if label == "cool" and not each[0].cool.any():
            continue
        ratios = np.array([ratio(one) for one in each])
        mean = float(np.exp(np.log(ratios).mean()))
        half = float(np.ptp(ratios) / 2) if len(each) > 1 else None
        met = bool(1 / 1.5 <= mean <= 1.5)
        yield Row(f"{name}: claims over errors, {label} frames", mean, "", half, "1/1.5 to 1.5", met)
    bad, raised = (np.concatenate([getattr(one, kind) for one in each]) for kind in ("bad", "raised"))
    grades = np.concatenate([one.grades for one in each])
    if (~bad).any():
        false = float(raised[~bad].mean())
        yield Row(
            f"{name}: alarms on {(~bad).sum()} good frames", 100 * false, "%", None, "< 10", false < 0.1
        )
    if bad.any():
        caught = float(raised[bad].mean())
        yield Row(
            f"{name}: alarms on {bad.sum()} bad frames", 100 * caught, "%", None, ">= 90", caught >= 0.9
        )
    for label, chosen in (("good", ~bad), ("bad", bad)):
        if chosen.any():
            yield Row(f"{name}: median grade of {label} frames", float(np.median(grades[chosen])), "")


def displaced(crystal: str, sizes: Sequence[float], random: np.random.Generator) -> list[Configuration]:
    """Frames whose atoms are displaced by normal deviates of such ``sizes`` [Å]."""
    frames = []
    for size in sizes:
        atoms = _cell(crystal)
        atoms.positions += size * random.normal(size=atoms.positions.shape)
        frames.append(_labeled(crystal, atoms))
    return frames


def strained(crystal: str, count: int, random: np.random.Generator) -> list[Configuration]:
    """Strained crystals on symmetric places, to a millionth of an Ångström as files have them."""
    frames = []
    for k, strain in enumerate(np.linspace(-0.1, 0.1, count)):
        atoms = _cell(crystal)
        cell = atoms.cell.array.copy()
        cell[k % 2, k % 2] *= 1 + strain
        atoms.set_cell(cell, scale_atoms=True)
        atoms.positions += 1e-6 * random.normal(size=atoms.positions.shape)
        frames.append(_labeled(crystal, atoms))
    return frames


def _cell(crystal: str) -> ase.Atoms:
    return ase.build.bulk({"copper": "Cu", "silicon": "Si"}[crystal], cubic=True)


def _labeled(crystal: str, atoms: ase.Atoms) -> Configuration:
    """The frame with labels of the reference."""
    if crystal == "copper":
        atoms.calc = EMT()
        atoms.get_potential_energy(), atoms.get_forces()
        return replace(from_atoms(atoms), stress=None)
    frame = from_atoms(atoms)
    labels = stillinger_weber_silicon().evaluate([frame])
    return replace(frame, energy=float(labels.energies[0]), forces=labels.forces[0])
