"""A study of the whole loop: a potential from quantum labels, and the sampling that it drives; TOML for calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from thalweg.studies.tables.language import StudyError, did_you_mean, read, toml_of
from thalweg.studies.tables.potential_study import TABLES as TAUGHT
from thalweg.studies.tables.potential_study import LearnedStudy, potential_study_from_table
from thalweg.studies.tables.study import Study, from_table
from thalweg.units import AtLeast, Count

SAMPLED = ("title", "dynamics", "features", "campaign", "execution", "states", "report")
"""Tables of a study of sampling, of which the loop gives ``[system]``."""


@dataclass(frozen=True)
class Returns:
    """When sampling goes back to the level of theory, and what is asked of it at the end.

    Parameters
    ----------
    most : times that labels are bought where sampling left the envelope of the potential, at most
    outside : share of the sampled ensemble that may lie outside of it
    labels : bought at each return
    judged : frames of the ensemble that are judged
    checked : frames of each state that the level is asked about at the end, to correct free energies to it; zero for
        none
    members : potentials taught all labels but a part each, whose scatter is the error that the labels leave
    """

    most: Annotated[int, AtLeast(0)] = 2
    outside: Annotated[float, AtLeast(0)] = 0.02
    labels: Count = 30
    judged: Count = 400
    checked: Annotated[int, AtLeast(0)] = 100
    members: Annotated[int, AtLeast(2)] = 5


@dataclass(frozen=True)
class LoopStudy:
    """The whole loop.

    Attributes
    ----------
    potential : how the first potential is made
    sampling : tables of the study of sampling, without ``[system]``
    returns : when to go back
    table : the study with every default written out
    """

    potential: LearnedStudy
    sampling: Mapping[str, Any]
    returns: Returns
    table: Mapping[str, Any]

    def sampled(self, potential: Path, start: Path) -> Study:
        """The study of sampling with a potential, from a structure."""
        system = {"potential": str(potential), "start": str(start)}
        return from_table({**self.sampling, "system": system})


def load_loop_study(path: Path) -> LoopStudy:
    """The study in a TOML file.

    Raises
    ------
    StudyError
        If the file is no TOML, or a key or value is wrong.
    """
    table = toml_of(path)
    return loop_study_from_table({"title": path.stem, **table})


def loop_study_from_table(table: Mapping[str, Any]) -> LoopStudy:
    """The study in ``table``.

    Examples
    --------
    >>> study = loop_study_from_table({"potential": {"what": ["ClCCCl"]}, "dynamics": {"dt": "1 fs"},
    ...     "campaign": {"kind": "SlowVariableLoop"}, "returns": {"most": 1}})
    >>> study.potential.potential.level, study.returns.most
    ('gfn2', 1)
    >>> loop_study_from_table({"potential": {"what": ["ClCCCl"]}, "system": {}})
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: the study has no table "system"; ...
    """
    known = (*TAUGHT, *SAMPLED, "returns")
    for key in table:
        if key not in known:
            raise StudyError(f'the study has no table "{key}"; {did_you_mean(key, known)}')
    taught = potential_study_from_table({key: table[key] for key in TAUGHT if key in table})
    returns, written = read(Returns, table.get("returns", {}), "returns")
    sampled = {key: table[key] for key in SAMPLED if key in table}
    nowhere = {"potential": "model.thalweg", "start": "start.xyz"}
    whole = from_table({**sampled, "system": nowhere}).tables
    resolved = {key: value for key, value in whole.items() if key != "system"}
    return LoopStudy(taught, resolved, returns, {**taught.table, **resolved, "returns": written})
