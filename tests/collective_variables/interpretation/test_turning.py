"""The order in which residues of a known switch turn."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.interpretation.turning import turning_order
from thalweg.collective_variables.linear.tica import TICA
from thalweg.testsystems.activation import ActivationSwitch
from thalweg.time_series.trajectories import Trajectories

SWITCH = ActivationSwitch(residues=8, switches=(5, 1, 6), loops=(2,), slow=(3,))


def either_way(names):
    return tuple((name,) for name in names), tuple((name,) for name in reversed(names))


@pytest.fixture(scope="module", params=[0, 1])
def runs(request):
    return Trajectories(SWITCH.sample(6, 1500, seed=request.param).torsions, names=SWITCH.names)


def test_switches_turn_in_their_order_and_what_only_fluctuates_has_no_place(runs):
    model = TICA(20, dim=1).fit(runs)
    order = turning_order(model.transform, runs, SWITCH.members, [*SWITCH.named, "RES2", "RES4"])
    assert order.sure in either_way(SWITCH.named)
    assert order.still == ("RES2", "RES4")
    assert order.errors.max() < 0.05
    np.testing.assert_allclose(order.profiles[:, 0], 0, atol=0.3)
    np.testing.assert_allclose(order.profiles[:, -1], 1, atol=0.3)


def test_residues_that_turn_together_are_not_put_in_order():
    """Two residues that copy a third, each with its own noise."""
    (torsions,) = SWITCH.sample(1, 4000, seed=3).torsions
    random = np.random.default_rng(0)
    together = np.concatenate(
        [torsions[:, 10:12] + 0.05 * random.standard_normal((len(torsions), 2)) for _ in range(3)]
        + [torsions[:, 12:14]],
        axis=1,
    )
    members = [(f"RES{k // 2}",) for k in range(8)]
    runs = Trajectories([together])
    order = turning_order(TICA(20, dim=1).fit(runs).transform, runs, members, ["RES0", "RES1", "RES3"])
    assert ("RES0", "RES1") in {tuple(sorted(each)) for each in order.sure}


def test_weights_count(runs):
    """Frames without weight might as well not be there."""
    model = TICA(20, dim=1).fit(runs)
    half = [block[:700] for block in runs.blocks]
    weights = [np.where(np.arange(len(block)) < 700, 1.0, 0.0) for block in runs.blocks]
    blocks = [np.where(w[:, None] > 0, block, block[:1]) for block, w in zip(runs.blocks, weights)]
    found = turning_order(
        model.transform, Trajectories(blocks, weights=weights), SWITCH.members, SWITCH.named
    )
    alone = turning_order(model.transform, half, SWITCH.members, SWITCH.named)
    assert found.names == alone.names
    np.testing.assert_allclose(found.places, alone.places, atol=0.03)


def test_what_cannot_be_told_is_said(runs):
    model = TICA(20, dim=1).fit(runs)
    with pytest.raises(ValueError, match="no feature belongs to RES99; groups are RES0"):
        turning_order(model.transform, runs, SWITCH.members, ["RES99"])
    with pytest.raises(ValueError, match="coordinate 1"):
        turning_order(model.transform, runs, SWITCH.members, SWITCH.named, coordinate=1)
    with pytest.raises(ValueError, match="is the same in all"):
        turning_order(lambda x: np.zeros((len(x), 1)), runs, SWITCH.members, SWITCH.named)
