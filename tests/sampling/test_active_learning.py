"""Active learning on a known potential: it ends by a rule that is told, and an interruption changes nothing."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from thalweg.labeling.choice import RandomFrames
from thalweg.labeling.known_potential import KnownPotential
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.recipes.molecular import global_gradient_domain
from thalweg.sampling.campaign import drive
from thalweg.sampling.policies.active_learning import ActiveLearning, begin_learning, bought, cycles_done
from thalweg.sampling.store import Store
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

TRIMER = morse((1,), [40.0], [20.0], [0.1], cutoff=1.0)
LEVEL = KnownPotential(TRIMER, called="trimer")
TRIANGLE = 0.1 * np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, np.sqrt(0.75), 0.0]])
RECIPE = global_gradient_domain(widths=(2.0,), noises=(1e-8,), mean=None)
QUICK = ActiveLearning(
    temperatures=(100.0,), walkers=3, duration=0.1, batch=4, labels=30, cycles=3, rule=RandomFrames()
)


KILLED = ActiveLearning(
    error=1e-9,
    temperatures=(100.0,),
    walkers=2,
    duration=0.06,
    batch=3,
    labels=15,
    cycles=2,
    rule=RandomFrames(),
)


def triangles(count, seed, width=0.004):
    moved = np.random.default_rng(seed).normal(size=(count, 3, 3)) * width
    return [Configuration(np.ones(3, int), TRIANGLE + each) for each in moved]


def begun(folder):
    store = Store(folder)
    begin_learning(store, triangles(12, 1), triangles(8, 2), LEVEL, RECIPE)
    return store


class Interruption(RuntimeError):
    pass


@pytest.mark.long
def test_learning_ends_by_the_rule_that_holds_and_buys_no_more_than_allowed(tmp_path):
    store = begun(tmp_path / "aim")
    drive(store, QUICK)
    last = cycles_done(store) - 1
    record = QUICK.told(store, last)
    assert QUICK.over(store, last) == QUICK.over(store, QUICK.cycles - 1) == "aim"
    assert record.force_error <= QUICK.error
    assert record.lasted >= QUICK.lasting
    assert record.threshold >= 3 * QUICK.error


@pytest.mark.long
def test_an_aim_out_of_reach_ends_with_the_labels_that_were_allowed(tmp_path):
    hard = ActiveLearning(
        error=1e-9,
        temperatures=(100.0,),
        walkers=3,
        duration=0.1,
        batch=4,
        labels=18,
        cycles=9,
        rule=RandomFrames(),
    )
    store = begun(tmp_path / "labels")
    drive(store, hard)
    last = cycles_done(store) - 1
    assert hard.over(store, last) == "labels"
    assert [bought(store, cycle) for cycle in range(last + 1)] == [12, 16, 18]
    records = [hard.told(store, cycle) for cycle in range(last + 1)]
    assert [record.labels for record in records] == [12, 16, 18]
    assert records[-1].force_error < records[0].force_error < unit("eV/Å", "force")


@pytest.mark.long
def test_an_interrupted_campaign_leaves_what_one_without_interruption_leaves(tmp_path):
    whole = begun(tmp_path / "whole")
    drive(whole, KILLED)
    left = [4]

    def interrupt(round, task, done, total, seconds):
        left[0] -= seconds is not None
        if left[0] < 0:
            left[0] = 9
            raise Interruption

    parts = begun(tmp_path / "parts")
    for _ in range(50):
        try:
            drive(parts, KILLED, observers=(interrupt,))
            break
        except Interruption:
            continue
    assert parts.digest() == whole.digest()
    assert parts.problems() == []


@pytest.mark.long
def test_ten_kills_lose_no_label_and_change_nothing(tmp_path):
    whole = begun(tmp_path / "whole")
    drive(whole, KILLED)
    entries = len(whole.ids())
    draw = np.random.default_rng(7)
    folder = tmp_path / "killed"
    for fraction in np.sort(draw.uniform(0.02, 0.95, size=10)):
        process = subprocess.Popen([sys.executable, __file__, str(folder)])
        while process.poll() is None and _count(folder) < fraction * entries:
            time.sleep(0.002)
        process.kill()
        process.wait()
    drive(begun(folder), KILLED)
    assert Store(folder).digest() == whole.digest()
    paid = [note["task"] for note in Store(folder).diary() if note.get("kind") == "label"]
    assert len(paid) == len(set(paid))


def _count(folder):
    return len(list(folder.glob("[a-z]*/*/manifest.json")))


@pytest.mark.parametrize(
    ("settings", "words"), [({"lasting": 1.5}, "a fraction"), ({"temperatures": ()}, "at least one")]
)
def test_settings_that_mean_nothing_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ActiveLearning(**settings)


if __name__ == "__main__":
    drive(begun(sys.argv[1]), KILLED)
