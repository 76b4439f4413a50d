"""What stays unknown of a molecule's energy and forces once those of some frames are known.

With ``K`` the covariance of the labels ``y`` that were observed (`hessian_kernel`), any other label ``f`` keeps of its
prior variance

    var(f | y) = k(f, f) - |L^-1 k(y, f)|^2,   L L^T = K + noise.

``L`` is found once; then a label costs ``n^2`` multiplications for ``n`` observed ones and a frame the covariances of
its labels with theirs. Which values ``y`` took plays no part.

Where they are known, each frame can be left out in turn without a new fit: with ``B`` the block of ``(K + noise)^-1``
that belongs to the labels of one frame, all others miss these by ``B^-1 ((K + noise)^-1 y)``, with the covariance
``B^-1``, noise included. Source: [rasmussen2006].
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack, solve_triangular

from thalweg.learned_potentials.gradient_domain.hessian_kernel import (
    noise_variances,
    prior_variances,
)
from thalweg.learned_potentials.gradient_domain.observations import LabelCovariance, Observed, ObservedLabels
from thalweg.shapes import Float, Int

SIDE_BY_SIDE = 32
"""Frames asked about together."""

BLOCK = 512
"""Columns of an inverse worked out together."""


@dataclass(frozen=True)
class MoleculePosterior:
    """A Gaussian process of a molecule's energy, given labels of some frames.

    Attributes
    ----------
    prior : covariance of energies before
    observed : what is known
    factor : (labels, labels) Cholesky factor of their covariance with noise, of which the upper triangle counts
    noise : variance of what disturbs a force, in units of the prior
    """

    prior: LabelCovariance
    observed: Observed
    factor: Float[np.ndarray, "labels labels"]
    noise: float

    @staticmethod
    def of(prior: LabelCovariance, observed: Observed, noise: float) -> MoleculePosterior:
        """Given labels of ``noise``, see `noise_variances`: as much memory and work as a fit to them."""
        matrix = prior.joint_covariance(observed, observed)
        added = noise_variances(matrix, observed, noise)
        matrix[np.diag_indices(len(matrix))] += added
        # rows of the lower triangle are columns of the upper one of the transpose, which LAPACK takes in place
        factor, _ = cho_factor(matrix.T, lower=False, overwrite_a=True, check_finite=False)
        return MoleculePosterior(prior, observed, factor, float(added[0]))

    def explained(self, asked: Observed) -> np.ndarray:
        """What is known of the variances of all labels ``asked``, (labels,), in units of the prior."""
        return (self._known(asked) ** 2).sum(0)

    def _known(self, asked):
        """``L^-1 k(y, asked)``."""
        return solve_triangular(
            self.factor,
            self.prior.joint_covariance(self.observed, asked),
            trans="T",
            overwrite_b=True,
            check_finite=False,
        )

    def variances(self, positions: Float[np.ndarray, "frames atoms 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Of energies (frames,) and force components (frames, atoms x 3), in units of the prior; never negative."""
        energies, forces = prior_variances(self.prior, positions)
        for start in range(0, len(positions), SIDE_BY_SIDE):
            part = slice(start, start + SIDE_BY_SIDE)
            asked = ObservedLabels.internal(positions[part], True)
            known = self._known(asked)
            # forces were asked along directions; |L^-1 k(y, D f)|^2 of components f is summed over these
            along = known[:, : asked.components].reshape(len(known), -1, asked.size)
            for k, directions in enumerate(asked.directions, start):
                forces[k] -= ((along[:, k - start] @ directions.T) ** 2).sum(0)
            energies[part] -= (known[:, asked.components :] ** 2).sum(0)
        return np.maximum(energies, 0), np.maximum(forces, 0)

    def coefficients(self, values: Float[np.ndarray, " labels"]) -> np.ndarray:
        """``(K + noise)^-1 values``, of as many as there are labels."""
        return cho_solve((self.factor, False), values, check_finite=False)

    def left_out(self, coefficients: Float[np.ndarray, " labels"]) -> tuple[np.ndarray, np.ndarray]:
        """How forces of each observed frame are missed by all others, and what these leave unknown of them.

        As much work as factorizing their covariance; one block of the inverse is kept at a time.

        ============================  =========================================================
        ``L^-1``, columns of a frame  ``half``, (labels from its first on, its labels)
        ``B^-1``                      ``covariance``, (labels, labels) of the frame, with noise
        ``B^-1 ((K + noise)^-1 y)``   ``residual``, along its directions ``D``, ``along``
        ============================  =========================================================

        Parameters
        ----------
        coefficients : of the values observed, see `coefficients`

        Returns
        -------
        errors : prediction minus value, (frames, atoms x 3), in units of the values
        variances : of force components without noise, (frames, atoms x 3), in units of the prior; never negative
        """
        observed, size = self.observed, self.observed.size
        frames, atoms, _ = observed.positions.shape
        # blocks of the inverse are cut where frames end; energies stand last, in one block
        errors, variances = np.empty((frames, 3 * atoms)), np.empty((frames, 3 * atoms))
        together = max(1, BLOCK // size)
        edges = [*range(0, observed.components, together * size), observed.components]
        if observed.energies:
            edges.append(observed.count)
            energies = _inverse_of_triangle(self.factor[edges[-2] :, edges[-2] :]).T
        blocks = _inverse_columns(self.factor, np.array(edges))
        for start, columns in zip(range(0, frames, together), blocks):
            for k in range(start, min(start + together, frames)):
                # columns of L^-1 that belong to the frame: B = ((K + noise)^-1)_kk is their product with themselves
                half = columns[:, (k - start) * size :][:, :size]
                if observed.energies:
                    own = np.concatenate([np.zeros((len(half) - frames, 1)), energies[:, k : k + 1]])
                    half = np.concatenate([half, own], axis=1)
                covariance = np.linalg.inv(half.T @ half)
                residual = (covariance @ coefficients[observed.rows(np.array([k]))])[:size]
                # B^-1 has the noise of the frame's labels, which is none of the energy's
                forces = covariance[:size, :size] - self.noise * np.eye(size)
                along = np.eye(size) if observed.directions is None else observed.directions[k]
                errors[k], variances[k] = -along @ residual, ((along @ forces) * along).sum(1)
        return errors, np.maximum(variances, 0)


def _inverse_columns(
    factor: Float[np.ndarray, "labels labels"], edges: Int[np.ndarray, " edges"]
) -> Iterator[np.ndarray]:
    """Columns of ``L^-1`` between ``edges``, block after block, each from the row on from which they are not zero.

    ``L`` is the transpose of the upper triangle of ``factor``. With ``I`` and ``J`` blocks,
    ``(L^-1)_IJ = -(L_II)^-1 sum_{J <= K < I} L_IK (L^-1)_KJ``.
    """
    parts = [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]
    inverses = [_inverse_of_triangle(factor[part, part]).T for part in parts]
    for j, part in enumerate(parts):
        columns = np.zeros((int(edges[-1]) - part.start, part.stop - part.start))
        columns[: columns.shape[1]] = inverses[j]
        for rows, inverse in zip(parts[j + 1 :], inverses[j + 1 :]):
            above, below = rows.start - part.start, rows.stop - part.start
            columns[above:below] = -inverse @ (factor[part.start : rows.start, rows].T @ columns[:above])
        yield columns


def _inverse_of_triangle(block: Float[np.ndarray, "labels labels"]) -> np.ndarray:
    """Inverse of the upper triangle of ``block``."""
    return np.triu(lapack.dtrtri(np.triu(block))[0])
