"""Weights of a pooled readout that make the labels of molecules most likely.

With weights ``w_i = softmax_i(b_a + s_a . f_i)``, labels have the covariance ``K = sum_ij w_i k(f_i, f_j) w_j + s^2``,
and scores minimize

    (n log(y^T K^-1 y / n) + log det K) / 2  +  |scores|^2 / 2,

the amplitude of the process at its best. Zero scores are a mean over atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from thalweg.learned_potentials.properties.readouts import (
    SCORED,
    AttentionPooled,
    attention_inputs,
    frames_of_sites,
)
from thalweg.representations.environments import element_kinds
from thalweg.representations.principal_features import PrincipalFeatures
from thalweg.systems.configuration import Configuration

MOST = 120
"""Frames that scores are learned from."""

WIDTH, NOISE, CONSTANT = 2.0, 1e-3, 10.0
"""Of the covariance while scores are learned; what is fitted afterwards chooses its own."""

STEPS = 60


def with_attention(
    readout: AttentionPooled,
    frames: Sequence[Configuration],
    described: PrincipalFeatures,
    generator: np.random.Generator,
) -> AttentionPooled:
    """``readout`` with scores of some of ``frames``."""
    chosen = generator.permutation(len(frames))[:MOST]
    some = [frames[k] for k in chosen]
    y = readout.rows(some)[:, 0]
    y = (y - y.mean()) / (y.std() or 1.0)
    kinds = element_kinds(
        np.concatenate([frame.numbers for frame in some]), described.representation.elements
    )
    columns = np.concatenate(described.representation.features(some))
    features = [
        (columns[kinds == k] - described.centers[k]) @ axes for k, axes in enumerate(described.vectors)
    ]
    with jax.enable_x64(True):
        cost = _cost(features, kinds, frames_of_sites(some), y)
        found = minimize(
            lambda x: tuple(np.asarray(part, float) for part in cost(x)),
            np.zeros(len(features) * (1 + SCORED)),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": STEPS},
        )
    return replace(readout, scores=tuple(found.x.reshape(len(features), 1 + SCORED)))


def _cost(features, kinds, owners, y):
    """Minus the logarithm of the likelihood of ``y`` and its gradient, as a function of all scores."""
    count, places = len(y), [np.flatnonzero(kinds == kind) for kind in range(len(features))]
    seen = [attention_inputs(columns) for columns in features]
    kernels = []
    for columns in features:
        squares = (columns**2).sum(1)[:, None] + (columns**2).sum(1) - 2 * columns @ columns.T
        kernels.append(CONSTANT + np.exp(-0.5 * np.maximum(squares, 0) / WIDTH**2))

    @jax.jit
    @jax.value_and_grad
    def cost(scores):
        scores = scores.reshape(len(features), -1)
        raised = jnp.zeros(len(kinds))
        for place, columns, own in zip(places, seen, scores):
            raised = raised.at[place].set(jnp.exp(columns @ own))
        weights = raised / jax.ops.segment_sum(raised, owners, count)[owners]
        matrix = NOISE * jnp.eye(count)
        for place, kernel in zip(places, kernels):
            summed = jax.ops.segment_sum(weights[place, None] * kernel, owners[place], count)
            matrix += jax.ops.segment_sum(weights[place, None] * summed.T, owners[place], count)
        factor = jnp.linalg.cholesky(matrix)
        white = jax.scipy.linalg.solve_triangular(factor, y, lower=True)
        fit = 0.5 * count * jnp.log((white**2).mean()) + jnp.log(jnp.diag(factor)).sum()
        return fit + 0.5 * (scores**2).sum()

    return lambda scores: cost(jnp.asarray(scores))
