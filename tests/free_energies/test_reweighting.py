"""Weights and free energies against distributions known in closed form and against pymbar."""

import json
import subprocess
import sys

import numpy as np
import pytest

from thalweg.free_energies.blocks import statistical_inefficiency
from thalweg.free_energies.difference import free_energy_difference
from thalweg.free_energies.reweighting import MBAR, effective_sample_size, exponential_weights
from thalweg.free_energies.surface import FreeEnergySurface


def harmonic_windows(counts, seed, kT=2.5):
    """Exact samples of U = 2 s^2 under biases 3 (s - c)^2, and every bias at every sample."""
    rng = np.random.default_rng(seed)
    centers = np.linspace(-2, 2, len(counts))
    samples = np.concatenate([rng.normal(6 * c / 10, np.sqrt(kT / 10), n) for c, n in zip(centers, counts)])
    return samples, 3 * (samples - centers[:, None]) ** 2, 3 * centers**2 - 9 * centers**2 / 5


def test_mbar_gives_the_free_energies_of_harmonic_windows_within_three_standard_errors():
    counts = np.array([300, 500, 400, 500, 300])
    found = []
    for seed in range(20):
        _, energies, exact = harmonic_windows(counts, seed)
        model = MBAR(kT=2.5).fit(energies, counts)
        assert model.converged
        found.append(model.free_energies - (exact - exact[0]))
    error = np.std(found, 0)[1:] / np.sqrt(20)
    assert np.all(np.abs(np.mean(found, 0)[1:]) < 3 * error)


def test_ensembles_that_share_no_frame_are_named():
    rng = np.random.default_rng(2)
    centers = np.array([0.0, 0.5, 8.0, 8.5])
    samples = np.concatenate([rng.normal(c, 0.5, 300) for c in centers])
    energies = 5.0 * (samples - centers[:, None]) ** 2
    with pytest.warns(UserWarning, match=r"fall apart into 0, 1 \| 2, 3 with hardly a frame in common"):
        model = MBAR(kT=2.5).fit(energies, np.full(4, 300))
    assert model.parts == ((0, 1), (2, 3))
    assert model.least_overlap < 1e-6


def test_equations_not_solved_are_told():
    _, energies, _ = harmonic_windows(np.full(3, 100), 0)
    with pytest.warns(UserWarning, match="not solved"):
        assert not MBAR(kT=2.5, iterations=1).fit(energies, np.full(3, 100)).converged


def test_mbar_weights_undo_the_biases():
    samples, energies, _ = harmonic_windows(np.full(5, 4000), 0)
    weights = np.exp(MBAR(kT=2.5).fit(energies, np.full(5, 4000)).log_weights)
    assert weights @ samples**2 == pytest.approx(2.5 / 4, rel=0.03)


def test_mbar_is_pymbar():
    counts = np.array([30, 0, 50, 20])
    _, energies, _ = harmonic_windows(np.array([30, 50, 20]), 1)
    energies = np.insert(energies, 1, 0.3 * energies[0], axis=0)
    ours = MBAR(kT=2.5).fit(energies, counts)
    script = (
        "import json, sys, warnings; warnings.simplefilter('ignore')\n"
        "import numpy as np; from pymbar import MBAR\n"
        "u, n = json.load(sys.stdin); m = MBAR(np.array(u), np.array(n), solver_protocol='robust')\n"
        "print(json.dumps([m.f_k.tolist(), m.compute_overlap()['matrix'].tolist()]))"
    )
    given = json.dumps([(energies / 2.5).tolist(), counts.tolist()])
    answer = subprocess.run(
        [sys.executable, "-c", script], input=given, capture_output=True, text=True, check=True
    )
    free_energies, overlap = map(np.array, json.loads(answer.stdout.splitlines()[-1]))
    np.testing.assert_allclose(ours.free_energies / 2.5, free_energies - free_energies[0], atol=1e-6)
    np.testing.assert_allclose(ours.overlap, overlap, atol=1e-6)


def test_one_bias_by_mbar_is_exponential_reweighting():
    energies = np.random.default_rng(0).normal(size=(1, 50))
    np.testing.assert_allclose(
        MBAR(kT=2.0).fit(energies, np.array([50])).log_weights, exponential_weights(energies[0], 2.0)
    )


@pytest.mark.parametrize(
    ("energies", "counts", "answer"),
    [(np.zeros((2, 4)), [1, 2], "sum 3"), (np.full((1, 2), np.nan), [2], "not finite")],
)
def test_wrong_input_to_mbar_is_answered(energies, counts, answer):
    with pytest.raises(ValueError, match=answer):
        MBAR(kT=1.0).fit(energies, np.array(counts))


