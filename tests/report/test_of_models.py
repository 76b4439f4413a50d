"""Every kind of model has a figure that shows its numbers, with named axes and units."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables import PCA, TICA, VAMP
from thalweg.free_energies import FreeEnergySurface
from thalweg.kinetics import (
    HiddenMarkovModel,
    KMeans,
    MarkovStateModel,
    known_chain,
    lumped,
    metastable_sets,
    pathways,
    reactive_flux,
)
from thalweg.report import figure
from thalweg.time_series import Trajectories

RNG = np.random.default_rng(0)
SIDE = np.cumsum(RNG.random(4000) < 0.02) % 2
POINTS = 3.0 * SIDE[:, None] * [1.0, 0.5, 0.0] + RNG.standard_normal((4000, 3))
CHAIN = known_chain(np.array([[0.9, 0.1, 0.0], [0.05, 0.85, 0.1], [0.0, 0.2, 0.8]]), lag=2.0)


@pytest.fixture(scope="module")
def runs():
    return Trajectories([POINTS[:2000], POINTS[2000:]], dt=0.5)


@pytest.fixture(scope="module")
def markov(runs):
    return MarkovStateModel(2, n_processes=3).fit(KMeans(6).fit_predict(runs))


def axes(drawn):
    """Titles of all axes."""
    names = (name for name in drawn.layout if name[:5] in ("xaxis", "yaxis"))
    return {drawn.layout[name].title.text for name in names}


def drawn_points(drawn):
    """All numbers drawn along y."""
    return np.concatenate([np.atleast_1d(np.asarray(trace.y, float)) for trace in drawn.data])


def test_a_markov_model_shows_its_timescales_lag_and_populations(markov):
    drawn = figure(markov)
    assert axes(drawn) == {"process", "timescale [ps]", "state", "population"}
    for number in (markov.timescales[0], markov.lag, *markov.stationary_distribution):
        assert np.isclose(drawn_points(drawn), number).any()
    frames = figure(MarkovStateModel(2, n_processes=1).fit([SIDE]))
    assert "timescale [frames]" in axes(frames)


def test_a_process_hardly_ever_crossed_is_hollow():
    once = np.repeat([0, 1, 0], 500)
    drawn = figure(MarkovStateModel(1, n_processes=1).fit([once]))
    (shown,) = [trace for trace in drawn.data if trace.name == "under-sampled"]
    assert shown.marker.symbol == "circle-open"
    assert "timescale" not in {trace.name for trace in drawn.data}


def test_hidden_and_lumped_models_are_shown_likewise(markov):
    hidden = HiddenMarkovModel(2, restarts=1, max_iterations=20).fit([SIDE])
    assert {"hidden state", "timescale [frames]"} <= axes(figure(hidden))
    sets = lumped(markov, metastable_sets(markov, 2).assignments)
    assert {"set", "timescale [ps]"} <= axes(figure(sets))


@pytest.mark.parametrize(
    ("method", "titles"),
    [
        (TICA(3, dim=2), {"coordinate", "timescale [ps]"}),
        (VAMP(3, dim=2), {"coordinate", "singular value"}),
        (PCA(2), {"component (2 kept)", "variance up to here [%]"}),
        (KMeans(5), {"feature 0", "feature 1"}),
    ],
)
def test_spectra_and_clusters_have_figures(method, titles, runs):
    drawn = figure(method.fit(runs))
    assert axes(drawn) == titles
    assert np.isfinite(drawn_points(drawn)).all()


def test_shares_of_the_variance_rise_to_all_of_it(runs):
    shares = drawn_points(figure(PCA(2).fit(runs)))
    assert (np.diff(shares) > 0).all()
    assert shares[-1] == pytest.approx(100)


def test_memberships_of_every_state_add_up_to_one(markov):
    sets = metastable_sets(markov, 2)
    drawn = figure(sets)
    stacks = np.sum([trace.y for trace in drawn.data if (trace.name or "").startswith("set")], axis=0)
    np.testing.assert_allclose(stacks, 1)
    np.testing.assert_allclose(drawn.data[0].y, sets.populations)


def test_flux_goes_from_left_to_right_and_its_pathways_carry_all_of_it():
    flux = reactive_flux(CHAIN, [0], [2])
    drawn = figure(flux)
    assert axes(drawn) == {"committor", "population"}
    lines = [trace for trace in drawn.data if trace.mode == "lines"]
    assert len(lines) == 2
    assert all(trace.x[0] < trace.x[1] for trace in lines)
    ways = figure(pathways(flux))
    assert ways.data[0].x == (100.0,)
    assert ways.layout.yaxis.ticktext == ("0 → 1 → 2",)
    with pytest.raises(TypeError, match="figures of pathways only"):
        figure((1, 2))


def test_free_energies_over_one_and_two_variables_have_figures(runs):
    one = FreeEnergySurface(2.5, (-4.0,), (7.0,), (12,), (None,), samples=5).fit([POINTS[:, :1]])
    assert axes(figure(one)) == {"variable 0", "free energy [kJ/mol]"}
    two = FreeEnergySurface(2.5, (-4.0, -4.0), (7.0, 6.0), (8, 8), (None, None), samples=5).fit(
        [POINTS[:, :2]]
    )
    assert axes(figure(two)) == {"variable 0", "variable 1"}
