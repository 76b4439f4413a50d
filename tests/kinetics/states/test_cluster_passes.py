"""K-means out of core is k-means; a coreset costs what the frames cost."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans as ScikitKMeans
from sklearn.exceptions import ConvergenceWarning

from thalweg.kinetics.counts.count_pass import CountPass
from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.cluster_passes import CoresetPass, LloydPass, StreamingKMeans
from thalweg.kinetics.states.clustering import Clustering, KMeans
from thalweg.time_series.one_pass import gathered, shares
from thalweg.time_series.trajectories import Trajectories


def blobs(seed, frames=40_000, clusters=12, dim=5):
    """Frames of clusters of unequal sizes."""
    random = np.random.default_rng(seed)
    centers = 8 * random.standard_normal((clusters, dim))
    share = random.dirichlet(np.full(clusters, 2.0))
    return centers[random.choice(clusters, frames, p=share)] + random.standard_normal((frames, dim))


def cost(points, centers):
    """Squares of distances to the nearest center ``(points,)``."""
    return ((points[:, None] - centers) ** 2).sum(axis=2).min(axis=1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("steps", [1, 5])
def test_steps_over_shares_are_those_of_lloyds_iteration_in_memory(steps):
    assert issubclass(ConvergenceWarning, Warning)
    x = blobs(0)
    start = x[:12]
    theirs = ScikitKMeans(12, init=start, n_init=1, max_iter=steps, tol=0, algorithm="lloyd").fit(x)
    ours = Clustering(start, None, np.nan)
    for _ in range(steps):
        ours = gathered(LloydPass(ours), shares(x, frames=3000))
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, rtol=0, atol=1e-10)


def test_weights_count_as_repeated_frames_in_a_step():
    x, times = blobs(1, 3000), np.random.default_rng(0).integers(0, 4, 3000)
    start = Clustering(x[:12], None, np.nan)
    weighted = Trajectories([x], weights=[times.astype(float)])
    repeated = Trajectories([np.repeat(x, times, axis=0)])
    ours, theirs = (gathered(LloydPass(start), shares(one, frames=700)) for one in (weighted, repeated))
    np.testing.assert_allclose(ours.centers, theirs.centers, rtol=0, atol=1e-10)
    assert ours.radius == pytest.approx(theirs.radius, rel=1e-12)


def test_a_cluster_across_the_end_of_a_period_has_one_center():
    random = np.random.default_rng(0)
    angles = (0.2 * random.standard_normal((4000, 1))) % (2 * np.pi) - np.pi
    found = StreamingKMeans(1, periods=[2 * np.pi], exact=2).fit(angles, frames=1000)
    assert abs(abs(found.centers[0, 0]) - np.pi) < 0.02


def test_a_coreset_costs_what_the_frames_cost_for_any_centers():
    """Relative errors of the cost, over seeds and choices of centers, scatter by less than 1 / sqrt(points / 20)."""
    x, random = blobs(2), np.random.default_rng(1)
    errors = []
    for seed in range(8):
        coreset = gathered(CoresetPass(2000, seed=seed), shares(x, frames=6000))
        assert coreset.weights.sum() == pytest.approx(len(x), rel=1e-9)
        for count in (1, 4, 12, 30):
            centers = x[random.choice(len(x), count, replace=False)]
            errors.append(coreset.weights @ cost(coreset.points, centers) / cost(x, centers).sum() - 1)
    assert np.std(errors) < 0.1
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(8)


def test_one_pass_finds_clusters_nearly_as_good_as_all_frames_do():
    ratios, refined = [], []
    for seed in range(4):
        x = blobs(seed)
        whole = min(KMeans(12, seed=again).fit(x).radius for again in range(5))
        once = StreamingKMeans(12, points=3000, seed=seed).fit(x, frames=7000)
        ratios.append(np.sqrt(cost(x, once.centers).mean()) / whole)
        more = StreamingKMeans(12, points=3000, seed=seed, exact=3).fit(x, frames=7000)
        refined.append(np.sqrt(cost(x, more.centers).mean()) / whole)
    assert all(after <= before for after, before in zip(refined, ratios))
    assert max(ratios) < 1.02


def test_one_pass_does_not_depend_on_who_works(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    x = blobs(3)
    method = StreamingKMeans(8, points=1000, exact=1)
    here = method.fit(x, frames=3000)
    there = method.fit(x, executor=lambda: ThreadPoolExecutor(3), folder=tmp_path, frames=3000)
    np.testing.assert_array_equal(here.centers, there.centers)


def test_fewer_frames_than_clusters_are_told():
    with pytest.raises(ValueError, match="2 different frames were drawn, fewer than n_clusters=3"):
        StreamingKMeans(3).fit(np.array([[0.0], [1.0], [1.0]]))


def test_counts_of_shares_are_those_of_all_frames():
    x = np.random.default_rng(0).standard_normal((9000, 1)).cumsum(axis=0) % 30
    runs = Trajectories([x[:5000], x[5000:8990], x[8990:]], dt=2.0)
    clustering = Clustering(np.linspace(0, 30, 11)[:, None], None, 1.0)
    whole = transition_counts(clustering.transform(runs), 10)
    ours = gathered(CountPass(clustering, 10, 2.0), shares(runs, 10, frames=700))
    assert (ours.matrix != whole.matrix).nnz == 0
    assert (ours.n_pairs, ours.n_blocks) == (whole.n_pairs, 14)
    models = [MarkovStateModel(10, n_processes=2).fit_counts(counts) for counts in (ours, whole)]
    np.testing.assert_allclose(models[0].timescales, models[1].timescales, rtol=1e-10)
