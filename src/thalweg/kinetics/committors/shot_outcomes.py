r"""Fans of trajectories: how many of those shot from a frame reached B first, and what that says.

With :math:`n_i` shots of frame i that ended in a set, :math:`k_i` of them in B, the committor is
:math:`\hat p_i = k_i / n_i` with Wilson's binomial interval [wilson1927]. If frames are claimed to lie on a surface of
one committor, their :math:`\hat p_i` scatter by the finite number of shots alone; what is left of their variance,

.. math::  \sigma^2 = \operatorname{var}(\hat p_i)
           - \Big\langle \frac{\hat p_i (1 - \hat p_i)}{n_i - 1} \Big\rangle ,

is the spread of the committor itself on that surface, zero for the committor and up to 1/2 for a bad variable
[peters2006a].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.stats

from thalweg.kinetics.reactions.regions import IN_A, IN_B, OUTSIDE
from thalweg.learning.models import Model
from thalweg.shapes import Shaped

REPLICATES = 1000
"""Bootstrap replicates of the points of a surface."""

MANY_UNFINISHED = 0.05
"""Share of shots that never end from which on it is told."""


@dataclass(frozen=True, eq=False)
class ShotOutcomes(Model):
    """Where trajectories ended that were shot from some frames.

    Parameters
    ----------
    features : (points, features) of the frames that were shot from
    outcomes : (points, shots), ``IN_A``, ``IN_B``, or ``OUTSIDE`` for a shot that ended nowhere in its time
    times : (points, shots) until a set was entered or time was over [ps]
    velocities : (points, shots, features), time derivatives of the features at the start [1/ps]; None if dynamics have
        none
    names : of the features

    Raises
    ------
    ValueError
        If shapes do not fit, or no shot ended in a set.

    Examples
    --------
    >>> shots = ShotOutcomes(np.zeros((1, 2)), np.array([[IN_A, IN_B, IN_B, OUTSIDE]]))
    >>> shots.committor.round(3).tolist(), shots.unfinished
    ([0.667], 1)
    """

    features: Shaped[np.ndarray, "points features"]
    outcomes: Shaped[np.ndarray, "points shots"]
    times: Shaped[np.ndarray, "points shots"] | None = None
    velocities: Shaped[np.ndarray, "points shots features"] | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self):
        features, outcomes = np.asarray(self.features, float), np.asarray(self.outcomes, int)
        if features.ndim != 2 or outcomes.ndim != 2 or len(features) != len(outcomes):
            raise ValueError(
                f"features of shape {features.shape} and outcomes of shape {outcomes.shape}; give (points, features) "
                "and (points, shots)"
            )
        if not np.isin(outcomes, (OUTSIDE, IN_A, IN_B)).all():
            raise ValueError(f"outcomes must be {OUTSIDE}, {IN_A} or {IN_B}: nowhere, in A, in B")
        if not (outcomes != OUTSIDE).any():
            raise ValueError(
                f"none of {outcomes.size} shots ended in A or B; let them run longer, or make the sets larger"
            )
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "outcomes", outcomes)

    @property
    def to_b(self) -> np.ndarray:
        """Shots that ended in B ``(points,)``."""
        return (self.outcomes == IN_B).sum(axis=1)

    @property
    def finished(self) -> np.ndarray:
        """Shots that ended in A or B ``(points,)``."""
        return (self.outcomes != OUTSIDE).sum(axis=1)

    @property
    def unfinished(self) -> int:
        """Shots of all points that ended nowhere."""
        return int((self.outcomes == OUTSIDE).sum())

    @property
    def committor(self) -> np.ndarray:
        """Share of the finished shots that ended in B ``(points,)``; NaN where none finished."""
        finished = self.finished
        return np.where(finished > 0, self.to_b / np.maximum(finished, 1), np.nan)

    def interval(self, confidence: float = 0.95) -> np.ndarray:
        """Wilson's interval of the committor at each point ``(2, points)``; 0 to 1 where no shot finished."""
        z, n = scipy.stats.norm.ppf(0.5 + confidence / 2), np.maximum(self.finished, 1e-300)
        p = self.to_b / n
        middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        return np.where(self.finished > 0, np.clip([middle - half, middle + half], 0, 1), [[0.0], [1.0]])

    def taken(self, points: Sequence[int] | np.ndarray) -> ShotOutcomes:
        """The shots of some points."""
        chosen = np.asarray(points)
        more = {
            name: None if array is None else array[chosen]
            for name, array in (("times", self.times), ("velocities", self.velocities))
        }
        return replace(self, features=self.features[chosen], outcomes=self.outcomes[chosen], **more)

    def joined(self, others: Sequence[ShotOutcomes]) -> ShotOutcomes:
        """With further shots of the same points.

        Raises
        ------
        ValueError
            If the points are others.
        """
        every = [self, *others]
        if any(not np.array_equal(one.features, self.features) for one in others):
            raise ValueError(
                "shots of other points cannot be joined; give shots of the same frames in the same order"
            )
        columns = {
            name: None if any(column is None for column in found) else np.concatenate(found, axis=1)
            for name in ("outcomes", "times", "velocities")
            for found in [[getattr(one, name) for one in every]]
        }
        return replace(self, **columns)

    def distribution(self, seed: int = 0) -> CommittorDistribution:
        """The committor on the surface that these points are said to lie on.

        Raises
        ------
        ValueError
            If fewer than three points have two finished shots.
        """
        return _distribution(self.to_b, self.finished, self.unfinished, seed)

    @property
    def notes(self) -> tuple[str, ...]:
        """What one should know."""
        if self.unfinished <= MANY_UNFINISHED * self.outcomes.size:
            return ()
        return (
            f"{self.unfinished} of {self.outcomes.size} shots ended in neither set and do not count: if slow ones go "
            "to one side, the committor is wrong; let them run longer",
        )

    def headline(self) -> dict[str, object]:
        """How many shots, and where they ended."""
        return {
            "points": len(self.features),
            "shots": self.outcomes.size,
            "to A": int((self.outcomes == IN_A).sum()),
            "to B": int(self.to_b.sum()),
            "unfinished": self.unfinished,
        }

    def __str__(self) -> str:
        ends = zip(self.committor, *self.interval(), self.finished)
        lines = [f"{p:.3f} ({low:.3f} to {high:.3f}) from {n} shots" for p, low, high, n in ends]
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, eq=False)
class CommittorDistribution(Model):
    """The committor on a surface, the scatter from the finite number of shots taken out.

    Attributes
    ----------
    committors : (points,) shares of shots that ended in B
    shots : (points,) that ended in a set
    mean, mean_error : over points
    deviation : standard deviation of the committor beyond the binomial one; zero where the latter explains all
    interval : its 95 % interval
    homogeneous : probability of at least such scatter if all points had one committor (chi squared)
    unfinished : shots that ended nowhere
    """

    committors: Shaped[np.ndarray, " points"]
    shots: Shaped[np.ndarray, " points"]
    mean: float
    mean_error: float
    deviation: float
    interval: tuple[float, float]
    homogeneous: float
    unfinished: int

    def headline(self) -> dict[str, object]:
        """Mean and spread."""
        return {
            "points": len(self.committors),
            "mean": f"{self.mean:.3f} ± {self.mean_error:.2g}",
            "deviation": f"{self.deviation:.3f} ({self.interval[0]:.3f} to {self.interval[1]:.3f})",
        }

    def __str__(self) -> str:
        return (
            f"committor {self.mean:.3f} ± {self.mean_error:.2g} on {len(self.committors)} points, deviation beyond "
            f"the binomial one {self.deviation:.3f} ({self.interval[0]:.3f} to {self.interval[1]:.3f}); one committor "
            f"for all has p = {self.homogeneous:.2g}; {self.unfinished} shots ended nowhere"
        )


