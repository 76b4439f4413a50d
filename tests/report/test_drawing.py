"""Figures of what estimators found, made in one call."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.interpretation.importance import loading_importance
from thalweg.collective_variables.interpretation.symbolic_regression import SymbolicRegression
from thalweg.collective_variables.linear.tica import TICA
from thalweg.kinetics.macrostates.quasi_markov import memory_scan
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.model_scan import ModelScan
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.chapman_kolmogorov import chapman_kolmogorov
from thalweg.kinetics.validation.implied_timescales import ImpliedTimescales
from thalweg.report.drawing import figure, write_figures
from thalweg.time_series.cross_validation import ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories

STATES = np.cumsum(np.random.default_rng(0).random(4000) < 0.02) % 2
DATA = Trajectories(
    [STATES[:, None] * [1.0, 0.5] + np.random.default_rng(1).normal(0, 0.1, (4000, 2))], names=["d1", "d2"]
)
MODEL = MarkovStateModel(5, n_processes=1)


RESULTS = {
    "lag time [ps]": lambda: ImpliedTimescales([1, 5], n_processes=1, samples=10).fit(
        DiscreteTrajectories([STATES], dt=2.0)
    ),
    "time [ps]": lambda: chapman_kolmogorov(MODEL.fit(STATES), np.arange(2), multiples=3, samples=10),
    "lag time [frames]": lambda: ImpliedTimescales([1, 5], n_processes=1, samples=10).fit(STATES),
    "memory [frames]": lambda: memory_scan(STATES, 1, [1, 2], samples=5),
    "held-out score": lambda: ModelScan(MODEL, (5,), (1,), n_states=(4, 8), splits=ShuffleSplit(2)).run(
        {"d": DATA}
    ),
    "score": lambda: {"TICA": cross_validate(TICA(5, dim=1), DATA, ShuffleSplit(2))},
    "share of the coordinate": lambda: loading_importance(TICA(5, dim=1).fit(DATA), DATA),
    "symbols in the formula": lambda: SymbolicRegression(complexity=4).fit(DATA, lambda x: 1 + 2 * x[:, :1]),
}


@pytest.mark.parametrize("axis", RESULTS)
def test_every_result_has_a_figure_with_named_axes_and_finite_points(axis):
    drawn = figure(RESULTS[axis]())
    assert drawn.layout.xaxis.title.text == axis
    points = [np.asarray(trace.x) for trace in drawn.data]
    assert all(len(x) and np.isfinite(x.astype(float)).all() for x in points)


def test_what_has_no_figure_is_answered_with_what_has():
    with pytest.raises(TypeError, match=r"no figure of int; .* ChapmanKolmogorovTest"):
        figure(3)


def test_figures_go_into_one_file_that_loads_nothing(tmp_path):
    drawn = figure(RESULTS["score"]())
    write_figures(tmp_path / "both.html", [drawn, drawn])
    text = (tmp_path / "both.html").read_text()
    assert text.count("plotly-graph-div") == 2
    assert 'src="http' not in text
