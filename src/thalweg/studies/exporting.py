"""Slow variables of a run, written for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from thalweg.dynamics.engine import Variable
from thalweg.geometry.composed_variables import Composed
from thalweg.interop.files.trajectories import read_topology
from thalweg.interop.formulas.colvars import colvars_input
from thalweg.interop.formulas.plumed import plumed_input
from thalweg.interop.openmm.variables import openmm_xml
from thalweg.sampling.policies.slow_variable_loop import SlowVariableLoop
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.slow_variable import Projection, SlowVariable
from thalweg.studies.apparatus import features_of
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
    """From the first seed, in double precision."""
    policy, store = study.policy(), Store(run)
    if not isinstance(policy, SlowVariableLoop):
        raise ValueError(f'{run} learns no slow variable; its campaign is not of kind = "slow-variable-loop"')
    learned = [entry for entry in policy.entries(policy.seeds[0], "learn") if store.has(entry)]
    if not learned:
        raise ValueError(f"{run} has learned no slow variable yet; go on: thalweg resume {run}")
    model = SlowVariable.read(store, learned[-1])
    features = features_of(read_topology(run / "topology.pdb"), study.features)
    names = tuple(f"slow {k + 1}" for k in range(model.matrix.shape[1]))
    return Composed(Projection(model.mean, model.matrix), features, names)
