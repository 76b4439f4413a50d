"""Labeled frames of a molecule, a crystal or files of either, by a level of theory: one command, one folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from thalweg.interop.ase.named_calculator import NamedCalculator
from thalweg.interop.files.configurations import read_labeled, write_configurations
from thalweg.interop.quantum.levels import level_of
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.crystals import strained_frames
from thalweg.labeling.geometries.dynamics import dynamics_frames
from thalweg.labeling.geometries.normal_modes import normal_modes
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.level import Level, charge_and_unpaired, formula
from thalweg.learned_potentials.frames.duplicates import duplicates
from thalweg.learning.storage import load_tree, save_tree, tree_digest
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.report.accounting import citations
from thalweg.report.of_molecules.labels import LabelResults, write_label_report
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant
from thalweg.sampling.executors import processes, serial
from thalweg.sampling.policies.label_frames import LabeledFrames, label
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.label import DIGITS, FRAMES
from thalweg.studies.analyzing import Told
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration
from thalweg.units import quantity

WAYS = ("as-given", "modes", "dynamics", "strain")
"""How frames may be made: those of the files; along normal modes; along dynamics; of strained, rattled cells."""

CONFORMERS = 5
"""Conformers of a molecule given by its SMILES from which dynamics begins, at most."""

CITED = {
    "GFN2-xTB": "bannwarth2019",
    "GFN1-xTB": "grimme2017",
    "modes": "smith2017",
    "smiles": "riniker2015",
    "PySCF": "sun2020",
}


@dataclass(frozen=True)
class LabelStudy:
    """What to label.

    Attributes
    ----------
    what : files of frames, or one SMILES
    level : as `level_of` takes it
    frames : how many geometries to make where they are made
    ways : some of `WAYS`; empty for normal modes and dynamics of a molecule given by its SMILES, strain of a single
        crystal, the frames of files as they are otherwise
    temperature : of normal modes and dynamics, with unit
    test : fraction of each kind of frame, the last ones, that is left for tests
    charge, unpaired : total charge [e] and unpaired electrons, where SMILES or files do not say
    seed : of all that is drawn
    workers : processes that label at once
    days : time of one core beyond which the labels are refused
    """

    what: tuple[str, ...]
    level: str = "gfn2"
    frames: int = 1000
    ways: tuple[str, ...] = ()
    temperature: str = "500 K"
    test: float = 0.1
    charge: int = 0
    unpaired: int = 0
    seed: int = 0
    workers: int = 1
    days: float = 2.0

    def __post_init__(self):
        if strange := [way for way in self.ways if way not in WAYS]:
            raise StudyError(f'--how "{strange[0]}" is unknown; use {", ".join(WAYS)}')
        if not 0 <= self.test < 1:
            raise StudyError(f"--test {self.test:g}; give a fraction from 0 to below 1")
        if self.frames < 1 or self.workers < 1:
            raise StudyError("--frames and --processes are at least one")


def label_study(asked: LabelStudy, folder: Path, progress: Callable[[str], Told]) -> LabelResults:
    """Make frames, label them into the store ``labels/`` of ``folder``, and write them as extended XYZ with a report.

    A second call pays for nothing that is there; a kill loses at most the labels in flight.

    Raises
    ------
    ValueError, FileNotFoundError
        If a file, a SMILES or a setting is wrong, or the level cannot be asked about these atoms.
    """
    check_links(folder)
    level = level_of(asked.level, asked.charge, asked.unpaired)
    given, from_smiles = _given(asked)
    ways = asked.ways or _usual_ways(given, from_smiles)
    level.check(given[0])
    store = Store(folder / "labels")
    told = progress("making frames")
    made = _kept(store, asked, given, ways, level)
    frames = different_frames(made)
    told(f"{len(frames)} frames", 1.0)
    watch = progress(f"labeling by {level.name}")
    executor = serial if asked.workers == 1 else processes(asked.workers)
    total = len(frames)

    def observe(round: int, task: Task, done: int, of: int, seconds: float | None) -> None:
        watch(f"round {round + 1}: {done} of {of}", min((100 * round + done) / total, 1.0))

    labeled = label(frames, level, store, executor, (observe,), asked.days)
    watch("done", 1.0)
    tests = _write(labeled.frames, folder, asked.test)
    results = _results(asked, level, made, frames, labeled, ways, from_smiles, tests)
    write_label_report(results, folder)
    return results


def _kept(
    store: Store, asked: LabelStudy, given: Sequence[Configuration], ways: Sequence[str], level: Level
) -> list[Configuration]:
    """Frames as they were made when first asked for: dynamics need not repeat itself to the last bit."""
    settings = (tuple(given), tuple(ways), asked.frames, asked.temperature, asked.seed, level)
    entry = f"geometries/{tree_digest(settings)[:DIGITS]}"
    if not store.has(entry):
        made = tuple(_made(asked, given, ways, level))
        store.commit(entry, lambda folder: save_tree(folder / FRAMES, made))
    return list(load_tree(store.file(entry, FRAMES)))


def _given(asked: LabelStudy) -> tuple[list[Configuration], bool]:
    """Frames of files, or conformers of a SMILES, and whether it was one."""
    files = [Path(each) for each in asked.what]
    if len(files) == 1 and not files[0].exists() and not files[0].suffix:
        return conformers(asked.what[0], CONFORMERS, asked.seed), True
    missing = [path for path in files if not path.exists()]
    if missing:
        raise FileNotFoundError(2, "there is no such file, and it is no SMILES", str(missing[0]))
    found = [frame for path in files for frame in read_labeled(path).frames]
    if not found:
        raise StudyError(f"{files[0]} holds no frames")
    return found, False


def _usual_ways(given: Sequence[Configuration], from_smiles: bool) -> tuple[str, ...]:
    if from_smiles:
        return ("modes", "dynamics")
    return ("strain",) if len(given) == 1 and any(given[0].periodic) else ("as-given",)


def _made(
    asked: LabelStudy, given: Sequence[Configuration], ways: Sequence[str], level: Level
) -> list[Configuration]:
    """Frames in all ways, each with ``info["made by"]``; an even share for each way."""
    temperature = quantity(asked.temperature, "temperature")
    cheap = cheap_level(level, given[0])
    made = []
    for k, way in enumerate(ways):
        count = len(range(k, asked.frames, len(ways)))
        if way == "as-given":
            found = list(given)
        elif way == "strain":
            found = strained_frames(given[0], count, seed=asked.seed)
        elif way == "modes":
            found = normal_modes(nearest_minimum(given[0], cheap), cheap).frames(
                count, temperature, asked.seed
            )
        else:
            found = _along_dynamics(given, cheap, count, temperature, asked.seed)
        made += [replace(frame, info={**frame.info, "made by": way}) for frame in found]
    return made


def _along_dynamics(given, cheap, count, temperature, seed):
    """Frames of one run from each of a few of those given."""
    starts = given[:CONFORMERS]
    shares = [len(range(k, count, len(starts))) for k in range(len(starts))]
    runs = (
        dynamics_frames(start, cheap, share, temperature, seed=seed + k)
        for k, (start, share) in enumerate(zip(starts, shares))
        if share
    )
    return [frame for run in runs for frame in run]


def cheap_level(level: Level, frame: Configuration) -> TightBinding | NamedCalculator:
    """What makes geometries: the level itself if dynamics can ask it, GFN2-xTB for molecules, GFN1-xTB for cells."""
    if isinstance(level, TightBinding | NamedCalculator):
        return level
    charge, unpaired = charge_and_unpaired(frame, level.charge, level.unpaired)
    return TightBinding("GFN1-xTB" if any(frame.periodic) else "GFN2-xTB", charge=charge, unpaired=unpaired)


def different_frames(frames: Sequence[Configuration]) -> list[Configuration]:
    """Frames without those that are others again, turned or with like atoms exchanged."""
    repeated = {k for group in duplicates(frames) for k in group[1:]}
    return [frame for k, frame in enumerate(frames) if k not in repeated]


def _write(frames: Sequence[Configuration], folder: Path, test: float) -> int:
    """All labeled frames, and the same in two files; how many are in that for tests, the last of each kind."""
    if not frames:
        return 0
    write_configurations(folder / "labels.xyz", frames)
    kinds: dict[str, list[int]] = {}
    for k, frame in enumerate(frames):
        kinds.setdefault(str(frame.info["made by"]), []).append(k)
    kept = {k for places in kinds.values() for k in places[len(places) - round(test * len(places)) :]}
    if kept:
        write_configurations(folder / "train.xyz", [frame for k, frame in enumerate(frames) if k not in kept])
        write_configurations(folder / "test.xyz", [frames[k] for k in sorted(kept)])
    return len(kept)


def _results(
    asked: LabelStudy,
    level: Level,
    made: Sequence[Configuration],
    frames: Sequence[Configuration],
    labeled: LabeledFrames,
    ways: Sequence[str],
    from_smiles: bool,
    tests: int,
) -> LabelResults:
    energies, forces = _above_the_lowest(labeled.frames)
    names = sorted({formula(frame) for frame in frames})
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    repeats = len(made) - len(frames)
    found = [f"{len(labeled.frames)} of {len(frames)} frames have labels, {labeled.bought} asked for now."]
    if len(energies):
        found.append(
            f"Energies reach {significant(float(energies.max()))} kJ/mol an atom above the lowest; the typical force "
            f"component is {significant(float(np.sqrt(np.mean(forces**2))))} kJ/mol/nm."
        )
    diagnoses = []
    if labeled.failures:
        share = len(labeled.failures) / len(frames)
        diagnoses.append(
            Diagnosis(
                "problem" if share > 0.1 else "warning",
                f"{len(labeled.failures)} frames have no label; they are kept with the reason and not asked for again.",
            )
        )
    if repeats:
        diagnoses.append(Diagnosis("note", f"{repeats} frames were others again and were left out."))
    keys = [CITED.get(level.name, "sun2020"), *(CITED[way] for way in ways if way in CITED)]
    return LabelResults(
        title=f"Labels of {shown}",
        subtitle=f"{level.name}, {len(labeled.frames)} frames",
        origins=tuple(str(frame.info["made by"]) for frame in labeled.frames),
        energies=energies,
        forces=forces,
        failures=tuple(sorted(labeled.failures.items())),
        asked=(f"{level.name} about {len(frames)} frames: {', '.join(ways)}.",),
        found=tuple(found),
        certainty=(
            "Labels are as right as the level is; each is kept with program and settings.",
            *((f"{tests} frames, the last of each kind, are in test.xyz.",) if tests else ()),
        ),
        diagnoses=tuple(diagnoses),
        provenance={
            "settings": {
                "what": ", ".join(asked.what),
                "frames": ", ".join(ways),
                "temperature": asked.temperature,
                "seed": str(asked.seed),
            },
            "level": dict(labeled.provenance),
            "versions": versions(),
        },
        citations=citations(tuple(dict.fromkeys(keys + ([CITED["smiles"]] if from_smiles else [])))),
    )


def _above_the_lowest(frames: Sequence[Configuration]) -> tuple[np.ndarray, np.ndarray]:
    """Energies for each atom above the lowest of the same composition, and root mean square forces."""
    lowest: dict[str, float] = {}
    for frame in frames:
        assert frame.energy is not None
        name = formula(frame)
        lowest[name] = min(lowest.get(name, np.inf), frame.energy)
    energies = [(frame.energy - lowest[formula(frame)]) / len(frame) for frame in frames]
    forces = [np.sqrt(np.mean(np.square(frame.forces))) for frame in frames]
    return np.array(energies, float), np.array(forces, float)
