"""Delay embedding is a view: the present frame first, then earlier ones, weights and masks in step."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.galerkin.delay_embedding import delay_embedded, masks_embedded
from thalweg.kinetics.reactions.regions import Intervals, members
from thalweg.time_series.trajectories import CHUNK, Trajectories


def test_frames_stand_beside_their_past_whatever_the_chunks():
    """Longer than a chunk, so that borders of chunks lie inside."""
    random = np.random.default_rng(0)
    blocks = [random.standard_normal((length, 2)) for length in (CHUNK + 700, 9, 5)]
    weights = [random.random(len(block)) for block in blocks]
    embedded = delay_embedded(
        Trajectories(blocks, dt=0.2, weights=weights, names=("x", "y")), delays=2, stride=3
    )
    # the third trajectory has no frame with so long a past
    assert embedded.lengths.tolist() == [CHUNK + 694, 3]
    assert embedded.names[2:4] == ["x, 3 frames before", "y, 3 frames before"]
    seen = np.concatenate([frames for k, _, frames in embedded.chunks() if k == 0])
    np.testing.assert_array_equal(seen, np.hstack([blocks[0][6:], blocks[0][3:-3], blocks[0][:-6]]))
    np.testing.assert_array_equal(embedded.weights[1], weights[1][6:])
    assert embedded.dt == 0.2


def test_regions_and_masks_see_the_present_frame():
    data = Trajectories([np.linspace(-1, 1, 9)[:, None]])
    region = Intervals((0.4,), (2.0,), columns=(0,))
    embedded = delay_embedded(data, delays=3)
    by_region = members(embedded, region, "B")
    by_mask = masks_embedded(members(data, region, "B"), delays=3)
    assert by_region[0].tolist() == by_mask[0].tolist() == [False] * 3 + [True] * 3


def test_a_past_longer_than_all_trajectories_is_refused():
    with pytest.raises(ValueError, match="more than 12 frames, the longest has 10"):
        delay_embedded([np.zeros((10, 1))], delays=4, stride=3)
    with pytest.raises(ValueError, match="at least one"):
        delay_embedded([np.zeros((10, 1))], delays=0)
