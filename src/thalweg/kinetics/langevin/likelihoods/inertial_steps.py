r"""Likelihood of steps of Langevin dynamics with inertia, friction and memory, of which only positions may be seen.

.. math:: \dot v = -\nabla F / m - \gamma v + \sum_k \sqrt{c_k}\, z_k + \sqrt{2 \gamma kT / m}\, \xi , \qquad
          \dot z_k = -z_k / \tau_k - \sqrt{c_k}\, v + \sqrt{2 kT / (m \tau_k)}\, \xi_k ,

per variable, is a memory kernel :math:`K(t) = 2 \gamma \delta(t) + \sum_k c_k e^{-t / \tau_k}` with
:math:`c_k = \gamma_k / \tau_k` [ceriotti2010]. Over a step the force is linear about the middle of the way that the
step before foretells; the state is then Gaussian, propagated exactly, and conditioned on every position as it is seen:
Kalman's filter, whose innovations are the likelihood. No velocity is ever taken from differences of positions, which
would make friction wrong by a third at any step [bruckner2020]; nothing is assumed of where trajectories begin but that
velocities and hidden variables are thermal there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.kinetics.langevin.likelihoods.frames import Pieces
from thalweg.kinetics.langevin.likelihoods.gaussian_steps import local_evidence
from thalweg.kinetics.langevin.likelihoods.linear_step import LinearStep, doublings_for, linear_step
from thalweg.kinetics.langevin.likelihoods.overdamped_steps import symmetric_pairs
from thalweg.kinetics.langevin.likelihoods.scoring import StepEvidence
from thalweg.kinetics.langevin.likelihoods.splines import Splines
from thalweg.shapes import Array, Float

BATCH = 8_000
"""Steps evaluated at once."""


@dataclass(frozen=True)
class Layout:
    """Where each function of the model has its coefficients.

    Attributes
    ----------
    dims : variables
    energy : space of F
    friction : space of each ``ln gamma``, or None where all friction has memory
    mass : space of each ``ln m``
    hidden : spaces of ``ln gamma_k``, one per hidden variable; its ``ln tau_k`` is a number
    """

    dims: int
    energy: Splines
    friction: Splines | None
    mass: Splines
    hidden: tuple[Splines, ...] = ()

    @property
    def blocks(self) -> dict[str, slice]:
        """Coefficients by name: energy, mass0, friction0, hidden0_0 (k, then variable), time0_0, ..."""
        sizes = {"energy": self.energy.size}
        for d in range(self.dims):
            sizes[f"mass{d}"] = self.mass.size
        if self.friction is not None:
            for d in range(self.dims):
                sizes[f"friction{d}"] = self.friction.size
        for k, space in enumerate(self.hidden):
            for d in range(self.dims):
                sizes[f"hidden{k}_{d}"] = space.size
                sizes[f"time{k}_{d}"] = 1
        ends = np.cumsum(list(sizes.values()))
        return {name: slice(int(end - size), int(end)) for (name, size), end in zip(sizes.items(), ends)}

    @property
    def size(self) -> int:
        """Number of parameters."""
        return max(block.stop for block in self.blocks.values())

    @property
    def numbers(self) -> int:
        """Local numbers of a step."""
        own = 2 + (self.friction is not None) + 2 * len(self.hidden)
        return self.dims + len(symmetric_pairs(self.dims)) + own * self.dims

    def features(self, x: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Derivatives of the local numbers by the parameters ``(steps, numbers, parameters)``.

        In order: slopes of F averaged over ``spread`` (steps, dims, dims), curvatures, ``ln m``, slopes of ``ln m``,
        ``ln gamma``, then ``ln gamma_k`` and ``ln tau_k`` of each hidden variable.
        """
        found, blocks, row = np.zeros((len(x), self.numbers, self.size)), self.blocks, 0
        pairs = symmetric_pairs(self.dims)
        for i in range(self.dims):
            slope = self.energy.derivatives(x, (i,))
            for j, k in pairs:
                factor = 0.5 * spread[:, j, k, None] * (1 if j == k else 2)
                slope = slope + factor * self.energy.derivatives(x, (i, j, k))
            found[:, row, blocks["energy"]] = slope
            row += 1
        for pair in pairs:
            found[:, row, blocks["energy"]] = self.energy.derivatives(x, pair)
            row += 1
        masses = self.mass.derivatives(x, ())
        for d in range(self.dims):
            found[:, row, blocks[f"mass{d}"]] = masses
            slopes = self.mass.derivatives(x, (d,))
            found[:, row + self.dims, blocks[f"mass{d}"]] = slopes
            row += 1
        row += self.dims
        if self.friction is not None:
            values = self.friction.derivatives(x, ())
            for d in range(self.dims):
                found[:, row, blocks[f"friction{d}"]] = values
                row += 1
        for k, space in enumerate(self.hidden):
            values = space.derivatives(x, ())
            for d in range(self.dims):
                found[:, row, blocks[f"hidden{k}_{d}"]] = values
                found[:, row + self.dims, blocks[f"time{k}_{d}"]] = 1.0
                row += 1
            row += self.dims
        return found


