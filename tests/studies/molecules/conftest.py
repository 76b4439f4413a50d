"""Trajectories that several studies look at: a peptide two of whose residues switch, one after the other."""

from __future__ import annotations

from importlib.resources import files

import mdtraj
import numpy as np
import pytest

from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.interop.files.trajectories import read_topology
from thalweg.testsystems.activation import ActivationSwitch

PEPTIDE = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"
TURNING = {"psi GLY2": -0.4, "phi PHE4": 0.4}
"""Where along the progress each turns."""


def turned(positions, atoms, angles):
    """Positions ``(frames, atoms, 3)`` with what lies beyond the bond in the middle turned about it by angles."""
    i, j = atoms[1], atoms[2]
    axis = positions[:, j] - positions[:, i]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    arms = positions[:, j + 1 :] - positions[:, j : j + 1]
    cosine, sine = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    along = (arms @ axis[:, :, None]) * axis[:, None]
    positions[:, j + 1 :] = (
        positions[:, j : j + 1] + along + cosine * (arms - along) + sine * np.cross(axis[:, None], arms)
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    structure = mdtraj.load(str(PEPTIDE))
    topology = read_topology(PEPTIDE)
    torsions = {
        f"{kind} {topology.residue(int(atoms[1]))}": [int(k) for k in atoms]
        for kind in ("phi", "psi")
        for atoms in backbone_dihedrals(topology)[kind]
    }
    assert set(TURNING) < set(torsions)
    random = np.random.default_rng(0)
    progress = ActivationSwitch(residues=1, switches=(0,), loops=(), slow=()).sample(3, 1500, seed=0).progress
    paths = []
    for number, q in enumerate(progress):
        positions = np.repeat(structure.xyz.astype(float), len(q), axis=0)
        for name, atoms in sorted(torsions.items(), key=lambda one: one[1][1]):
            angles = 0.25 * random.standard_normal(len(q))
            if name in TURNING:
                angles += 1.2 / (1 + np.exp(-(q - TURNING[name]) / 0.1))
            turned(positions, atoms, angles)
        path = folder / f"run{number}.dcd"
        mdtraj.Trajectory(positions.astype(np.float32), structure.topology).save(str(path))
        paths.append(path)
    return paths
