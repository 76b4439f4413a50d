r"""A reversible Markov model between fuzzy states, from moments of their memberships [mardt2020].

The density of the next frame is modelled on that of equilibrium, :math:`\mu`, as

.. math::  p(x_{t+\tau} | x_t) = \chi(x_t)^T S\, \chi(x_{t+\tau})\; \mu(x_{t+\tau})

with :math:`S` symmetric (detailed balance) and without negative entries (a density), and :math:`S \bar\chi = 1` with
:math:`\bar\chi = \int \chi\, \mu` (it is normalized). Memberships then move by a stochastic matrix,

.. math::  E[\chi(x_{t+\tau}) | x_t] = K^T \chi(x_t), \qquad K = S\, \Sigma, \qquad
           \Sigma = \int \chi \chi^T \mu ,

whose stationary distribution is :math:`\bar\chi` and whose eigenvalues are real, those of
:math:`\Sigma^{1/2} S\, \Sigma^{1/2}`. Where runs did not start from equilibrium, :math:`\mu` is the density of last
frames times :math:`u \cdot \chi`, or that of first frames times :math:`v \cdot \chi`, with the weights under which
memberships are stationary, :math:`\pi^T \langle \chi\chi^T\rangle^{-1} \langle\chi\chi'^T\rangle = \pi^T` [wu2017].
:math:`S` has the largest VAMP-E score [wu2020] at equilibrium,

.. math::  R_E = 2\, \mathrm{tr}\, S\, C - \mathrm{tr}\, S\, \Sigma\, S\, \Sigma, \qquad
           C = \langle (v \cdot \chi)\, \chi\, \chi'^T \rangle \text{ symmetrized},

which says how well the true conditional density is approached, up to a constant: a concave problem with one solution.
Maximized with averages over the data instead, and over :math:`u` as well, the score would also use the weights to
give densities a better shape where states are fuzzy, and they would not be stationary any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize, nnls

from thalweg.collective_variables.memberships.membership_moments import MembershipMoments
from thalweg.shapes import Shaped

STEPS = 300
"""Steps of sequential quadratic programming at most."""

Means = Sequence[np.ndarray]
"""The moments A, B and D."""


@dataclass(frozen=True, eq=False)
class ReversibleMemberships:
    """A fitted model.

    Attributes
    ----------
    v, u : (states,), the stationary density over that of first frames is ``v . chi``, over that of last ``u . chi``
    rates : (states, states), S
    overlap : (states, states), Sigma: how much states share, at equilibrium
    free : (states,) eigenvalues of the unconstrained operator, one first, real parts
    value : VAMP-E score on the data of the fit
    free_value : the same without constraints on S; these cost much where memberships are of no real states (see
        `Stretched`)
    converged : whether its steps came to rest
    reason : why data are taken as they are, if no weights make memberships stationary; else empty
    """

    v: Shaped[np.ndarray, " states"]
    u: Shaped[np.ndarray, " states"]
    rates: Shaped[np.ndarray, "states states"]
    overlap: Shaped[np.ndarray, "states states"]
    free: Shaped[np.ndarray, " states"]
    value: float
    free_value: float
    converged: bool
    reason: str = ""

    @cached_property
    def stationary_distribution(self) -> np.ndarray:
        """Equilibrium probability of every state ``(states,)``."""
        return self.overlap.sum(axis=1)

    @cached_property
    def transition_matrix(self) -> np.ndarray:
        """K ``(states, states)``, rows sum to one."""
        return self.rates @ self.overlap

    @cached_property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of K, largest first, and right eigenvectors as columns, of unit mean square at equilibrium."""
        # Sigma^{1/2} S Sigma^{1/2}, and right eigenvectors of K = S Sigma as Sigma^{-1/2} times its own
        values, vectors = eigh(self.overlap)
        values = np.maximum(values, 1e-12)
        root = (vectors * np.sqrt(values)) @ vectors.T
        inverse = (vectors / np.sqrt(values)) @ vectors.T
        eigenvalues, right = eigh(root @ self.rates @ root)
        right = inverse @ right[:, ::-1]
        return eigenvalues[::-1], right * np.sign(
            right[np.abs(right).argmax(axis=0), np.arange(len(eigenvalues))]
        )

    def score(self, means: Means) -> float:
        """VAMP-E score on moments of any data, weighted to equilibrium by the weights of this fit."""
        overlap, together = _at_equilibrium(self.v, self.u, means)
        return float((self.rates * (2 * together - overlap @ self.rates @ overlap)).sum())


