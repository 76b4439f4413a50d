"""Labels that frames alike contradict are given up; what is only far from the others is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.frames.inspection import inspect
from thalweg.systems.configuration import Configuration
from thalweg.units import ELECTRONVOLT


@pytest.mark.parametrize("off", [1.0, -5.0, 20.0, 1e5])
def test_an_energy_that_is_another_frame_s_is_given_up_and_named(molecules, off):
    frames = [replace(f, info={"file": "a.xyz", "frame in file": 3 * k}) for k, f in enumerate(molecules(40))]
    frames[7] = replace(frames[7], energy=frames[7].energy + off * ELECTRONVOLT)
    findings = inspect(frames)
    assert findings.outliers == {7}
    assert "(frame 21 of a.xyz)" in str(findings)
    assert len(findings.kept(frames)) == 39
    assert len(findings.kept(frames, keep=("outliers",))) == 40


def test_forces_a_million_times_too_large_are_given_up(molecules):
    frames = molecules(40)
    frames[5] = replace(frames[5], forces=1e6 * frames[5].forces)
    assert inspect(frames).outliers == {5}


def test_hot_compressed_and_torn_frames_are_kept(molecules):
    from_afar = [molecules(40), molecules(1, amplitude=0.05, seed=5), molecules(1, amplitude=0.03, seed=8)]
    frames = [frame for part in from_afar for frame in part]
    assert not inspect(frames).outliers


def test_a_pair_of_atoms_pulled_apart_has_no_outlier():
    frames = []
    for r in np.linspace(0.28, 0.7, 40):
        attraction = (0.34 / r) ** 6
        slope = 24 * (attraction - 2 * attraction**2) / r
        pull = np.array([[0, 0, slope], [0, 0, -slope]])
        points = np.array([[0, 0, 0], [0, 0, r]])
        frames.append(
            Configuration(np.array([18, 18]), points, energy=4 * (attraction**2 - attraction), forces=pull)
        )
    assert not inspect(frames).outliers
