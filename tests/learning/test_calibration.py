"""Calibration finds known factors; alarms keep the rates they promise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from thalweg.learning.calibration import (
    ErrorOdds,
    alarm_threshold,
    calibrate,
    expected_to_hold,
    false_alarm_rate,
    rank_correlation,
    reliability_curve,
    roc_area,
)
from thalweg.learning.deviation_map import DeviationMap

RANDOM = np.random.default_rng(0)
CLAIMED = np.exp(RANDOM.normal(size=20000))
RESIDUALS = 0.3 * CLAIMED * RANDOM.normal(size=20000)


def test_the_factor_of_normal_errors_is_found_and_covers():
    found = calibrate(RESIDUALS, CLAIMED)
    assert found.scale == pytest.approx(0.3, rel=0.02)
    assert found.coverage_68 == pytest.approx(0.6827, abs=0.015)
    assert found.coverage_95 == pytest.approx(0.95, abs=0.01)
    assert found.rank_correlation > 0.5
    claimed, observed, error = found.reliability.T
    assert (np.abs(observed - claimed) < 4 * error).all()


def test_a_few_gross_outliers_hardly_move_the_scale():
    wrong = RESIDUALS[:4000].copy()
    wrong[:40] *= 1e4
    found = calibrate(wrong, CLAIMED[:4000]).scale
    assert found == pytest.approx(calibrate(RESIDUALS[:4000], CLAIMED[:4000]).scale, rel=0.1)


@pytest.mark.parametrize(("share", "size", "noise"), [(0.8, 1e-8, 0.03), (0.3, 5e-3, 0.03), (0.9, 1e-5, 0.0)])
def test_components_that_symmetry_makes_zero_tell_the_noise_and_not_the_scale(share, size, noise):
    random = np.random.default_rng(5)
    claimed = np.where(random.random(6000) < share, size, 1.0) * CLAIMED[:6000]
    wrong = np.hypot(0.3 * claimed, noise) * random.normal(size=6000)
    found = calibrate(wrong, claimed)
    assert found.scale == pytest.approx(0.3, rel=0.1)
    assert found.mapped.noise == pytest.approx(noise, rel=0.1, abs=1e-3)
    assert found.mapped.floor < 1e-3
    assert found.coverage_68 == pytest.approx(0.68, abs=0.05)


def seen_through_noise(factor: float, noise: float, seed: int, frames: int = 16):
    """Calibration of claims that are ``factor`` times too small, of a dozen components a frame and as many closed."""
    random = np.random.default_rng(seed)
    claimed = np.repeat(np.exp(0.5 * random.normal(size=frames)), 12)
    wrong = np.hypot(factor * claimed, noise) * random.normal(size=12 * frames)
    claimed = np.concatenate([claimed, np.full(12 * frames, 1e-9)])
    wrong = np.concatenate([wrong, noise * random.normal(size=12 * frames)])
    return calibrate(wrong, claimed, groups=np.arange(24 * frames) // 12).mapped


@pytest.mark.parametrize(("noise", "within"), [(0.1, 1.15), (1.0, 1.5)])
@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_noise_of_labels_is_taken_out_of_errors(factor, noise, within):
    found = [seen_through_noise(factor, noise, seed) for seed in range(8)]
    off = np.abs(np.log([mapped.scale / factor for mapped in found]))
    assert np.sort(off)[-2] < np.log(within)
    assert found[0].noise == pytest.approx(noise, rel=0.25)
    claims = np.array([1.0, 2.0])
    assert found[0].of_labels(claims) == pytest.approx(np.hypot(found[0](claims), found[0].noise))


def test_where_errors_drown_in_noise_claims_are_believed_and_said_to_be_uncertain():
    found = [seen_through_noise(1.0, 6.0, seed) for seed in range(8)]
    assert np.abs(np.log([mapped.scale for mapped in found])).max() < np.log(1.5)
    assert min(mapped.scale_error for mapped in found) > 0.3
    # errors that noise cannot explain move it nevertheless, whatever was believed
    assert np.median([seen_through_noise(20.0, 6.0, seed).scale for seed in range(4)]) > 13
    assert seen_through_noise(1.0, 6.0, 0, frames=2).scale == pytest.approx(1.0, rel=0.5)


def test_scatter_of_errors_is_seen_through_the_noise_of_labels():
    random, sizes = np.random.default_rng(4), np.full(150, 30.0)
    scores = np.exp(0.4 * random.normal(size=150))
    true = 1.3 * scores * np.exp(0.3 * random.normal(size=150))
    shown = np.sqrt(np.mean((true[:, None] + 2.0 * random.normal(size=(150, 30))) ** 2, 1))
    odds, blind = ErrorOdds.of(shown, scores, 2.0, sizes), ErrorOdds.of(shown, scores)
    assert (odds.ratio, odds.scatter) == (pytest.approx(1.3, rel=0.1), pytest.approx(0.3, abs=0.1))
    assert blind.ratio > 1.7
    assert odds.count < 110
    usual = odds.true_errors(shown, scores, 2.0, sizes)
    assert np.sqrt(np.mean(usual**2)) == pytest.approx(np.sqrt(np.mean(true**2)), rel=0.1)
    assert np.corrcoef(np.log(usual), np.log(true))[0, 1] > 0.8
    drowned = ErrorOdds.of(np.full(20, 10.0), np.ones(20), 10.0, np.full(20, 9.0))
    assert 0.5 < drowned.ratio < 2
    assert drowned.count < 8


def test_claims_that_spread_too_widely_are_drawn_together_where_many_frames_say_so():
    random = np.random.default_rng(6)
    claimed = np.repeat(np.exp(0.8 * random.normal(size=60)), 30)
    wrong, frames = claimed**0.6 * random.normal(size=1800), np.repeat(np.arange(60), 30)
    found = calibrate(wrong, claimed, groups=frames)
    assert found.mapped.power == pytest.approx(0.6, abs=0.1)
    low, *_, high = found.reliability
    assert 1 / 1.5 < low[1] / low[0] < 1.5
    assert 1 / 1.5 < high[1] / high[0] < 1.5
    # beyond what was tried, a claim twice as large is of errors twice as large
    beyond = found.mapped(np.array([2.0, 4.0]) * claimed.max())
    assert beyond[1] / beyond[0] == pytest.approx(2, rel=0.01)
    assert calibrate(wrong[:150], claimed[:150], groups=frames[:150]).mapped.power == 1.0


def test_few_frames_leave_the_scale_uncertain():
    frames = np.repeat(np.arange(2000), 10)
    few = calibrate(RESIDUALS[:30], CLAIMED[:30], groups=frames[:30]).mapped.scale_error
    assert few > 5 * calibrate(RESIDUALS, CLAIMED, groups=frames).mapped.scale_error


def test_an_uncertainty_that_knows_nothing_has_no_rank_correlation_and_a_flat_curve():
    found = calibrate(np.random.default_rng(9).normal(size=5000), CLAIMED[:5000])
    assert abs(found.rank_correlation) < 0.06
    observed = reliability_curve(np.random.default_rng(8).normal(size=5000), CLAIMED[:5000])[:, 1]
    assert np.ptp(observed) < 0.3
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4.0)))


def test_the_area_is_that_of_scikit_learn_ties_included():
    scores, bad = np.round(RANDOM.normal(size=300), 1), RANDOM.random(300) < 0.3
    assert roc_area(scores, bad) == pytest.approx(roc_auc_score(bad, scores))
    assert np.isnan(roc_area(scores, np.zeros(300, bool)))


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
def test_false_alarms_come_at_most_at_the_rate_promised(rate):
    rates = []
    for seed in range(400):
        scores = np.random.default_rng(seed).gamma(2.0, size=61)
        rates.append(scores[-1] > alarm_threshold(scores[:-1], rate))
    deviation = np.sqrt(rate * (1 - rate) / 400)
    assert np.mean(rates) < rate + 3 * deviation
    assert np.mean(rates) > rate - 1 / 61 - 3 * deviation


def test_a_rate_that_so_few_scores_cannot_promise_is_refused():
    with pytest.raises(ValueError, match=r"10 scores cannot promise .* use at least 19"):
        alarm_threshold(np.arange(10.0), 0.05)


def test_of_two_scores_each_counts_by_what_it_tells():
    random = np.random.default_rng(7)
    scores = np.exp(random.normal(size=(4000, 2)))
    errors = 1.5 * scores[:, 0] ** 0.3 * scores[:, 1] ** 0.7 * np.exp(0.2 * random.normal(size=4000))
    odds = ErrorOdds.of(errors, scores)
    assert odds.shares == pytest.approx((0.3, 0.7), abs=0.02)
    assert (odds.ratio, odds.scatter) == (pytest.approx(1.5, rel=0.02), pytest.approx(0.2, rel=0.05))
    assert ErrorOdds.of(7 * errors, 7 * scores).exceeding(7 * scores, 7.0) == pytest.approx(
        odds.exceeding(scores, 1.0)
    )
    claimed = odds.exceeding(scores, 2.0)
    for low, high in ((0.05, 0.3), (0.3, 0.7), (0.7, 0.95)):
        some = (claimed > low) & (claimed < high)
        assert abs((errors[some] > 2.0).mean() - claimed[some].mean()) < 4 * 0.5 / np.sqrt(some.sum())
    with pytest.raises(ValueError, match="2 kinds of scores"):
        ErrorOdds.of(errors[:2], scores[:2])


def test_no_kind_of_score_counts_against_itself():
    random = np.random.default_rng(11)
    first = np.exp(random.normal(size=60))
    second = first * np.exp(0.2 * random.normal(size=60))
    third = first * np.exp(0.3 * random.normal(size=60))
    errors = first**1.5 / second**0.5 * np.exp(0.1 * random.normal(size=60))
    odds = ErrorOdds.of(errors, np.stack([first, second], 1))
    assert odds.shares == pytest.approx((1.0, 0.0))
    assert odds.ratio == pytest.approx(ErrorOdds.of(errors, first).ratio)
    both = first**0.6 * third**0.4 * np.exp(0.1 * random.normal(size=60))
    shares = ErrorOdds.of(both, np.stack([second, first, third], 1)).shares
    assert min(shares) >= 0
    assert sum(shares) == pytest.approx(1.0)
    assert shares[1:] == pytest.approx((0.6, 0.4), abs=0.15)


def test_the_odds_of_a_large_error_are_how_often_it_comes():
    errors = 0.7 * CLAIMED * np.exp(0.3 * RANDOM.normal(size=len(CLAIMED)))
    odds = ErrorOdds.of(errors[:200], CLAIMED[:200])
    said = odds.exceeding(CLAIMED[200:], 1.0)
    for low, high in ((0.05, 0.2), (0.4, 0.6), (0.8, 0.95)):
        part = (said > low) & (said < high)
        assert np.mean(errors[200:][part] > 1.0) == pytest.approx(said[part].mean(), abs=0.08)


def test_errors_drawn_at_scores_exceed_a_limit_as_often_as_the_odds_say():
    odds, scores = ErrorOdds(0.8, 0.3, 10**6), np.array([0.7, 1.0, 1.5])
    drawn = odds.drawn(scores, 4000)
    assert np.mean(drawn > 1.0, axis=0) == pytest.approx(odds.exceeding(scores, 1.0), abs=0.03)


def test_what_is_not_known_of_the_law_adds_to_the_scatter_in_quadrature():
    odds, random = ErrorOdds(2.0, 0.3, 100000), np.random.default_rng(5)
    scores = np.array([0.5, 1.0, 2.0])
    errors = 2.0 * scores * np.exp(random.normal(size=(40000, 3)) * [0.3, 0.5, 1.3])
    unknown = np.array([0.0, 0.4, np.sqrt(1.3**2 - 0.3**2)])
    assert odds.exceeding(scores, 3.0, unknown) == pytest.approx((errors > 3.0).mean(0), abs=0.01)
    assert odds.exceeding(scores, 4.0, unknown)[2] == pytest.approx(0.5)  # the median stays


def test_false_alarms_at_a_share_caught_are_a_point_of_the_receiver_operating_characteristic():
    bad = RANDOM.random(2000) < 0.3
    scores = RANDOM.normal(size=2000) + 2 * bad
    shares = np.linspace(0.005, 1, 400)
    rates = [false_alarm_rate(scores, bad, share) for share in shares]
    assert 1 - np.trapezoid(rates, shares) == pytest.approx(roc_area(scores, bad), abs=0.01)
    assert false_alarm_rate(scores, bad, 0.95) > false_alarm_rate(scores, bad, 0.8)
    assert np.isnan(false_alarm_rate(scores, np.zeros(2000, bool)))


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_a_share_of_the_bad_is_caught_on_average_when_errors_scatter_as_claimed(spread):
    odds, random, caught = ErrorOdds(0.9, 0.3, 10**6), np.random.default_rng(3), []
    for _ in range(300):
        scores = np.exp(spread * random.normal(size=200) - 0.5)
        raised = expected_to_hold(odds.exceeding(scores, 1.0), 0.95)
        bad = odds.drawn(scores, 1, int(random.integers(1 << 31)))[0] > 1.0
        caught.append((raised & bad).sum() / max(bad.sum(), 1) if bad.any() else np.nan)
    error = np.nanstd(caught) / np.sqrt(np.isfinite(caught).sum())
    assert np.nanmean(caught) > 0.95 - 3 * error
    assert np.nanmean(caught) < 0.95 + 3 * error + 0.02  # whole frames: a little more than asked


def test_no_other_alarms_with_the_same_catch_have_fewer_false_ones_in_expectation():
    odds = RANDOM.random(12) ** 2
    raised = expected_to_hold(odds, 0.8)
    masks = (np.arange(1 << 12)[:, None] >> np.arange(12)) & 1
    enough = masks[masks @ odds >= odds[raised].sum() - 1e-12]
    assert (1 - odds)[raised].sum() == pytest.approx((enough @ (1 - odds)).min())


def test_more_to_be_caught_is_never_fewer_alarms():
    odds = RANDOM.random(300) ** 4
    several = [expected_to_hold(odds, share) for share in (0.2, 0.5, 0.9, 0.99, 1.0)]
    assert all((few <= many).all() for few, many in pairwise(several))
    assert several[-1].all()
    order = RANDOM.permutation(300)
    np.testing.assert_array_equal(expected_to_hold(odds[order], 0.9), several[2][order])


def test_sets_all_safe_and_all_bad_and_single_frames():
    assert not expected_to_hold(np.zeros(5), 0.95).any()
    assert expected_to_hold(np.ones(5), 0.95).all()
    assert expected_to_hold(np.full(40, 1e-7), 0.95).all()  # nothing tells them apart
    assert expected_to_hold(np.array([0.01]), 0.95).tolist() == [True]
    assert expected_to_hold(np.zeros(0), 0.95).shape == (0,)
    with pytest.raises(ValueError, match="a share of 95 cannot be caught"):
        expected_to_hold(np.ones(2), 95.0)


def test_a_score_of_zero_never_errs():
    assert ErrorOdds(1.0, 0.3, 50).exceeding(np.array([0.0, 1.0]), 1.0).tolist() == [0.0, 0.5]


def test_few_errors_make_for_even_odds():
    few, many = (ErrorOdds(1.0, 0.3, count).exceeding(np.array([0.5]), 1.0)[0] for count in (3, 300))
    assert 0.5 > few > 4 * many


def test_nothing_to_calibrate_on_and_deviations_of_zero_are_refused():
    with pytest.raises(ValueError, match="no residuals"):
        calibrate(np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="1 of 2 claimed deviations are negative"):
        calibrate(np.ones(2), np.array([-1.0, 1.0]))
    with pytest.raises(ValueError, match="all claimed deviations are zero"):
        calibrate(np.ones(2), np.zeros(2))
    with pytest.raises(ValueError, match="1 of 3 claimed deviations are not positive"):
        ErrorOdds.of(np.ones(3), np.array([0.0, 1.0, 1.0]))


def test_claims_spread_too_widely_are_found_so_where_noise_is_as_large_as_errors():
    random = np.random.default_rng(5)
    claims, groups = np.exp(random.normal(size=3000)), np.repeat(np.arange(300), 10)
    residuals = np.hypot(np.sqrt(claims), 1.0) * random.normal(size=3000)
    mapped = DeviationMap.of(residuals, claims, groups, noise=1.0)
    assert mapped.power == pytest.approx(0.5, abs=0.15)
    np.testing.assert_allclose(mapped(np.array([0.3, 1.0, 3.0])), np.sqrt([0.3, 1.0, 3.0]), rtol=0.2)
