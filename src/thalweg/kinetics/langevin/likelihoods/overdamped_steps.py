r"""Likelihood of overdamped steps: local linearization with the corrections of second order in the step.

.. math:: dx = a\,dt + \sqrt{2D}\,dW, \qquad a = -D \nabla F / kT + \nabla \cdot D, \qquad D = L L^T .

About a position, F and the logarithms of the diagonal of L are quadratic; the drift is linearized there and the linear
process taken exactly over the step [shoji1998], its drift and noise averaged over the spread that grows during the
step [kessler1997]. Errors are of third order in the step, in any number of variables.
"""

from __future__ import annotations

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.kinetics.langevin.likelihoods.frames import Pieces
from thalweg.kinetics.langevin.likelihoods.gaussian_steps import local_evidence
from thalweg.kinetics.langevin.likelihoods.linear_step import linear_step
from thalweg.kinetics.langevin.likelihoods.scoring import StepEvidence
from thalweg.kinetics.langevin.likelihoods.splines import Splines
from thalweg.machine.memory import require_memory
from thalweg.shapes import Array

BATCH = 10_000
"""Steps evaluated at once."""

DOUBLINGS = 3
"""Halvings of a step: relaxation up to two per step."""


def symmetric_pairs(dims: int) -> list[tuple[int, int]]:
    """Index pairs ``i <= j``."""
    return [(i, j) for i in range(dims) for j in range(i, dims)]


def tensor_entries(dims: int) -> list[tuple[int, int]]:
    """Entries ``(i, j)``, ``i >= j``, of the root L of a diffusion tensor, one spline function each."""
    return [(i, j) for i in range(dims) for j in range(i + 1)]


