"""Labels kept in a store: nothing is paid twice, failures are kept with their reason, kills lose nothing committed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.labeling.known_potential import KnownPotential
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.sampling.campaign import CampaignError
from thalweg.sampling.policies.label_frames import AT_ONCE, LabelSets, label
from thalweg.sampling.store import Store
from thalweg.systems.configuration import Configuration

BOND = KnownPotential(morse((1,), [400.0], [20.0], [0.074], cutoff=2.0), "Morse")


def pairs(lengths, **info):
    return [Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, x]]), info=info) for x in lengths]


def test_labels_are_those_of_the_level_in_the_order_of_the_frames(tmp_path):
    frames = pairs([0.08, 0.07, 0.09], origin="here")
    found = label(frames, BOND, Store(tmp_path))
    expected = BOND.term.evaluate(frames)
    np.testing.assert_array_equal([frame.energy for frame in found.frames], expected.energies)
    np.testing.assert_array_equal(found.frames[2].forces, expected.forces[2])
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


def test_a_store_grows_by_sets(tmp_path):
    store = Store(tmp_path)
    label(pairs(np.linspace(0.07, 0.09, AT_ONCE + 5)), BOND, store)
    assert store.ids("frames") == ["frames/00000", "frames/00001"]
    assert [len(LabelSets(2).plan(store, k)) for k in (0, 1)] == [AT_ONCE, 5]


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
