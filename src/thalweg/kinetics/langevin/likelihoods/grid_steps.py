r"""Likelihood of overdamped steps of any length in one variable: the Fokker-Planck operator on a grid, exponentiated.

Cells a distance h apart exchange at the rates :math:`D / h^2 \exp(-(F_{face} - F_{cell}) / kT)`; the probability of a
step from cell i to cell j is :math:`(e^{L \tau'})_{ij}` and that of all data the product over the counts of steps
between cells [hummer2005]. Frames lie anywhere in a cell, which widens a step by :math:`h^2 / 6`; the time
:math:`\tau' = \tau + h^2 / 12 D` makes up for it.
"""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from thalweg.kinetics.langevin.likelihoods.frames import Pieces
from thalweg.kinetics.langevin.likelihoods.linear_step import ORDER
from thalweg.kinetics.langevin.likelihoods.scoring import StepEvidence
from thalweg.kinetics.langevin.likelihoods.splines import Splines

FINEST, COARSEST = 120, 40
"""Cells of the grid, at most and at least."""

CELLS_PER_STEP = 3.0
"""Cells per standard deviation of a step."""


def cells_needed(pieces: Pieces) -> float:
    """Cells over the range of the frames for steps of their width."""
    spread = pieces.steps.std(axis=0)[0]
    return CELLS_PER_STEP * float((pieces.upper - pieces.lower)[0] / spread)


class GridSteps:
    """Steps of one variable between cells, and what they say at any parameters.

    Parameters
    ----------
    pieces : of trajectories
    energy, diffusion : spaces of F and of ``ln D / 2``
    kT : [kJ/mol]
    """

    def __init__(self, pieces: Pieces, energy: Splines, diffusion: Splines, kT: float):
        self.kT, self.tau, self.size = kT, pieces.tau, energy.size + diffusion.size
        self.energy_size = energy.size
        self.periodic = energy.axes[0].periodic
        lower, upper = float(pieces.lower[0]), float(pieces.upper[0])
        if not self.periodic:
            wide = 0.03 * (upper - lower)
            lower, upper = lower - wide, upper + wide
        count = int(np.clip(np.ceil(cells_needed(pieces)), COARSEST, FINEST))
        self.spacing = (upper - lower) / count
        self.points = lower + self.spacing * (np.arange(count) + 0.5)
        faces = lower + self.spacing * (np.arange(count if self.periodic else count - 1) + 1.0)
        self.rows = [energy.derivatives(x[:, None], ()) for x in (self.points, faces)]
        self.face_roots = diffusion.derivatives(faces[:, None], ())
        used = pieces.weights > 0
        position = (pieces.positions[..., 0] - lower) / self.spacing
        cell = np.floor(position).astype(int)
        cell = cell % count if self.periodic else np.clip(cell, 0, count - 1)
        owner = np.broadcast_to(np.arange(len(used))[:, None], used.shape)[used]
        # pieces together in at most forty blocks, whose counts are kept
        blocks = min(40, len(used))
        self.piece, self.n_pieces = owner, len(used)
        self.cells = cell[:, :-1][used], cell[:, 1:][used]
        self.inside = np.clip(position - np.floor(position), 0.0, 1.0)[:, 1:][used]
        where = (owner * blocks // len(used)) * count**2 + cell[:, :-1][used] * count + cell[:, 1:][used]
        self.counts = np.bincount(where, pieces.weights[used], blocks * count**2).reshape(blocks, -1)
        level = float(np.log(pieces.steps.var(axis=0)[0] / (2.0 * pieces.tau)))
        self.extra = self.spacing**2 / 12.0
        rate = 4.0 * np.exp(level) / self.spacing**2
        self.doublings = int(np.ceil(np.log2(max(rate * pieces.tau, 1e-9) / 0.25))) + 3

    def residuals(self, theta: np.ndarray) -> np.ndarray:
        """Normal scores (steps,) of where in its distribution each step ends, white if the model is right."""
        probability = self._probabilities(theta)[0]
        below = np.cumsum(probability, axis=1) - probability
        i, j = self.cells
        share = np.clip(below[i, j] + self.inside * probability[i, j], 1e-12, 1.0 - 1e-12)
        return scipy.special.ndtri(share)

    def _probabilities(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of steps between cells, and their derivatives by the parameters."""
        mean_diffusion = float(np.exp(2.0 * np.median(self.face_roots @ theta[self.energy_size :])))
        time = self.tau + self.extra / mean_diffusion
        with jax.enable_x64(True):
            run = _propagator(len(self.points), self.periodic, self.doublings)
            features = (*self.rows, self.face_roots)
            found = run(theta, features, self.kT, time, self.spacing)
            return np.asarray(found[0]), np.asarray(found[1])

    def __call__(self, theta: np.ndarray) -> StepEvidence:
        """What all steps say at ``theta``."""
        probability, slopes = self._probabilities(theta)
        probability = np.maximum(probability.ravel(), 1e-300)
        slopes = slopes.reshape(-1, self.size)
        total = self.counts.sum(axis=0)
        likelihood = float(total @ np.log(probability / self.spacing))
        scores = (self.counts / probability) @ slopes
        visits = np.repeat(total.reshape(len(self.points), -1).sum(axis=1), len(self.points))
        seen = probability > 1e-12
        weighted = slopes[seen] * (visits[seen] / probability[seen])[:, None]
        return StepEvidence(likelihood, scores.sum(axis=0), slopes[seen].T @ weighted, scores)


@lru_cache
def _propagator(count: int, periodic: bool, doublings: int):
    """Compiled: probabilities of steps between cells, and their derivatives by the parameters."""
    near = np.arange(count if periodic else count - 1)
    far = (near + 1) % count

    def probabilities(theta, features, kT, time, spacing):
        cells, faces, roots = features
        energy, face = cells @ theta[: cells.shape[1]] / kT, faces @ theta[: cells.shape[1]] / kT
        hop = jnp.exp(2.0 * roots @ theta[cells.shape[1] :]) / spacing**2
        rates = jnp.zeros((count, count))
        rates = rates.at[near, far].add(hop * jnp.exp(energy[near] - face))
        rates = rates.at[far, near].add(hop * jnp.exp(energy[far] - face))
        rates = rates - jnp.diag(rates.sum(axis=1))
        h = time / 2**doublings
        matrix = jnp.eye(count)
        for k in range(ORDER, 0, -1):
            matrix = jnp.eye(count) + (h / k) * rates @ matrix
        for _ in range(doublings):
            matrix = matrix @ matrix
        return matrix

    def both(theta, *given):
        return probabilities(theta, *given), jax.jacfwd(probabilities)(theta, *given)

    return jax.jit(both)
