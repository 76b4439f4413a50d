"""The free energy along one or two variables, with its error, from weighted trajectories.

``F(s) = -kT log p(s)``, where ``p`` is the weighted histogram, or, with a bandwidth, that histogram spread by
a Gaussian kernel. The error map is the spread over bootstrap samples of whole blocks of correlated frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from thalweg.free_energies.blocks import block_labels, resamples
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float


@dataclass(frozen=True)
class FreeEnergySurfaceModel(Model):
    """``F`` on a grid.

    Attributes
    ----------
    centers : one array of bin centers for each variable
    free_energy : (bins,) or (bins, bins) [kJ/mol], minimum at zero, infinite where nothing was sampled
    error : standard error of ``-kT log p`` in each bin [kJ/mol]; infinite where some bootstrap sample has no
        frame
    """

    centers: tuple[Float[np.ndarray, " _"], ...]
    free_energy: Float[np.ndarray, " *bins"]
    error: Float[np.ndarray, " *bins"]


@dataclass(frozen=True)
class FreeEnergySurface(Method):
    """A weighted histogram or kernel density of one or two variables.

    Parameters
    ----------
    kT : [kJ/mol]
    lower, upper : limits of each variable, in its unit; frames beyond are counted as probability but not
        drawn
    bins : number of bins of each variable
    periods : period of each variable, equal to ``upper - lower``, or None
    bandwidth : standard deviation of the kernel, in bins; 0 for the plain histogram
    block : frames per bootstrap block, several correlation times; see `statistical_inefficiency`
    samples : number of bootstrap samples

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> settings = dict(kT=1.0, lower=(-1.5,), upper=(1.5,), bins=(3,), periods=(None,), block=100)
    >>> model = FreeEnergySurface(**settings).fit([rng.normal(size=(400_000, 1))])
    >>> model.free_energy.round(1).tolist()             # -log(p(0.5..1.5) / p(-0.5..0.5)) = 0.46
    [0.5, 0.0, 0.5]
    """

    kT: float
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    bins: tuple[int, ...]
    periods: tuple[float | None, ...]
    bandwidth: float = 0.0
    block: int = 100
    samples: int = 200
    seed: int = 0

    def __post_init__(self):
        if (
            not len(self.lower) == len(self.upper) == len(self.bins) == len(self.periods)
            or len(self.bins) > 2
        ):
            raise ValueError("give lower, upper, bins and periods one entry for each of one or two variables")
        for low, high, period in zip(self.lower, self.upper, self.periods):
            if period is not None and not np.isclose(high - low, period):
                raise ValueError(f"limits {low:g} to {high:g} are not one period {period:g} apart")

    def fit(
        self,
        values: Sequence[Float[np.ndarray, "_ variables"]],
        log_weights: Sequence[Float[np.ndarray, " _"]] | None = None,
    ) -> FreeEnergySurfaceModel:
        """The surface of ``values``, one array for each trajectory, with log weights up to a common constant.

        =================  ==========================================
        symbol             variable
        =================  ==========================================
        ``w_n``            ``weights``
        ``p(s)``           ``masses`` over ``totals``, in blocks
        ``F(s)``           ``free``
        =================  ==========================================

        Raises
        ------
        ValueError
            If no frame lies within the limits.
        """
        lengths = [len(x) for x in values]
        points = np.concatenate(values).astype(float)
        logs = np.zeros(len(points)) if log_weights is None else np.concatenate(log_weights)
        weights = np.exp(logs - logs.max())
        labels = np.concatenate(block_labels(lengths, self.block))
        blocks = int(labels[-1]) + 1
        place = self._bin(points)
        inside = place >= 0
        if not inside.any():
            raise ValueError(
                f"none of {len(points)} frames lies within {self.lower} to {self.upper}; widen the limits"
            )
        cells = int(np.prod(self.bins))
        # weight in every bin, block by block: (blocks * cells,) to (blocks, cells), spread by the kernel
        flat = np.bincount(labels[inside] * cells + place[inside], weights[inside], minlength=blocks * cells)
        masses = self._spread(flat.reshape(blocks, *self.bins)).reshape(blocks, cells)
        totals = np.bincount(labels, weights)
        # F = -kT ln p; its error over samples in which blocks are drawn with replacement
        drawn = resamples(blocks, self.samples, self.seed)
        with np.errstate(divide="ignore", invalid="ignore"):
            free = -self.kT * np.log(masses.sum(0) / totals.sum())
            error = np.std(-self.kT * np.log((drawn @ masses) / (drawn @ totals)[:, None]), axis=0)
        error = np.where(np.isfinite(error), error, np.inf)
        return FreeEnergySurfaceModel(
            centers=tuple(
                low + (high - low) * (np.arange(n) + 0.5) / n
                for low, high, n in zip(self.lower, self.upper, self.bins)
            ),
            free_energy=(free - free.min()).reshape(self.bins),
            error=error.reshape(self.bins),
        )

    def _bin(self, points):
        """Flat number of the bin of each point, -1 beyond the limits."""
        place, inside = np.zeros(len(points), int), np.ones(len(points), bool)
        for x, low, high, n, period in zip(points.T, self.lower, self.upper, self.bins, self.periods):
            index = np.floor((x - low) / (high - low) * n).astype(int)
            index = index % n if period is not None else index
            inside &= (index >= 0) & (index < n)
            place = place * n + index
        return np.where(inside, place, -1)

    def _spread(self, histograms):
        """Histograms ``(blocks, *bins)`` convolved with the kernel."""
        if self.bandwidth == 0:
            return histograms
        for axis, period in enumerate(self.periods, start=1):
            mode = "constant" if period is None else "wrap"
            histograms = scipy.ndimage.gaussian_filter1d(histograms, self.bandwidth, axis=axis, mode=mode)
        return histograms
