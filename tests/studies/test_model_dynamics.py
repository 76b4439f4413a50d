"""Molecular dynamics with a learned potential: what is there before the end, and what breaks has a name."""

from __future__ import annotations

from functools import partial

import ase.io
import numpy as np
import pytest

from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.learned_potentials.parametric.pair_terms import lennard_jones
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.studies import model_dynamics
from thalweg.studies.model_dynamics import Plan, simulate, write_frames
from thalweg.systems.configuration import Configuration


@pytest.fixture
def argon():
    """Two atoms of argon near their minimum."""
    return Configuration(np.array([18, 18]), np.array([[0.0, 0, 0], [0.38, 0, 0]]))


@pytest.fixture
def potential():
    return LearnedPotential({18: 0.0}, (lennard_jones((18,), [1.0], [0.34], cutoff=1.0),))


def test_frames_are_written_while_the_run_goes_on(argon, potential, tmp_path, monkeypatch):
    monkeypatch.setattr(model_dynamics, "WRITTEN_EVERY", 0.0)
    seen = []

    def kept(course):
        write_frames(course, argon, tmp_path / "run", extxyz=True)
        seen.append(len(course.times))
        raise KeyboardInterrupt  # as by a user, or a kill

    with pytest.raises(KeyboardInterrupt):
        simulate(potential, argon, Plan(50.0, 0.2, 0.002, save_every=0.01), kept=kept)
    folder = tmp_path / "run"
    frames = TrajectoryFile(folder / "replica-0.dcd", read_topology(folder / "topology.pdb"))
    assert frames.n_frames == seen[-1] >= 1
    written = ase.io.read(folder / "replica-0.extxyz", ":")
    assert len(written) == seen[-1]
    assert np.isfinite([atoms.get_potential_energy() for atoms in written]).all()
    assert (folder / "energies.csv").is_file()
    assert not (folder / "stability.json").exists()


def test_an_atom_that_flies_off_is_named_by_element_and_number(argon, potential):
    close = Configuration(argon.numbers, np.array([[0.0, 0, 0], [0.2, 0, 0]]))
    course = simulate(potential, close, Plan(50.0, 0.2, 0.02, save_every=0.02))
    assert any(f"Ar{k}" in course.broken[0] for k in (0, 1))


def test_what_was_written_before_is_what_comes_after(argon, potential, tmp_path):
    plan = Plan(50.0, 0.05, 0.002, save_every=0.01)
    course = simulate(
        potential, argon, plan, kept=partial(write_frames, start=argon, folder=tmp_path / "never")
    )
    assert course.positions.shape == (1, 5, 2, 3)
    assert not (tmp_path / "never").exists()  # short runs write once, at the end
