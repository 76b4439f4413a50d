"""Blocks of environments: whatever the frames, few shapes to compile for."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.representations.environments import batches
from thalweg.systems.configuration import Configuration


@pytest.fixture(scope="module")
def gases():
    """Periodic frames of many densities and sizes."""
    random = np.random.default_rng(0)
    return [
        Configuration(np.full(atoms, 18), edge * random.random((atoms, 3)), edge * np.eye(3), (True,) * 3)
        for atoms, edge in zip(random.integers(20, 160, 24), np.linspace(1.0, 2.5, 24))
    ]


def test_frames_evaluated_one_by_one_make_few_shapes(gases):
    shapes = {near.partners.shape for frame in gases for _, near in batches([frame], (18,), 0.6, 64)}
    most = [max(len(near.partners) for _, near in batches([frame], (18,), 0.6, 64)) for frame in gases]
    assert max(most) > 5 * min(most)
    assert len({rows for rows, _ in shapes}) <= 4 * np.log2(max(most) / min(most)) + 1
    assert len({sites for _, sites in shapes}) <= 4


def test_room_for_more_neighbors_than_there_are_changes_nothing(gases):
    frame = gases[0]
    ((_, near),) = batches([frame], (18,), 0.6, 64)
    vectors = near.environments(
        np.pad(frame.positions, ((0, len(near.kinds) - len(frame)), (0, 0))).T
    ).vectors
    within = np.asarray((vectors**2).sum(0) < 0.6**2).sum(0)[: len(frame)]
    steps = frame.positions[:, None] - frame.positions[None]
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3) * frame.box[0, 0]
    distances = np.linalg.norm(steps[:, :, None] + shifts, axis=-1)
    expected = ((distances < 0.6) & (distances > 1e-9)).sum((1, 2))
    np.testing.assert_array_equal(within, expected)
