"""A function that is not linear in the features, by a network, and the residues it is of."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.interpretation.importance import gradient_importance
from thalweg.collective_variables.linear.functional_modes import FunctionalModes
from thalweg.collective_variables.neural.functional_network import FunctionalNetwork
from thalweg.time_series.trajectories import Trajectories

METHOD = FunctionalNetwork(hidden=(16,), steps=400, restarts=1)


def _runs() -> Trajectories:
    random = np.random.default_rng(0)
    return Trajectories([random.standard_normal((length, 12)) for length in (800, 350, 450, 200, 200)])


def test_what_is_not_linear_is_learned_by_a_network_and_not_by_least_squares():
    data = _runs()
    function = [(run[:, :1] - run[:, 5:6]) ** 2 for run in data]
    linear = FunctionalModes(most=2, samples=2).fit(data, function)
    network = METHOD.fit(data, function)
    assert not linear.predictable
    assert network.correlation > 0.9
    ranked = gradient_importance(network.transform, data, most=256).grouped(
        [[f"RES{k // 3}"] for k in range(12)]
    )
    assert set(ranked.names[:2]) == {"RES0", "RES1"}
    more = [np.random.default_rng(1).standard_normal((500, 12))]
    assert network.score(more, [(run[:, :1] - run[:, 5:6]) ** 2 for run in more]) > 0.9
    assert network.transform(more[0]).mean() == pytest.approx(2.0, abs=0.3), "in the unit of the function"


def test_weights_say_which_frames_count():
    data = _runs()
    function = [np.where(np.arange(len(run)) % 2 == 0, run[:, 0], run[:, 1])[:, None] for run in data]
    weights = [1.0 * (np.arange(len(run)) % 2 == 0) for run in data]
    network = METHOD.fit(Trajectories(data.blocks, weights=weights), function)
    assert network.correlation > 0.9
    assert gradient_importance(network.transform, data, most=256).values[:2, 0] @ [1, -5] > 0


def test_what_is_no_function_is_refused():
    data = _runs()
    with pytest.raises(ValueError, match="2 functions; give one number"):
        METHOD.fit(data, lambda frames: frames[:, :2])
    with pytest.raises(ValueError, match="is 1 in all frames"):
        METHOD.fit(data, lambda frames: 0 * frames[:, :1] + 1)
