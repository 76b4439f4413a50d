"""Workers of Dask that a queue of a cluster gives: jobs are submitted when a campaign begins and end with it.

What a cluster asks for beyond these settings (modules to load, lines of a job script) is the user's configuration of
dask-jobqueue, ``~/.config/dask/jobqueue.yaml``: a run file cannot say it, since it would be executed.
"""

from __future__ import annotations

import re
import shlex
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

import dask.config
from distributed import Client

from thalweg.interop.cluster.dask import DaskExecutor
from thalweg.sampling.executors import ONE_THREAD
from thalweg.units import Count

WORD = re.compile(r"[\w.:@/+-]*")
"""What names of queues and accounts, memory and times may be made of."""


CLUSTERS = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}
"""Names in dask-jobqueue."""


@dataclass(frozen=True)
class JobQueue:
    """Workers in jobs of a queue, submitted when a campaign begins.

    Parameters
    ----------
    scheduler : of the queue
    workers : jobs, each one worker of one thread
    queue : partition or queue; empty for the default of the cluster
    account : whom to charge; empty for the default
    memory : of each job, such as ``"4 GB"``
    walltime : of each job, such as ``"12:00:00"``; a task cut off by it is begun again in another job

    Raises
    ------
    ValueError
        If a name holds what no name has, such as a line break.

    Examples
    --------
    >>> JobQueue(account="mine\\nrm -r /")
    Traceback (most recent call last):
    ...
    ValueError: account = 'mine\\nrm -r /' would become a line of a job script; give letters, digits and . : @ / + -
    """

    scheduler: Literal["slurm", "pbs"] = "slurm"
    workers: Count = 8
    queue: str = ""
    account: str = ""
    memory: str = "4 GB"
    walltime: str = "12:00:00"

    def __post_init__(self):
        for name in ("queue", "account", "memory", "walltime"):
            given = getattr(self, name)
            if not WORD.fullmatch(given.replace(" ", "")):
                raise ValueError(
                    f"{name} = {given!r} would become a line of a job script; give letters, digits and . : @ / + -"
                )

    def executor(self) -> Executor:
        """Workers in jobs; they begin as the queue lets them.

        Raises
        ------
        ImportError
            If dask-jobqueue is not installed.
        """
        cluster = self.cluster()
        cluster.scale(jobs=self.workers)
        return DaskExecutor(Client(cluster, set_as_default=False), cluster)

    def cluster(self) -> Any:
        """The cluster of dask-jobqueue, no job submitted; its ``job_script()`` is what would be."""
        import dask_jobqueue

        named = {"queue": self.queue, "account": self.account}
        own = dask.config.get(f"jobqueue.{self.scheduler}.job-script-prologue", None) or []
        one_thread = [f"export {name}={shlex.quote(value)}" for name, value in ONE_THREAD.items()]
        return getattr(dask_jobqueue, CLUSTERS[self.scheduler])(
            cores=1,
            processes=1,
            memory=self.memory,
            walltime=self.walltime,
            job_script_prologue=[*own, *one_thread],
            **{name: value for name, value in named.items() if value},
        )
