"""A scan scores every combination on held-out data, survives bad ones and goes on where it was killed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.collective_variables.linear.tica import TICA
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.model_scan import Combination, ModelScan, Result, ScanTable
from thalweg.kinetics.pipeline import MarkovPipeline
from thalweg.kinetics.states.clustering import KMeans
from thalweg.time_series.cross_validation import ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories


@pytest.fixture(scope="module")
def features():
    """A slow switch that one set of features shows well and another hardly."""
    random = np.random.default_rng(0)
    state = (np.cumsum(random.random((6, 3000)) < 0.01, axis=1) % 2)[..., None]
    noise = random.standard_normal((6, 3000, 4))
    good, bad = noise.copy(), noise.copy()
    good[..., :1] += 4 * state
    bad[..., :1] += 0.5 * state
    return {"good": Trajectories(list(good)), "bad": Trajectories(list(bad))}


SCAN = ModelScan(
    MarkovStateModel(5, n_processes=1),
    lagtimes=(2, 5000),
    dims=(1, 2),
    n_states=(4, 10),
    splits=ShuffleSplit(3),
)


def test_better_features_score_higher_and_a_bad_lag_does_not_end_the_scan(features):
    table = SCAN.run(features)
    assert len(table.results) == 16
    assert table.best.combination.features == "good"
    failed = [result for result in table.results if result.failure]
    assert {result.combination.lagtime for result in failed} == {5000}
    assert all("leaves no pairs" in result.failure for result in failed)
    exact = 1 + 0.98**10
    assert exact - 0.15 < table.best.mean < exact + 3 * table.best.error + 0.02
    assert table.best in table.ties
    assert "good, TICA at 2" in str(table).splitlines()[0]


def test_every_kind_of_clusters_can_be_scanned_and_the_simplest_of_the_best_is_known(features):
    kinds = ("k-means", "k-centers", "k-means and k-centers")
    scan = replace(
        SCAN, lagtimes=(2,), dims=(1,), clusterings=kinds, n_states=(4, 12), splits=ShuffleSplit(2)
    )
    table = scan.run({"good": features["good"]})
    assert len(table.results) == 6
    assert not any(result.failure for result in table.results)
    assert table.simplest in table.ties
    fewest = min(result.combination.n_states for result in table.ties)
    assert table.simplest.combination.n_states == fewest


def test_a_killed_scan_goes_on_with_what_is_missing(features, tmp_path, monkeypatch):
    whole = SCAN.run(features)

    class Killed(Exception):
        pass

    def kill(text, done):
        if done >= 0.5:
            raise Killed

    with pytest.raises(Killed):
        SCAN.run(features, tmp_path, kill)
    assert len(list(tmp_path.iterdir())) == 8
    scored = []
    original = ModelScan._score
    monkeypatch.setattr(ModelScan, "_score", lambda *given: scored.append(1) or original(*given))
    resumed = SCAN.run(features, tmp_path)
    assert len(scored) == 8
    assert str(resumed) == str(whole)


def test_a_pipeline_uses_the_centers_of_its_training_data(features):
    pipeline = MarkovPipeline(MarkovStateModel(5, n_processes=1), KMeans(8), TICA(2, dim=1))
    model = pipeline.fit(features["good"])
    again = model.states(features["good"])
    np.testing.assert_array_equal(again.blocks[0], model.markov.trajectories.blocks[0])
    assert cross_validate(pipeline, features["good"], ShuffleSplit(2)).mean > 1.6


def test_what_cannot_be_scanned_is_explained(features):
    with pytest.raises(ValueError, match="known are k-means, k-centers"):
        ModelScan(MarkovStateModel(1), clusterings=("ward",))
    with pytest.raises(ValueError, match="of the same frames"):
        SCAN.run({**features, "other": Trajectories([np.zeros((5, 1))])})
    with pytest.raises(ValueError, match="got no features"):
        SCAN.run({})


def test_where_one_split_alone_gave_a_score_the_best_stands_alone():
    one = Combination("torsions", 1, 2, "kinetic_map", "k-means", 50)
    best = Result(one, (1.8,), (1.5,), 1.5, float("nan"), "")
    other = Result(replace(one, n_states=20), (1.7,), (1.4,), 1.4, float("nan"), "")
    failed = Result(one, (), (), float("nan"), float("nan"), "no transitions")
    table = ScanTable((best, other, failed))
    assert table.ties == (best,)
    assert table.simplest is best
