"""Physical variables in place of learned ones, by distribution and by correlation, where the right one is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from thalweg.collective_variables.interpretation.surrogate import ByCorrelation, ByDistribution, Surrogate
from thalweg.collective_variables.linear.pca import PCA
from thalweg.learning.models import Model, Transforming
from thalweg.time_series.trajectories import Trajectories


@dataclass(frozen=True)
class _KnownModel(Model):
    direction: tuple[float, ...]

    def transform(self, data):
        return np.tanh(2 * np.asarray(data) @ np.array(self.direction))[:, None]


@dataclass(frozen=True)
class Known(Transforming):
    """Has learned a curved function of one direction, whatever the data."""

    direction: tuple[float, ...]

    def fit(self, data):
        return _KnownModel(self.direction)


def wells(frames=6000, seed=0):
    """Two wells along a direction of 45 degrees between the first two features, noise in three more."""
    rng = np.random.default_rng(seed)
    along = rng.choice([-1.0, 1.0], frames, p=[0.7, 0.3]) + 0.15 * rng.standard_normal(frames)
    across = rng.standard_normal(frames)
    turned = np.stack([along - across, along + across], axis=1) / np.sqrt(2)
    return np.concatenate([turned, rng.standard_normal((frames, 3)) * [0.1, 1.0, 30.0]], axis=1)


@pytest.mark.parametrize("likeness", [ByDistribution(), ByCorrelation()])
def test_the_direction_between_two_features_that_was_learned_is_chosen(likeness):
    x = wells()
    model = Surrogate(Known((1.0, 1.0, 0.0, 0.0, 0.0)), likeness).fit(x)
    assert model.names == ("0.71 feature 0 + 0.71 feature 1",)
    assert abs(model.correlations[0]) > 0.95
    assert abs(np.corrcoef(model.transform(x)[:, 0], x[:, 0] + x[:, 1])[0, 1]) > 0.999


def test_it_is_turned_round_where_the_coordinate_is():
    model = Surrogate(Known((-1.0, -1.0, 0.0, 0.0, 0.0)), ByDistribution()).fit(wells())
    assert model.names == ("0.71 feature 0 + 0.71 feature 1",)


def test_weights_decide_what_is_alike():
    """With weights that leave one well of the first feature, only the second is in two."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (4000, 2)) + 0.1 * rng.standard_normal((4000, 2))
    weights = np.where(x[:, 0] > 0, 1.0, 1e-6)
    model = Surrogate(Known((0.0, 1.0)), directions=2).fit(Trajectories([x], weights=[weights]))
    assert model.names == ("feature 1",)
    assert model.candidates[0][1].unlikeness > 0.1


def test_two_coordinates_have_two_variables_and_as_many_must_be_there():
    x = np.random.default_rng(0).standard_normal((500, 2)) * [3, 1]
    model = Surrogate(PCA(dim=2), ByCorrelation()).fit(x)
    assert sorted(model.names) == ["feature 0", "feature 1"]
    with pytest.raises(ValueError, match=r"2 coordinates were learned, but features have only 1 different"):
        Surrogate(PCA(dim=2), ByCorrelation(), directions=2).fit(
            np.stack([x[:, 0], x[:, 0] + 1e-3 * x[:, 1]], axis=1)
        )


def test_what_is_alike_by_chance_comes_after_what_goes_with_the_coordinate():
    x = wells()
    x[:, 3] = np.random.default_rng(5).permutation(np.tanh(2 * (x[:, 0] + x[:, 1])))
    model = Surrogate(Known((1.0, 1.0, 0.0, 0.0, 0.0)), ByDistribution()).fit(x)
    assert model.names == ("0.71 feature 0 + 0.71 feature 1",)
    alike = next(each for each in model.candidates[0] if each.name == "feature 3")
    assert alike.unlikeness < model.candidates[0][1].unlikeness


def test_where_nothing_goes_with_the_coordinate_it_is_told():
    x = np.random.default_rng(0).standard_normal((2000, 16))
    model = Surrogate(Known((1.0,) * 16), ByDistribution(), directions=4).fit(x)
    assert "alike may be by chance" in model.notes[0]
