"""Slow variables of a run, written for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from thalweg.dynamics.engine import Variable
from thalweg.interop.files.trajectories import read_topology
from thalweg.interop.formulas.colvars import colvars_input
from thalweg.interop.formulas.plumed import plumed_input
from thalweg.interop.openmm.variables import openmm_xml
from thalweg.studies.runs.running import store_of
from thalweg.studies.tables.study import Study

PROGRAMS: dict[str, Callable[[Variable, str], str]] = {
    "plumed": plumed_input,
    "colvars": colvars_input,
    "openmm": openmm_xml,
}
"""How a variable is written for each program, given its name there."""


def export_variable(study: Study, run: Path, program: str, name: str) -> str:
    """The last slow variable that a run has learned, as text for ``program``.

    Raises
    ------
    ValueError
        If the program is not known, or the run has learned none.
    """
    if program not in PROGRAMS:
        raise ValueError(f"no program {program!r} is known; known are {', '.join(PROGRAMS)}")
    return PROGRAMS[program](_last_learned(study, run), name)


def _last_learned(study: Study, run: Path) -> Variable:
    """What the campaign drove last, in double precision."""
    driven = study.campaign.variable(store_of(run))
    if driven is None:
        raise ValueError(
            f"{run} has learned no variable; go on: thalweg resume {run}, or take a campaign that does"
        )
    return driven.variable(study.features.variable(read_topology(run / "topology.pdb")))
