"""From the tables of a study to a system that can be simulated; every worker process builds its own."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse.csgraph import shortest_path

from thalweg import __version__
from thalweg.dynamics.engine import Engine, Langevin, Variable
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.geometry.bond_graph import heavy_atom_pairs
from thalweg.geometry.composed_variables import SineCosine
from thalweg.geometry.torsions import backbone_dihedrals, dihedral_names, rotatable_dihedrals
from thalweg.geometry.variables import Dihedrals
from thalweg.geometry.variables import Distances as DistanceVariable
from thalweg.interop.files.dcd import open_dcd
from thalweg.interop.files.trajectories import write_trajectory
from thalweg.interop.openmm import molecules
from thalweg.interop.openmm.build import build_system
from thalweg.interop.openmm.relaxation import relaxed
from thalweg.sampling.apparatus import Apparatus, factory
from thalweg.studies.tables.strict import choose, read
from thalweg.studies.tables.study import (
    FEATURES,
    BundledMolecule,
    DistanceFeatures,
    Dynamics,
    Files,
    TorsionFeatures,
)
from thalweg.systems.system import System
from thalweg.systems.topology import Topology

MOST_DISTANCES = 5000
"""Features beyond which a campaign spends its time on features."""

SLACK = 1.1
"""How much longer than at the start a chain of bonds can be pulled."""


@factory
def apparatus(
    system: Mapping[str, Any], dynamics: Mapping[str, Any], features: Mapping[str, Any]
) -> Apparatus:
    """The apparatus that the tables ``[system]``, ``[dynamics]`` and ``[features]`` of a study describe."""
    settings = read(Dynamics, dynamics, "dynamics")
    molecule = system_from(read(BundledMolecule if "molecule" in system else Files, system, "system"))
    variable = features_of(molecule.topology, choose(FEATURES, features, "features"))
    return Apparatus(
        engine=engine_from(molecule, settings),
        features=variable,
        positions=np.asarray(molecule.positions),
        masses=np.asarray(molecule.masses),
        kT=settings.kT,
        box=molecule.box,
        bounds=bounds_of(molecule, variable),
        trajectories=DCDFiles(molecule.topology),
        card={"engine": settings.engine, "system": dict(system), "versions": versions()},
    )


def system_from(settings: BundledMolecule | Files) -> System:
    """The system of a ``[system]`` table; what comes from files is relaxed first.

    Raises
    ------
    BuildError
        If the files or settings do not make a system.
    """
    given = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    if isinstance(settings, BundledMolecule):
        build = getattr(molecules, given.pop("molecule"))
        return build(**given)
    return relaxed(build_system(**given))


def engine_from(system: System, settings: Dynamics) -> Engine:
    """The engine of a ``[dynamics]`` table."""
    integrator = Langevin(settings.kT, settings.dt, settings.friction)
    if settings.engine == "native":
        return NativeEngine(system, integrator)
    from thalweg.interop.openmm.engine import OpenMMEngine

    return OpenMMEngine(system, integrator, platform=settings.platform)


def features_of(topology: Topology, settings: TorsionFeatures | DistanceFeatures) -> Variable:
    """The features of a ``[features]`` table.

    Raises
    ------
    ValueError
        If the molecule has no such features, or too many.
    """
    if isinstance(settings, TorsionFeatures):
        return SineCosine(Dihedrals(torsions(topology, settings.select), topology))
    pairs = heavy_atom_pairs(topology, settings.separation)
    if not 0 < len(pairs) <= MOST_DISTANCES:
        raise ValueError(
            f'[features] kind = "distances" makes {len(pairs)} of them with separation = {settings.separation}; 1 to '
            f'{MOST_DISTANCES} are possible, change separation or use kind = "torsions"'
        )
    return DistanceVariable(pairs, topology)


def bounds_of(system: System, variable: Variable) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of where each feature can lie."""
    if isinstance(variable, SineCosine):
        ends = np.ones(len(variable.names))
        return -ends, ends
    return np.zeros(len(variable.names)), longest_distances(system, np.array(variable.atoms))


def torsions(topology: Topology, select: str) -> np.ndarray:
    """Backbone phi and psi, or the torsion of every bond that turns, as rows of four atoms."""
    if select == "rotatable":
        quads = rotatable_dihedrals(topology)
    else:
        named = backbone_dihedrals(topology)
        quads = np.concatenate([named["phi"], named["psi"]])
    if len(quads) == 0:
        raise ValueError(
            f'features: no {select} torsion in this molecule; use select = "rotatable" or kind = "distances"'
        )
    return quads


def named_torsions(topology: Topology) -> dict[str, np.ndarray]:
    """Every torsion that has a name people know, such as ``"phi ALA2"``, with its four atoms."""
    backbone = backbone_dihedrals(topology)
    quads = np.concatenate([backbone["phi"], backbone["psi"], rotatable_dihedrals(topology)])
    return dict(zip(dihedral_names(topology, quads), quads))


def longest_distances(system: System, pairs: np.ndarray) -> np.ndarray:
    """How far each pair can be apart [nm]: the bonds between them laid out straight, pulled by `SLACK`."""
    bonds, x, n = system.topology.bonds, system.positions, len(system.topology)
    lengths = np.zeros((n, n))
    lengths[bonds[:, 0], bonds[:, 1]] = np.linalg.norm(x[bonds[:, 0]] - x[bonds[:, 1]], axis=1)
    ways = shortest_path(lengths, directed=False)[pairs[:, 0], pairs[:, 1]]
    widest = 2 * np.ptp(x, axis=0).max() if system.box is None else np.linalg.norm(system.box.sum(0))
    return SLACK * np.where(np.isfinite(ways), ways, widest)


@dataclass(frozen=True)
class DCDFiles:
    """Frames as ``walker-000.dcd``: single precision, opened by every viewer beside ``topology.pdb``."""

    topology: Topology

    def write(self, folder: Path, walkers: Sequence[np.ndarray], box: np.ndarray | None, dt: float) -> None:
        for number, positions in enumerate(walkers):
            if len(positions):
                write_trajectory(folder / f"walker-{number:03d}.dcd", positions, self.topology, box, dt)

    def read(self, folder: Path, walker: int, frame: int) -> np.ndarray:
        return open_dcd(folder / f"walker-{walker:03d}.dcd").positions(frame, frame + 1)[0]


def versions() -> dict[str, str]:
    """Versions of what decides the numbers of a run."""
    packages = ("jax", "jaxlib", "numpy", "openmm")
    return {
        "thalweg": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
