"""The model switch turns where and as slowly as it says."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.testsystems.activation import ActivationSwitch

MODEL = ActivationSwitch()


def test_progress_forgets_with_the_time_scale_of_the_model():
    progress = np.stack(MODEL.sample(200, 1500, seed=0).progress)
    form = np.sign(progress)
    short, long = ((form[:, : 1500 - each] * form[:, each:]).mean() for each in (100, 400))
    assert 300 / np.log(short / long) == pytest.approx(MODEL.timescale, rel=0.15)


def test_residues_of_the_switch_turn_where_they_are_said_to_and_others_do_not():
    runs = MODEL.sample(20, 2000, seed=1)
    x, q = np.concatenate(runs.torsions), np.concatenate(runs.progress)
    for k in range(MODEL.residues):
        apart = np.hypot(*(x[q > 0.8].mean(axis=0) - x[q < -0.8].mean(axis=0))[2 * k : 2 * k + 2])
        assert (apart > 0.5) == (k in MODEL.switches), f"residue {k} moves by {apart}"
