"""A bound on the disk: what would pass it is not begun, what is there stays, a higher bound leads to the same end."""

import pytest

from thalweg.machine import disk
from thalweg.sampling.campaign import CampaignError, drive
from thalweg.sampling.executors import processes
from thalweg.sampling.store import Store


@pytest.fixture
def filling(toys):
    """Four rounds of three entries of 200 kB."""
    return toys("toy_fillings").Filling()


def test_what_would_pass_the_limit_is_not_begun_and_a_higher_limit_leads_to_the_same_end(tmp_path, filling):
    free, bounded = Store(tmp_path / "free"), Store(tmp_path / "bounded")
    drive(free, filling)
    with pytest.raises(
        CampaignError, match=r"GB are in .* needs some 0.0002 GB, .* 0.00115 GB; .*--disk-limit"
    ):
        drive(bounded, filling, disk_limit=0.00115)
    assert len(bounded.ids("fillings")) == 5
    assert disk.size(bounded.path)[0] < 1.15e6
    assert bounded.problems() == []
    drive(bounded, filling, disk_limit=1.0)
    assert bounded.digest() == free.digest()


def test_workers_at_once_do_not_pass_it_together(tmp_path, filling):
    store = Store(tmp_path)
    with pytest.raises(CampaignError, match="may take up"):
        drive(store, filling, processes(3), disk_limit=0.00115)
    assert len(store.ids("fillings")) == 5


def test_a_store_that_has_passed_it_begins_nothing(tmp_path, filling):
    store = Store(tmp_path)
    drive(store, filling, rounds=1)
    with pytest.raises(CampaignError, match=r"fillings/1-0 is to be done, .* 0.0001 GB"):
        drive(store, filling, disk_limit=1e-4)
    assert len(store.ids("fillings")) == 3
