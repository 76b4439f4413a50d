"""A study that makes a potential of a molecule or crystal: what, by which level, how well; TOML for Python calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thalweg.labeling.choice import ChoiceRule
from thalweg.learned_potentials.recipe import Recipe
from thalweg.sampling.policies.active_learning import ActiveLearning
from thalweg.studies.tables.families import FAMILIES, LEARNERS
from thalweg.studies.tables.language import Family, StudyError, choose, did_you_mean, read, toml_of
from thalweg.units import Count, Picoseconds

CHOICES = Family(
    ChoiceRule,
    {
        name: f"labeling.{name}"
        for name in ("LargestSpread", "LargestGrade", "FarthestFrames", "FarthestFromData", "RandomFrames")
    },
    default="LargestSpread",
)

TABLES = ("potential", "learning", "learner")
"""Tables of a study."""


@dataclass(frozen=True)
class PotentialStudy:
    """What to make a potential of.

    Parameters
    ----------
    what : one SMILES, or files and folders of frames
    level : as `thalweg.interop.quantum.levels.level_of` takes it
    baseline : a cheaper level that the potential stands on, so that only the difference is learned; empty for none
    first : frames to label before anything is learned
    test : frames along dynamics of a cheap method that nothing is learned from
    run : time that the finished potential must hold out at the highest temperature
    charge, unpaired : total charge [e] and unpaired electrons, where SMILES or files do not say
    seed : of all that is drawn
    workers : processes that label and walk at once
    days : time of one core beyond which labels are refused
    """

    what: tuple[str, ...]
    level: str = "gfn2"
    baseline: str = ""
    first: Count = 40
    test: Count = 60
    run: Picoseconds = 10.0
    charge: int = 0
    unpaired: int = 0
    seed: int = 0
    workers: Count = 1
    days: float = 2.0

    def __post_init__(self):
        if not self.what:
            raise ValueError("what = []; give a SMILES, or files of frames")


@dataclass(frozen=True)
class LearnedStudy:
    """A study and how it learns.

    Attributes
    ----------
    potential : what to make
    learning : how much to walk and to label, and when to stop
    recipe : how to learn; None for what suits the frames
    table : the study with every default written out
    """

    potential: PotentialStudy
    learning: ActiveLearning
    recipe: Recipe | None
    table: Mapping[str, Any]


def load_potential_study(path: Path) -> LearnedStudy:
    """The study in a TOML file.

    Raises
    ------
    StudyError
        If the file is no TOML, or a key or value is wrong.
    """
    table = toml_of(path)
    return potential_study_from_table(table)


def potential_study_from_table(table: Mapping[str, Any]) -> LearnedStudy:
    """The study in ``table``.

    Examples
    --------
    >>> study = potential_study_from_table({"potential": {"what": ["CCO"]}, "learning": {"duration": "3 ps"}})
    >>> study.potential.level, study.learning.duration, study.recipe
    ('gfn2', 3.0, None)
    >>> potential_study_from_table({"potential": {"what": ["CCO"], "lvl": "gfn2"}})
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: [potential] has no key "lvl"; did you mean "level"? ...
    """
    for key in table:
        if key not in TABLES:
            raise StudyError(f'the study has no table "{key}"; {did_you_mean(key, TABLES)}')
    if "potential" not in table:
        raise StudyError('the study misses [potential]; give [potential] what = ["CCO"]')
    resolved: dict[str, Any] = {}
    potential, resolved["potential"] = read(PotentialStudy, table["potential"], "potential")
    learning, resolved["learning"] = read(ActiveLearning, table.get("learning", {}), "learning", (CHOICES,))
    if "seed" not in table.get("learning", {}):
        learning = replace(learning, seed=potential.seed)
    recipe = None
    if "learner" in table:
        made, resolved["learner"] = choose(LEARNERS, table["learner"], "learner", FAMILIES)
        recipe = made if isinstance(made, Recipe) else Recipe(made)
    return LearnedStudy(potential, learning, recipe, resolved)
