"""The variables that made a coordinate are found among many, redundant ones told with them."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.interpretation.dictionary import Dictionary
from thalweg.time_series.trajectories import Trajectories

TURN = 2 * np.pi


def angles(seed: int = 0, frames: int = 2000, columns: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, (frames, columns))


def test_two_angles_are_found_among_forty_though_they_act_together():
    x = angles()
    y = np.stack([np.cos(x[:, 17]) * np.sin(x[:, 5]), np.cos(x[:, 17])], axis=1)
    found = Dictionary().fit(x, y, periods=[TURN] * 40)
    assert {each.column for each in found.chosen} == {5, 17}
    assert found.headline()["explained"] == pytest.approx(1, abs=0.01)


def test_noise_is_explained_by_nothing():
    for seed in range(3):
        found = Dictionary().fit(angles(seed), np.random.default_rng(seed + 9).standard_normal((2000, 2)))
        assert found.chosen == ()
        assert "no candidate explains anything" in str(found)


def test_of_variables_that_say_the_same_a_torsion_is_named_and_the_others_told():
    x = angles(columns=3)
    distance = 0.3 + 0.1 * np.cos(x[:, [1]])
    data = Trajectories([np.concatenate([distance, x], axis=1)], names=("distance", "a", "b", "c"))
    found = Dictionary().fit(data, np.cos(x[:, [1]]) ** 3, periods=[None, TURN, TURN, TURN])
    assert [each.name for each in found.chosen] == ["b"]
    assert found.chosen[0].alike == ("distance",)


def mixtures(x: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Distances of which each knows the first two angles, some with a third."""
    use = x[:, np.array([[0, 1, 2 + k % 3] for k in range(count)])]
    size, phase = generator.normal(size=(2, count, 3))
    size[::2, 2] = 0
    squares = (size * np.cos(use + phase)).sum(axis=2) + 0.5 * np.cos(use[..., 0] - use[..., 1])
    return np.sqrt(5 + squares - squares.min(axis=0))


def test_two_torsions_are_named_though_mixtures_of_them_explain_more_one_by_one():
    generator = np.random.default_rng(0)
    x = generator.vonmises(-1.0, 2.0, (2000, 5))
    data = np.concatenate([mixtures(x, 30, generator), x], axis=1)
    y = np.stack([np.tanh(2 * np.cos(x[:, 0])), np.cos(x[:, 0]) * np.sin(x[:, 1]), np.sin(x[:, 1])], axis=1)
    noisy = y + 0.2 * y.std(axis=0) * generator.standard_normal(y.shape)
    found = Dictionary(count=2).fit(data, noisy, periods=[None] * 30 + [TURN] * 5)
    assert found.explained.argmax() < 30
    assert {each.column for each in found.chosen[:2]} == {30, 31}
    assert sum(each.gain for each in found.chosen[:2]) == pytest.approx(1 / 1.04, abs=0.02)


def test_a_distance_that_no_torsion_replaces_is_named():
    generator = np.random.default_rng(0)
    x = generator.vonmises(-1.0, 2.0, (2000, 5))
    data = np.concatenate([mixtures(x, 10, generator), x], axis=1)
    found = Dictionary().fit(data, 4 * data[:, [3]] ** 2, periods=[None] * 10 + [TURN] * 5)
    assert [each.column for each in found.chosen] == [3]


def test_weights_decide_which_frames_count():
    x = angles(columns=6)
    there = x[:, 3] > 0
    y = np.where(there, x[:, 1], x[:, 2])[:, None]
    weighted = Trajectories([x], weights=[np.where(there, 1.0, 1e-9)])
    assert Dictionary().fit(weighted, y).chosen[0].column == 1


def test_informations_of_gaussians_are_the_exact_ones():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((20_000, 2))
    y = 0.8 * x[:, [0]] + 0.6 * generator.standard_normal((20_000, 1))
    found = Dictionary().fit(x, y)
    # -ln(1 - r^2) / 2, of which sixteen bins keep nearly all
    np.testing.assert_allclose(found.informations[:, 0], [-0.5 * np.log(1 - 0.64), 0], atol=0.03)
    np.testing.assert_allclose(found.correlations[:, 0], [0.8, 0.0], atol=0.02)


def test_bad_input_is_told():
    x = angles(columns=3)
    with pytest.raises(ValueError, match="give both for the same frames"):
        Dictionary().fit(x, x[:-1])
    with pytest.raises(ValueError, match="2 periods for 3 candidates"):
        Dictionary().fit(x, x, periods=[None, None])
    with pytest.raises(ValueError, match="nothing to explain"):
        Dictionary().fit(x, np.ones((2000, 1)))
    with pytest.raises(ValueError, match="give 100 at least"):
        Dictionary().fit(x[:50], x[:50])
