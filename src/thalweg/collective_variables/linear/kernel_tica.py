"""Kernel TICA: slow functions among all smooth ones, by kernels [schwantes2015], at landmarks [harrigan2017].

It is the variational approach in the basis of `Landmarks` and of the features themselves, so that it is never worse
than TICA. How wide the kernels should be decides everything, so it is found by cross-validation unless it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.bases.basis import Features, SideBySide
from thalweg.collective_variables.bases.kernels import Landmarks, Scale
from thalweg.collective_variables.linear.vac import VAC, Scaling, VACModel
from thalweg.time_series.cross_validation import ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories


@dataclass(frozen=True)
class KernelTICA:
    """Kernel TICA with Gaussian kernels.

    Parameters
    ----------
    lagtime : int
        In frames.
    dim : int
        Number of slow coordinates to keep.
    landmarks : int
        Kernels; the cost of a pass over the data grows with their number squared.
    width : float, optional
        Of the kernels, in features divided by ``scale``; None to choose among ``factors`` times the default of
        `Landmarks` by held-out VAMP-2 scores.
    scale : as for `Landmarks`
    factors : widths tried
    scaling, cutoff : as for `VAC`; the cutoff is what keeps kernels from following noise
    seed : of landmarks and splits

    Examples
    --------
    >>> x = np.cumsum(np.random.default_rng(0).standard_normal((4000, 1)), axis=0)
    >>> KernelTICA(lagtime=5, dim=1, landmarks=20).fit(np.sin(x / 20)).method.basis.bases[1].count
    20
    """

    lagtime: int
    dim: int = 2
    landmarks: int = 300
    width: float | None = None
    scale: Scale = None
    factors: Sequence[float] = (0.5, 1.0, 2.0, 4.0)
    scaling: Scaling = "kinetic_map"
    cutoff: float = 1e-5
    seed: int = 0

    def fit(self, data: TrajectoryData) -> VACModel:
        """Slow coordinates of data; ``model.method.basis.bases[1].width`` is the width in use.

        Raises
        ------
        ValueError
            As `VAC.fit` and `Landmarks.fit` do.
        """
        trajectories = as_trajectories(data)
        landmarks = Landmarks(self.landmarks, self.width, self.scale, self.seed)
        if self.width is not None:
            return self._with(landmarks).fit(trajectories)
        bases = [landmarks.wider(factor, trajectories) for factor in self.factors]
        splits = ShuffleSplit(3, seed=self.seed)
        scores = [cross_validate(self._with(each), trajectories, splits).mean for each in bases]
        return self._with(bases[int(np.nanargmax(scores))]).fit(trajectories)

    def _with(self, landmarks: Landmarks) -> VAC:
        return VAC(self.lagtime, self.dim, SideBySide((Features(), landmarks)), self.scaling, self.cutoff)
