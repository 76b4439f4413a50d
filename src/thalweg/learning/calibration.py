"""Whether claimed standard deviations are what errors turn out to be, and how to put them right.

Of residuals ``r`` at claimed deviations ``s``, a fraction 0.68 should lie within one deviation and 0.95 within two once
claims are put right by a `DeviationMap`, and the noise of the labels added to them in quadrature. No map mends an
uncertainty that does not know where errors are large: rank correlation, the area under the receiver operating
characteristic [fawcett2006] and the reliability curve (observed against claimed, in bins) say that.

Whole frames are judged by one number each, their score; errors of frames scatter about it. `ErrorOdds` knows how much,
as far as the noise of labels lets errors be seen, and says how probable it is that an error exceeds a limit: alarms are
raised by that, over one frame at a time by odds, or over the frames of a set that are expected to hold a share of the
bad ones (`expected_to_hold`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr
from scipy.stats import rankdata

from thalweg.learning.deviation_map import DeviationMap, Many
from thalweg.shapes import Array, Float

PRIOR_COUNT, PRIOR_SCATTER = 4, 0.4
"""Before any error is seen, its logarithm is taken to scatter by so much, as by so many errors that were seen."""

ROUNDS = 200
"""Of expectation and maximization, where errors are seen through the noise of labels."""

CLEAR = 0.1
"""Noise of labels below this fraction of errors does not hide them."""

GROSS = 4.0
"""Errors further than this many (robust) deviations from the others count as no further away."""


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` found on held-out data.

    Attributes
    ----------
    mapped : from claimed to calibrated deviations
    coverage_68, coverage_95 : fraction of residuals within 1 and 1.96 deviations of labels from predictions
    rank_correlation : Spearman's, between deviations and absolute residuals
    reliability : (bins, 3): deviation of labels from predictions, root mean square residual, its standard error
    count : number of residuals that were judged: those that symmetry does not make zero
    """

    mapped: DeviationMap
    coverage_68: float
    coverage_95: float
    rank_correlation: float
    reliability: np.ndarray
    count: int

    @property
    def scale(self) -> float:
        """Factor between the median claim and the deviation of errors."""
        return self.mapped.scale


def calibrate(
    residuals: Many,
    deviations: Many,
    bins: int = 10,
    groups: np.ndarray | None = None,
    noise: float = 0.0,
    told_by: int = 0,
) -> Calibration:
    """The map from claimed ``deviations`` to those of ``residuals``, and what claims are worth with it.

    Parameters
    ----------
    groups : of which frame each residual is, see `DeviationMap.of`
    noise, told_by : standard deviation of labels, as far as it is known, see `DeviationMap.of`

    Raises
    ------
    ValueError
        If there are none, deviations are negative or not numbers, or all are zero.

    Examples
    --------
    >>> claimed = np.linspace(1.0, 2.0, 4000)
    >>> found = calibrate(2 * claimed * np.random.default_rng(0).normal(size=4000), claimed)
    >>> round(found.scale, 1), round(found.coverage_68, 2), round(found.coverage_95, 2)
    (2.0, 0.68, 0.95)
    """
    residuals, deviations = _checked(residuals, deviations, least=0.0)
    mapped = DeviationMap.of(residuals, deviations, groups, noise, told_by)
    told = deviations > mapped.closed
    judged, scaled = residuals[told], mapped.of_labels(deviations[told])
    return Calibration(
        mapped,
        coverage(judged, scaled, 0.6827),
        coverage(judged, scaled, 0.95),
        rank_correlation(np.abs(judged), scaled),
        reliability_curve(judged, scaled, bins),
        len(judged),
    )


def coverage(residuals: Many, deviations: Many, level: float) -> float:
    """Fraction of ``residuals`` inside the normal interval that should hold ``level`` of them."""
    return float(np.mean(np.abs(residuals) <= ndtri((1 + level) / 2) * np.asarray(deviations)))


