"""Segments as they are read: checked, and small ones kept by who reads all of them again and again."""

import json

import numpy as np
import pytest

from thalweg.machine import disk
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store, StoreError


def committed(store, number, frames=3):
    """A segment whose features are all ``number``."""
    shape = (2, frames)
    arrays = {name: np.zeros(shape) for name in ("energy", "bias_energy", "log_weights")}
    arrays |= {
        "features": np.full((*shape, 1), number),
        "values": np.zeros((*shape, 0)),
        "valid": np.full(2, frames),
    }

    def write(folder):
        disk.write_arrays(folder / "frames.npz", arrays)
        disk.write(folder / "segment.json", json.dumps({"id": "segments/a"}))

    store.commit("segments/a", write)


def test_a_segment_made_anew_is_read_anew(tmp_path):
    store = Store(tmp_path)
    committed(store, 1.0)
    assert (Segment.read_again(store, "segments/a").features == 1.0).all()
    store.set_aside("segments/a")
    committed(store, 2.0)
    assert (Segment.read_again(store, "segments/a").features == 2.0).all()


def test_a_small_one_is_read_once_and_a_large_one_checked_each_time(tmp_path):
    small, large = Store(tmp_path / "small"), Store(tmp_path / "large")
    committed(small, 1.0)
    committed(large, 1.0, frames=5000)
    for store in (small, large):
        Segment.read_again(store, "segments/a")
        (store.folder("segments/a") / "segment.json").write_text("{}")
    assert Segment.read_again(small, "segments/a").card == {"id": "segments/a"}
    with pytest.raises(StoreError, match="not what was committed"):
        Segment.read_again(large, "segments/a")
