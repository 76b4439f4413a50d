"""The few combinations of features in which sites of an element differ, and in which they change when atoms move.

Sums over neighbors have hundreds of features, most of them nearly combinations of others. With ``f`` the features of
the sites of one element and ``J`` their derivatives, principal components of

    cov(f) + step^2 <J J^T>

are kept until what is left out is a given small part of the whole. Distances between sites and the derivatives of
these hardly change, and kernels of them cost several times less.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import numpy as np

from thalweg.representations.derivatives import with_derivatives
from thalweg.representations.representation import Representation
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration

STEP = 0.01
"""Atoms move about this far [nm]."""

EXAMPLES = 100
"""At most so many frames are looked at."""


class PrincipalFeatures(eqx.Module):
    """Combinations of a representation's features, in units of their typical distance.

    Attributes
    ----------
    representation : with elements filled in
    centers : mean features of each element, (features,)
    vectors : combinations of each element, (features, combinations)
    """

    representation: Representation
    centers: tuple[Float[np.ndarray, " features"], ...]
    vectors: tuple[Float[np.ndarray, "features _"], ...]

    @staticmethod
    def fit(
        representation: Representation, frames: Sequence[Configuration], lost: float = 1e-7
    ) -> PrincipalFeatures:
        """Those that leave out at most a part ``lost`` of how sites of an element in ``frames`` differ and change.

        Distances are divided by their root mean square between sites of one element, averaged over elements.

        Raises
        ------
        ValueError
            If features depend on more than a site's own neighbors, see `features_and_pulls`.

        Examples
        --------
        >>> from thalweg.representations.fchl import FCHL19
        >>> water = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]])
        >>> frames = [Configuration(np.array([8, 1, 1]), water * (1 + d)) for d in (0, 0.01, 0.02)]
        >>> [len(one.T) < 40 for one in PrincipalFeatures.fit(FCHL19(radial=8, elements=(1, 8)), frames).vectors]
        [True, True]
        """
        chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), EXAMPLES)).astype(int))
        centers, vectors, spreads = [], [], []
        for features, jacobian_squares in _features_and_jacobians(
            representation, [frames[k] for k in chosen]
        ):
            # principal axes of cov(f) + step^2 <J J^T>, largest first
            count = max(len(features), 1)
            center = features.sum(0) / count
            covariance = (features - center).T @ (features - center) / count
            sizes, directions = np.linalg.eigh(covariance + STEP**2 * jacobian_squares / count)
            sizes = np.maximum(sizes[::-1], 0)
            combinations = int((np.cumsum(sizes) < (1 - lost) * sizes.sum()).sum()) + 1
            centers.append(center)
            vectors.append(directions[:, ::-1][:, :combinations])
            # the mean square distance of two sites is twice the variance
            spreads.append(2 * np.trace(covariance))
        scale = float(np.sqrt(np.mean(spreads))) or 1.0
        return PrincipalFeatures(representation, tuple(centers), tuple(axes / scale for axes in vectors))


def _features_and_jacobians(representation, frames):
    """Of each element the features of its sites (sites, features), and ``sum J J^T`` over these and their neighbors."""
    features: list[list[np.ndarray]] = [[] for _ in representation.elements]
    squares: list = [0.0 for _ in representation.elements]
    for _, near, pulls in with_derivatives(representation, frames):
        for kind, of_kind in enumerate(features):
            mine = np.flatnonzero(near.kinds == kind)
            of_kind.append(pulls.features[mine])
            jacobian = pulls.of(mine)[2]
            jacobian = jacobian.reshape(-1, jacobian.shape[-1])
            squares[kind] = squares[kind] + jacobian.T @ jacobian
    return zip(map(np.concatenate, features), squares)
