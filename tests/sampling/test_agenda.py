"""A task begins when what it reads is there; rounds that are foreseen do not wait for the slowest of one before."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from thalweg.sampling.agenda import AHEAD, Agenda
from thalweg.sampling.campaign import CampaignError, drive
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store


@dataclass(frozen=True)
class Lanes:
    """In each round every lane adds to what it has of the round before."""

    add: object
    rounds: int = 3
    lanes: int = 2
    foreseen: bool = True

    def plan(self, store, round):
        before = [(f"sums/{round - 1:03d}-{lane}",) if round else () for lane in range(self.lanes)]
        return [Task(f"sums/{round:03d}-{lane}", self.add(before[lane])) for lane in range(self.lanes)]


def agenda_of(policy, store):
    return Agenda(store, policy, policy.rounds, lambda *news: None)


def ids(tasks):
    return [task.id for task in tasks]


def test_a_lane_goes_on_while_another_is_slow_if_rounds_are_foreseen(sums, tmp_path):
    agenda = agenda_of(Lanes(sums.Add), Store(tmp_path))
    slow, quick = agenda.take()
    agenda.finish(quick, 0.0)
    (second,) = agenda.take()
    assert second.id == "sums/001-1"
    agenda.finish(second, 0.0)
    (third,) = agenda.take()
    assert third.id == "sums/002-1"
    agenda.finish(slow, 0.0)
    assert ids(agenda.take()) == ["sums/001-0"]


def test_a_round_waits_for_all_before_if_plans_look_at_what_is_stored(sums, tmp_path):
    agenda = agenda_of(Lanes(sums.Add, foreseen=False), Store(tmp_path))
    slow, quick = agenda.take()
    agenda.finish(quick, 0.0)
    assert agenda.take() == []
    agenda.finish(slow, 0.0)
    assert ids(agenda.take()) == ["sums/001-0", "sums/001-1"]


def test_rounds_are_planned_so_far_ahead_and_no_further(sums, tmp_path):
    store = Store(tmp_path)
    agenda = agenda_of(Lanes(sums.Add, rounds=100), store)
    agenda.take()
    assert len(store.ids("plans")) == AHEAD + 1


def test_tasks_that_were_taken_in_vain_are_handed_out_again(sums, tmp_path):
    agenda = agenda_of(Lanes(sums.Add), Store(tmp_path))
    taken = agenda.take()
    agenda.put_back(taken)
    assert agenda.take() == taken


def test_the_store_is_the_same_whether_lanes_wait_or_not(sums, tmp_path):
    drive(Store(tmp_path / "waiting"), Lanes(sums.Add, foreseen=False))
    order, first_of_slow = [], threading.Event()

    def observer(round, task, done, total, seconds):
        order.append(task.id)

    class Slow(ThreadPoolExecutor):
        """Holds back the first task of lane 0 until lane 1 is through."""

        def submit(self, function, *arguments):
            def held(entry, *rest):
                if entry == "sums/000-0":
                    first_of_slow.wait(20)
                result = function(entry, *rest)
                if entry == "sums/002-1":
                    first_of_slow.set()
                return result

            return super().submit(held, *arguments)

    drive(Store(tmp_path / "going on"), Lanes(sums.Add), lambda: Slow(2), observers=[observer])
    assert order.index("sums/002-1") < order.index("sums/000-0")
    assert Store(tmp_path / "going on").digest() == Store(tmp_path / "waiting").digest()


@dataclass(frozen=True)
class Lost:
    """Plans a round and then knows no further."""

    first: object
    rounds: int = 2

    def plan(self, store, round):
        return [Task("sums/first", self.first)] if round == 0 else [{}["next"]]


def test_a_policy_that_raises_is_named_with_its_round_and_the_rest_is_kept(sums, tmp_path):
    with pytest.raises(
        RuntimeError, match=r"Lost failed to plan round 1: KeyError: 'next'; what is committed"
    ):
        drive(Store(tmp_path), Lost(sums.Add(())))
    assert Store(tmp_path).has("sums/first")


def test_what_failed_and_why_is_in_the_diary(sums, tmp_path):
    with pytest.raises(CampaignError, match="lost its way"):
        drive(Store(tmp_path), sums.Once(sums.Fail()))
    (note,) = [note for note in Store(tmp_path).diary() if "failed" in note]
    assert (note["failed"], note["why"]) == ("sums/only", "the integrator lost its way")
