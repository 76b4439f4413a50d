"""A study of a learned potential: data, learner, baselines and weights, as TOML that stands for Python calls.

Whatever is left out is chosen: linear regression on the atomic cluster expansion, as large as the data can decide
(`usual_learner`), a tenth of the frames for calibration and a tenth for the test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from thalweg.interop.files.file_units import FileUnits
from thalweg.learned_potentials.frames.findings import Kept
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.parametric.core_repulsion import CoreRepulsion
from thalweg.learned_potentials.parametric.free_atoms import FreeAtoms
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learner import Learner
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.expansions.ace import ACE
from thalweg.studies.tables.families import BASELINES, COMMITTEES, FAMILIES, LEARNERS
from thalweg.studies.tables.language import StudyError, choose, did_you_mean, read, toml_of, value, written
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.systems.elements import SYMBOLS
from thalweg.units import AnySign, AtLeast, Count, KilojoulesPerMole

SIZES = (
    (6, 5), (8, 6), (10, 8), (9, 8, 6), (10, 8, 7), (10, 9, 8), (12, 10, 9), (14, 12, 10, 9), (16, 14, 12, 11),
)  # fmt: skip
"""Levels of the cluster expansion that `usual_learner` tries, smallest first."""

LARGEST = 3000
"""Most coefficients that `usual_learner` takes: a fit of a few minutes."""

TOP = ("title", "seed", "data", "learner", "representation", "messages", "committee", "baseline", "references",
       "weights", "core_repulsion", "fall_back", "learning_curve")  # fmt: skip
"""Tables and keys of a study."""


@dataclass(frozen=True)
class Data:
    """Which frames to fit to, to calibrate on and to test on.

    Parameters
    ----------
    train : files
    validation, test : files of their own, or the fraction of the training files to hold out
    split : held-out frames are drawn at random, as whole groups, as stretches of consecutive frames (for the frames of
        one trajectory, which resemble each other), or so that the training frames lie far apart
    group : key of a frame that names its group; ``"file"`` is the name of its file
    index, validation_index, test_index : which frames of each file to train on, and of files of their own to calibrate
        and test on, as in ASE
    keep : what to keep as it is although an inspection advises against it: ``"repeated"`` frames, ``"outliers"`` whose
        labels contradict those of frames alike, a ``"stress"`` of another sign or unit, ``"units"`` that look mistaken
    energy_key, forces_key, stress_key, virial_key, format : see `read_configurations`
    seed : of the split
    """

    train: tuple[str, ...]
    validation: tuple[str, ...] | float = 0.1
    test: tuple[str, ...] | float = 0.1
    split: Literal["random", "group", "blocks", "farthest"] = "random"
    group: str = "file"
    index: str = ":"
    validation_index: str = ":"
    test_index: str = ":"
    keep: tuple[Kept, ...] = ()
    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    virial_key: str | None = None
    format: str | None = None
    seed: int = 0

    def __post_init__(self):
        if not self.train:
            raise ValueError("train = []; give at least one file")
        held = [share for share in (self.validation, self.test) if isinstance(share, float)]
        if any(not 0 <= share < 1 for share in held) or sum(held) >= 1:
            raise ValueError(
                f"validation = {self.validation} and test = {self.test}; give fractions that leave frames to train on"
            )


@dataclass(frozen=True)
class Curve:
    """A learning curve: numbers of training frames, and how often each is drawn."""

    sizes: tuple[Count, ...]
    splits: Annotated[int, AtLeast(2)] = 3


@dataclass(frozen=True)
class FitStudy:
    """A whole study.

    Attributes
    ----------
    learner : alone, without its committee; None to choose when the frames are known
    baselines : known terms, and learners of such, fitted first
    references : energies of isolated atoms by atomic number [kJ/mol], or None to find them
    core_repulsion, fall_back : settings, or None for none
    table : the study as a table, every default written out
    """

    title: str
    seed: int
    data: Data
    units: FileUnits
    learner: Learner | None
    baselines: tuple[Any, ...]
    references: Mapping[int, float] | None
    weights: Weights
    core_repulsion: CoreRepulsion | None
    fall_back: FreeAtoms | None
    curve: Curve | None
    table: Mapping[str, Any]


def load_fit(path: Path) -> FitStudy:
    """The study in a TOML file; paths in it are relative to its folder.

    Raises
    ------
    StudyError
        If the file is no TOML, or a key or value is wrong.
    """
    table = toml_of(path)
    return fit_from_table(table, path.stem, path.parent)


def fit_from_table(table: Mapping[str, Any], name: str, folder: Path = Path()) -> FitStudy:
    """The study in ``table``; see `load_fit`.

    Examples
    --------
    >>> study = fit_from_table({"data": {"train": ["."]}, "weights": {"energy": "1 meV"}}, "silicon")
    >>> study.title, study.data.validation, study.learner
    ('silicon', 0.1, None)
    >>> fit_from_table({"data": {"train": ["."], "tset": 0.2}}, "silicon")
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: [data] has no key "tset"; did you mean "test"? Known: ...
    """
    for key in table:
        if key not in TOP:
            raise StudyError(f'the study has no key "{key}"; {did_you_mean(key, TOP)}')
    if "data" not in table:
        raise StudyError('the study misses [data]; give [data] train = ["frames.xyz"]')
    resolved: dict[str, Any] = {
        "title": value(table.get("title", name), str, "title")[0],
        "seed": value(table.get("seed", 0), int, "seed")[0],
    }
    data, units, resolved["data"] = _data(table["data"], folder)
    learner = None
    if any(key in table for key in ("learner", "representation", "messages")):
        learner, resolved["learner"] = _learner(table)
    paper = learner if isinstance(learner, Recipe) else None
    if paper is not None:
        learner = paper.learner
    if "committee" in table:
        of = {"learner": Linear(ACE()) if learner is None else learner}
        _, resolved["committee"] = choose(COMMITTEES, table["committee"], "committee", FAMILIES, of)
    baselines = []
    for k, entry in enumerate(_list(table.get("baseline", []), "baseline")):
        made, settings = choose(BASELINES, _located(entry, folder), f"baseline {k + 1}", FAMILIES)
        baselines.append(made)
        resolved.setdefault("baseline", []).append(settings)
    if baselines and "mean" in resolved.get("learner", {}) and "mean" not in table.get("learner", {}):
        learner = replace(learner, mean=None)  # a baseline is what it falls back to
        resolved["learner"]["mean"] = "none"
    references = _references(table.get("references"), resolved)
    usual = {} if paper is None else written(paper.weights)
    weights, resolved["weights"] = read(Weights, table.get("weights", usual), "weights")
    core = CoreRepulsion() if paper is None else paper.core_repulsion
    if "core_repulsion" in table:
        core = value(table["core_repulsion"], CoreRepulsion | None, "core_repulsion")[0]
    resolved["core_repulsion"] = "none" if core is None else written(core)
    free = FreeAtoms() if paper is None else paper.fall_back
    if "fall_back" in table:
        free = value(table["fall_back"], FreeAtoms | None, "fall_back")[0]
    resolved["fall_back"] = "none" if free is None else written(free)
    curve = None
    if "learning_curve" in table:
        curve, resolved["learning_curve"] = read(Curve, table["learning_curve"], "learning_curve")
    return FitStudy(
        resolved["title"],
        resolved["seed"],
        data,
        units,
        learner,
        tuple(baselines),
        references,
        weights,
        core,
        free,
        curve,
        resolved,
    )


def data_from_table(table: Mapping[str, Any]) -> tuple[Data, FileUnits]:
    """The frames that a table of files and keys such as ``[data]`` names, and their units.

    Raises
    ------
    StudyError
        If a file is not there, or a key or value is wrong.
    """
    data, units, _ = _data(table, Path())
    return data, units


def usual_learner(configurations: Sequence[Configuration]) -> Linear:
    """Linear regression on the largest of some cluster expansions whose coefficients the labels can decide.

    It has the convex fit, the posterior and the cross-validation that no other family has together, and no setting to
    turn: half as many coefficients as labels at most, and `LARGEST`.
    """
    elements = elements_of(configurations)
    labels = sum(
        (frame.energy is not None) + (0 if frame.forces is None else 3 * len(frame))
        for frame in configurations
    )
    chosen = SIZES[0]
    for levels in SIZES:
        count = len(ACE(cutoff=0.5, levels=levels).over(elements).plan.levels) * len(elements)
        if count > min(LARGEST, labels / 2):
            break
        chosen = levels
    return Linear(ACE(cutoff=0.5, levels=chosen))


def committee_of(study: FitStudy, learner: Learner) -> Learner:
    """The committee of ``learner`` that the study asks for, or ``learner`` itself."""
    if "committee" not in study.table:
        return learner
    return choose(COMMITTEES, study.table["committee"], "committee", FAMILIES, {"learner": learner})[0]


def with_usual_learner(study: FitStudy, configurations: Sequence[Configuration]) -> FitStudy:
    """``study`` with `usual_learner`, written out, where it names none."""
    if study.learner is not None:
        return study
    levels = usual_learner(configurations).representation.levels
    chosen = {"kind": "Linear", "representation": {"kind": "ACE", "cutoff": "5 Å", "levels": list(levels)}}
    learner, settings = choose(LEARNERS, chosen, "learner", FAMILIES)
    return replace(study, learner=learner, table={**study.table, "learner": settings})


def _data(table: Any, folder: Path) -> tuple[Data, FileUnits, dict[str, Any]]:
    if not isinstance(table, Mapping):
        raise StudyError(f"[data] must be a table; got {table!r}")
    rest = dict(table)
    units, unit_names = read(FileUnits, rest.pop("units", {}), "data.units")
    for key in ("train", "validation", "test"):
        if isinstance(rest.get(key), str):
            rest[key] = [rest[key]]
    data, _ = read(Data, rest, "data")
    found = {
        key: tuple(str(path) for name in names for path in _files(name, folder, key))
        for key in ("train", "validation", "test")
        if isinstance(names := getattr(data, key), tuple)
    }
    data = replace(data, **found)
    return data, units, written(data) | {"units": unit_names}


def _files(name: str, folder: Path, key: str) -> list[Path]:
    """The file or folder ``name``, or all that match it as a pattern."""
    path = folder / name
    if path.exists():
        return [path.resolve()]
    found = sorted(path.parent.glob(path.name)) if any(sign in path.name for sign in "*?[") else []
    if not found:
        raise StudyError(f"[data] {key}: there is no file {path}; check the path")
    return [one.resolve() for one in found]


def _learner(table: Mapping[str, Any]) -> tuple[Learner | Recipe, dict[str, Any]]:
    """The learner or a paper's recipe, its representation or messages in a table of their own or in its own."""
    given = dict(table.get("learner", {"kind": "LearnedMessages" if "messages" in table else "Linear"}))
    for part in ("representation", "messages"):
        if part in table:
            if part in given:
                raise StudyError(f"[{part}] and [learner.{part}] are both given; keep one")
            given[part] = table[part]
    return choose(LEARNERS, given, "learner", FAMILIES)


