"""Residues of a switch are named; where there is none, none is."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.interpretation.importance import gradient_importance, loading_importance
from thalweg.collective_variables.interpretation.ranking import StabilitySelection, ranked
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.testsystems.activation import ActivationSwitch
from thalweg.time_series.trajectories import Trajectories

MODEL = ActivationSwitch()


@pytest.fixture(scope="module")
def runs() -> Trajectories:
    return Trajectories(MODEL.sample(10, 2000, seed=0).torsions, names=MODEL.names)


@pytest.mark.parametrize("method", [TICA(20, dim=1), SparseTICA(20, dim=1)], ids=lambda m: type(m).__name__)
def test_the_residues_of_a_known_switch_are_named_and_no_others(method, runs):
    found = StabilitySelection(pairs=5, coordinate=0).rank(
        runs, lambda part: loading_importance(method.fit(part), part), MODEL.members
    )
    assert set(found.named) == set(MODEL.named)
    assert set(found.names[:4]) == set(MODEL.named)
    assert found.by_chance == pytest.approx(4**2 / (0.5 * 40))
    assert (np.diff(found.values) <= 0).all()
    assert "RES22" in str(found)


def test_gradients_rank_as_loadings_do(runs):
    def of_gradients(part):
        return gradient_importance(TICA(20, dim=1).fit(part).transform, part, most=200)

    def of_loadings(part):
        return loading_importance(TICA(20, dim=1).fit(part), part)

    method = StabilitySelection(pairs=2, coordinate=0)
    both = [method.rank(runs, importance, MODEL.members) for importance in (of_gradients, of_loadings)]
    assert set(both[0].named) == set(both[1].named)
    first, second = (dict(zip(each.names, each.values)) for each in both)
    assert first == pytest.approx(second, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_noise_names_no_more_than_is_expected_by_chance(seed):
    noise = np.random.default_rng(seed).standard_normal((10, 400, 80))
    found = StabilitySelection(pairs=10).rank(
        list(noise), lambda part: loading_importance(TICA(1, dim=1).fit(part), part), MODEL.members
    )
    # at most 0.8 on average: four or more of a Poisson variable in one case of a hundred
    assert len(found.named) <= 3
    assert found.named or any("halves disagree" in note for note in found.notes)


def test_a_ranking_is_from_most_to_least():
    found = ranked(["a", "b", "c"], np.array([1.0, 3.0, 2.0]), np.array([[1.0, 3.0, 2.0], [1.0, 5.0, 2.0]]))
    assert found.names == ("b", "c", "a")
    np.testing.assert_allclose(found.spread, [np.sqrt(2), 0, 0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairs": 0}, "must be positive"),
        ({"threshold": 0.5}, "above 0.5"),
        ({"top": 40}, "less than the number"),
    ],
)
def test_what_selects_nothing_is_refused(settings, message, runs):
    with pytest.raises(ValueError, match=message):
        StabilitySelection(**settings).rank(
            runs, lambda part: loading_importance(TICA(20, dim=1).fit(part), part), MODEL.members
        )


def test_too_few_data_or_groups_are_refused(runs):
    def importance(part):
        return loading_importance(TICA(1, dim=1).fit(part), part)

    with pytest.raises(ValueError, match="make no halves"):
        StabilitySelection(parts=2).rank(runs, importance, MODEL.members)
    with pytest.raises(ValueError, match="got 1 groups"):
        StabilitySelection().rank(runs, importance, [["all"]] * 80)
