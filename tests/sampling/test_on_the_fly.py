"""A run that learns as it goes: where it asks, what it books, and that kills change nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from thalweg.labeling.known_potential import KnownPotential
from thalweg.labeling.level import LabelFailed
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.recipe import Recipe
from thalweg.representations.expansions.ace import ACE
from thalweg.sampling.campaign import CampaignError
from thalweg.sampling.executors import ONE_THREAD
from thalweg.sampling.policies.on_the_fly import learn_on_the_fly
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.fly import OnTheFly, _worst_atom
from thalweg.systems.configuration import Configuration
from thalweg.units import thermal_energy

BOND = KnownPotential(morse((1,), [400.0], [20.0], [0.074], cutoff=0.5), "Morse")
PAIR = Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, 0.074]]))
SHORT = OnTheFly(
    (500.0,),
    duration=1.0,
    recipe=Recipe(Linear(ACE(cutoff=0.5, levels=(8,)))),
    check_every=0.25,
    save_every=0.05,
    legs=4,
)


def test_legs_end_at_looks_and_checks_and_stages_are_not_overrun():
    settings = OnTheFly((300.0, 900.0), duration=1.0, check_every=0.3, legs=3)
    ends = [settings.end_of(leg) for leg in range(3)]
    assert ends[-1] == settings.steps == 2000
    assert all(end % settings.stride == 0 for end in ends)
    step, events = 0, []
    while step < settings.steps:
        step = min(settings.event_after(step), settings.steps)
        events.append(step)
    assert events == [600, 1000, 1200, 1800, 2000]  # a check each 0.3 ps, the change of temperature at 0.5 ps
    assert settings.kT(999) == thermal_energy(300.0)
    assert settings.kT(1000) == thermal_energy(900.0)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"temperatures": ()}, "at least one"),
        ({"look_every": 0.0007}, "look_every"),
        ({"check_every": 0.0123}, "check_every"),
        ({"first": 2}, "at least 5"),
        ({"odds": 0.0}, "probability"),
        ({"legs": 100_000}, "fewer"),
    ],
)
def test_settings_that_make_no_run_are_refused_with_what_is_wrong(wrong, told):
    with pytest.raises(ValueError, match=told):
        replace(OnTheFly(), **wrong)


def test_the_worst_atom_has_the_largest_mean_square_component():
    np.testing.assert_allclose(_worst_atom([np.array([[3.0, 0, 0], [1, 1, 1]])]), [np.sqrt(3)])


def test_given_frames_must_be_labeled_and_not_too_few(tmp_path):
    with pytest.raises(ValueError, match="1 labeled frames are too few"):
        learn_on_the_fly(PAIR, BOND, Store(tmp_path), SHORT, given=[PAIR])
    with pytest.raises(ValueError, match="lack an energy"):
        learn_on_the_fly(PAIR, BOND, Store(tmp_path), SHORT, given=[PAIR] * 8)


@pytest.mark.long
def test_a_run_books_every_label_and_what_it_was_wrong_by(tmp_path):
    store = Store(tmp_path)
    run = learn_on_the_fly(PAIR, BOND, store, SHORT)
    assert [call.number for call in run.calls] == list(range(1, len(run.calls) + 1))
    assert {call.label for call in run.calls} == {f"{entry}" for entry in store.ids("labels")}
    assert len(run.frames) == len(run.times) == 20
    checks = [call.step for call in run.calls if call.why == "check"]
    assert set(checks) <= {500, 1000, 1500, 2000}
    # jumps, one after the other, add up to what the energy of a place changed by: the label corrects what was said
    first = next(call for call in run.calls if call.why != "start")
    assert first.error > 0
    assert np.isfinite(first.jump)
    truth = BOND.term.evaluate(run.frames)
    found = run.potential.evaluate(run.frames)
    off = np.concatenate(found.forces) - np.concatenate(truth.forces)
    assert np.sqrt(np.mean(off**2)) < SHORT.tolerance
    # the same call again does nothing, and another run is refused
    digest = store.digest()
    assert str(learn_on_the_fly(PAIR, BOND, store, SHORT)) == str(run)
    assert store.digest() == digest
    with pytest.raises(ValueError, match="another start, level or settings"):
        learn_on_the_fly(PAIR, BOND, store, replace(SHORT, seed=5))


@pytest.mark.long
def test_a_level_that_fails_again_and_again_ends_the_run_with_a_word(tmp_path, monkeypatch):
    true_label, asked = KnownPotential.label, []

    def fails(self, frame):
        asked.append(frame)
        if len(asked) > SHORT.first:
            raise LabelFailed("no convergence")
        return true_label(self, frame)

    monkeypatch.setattr(KnownPotential, "label", fails)
    with pytest.raises(CampaignError, match="5 times in a row"):
        learn_on_the_fly(PAIR, BOND, Store(tmp_path), replace(SHORT, tolerance=0.01))


RUN = """
import sys
sys.path.insert(0, sys.argv[2])
from test_on_the_fly import BOND, PAIR, SHORT
from thalweg.sampling.policies.on_the_fly import learn_on_the_fly
from thalweg.sampling.store import Store

print("ready", flush=True)
print(learn_on_the_fly(PAIR, BOND, Store(sys.argv[1]), SHORT), flush=True)
"""


@pytest.mark.long
def test_six_kills_of_a_run_lose_no_label_and_end_in_the_same_bytes(tmp_path):
    # compiled programs are kept on disk, so that processes that live for seconds get anywhere
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    def begun(folder):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(folder), os.path.dirname(__file__)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ONE_THREAD | kept,
        )
        assert process.stdout.readline() == "ready\n"
        return process

    began = time.monotonic()
    assert "labels" in begun(tmp_path / "undisturbed").communicate()[0]
    whole = time.monotonic() - began
    rng, folder, written = np.random.default_rng(3), tmp_path / "killed", {}
    for _ in range(6):
        process = begun(folder)
        time.sleep(rng.uniform(0, whole / 3))
        process.kill()
        process.communicate()
        now = {
            entry: (folder / entry / "manifest.json").stat().st_mtime_ns
            for kind in ("labels", "legs")
            for entry in Store(folder).ids(kind)
        }
        assert now.items() >= written.items()  # what was there is there, and was not written again
        written = now
    told = begun(folder).communicate()[0]
    assert "labels" in told
    assert Store(folder).digest() == Store(tmp_path / "undisturbed").digest()
    assert Store(folder).problems() == []