def _references(table: Any, resolved: dict[str, Any]) -> dict[int, float] | None:
    if table is None:
        return None
    if not isinstance(table, Mapping):
        raise StudyError(f'[references] must be a table such as H = "-13.6 eV"; got {table!r}')
    found = {}
    for symbol, entry in table.items():
        if symbol not in SYMBOLS[1:]:
            raise StudyError(
                f'[references] "{symbol}" is no element; {did_you_mean(symbol, SYMBOLS[1:20])}, ...'
            )
        energy, _ = value(entry, AnySign[KilojoulesPerMole], f"[references] {symbol}")
        found[SYMBOLS.index(symbol)] = energy
    resolved["references"] = dict(table)
    return found


def _located(entry: Any, folder: Path) -> Any:
    """A baseline with its files made absolute where they are there."""
    if not isinstance(entry, Mapping):
        return entry

    def place(name):
        path = folder / name if isinstance(name, str) else None
        return str(path.resolve()) if path is not None and path.is_file() else name

    return {
        key: [place(one) for one in given] if isinstance(given, list) else place(given)
        for key, given in entry.items()
    }


def _list(given: Any, where: str) -> list:
    if not isinstance(given, list):
        raise StudyError(f"{where} must be a list of tables: write [[{where}]]")
    return given
