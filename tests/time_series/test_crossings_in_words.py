"""Times are written in the unit of their size, and in frames where the time between them was not given."""

from __future__ import annotations

import re

import numpy as np
import pytest

from thalweg.collective_variables import PCA, TICA, VAMP
from thalweg.kinetics import (
    CoreSets,
    DiscreteTrajectories,
    HiddenMarkovModel,
    ImpliedTimescales,
    MarkovStateModel,
    QuasiMarkov,
    lumped,
)
from thalweg.time_series import Trajectories

SIDE = np.cumsum(np.random.default_rng(0).random(3000) < 0.02) % 2
POINTS = SIDE[:, None] * [1.0, 0.5] + np.random.default_rng(1).normal(0, 0.1, (3000, 2))

WRITTEN = {
    "Markov model": lambda states, _: MarkovStateModel(2, n_processes=1).fit(states),
    "hidden": lambda states, _: HiddenMarkovModel(2, restarts=1).fit(states),
    "scan": lambda states, _: ImpliedTimescales([1, 3], n_processes=1, samples=5).fit(states),
    "memory": lambda states, _: QuasiMarkov(1, memory=2).fit(states),
    "lumped": lambda states, _: lumped(MarkovStateModel(2).fit(states), np.arange(2)),
    "core sets": lambda states, _: CoreSets(2).fit(states),
    "TICA": lambda _, points: TICA(2, dim=1).fit(points),
    "VAMP": lambda _, points: VAMP(2, dim=1).fit(points),
    "trajectories": lambda _, points: points,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_no_picoseconds_are_written_where_none_were_given(name):
    model = WRITTEN[name](DiscreteTrajectories([SIDE]), Trajectories([POINTS]))
    for text in (str(model), repr(model), model._repr_html_()):
        assert " ps" not in text, text
    assert "frame" in repr(model)


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - {"trajectories"}))
def test_long_times_are_written_in_nanoseconds(name):
    given = WRITTEN[name](DiscreteTrajectories([SIDE], dt=1000.0), Trajectories([POINTS], dt=1000.0))
    free = WRITTEN[name](DiscreteTrajectories([SIDE]), Trajectories([POINTS]))
    assert not re.search(r"\d frames?", str(given))
    assert " ns" in repr(given)
    # the same numbers: a thousand picoseconds a frame are a nanosecond
    assert repr(given) == repr(free).replace("frames", "ns").replace("frame", "ns")


def test_principal_components_have_no_time():
    assert "frame" not in repr(PCA(1).fit(POINTS))
