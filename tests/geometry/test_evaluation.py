import equinox as eqx
import numpy as np
import pytest

from thalweg.geometry import evaluation
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.variables import Distances

FRAMES = np.random.default_rng(3).normal(scale=0.5, size=(25, 6, 3)).astype(np.float32)
PAIRS = Distances([[0, 1], [2, 5]])


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(evaluation, "CHUNK_NUMBERS", 7 * 6 * 3)


@pytest.mark.usefixtures("small_chunks")
def test_chunks_give_the_values_of_one_piece_and_a_padded_end_adds_none():
    expected = np.linalg.norm(FRAMES[:, [1, 5]] - FRAMES[:, [0, 2]], axis=2)
    np.testing.assert_allclose(evaluate(PAIRS, FRAMES), expected, rtol=1e-6)


@pytest.mark.usefixtures("small_chunks")
def test_every_frame_is_folded_by_its_own_box():
    boxes = np.eye(3, dtype=np.float32) * np.linspace(0.8, 2.0, 25, dtype=np.float32)[:, None, None]
    values = evaluate(PAIRS, FRAMES, boxes)
    one_by_one = [evaluate(PAIRS, frame[None], box)[0] for frame, box in zip(FRAMES, boxes)]
    np.testing.assert_allclose(values, one_by_one, atol=1e-6)


@pytest.mark.usefixtures("small_chunks")
def test_all_chunks_share_one_compilation():
    traces = []

    class Counting(eqx.Module):
        inner: Distances
        names = ("a", "b")

        def __call__(self, positions, box=None):
            traces.append(1)
            return self.inner(positions, box)

    evaluate(Counting(PAIRS), FRAMES)
    assert len(traces) == 1


def test_no_frames_give_no_values():
    assert evaluate(PAIRS, FRAMES[:0]).shape == (0, 2)


def test_a_memory_map_is_read_like_an_array(tmp_path):
    np.save(tmp_path / "frames.npy", FRAMES)
    mapped = np.load(tmp_path / "frames.npy", mmap_mode="r")
    np.testing.assert_array_equal(evaluate(PAIRS, mapped), evaluate(PAIRS, FRAMES))
