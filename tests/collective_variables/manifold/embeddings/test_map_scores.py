"""Scores of maps: of themselves, of chance, by definition."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from thalweg.collective_variables.manifold.embeddings.map_scores import map_scores

RANDOM = np.random.default_rng(0)
SEEN, UNSEEN = RANDOM.normal(size=(200, 3)), RANDOM.normal(size=(40, 3))


def test_a_map_that_only_turns_and_stretches_is_perfect():
    turn = 3 * np.linalg.qr(RANDOM.normal(size=(3, 3)))[0]
    scores = map_scores(SEEN, UNSEEN, SEEN @ turn, UNSEEN @ turn)
    assert scores.trustworthiness == scores.continuity == 1
    assert scores.geodesic_correlation > 0.85, "ways along neighbors are not quite straight"


def test_a_map_by_chance_scores_a_half():
    """Mean rank of neighbors drawn by chance, over the worst: 1/2 for few neighbors of many."""
    scores = map_scores(SEEN, UNSEEN, RANDOM.normal(size=(200, 2)), RANDOM.normal(size=(40, 2)), neighbors=5)
    assert abs(scores.trustworthiness - 0.5) < 0.05
    assert abs(scores.continuity - 0.5) < 0.05
    assert abs(scores.geodesic_correlation) < 0.2


def test_trustworthiness_is_that_of_scikit_learn_with_the_unseen_frame_among_the_others():
    """One unseen frame with all seen ones is a cloud, in which scikit-learn scores that frame among all others."""
    maps = SEEN[:, :2], UNSEEN[:, :2]
    n, k = len(SEEN), 7
    ours = map_scores(SEEN, UNSEEN[:1], maps[0], maps[1][:1], neighbors=k).trustworthiness
    cloud, plane = (np.concatenate([unseen[:1], seen]) for seen, unseen in ((SEEN, UNSEEN), maps))
    apart = np.linalg.norm(cloud[:1] - cloud[1:], axis=1).argsort().argsort() + 1
    near = np.linalg.norm(plane[:1] - plane[1:], axis=1).argsort()[:k]
    beyond = np.maximum(apart[near] - k, 0).sum()
    assert ours == pytest.approx(1 - 2 * beyond / (k * (2 * (n + 1) - 3 * k - 1)))
    # and all frames of a cloud, each against all others, average to scikit-learn's number
    alone = [
        map_scores(
            np.delete(SEEN, i, 0), SEEN[[i]], np.delete(maps[0], i, 0), maps[0][[i]], neighbors=k
        ).trustworthiness
        for i in range(0, n, 10)
    ]
    assert abs(np.mean(alone) - trustworthiness(SEEN, maps[0], n_neighbors=k)) < 4 * np.std(alone) / np.sqrt(
        len(alone)
    )


def test_an_unseen_frame_of_weight_two_counts_twice():
    maps = SEEN[:, :2], UNSEEN[:, :2]
    weighted = map_scores(SEEN, UNSEEN, *maps, weights=np.repeat([2.0, 1.0], [10, 30]))
    doubled = np.concatenate([UNSEEN, UNSEEN[:10]])
    twice = map_scores(SEEN, doubled, maps[0], doubled[:, :2])
    assert weighted.trustworthiness == pytest.approx(twice.trustworthiness)
    assert weighted.continuity == pytest.approx(twice.continuity)


def test_too_few_frames_to_rank_are_refused_with_the_numbers():
    with pytest.raises(ValueError, match="20 frames cannot be ranked with 12 neighbors; take more than 24"):
        map_scores(SEEN[:20], UNSEEN, SEEN[:20], UNSEEN)
