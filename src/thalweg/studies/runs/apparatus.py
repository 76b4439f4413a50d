"""From the tables of a study to a system that can be simulated; every worker process builds its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.dynamics.engine import Engine
from thalweg.dynamics.integrator import Integrator
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.interop.files.dcd import open_dcd
from thalweg.interop.files.trajectories import write_trajectory
from thalweg.interop.lammps.lammps_input import LAMMPSInput
from thalweg.interop.openmm import molecules
from thalweg.interop.openmm.build import build_system
from thalweg.interop.openmm.relaxation import relaxed
from thalweg.labeling.level import Level
from thalweg.machine.versions import versions
from thalweg.sampling.apparatus import Apparatus, factory
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.study import (
    CalculatedMolecule,
    Dynamics,
    LearnedMolecule,
    MoleculeInSolvent,
    PeptideOfSequence,
    ScriptedMolecule,
    SimulatedSystem,
    read_dynamics,
    read_features,
    read_system,
)
from thalweg.systems.system import System
from thalweg.systems.topology import Topology


@factory
def apparatus(
    system: Mapping[str, Any], dynamics: Mapping[str, Any], features: Mapping[str, Any]
) -> Apparatus:
    """The apparatus that the tables ``[system]``, ``[dynamics]`` and ``[features]`` of a study describe."""
    settings, integrator, _ = read_dynamics(dynamics)
    described = read_system(system)[0]
    molecule = _system_from(described, settings)
    engine = _engine_from(molecule, settings, integrator, described)
    measured, _ = read_features(features)
    variable = measured.variable(molecule.topology)
    return Apparatus(
        engine=engine,
        features=variable,
        positions=np.asarray(molecule.positions),
        masses=np.asarray(molecule.masses),
        kT=settings.kT,
        box=molecule.box,
        bounds=measured.bounds(molecule, variable),
        trajectories=DCDFiles(molecule.topology),
        constraints=molecule.constraints,
        card=_card(settings, engine) | {"system": dict(system), "versions": versions()},
        notes=molecule.notes,
    )


def _system_from(settings: SimulatedSystem, dynamics: Dynamics) -> System:
    """The system of a ``[system]`` table; what comes from files is relaxed first.

    Raises
    ------
    BuildError
        If the files or settings do not make a system.
    """
    if isinstance(settings, LearnedMolecule):
        from thalweg.studies.runs.learned_system import learned_system

        if dynamics.engine != "native":
            raise StudyError(
                f'[dynamics] engine = "{dynamics.engine}" does not run a learned potential here; leave the native one'
            )
        return learned_system(settings.potential, settings.start, dynamics.dt)
    if isinstance(settings, CalculatedMolecule):
        from thalweg.interop.ase.calculated_system import calculated_system
        from thalweg.studies.runs.learned_system import first_frame, topology_of

        if dynamics.engine != "ase":
            raise StudyError(
                f'[dynamics] engine = "{dynamics.engine}" cannot ask {settings.level} for energies; use engine = "ase"'
            )
        first = first_frame(settings.start, dynamics.dt)
        return calculated_system(first, topology_of(first), _level(settings))
    if isinstance(settings, ScriptedMolecule):
        from thalweg.studies.runs.learned_system import check_step

        if dynamics.engine != "lammps":
            raise StudyError(
                f'[dynamics] engine = "{dynamics.engine}" knows nothing of scripts of LAMMPS; use engine = "lammps"'
            )
        scripted = _lammps_input(settings).system()
        check_step(dynamics.dt, scripted.topology.elements)
        return scripted
    if dynamics.engine == "lammps":
        raise StudyError(
            '[dynamics] engine = "lammps" runs what a script and a data file describe: give lammps and data in '
            "[system], or use another engine"
        )
    given = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    if isinstance(settings, MoleculeInSolvent):
        by_sequence = isinstance(settings, PeptideOfSequence)
        build = molecules.peptide if by_sequence else getattr(molecules, given.pop("molecule"))
        around = {f.name: given.pop(f.name) for f in dataclasses.fields(molecules.WaterAround)}
        molecule = build(**given, water=molecules.WaterAround(**around))
        return relaxed(molecule) if by_sequence or molecule.box is not None else molecule
    return relaxed(build_system(**given))


def _card(settings: Dynamics, engine: Engine) -> dict[str, Any]:
    """Which program, and where in it, made the numbers."""
    platform = getattr(engine, "platform", None)
    return {"engine": settings.engine} | ({} if platform is None else {"platform": platform})


def _lammps_input(settings: ScriptedMolecule) -> LAMMPSInput:
    """The script and the data of a ``[system]`` table."""
    try:
        return LAMMPSInput.read(settings.lammps, settings.data)
    except (ValueError, OSError) as error:
        raise StudyError(f"[system] lammps: {error}") from None


def _level(settings: CalculatedMolecule) -> Level:
    """The level of theory of a ``[system]`` table."""
    from thalweg.interop.quantum.levels import level_of

    try:
        return level_of(settings.level, settings.charge, settings.unpaired)
    except ValueError as error:
        raise StudyError(f"[system] level: {error}") from None


def _engine_from(
    system: System, settings: Dynamics, integrator: Integrator, described: SimulatedSystem
) -> Engine:
    """The engine of a ``[dynamics]`` table."""
    if settings.engine == "native":
        return NativeEngine(system, integrator)
    if settings.engine == "ase":
        from thalweg.interop.ase.engine import ASEEngine
        from thalweg.interop.ase.level_calculator import LevelCalculator

        calculated = isinstance(described, CalculatedMolecule)
        return ASEEngine(system, integrator, LevelCalculator(_level(described)) if calculated else None)
    if isinstance(described, ScriptedMolecule):
        from thalweg.interop.lammps.engine import LAMMPSEngine

        return LAMMPSEngine(system, integrator, _lammps_input(described))
    from thalweg.interop.openmm.engine import OpenMMEngine

    return OpenMMEngine(system, integrator, settings.platform, threads=settings.threads)


@dataclass(frozen=True)
class DCDFiles:
    """Frames as ``walker-000.dcd``: single precision, opened by every viewer beside ``topology.pdb``."""

    topology: Topology

    def write(self, folder: Path, walkers: Sequence[np.ndarray], boxes: Sequence, dt: float) -> None:
        for number, (positions, box) in enumerate(zip(walkers, boxes)):
            if len(positions):
                write_trajectory(folder / f"walker-{number:03d}.dcd", positions, self.topology, box, dt)

    def read(self, folder: Path, walker: int, frame: int) -> np.ndarray:
        return open_dcd(folder / f"walker-{walker:03d}.dcd").positions(frame, frame + 1)[0]