def _distribution(
    to_b: np.ndarray, finished: np.ndarray, unfinished: int, seed: int
) -> CommittorDistribution:
    usable = finished >= 2
    if usable.sum() < 3:
        raise ValueError(
            f"{int(usable.sum())} points have two finished shots, needed are three; shoot from more frames, or let "
            f"the {unfinished} unfinished shots run longer"
        )
    n, p = finished[usable], to_b[usable] / finished[usable]
    drawn = np.random.default_rng(seed).integers(len(p), size=(REPLICATES, len(p)))
    replicates = [_variance(p[chosen], n[chosen]) for chosen in drawn]
    low, high = np.sqrt(np.maximum(np.percentile(replicates, [2.5, 97.5]), 0))
    overall = to_b[usable].sum() / n.sum()
    scatter = (n * (p - overall) ** 2).sum() / max(overall * (1 - overall), 1e-300)
    return CommittorDistribution(
        committors=p,
        shots=n,
        mean=float(p.mean()),
        mean_error=float(p.std(ddof=1) / np.sqrt(len(p))),
        deviation=float(np.sqrt(max(_variance(p, n), 0.0))),
        interval=(float(low), float(high)),
        homogeneous=float(scipy.stats.chi2.sf(scatter, len(p) - 1)),
        unfinished=unfinished,
    )


def _variance(p: np.ndarray, n: np.ndarray) -> float:
    """Variance of the committor beyond the binomial one, without bias."""
    return float(p.var(ddof=1) - (p * (1 - p) / (n - 1)).mean())
