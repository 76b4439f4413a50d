"""Slow variables in scikit-learn pipelines.

    make_pipeline(StandardScaler(), SlowVariables(TICA(lagtime=10)), KMeans(100))

An array of frames is one trajectory, unless ``lengths`` says where others begin. DataFrames keep the names of their
columns, and come out where ``set_output`` asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from thalweg.collective_variables.linear.tica import TICA
from thalweg.time_series.trajectories import Trajectories


class SlowVariables(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Any method of this room with ``fit`` and ``transform`` as a transformer.

    Parameters
    ----------
    method : `TICA`, `VAC`, `VAMP`, `KernelTICA`, `SRV` and so on; None for TICA with a lag time of one frame and one
        coordinate
    dt : time between frames [ps]

    Attributes
    ----------
    model_ : what the method found
    n_features_in_, feature_names_in_ : of the frames

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((500, 3)).cumsum(axis=0)
    >>> SlowVariables(TICA(lagtime=5, dim=2)).fit(x, lengths=[200, 300]).transform(x).shape
    (500, 2)
    """

    def __init__(self, method: Any = None, dt: Any = 1.0):
        self.method = method
        self.dt = dt

    def fit(self, X: Any, y: Any = None, lengths: Sequence[int] | None = None) -> SlowVariables:
        """Fit the method.

        Parameters
        ----------
        X : (frames, features), trajectories one after the other
        y : not used
        lengths : frames of each trajectory; all of them one trajectory if None

        Raises
        ------
        ValueError
            If lengths do not add up to the frames, or as the method does.
        """
        frames = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=3)
        blocks = _blocks(frames, lengths)
        names = getattr(self, "feature_names_in_", None)
        method = TICA(lagtime=1, dim=1) if self.method is None else self.method
        self.model_ = method.fit(Trajectories(blocks, self.dt, names=None if names is None else tuple(names)))
        self._n_features_out = self.model_.transform(frames[:1]).shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Slow variables ``(frames, dim)``."""
        check_is_fitted(self)
        frames = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return np.asarray(self.model_.transform(frames))

    def score(self, X: Any, y: Any = None, lengths: Sequence[int] | None = None) -> float:
        """Score of the model on other frames, in trajectories one after the other; VAMP-2 by default.

        Raises
        ------
        ValueError
            If lengths do not add up to the frames.
        """
        check_is_fitted(self)
        frames = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return float(self.model_.score(Trajectories(_blocks(frames, lengths), self.dt)))


def _blocks(frames: np.ndarray, lengths: Sequence[int] | None) -> list[np.ndarray]:
    """One array per trajectory."""
    if lengths is None:
        return [frames]
    if sum(lengths) != len(frames) or min(lengths) < 1:
        raise ValueError(
            f"lengths add up to {sum(lengths)}, there are {len(frames)} frames; give positive lengths"
        )
    return np.split(frames, np.cumsum(lengths)[:-1])
