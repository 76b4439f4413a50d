"""Committors, outcomes of shots and rankings have figures that show their numbers."""

from __future__ import annotations

import jax
import numpy as np

from thalweg.collective_variables.neural.encoder import Scaling
from thalweg.kinetics.committors.logit_network import LogitNetwork
from thalweg.kinetics.committors.network_committor import CommittorModel
from thalweg.kinetics.committors.shot_outcomes import ShotOutcomes
from thalweg.kinetics.committors.variable_ranking import rank_variables
from thalweg.kinetics.reactions.regions import Intervals
from thalweg.report.drawing import figure

RANDOM = np.random.default_rng(0)
SHOTS = ShotOutcomes(RANDOM.normal(size=(12, 2)), RANDOM.integers(1, 3, (12, 30)))


def test_a_committor_is_drawn_over_its_frames_and_its_error_against_itself():
    scale = Scaling(np.zeros(2, np.float32), np.ones(2, np.float32))
    sets = Intervals((-9.0,), (-1.0,), (0,)), Intervals((1.0,), (9.0,), (0,))
    members = tuple(LogitNetwork.init(scale, (4,), *sets, jax.random.key(k)) for k in range(2))
    model = CommittorModel(members, np.zeros(2), 100.0, RANDOM.normal(size=(50, 2)), ("x", "y"))
    drawn = figure(model)
    np.testing.assert_allclose(drawn.data[1].y, model.error(model.shown))
    assert drawn.layout.xaxis.title.text == "x"


def test_shots_and_the_surface_are_drawn_with_what_chance_alone_makes():
    np.testing.assert_allclose(figure(SHOTS).data[0].y, np.sort(SHOTS.committor))
    bars, expected = figure(SHOTS.distribution()).data
    assert np.sum(bars.y) == 12
    assert np.isclose(np.sum(expected.y), 12)


def test_a_ranking_is_drawn_best_first():
    ranking = rank_variables(SHOTS, {"x": SHOTS.features[:, 0], "y": SHOTS.features[:, 1]})
    assert list(figure(ranking).data[0].y) == [each.name for each in ranking.variables]
