"""What sketches leave out is as little as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.spatial.distance import pdist

from thalweg.collective_variables.bases.sketches import (
    AlongPass,
    Quantization,
    QuantizedFrames,
    RandomProjection,
)
from thalweg.collective_variables.covariances.covariance_pass import CovariancePass
from thalweg.collective_variables.covariances.slow_modes import reversible_modes
from thalweg.time_series.one_pass import gathered, shares
from thalweg.time_series.trajectories import Trajectories

LAG = 5


def walks(seed, frames=20_000, features=12):
    """Mixtures of relaxing walks of several time scales."""
    random = np.random.default_rng(seed)
    kept = np.exp(-1 / np.geomspace(2, 200, features))
    noise = np.sqrt(1 - kept**2) * random.standard_normal((frames, features))
    x = np.stack([lfilter([1.0], [1.0, -one], column) for one, column in zip(kept, noise.T)], axis=1)
    return x @ np.linalg.qr(random.standard_normal((features, features)))[0]


def modes_of(block, *functions):
    one_pass = CovariancePass(LAG)
    for each in functions:
        one_pass = AlongPass(each, one_pass)
    return reversible_modes(gathered(one_pass, shares(Trajectories([block]), LAG, frames=7000)), 1e-12)


def test_squared_distances_after_a_projection_are_within_the_distortion():
    x = np.random.default_rng(0).standard_normal((60, 3000))
    apart = pdist(x, "sqeuclidean")
    worst = []
    for seed in range(10):
        sketch = RandomProjection(3000, 800, seed)
        after = pdist(sketch(x), "sqeuclidean")
        worst.append(np.abs(after / apart - 1).max() / sketch.distortion(60))
    assert max(worst) < 1
    assert min(worst) > 0.3  # and the bound is not empty


def test_too_few_combinations_are_told():
    with pytest.raises(ValueError, match="keeps no distance between 1000000 frames; 387 and more do"):
        RandomProjection(1000, 100).distortion(10**6)


@pytest.mark.parametrize("seed", range(3))
def test_eigenvalues_of_projected_frames_interlace(seed):
    x = walks(seed)
    whole, part = modes_of(x).eigenvalues, modes_of(x, RandomProjection(12, 8, seed)).eigenvalues
    assert (part <= whole[:8] + 1e-6).all()
    assert (part >= whole[4:] - 1e-6).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_eigenvalues_of_quantized_frames_are_within_the_bound(bits):
    bound, moved = [], []
    for seed in range(3):
        x = walks(seed)
        whole = modes_of(x)
        grid = Quantization.between(x.min(axis=0), x.max(axis=0), bits)
        few = modes_of(QuantizedFrames(grid.codes(x), grid))
        bound.append(grid.eigenvalue_error(whole.vectors))
        moved.append(np.abs(few.eigenvalues - whole.eigenvalues).max())
    assert all(change <= most for change, most in zip(moved, bound))
    assert max(bound) < (2 if bits == 8 else 0.01)


def test_time_scales_of_quantized_frames_are_those_of_the_frames():
    x = walks(0)
    grid = Quantization.between(x.min(axis=0), x.max(axis=0), 16)
    ours, whole = (modes_of(block).timescales for block in (QuantizedFrames(grid.codes(x), grid), x))
    np.testing.assert_allclose(ours, whole, rtol=1e-3)


def test_rounding_is_right_to_half_a_step_and_bounds_are_kept():
    x = walks(1, 2000)
    grid = Quantization.between(x.min(axis=0), x.max(axis=0), 8)
    assert (np.abs(grid.frames(grid.codes(x)) - x).max(axis=0) <= grid.error * (1 + 1e-4)).all()
    with pytest.raises(ValueError, match="out of bounds"):
        grid.codes(2 * x)
    with pytest.raises(ValueError, match="bits=4"):
        Quantization.between(x.min(axis=0), x.max(axis=0), 4)
    with pytest.raises(ValueError, match="highest above the lowest"):
        Quantization.between(np.zeros(2), np.zeros(2))
