"""Covariances of data of any size, summed share by share wherever the shares lie.

What `covariances` sums in one process is summed here over shares, whose moments merge by Chan's formula [chan1983].
`TICA(lagtime).fit(gathered(CovariancePass(lagtime), shares(data, lagtime)))` is TICA of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from thalweg.collective_variables.covariances.covariance import Covariances, Moments, covariances
from thalweg.time_series.one_pass import AddingByBlock, Share, Sums
from thalweg.time_series.trajectories import PairReport

MOMENTS = tuple(each.name for each in fields(Moments))
SUMMED = ("block", "drifts", "pairs")


@dataclass(frozen=True)
class CovariancePass:
    """`Covariances` in one pass.

    A block costs three matrices of the number of features squared, so that of thousands of features ``shares`` should
    keep few.

    Parameters
    ----------
    lagtime : in frames, that of the shares; zero for instantaneous covariances
    dt : time between frames [ps]

    Examples
    --------
    >>> from thalweg.time_series.one_pass import gathered, shares
    >>> x = np.random.default_rng(0).standard_normal((5000, 3))
    >>> sums = gathered(CovariancePass(lagtime=2), shares(x, lagtime=2, frames=1000))
    >>> bool(np.allclose(sums.c0t, covariances(x, lagtime=2).c0t, rtol=0, atol=1e-12)), sums.n_blocks
    (True, 5)
    """

    lagtime: int = 0
    dt: float = 1.0

    def of(self, share: Share) -> Sums:
        """Moments of a share."""
        sums = covariances(share.data, self.lagtime, n_blocks=1)
        assert sums.report is not None
        assert sums.drifts is not None
        own = {name: getattr(sums.blocks, name) for name in MOMENTS}
        pairs = np.array([[sums.report.used.sum(), sums.report.lost.sum()]])
        return {**own, "block": np.array([share.block]), "drifts": sums.drifts, "pairs": pairs}

    def merged(self, first: Sums, second: Sums) -> Sums:
        """Moments of the shares of both, those of the same stretch of the data together."""
        plain = AddingByBlock().merged(*({name: one[name] for name in SUMMED} for one in (first, second)))
        numbers = np.concatenate([first["block"], second["block"]])
        moments = Moments.joined([_moments(first), _moments(second)]).numbered(numbers)
        return {**plain, **{name: getattr(moments, name) for name in MOMENTS}}

    def result(self, total: Sums) -> Covariances:
        """Covariances with a block for each stretch of the data."""
        report = PairReport(self.lagtime, *total["pairs"].T)
        runs = np.ones(len(total["block"]), int)
        return Covariances(self.lagtime, self.dt, _moments(total), report, total["drifts"], runs)


def _moments(sums: Sums) -> Moments:
    return Moments(*(sums[name] for name in MOMENTS))