def test_equal_weights_count_all_frames_and_one_heavy_frame_counts_one():
    assert effective_sample_size(np.full(7, -3.0)) == pytest.approx(7)
    assert effective_sample_size(np.array([0.0, -800.0, -900.0])) == pytest.approx(1)


def autoregressive(n, memory, seed, walks=10):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(walks, n))
    for t in range(1, n):
        x[:, t] = memory * x[:, t - 1] + np.sqrt(1 - memory**2) * x[:, t]
    return list(x)


def test_statistical_inefficiency_of_an_autoregressive_process():
    found = statistical_inefficiency(autoregressive(20_000, 0.9, 0))
    assert found == pytest.approx((1 + 0.9) / (1 - 0.9), rel=0.1)


def test_a_constant_is_never_correlated():
    assert statistical_inefficiency([np.ones(10)]) == 1.0


def test_the_error_of_a_difference_covers_the_truth_of_correlated_walks():
    """A normal variable and the region above 0.5; 40 independent repetitions."""
    exact = -2.5 * np.log(0.308538 / 0.691462)
    deviations = []
    for seed in range(40):
        above = [x > 0.5 for x in autoregressive(2000, 0.95, seed)]
        found = free_energy_difference(above, [~x for x in above], [np.zeros(2000)] * 10, kT=2.5)
        assert not found.shortcomings
        deviations.append((found.value - exact) / found.error)
    assert 0.75 < np.std(deviations) < 1.35
    assert abs(np.mean(deviations)) < 3 / np.sqrt(40)


def test_walks_that_cross_one_way_only_are_under_sampled():
    left = [np.arange(1000) < 100 * (k + 1) for k in range(9)]
    found = free_energy_difference(left, [~x for x in left], [np.zeros(1000)] * 9, kT=2.5)
    assert str(found).startswith("under-sampled: 9 crossings from a to b and 0 back")


def test_a_walk_between_the_regions_crosses_only_when_it_arrives():
    a = np.array([1, 0, 0, 1, 0, 0, 1], bool)
    b = np.array([0, 0, 1, 0, 0, 0, 0], bool)
    assert free_energy_difference([a], [b], [np.zeros(7)], kT=1.0).crossings == (1, 1)


def test_an_empty_region_is_answered():
    with pytest.raises(ValueError, match="region b holds none of 5 frames"):
        free_energy_difference([np.ones(5, bool)], [np.zeros(5, bool)], [np.zeros(5)], kT=1.0)


def test_the_surface_of_a_normal_distribution_lies_within_its_error_map():
    walks = [x[:, None] for x in autoregressive(20_000, 0.8, 3)]
    surface = FreeEnergySurface(2.5, (-2.0,), (2.0,), (16,), (None,), block=500).fit(walks)
    exact = 2.5 * surface.centers[0] ** 2 / 2
    apart = surface.free_energy - exact
    assert np.sqrt(np.mean(((apart - apart.mean()) / surface.error) ** 2)) < 2
    assert surface.error.max() < 0.1


def test_a_periodic_kernel_wraps_and_a_bounded_one_does_not():
    values = [np.full((100, 1), 3.1)]
    settings = dict(lower=(-np.pi,), upper=(np.pi,), bins=(60,), bandwidth=2.0, block=10)
    wrapped = FreeEnergySurface(2.5, periods=(2 * np.pi,), **settings).fit(values)
    bounded = FreeEnergySurface(2.5, periods=(None,), **settings).fit(values)
    assert wrapped.free_energy[0] == pytest.approx(wrapped.free_energy[-2])
    assert np.isinf(bounded.free_energy[0])


def test_weights_shift_a_surface_in_two_dimensions():
    rng = np.random.default_rng(0)
    values = [rng.random((5000, 2)) for _ in range(4)]
    logs = [2.0 * (v[:, 0] > 0.5) for v in values]
    model = FreeEnergySurface(1.0, (0.0, 0.0), (1.0, 1.0), (2, 2), (None, None)).fit(values, logs)
    np.testing.assert_allclose(model.free_energy[0] - model.free_energy[1], 2.0, atol=0.15)


def test_nothing_within_the_limits_is_answered():
    with pytest.raises(ValueError, match="none of 10 frames"):
        FreeEnergySurface(1.0, (0.0,), (1.0,), (5,), (None,)).fit([np.full((10, 1), 3.0)])


def test_a_region_that_one_block_holds_alone_has_no_error_and_says_so():
    once = np.zeros(3000, bool)
    once[1000:1200] = True
    found = free_energy_difference([once], [~once], [np.zeros(3000)], kT=2.5)
    assert not np.isfinite(found.error)
    assert any("no error" in each for each in found.shortcomings)
