r"""One step of linear stochastic dynamics, exactly: ``ds = (A s + b) dt + Q^(1/2) dW``.

After a time :math:`\tau` the state is Gaussian with

.. math:: \langle s_\tau \rangle = e^{A\tau} s_0 + \int_0^\tau e^{At} b\,dt, \qquad
          \mathrm{cov}\, s_\tau = \int_0^\tau e^{At} Q e^{A^T t} dt .

All three follow from their Taylor series for a fraction :math:`\tau / 2^n` of the step, doubled n times
[vanloan1978].
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float

ORDER = 6
"""Terms of the Taylor series."""

SMALL = 0.25
"""Largest ``|A| tau`` for which the series is taken without doubling."""


class LinearStep(NamedTuple):
    """Mean ``propagator @ s + shift`` and covariance of a state after a step."""

    propagator: Float[Array, "*batch states states"]
    shift: Float[Array, "*batch states"]
    covariance: Float[Array, "*batch states states"]


def linear_step(matrix: Array, force: Array, noise: Array, tau: float, doublings: int) -> LinearStep:
    """The step of ``ds = (A s + b) dt + Q^(1/2) dW`` over a time ``tau``.

    Parameters
    ----------
    matrix : A (states, states) [1/ps]
    force : b (states,)
    noise : Q (states, states)
    tau : [ps]
    doublings : see `doublings_for`

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> step = linear_step(-one, one[0], 2 * one, 1.0, 3)
    >>> [round(float(part.squeeze()), 4) for part in step]
    [0.3679, 0.6321, 0.8647]
    """
    h = tau / 2**doublings
    one = jnp.eye(matrix.shape[-1])
    series = one
    for k in range(ORDER, 1, -1):
        series = one + (h / k) * matrix @ series
    propagator, shift = one + h * matrix @ series, h * series @ force
    term = covariance = h * noise
    for k in range(2, ORDER + 1):
        half = (h / k) * matrix @ term
        term = half + half.T
        covariance = covariance + term
    for _ in range(doublings):
        covariance = covariance + propagator @ covariance @ propagator.T
        shift = propagator @ shift + shift
        propagator = propagator @ propagator
    return LinearStep(propagator, shift, covariance)


def doublings_for(fastest: float, tau: float) -> int:
    """Doublings after which the series is exact to about 1e-6, for rates up to ``fastest`` [1/ps]."""
    return max(0, int(np.ceil(np.log2(max(fastest * tau, 1e-12) / SMALL))))
