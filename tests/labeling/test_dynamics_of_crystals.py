"""Geometries along dynamics of a crystal: it keeps its cell and its temperature."""

from __future__ import annotations

import ase.build
import numpy as np
import pytest

from thalweg.interop.files.configurations import from_atoms
from thalweg.labeling.geometries.dynamics import dynamics_frames
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon


@pytest.mark.long
def test_a_crystal_vibrates_about_its_lattice_in_its_cell():
    start = from_atoms(ase.build.bulk("Si", cubic=True))
    frames = dynamics_frames(start, stillinger_weber_silicon(), 4, 300.0, every=0.02, begin=0.02, dt=0.002)
    assert len(frames) == 4
    for frame in frames:
        np.testing.assert_array_equal(frame.box, start.box)
        apart = frame.positions - start.positions
        assert 0 < np.abs(apart - apart.mean(0)).max() < 0.05
