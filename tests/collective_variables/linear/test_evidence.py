"""No linear model quotes a time that its data do not show, and no check of its own ends a fit."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.collective_variables.covariances.stationarity import tilt
from thalweg.collective_variables.linear import doubted_modes, evidence
from thalweg.collective_variables.linear.dynamic_modes import DMD, EDMD
from thalweg.collective_variables.linear.integrated_vac import IntegratedVAC
from thalweg.collective_variables.linear.kernel_tica import KernelTICA
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vamp import VAMP
from thalweg.time_series.cross_validation import ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories

LEARNERS = [
    TICA(5, 1),
    VAMP(5, 1),
    EDMD(5),
    DMD(5),
    IntegratedVAC(2, 20, 1),
    SparseTICA(5, 1),
    KernelTICA(5, 1, landmarks=20, width=2.0),
]
every_learner = pytest.mark.parametrize("method", LEARNERS, ids=lambda method: type(method).__name__)


def slowest(model):
    """The slowest time but that of the constant."""
    return float(model.timescales[1 if np.isinf(model.timescales[0]) else 0])


def relaxing(frames, keep, random, start=0.0):
    x, noise = np.zeros(frames), random.standard_normal(frames) * np.sqrt(1 - keep**2)
    x[0] = start
    for t in range(1, frames):
        x[t] = keep * x[t - 1] + noise[t]
    return x[:, None]


@pytest.fixture(scope="module")
def uncrossed():
    """Ten runs in two wells that no run went between."""
    random = np.random.default_rng(0)
    return [
        np.hstack([side + 0.3 * relaxing(1000, 0.95, random), relaxing(1000, 0.5, random)])
        for side in [-1.0, 1.0] * 5
    ]


@every_learner
def test_a_process_that_no_run_crossed_has_no_number(method, uncrossed):
    model = method.fit(uncrossed)
    assert any("under-sampled (crossed 0 and 0 times" in note for note in model.notes)
    said = str(model).splitlines()[0]
    assert "under-sampled" in said
    if hasattr(model, "timescale_errors"):
        errors = model.timescale_errors(10)
        place = 1 if np.isinf(model.timescales[0]) else 0
        assert np.isnan(errors.value[place])
        assert np.isnan(errors.samples[:, place]).all()


@every_learner
def test_what_is_slow_in_white_noise_by_chance_is_told(method):
    lag = getattr(method, "lagtime", 2)
    for seed in range(2):
        model = method.fit(np.random.default_rng(seed).standard_normal((800, 30)))
        assert slowest(model) <= lag or any("left out" in note or "no decay" in note for note in model.notes)


@every_learner
def test_a_crossed_process_is_quoted_without_a_note(method):
    random = np.random.default_rng(1)
    x = np.hstack([relaxing(20_000, np.exp(-1 / 20), random), relaxing(20_000, 0.5, random)])
    model = method.fit(x)
    assert not any("under-sampled" in note or "left out" in note for note in model.notes)
    assert abs(slowest(model) / 20 - 1) < 0.15


@every_learner
def test_a_check_that_fails_is_a_note_and_never_ends_a_fit(method, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("injected")

    for module in (evidence, doubted_modes):
        monkeypatch.setattr(module, "observed_process", broken)
    model = method.fit(np.random.default_rng(0).standard_normal((2000, 2)).cumsum(axis=0) % 7)
    assert "crossings could not be looked for: injected" in model.notes
    assert np.isfinite(slowest(model))


def test_a_feature_that_stands_still_in_half_of_the_data_is_no_reason_to_fail():
    move = (np.cumsum(np.random.default_rng(0).random(2000) < 0.05) % 2 * 1.0)[:, None]
    still = np.zeros((2000, 1))
    for data in ([still, move], [np.concatenate([move, still])]):
        assert abs(TICA(10, 1).fit(data).timescales[0] / 18.3 - 1) < 0.05
    visit = still.copy()
    visit[700:703] = 1.0
    model = TICA(10, 1).fit([visit])
    assert any("slowness on data left out could not be looked for" in note for note in model.notes)


def runs_of_two_states(random, runs, frames, first):
    """Hops with a chance of 0.02 each way, as noisy positions."""
    states = np.zeros((runs, frames), int)
    states[:, 0] = random.integers(2, size=runs) if first is None else first
    hops = random.random((runs, frames)) < 0.02
    states = (states[:, :1] + np.cumsum(hops, axis=1) - hops[:, :1]) % 2
    return [(row + 0.3 * random.standard_normal(frames))[:, None] for row in states]


@pytest.mark.long
def test_stationary_runs_are_rarely_taken_for_others_and_others_are_found():
    random = np.random.default_rng(0)
    chances = [
        tilt(covariances(runs_of_two_states(random, 40, 50, None), 5, kept=2), 1e-6).chance
        for _ in range(200)
    ]
    # five per cent, within three standard errors of 200 trials
    assert 0.05 - 3 * 0.0155 < np.mean(np.array(chances) <= 0.05) < 0.05 + 3 * 0.0155
    found = [
        tilt(covariances(runs_of_two_states(random, 40, 50, 0), 5, kept=2), 1e-6).stationary
        for _ in range(50)
    ]
    assert np.mean(found) < 0.05


def test_runs_from_one_state_are_not_stationary():
    random = np.random.default_rng(0)
    found = [tilt(covariances(runs_of_two_states(random, 40, 50, k), 5, kept=2), 1e-6) for k in (0, None)]
    assert [each.stationary for each in found] == [False, True]
    assert found[0].chance < 0.01


def test_how_well_a_time_is_known_from_runs_out_of_one_state_is_told_where_that_is_not_well():
    random = np.random.default_rng(0)
    few, many = (TICA(5, 1).fit(runs_of_two_states(random, runs, 50, 0)) for runs in (60, 6000))
    assert any("ps at 95 % confidence: more runs are needed" in note for note in few.notes)
    assert few.choice.kind == many.choice.kind == "reweighted"
    assert many.notes == ()


def test_features_that_move_only_before_the_first_lag_time_are_refused_with_that_reason():
    still = np.zeros((2000, 1))
    first, last = still.copy(), still.copy()
    first[:2], last[-2:] = 1.0, 1.0
    with pytest.raises(
        ValueError, match="constant in the last frames of all pairs, those a lag time and more after"
    ):
        VAMP(10, 1).fit([first])
    with pytest.raises(
        ValueError, match="constant in the first frames of all pairs, those that another follows"
    ):
        VAMP(10, 1).fit([last])


@pytest.mark.long
def test_one_long_run_is_stationary_whatever_its_ends():
    random = np.random.default_rng(3)
    alarms = [
        not tilt(covariances(relaxing(3000, 0.95, random), 10, kept=2), 1e-6).stationary for _ in range(40)
    ]
    assert np.mean(alarms) <= 0.15


@pytest.mark.parametrize(
    "method", [EDMD(5), DMD(5), IntegratedVAC(2, 10, 1), SparseTICA(5, 1)], ids=lambda m: type(m).__name__
)
def test_every_slow_model_can_be_scored_on_data_left_out(method):
    random = np.random.default_rng(0)
    x = np.hstack([relaxing(4000, 0.97, random), relaxing(4000, 0.5, random)])
    found = cross_validate(method, Trajectories([x]), ShuffleSplit(3))
    assert not found.failures
    assert 1.5 < found.mean < 3


@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("kind", [DMD, EDMD])
def test_measurement_noise_is_told_and_instruments_mend_the_times_it_shortens(kind, share):
    random = np.random.default_rng(7)
    x = np.hstack([relaxing(40_000, np.exp(-1 / 50), random), relaxing(40_000, np.exp(-1 / 15), random)])
    noisy = x + np.sqrt(share) * random.standard_normal(x.shape)
    plain, mended = kind(5).fit(noisy), kind(5, instruments=5).fit(noisy)
    # lambda falls to lambda / (1 + share)
    shortened = -5 / (np.log(np.exp(-5 / 50) / (1 + share)))
    assert abs(slowest(plain) / shortened - 1) < 0.15
    assert abs(slowest(mended) / 50 - 1) < 0.15
    assert any("measurement noise" in note and "instruments=5" in note for note in plain.notes)
    assert not any("measurement noise" in note for note in kind(5).fit(x).notes)
