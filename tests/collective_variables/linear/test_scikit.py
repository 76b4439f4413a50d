"""The adapter is an estimator like those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.linear.scikit import SlowVariables
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.time_series.trajectories import Trajectories

CHECKS = list(estimator_checks_generator(SlowVariables()))


@pytest.mark.parametrize("check", [check for _, check in CHECKS], ids=[c.func.__name__ for _, c in CHECKS])
@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn_pass(check):
    check(SlowVariables())


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).standard_normal((2000, 4)).cumsum(axis=0) % 30


def test_it_takes_part_in_a_pipeline(frames):
    states = make_pipeline(StandardScaler(), SlowVariables(TICA(lagtime=3)), KMeans(5, n_init=1)).fit_predict(
        frames
    )
    assert set(states) == set(range(5))


def test_methods_are_chosen_by_a_search(frames):
    grid = {"method": [TICA(lagtime=5, dim=1), VAC(5, 2, Polynomials(2))]}
    search = GridSearchCV(SlowVariables(), grid, cv=TimeSeriesSplit(3)).fit(frames)
    assert isinstance(search.best_params_["method"], VAC)


def test_names_of_a_frame_of_data_go_in_and_out(frames):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.DataFrame(frames, columns=["a", "b", "c", "d"])
    out = SlowVariables(TICA(lagtime=3, dim=2)).set_output(transform="pandas").fit(table).transform(table)
    assert list(out.columns) == ["slowvariables0", "slowvariables1"]


def test_lengths_keep_pairs_inside_trajectories(frames):
    whole = SlowVariables(TICA(lagtime=50, dim=1)).fit(frames, lengths=[600, 1400]).model_
    direct = TICA(lagtime=50, dim=1).fit([frames[:600], frames[600:]])
    np.testing.assert_array_equal(whole.timescales, direct.timescales)
    with pytest.raises(ValueError, match="lengths add up to 30, there are 2000 frames"):
        SlowVariables().fit(frames, lengths=[10, 20])


def test_dataframes_go_in_and_come_out_with_their_index_and_names():
    pandas = pytest.importorskip("pandas")
    frames = np.random.default_rng(0).standard_normal((600, 3)).cumsum(axis=0)
    table = pandas.DataFrame(frames, columns=["d1", "d2", "d3"], index=np.arange(600) * 0.5)
    for method in (TICA(5, dim=2), VAC(5, 2, Polynomials(2)), PCA(2)):
        model = method.fit(table)
        values = model.transform(table)
        assert list(values.columns) == ["coordinate 1", "coordinate 2"]
        assert values.index[3] == 1.5
        np.testing.assert_allclose(values.to_numpy(), method.fit(frames).transform(frames), atol=1e-9)
        turned = model.transform(table[["d3", "d1", "d2"]])
        # arrays by rows and by columns are multiplied by other kernels
        np.testing.assert_allclose(turned.to_numpy(), values.to_numpy(), rtol=1e-12, atol=1e-12)
        with pytest.raises(ValueError, match="the table has no columns d2"):
            model.transform(table[["d1", "d3"]])
        with pytest.raises(ValueError, match=r"without names; give data.to_numpy\(\)"):
            method.fit(frames).transform(table)
        both = model.transform([frames[:100], frames[100:]])
        np.testing.assert_allclose(both.blocks[1], values.to_numpy()[100:], atol=1e-9)
    assert Trajectories([table, table]).names == ("d1", "d2", "d3")
    with pytest.raises(ValueError, match="trajectory 1 has not the columns of trajectory 0, d1, d2, d3"):
        Trajectories([table, table[["d2", "d1", "d3"]]])
