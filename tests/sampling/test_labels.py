"""Labels kept in a store: nothing is paid twice, failures are kept with their reason, kills lose nothing committed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from thalweg.labeling.known_potential import KnownPotential
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.sampling.campaign import CampaignError
from thalweg.sampling.executors import ONE_THREAD
from thalweg.sampling.policies.label_frames import LabelSets, label
from thalweg.sampling.store import Store
from thalweg.systems.configuration import Configuration

BOND = KnownPotential(morse((1,), [400.0], [20.0], [0.074], cutoff=2.0), "Morse")


def pairs(lengths, **info):
    return [Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, x]]), info=info) for x in lengths]


def test_labels_are_those_of_the_level_in_the_order_of_the_frames(tmp_path):
    frames = pairs([0.08, 0.07, 0.09], origin="here")
    found = label(frames, BOND, Store(tmp_path))
    expected = BOND.term.evaluate(frames)
    np.testing.assert_allclose([frame.energy for frame in found.frames], expected.energies, atol=1e-6)
    np.testing.assert_allclose(found.frames[2].forces, expected.forces[2], atol=1e-4)
    assert found.frames[0].info == {"origin": "here", "level": "Morse"}
    assert found.provenance["program"] == "Thalweg"


def test_a_second_call_pays_only_for_what_is_new(tmp_path):
    store = Store(tmp_path)
    assert label(pairs([0.07, 0.08]), BOND, store).bought == 2
    again = label(pairs([0.08, 0.09, 0.07], other="said"), BOND, store)
    assert (again.bought, len(again.frames)) == (1, 3)
    assert len(store.ids("labels")) == 3


def test_equal_frames_are_paid_once(tmp_path):
    found = label(pairs([0.08, 0.08]), BOND, Store(tmp_path))
    assert (found.bought, len(found.frames)) == (1, 2)


def test_another_level_or_another_charge_is_another_label(tmp_path):
    store = Store(tmp_path)
    label(pairs([0.08]), BOND, store)
    softer = KnownPotential(morse((1,), [300.0], [20.0], [0.074], cutoff=2.0), "Morse")
    assert label(pairs([0.08]), softer, store).bought == 1
    assert label(pairs([0.08], charge=2), BOND, store).bought == 1


def test_a_frame_that_fails_is_kept_with_its_reason_and_not_asked_again(tmp_path):
    store, frames = Store(tmp_path), pairs([0.08, 0.005, 0.09])
    for bought in (3, 0):
        found = label(frames, BOND, store)
        assert (found.bought, len(found.frames), list(found.failures)) == (bought, 2, [1])
        assert "on top of each other" in found.failures[1]
        assert "frame 1 first" in str(found)


def test_a_store_grows_by_sets(tmp_path, monkeypatch):
    monkeypatch.setattr("thalweg.sampling.policies.label_frames.AT_ONCE", 3)
    store = Store(tmp_path)
    label(pairs(np.linspace(0.07, 0.09, 5)), BOND, store)
    assert store.ids("frames") == ["frames/00000", "frames/00001"]
    assert [len(LabelSets(2).plan(store, k)) for k in (0, 1)] == [3, 2]


def test_labels_of_a_campaign_that_was_stopped_are_found_by_the_next(tmp_path, monkeypatch):
    store, frames = Store(tmp_path), pairs([0.07, 0.08, 0.09])
    true_label = KnownPotential.label

    def stops(self, frame):
        if frame.positions[1, 2] == 0.08:
            raise RuntimeError("the power is gone")
        return true_label(self, frame)

    with monkeypatch.context() as patched:
        patched.setattr(KnownPotential, "label", stops)
        with pytest.raises(CampaignError, match="the power is gone"):
            label(frames, BOND, store)
    before = len(store.ids("labels"))
    assert before >= 1
    assert label(frames, BOND, store).bought == 3 - before
    assert len(store.ids("labels")) == 3


def test_what_cannot_be_asked_is_said_before_anything_is_paid(tmp_path):
    store = Store(tmp_path)
    strange = replace(pairs([0.08])[0], numbers=np.array([1, 8]))
    with pytest.raises(ValueError, match="frame 1: "):
        label([*pairs([0.08]), strange], BOND, store)
    assert store.ids() == []


def test_days_of_labels_are_refused_with_the_number(tmp_path):
    with pytest.raises(ValueError, match=r"2 labels by Morse would take about .* days of one core"):
        label(pairs([0.08, 0.09]), BOND, Store(tmp_path), days=1e-9)


CAMPAIGN = """
import sys
import numpy as np
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.sampling.policies.label_frames import label
from thalweg.sampling.store import Store
from thalweg.systems.configuration import Configuration

water = np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])
moves = 0.005 * np.random.default_rng(0).normal(size=(60, 3, 3))
frames = [Configuration(np.array([8, 1, 1]), water + move) for move in moves]
print("ready", flush=True)
print(label(frames, TightBinding(), Store(sys.argv[1])), flush=True)
"""


@pytest.mark.long
def test_ten_kills_of_a_campaign_lose_no_label_and_none_is_paid_twice(tmp_path):
    pytest.importorskip("tblite")
    rng, folder = np.random.default_rng(5), tmp_path / "killed"

    def begun(folder):
        process = subprocess.Popen(
            [sys.executable, "-c", CAMPAIGN, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ONE_THREAD,
        )
        assert process.stdout.readline() == "ready\n"
        return process

    written = {}
    for _ in range(10):
        process = begun(folder)
        time.sleep(rng.uniform(0, 1.0))
        process.kill()
        process.communicate()
        now = {
            entry: (folder / entry / "manifest.json").stat().st_mtime_ns
            for entry in Store(folder).ids("labels")
        }
        assert now.items() >= written.items()  # what was there is there, and was not written again
        written = now
    process = begun(folder)
    told = process.communicate()[0]
    assert f"60 frames labeled, {60 - len(written)} of them now" in told
    begun(tmp_path / "undisturbed").communicate()
    assert Store(folder).digest() == Store(tmp_path / "undisturbed").digest()
    assert Store(folder).problems() == []
