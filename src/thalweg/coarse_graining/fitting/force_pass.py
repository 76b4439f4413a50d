"""Force matching of data of any size: normal equations summed share by share wherever the frames lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.learned_potentials.linear.normal_equations import Sums as Equations
from thalweg.time_series.one_pass import AddingByBlock, Sums

EQUATIONS = ("gram", "moment", "square", "count")


@dataclass(frozen=True)
class FrameShare:
    """Frames of beads to match forces of, read where they are summed.

    Parameters
    ----------
    read : gives the frames; something that can be sent to workers, such as a ``functools.partial`` of a function of a
        module and a path
    number : of the share, in order of time; neighbors should be left out together (see ``ForceMatching.folds``)
    """

    read: Callable[[], BeadFrames]
    number: int

    def __str__(self) -> str:
        return f"share {self.number} of the frames of beads"


@dataclass(frozen=True)
class ForcePass(AddingByBlock):
    """`ForceMatching` over shares of frames; the sums of all are those of one fit.

    Parameters
    ----------
    matching : interactions, prior, regularization, folds
    shares : how many there are; stretches of them are left out together

    Examples
    --------
    >>> from functools import partial
    >>> from thalweg.coarse_graining.interactions.functions import Powers
    >>> from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
    >>> from thalweg.time_series.one_pass import gathered
    >>> def frames(seed):
    ...     x = np.array([[0.0, 0, 0], [0.15, 0, 0]]) + np.random.default_rng(seed).normal(0, 0.005, (50, 2, 3))
    ...     r = x[:, 1] - x[:, 0]
    ...     length = np.linalg.norm(r, axis=1, keepdims=True)
    ...     pull = -1000.0 * (length - 0.15) * r / length
    ...     return BeadFrames(x, kT=2.5, forces=np.stack([-pull, pull], 1))
    >>> bond = BondedInteraction(InternalCoordinate("distance", np.array([[0, 1]]), Powers(0.15)), name="bond")
    >>> parts = [FrameShare(partial(frames, seed), seed) for seed in range(10)]
    >>> gathered(ForcePass(ForceMatching((bond,)), 10), parts).coefficients.round(3) + 0.0
    array([  0., 500.])
    """

    matching: ForceMatching
    shares: int

    def of(self, share: FrameShare) -> Sums:
        """Normal equations of a share, in the fold it belongs to."""
        sums, beads = self.matching.sums([share.read()])
        fold = share.number * self.matching.folds // self.shares
        own = {name: np.array([getattr(sums[0], name)]) for name in EQUATIONS}
        return {"block": np.array([fold]), **own, "beads": np.array([[beads, 1]])}

    def result(self, total: Sums) -> LinearCoarseModel:
        """The model that the sums lead to."""
        folds = []
        for gram, moment, square, count in zip(*(total[name] for name in EQUATIONS)):
            one = Equations(len(moment))
            one.gram, one.moment = np.asfortranarray(gram), moment
            one.square, one.count = float(square), int(count)
            folds.append(one)
        beads, parts = total["beads"].sum(axis=0)
        return self.matching.solve(folds, int(beads // parts))
