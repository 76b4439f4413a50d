r"""Rates from the gradient of a committor, by Kolmogorov's formula for overdamped dynamics.

.. math::  \nu = \big\langle \nabla q \cdot D\, \nabla q \big\rangle, \qquad
           k_{AB} = \frac{\nu}{\langle 1 - q \rangle}, \quad k_{BA} = \frac{\nu}{\langle q \rangle}

[vandeneijnden2006]: :math:`\nu` counts reactive trajectories per time, and what it is divided by is the share of time
spent coming last from A or from B. An approximate committor gives too large a flux, never one too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from thalweg.kinetics.committors.logit_network import LogitNetwork
from thalweg.kinetics.committors.network_committor import CommittorModel, committor_gradients
from thalweg.learning.models import Model
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.resampling import Estimate, resample
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

BLOCKS = 50
"""Blocks of data, about."""


@dataclass(frozen=True, eq=False)
class ReactionRates(Model):
    """Flux and rates between A and B.

    Attributes
    ----------
    flux : reactive trajectories per time [1/ps]
    forward, backward : ``k_AB`` and ``k_BA`` [1/ps]
    members : (members, 3), the three by each network of the committor
    """

    flux: Estimate
    forward: Estimate
    backward: Estimate
    members: Shaped[np.ndarray, "members 3"]

    @property
    def errors(self) -> np.ndarray:
        """Standard errors of flux, forward and backward rate: of the data, and of the committor beside it ``(3,)``."""
        data = np.array([self.flux.error, self.forward.error, self.backward.error])
        if len(self.members) < 2:
            return data
        return np.hypot(data, self.members.std(axis=0, ddof=1))

    def headline(self) -> dict[str, object]:
        """All three, with errors."""
        values = (self.flux.value, self.forward.value, self.backward.value)
        names = ("flux", "forward", "backward")
        return {
            name: f"{float(value):.4g} ± {error:.2g}"
            for name, value, error in zip(names, values, self.errors)
        }

    def __str__(self) -> str:
        return ", ".join(f"{name} {text} /ps" for name, text in self.headline().items())


def gradient_rates(
    model: CommittorModel, data: TrajectoryData, diffusion: Any, samples: int = 100, seed: int = 0
) -> ReactionRates:
    """Flux and rates of a committor, from frames at equilibrium.

    Parameters
    ----------
    model : of the committor
    data : frames of the fit or others; frame weights count, and frames in the sets are needed, too
    diffusion : diffusion matrix of the features [feature^2/ps]: one ``(features, features)`` for all, a number where it
        is the same for each, or for each trajectory an array ``(frames, features, features)``
    samples : bootstrap replicates
    seed : of them

    Raises
    ------
    ValueError
        If matrices do not fit the frames, or data cannot be divided into blocks.
    """
    trajectories = as_trajectories(data)
    matrices = _matrices(trajectories, diffusion)
    # for each member and frame: grad q . D grad q, 1 - q and q
    forms = [
        [_forms(member, frames, d) for frames, d in zip(_blocks(trajectories), matrices)]
        for member in model.members
    ]
    mean = [np.mean(parts, axis=0) for parts in zip(*forms)]
    whole = resample(_sums(trajectories, mean), _rates, samples=samples, seed=seed)
    flux, forward, backward = (
        Estimate(np.asarray(whole.value[k]), whole.samples[:, k], whole.n_blocks, whole.told)
        for k in range(3)
    )
    members = np.array([_rates(_sums(trajectories, parts)) for parts in forms])
    return ReactionRates(flux, forward, backward, members)


@dataclass(frozen=True, eq=False)
class _FormSums:
    """Weighted sums of ``grad q . D grad q``, ``1 - q`` and ``q`` over each block ``(blocks, 3)``."""

    sums: np.ndarray
    n_pairs: int

    @property
    def n_blocks(self) -> int:
        return len(self.sums)

    def resampled(self, multiplicities: np.ndarray) -> _FormSums:
        return _FormSums(multiplicities[:, None] * self.sums, self.n_pairs)


def _rates(sums: _FormSums) -> np.ndarray:
    form, from_a, from_b = sums.sums.sum(axis=0)
    return np.array([form / (from_a + from_b), form / from_a, form / from_b])


def _sums(data: Trajectories, forms: Sequence[np.ndarray]) -> _FormSums:
    pieces = segments(data.lengths, BLOCKS)
    sums = np.zeros((1 + max(piece.block for piece in pieces), 3))
    for piece in pieces:
        part = slice(piece.start, piece.stop)
        values = forms[piece.trajectory][part]
        weights = np.ones(len(values)) if data.weights is None else data.weights[piece.trajectory][part]
        sums[piece.block] += weights @ values
    return _FormSums(sums, data.n_frames)


def _blocks(data: Trajectories) -> list[np.ndarray]:
    parts: list[list[np.ndarray]] = [[] for _ in range(len(data))]
    for k, _, frames in data.chunks():
        parts[k].append(frames)
    return [np.concatenate(chunks) for chunks in parts]


def _matrices(data: Trajectories, diffusion: Any) -> list[np.ndarray]:
    """For each trajectory one matrix, or one for each of its frames."""
    features = data.n_features
    if np.ndim(diffusion) == 0:
        return [float(diffusion) * np.eye(features)] * len(data)
    if isinstance(diffusion, np.ndarray) and diffusion.shape == (features, features):
        return [diffusion] * len(data)
    given = [np.asarray(part) for part in diffusion]
    wanted = [(int(length), features, features) for length in data.lengths]
    if [part.shape for part in given] != wanted:
        raise ValueError(
            f"got diffusion matrices of shapes {[part.shape for part in given][:3]}, needed are {wanted[:3]}, one "
            f"({features}, {features}), or a number"
        )
    return given


def _forms(member: LogitNetwork, frames: np.ndarray, diffusion: np.ndarray) -> np.ndarray:
    gradients = np.asarray(committor_gradients(member, jnp.asarray(frames, jnp.float32)), float)
    squares = np.einsum(
        "fi,ij,fj->f" if diffusion.ndim == 2 else "fi,fij,fj->f", gradients, diffusion, gradients
    )
    q = member(np.asarray(frames, float))[:, 0]
    return np.stack([squares, 1 - q, q], axis=1)
