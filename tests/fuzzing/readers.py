"""The readers that are tried: each writes a file that is right, and reads one of that kind."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import mdtraj
import numpy as np
import openmm.app as app

from thalweg.interop.files.colvar import colvar_trajectories
from thalweg.interop.files.configurations import read_configurations, write_configurations
from thalweg.interop.files.hills import read_hills
from thalweg.interop.files.trajectories import (
    TrajectoryFile,
    read_topology,
    topology_to_mdtraj,
    write_trajectory,
)
from thalweg.interop.openmm.build import build_system
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learning.storage import load_tree, save_tree
from thalweg.machine.arrays import stored_arrays
from thalweg.sampling.plans import VERSION, plain, read_plan
from thalweg.sampling.restarts.uncertainty import Uncertainty
from thalweg.sampling.store import write_json
from thalweg.studies.tables.fit_study import load_fit
from thalweg.studies.tables.study import load
from thalweg.systems.configuration import Configuration

PEPTIDE = Path(str(files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"))
STUDY = Path(str(files("thalweg.cli") / "demo.toml"))
TOPOLOGY = read_topology(PEPTIDE)
FRAMES = np.random.default_rng(1).normal(size=(6, 22, 3)).astype(np.float32)

FIT = """
title = "Silicon"
seed = 3
[data]
train = ["frames.xyz"]
validation = 0.2
test = ["other.xyz"]
index = "::2"
units = {energy = "eV", length = "Å"}
[representation]
kind = "ACE"
cutoff = "5 Å"
levels = [6, 4]
[learner]
kind = "Linear"
regularization = {kind = "Ridge", strength = 1e-6}
[[baseline]]
kind = "StillingerWeber"
[references]
Si = "-5.2 eV"
[weights]
energy = "1 meV"
force = "0.1 eV/Å"
[learning_curve]
sizes = [10, 20]
"""

COLVAR = "\n".join(
    [
        "#! FIELDS time phi d.x metad.bias",
        "#! SET min_phi -pi",
        "#! SET max_phi pi",
        *(f" {0.2 * k:.6f} {0.1 * k - 1:.6f} {1.5 + 0.01 * k:.6f} {0.3 * k:.6f}" for k in range(20)),
        "",
    ]
)

HILLS = "\n".join(
    [
        "#! FIELDS time phi d.x sigma_phi sigma_d.x height biasf",
        "#! SET multivariate false",
        "#! SET kerneltype stretched-gaussian",
        "#! SET min_phi -pi",
        "#! SET max_phi pi",
        *(
            f" {k + 1} {0.1 * k - 1:.6f} {1.5 + 0.01 * k:.6f} 0.35 0.02 {1.2 - 0.05 * k:.6f} 10"
            for k in range(20)
        ),
        "",
    ]
)

PSF = """PSF

       1 !NTITLE
 REMARKS two molecules

       4 !NATOM
       1 A    1    ALA  N    NH1   -0.470000       14.0070           0
       2 A    1    ALA  CA   CT1    0.070000       12.0110           0
       3 A    1    ALA  C    C      0.510000       12.0110           0
       4 A    2    GLY  N    NH1   -0.470000       14.0070           0

       3 !NBOND: bonds
       1       2       2       3       3       4