class OverdampedSteps:
    """Steps of overdamped dynamics, and what they say at any parameters.

    Parameters are the coefficients of F, then of each function of L.

    Parameters
    ----------
    pieces : of trajectories
    energy : space of F
    diffusion : space of each function of L
    kT : [kJ/mol]
    """

    def __init__(self, pieces: Pieces, energy: Splines, diffusion: Splines, kT: float):
        used = pieces.weights > 0
        self.x = pieces.positions[:, :-1][used]
        self.dx = np.diff(pieces.positions, axis=1)[used]
        self.weights = pieces.weights[used]
        self.piece = np.nonzero(used)[0]
        self.n_pieces = len(used)
        self.energy, self.diffusion, self.kT, self.tau = energy, diffusion, kT, pieces.tau
        self.dims = self.x.shape[1]
        self.entries = len(tensor_entries(self.dims))
        self.size = energy.size + self.entries * diffusion.size
        numbers = self.dims + len(symmetric_pairs(self.dims))
        bytes_each = 8 * (numbers * energy.size + (1 + numbers) * diffusion.size)
        require_memory(bytes_each * len(self.x), f"splines along {len(self.x)} steps; thin the trajectories")
        spread = np.atleast_2d(np.cov(self.dx.T))
        self.slopes = _slopes(energy, self.x, spread)
        self.roots = _taylor(diffusion, self.x)

    def start(self) -> np.ndarray:
        """No force, and the diffusion tensor of the mean square displacement."""
        theta = np.zeros(self.size)
        root = np.linalg.cholesky(np.atleast_2d(np.cov(self.dx.T)) / (2.0 * self.tau))
        for k, (i, j) in enumerate(tensor_entries(self.dims)):
            begin = self.energy.size + k * self.diffusion.size
            level = np.log(root[i, i]) if i == j else root[i, j]
            theta[begin : begin + self.diffusion.size] = level / len(self.diffusion.terms)
        return theta

    def local(self, theta: np.ndarray, rows: slice) -> np.ndarray:
        """Local numbers ``(steps, numbers)``: slopes and curvatures of F, then value, slopes, curvatures of L."""
        energy, rest = theta[: self.energy.size], theta[self.energy.size :]
        parts = [self.slopes[rows] @ energy]
        parts += [self.roots[rows] @ each for each in rest.reshape(self.entries, self.diffusion.size)]
        return np.concatenate(parts, axis=1)

    def __call__(self, theta: np.ndarray) -> StepEvidence:
        """What all steps say at ``theta``."""
        likelihood, score = 0.0, np.zeros((self.n_pieces, self.size))
        information = np.zeros((self.size, self.size))
        for begin in range(0, len(self.x), BATCH):
            rows = slice(begin, min(begin + BATCH, len(self.x)))
            numbers = _padded(self.local(theta, rows))
            with jax.enable_x64(True):
                found = _evidence(self.dims, self.kT, self.tau)(numbers, _padded(self.dx[rows]))
            count, weight = rows.stop - begin, self.weights[rows]
            value, slope, curvature = (np.asarray(part)[:count] for part in found)
            likelihood += float(weight @ value)
            slope, curvature = slope * weight[:, None], curvature * weight[:, None, None]
            blocks = self._blocks(rows)
            for a, (numbers_a, features_a, own_a) in enumerate(blocks):
                gradients = np.einsum("nqp,nq->np", features_a, slope[:, numbers_a], optimize=True)
                np.add.at(score, (self.piece[rows][:, None], np.arange(own_a.start, own_a.stop)), gradients)
                for numbers_b, features_b, own_b in blocks[a:]:
                    weighted = curvature[:, numbers_a, numbers_b] @ features_b
                    count_a, count_b = own_a.stop - own_a.start, own_b.stop - own_b.start
                    product = features_a.reshape(-1, count_a).T @ weighted.reshape(-1, count_b)
                    information[own_a, own_b] += product
                    if own_b.start > own_a.start:
                        information[own_b, own_a] += product.T
        return StepEvidence(likelihood, score.sum(axis=0), information, score)

    def _blocks(self, rows: slice) -> list[tuple[slice, np.ndarray, slice]]:
        """For F and each function of L: its local numbers, their derivatives (steps, numbers, own), its parameters."""
        slopes, roots = self.slopes[rows], self.roots[rows]
        first, other, size = slopes.shape[1], roots.shape[1], self.diffusion.size
        found = [(slice(0, first), slopes, slice(0, self.energy.size))]
        for k in range(self.entries):
            numbers = slice(first + k * other, first + (k + 1) * other)
            found.append(
                (numbers, roots, slice(self.energy.size + k * size, self.energy.size + (k + 1) * size))
            )
        return found

    def residuals(self, theta: np.ndarray) -> np.ndarray:
        """Deviations of the steps from their means in units of their spread ``(steps, dims)``, white if right."""
        parts = []
        for begin in range(0, len(self.x), BATCH):
            rows = slice(begin, min(begin + BATCH, len(self.x)))
            with jax.enable_x64(True):
                mean, cov = _moments(self.dims, self.kT, self.tau)(_padded(self.local(theta, rows)))
            count = rows.stop - begin
            root = np.linalg.cholesky(np.asarray(cov)[:count])
            gap = self.dx[rows] - np.asarray(mean)[:count]
            parts.append(np.linalg.solve(root, gap[..., None])[..., 0])
        return np.concatenate(parts)


def _padded(rows: np.ndarray) -> np.ndarray:
    """Rows repeated to a full batch, so that every batch is compiled once."""
    return rows if len(rows) == BATCH else rows[np.minimum(np.arange(BATCH), len(rows) - 1)]


