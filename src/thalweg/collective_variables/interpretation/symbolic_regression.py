r"""Symbolic regression: a formula for a learned variable or a committor, found by a search over expressions.

Formulas are sums of products of simple functions of single features, perhaps inside a function that squeezes them into
the interval from zero to one (see `formula`). From the constant on, the best few formulas of each complexity are
extended by further terms and factors, their constants are fitted by least squares, and terms that turn out
superfluous are left out again. The search is the same for equal data: nothing in it is random.

What comes back is not one formula but the best of every complexity, each with its error on blocks of data that had no
part in the search; the one recommended is the simplest within one standard error of the best [breiman1984]. Where the
variable is known without noise, more symbols always help a little: say with `FormulaFront.within` what is good enough.

Not to be trusted beyond the region of the data: formulas that agree there may go anywhere outside. Features that are
functions of each other (a distance and its inverse) make equivalent formulas compete; leave one out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.collective_variables.bases.basis import feature_names
from thalweg.collective_variables.interpretation.distillation import Variable, values_of
from thalweg.collective_variables.interpretation.formula import Formula, Link
from thalweg.collective_variables.interpretation.formula_fit import ROUNDING, FormulaFit
from thalweg.collective_variables.interpretation.formula_search import Search, kinds_of
from thalweg.collective_variables.interpretation.importance import sampled
from thalweg.learning.models import Method
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

EXACT = 1e-3
"""Share of the variance below which nothing is left to explain."""


@dataclass(frozen=True, eq=False)
class FormulaFront:
    """The best formulas of growing complexity; printed are those that also do better on held-out blocks.

    Attributes
    ----------
    formulas : simplest first, each better in training than all before it
    training : (formulas,) mean squared errors where constants were fitted
    errors : (formulas,) mean squared errors on blocks held out
    block_errors : (formulas, blocks) the same block by block
    standard_errors : (formulas,) of ``errors``, by how long squared residuals remember each other
    variance : of the variable
    allowed : symbols in a formula at most
    """

    formulas: tuple[Formula, ...]
    training: Shaped[np.ndarray, " formulas"]
    errors: Shaped[np.ndarray, " formulas"]
    block_errors: Shaped[np.ndarray, "formulas blocks"]
    standard_errors: Shaped[np.ndarray, " formulas"]
    variance: float
    allowed: int

    @property
    def best(self) -> Formula:
        """The simplest formula within one standard error of the best held-out error."""
        least = int(np.argmin(self.errors))
        return self.formulas[int(np.argmax(self.errors <= self.errors[least] + self.standard_errors[least]))]

    def within(self, unexplained: float) -> Formula:
        """The simplest formula that leaves at most this share of the variance unexplained on held-out blocks.

        Raises
        ------
        ValueError
            If none is as good.
        """
        good = self.errors <= unexplained * self.variance
        if not good.any():
            least = self.errors.min() / self.variance
            raise ValueError(f"no formula leaves less than {least:.2%} unexplained; allow more complexity")
        return self.formulas[int(np.argmax(good))]

    @property
    def pareto(self) -> np.ndarray:
        """Which formulas are better on held-out blocks than all simpler ones ``(formulas,)``."""
        return self.errors < np.append(np.inf, np.minimum.accumulate(self.errors)[:-1])

    def __str__(self) -> str:
        lines = ["complexity  held-out RMSE (error)  unexplained"]
        for k in np.flatnonzero(self.pareto):
            formula, error, standard = self.formulas[k], self.errors[k], self.standard_errors[k]
            root = np.sqrt(error)
            mark = "*" if formula is self.best else " "
            lines.append(
                f"{formula.complexity:9d}{mark}  {root:10.3g} ± {standard / max(2 * root, 1e-300):<8.2g}  "
                f"{error / self.variance:10.2%}  {formula}"
            )
        least = int(np.argmin(self.errors))
        # the last step up to the bound was worth it: the next may be as well
        if self.formulas[least].complexity >= self.allowed - 2 and self.errors[least] > EXACT * self.variance:
            lines.append(
                f"{self.errors[least] / self.variance:.2%} is left unexplained by {self.allowed} symbols; allow more "
                "complexity"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class SymbolicRegression(Method):
    """A search for formulas.

    Parameters
    ----------
    complexity : symbols in a formula at most
    width : formulas of each complexity that are extended
    factors : in a product at most
    links : outermost functions tried, of "identity", "logistic" and "probit"; those into the interval from zero to one
        are left out where more than a twentieth of the values lie well beyond it
    most : frames looked at, evenly spread
    held_out : share of the blocks that have no part in the search
    n_blocks : about how many blocks of data there are

    Raises
    ------
    ValueError
        If a number is not positive, or the share is not between zero and one.

    Examples
    --------
    >>> x = np.random.default_rng(0).uniform(0.5, 2.0, (1000, 2))
    >>> data = Trajectories([x], names=["r", "s"])
    >>> front = SymbolicRegression(complexity=6).fit(data, lambda x: 1.5 + 2.0 * np.log(x[:, :1]))
    >>> print(front.best)
    1.5+2*log(r)
    """

    complexity: int = 16
    width: int = 3
    factors: int = 2
    links: tuple[Link, ...] = ("identity", "logistic", "probit")
    most: int = 5000
    held_out: float = 0.3
    n_blocks: int = 20

    def __post_init__(self):
        if min(self.complexity, self.width, self.factors, self.most, len(self.links)) < 1:
            raise ValueError(
                f"complexity={self.complexity}, width={self.width}, factors={self.factors}, most={self.most} must be "
                "positive, and links at least one"
            )
        if not 0 < self.held_out < 1 or self.n_blocks < 4:
            raise ValueError(
                f"held_out={self.held_out} of n_blocks={self.n_blocks}: a share of at least four"
            )

    @on_one_thread
    def fit(
        self,
        data: TrajectoryData,
        variable: Variable,
        periods: Sequence[float | None] | None = None,
    ) -> FormulaFront:
        """Formulas for a variable in terms of the features of ``data``.

        Parameters
        ----------
        data : named features, physical ones rather than scaled; few (up to about twenty), see `Distillation`
        variable : one value per frame: a function of the same frames, or its values ``(frames, 1)`` for every
            trajectory
        periods : of the features (``variable.periods``), 2 pi for angles, which enter as sines and cosines only, and
            None for others

        Raises
        ------
        ValueError
            If the variable has several values, values and frames are not equally many, a period is not 2 pi, or
            the data cannot be divided into at least four blocks.
        """
        frames = as_trajectories(data)
        values = values_of(frames, variable)
        if values.n_features != 1:
            raise ValueError(f"the variable has {values.n_features} values per frame; give one coordinate")
        x, weights = sampled(frames, self.most)
        y = values.strided(self.most)[:, 0].astype(float)
        blocks = _block_of_frames(frames, self.n_blocks, self.most)
        aside = self._held_out_blocks(int(blocks.max()) + 1)
        left_out = np.isin(blocks, aside)
        training = FormulaFit(x[~left_out], y[~left_out], weights[~left_out])
        search = Search(
            training, kinds_of(x, periods), feature_names(frames), self.complexity, self.width, self.factors
        )
        candidates = search.front(self._links(y))
        # errors block by block, so that their spread is that of data the search has not seen
        tests = [FormulaFit(x[own], y[own], weights[own]) for own in (blocks == k for k in aside)]
        share = np.array([test.weights.sum() for test in tests])
        block_errors = np.array([[test.error(each.formula) for test in tests] for each in candidates])
        squares = np.array(
            [weights / weights.mean() * (y - each.formula(x)[:, 0]) ** 2 for each in candidates]
        )
        standard = [_error_of_mean(each, left_out, _runs(frames, self.most)) for each in squares]
        mean = weights @ y / weights.sum()
        variance = float(weights @ (y - mean) ** 2 / weights.sum())
        # what is exact but for rounding is exact
        block_errors = np.where(block_errors > ROUNDING * variance, block_errors, 0.0)
        exact = (block_errors == 0).all(axis=1)
        return FormulaFront(
            tuple(each.formula for each in candidates),
            np.array([each.error for each in candidates]),
            block_errors @ share / share.sum(),
            block_errors,
            np.where(
                exact, 0.0, np.maximum(standard, block_errors.std(axis=1, ddof=1) / np.sqrt(len(aside)))
            ),
            variance,
            self.complexity,
        )

    def _held_out_blocks(self, count: int) -> np.ndarray:
        """Numbers of the blocks that have no part in the search, at least two of ``count`` and all but two at most."""
        if count < 4:
            raise ValueError(f"{count} blocks are too few to hold some out; give longer or more trajectories")
        number = min(max(2, round(self.held_out * count)), count - 2)
        return np.random.default_rng(0).permutation(count)[:number]

    def _links(self, values: np.ndarray) -> list[Link]:
        """Outermost functions that reach these values ``(frames,)``: all but the identity stay between zero and one."""
        inside = bool((np.abs(np.quantile(values, [0.05, 0.95]) - 0.5) < 0.6).all())
        links = [link for link in self.links if inside or link == "identity"]
        if not links:
            raise ValueError(
                f"values lie between {values.min():.4g} and {values.max():.4g}; allow the identity among links"
            )
        return links


def _runs(data: Trajectories, most: int) -> np.ndarray:
    """The trajectory of each frame that `Trajectories.strided` takes."""
    columns = [np.full((int(length), 1), float(k)) for k, length in enumerate(data.lengths)]
    return replace(data, blocks=columns, names=None, weights=None, log_path=None).strided(most)[:, 0]


def _error_of_mean(values: np.ndarray, chosen: np.ndarray, runs: np.ndarray) -> float:
    """Standard error of the mean of the ``chosen`` values, by how long values remember each other along runs.

    The variance is that of all values times the sum of their autocorrelation, up to where it falls to zero, over all
    pairs of those chosen.
    """
    products, pairs, taken = (np.zeros(len(values)) for _ in range(3))
    apart = values - values.mean()
    for run in np.unique(runs):
        own = runs == run
        n = int(own.sum())
        for total, series in ((products, apart[own]), (pairs, np.ones(n)), (taken, 1.0 * chosen[own])):
            # sums of products k frames apart, by the theorem of Wiener and Khinchin
            spectrum = np.fft.rfft(series, 2 * n)
            total[:n] += np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[:n]
    if not products[0] > 0:
        return 0.0
    covariance = products / np.maximum(pairs, 0.5)
    ends = np.flatnonzero(covariance <= 0)
    until = int(ends[0]) if len(ends) else len(covariance)
    total = covariance[0] * taken[0] + 2 * covariance[1:until] @ taken[1:until]
    return float(np.sqrt(total) / chosen.sum())


def _block_of_frames(data: Trajectories, n_blocks: int, most: int) -> np.ndarray:
    """The block of each frame that `Trajectories.strided` takes."""
    columns = [np.zeros((int(length), 1)) for length in data.lengths]
    for piece in segments(data.lengths, n_blocks):
        columns[piece.trajectory][piece.start : piece.stop] = piece.block
    return replace(data, blocks=columns, names=None, weights=None, log_path=None).strided(most)[:, 0]
