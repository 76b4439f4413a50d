"""Frames of a fit: read, looked over, and dealt to training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from thalweg.interop.files.configurations import LabeledFile, read_labeled
from thalweg.interop.files.file_units import FileUnits
from thalweg.learned_potentials.frames.findings import Findings
from thalweg.learned_potentials.frames.inspection import inspect
from thalweg.learned_potentials.frames.isolated_atoms import trusted_atom_energies, without_isolated_atoms
from thalweg.learning.splits import farthest_points, group_split, random_split
from thalweg.representations.expansions.ace import ACE
from thalweg.studies.tables.fit_study import Data, FitStudy
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.systems.elements import SYMBOLS

STRETCHES = 20
"""Stretches of consecutive frames that a file is cut into for ``split = "blocks"``."""


@dataclass(frozen=True)
class FitFrames:
    """What a fit learns from, and is judged on.

    Attributes
    ----------
    training, validation, test : frames without isolated atoms
    references : energies of isolated atoms, of all elements or None [kJ/mol]
    findings : what the inspection of all frames said
    said : what was read and left out, in sentences
    """

    training: list[Configuration]
    validation: list[Configuration]
    test: list[Configuration]
    references: dict[int, float] | None
    findings: Findings
    said: tuple[str, ...]


def frames_of(study: FitStudy) -> FitFrames:
    """Read, look over and deal the frames of a study.

    Frames in error, gross outliers and repetitions of earlier frames are left out, and stresses of another sign or unit
    corrected, unless the study keeps them; frames of the test come first, so that what is tested on is never trained
    on.

    Raises
    ------
    StudyError
        If too few frames are left, or the split cannot be made.
    ValueError
        If a file cannot be read, or forces are not the gradient of the energies.
    """
    data = study.data
    indices = {"test": data.test_index, "validation": data.validation_index, "train": data.index}
    files = {name: given if not isinstance(given := getattr(data, name), float) else () for name in indices}
    names = names_apart([file for each in files.values() for file in each])
    read = [read_frames(files[name], names, data, study.units, index) for name, index in indices.items()]
    given = [one.frames for one in read]
    everything = [frame for frames in given for frame in frames]
    if not everything:
        raise StudyError("[data] the files hold no frames; give others, or another index")
    if all(frame.energy is None and frame.forces is None and frame.stress is None for frame in everything):
        raise StudyError(
            "[data] no frame has an energy, forces or a stress to learn from; say what they are called by energy_key, "
            "forces_key, stress_key or virial_key (--energy-key, ...)"
        )
    findings = inspect(everything)
    require_units(findings, data)
    out = findings.left_out(data.keep)
    starts = np.cumsum([0, *(len(frames) for frames in given)])
    test, validation, train = (
        [findings.corrected(frame, data.keep) for k, frame in enumerate(frames) if start + k not in out]
        for frames, start in zip(given, starts)
    )
    said = [_contents(everything), *(f"{note[0].upper()}{note[1:]}." for one in read for note in one.notes)]
    said += left_out_in_words(findings, data)
    kept = [*test, *validation, *train]
    atoms, foreign = trusted_atom_energies(kept)
    said += [f"{note}." for note in foreign]
    references, sentence = _references(study, atoms, elements_of(without_isolated_atoms(kept)))
    said.append(sentence)
    test, validation, train = (without_isolated_atoms(frames) for frames in (test, validation, train))
    train, validation, test = _dealt(train, validation, test, data)
    if not train:
        raise StudyError("[data] no frames are left to train on; see what the inspection says")
    said.append(
        f"{len(train)} frames to train on, {len(validation)} to calibrate on, {len(test)} to test on."
    )
    return FitFrames(train, validation, test, references, findings, tuple(said))


def read_frames(
    files: Sequence[str], names: Mapping[str, str], data: Data, units: FileUnits, index: str = ":"
) -> LabeledFile:
    """Frames of all ``files``, which are called by their ``names``; see `names_apart`."""
    read = [_read(Path(file), names[file], data, units, index) for file in files]
    notes = dict.fromkeys(note for one in read for note in one.notes)
    return LabeledFile([frame for one in read for frame in one.frames], tuple(notes))


def names_apart(files: Sequence[str]) -> dict[str, str]:
    """A name for each file, with as many of its folders as it takes to tell it from the others.

    Examples
    --------
    >>> names_apart(["a/x.xyz", "b/x.xyz", "c/y.xyz"])
    {'a/x.xyz': 'a/x.xyz', 'b/x.xyz': 'b/x.xyz', 'c/y.xyz': 'y.xyz'}
    """
    paths = {file: Path(file).parts for file in files}
    names = {}
    for file, parts in paths.items():
        ends = (parts[-depth:] for depth in range(1, len(parts)))
        alone = (end for end in ends if sum(other[-len(end) :] == end for other in paths.values()) == 1)
        names[file] = "/".join(next(alone, parts))
    return names


def require_units(findings: Findings, data: Data) -> None:
    """Refuse files whose forces are not the gradient of their energies, or that are in other units.

    Raises
    ------
    StudyError
        With the factor and what to do.
    """
    whole = [finding for finding in findings.errors if not finding.frames]
    mixed = [finding.message for finding in whole if finding.kind != "units"]
    if mixed:
        raise StudyError(f"[data] {'; '.join(mixed)}; convert them, or leave out one")
    other = [finding.message for finding in whole if finding.kind == "units"]
    if other and "units" not in data.keep:
        raise StudyError(
            f'[data] {"; ".join(other)}; say so by [data.units] energy = "Ha", length = "bohr" and the like '
            '(--energy-unit, --length-unit), or keep = ["units"] (--keep units) if they are right as they are'
        )


def left_out_in_words(findings: Findings, data: Data) -> list[str]:
    """Which frames are left out and why, and how they could be kept; one sentence a reason."""
    said = []
    wrong = {k for finding in findings.errors for k in finding.frames}
    if wrong:
        said.append(f"{len(wrong)} frames in error are left out.")
    for kind, frames, what in (
        ("repeated", findings.repeated - wrong, "the same as an earlier one"),
        ("outliers", findings.outliers - wrong, "whose labels contradict those of frames alike"),
    ):
        if frames and kind not in data.keep:
            count = f"{len(frames)} frame{'s' * (len(frames) > 1)} {what}"
            said.append(
                f'{count} {"are" if len(frames) > 1 else "is"} left out; to keep such, keep = ["{kind}"] in [data] '
                f"(--keep {kind})."
            )
    return said


def _read(file: Path, name: str, data: Data, units: FileUnits, index: str) -> LabeledFile:
    try:
        read = read_labeled(
            file,
            index,
            energy_key=data.energy_key,
            forces_key=data.forces_key,
            stress_key=data.stress_key,
            virial_key=data.virial_key,
            units=units,
            format=data.format,
        )
    except OSError as trouble:
        if trouble.strerror:
            raise
        raise StudyError(f"{file} cannot be read: {trouble}") from trouble
    if name == file.name:
        return read
    frames = [replace(frame, info={**frame.info, "file": name}) for frame in read.frames]
    return LabeledFile(frames, read.notes)


def _contents(frames: Sequence[Configuration]) -> str:
    labels = {
        "energies": sum(frame.energy is not None for frame in frames),
        "forces": sum(frame.forces is not None for frame in frames),
        "stresses": sum(frame.stress is not None for frame in frames),
    }
    symbols = ", ".join(SYMBOLS[z] for z in elements_of(frames))
    there = ", ".join(f"{name} on {count}" for name, count in labels.items() if count) or "no labels"
    return f"{len(frames)} frames of {symbols}, {sum(len(frame) for frame in frames)} atoms in all: {there}."


def _references(study: FitStudy, atoms: dict[int, float], elements: tuple[int, ...]):
    """Energies of isolated atoms and the sentence that says where they are from."""
    wanted = set(elements)
    if study.references is not None:
        missing = [SYMBOLS[z] for z in sorted(wanted - set(study.references))]
        if missing:
            raise StudyError(f"[references] misses {', '.join(missing)}; give their energies too, or none")
        return dict(study.references), "Energies of isolated atoms are those of the study."
    if wanted <= set(atoms):
        return atoms, "Energies of isolated atoms are in the data and are used."
    some = f" (only {', '.join(SYMBOLS[z] for z in atoms)} are in the data)" if atoms else ""
    return None, f"Energies of isolated atoms are fitted{some}."


def _dealt(train, validation, test, data: Data):
    """Training, validation and test frames, the last two out of the first where they are fractions."""
    shares = [share if isinstance(share, float) else 0.0 for share in (data.validation, data.test)]
    if not any(shares):
        return train, validation, test
    fractions = [1 - sum(shares), *shares]
    counts = [round(share * len(train)) for share in shares]
    if any(share and not count for share, count in zip(shares, counts)) or sum(counts) >= len(train):
        raise StudyError(
            f"[data] validation = {data.validation} and test = {data.test} of {len(train)} frames leave a set empty; "
            "give more frames, other fractions, or 0"
        )
    parts = _parts(train, fractions, counts, data)
    kept, first, second = ([train[k] for k in part] for part in parts)
    return kept, first if shares[0] else validation, second if shares[1] else test


def _parts(frames, fractions, counts, data: Data):
    rest = len(frames) - sum(counts)
    if data.split == "random":
        return random_split(len(frames), (rest, *counts), data.seed)
    if data.split == "farthest":
        features = ACE(cutoff=0.5, levels=(8, 6)).over(elements_of(frames)).features(frames)
        far = farthest_points(np.stack([each.mean(0) for each in features]), rest)
        others = np.setdiff1d(np.arange(len(frames)), far)
        return np.sort(far), *(others[part] for part in random_split(len(others), counts, data.seed))
    used = [k for k, fraction in enumerate(fractions) if fraction]
    parts: list = [np.zeros(0, int)] * 3
    groups = _groups(frames, data)
    try:
        found = group_split(groups, [fractions[k] for k in used], data.seed)
    except ValueError as error:
        raise StudyError(f'[data] split = "{data.split}": {error}') from None
    for k, part in zip(used, found):
        parts[k] = part
    return parts


def _groups(frames, data: Data) -> list[str]:
    if data.split == "blocks":
        length = max(1, -(-len(frames) // STRETCHES))
        return [f"{frame.info.get('file')} {k // length}" for k, frame in enumerate(frames)]
    missing = [k for k, frame in enumerate(frames) if data.group not in frame.info]
    if missing:
        known = ", ".join(sorted(map(str, frames[missing[0]].info)))
        raise StudyError(
            f'[data] group = "{data.group}": frame {missing[0]} has no such entry (it has {known}); use another, or '
            'split = "blocks"'
        )
    return [str(frame.info[data.group]) for frame in frames]