def _slopes(space: Splines, x: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Slopes, averaged over the spread of a step, and curvatures of F by its coefficients."""
    dims, parts = x.shape[1], []
    for i in range(dims):
        slope = space.derivatives(x, (i,))
        for j, k in symmetric_pairs(dims):
            # <d_i F> over the step = d_i F + 1/2 d_ijk F <y_j y_k>, and <y y> grows to its full value: half on average
            factor = 0.25 * spread[j, k] * (1 if j == k else 2)
            slope = slope + factor * space.derivatives(x, (i, j, k))
        parts.append(slope)
    parts += [space.derivatives(x, pair) for pair in symmetric_pairs(dims)]
    return np.stack(parts, axis=1)


def _taylor(space: Splines, x: np.ndarray) -> np.ndarray:
    """Value, slopes and curvatures of a function by its coefficients."""
    dims = x.shape[1]
    along = [(), *[(i,) for i in range(dims)], *symmetric_pairs(dims)]
    return np.stack([space.derivatives(x, each) for each in along], axis=1)


def _moments_of_step(numbers: jax.Array, dims: int, kT: float, tau: float) -> tuple[Array, Array]:
    """Mean (dims,) and covariance (dims, dims) of the displacement of one step."""
    pairs, entries = symmetric_pairs(dims), tensor_entries(dims)
    slope = numbers[:dims]
    curvature = _symmetric(numbers[dims : dims + len(pairs)], dims)
    block = 1 + dims + len(pairs)
    series = numbers[dims + len(pairs) :].reshape(len(entries), block)
    gradients = series[:, 1 : 1 + dims]
    curvatures = jnp.stack([_symmetric(each, dims) for each in series[:, 1 + dims :]])

    def tensor(y):
        values = series[:, 0] + gradients @ y + 0.5 * jnp.einsum("mij,i,j->m", curvatures, y, y)
        root = jnp.zeros((dims, dims))
        for value, (i, j) in zip(values, entries):
            root = root.at[i, j].set(jnp.exp(value) if i == j else value)
        return root @ root.T

    def drift(y):
        divergence = jnp.einsum("ijj->i", jax.jacfwd(tensor)(y))
        return divergence - tensor(y) @ (slope + curvature @ y) / kT

    here = jnp.zeros(dims)
    still, speed = tensor(here), drift(here)
    stiffness = jax.jacfwd(drift)(here)
    # averages over the spread D t of the way through the step
    bent = 0.5 * tau * jnp.einsum("ijk,jk->i", jax.jacfwd(jax.jacfwd(drift))(here), still)
    spread = 0.5 * tau * jnp.einsum("abjk,jk->ab", jax.jacfwd(jax.jacfwd(tensor))(here), still)
    # half a step's worth of drift, no further than the spread reaches
    reach = jnp.sqrt(2.0 * tau * jnp.diag(still))
    halfway = jnp.clip(0.5 * tau * speed, -reach, reach)
    # a bound by the diagonal alone: one by each entry would bend the likelihood where diffusion is uncoupled
    most = jnp.sqrt(jnp.outer(jnp.diag(still), jnp.diag(still)))
    noise = tensor(halfway) + jnp.clip(spread, -0.5 * most, most)
    step = linear_step(stiffness, speed + bent, 2.0 * noise, tau, DOUBLINGS)
    return step.shift, step.covariance


def _symmetric(values: jax.Array, dims: int) -> jax.Array:
    """The symmetric matrix of its upper entries."""
    matrix = jnp.zeros((dims, dims))
    for value, (i, j) in zip(values, symmetric_pairs(dims)):
        matrix = matrix.at[i, j].set(value).at[j, i].set(value)
    return matrix


@lru_cache
def _moments(dims: int, kT: float, tau: float):
    return jax.jit(jax.vmap(partial(_moments_of_step, dims=dims, kT=kT, tau=tau)))


@lru_cache
def _evidence(dims: int, kT: float, tau: float):
    """Compiled: log-likelihood, score and information of many steps by their local numbers."""
    moments = partial(_moments_of_step, dims=dims, kT=kT, tau=tau)

    def one(numbers, dx):
        mean, covariance = moments(numbers)
        d_mean, d_covariance = jax.jacfwd(moments)(numbers)
        return local_evidence(dx - mean, covariance, -d_mean, d_covariance)

    return jax.jit(jax.vmap(one))