def reliability_curve(residuals: Many, deviations: Many, bins: int = 10) -> np.ndarray:
    """Claimed and observed root mean square and the latter's standard error, in equally filled bins, ``(bins, 3)``."""
    residuals, deviations = np.asarray(residuals, float), np.asarray(deviations, float)
    parts = np.array_split(np.argsort(deviations, kind="stable"), min(bins, len(deviations)))
    rows = []
    for part in parts:
        squares = residuals[part] ** 2
        observed = np.sqrt(squares.mean())
        error = squares.std() / np.sqrt(len(part)) / (2 * observed) if observed > 0 else 0.0
        rows.append((np.sqrt((deviations[part] ** 2).mean()), observed, error))
    return np.array(rows)


def rank_correlation(first: Many, second: Many) -> float:
    """Spearman's rank correlation; NaN where one side is constant."""
    ranks = np.stack([rankdata(first), rankdata(second)])
    ranks -= ranks.mean(1, keepdims=True)
    norm = np.sqrt((ranks**2).sum(1).prod())
    return float(ranks[0] @ ranks[1] / norm) if norm > 0 else float("nan")


def roc_area(scores: Many, bad: np.ndarray) -> float:
    """Probability that a bad one scores higher than a good one: the area under the ROC [fawcett2006].

    NaN where all or none are bad.

    Examples
    --------
    >>> roc_area(np.array([0.1, 0.2, 0.9]), np.array([False, False, True]))
    1.0
    """
    bad = np.asarray(bad, bool)
    positives, negatives = int(bad.sum()), int((~bad).sum())
    if not positives or not negatives:
        return float("nan")
    area = rankdata(scores)[bad].sum() - positives * (positives + 1) / 2
    return float(area / (positives * negatives))


def false_alarm_rate(scores: Many, bad: np.ndarray, caught: float = 0.95) -> float:
    """Fraction of good ones above the highest score that at least a fraction ``caught`` of the bad ones reach.

    A point of the receiver operating characteristic, known afterwards only; NaN where all or none are bad.

    Examples
    --------
    >>> false_alarm_rate(np.array([0.1, 0.2, 0.3, 0.9]), np.array([False, True, False, True]))
    0.5
    """
    scores, bad = np.asarray(scores, float), np.asarray(bad, bool)
    if bad.all() or not bad.any():
        return float("nan")
    reached = np.sort(scores[bad])[::-1][int(np.ceil(caught * bad.sum() - 1e-9)) - 1]
    return float(np.mean(scores[~bad] >= reached))


def alarm_threshold(scores: Many, false_alarms: float) -> float:
    """The score above which to raise an alarm, from ``scores`` of data that should raise none.

    A new score of the same kind exceeds it with a probability of at most ``false_alarms``, whatever the distribution
    (split conformal prediction [angelopoulos2023]).

    Raises
    ------
    ValueError
        If the scores are too few to promise so low a rate.
    """
    count = len(scores)
    rank = int(np.ceil((1 - false_alarms) * (count + 1) - 1e-9))
    if not 1 <= rank <= count:
        raise ValueError(
            f"{count} scores cannot promise a rate of false alarms of {false_alarms:g}; use at least "
            f"{int(np.ceil(1 / false_alarms - 1)) if false_alarms > 0 else 'infinitely many'}"
        )
    return float(np.sort(scores)[rank - 1])


