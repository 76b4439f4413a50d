"""The smooth function through landmarks: what it reproduces, and that it knows its error."""

from __future__ import annotations

import numpy as np

import thalweg.collective_variables.manifold.embeddings.extension as extension
from thalweg.collective_variables.manifold.embeddings.extension import smooth_map
from thalweg.collective_variables.manifold.metric import Euclidean

X = np.random.default_rng(0).uniform(-1, 1, (150, 2))


def test_a_linear_function_is_reproduced_far_beyond_the_landmarks():
    def values(x):
        return x @ np.array([[1.0, 2.0], [-0.5, 0.3]]) + 4.0

    follows = smooth_map(X, values(X), ("a", "b"))
    far = 10 * X[:20]
    np.testing.assert_allclose(follows(far), values(far), rtol=1e-6, atol=1e-6)


def test_errors_at_landmarks_left_out_are_those_of_fits_without_them():
    """With the choice of kernel, width and ridge held, and the trend along the same directions."""
    values = np.stack([np.sin(3 * X[:, 0]), X[:, 1] ** 2], axis=1)
    problem = extension._Problem.of(X, values, Euclidean())
    kernels = problem.kernel("gaussian", 0.5)
    _, errors = problem.solved(problem.beyond_trend(kernels), 1e-3)
    for i in (0, 71, 149):
        rest = np.delete(np.arange(len(X)), i)
        trend = problem.trend[rest]
        # saddle point system of ridge regression beside a trend
        matrix = kernels[np.ix_(rest, rest)] + 1e-3 * np.eye(len(rest))
        corner = np.zeros((trend.shape[1], trend.shape[1]))
        whole = np.block([[matrix, trend], [trend.T, corner]])
        right = np.concatenate([values[rest], np.zeros((trend.shape[1], 2))])
        solution = np.linalg.solve(whole, right)
        predicted = np.concatenate([kernels[i, rest], problem.trend[i]]) @ solution
        np.testing.assert_allclose(values[i] - predicted, errors[i], rtol=1e-6, atol=1e-9)


def test_the_told_error_is_that_of_unseen_frames():
    """Within a factor of two: landmarks left out are farther from the rest than a frame is from all."""

    def values(x):
        return np.stack([np.sin(4 * x[:, 0]) * x[:, 1], np.cos(3 * x[:, 1])], axis=1)

    follows = smooth_map(X, values(X), ("a", "b"))
    unseen = np.random.default_rng(1).uniform(-1, 1, (2000, 2))
    error = np.sqrt(((follows(unseen) - values(unseen)) ** 2).mean(axis=0))
    assert (error < 2 * follows.errors).all()
    assert (error > follows.errors / 4).all()


def test_noise_is_smoothed_and_not_followed():
    noise = np.random.default_rng(2).normal(0, 0.3, (150, 1))
    follows = smooth_map(X, np.sin(2 * X[:, :1]) + noise, ("a",))
    unseen = np.random.default_rng(1).uniform(-1, 1, (1000, 2))
    error = np.sqrt(((follows(unseen) - np.sin(2 * unseen[:, :1])) ** 2).mean())
    assert error < 0.15


def test_single_precision_keeps_three_digits():
    follows = smooth_map(X, np.sin(4 * X), ("a", "b"))
    single = follows(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, follows(X), atol=1e-3)
