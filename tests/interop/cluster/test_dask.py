"""Campaigns on the workers of Dask end like those in one process, whoever is killed."""

from pathlib import Path

import pytest

from thalweg import registry
from thalweg.interop.cluster.dask import dask_executor
from thalweg.sampling.campaign import CampaignError, drive
from thalweg.sampling.executors import processes, serial
from thalweg.sampling.store import UNFINISHED, Store

TOYS = Path(__file__).parents[2] / "sampling" / "toy_sums.py"


@pytest.fixture
def sums(monkeypatch):
    """Campaigns that add up numbers."""
    monkeypatch.setenv(registry.WITH, "")
    registry.name_files([TOYS])
    return registry.plugin("toy_sums")


@pytest.mark.parametrize("executor", [processes(2), dask_executor(2)], ids=["processes", "Dask"])
def test_a_campaign_whose_worker_is_killed_ends_like_one_in_this_process(sums, tmp_path, executor):
    policy = sums.Sums(rounds=2, width=2)
    drive(Store(tmp_path / "here"), policy, serial)
    victim = tmp_path / "there/log/victim"
    victim.parent.mkdir(parents=True)
    victim.write_text("sums/000-1")
    drive(Store(tmp_path / "there"), policy, executor)
    assert not victim.exists()
    there, here = Store(tmp_path / "there"), Store(tmp_path / "here")
    assert (there.digest(), there.problems()) == (here.digest(), [])
    assert list((tmp_path / "there" / UNFINISHED).iterdir()) == []


def test_a_task_that_fails_on_a_worker_of_dask_is_named(sums, tmp_path):
    with pytest.raises(CampaignError, match="sums/only failed: the integrator lost its way"):
        drive(Store(tmp_path), sums.Once(sums.Fail()), dask_executor(1))


@pytest.mark.long
def test_workers_of_dask_that_keep_dying_end_the_campaign_with_a_word(sums, tmp_path):
    with pytest.raises(CampaignError, match="killed 3 times in a row while doing sums/only"):
        drive(Store(tmp_path), sums.Once(sums.KillWorker(times=99)), dask_executor(1))
