r"""Landmarks of data of any size: a net of them in one pass, and in another the frames each stands for.

Nets merge: the points of one that are farther than :math:`\delta`, the larger of both distances, from the other are
added to it, and where these are too many :math:`\delta` grows. Distances from frames to the net are at most
:math:`\delta` plus what the net was thinned by. The net depends on the shares, not on who worked on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.manifold.landmarks import (
    DeltaNet,
    LandmarkFrames,
    weighed_landmarks,
)
from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.shapes import Shaped
from thalweg.time_series.one_pass import AddingByBlock, Share, Sums


@dataclass(frozen=True)
class NetPass:
    """Landmarks ``(landmarks, features)`` evenly over the data, in one pass.

    Parameters
    ----------
    count : landmarks at most
    metric : distances between frames

    Examples
    --------
    >>> from thalweg.time_series.one_pass import gathered, shares
    >>> x = np.random.default_rng(0).random((10000, 2))
    >>> points = gathered(NetPass(200), shares(x, frames=1000))
    >>> found = gathered(LandmarkPass(points), shares(x, frames=1000))
    >>> bool(80 <= len(points) <= 200), int(found.counts.sum())
    (True, 10000)
    """

    count: int = 2000
    metric: Metric = Euclidean()  # noqa: RUF009

    def of(self, share: Share) -> Sums:
        """The net of a share."""
        net, distance = DeltaNet(self.count).net_over(
            (frames for _, _, frames in share.data.chunks()), share.data.n_features, self.metric
        )
        return {"net": net, "distance": np.array(distance)}

    def merged(self, first: Sums, second: Sums) -> Sums:
        """The net of both."""
        distance = max(float(first["distance"]), float(second["distance"]))
        net, distance = DeltaNet(self.count).net_over(
            (first["net"], second["net"]), first["net"].shape[1], self.metric, distance
        )
        return {"net": net, "distance": np.array(distance)}

    def result(self, total: Sums) -> Shaped[np.ndarray, "landmarks features"]:
        """The landmarks."""
        return total["net"]


@dataclass(frozen=True, eq=False)
class LandmarkPass(AddingByBlock):
    """`LandmarkFrames`: the weights of the frames nearest to given landmarks, in one pass.

    `DiffusionMap` is fitted to what comes of it as to the frames.

    Parameters
    ----------
    points : (landmarks, features)
    metric : distances between frames
    """

    points: Shaped[np.ndarray, "landmarks features"]
    metric: Metric = Euclidean()  # noqa: RUF009

    def of(self, share: Share) -> Sums:
        """Weights of a share."""
        found = weighed_landmarks(self.points, share.data, self.metric)
        return {
            "block": np.array([share.block]),
            "weights": found.blocks,
            "counts": found.counts[None],
            "squares": np.array([found.radius**2 * found.counts.sum()]),
        }

    def result(self, total: Sums) -> LandmarkFrames:
        """Landmarks that stand for a frame at least."""
        counts = total["counts"].sum(axis=0)
        radius = float(np.sqrt(total["squares"].sum() / counts.sum()))
        return LandmarkFrames(self.points, total["weights"], counts, radius).occupied