def reversible_memberships(moments: MembershipMoments) -> ReversibleMemberships:
    r"""The best reversible model.

    ==========================  ===========================================
    symbol                      variable
    ==========================  ===========================================
    :math:`S`                   ``rates``; ``z`` its upper triangle
    :math:`\Sigma`              ``overlap``
    :math:`C`                   ``together``
    :math:`\bar\chi`            ``mean``
    :math:`u, v`                ``u``, ``v``
    ==========================  ===========================================

    Examples
    --------
    >>> from thalweg.collective_variables.bases.basis import Identity
    >>> from thalweg.collective_variables.memberships.membership_moments import membership_moments
    >>> states = np.cumsum(np.random.default_rng(0).random(20000) < 0.01) % 2
    >>> fit = reversible_memberships(membership_moments(np.eye(2)[states], Identity(("a", "b")), 1))
    >>> fit.transition_matrix.round(2).tolist(), fit.stationary_distribution.round(1).tolist()
    ([[0.99, 0.01], [0.01, 0.99]], [0.5, 0.5])
    """
    means = tuple(moments.means)
    size, upper = moments.n_states, np.triu_indices(moments.n_states)
    v, u, free, reason = _stationary_weights(means)
    overlap, together = _at_equilibrium(v, u, means)
    mean = overlap.sum(axis=1)

    def rates_of(z: np.ndarray) -> np.ndarray:
        rates = np.zeros((size, size))
        rates[upper] = z
        return rates + np.triu(rates, 1).T

    def folded(
        matrix: np.ndarray,
    ) -> np.ndarray:  # a gradient by S as one by z: off the diagonal z is there twice
        return (matrix + matrix.T - np.diag(np.diag(matrix)))[upper]

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        rates = rates_of(z)
        # -R_E = tr S Sigma S Sigma - 2 tr S C
        half = overlap @ rates @ overlap
        return float(((half - 2 * together) * rates).sum()), folded(2 * half - 2 * together)

    # S chi_bar = 1 is linear in z: one column of slopes for each entry of S on and above the diagonal
    units = np.eye(len(upper[0]))
    slopes = np.stack([rates_of(unit) @ mean for unit in units], axis=1)
    # without constraints the best S is Sigma^-1 C Sigma^-1: cut off below zero it is the start
    inverse = np.linalg.pinv(overlap + 1e-9 * np.trace(overlap) / size * np.eye(size), hermitian=True)
    start = _completed(np.maximum(inverse @ together @ inverse, 1e-6), mean)
    run = minimize(
        objective,
        start[upper],
        jac=True,
        method="SLSQP",
        bounds=[(0.0, None)] * len(units),
        constraints={"type": "eq", "fun": lambda z: slopes @ z - 1, "jac": lambda z: slopes},
        options={"maxiter": STEPS, "ftol": 1e-12},
    )
    steps_taken = np.isfinite(run.x).all()
    rates = _exact(rates_of(np.maximum(run.x, 0) if steps_taken else start[upper]), mean)
    free_value = float((inverse @ together @ inverse * together).sum())
    fit = ReversibleMemberships(
        v, u, rates, overlap, free, 0.0, free_value, bool(run.success and steps_taken), reason
    )
    return replace(fit, value=fit.score(means))


def _at_equilibrium(v: np.ndarray, u: np.ndarray, means: Means) -> tuple[np.ndarray, np.ndarray]:
    """Sigma and C under the weights."""
    # C_ik = sum_j v_j <chi_i chi_j chi'_k>, and Sigma as the mean over first and last frames
    first, cross, last = means
    together = np.einsum("ijk,j->ik", cross, v)
    return (first @ v + last @ u) / 2, (together + together.T) / 2


def _stationary_weights(means: Means) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Weights of states in first and in last frames under which memberships are stationary, none negative.

    Also the eigenvalues of the operator they come from, real parts, largest first, and why the weights are all one if
    there are none.
    """
    # pi^T <chi chi^T>^-1 <chi chi'^T> = pi^T; then <chi chi^T> v = pi and <chi' chi'^T> u = pi, none negative
    first, cross, last = (each.sum(axis=1) for each in means)
    ridge = 1e-10 * np.trace(first) / len(first) * np.eye(len(first))
    values, vectors = np.linalg.eig(np.linalg.lstsq(first + ridge, cross, rcond=None)[0].T)
    stationary = np.real(vectors[:, np.argmin(np.abs(values - 1))])
    free = np.sort(np.real(values))[::-1]
    even = np.ones(len(first))
    try:
        weights = [nnls(each, stationary / stationary.sum())[0] for each in (first, last)]
    except RuntimeError as error:
        return even, even, free, f"no weights make memberships stationary ({error})"
    sizes = [square.sum(axis=1) @ each for each, square in zip(weights, (first, last))]
    if not all(np.isfinite(size) and size > 0 for size in sizes):
        return even, even, free, "no weights that are not negative make memberships stationary"
    v, u = (each / size for each, size in zip(weights, sizes))
    return v, u, free, ""


def _completed(rates: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Rates scaled until no row exceeds one, what is missing added on the diagonal."""
    scaled = rates / max((rates @ mean).max(), 1e-300)
    return scaled + np.diag((1 - scaled @ mean) / np.maximum(mean, 1e-12))


def _exact(rates: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What the steps left of the constraints, removed."""
    exact = rates + np.diag((1 - rates @ mean) / np.maximum(mean, 1e-12))
    return exact if (np.diag(exact) >= 0).all() else _completed(rates, mean)
