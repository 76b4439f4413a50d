"""Thousands of functions cost what the machine has: blocks bounded, slowest modes alone, the space of few frames."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from thalweg.collective_variables.bases import kernels
from thalweg.collective_variables.covariances.covariance import BLOCK_BYTES, covariances
from thalweg.collective_variables.covariances.slow_modes import reversible_modes, symmetrized
from thalweg.collective_variables.linear import vac
from thalweg.collective_variables.linear.dynamic_modes import DMD, EDMD
from thalweg.collective_variables.linear.integrated_vac import IntegratedVAC
from thalweg.collective_variables.linear.kernel_tica import KernelTICA
from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vamp import VAMP
from thalweg.time_series.trajectories import Trajectories


def mixed(frames, columns, seed=0):
    """A slow sine among columns of noise, all mixed a little."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((frames, columns))
    x[:, 0] += 3 * np.sin(np.arange(frames) / 30)
    return x + 0.1 * np.roll(x, 1, axis=1)


def test_the_slowest_modes_of_many_functions_are_those_of_the_whole_spectrum():
    sums = covariances(mixed(3000, 450), lagtime=5, kept=2)
    found = reversible_modes(sums, 1e-6, count=6)
    _, c0, ct = symmetrized(sums)
    exact = scipy.linalg.eigh(ct, c0, eigvals_only=True)[::-1][:6]
    np.testing.assert_allclose(found.eigenvalues, exact, rtol=1e-7)
    np.testing.assert_allclose(found.vectors.T @ c0 @ found.vectors, np.eye(6), atol=1e-8)


def test_collinear_columns_among_many_are_dropped():
    x = mixed(3000, 430)
    x = np.hstack([x, x[:, :20] + x[:, 20:40]])
    model = TICA(5, 2).fit(x)
    assert any("20 of 450 directions are combinations" in note for note in model.notes)
    np.testing.assert_allclose(model.timescales[:2], TICA(5, 2).fit(x[:, :430]).timescales[:2], rtol=1e-6)


def test_blocks_of_moments_are_bounded_and_refused_beyond_memory_before_anything_is_read():
    sums = covariances(np.random.default_rng(0).standard_normal((400, 1200)), lagtime=1)
    assert 24 * sums.n_blocks * 1200**2 <= BLOCK_BYTES
    assert len(sums.drifts) > sums.n_blocks

    class Unread:
        shape = (10, 300_000)

        def __iter__(self):
            raise AssertionError("read")

    with pytest.raises(MemoryError, match=r"covariances of 300000 functions .* GB"):
        covariances([Unread()], lagtime=1)


def test_a_model_keeps_the_moments_of_its_slowest_modes_alone():
    model = TICA(5, 2).fit(mixed(2000, 300))
    kept = model.covariances.blocks
    assert sum(array.nbytes for array in (kept.s00, kept.s0t, kept.stt)) < 3e6
    assert np.isfinite(model.timescale_errors(20).error).all()


def test_errors_from_the_slowest_modes_are_those_from_all_functions(monkeypatch):
    x = mixed(4000, 60)
    few = TICA(5, 1).fit(x).timescale_errors(100).error[0]
    monkeypatch.setattr(vac, "RESAMPLED", 100)
    assert abs(few / TICA(5, 1).fit(x).timescale_errors(100).error[0] - 1) < 0.05


@pytest.mark.parametrize("method", [TICA(3, 2), VAMP(3, 2), IntegratedVAC(1, 6, 2)], ids=str)
def test_frames_fewer_than_columns_give_the_same_coordinates_in_their_own_space(method):
    smooth = np.cumsum(np.random.default_rng(0).standard_normal((300, 4)), axis=0) @ mixed(4, 500)
    few, plain = method.fit(smooth), method.fit(smooth @ scipy.linalg.orth(smooth.T))
    np.testing.assert_allclose(few.timescales[:2], plain.timescales[:2], rtol=1e-5)
    ours, theirs = few.transform(smooth), plain.transform(smooth @ scipy.linalg.orth(smooth.T))
    # the second mode is one of a complex pair, whose phase is free
    assert abs(np.corrcoef(ours[:, 0], theirs[:, 0])[0, 1]) > 1 - 1e-8
    one = getattr(few, "loadings", None)
    assert one is None or one.shape == (500, 2)


@pytest.mark.parametrize("method", [EDMD(3), DMD(3)], ids=lambda method: type(method).__name__)
def test_dynamic_modes_of_few_frames_of_many_columns_are_those_of_the_columns_they_span(method):
    smooth = np.cumsum(np.random.default_rng(0).standard_normal((200, 4)), axis=0) @ mixed(4, 500) + 1.0
    span = scipy.linalg.orth(smooth.T)
    few, plain = method.fit(smooth), method.fit(smooth @ span)
    np.testing.assert_allclose(few.eigenvalues, plain.eigenvalues, rtol=1e-6)
    np.testing.assert_allclose(few.predict(smooth, 2) @ span, plain.predict(smooth @ span, 2), atol=1e-6)
    assert "200 frames of 500 functions: solved in the space of frames" in few.notes
    assert few.modes.shape[1] == 500


def test_few_features_are_found_among_more_than_frames():
    random = np.random.default_rng(0)
    x = random.standard_normal((600, 900))
    hidden = np.zeros(600)
    for t in range(1, 600):
        hidden[t] = np.exp(-1 / 10) * hidden[t - 1] + random.standard_normal()
    x[:, [3, 700]] += 5 * hidden[:, None]
    model = SparseTICA(3, 1, features=1).fit(x)
    assert model.supports[0].tolist() in ([3], [700])
    assert abs(np.corrcoef(model.transform(x)[:, 0], hidden)[0, 1]) > 0.99
    assert any(note.startswith("600 frames of 900 features: searched among 1") for note in model.notes)


def test_components_of_few_frames_of_many_columns_are_exact():
    x = mixed(40, 300)
    model = PCA(3).fit(x)
    left, sizes, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(model.variances[:39], sizes[:39] ** 2 / 40, rtol=1e-9)
    np.testing.assert_allclose(np.abs(model.transform(x)), np.abs(left[:, :3] * sizes[:3]), atol=1e-9)


def test_twenty_thousand_columns_of_ten_frames_are_reduced_at_once():
    x = np.random.default_rng(0).standard_normal((10, 22_578)).cumsum(axis=0)
    model = TICA(1, 1).fit(x)
    assert model.loadings.shape == (22_578, 1)
    assert any("10 frames of 22578 functions" in note for note in model.notes)
    assert PCA(2).fit(x).loadings.shape == (22_578, 2)


def test_few_frames_hold_fewer_landmarks_and_the_model_says_so():
    x = np.cumsum(np.random.default_rng(0).standard_normal((400, 1)), axis=0) % 9
    model = KernelTICA(3, 1, landmarks=300, width=1.0).fit(x)
    assert "400 frames hold 40 landmarks, not 300" in model.notes
    assert model.transform(x).shape == (400, 1)


def test_candidates_for_landmarks_are_bounded_by_memory(monkeypatch):
    monkeypatch.setattr(kernels, "CANDIDATE_BYTES", 8 * 3 * 50)
    x = np.random.default_rng(0).standard_normal((1000, 3))
    with pytest.raises(ValueError, match="50 different frames cannot hold 60 landmarks"):
        kernels.Landmarks(60).fit(Trajectories([x]))