"""


@dataclass(frozen=True)
class Reader:
    """A way in for files.

    Attributes
    ----------
    name : of the file that is damaged
    write : writes it, and what it needs beside it, into a folder
    read : reads all of the file at a path
    """

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]


def all_frames(path: Path) -> int:
    """Frames of a trajectory of the peptide, each of them read."""
    return sum(len(chunk.positions) for chunk in TrajectoryFile(path, TOPOLOGY))


def trajectory(suffix: str) -> Reader:
    """A trajectory that MDTraj writes, in a cubic box."""

    def write(folder: Path) -> None:
        frames = mdtraj.Trajectory(FRAMES, topology_to_mdtraj(TOPOLOGY), time=2.0 * np.arange(len(FRAMES)))
        frames.unitcell_lengths = np.full((len(FRAMES), 3), 3.0)
        frames.unitcell_angles = np.full((len(FRAMES), 3), 90.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frames.save(str(folder / f"run{suffix}"))

    return Reader(f"run{suffix}", write, all_frames)


def labeled_frames(path: Path) -> object:
    return read_configurations(path)


def write_labeled(folder: Path) -> None:
    """Three frames with energies, forces and stresses, one of them a molecule."""
    random = np.random.default_rng(3)
    frames = [
        Configuration(
            np.array([14, 14, 8]),
            random.random((3, 3)),
            np.eye(3) if k else None,
            (k > 0,) * 3,
            -1.5 * k,
            random.normal(size=(3, 3)),
            np.eye(3) * 0.1 if k else None,
        )
        for k in range(3)
    ]
    write_configurations(folder / "frames.xyz", frames)


def structure(path: Path) -> object:
    """A structure as a topology, as a trajectory, and with a force field."""
    topology = read_topology(path)
    list(TrajectoryFile(path, topology))
    return build_system(pdb=path, forcefield=["amber14/protein.ff14SB.xml"])


def amber(path: Path) -> object:
    """The system of a prmtop, and its atoms."""
    read_topology(path)
    return build_system(prmtop=path, inpcrd=path.with_suffix(".inpcrd"))


def write_amber(folder: Path) -> None:
    from interop.openmm.test_build import amber_files

    amber_files(folder)


def coordinates(path: Path) -> object:
    return build_system(prmtop=path.with_suffix(".prmtop"), inpcrd=path)


def write_fit(folder: Path) -> None:
    write_labeled(folder)
    (folder / "other.xyz").write_bytes((folder / "frames.xyz").read_bytes())
    (folder / "fit.toml").write_text(FIT, "utf-8")


def write_tree(folder: Path) -> None:
    save_tree(folder / "tree.tree", {"a": (1.5, None, np.arange(4)), 6: [Uncertainty(3.0), {"b": np.eye(2)}]})


def write_plan(folder: Path) -> None:
    tasks = [{"id": f"segments/{k}", "work": plain((Uncertainty(k + 0.5), {"seed": k}))} for k in range(3)]
    write_json(folder / "plan.json", {"version": VERSION, "tasks": tasks})


def write_system(folder: Path) -> None:
    (folder / "peptide.pdb").write_bytes(PEPTIDE.read_bytes())
    (folder / "system.xml").write_text(alanine_dipeptide("obc2").openmm_xml)


def write_cif(folder: Path) -> None:
    structure = app.PDBFile(str(PEPTIDE))
    with open(folder / "peptide.cif", "w") as file:
        app.PDBxFile.writeFile(structure.topology, structure.positions, file)


def colvar(path: Path) -> object:
    return colvar_trajectories([path])


def arrays(path: Path) -> object:
    with stored_arrays(path) as found:
        return found["x"]


READERS = {
    "extxyz": Reader("frames.xyz", write_labeled, labeled_frames),
    "DCD": trajectory(".dcd"),
    "XTC": trajectory(".xtc"),
    "TRR": trajectory(".trr"),
    "NetCDF": trajectory(".nc"),
    "mdcrd": trajectory(".mdcrd"),
    "lammpstrj": trajectory(".lammpstrj"),
    "GRO": trajectory(".gro"),
    "PDB": Reader(
        "peptide.pdb", lambda folder: (folder / "peptide.pdb").write_bytes(PEPTIDE.read_bytes()), structure
    ),
    "PDB trajectory": Reader(
        "run.pdb", lambda folder: write_trajectory(folder / "run.pdb", FRAMES, TOPOLOGY), all_frames
    ),
    "mmCIF": Reader("peptide.cif", write_cif, structure),
    "prmtop": Reader("hcl.prmtop", write_amber, amber),
    "inpcrd": Reader("hcl.inpcrd", write_amber, coordinates),
    "PSF": Reader("chain.psf", lambda folder: (folder / "chain.psf").write_text(PSF), read_topology),
    "System XML": Reader(
        "system.xml", write_system, lambda path: build_system(xml=path, pdb=path.with_name("peptide.pdb"))
    ),
    "study": Reader("demo.toml", lambda folder: (folder / "demo.toml").write_bytes(STUDY.read_bytes()), load),
    "fit study": Reader("fit.toml", write_fit, load_fit),
    "model": Reader(
        "silicon.model",
        lambda folder: LearnedPotential({14: 0.0}, (stillinger_weber_silicon(),)).save(
            folder / "silicon.model"
        ),
        LearnedPotential.load,
    ),
    "tree": Reader("tree.tree", write_tree, load_tree),
    "arrays": Reader(
        "arrays.npz", lambda folder: np.savez(folder / "arrays.npz", x=np.arange(5), y=np.eye(3)), arrays
    ),
    "COLVAR": Reader("COLVAR", lambda folder: (folder / "COLVAR").write_text(COLVAR), colvar),
    "HILLS": Reader("HILLS", lambda folder: (folder / "HILLS").write_text(HILLS), read_hills),
    "plan": Reader("plan.json", write_plan, read_plan),
}
