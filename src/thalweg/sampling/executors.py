"""Where tasks run: in this process, in a pool of processes with one thread each, or wherever a study says.

Any `concurrent.futures.Executor` serves a campaign. It is given as a function without arguments, so that a
pool whose worker was killed can be made anew. A study names settings that make one: `Processes`, or the workers of
Dask on this machine or those that a queue gives, in `thalweg.interop.cluster`.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from threadpoolctl import threadpool_limits

from thalweg.units import Count

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENMM_CPU_THREADS": "1",
    "NPROC": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
"""What keeps each library to one thread, since a campaign runs one process per core and idle threads spin.

JAX reads ``XLA_FLAGS`` and ``NPROC``, the size of XLA's pool, when it is first used; with a larger pool a compiled
loop of small operations takes a third more processor time.
"""


@runtime_checkable
class TaskRunner(Protocol):
    """Settings of where tasks run: what ``[execution] executor`` of a study names. A frozen dataclass of plain data.

    Attributes
    ----------
    workers : how many tasks run at once
    """

    workers: int

    def executor(self) -> Executor:
        """Workers, started or connected to.

        Raises
        ------
        OSError
            If none answer.
        """
        ...


@dataclass(frozen=True)
class Processes:
    """Processes of one thread each on this machine; with one, tasks run in this process.

    Parameters
    ----------
    workers : how many
    """

    workers: Count = 2

    def executor(self) -> Executor:
        return serial() if self.workers == 1 else processes(self.workers)()


def serial() -> Executor:
    """Runs tasks in this process, one after the other."""
    return ThreadPoolExecutor(max_workers=1)


def processes(n: int) -> Callable[[], Executor]:
    """A maker of pools of ``n`` freshly started processes, each with one thread.

    The processes end when the one that started them is gone.
    """

    def make() -> Executor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(n, mp_context=context, initializer=_begin)

    return make


def _begin():
    os.environ.update(ONE_THREAD)
    threadpool_limits(1)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
