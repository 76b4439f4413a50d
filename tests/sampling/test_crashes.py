"""Campaigns on a disk that fails: at every single operation, and with everything that a power cut may leave.

Whatever happened, running again on a disk that works ends with the digest of the run that was never disturbed.
"""

import errno
from concurrent.futures import Executor, Future
from dataclasses import replace

import pytest

from thalweg.sampling.campaign import CampaignError, drive
from thalweg.sampling.store import UNFINISHED, Store, StoreError

ERRORS = [(errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EIO, False), (errno.EIO, True)]


class InTurn(Executor):
    """Runs what it is given at once, so that operations always come in one order."""

    def submit(self, act, /, *arguments):
        future = Future()
        try:
            future.set_result(act(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


class Tried:
    """A campaign tried on failing disks, beside one that was never disturbed."""

    def __init__(self, failing_disk, policy, folder):
        self.failing, self.policy, self.folder = failing_disk, policy, folder
        self.count, self.seen = 0, set()
        self.undisturbed = self.on(folder / "undisturbed")
        self.digest = Store(folder / "undisturbed").digest()

    def on(self, folder, **faults):
        """The disk after the campaign, however that ended."""
        folder.mkdir(exist_ok=True, parents=True)
        with self.failing.FailingDisk(folder, **faults).installed() as disk:
            drive(Store(folder), self.policy, InTurn)
        return disk

    def ends_the_same(self, folder):
        self.on(folder)
        store = Store(folder)
        assert (store.digest(), store.problems()) == (self.digest, [])
        assert list((folder / UNFINISHED).iterdir()) == []
        self.count += 1

    def after_power_cuts(self, before):
        """Everything that may be on the disk when the power goes before that operation, resumed."""
        for number, image in enumerate(self.undisturbed.images(before)):
            known = hash(frozenset(image.items()))
            if known in self.seen:
                continue
            self.seen.add(known)
            self.ends_the_same(self.failing.restored(image, self.folder / f"cut-{before}-{number}"))

    def after_an_error(self, error, at, lasting):
        folder = self.folder / f"{errno.errorcode[error]}-{at}-{lasting}"
        told = str(folder)
        try:
            self.on(folder, fault=self.failing.Fault(error, at, lasting))
        except (StoreError, CampaignError) as problem:
            told = str(problem)
        assert str(folder) in told
        self.ends_the_same(folder)


def tried_everywhere(failing_disk, policy, folder, capsys, errors):
    tried = Tried(failing_disk, policy, folder)
    operations = len(tried.undisturbed.operations)
    for k in range(operations + 1):
        tried.after_power_cuts(k)
    cuts = tried.count
    for error, lasting in errors:
        for k in range(operations):
            if error != errno.ENOSPC or tried.undisturbed.allocating[k]:
                tried.after_an_error(error, k, lasting)
    with capsys.disabled():
        print(
            f"\n{operations} operations: {cuts} states of the disk after power cuts and {tried.count - cuts} errors "
            "resumed to the same digest"
        )


@pytest.mark.long
def test_sums_end_the_same_after_a_fault_at_every_operation(failing_disk, sums, tmp_path, capsys):
    tried_everywhere(failing_disk, sums.Sums(rounds=2, width=1), tmp_path, capsys, ERRORS)


@pytest.mark.long
def test_adaptive_dynamics_end_the_same_after_a_fault_at_every_operation(failing_disk, toy, tmp_path, capsys):
    policy = replace(toy.RESTARTS, walkers=2, swarms=2, length=0.012, states=3)
    tried_everywhere(failing_disk, policy, tmp_path, capsys, [(errno.EIO, False)])


def test_without_a_power_cut_the_disk_holds_what_was_asked_of_it(failing_disk, sums, tmp_path):
    tried = Tried(failing_disk, sums.Sums(rounds=1, width=1), tmp_path)
    found = {
        str(path.relative_to(tmp_path / "undisturbed")): None if path.is_dir() else path.read_bytes()
        for path in (tmp_path / "undisturbed").rglob("*")
    }
    assert tried.undisturbed.images(len(tried.undisturbed.operations))[0] == found


def test_a_process_killed_at_any_operation_goes_on_to_the_same_end(failing_disk, sums, tmp_path):
    tried = Tried(failing_disk, sums.Sums(rounds=1, width=1), tmp_path)
    for k in range(len(tried.undisturbed.operations)):
        folder = tmp_path / f"killed-{k}"
        with pytest.raises(failing_disk.PowerCut):
            tried.on(folder, cut=k)
        tried.ends_the_same(folder)


def unforced(monkeypatch):
    """A disk that lies: nothing is made to last."""
    monkeypatch.setattr("thalweg.machine.disk.force", lambda path: None)


def test_a_campaign_that_forces_nothing_to_disk_does_not_pass_here(failing_disk, sums, tmp_path, monkeypatch):
    unforced(monkeypatch)
    tried = Tried(failing_disk, sums.Sums(rounds=1, width=1), tmp_path)

    def every_cut():
        for k in range(len(tried.undisturbed.operations) + 1):
            tried.after_power_cuts(k)

    with pytest.raises((AssertionError, StoreError, CampaignError, UserWarning)):
        every_cut()
