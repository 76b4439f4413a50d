r"""Score and information of Gaussian steps whose mean and covariance depend on a few local numbers.

For a deviation :math:`r(\eta)` of covariance :math:`C(\eta)`,

.. math:: \partial_a \ell = -\partial_a r^T C^{-1} r + \tfrac12 \left( r^T C^{-1} \partial_a C\, C^{-1} r
          - \mathrm{tr}\, C^{-1} \partial_a C \right), \qquad
          I_{ab} = \partial_a r^T C^{-1} \partial_b r
          + \tfrac12 \mathrm{tr}\, C^{-1} \partial_a C\, C^{-1} \partial_b C .

The local numbers are linear in the parameters of a model (values and slopes of splines), so that these few are
differentiated and the rest is a product of matrices.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float

LOG_TWO_PI = float(np.log(2.0 * np.pi))


class _LocalEvidence(NamedTuple):
    """Of one step.

    Attributes
    ----------
    log_likelihood : a number
    score : (numbers,)
    information : (numbers, numbers)
    """

    log_likelihood: Float[Array, ""]
    score: Float[Array, " numbers"]
    information: Float[Array, "numbers numbers"]


def local_evidence(
    deviation: Array, covariance: Array, d_deviation: Array, d_covariance: Array
) -> _LocalEvidence:
    """Log-likelihood of one step, its gradient and information.

    Parameters
    ----------
    deviation : r (dims,)
    covariance : C (dims, dims)
    d_deviation : (dims, numbers)
    d_covariance : (dims, dims, numbers)
    """
    if deviation.shape[0] == 1:
        inverse, log_volume = 1.0 / covariance, jnp.log(covariance[0, 0])
    else:
        inverse, log_volume = jnp.linalg.inv(covariance), jnp.linalg.slogdet(covariance)[1]
    pull = inverse @ deviation
    likelihood = -0.5 * (deviation @ pull + log_volume + len(deviation) * LOG_TWO_PI)
    relative = jnp.einsum("ij,jka->ika", inverse, d_covariance)
    score = -pull @ d_deviation + 0.5 * (
        jnp.einsum("i,ija,j->a", pull, d_covariance, pull) - jnp.einsum("iia->a", relative)
    )
    information = d_deviation.T @ inverse @ d_deviation + 0.5 * jnp.einsum("ija,jib->ab", relative, relative)
    return _LocalEvidence(likelihood, score, information)
