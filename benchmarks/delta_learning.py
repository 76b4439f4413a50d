"""Potentials of a level of theory of which few labels can be paid: what it adds to a cheaper one is learned.

- Ethanol and malonaldehyde at `HIGHER` over GFN2-xTB, of 60 frames of dynamics at 500 K (rMD17, whose
  malonaldehyde has its protons at the carbons).
- The barrier over which the proton of malonaldehyde goes from oxygen to oxygen: of 60 frames a third lies about the way
  over that of GFN2-xTB, the others are its dynamics, so that nobody had to know the answer. Minimum and saddle of the
  learned potential are its own, those of the teacher the teacher's; the saddle is the minimum among structures with a
  mirror between the two oxygens.
- Water at `HIGHEST` over `HIGHER`, of 40 frames drawn along normal modes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from thalweg.interop.files.configurations import read_configurations
from thalweg.interop.quantum.levels import level_of
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.dynamics import dynamics_frames
from thalweg.labeling.geometries.normal_modes import normal_modes
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.known_potential import KnownPotential
from thalweg.labeling.level import Level
from thalweg.learned_potentials.frames.errors import errors_of
from thalweg.learned_potentials.parametric.valence_pairs import ValencePairs
from thalweg.learned_potentials.recipe import remainder
from thalweg.learned_potentials.recipes.molecular import local_gradient_domain
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Labels
from thalweg.report.benchmark import Row
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

HIGHER, HIGHEST = "PBE0/def2-SVP", "CCSD(T)/cc-pVDZ"
"""Levels of theory that are learned."""

MOLECULES = ("ethanol", "malonaldehyde")

DEAR, DEAR_TEST = 60, 40
"""Labels of the density functional, and those to judge by."""

CLUSTERS, CLUSTERS_TEST = 40, 40
"""The same of coupled clusters."""

ALONG = 20
"""Labels about the way of the proton, among `DEAR`."""

SHAKEN = 0.003
"""Standard deviation of coordinates about the way [nm]."""

SEEDS = (1, 2, 3)

RELAXED = 10.0
"""Largest force at a minimum [kJ/mol/nm], which leaves some 0.001 kcal/mol."""

KCAL = 4.184
"""kJ/mol."""

EXCHANGED, MIRROR = np.array([2, 1, 0, 4, 3, 6, 5, 7, 8]), np.array([-1.0, 1.0, 1.0])
"""Which atoms of malonaldehyde, C C C O O H H H H, a mirror at x = 0 exchanges, and what it does to vectors."""

PROTON = 8
"""The atom between the oxygens."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes a tenth of the labels of one molecule."""
    if quick:
        return {"ethanol": partial(molecule, data, "ethanol", 6, 4)}
    molecules = {name: partial(molecule, data, name, DEAR, DEAR_TEST) for name in MOLECULES}
    transfers = {f"proton transfer, seed {seed}": partial(proton_transfer, seed) for seed in SEEDS}
    return molecules | transfers | {"coupled clusters": coupled_clusters}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def molecule(data: Path, name: str, labels: int, test: int) -> Iterator[Row]:
    """Errors of a potential that stands on GFN2-xTB and learns what a density functional adds."""
    level, frames = level_of(HIGHER), _dynamics(data, name, SEEDS[0])
    began = time.process_time()
    taught = [level.label(frame) for frame in frames[:labels]]
    seconds = (time.process_time() - began) / labels
    judged = [level.label(frame) for frame in frames[labels : labels + test]]
    for what, potential in (
        ("over GFN2-xTB", _learned(taught)),
        ("alone", local_gradient_domain().fit(taught)),
    ):
        found = errors_of(judged, potential.evaluate(judged)).forces.mae / unit("meV/Å", "force")
        wanted = {} if what == "alone" else {"target": "<= 30", "met": bool(found <= 30)}
        yield Row(f"{name}: {HIGHER} {what}, {labels} labels, force MAE", found, "meV/Å", **wanted)
    yield Row(f"{name}: a label of {HIGHER}", seconds, "CPU s")


def proton_transfer(seed: int) -> Iterator[Row]:
    """The barrier of malonaldehyde's proton, by its teacher and by what was learned of frames."""
    level, cheap, random = level_of(HIGHER), TightBinding(), np.random.default_rng(seed)
    known = Barrier.of(cheap, *_guessed())
    exact = Barrier.of(level, known.minimum, known.saddle)
    start, end = known.minimum.positions, known.saddle.positions
    frames = dynamics_frames(known.minimum, cheap, DEAR - ALONG, temperature=500.0, seed=seed)
    # between the minimum and the saddle, and a little beyond either
    for part in random.uniform(-0.2, 1.2, ALONG):
        shaken = SHAKEN * random.standard_normal(start.shape)
        frames.append(replace(known.minimum.unlabeled, positions=start + part * (end - start) + shaken))
    learned = KnownPotential(_learned([level.label(frame) for frame in frames]), called="learned")
    found = Barrier.of(learned, exact.minimum, exact.saddle).height / KCAL
    name, height = "malonaldehyde: proton transfer", exact.height / KCAL
    yield Row(f"{name}, GFN2-xTB", known.height / KCAL, "kcal/mol", peer=HIGHER, peer_value=height)
    yield Row(
        f"{name}, {HIGHER} learned over GFN2-xTB, {DEAR} labels, seed {seed}", found, "kcal/mol",
        target="within 0.3", met=abs(found - height) <= 0.3, peer=HIGHER, peer_value=height,
    )  # fmt: skip


