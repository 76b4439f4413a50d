"""Kernel TICA: slow functions among all smooth ones, by kernels [schwantes2015], at landmarks [harrigan2017].

It is the variational approach in the basis of `Landmarks` and of the features themselves, so that it is never worse
than TICA. How wide the kernels should be decides everything, so it is found by cross-validation unless it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.collective_variables.bases.basis import Features, SideBySide
from thalweg.collective_variables.bases.kernels import Landmarks, Scale
from thalweg.collective_variables.linear.vac import VAC, Scaling, VACModel
from thalweg.learning.models import Transforming
from thalweg.machine.surviving import surviving
from thalweg.time_series.cross_validation import ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

DISTINCT = 5000
"""Frames among which different ones are counted."""

FRAMES_EACH = 10
"""Frames for each landmark at least."""


@dataclass(frozen=True)
class KernelTICA(Transforming):
    """Kernel TICA with Gaussian kernels.

    Parameters
    ----------
    lagtime : int
        In frames.
    dim : int
        Number of slow coordinates to keep.
    landmarks : int
        Kernels at most; the cost of a pass over the data grows with their number squared. Few frames hold fewer, which
        is told.
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
        count, told = self._held(trajectories)
        landmarks = Landmarks(count, self.width, self.scale, self.seed)
        if self.width is None:
            bases = [landmarks.wider(factor, trajectories) for factor in self.factors]
            splits = ShuffleSplit(3, seed=self.seed)
            scored = surviving(
                bases,
                lambda basis: cross_validate(self._with(basis), trajectories, splits).mean,
                "kernel widths",
                told=False,
            )
            landmarks = scored.members[int(np.argmax(scored.results))]
            told += (scored.told,) if scored.failures else ()
        model = self._with(landmarks).fit(trajectories)
        return replace(model, notes=(*told, *model.notes)) if told else model

    def _held(self, data: Trajectories) -> tuple[int, tuple[str, ...]]:
        """Landmarks that the frames hold, one in `FRAMES_EACH` at most, and a note where these are fewer."""
        different = len(np.unique(data.strided(max(DISTINCT, 4 * self.landmarks)), axis=0))
        most = max(2, min(data.n_frames // FRAMES_EACH, different, self.landmarks))
        if most >= self.landmarks:
            return self.landmarks, ()
        return most, (f"{data.n_frames} frames hold {most} landmarks, not {self.landmarks}",)

    def _with(self, landmarks: Landmarks) -> VAC:
        return VAC(self.lagtime, self.dim, SideBySide((Features(), landmarks)), self.scaling, self.cutoff)
