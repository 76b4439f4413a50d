"""What a campaign begins with: frames to label first, frames to judge by, and how to learn from both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from thalweg.interop.files.configurations import read_labeled
from thalweg.interop.quantum.levels import level_of
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.crystals import strained_frames
from thalweg.labeling.geometries.dynamics import dynamics_frames
from thalweg.labeling.geometries.normal_modes import NormalModes, normal_modes
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.level import Level
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.recipes.molecular import local_gradient_domain
from thalweg.learned_potentials.terms.term import Term
from thalweg.learning.splits import farthest_points
from thalweg.sampling.policies.active_learning import ActiveLearning
from thalweg.studies.baselines import earlier_potential
from thalweg.studies.labeling import cheap_level, different_frames
from thalweg.studies.tables.fit_study import usual_learner
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.potential_study import PotentialStudy
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

CONFORMERS = 4
"""Conformers of a molecule from which frames are made, at most."""

REMEMBERED = 1500
"""Force components that answer for uncertainties while walking: all of them would cost more than the walk."""

AGREE = unit("meV/Å", "force") * 5
"""Labels are of the same level if their forces differ by no more [kJ/mol/nm]."""

FILES = (".xyz", ".extxyz", ".pdb", ".cif", ".db", ".gz")
"""Endings of files that are looked for in a folder."""

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Beginning:
    """Frames and a learner.

    Attributes
    ----------
    given : frames with labels that are there already
    first, test : frames to label, to learn from and to judge by
    minimum : where the finished potential starts from
    modes : about it; None where there is a cell
    recipe : how to learn
    made : how frames were made, in words
    """

    given: tuple[Configuration, ...]
    first: tuple[Configuration, ...]
    test: tuple[Configuration, ...]
    minimum: Configuration
    modes: NormalModes | None
    recipe: Recipe
    made: tuple[str, ...]


def beginning_of(
    asked: PotentialStudy, level: Level, learning: ActiveLearning, recipe: Recipe | None, told: Tell
) -> Beginning:
    """Frames of one molecule, one crystal, or many, and what learns from them.

    Raises
    ------
    StudyError
        If files hold nothing, or labels of another level.
    """
    frames = _frames(asked)
    level.check(frames[0])
    labeled = tuple(frame for frame in frames if frame.forces is not None and frame.energy is not None)
    if labeled:
        _require_same_level(labeled[0], level)
    cheap = cheap_level(level, frames[0])
    told("relaxing", 0.1)
    minima = _minima(frames, cheap)
    told("making first frames", 0.3)
    modes, first, made = _first(asked, frames, minima, cheap, learning, bool(labeled))
    told("making test frames", 0.5)
    test = _along_dynamics(minima, cheap, asked.test, learning.temperatures, asked.seed + 1)
    recipe = recipe or _usual_recipe(asked, minima[0], learning.labels)
    return Beginning(labeled, tuple(first), tuple(test), minima[0].unlabeled, modes, recipe, made)


def _frames(asked: PotentialStudy) -> list[Configuration]:
    """Conformers of a SMILES, or all frames of files and folders."""
    first = Path(asked.what[0])
    if len(asked.what) == 1 and not first.exists() and not first.suffix:
        return conformers(asked.what[0], CONFORMERS, asked.seed)
    files = []
    for each in map(Path, asked.what):
        if not each.exists():
            raise FileNotFoundError(2, "there is no such file, and it is no SMILES", str(each))
        inside = sorted(p for p in each.iterdir() if p.suffix in FILES) if each.is_dir() else [each]
        if not inside:
            raise StudyError(f"the folder {each} has no file that ends in {', '.join(FILES)}")
        files += inside
    found = [frame for path in files for frame in read_labeled(path).frames]
    if not found:
        raise StudyError(f"{files[0]} holds no frames")
    first_frame = found[0]
    for k, frame in enumerate(found):
        if not np.array_equal(frame.numbers, first_frame.numbers):
            raise StudyError(
                f"frame {k} has other atoms, or another order of them, than frame 0; give each molecule a study of its "
                "own, or label them with thalweg label and fit with thalweg fit"
            )
    return found


def _require_same_level(frame: Configuration, level: Level) -> None:
    """Ask the level about a frame that has labels: those of two levels do not go together."""
    ours = level.label(frame.unlabeled)
    assert frame.forces is not None
    assert ours.forces is not None
    off = float(np.abs(frame.forces - ours.forces).max())
    if off > AGREE:
        raise StudyError(
            f"the labels given are not by {level.name}: forces of the first frame differ by "
            f"{off / unit('meV/Å', 'force'):.0f} meV/Å; give the level they are of, or leave their labels away"
        )


def _minima(frames: Sequence[Configuration], cheap: Level) -> list[Configuration]:
    """Different minima near the first frames, the lowest first; a cell stays as it is."""
    starts = [frames[k] for k in range(0, len(frames), -(-len(frames) // CONFORMERS))]
    found = [nearest_minimum(start.unlabeled, cheap, force=10.0) for start in starts]
    found = different_frames(found)
    return sorted(found, key=lambda frame: frame.energy)


def _first(asked, frames, minima, cheap, learning, labeled):
    """Normal modes about the lowest minimum, frames to begin with, and how they were made."""
    hottest = max(learning.temperatures)
    if any(minima[0].periodic):
        return None, strained_frames(minima[0], asked.first, seed=asked.seed), ("strained, rattled cells",)
    modes = normal_modes(nearest_minimum(minima[0].unlabeled, cheap), cheap)
    if len(frames) > asked.first and not labeled:
        order = farthest_points(np.array([_distances(frame) for frame in frames]), asked.first)
        return modes, [frames[k].unlabeled for k in order], ("the frames given that lie farthest apart",)
    others = [normal_modes(nearest_minimum(each.unlabeled, cheap), cheap) for each in minima[1:]]
    kinds = [modes, *(each for each in others if each.wavenumbers[0] > 0)]
    first = []
    for k, each in enumerate(kinds):
        share = len(range(k, asked.first, len(kinds)))
        first += each.frames(share, hottest, asked.seed + k)
    return modes, first, (f"normal modes of {len(kinds)} conformer{'s' * (len(kinds) > 1)} at {hottest:g} K",)


def _distances(frame: Configuration) -> np.ndarray:
    """Inverse distances of all pairs of atoms [1/nm]."""
    first, second = np.triu_indices(len(frame), 1)
    return 1 / np.linalg.norm(frame.positions[first] - frame.positions[second], axis=1)


def _along_dynamics(minima, cheap, count, temperatures, seed) -> list[Configuration]:
    """Frames of dynamics by the cheap level, an even share for each temperature, minima in turn."""
    found = []
    for k, temperature in enumerate(temperatures):
        share = len(range(k, count, len(temperatures)))
        start = minima[k % len(minima)]
        found += dynamics_frames(start, cheap, share, temperature, every=0.03, seed=seed + k)
    return found


def _usual_recipe(asked: PotentialStudy, frame: Configuration, labels: int) -> Recipe:
    """Of one molecule a local kernel on all its atoms, the most accurate with few labels; of a crystal an expansion."""
    known = _baseline(asked.baseline, asked)
    if not any(frame.periodic):
        return local_gradient_domain(baseline=known, remembered=REMEMBERED)
    # as large as half of the labels that may be bought can decide
    taught = [replace(frame, energy=0.0, forces=np.zeros((len(frame), 3)))] * max(1, labels // 2)
    return Recipe(usual_learner(taught), baseline=known)


def _baseline(name: str, asked: PotentialStudy) -> tuple[Term, ...]:
    """What is known before: a level of theory that is a term, or an earlier potential in a file.

    Raises
    ------
    StudyError
        If it is neither.
    """
    if not name:
        return ()
    if Path(name).is_file():
        return (earlier_potential(name),)
    level = level_of(name, asked.charge, asked.unpaired)
    if not isinstance(level, Term):
        raise StudyError(
            f"baseline = {name!r} is too dear to be asked at every step; give gfn2, gfn1 or a potential"
        )
    return (level,)
