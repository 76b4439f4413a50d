r"""A reversible Markov model between fuzzy states, from moments of their memberships [mardt2020].

The density of the next frame is modelled, and with it a stationary density :math:`\mu` on top of that of the last
frames, :math:`\rho_1`, as

.. math::  p(x_{t+\tau} | x_t) = \chi(x_t)^T S\, \chi(x_{t+\tau})\; \mu(x_{t+\tau}), \qquad
           \mu(x) = \rho_1(x)\; u \cdot \chi(x)

with :math:`S` symmetric (detailed balance), no entry of :math:`S` and :math:`u` negative (a density), and
:math:`u \cdot \langle\chi'\rangle = 1,\; S \bar\chi = 1` with :math:`\bar\chi = \int \chi\, \mu` (it is normalized).
Memberships then move by a stochastic matrix,

.. math::  E[\chi(x_{t+\tau}) | x_t] = K^T \chi(x_t), \qquad K = S\, \Sigma, \qquad
           \Sigma = \int \chi \chi^T \mu ,

whose stationary distribution is :math:`\bar\chi` and whose eigenvalues are real, those of
:math:`\Sigma^{1/2} S\, \Sigma^{1/2}`. Good is a large VAMP-E score [wu2020]

.. math::  R_E = 2\, \mathrm{tr}\, S^T C_{0g} - \mathrm{tr}\, S^T C_{00}\, S\, C_{gg}, \qquad
           g = \chi'\, (u \cdot \chi') ,

which says how well the true conditional density is approached, up to a constant. Maximized over both, :math:`u` also
serves to give :math:`g` a better shape where states are fuzzy, and is no stationary weight any more (from one well of
Prinz's potential, populations came out wrong by a third). Here :math:`u` is therefore the weight under which the
memberships are stationary, :math:`\pi^T C_{00}^{-1} C_{0t} = \pi^T` [wu2017]; what is left for :math:`S` is a concave
problem with one solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize, nnls

from thalweg.collective_variables.membership_moments import MembershipMoments

STEPS = 300
"""Steps of sequential quadratic programming at most."""

Means = Sequence[np.ndarray]
"""The moments A, B and D."""


@dataclass(frozen=True, eq=False)
class ReversibleMemberships:
    """A fitted model.

    Attributes
    ----------
    u : (states,), the stationary density over that of last frames is ``u . chi``
    rates : (states, states), S
    last_moments : of third order, of last frames
    value : VAMP-E score on the data of the fit
    free_value : VAMP-2 score of the memberships, about what could be had without constraints; these cost much where
        memberships are of no real states (see `Stretched`)
    converged : whether its steps came to rest
    """

    u: np.ndarray
    rates: np.ndarray
    last_moments: np.ndarray
    value: float
    free_value: float
    converged: bool

    @cached_property
    def overlap(self) -> np.ndarray:
        """Sigma ``(states, states)``: how much states share, at equilibrium."""
        return self.last_moments @ self.u

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
        values, vectors = eigh(self.overlap + 1e-12 * np.eye(len(self.u)))
        root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        inverse = (vectors / np.sqrt(values)) @ vectors.T
        found, right = eigh(root @ self.rates @ root)
        right = inverse @ right[:, ::-1]
        return found[::-1], right * np.sign(right[np.abs(right).argmax(axis=0), np.arange(len(found))])

    def score(self, means: Means) -> float:
        """VAMP-E score on moments of any data."""
        first, cross, last = means
        both = (last @ self.u) @ self.u
        return float((self.rates * (2 * cross @ self.u - first @ self.rates @ both)).sum())


def reversible_memberships(moments: MembershipMoments) -> ReversibleMemberships:
    """The best reversible model.

    Examples
    --------
    >>> from thalweg.collective_variables.basis import Identity
    >>> from thalweg.collective_variables.membership_moments import membership_moments
    >>> states = np.cumsum(np.random.default_rng(0).random(20000) < 0.01) % 2
    >>> found = reversible_memberships(membership_moments(np.eye(2)[states], Identity(("a", "b")), 1))
    >>> found.transition_matrix.round(2).tolist(), found.stationary_distribution.round(1).tolist()
    ([[0.99, 0.01], [0.01, 0.99]], [0.5, 0.5])
    """
    means = tuple(moments.means)
    size = moments.n_states
    cubic = means[2].sum(axis=-1)
    square = cubic.sum(axis=-1)
    u = _stationary_weights(means)
    mean = square @ u
    upper = np.triu_indices(size)
    to, both = means[1] @ u, (means[2] @ u) @ u

    def rates_of(z: np.ndarray) -> np.ndarray:
        rates = np.zeros((size, size))
        rates[upper] = z
        return rates + np.triu(rates, 1).T

    def folded(matrix: np.ndarray) -> np.ndarray:
        return (matrix + matrix.T - np.diag(np.diag(matrix)))[upper]

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        rates = rates_of(z)
        half = means[0] @ rates @ both
        return float(((half - 2 * to) * rates).sum()), folded(2 * half - 2 * to)

    units = np.eye(len(upper[0]))
    slopes = np.stack([rates_of(unit) @ mean for unit in units], axis=1)
    start = _start_rates(means[0], to, both, mean)
    run = minimize(
        objective,
        start[upper],
        jac=True,
        method="SLSQP",
        bounds=[(0.0, None)] * len(units),
        constraints={"type": "eq", "fun": lambda z: slopes @ z - 1, "jac": lambda z: slopes},
        options={"maxiter": STEPS, "ftol": 1e-12},
    )
    rates = _exact(rates_of(np.maximum(run.x, 0)), mean)
    found = ReversibleMemberships(u, rates, cubic, 0.0, _free_score(means), bool(run.success))
    return replace(found, value=found.score(means))


def _free_score(means: Means) -> float:
    """VAMP-2 score of memberships, the constant among them."""
    first, cross, last = means
    left, right = (_inverse_root(each) for each in (first, last.sum(axis=(-1, -2))))
    return float(((left @ cross.sum(axis=-1) @ right) ** 2).sum())


def _inverse_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = eigh(matrix)
    kept = values > 1e-8 * values[-1]
    return (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T


def _stationary_weights(means: Means) -> np.ndarray:
    """Weights of states in last frames under which memberships are stationary, none negative."""
    first, cross, last = means
    square = last.sum(axis=(-1, -2))
    ridge = 1e-10 * np.trace(first) / len(first) * np.eye(len(first))
    values, vectors = np.linalg.eig(np.linalg.solve(first + ridge, cross.sum(axis=-1)).T)
    stationary = np.real(vectors[:, np.argmin(np.abs(values - 1))])
    u = nnls(square, stationary / stationary.sum())[0]
    return u / (square.sum(axis=1) @ u)


def _start_rates(first: np.ndarray, to: np.ndarray, both: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Rates near those without constraints, normalized."""
    ridge = 1e-6 * np.trace(first) / len(first) * np.eye(len(first))
    free = np.linalg.solve(first + ridge, to) @ np.linalg.inv(both + ridge)
    return _completed(np.maximum((free + free.T) / 2, 1e-6), mean)


def _completed(rates: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Rates scaled until no row exceeds one, what is missing added on the diagonal."""
    scaled = rates / max((rates @ mean).max(), 1e-300)
    return scaled + np.diag((1 - scaled @ mean) / np.maximum(mean, 1e-12))


def _exact(rates: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What the steps left of the constraints, removed."""
    exact = rates + np.diag((1 - rates @ mean) / np.maximum(mean, 1e-12))
    return exact if (np.diag(exact) >= 0).all() else _completed(rates, mean)