def expected_to_hold(probabilities: Many, share: float) -> np.ndarray:
    """The fewest of those that are bad with ``probabilities`` ``p`` that hold an expected ``share`` of the bad, bool.

    Those above the highest threshold with ``sum_raised p >= share sum_all p``. To take the most probable first leaves
    the fewest false alarms that can be expected for what is caught [neyman1933]: it is the rule ``p > odds`` with the
    odds that the whole set calls for, lower where bad ones are rare.

    A promise about the mean over many such sets, and only as good as the probabilities. All of equal probability as
    the last one are among them; none where nothing can be bad.

    Raises
    ------
    ValueError
        If ``share`` is not between 0 and 1.

    Examples
    --------
    >>> expected_to_hold(np.array([0.02, 0.9, 0.5, 0.08]), 0.9).tolist()
    [False, True, True, False]
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of {share:g} cannot be caught; give one above 0 and up to 1")
    probabilities = np.asarray(probabilities, float)
    falling = np.sort(probabilities)[::-1]
    held = np.cumsum(falling)
    if not len(held) or not held[-1] > 0:
        return np.zeros(len(probabilities), bool)
    return probabilities >= falling[np.searchsorted(held, share * held[-1] * (1 - 1e-12))]


@dataclass(frozen=True)
class ErrorOdds:
    """How errors scatter about scores: ``log(error / score)`` is normal, its mean and deviation estimated.

    Of several kinds of scores, each as large as errors are, their geometric mean counts, each kind with a share that is
    estimated too. Shares add up to one: errors and scores twice as large are as probable. None is negative: that a
    larger score of one kind should mean a smaller error is chance, and far off where it is believed elsewhere.
    Not knowing these better makes the next error distributed like Student's t.

    Attributes
    ----------
    ratio : median of error over score
    scatter : standard deviation of the logarithm
    count : number of errors it was estimated from
    shares : of each kind of score in the geometric mean
    """

    ratio: float
    scatter: float
    count: int
    shares: tuple[float, ...] = (1.0,)

    @staticmethod
    def of(
        errors: Many,
        scores: Float[Array, " values *kinds"],
        noise: float = 0.0,
        sizes: Many | float = 1.0,
    ) -> ErrorOdds:
        """The most likely ones for ``errors`` seen at ``scores``, both positive, of one kind or ``(values, kinds)``.

        Errors against labels of some ``noise``, root mean squares of ``sizes`` components, show true errors the less
        the smaller these are: what scatters is the expectation of their logarithms, by turns with what is most likely
        [dempster1977]. As far as errors are not seen, scores are taken to be right.

        Raises
        ------
        ValueError
            If there are not more of them than kinds of scores.
        """
        errors, scores = np.asarray(errors, float), np.asarray(scores, float)
        scores = scores.reshape(len(errors), -1)
        for kind in scores.T:
            _checked(errors, kind)
        count, kinds = scores.shape
        if count <= kinds:
            raise ValueError(
                "one error does not say how errors scatter; give at least two"
                if kinds == 1
                else f"{count} errors cannot say how much each of {kinds} kinds of scores counts; give more"
            )
        hidden = noise > CLEAR * np.median(errors)
        known = np.log(np.sqrt(np.maximum(errors**2 - noise**2, (errors / 4) ** 2)))
        odds = _most_likely(known, np.zeros(count), scores, count, hidden)
        for _ in range(ROUNDS if hidden else 0):
            known, unknown = odds.true_logarithms(errors, scores, noise, sizes)
            seen = np.sum(1 - np.minimum(unknown / odds.scatter**2, 1))
            before, odds = odds, _most_likely(known, unknown, scores, PRIOR_COUNT + round(seen), True)
            if np.isclose([odds.ratio, odds.scatter], [before.ratio, before.scatter], rtol=1e-5).all():
                break
        return odds

    def medians(self, scores: Float[Array, " values *kinds"]) -> np.ndarray:
        """Median errors at ``scores``, ``(values,)``."""
        scores = np.asarray(scores, float).reshape(len(scores), -1)
        with np.errstate(divide="ignore"):
            return self.ratio * np.exp(np.log(scores) @ np.array(self.shares))

    def true_logarithms(
        self, errors: Many, scores: Float[Array, " values *kinds"], noise: float, sizes: Many | float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the logarithm of each true error, ``(values,)``, when ``errors`` are seen through noise.

        Of a true root mean square ``e`` of ``k`` components labels of noise ``n`` show a square about ``e^2 + n^2``, of
        variance ``(4 e^2 n^2 + 2 n^4) / k``.
        """
        away = np.linspace(-5, 5, 201)
        logs = np.log(self.medians(scores))[:, None] + self.scatter * away
        squares, step = np.exp(2 * logs), self.scatter * (away[1] - away[0])
        seen = (4 * squares * noise**2 + 2 * noise**4) / np.reshape(sizes, (-1, 1)) + (
            2 * squares * step
        ) ** 2
        off = np.asarray(errors, float)[:, None] ** 2 - squares - noise**2
        likely = -0.5 * (away**2 + off**2 / seen + np.log(seen))
        shares = np.exp(likely - likely.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        means = (shares * logs).sum(1)
        return means, (shares * (logs - means[:, None]) ** 2).sum(1)

    def true_errors(
        self, errors: Many, scores: Float[Array, " values *kinds"], noise: float, sizes: Many | float
    ) -> np.ndarray:
        """Root mean square of what each true error may be, ``(values,)``; the ``errors`` where ``noise`` is zero."""
        if not noise > 0:
            return np.asarray(errors, float)
        means, variances = self.true_logarithms(errors, scores, noise, sizes)
        return np.exp(means + variances)

    def drawn(self, scores: Float[Array, " values *kinds"], draws: int, seed: int = 0) -> np.ndarray:
        """Errors that may be at ``scores`` if they scatter alike, ``(draws, values)``.

        No ranking by anything else that is known before does better on them than one by `medians`.
        """
        noise = np.random.default_rng(seed).normal(size=(draws, len(scores)))
        return self.medians(scores) * np.exp(self.scatter * noise)

    def exceeding(
        self, scores: Float[Array, " values *kinds"], limit: float, unknown: Many | float = 0.0
    ) -> np.ndarray:
        """Probability that the error at each score exceeds ``limit``.

        Parameters
        ----------
        unknown : standard deviation of the logarithm that comes to the scatter, of all or of each

        Examples
        --------
        >>> odds = ErrorOdds.of(np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 1.0]))
        >>> odds.exceeding(np.array([1.0, 2.0]), 4.0).round(2).tolist()
        [0.14, 0.5]
        """
        width = np.maximum(np.hypot(self.scatter * np.sqrt(1 + 1 / self.count), unknown), 1e-12)
        with np.errstate(divide="ignore"):
            far = np.log(self.medians(scores) / limit)
        return stdtr(self.count - len(self.shares) + PRIOR_COUNT, far / width)


def _most_likely(logs, unknown, scores, count, held):
    """Odds for ``logs`` of errors, known up to variances ``unknown``; ``held`` where scores are right a priori."""
    shown, counted = np.log(scores), list(range(scores.shape[1]))
    while True:
        coefficients, rows, left = _regressed(logs, shown[:, counted], held)
        shares = np.array([1 - coefficients[1:].sum(), *coefficients[1:]])
        if shares.min() >= 0:
            break
        counted.pop(int(shares.argmin()))
    off = _winsorized((left - rows @ coefficients)[: len(logs)])
    if not held:
        coefficients[0] += off.mean()
    known = np.sum((off - off.mean()) ** 2 + unknown) + PRIOR_COUNT * PRIOR_SCATTER**2
    scatter = np.sqrt(known / (len(logs) - len(counted) + PRIOR_COUNT))
    all_shares = np.zeros(scores.shape[1])
    all_shares[counted] = shares
    return ErrorOdds(float(np.exp(coefficients[0])), float(scatter), count, tuple(map(float, all_shares)))


def _regressed(logs, shown, held):
    """Logarithm of the ratio and the shares but the first, with rows and left sides of the least squares."""
    left = logs - shown[:, 0]
    rows = np.column_stack([np.ones(len(left)), shown[:, 1:] - shown[:, :1]])
    if held:  # as by so many errors more, at their scores
        left = np.append(left, 0.0)
        rows = np.vstack([rows, np.sqrt(PRIOR_COUNT) * np.eye(1, shown.shape[1])])
    return np.linalg.lstsq(rows, left, rcond=None)[0], rows, left


def _winsorized(values: np.ndarray) -> np.ndarray:
    """Values, none further from their median than `GROSS` robust deviations of all of them."""
    middle = np.median(values)
    far = GROSS * np.median(np.abs(values - middle)) / ndtri(0.75)
    return np.clip(values, middle - far, middle + far) if far > 0 else values


def _checked(residuals, deviations, least=None):
    residuals, deviations = np.asarray(residuals, float), np.asarray(deviations, float)
    if not len(residuals):
        raise ValueError("there are no residuals to calibrate on; give labeled data that were held out")
    wrong = ~(deviations > 0) if least is None else ~(deviations >= least)
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} of {len(deviations)} claimed deviations are "
            f"{'not positive' if least is None else 'negative'}"
        )
    return residuals, deviations