def coupled_clusters() -> Iterator[Row]:
    """Errors of energies of water at a level of which forty labels are paid; seeds divide the same frames."""
    level, base = level_of(HIGHEST), level_of(HIGHER)
    modes = normal_modes(nearest_minimum(conformers("O", 1)[0], base, RELAXED), base)
    frames = modes.frames(CLUSTERS + CLUSTERS_TEST, temperature=500.0)
    below = [base.label(frame) for frame in frames]
    began = time.process_time()
    above = [level.label(frame) for frame in frames]
    cost = (time.process_time() - began) / len(frames)
    added = remainder(above, _as_labels(below))
    found, alone = [], []
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(frames))
        for labels, errors, mean in ((added, found, None), (above, alone, ValencePairs())):
            taught, judged = ([labels[k] for k in part] for part in (order[:CLUSTERS], order[CLUSTERS:]))
            errors.append(_energy_error(judged, local_gradient_domain(mean=mean).fit(taught)))
    name = f"water: {HIGHEST}"
    yield Row(
        f"{name} over {HIGHER}, {CLUSTERS} labels, energy MAE", float(np.mean(found)), "kcal/mol",
        float(np.std(found, ddof=1)), "<= 0.1 in all", max(found) <= 0.1,
    )  # fmt: skip
    spread = float(np.std(alone, ddof=1))
    yield Row(f"{name} alone, {CLUSTERS} labels, energy MAE", float(np.mean(alone)), "kcal/mol", spread)
    yield Row(f"{name}, a label", cost, "CPU s")


@dataclass(frozen=True)
class Barrier:
    """Labeled structures of malonaldehyde: a minimum, and the saddle, which has a mirror."""

    minimum: Configuration
    saddle: Configuration

    @property
    def height(self) -> float:
        """Energy of the saddle above the minimum [kJ/mol]."""
        return float(self.saddle.energy - self.minimum.energy)

    @staticmethod
    def of(level: Level, near_minimum: Configuration, near_saddle: Configuration) -> Barrier:
        """Those of a level."""
        return Barrier(
            nearest_minimum(near_minimum.unlabeled, level, RELAXED),
            nearest_minimum(near_saddle.unlabeled, Mirrored(level), RELAXED),
        )


@dataclass(frozen=True)
class Mirrored:
    """A level whose forces keep the mirror of a structure, so that its minimum is the saddle between two halves."""

    level: Level

    @property
    def name(self) -> str:
        return f"{self.level.name} with a mirror"

    def label(self, frame: Configuration) -> Configuration:
        labeled = self.level.label(frame)
        return replace(labeled, forces=0.5 * (labeled.forces + labeled.forces[EXCHANGED] * MIRROR))


def _guessed() -> tuple[Configuration, Configuration]:
    """Structures near the minimum and the saddle: a ring of six with the proton nearer to one oxygen, or in between."""
    half = np.array(
        [[0.121, 0, 0], [0, 0.072, 0], [0.120, -0.127, 0], [0.217, 0.052, 0], [0, 0.181, 0], [0, -0.160, 0]]
    )
    positions = half[[0, 1, 0, 2, 2, 3, 3, 4, 5]]
    positions[[0, 3, 5]] *= MIRROR
    saddle = Configuration(np.array([6, 6, 6, 8, 8, 1, 1, 1, 1]), positions)
    moved = positions.copy()
    moved[PROTON] += [0.025, 0, 0]
    return replace(saddle, positions=moved), saddle


def _learned(taught: Sequence[Configuration]) -> LearnedPotential:
    """What a level adds to GFN2-xTB, on top of it."""
    return local_gradient_domain(baseline=(TightBinding(),)).fit(list(taught))


def _dynamics(data: Path, name: str, seed: int) -> list[Configuration]:
    """Frames of a molecule in an order of their own for every seed."""
    folder = data / "potentials" / "rmd17"
    frames = [
        frame.unlabeled
        for part in ("train", "test")
        for frame in read_configurations(folder / f"{name}_{part}_01.extxyz.gz")
    ]
    return [frames[k] for k in np.random.default_rng(seed).permutation(len(frames))]


def _as_labels(frames: Sequence[Configuration]) -> Labels:
    return Labels(
        np.array([frame.energy for frame in frames]),
        tuple(frame.forces for frame in frames),
        tuple(np.full((3, 3), np.nan) for _ in frames),
    )


def _energy_error(frames: Sequence[Configuration], potential: LearnedPotential) -> float:
    """Mean absolute error of energies [kcal/mol]."""
    known = np.array([frame.energy for frame in frames])
    return float(np.abs(potential.evaluate(frames).energies - known).mean()) / KCAL
