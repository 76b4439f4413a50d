"""What stays unknown of a molecule's energy and forces once those of some frames are known.

With ``K`` the covariance of the labels ``y`` that were observed (`hessian_kernel`), any other label ``f`` keeps of its
prior variance

    var(f | y) = k(f, f) - |L^-1 k(y, f)|^2,   L L^T = K + noise.

``L`` is found once; then a label costs ``n^2`` multiplications for ``n`` observed ones and a frame the covariances of
its labels with theirs. Which values ``y`` took plays no part. Source: [rasmussen2006].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, solve_triangular

from thalweg.potentials.learned.hessian_kernel import (
    Prior,
    joint_covariance,
    noise_variances,
    prior_variances,
)
from thalweg.potentials.learned.observations import Observations
from thalweg.shapes import Float

SIDE_BY_SIDE = 32
"""Frames asked about together."""


@dataclass(frozen=True)
class Posterior:
    """A Gaussian process of a molecule's energy, given labels of some frames.

    Attributes
    ----------
    prior : covariance of energies before
    observed : what is known
    factor : (labels, labels) Cholesky factor of their covariance with noise, of which the upper triangle counts
    """

    prior: Prior
    observed: Observations
    factor: Float[np.ndarray, "labels labels"]

    @staticmethod
    def of(prior: Prior, observed: Observations, noise: float) -> Posterior:
        """Given labels of ``noise``, see `noise_variances`: as much memory and work as a fit to them."""
        matrix = joint_covariance(prior, observed, observed)
        matrix[np.diag_indices(len(matrix))] += noise_variances(matrix, observed, noise)
        # rows of the lower triangle are columns of the upper one of the transpose, which LAPACK takes in place
        factor, _ = cho_factor(matrix.T, lower=False, overwrite_a=True, check_finite=False)
        return Posterior(prior, observed, factor)

    def variances(self, positions: Float[np.ndarray, "frames atoms 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Of energies (frames,) and force components (frames, atoms x 3), in units of the prior; never negative."""
        energies, forces = prior_variances(self.prior, positions)
        for start in range(0, len(positions), SIDE_BY_SIDE):
            part = slice(start, start + SIDE_BY_SIDE)
            asked = Observations.internal(positions[part], True)
            known = solve_triangular(
                self.factor,
                joint_covariance(self.prior, self.observed, asked),
                trans="T",
                overwrite_b=True,
                check_finite=False,
            )
            along = known[:, : asked.components].reshape(len(known), -1, asked.size)
            for k, directions in enumerate(asked.directions, start):
                forces[k] -= ((along[:, k - start] @ directions.T) ** 2).sum(0)
            energies[part] -= (known[:, asked.components :] ** 2).sum(0)
        return np.maximum(energies, 0), np.maximum(forces, 0)