class _Sizes(NamedTuple):
    """What a compiled likelihood depends on."""

    dims: int
    white: bool
    hidden: int
    seen_velocities: bool
    kT: float
    tau: float
    doublings: int
    resolution: float


class InertialSteps:
    """Steps of Langevin dynamics with inertia, and what they say at any parameters.

    Parameters
    ----------
    pieces : of trajectories
    layout : of the parameters
    kT : [kJ/mol]
    fastest : largest rate [1/ps] that the start has; steps are divided for several times this
    resolution : standard deviation of errors of the positions, such as those of rounding
    """

    def __init__(
        self, pieces: Pieces, layout: Layout, kT: float, fastest: float = 1.0, resolution: float = 0.0
    ):
        self.pieces, self.layout, self.kT = pieces, layout, kT
        self.size, self.tau = layout.size, pieces.tau
        self.foretold, self.middle, self.spread = _foretold(pieces)
        self.sizes = _Sizes(
            layout.dims,
            layout.friction is not None,
            len(layout.hidden),
            pieces.velocities is not None,
            float(kT),
            float(pieces.tau),
            doublings_for(4.0 * fastest, pieces.tau),
            float(resolution),
        )

    def __call__(self, theta: np.ndarray) -> StepEvidence:
        """What all steps say at ``theta``."""
        likelihood, information, scores = 0.0, np.zeros((self.size, self.size)), []
        for inputs, count in self._batches(theta):
            with jax.enable_x64(True):
                value, score, curvature = _evidence(self.sizes)(*inputs)
            with np.errstate(invalid="ignore", over="ignore"):
                likelihood += float(np.asarray(value)[:count].sum())
            scores.append(np.asarray(score)[:count])
            with np.errstate(invalid="ignore", over="ignore"):
                information += np.asarray(curvature)[:count].sum(axis=0)
        block_scores = np.concatenate(scores)
        if not np.isfinite(likelihood):
            # a step too far: whoever asked takes a shorter one
            return StepEvidence(-np.inf, np.zeros(self.size), np.eye(self.size), np.zeros_like(block_scores))
        return StepEvidence(likelihood, block_scores.sum(axis=0), information, block_scores)

    def residuals(self, theta: np.ndarray) -> np.ndarray:
        """Innovations in units of their spread ``(pieces, steps, seen)``, white if the model is right; NaN where
        padded.
        """
        found = []
        for inputs, count in self._batches(theta):
            numbers, _, seen, middle, foretold, weights = inputs
            with jax.enable_x64(True):
                white = _innovations(self.sizes)(numbers, seen, middle, foretold)
            white = np.array(white)[:count]
            white[np.asarray(weights)[:count] == 0] = np.nan
            found.append(white)
        return np.concatenate(found)

    def _batches(self, theta: np.ndarray):
        """Local numbers, features and displacements of pieces, as many at once as make a batch."""
        total, steps = self.pieces.weights.shape
        many = max(1, min(total, BATCH // steps))
        displacements = np.diff(self.pieces.positions, axis=1)
        seen = displacements
        if self.pieces.velocities is not None:
            seen = np.concatenate([displacements, self.pieces.velocities[:, 1:]], axis=2)
        points = self.pieces.positions[:, :-1] + self.middle
        for begin in range(0, total, many):
            rows = np.minimum(np.arange(begin, begin + many), total - 1)
            flat = points[rows].reshape(-1, self.layout.dims)
            spread = self.spread[rows].reshape(-1, self.layout.dims, self.layout.dims)
            features = self.layout.features(flat, spread)
            numbers = features @ theta
            shape = (len(rows), steps)
            yield (
                (
                    numbers.reshape(*shape, -1),
                    features.reshape(*shape, *features.shape[1:]),
                    seen[rows],
                    self.middle[rows],
                    self.foretold[rows],
                    self.pieces.weights[rows],
                ),
                min(many, total - begin),
            )


def _foretold(pieces: Pieces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the step before tells of each step: velocity, the middle of the way, spread of the way about it.

    The next displacement is foretold as ``alpha`` times the last one with the ``alpha`` of least squares: one where
    motion is straight over a step, zero where it is diffusive.
    """
    path = np.concatenate([pieces.before[:, None], pieces.positions], axis=1)
    steps = np.diff(path, axis=1)
    last, after = steps[:, :-1], steps[:, 1:]
    if pieces.velocities is not None:
        last = pieces.velocities[:, :-1] * pieces.tau
    used = pieces.weights > 0
    a, b = last[used], after[used]
    alpha = float(np.clip((a * b).sum() / max((a * a).sum(), 1e-300), 0.0, 1.0))
    rest = np.atleast_2d(np.cov((b - alpha * a).T))
    way = alpha * last
    straight = np.einsum("psi,psj->psij", way, way) / 12.0
    return way / pieces.tau, way / 2.0, straight + (1.0 - alpha) * rest / 2.0


def _step_of(numbers: Array, middle: Array, foretold: Array, sizes: _Sizes) -> LinearStep:
    """The exact step of the linear process about a point, state (x, v, z_1, ...) relative to the last position."""
    dims, pairs = sizes.dims, symmetric_pairs(sizes.dims)
    slope, at = numbers[:dims], dims + len(pairs)
    curvature = jnp.zeros((dims, dims))
    for value, (i, j) in zip(numbers[dims:at], pairs):
        curvature = curvature.at[i, j].set(value).at[j, i].set(value)
    rest = numbers[at:].reshape(-1, dims)
    mass, uneven = jnp.exp(rest[0]), rest[1]
    friction = jnp.exp(rest[2]) if sizes.white else jnp.zeros(dims)
    memory = rest[2 + sizes.white :]
    states = dims * (2 + sizes.hidden)
    matrix, force, noise = jnp.zeros((states, states)), jnp.zeros(states), jnp.zeros(states)
    x, v = slice(0, dims), slice(dims, 2 * dims)
    matrix = matrix.at[x, v].set(jnp.eye(dims)).at[v, x].set(-curvature / mass[:, None])
    # where the mass depends on position, -1/2 (ln m)' (v^2 + kT/m), about the velocity foretold
    matrix = matrix.at[v, v].set(jnp.diag(-friction - uneven * foretold))
    push = curvature @ middle - slope
    force = force.at[v].set(push / mass - 0.5 * uneven * (sizes.kT / mass - foretold**2))
    noise = noise.at[v].set(2.0 * friction * sizes.kT / mass)
    for k in range(sizes.hidden):
        z = slice((2 + k) * dims, (3 + k) * dims)
        time = jnp.exp(memory[2 * k + 1])
        coupling = jnp.sqrt(jnp.exp(memory[2 * k]) / time)
        matrix = matrix.at[v, z].set(jnp.diag(coupling)).at[z, v].set(-jnp.diag(coupling))
        matrix = matrix.at[z, z].set(-jnp.diag(1.0 / time))
        noise = noise.at[z].set(2.0 * sizes.kT / (mass * time))
    return linear_step(matrix, force, jnp.diag(noise), sizes.tau, sizes.doublings)


def _thermal(numbers: Array, sizes: _Sizes) -> tuple[Array, Array]:
    """Mean and covariance of the state at the first position: v and z thermal."""
    dims = sizes.dims
    at = dims + len(symmetric_pairs(dims))
    thermal = sizes.kT * jnp.exp(-numbers[at : at + dims])
    still = jnp.full(dims, sizes.resolution**2)
    variance = jnp.concatenate([still, *[thermal] * (1 + sizes.hidden)])
    return jnp.zeros_like(variance), jnp.diag(variance)


def _filtered(
    mean: Array, covariance: Array, propagator: Array, shift: Array, spread: Array, seen: Array, sizes: _Sizes
) -> tuple[Array, Array, Array, Array]:
    """One step of Kalman's filter: the state after it, relative to the new position, and the innovation."""
    mean = propagator @ mean + shift
    covariance = propagator @ covariance @ propagator.T + spread
    count = seen.shape[0]
    expected = covariance[:count, :count] + sizes.resolution**2 * jnp.diag(
        jnp.where(jnp.arange(count) < sizes.dims, 1.0, 0.0)
    )
    innovation = seen - mean[:count]
    one = count == 1
    gain = covariance[:, :1] / expected if one else jnp.linalg.solve(expected, covariance[:count]).T
    mean = mean + gain @ innovation
    covariance = covariance - gain @ expected @ gain.T
    here = jnp.zeros_like(mean).at[: sizes.dims].set(seen[: sizes.dims])
    return mean - here, 0.5 * (covariance + covariance.T), innovation, expected


@lru_cache
def _evidence(sizes: _Sizes):
    """Compiled: log-likelihood, score and information of many pieces."""
    step_of = partial(_step_of, sizes=sizes)
    filtered = partial(_filtered, sizes=sizes)

    def piece(numbers, features, seen, middle, foretold, weights):
        steps = jax.vmap(step_of)(numbers, middle, foretold)
        slopes = jax.vmap(jax.jacfwd(step_of))(numbers, middle, foretold)
        start = _thermal(numbers[0], sizes)
        d_start = [part @ features[0] for part in jax.jacfwd(lambda n: _thermal(n, sizes))(numbers[0])]
        count = features.shape[-1]

        def advance(carry, now):
            (mean, cov), (d_mean, d_cov), (value, score, information) = carry
            step, slope, feature, sight, weight = now
            given = (mean, cov, *step)
            d_step = [part @ feature for part in slope]
            out, push = jax.linearize(lambda *each: filtered(*each, sight), *given)
            d_out = jax.vmap(push, in_axes=-1, out_axes=-1)(d_mean, d_cov, *d_step)
            own = local_evidence(out[2], out[3], d_out[2], d_out[3])
            sums = (
                value + weight * own.log_likelihood,
                score + weight * own.score,
                information + weight * own.information,
            )
            return (out[:2], d_out[:2], sums), None

        zero = (jnp.zeros(()), jnp.zeros(count), jnp.zeros((count, count)))
        first = (start, tuple(d_start), zero)
        return jax.lax.scan(advance, first, (steps, slopes, features, seen, weights))[0][2]

    return jax.jit(jax.vmap(piece))


@lru_cache
def _innovations(sizes: _Sizes):
    """Compiled: innovations of many pieces in units of their spread."""

    def piece(numbers, seen, middle, foretold):
        steps = jax.vmap(partial(_step_of, sizes=sizes))(numbers, middle, foretold)

        def advance(state, now):
            step, sight = now
            mean, cov, innovation, expected = _filtered(*state, *step, sight, sizes)
            white = jnp.linalg.solve(jnp.linalg.cholesky(expected), innovation)
            return (mean, cov), white

        return jax.lax.scan(advance, _thermal(numbers[0], sizes), (steps, seen))[1]

    return jax.jit(jax.vmap(piece))


def free_motion_guess(pieces: Pieces, kT: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Mass and friction ``(variables,)`` of each variable from two moments of its steps, forces left out.

    Free Langevin motion has, with :math:`g = \gamma \tau`,
    :math:`\langle \Delta_t \Delta_{t+1} \rangle / \langle \Delta^2 \rangle = (1 - e^{-g})^2 / 2 (g - 1 + e^{-g})` and
    :math:`\langle \Delta^2 \rangle = 2 kT / (m \gamma^2)\,(g - 1 + e^{-g})`.
    """
    steps = np.diff(pieces.positions, axis=1)
    weights = pieces.weights[:, 1:, None] * (pieces.weights[:, :-1, None] > 0)
    together = (weights * steps[:, :-1] * steps[:, 1:]).sum(axis=(0, 1))
    square = (weights * steps[:, 1:] ** 2).sum(axis=(0, 1))
    ratio = np.clip(together / square, 0.005, 0.99)
    g = np.geomspace(1e-3, 200.0, 4000)
    way = g + np.expm1(-g)
    found = np.interp(-ratio, -(np.expm1(-g) ** 2) / (2.0 * way), g)
    mean_square = square / weights.sum(axis=(0, 1))
    friction = found / pieces.tau
    mass = 2.0 * kT * (found + np.expm1(-found)) / (mean_square * friction**2)
    return mass, friction


def starting_parameters(
    layout: Layout, mass: np.ndarray, friction: np.ndarray, shares: Sequence[float], times: Sequence[float]
) -> np.ndarray:
    """No force, and constants: friction dealt out to hidden variables by ``shares``, the rest white."""
    theta, blocks = np.zeros(layout.size), layout.blocks
    white = max(1.0 - sum(shares), 0.02)
    for d in range(layout.dims):
        theta[blocks[f"mass{d}"]] = np.log(mass[d]) / len(layout.mass.terms)
        if layout.friction is not None:
            theta[blocks[f"friction{d}"]] = np.log(white * friction[d]) / len(layout.friction.terms)
        for k, (share, time) in enumerate(zip(shares, times)):
            space = layout.hidden[k]
            theta[blocks[f"hidden{k}_{d}"]] = np.log(share * friction[d]) / len(space.terms)
            theta[blocks[f"time{k}_{d}"]] = np.log(time)
    return theta


def kernel_rates(
    layout: Layout, theta: np.ndarray
) -> tuple[Float[np.ndarray, "hidden variables"], Float[np.ndarray, "hidden variables"]]:
    """``gamma_k`` (mean coefficient) and ``tau_k`` of every hidden variable."""
    blocks = layout.blocks
    shape = (len(layout.hidden), layout.dims)
    rates, times = np.zeros(shape), np.zeros(shape)
    for k, space in enumerate(layout.hidden):
        for d in range(layout.dims):
            rates[k, d] = np.exp(theta[blocks[f"hidden{k}_{d}"]].mean() * len(space.terms))
            times[k, d] = np.exp(theta[blocks[f"time{k}_{d}"]][0])
    return rates, times
