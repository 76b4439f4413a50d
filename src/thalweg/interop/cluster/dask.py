"""Tasks on the workers of Dask: on this machine, or wherever a scheduler has some."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from distributed import Client, LocalCluster
from distributed.scheduler import KilledWorker

from thalweg.registry import WITH
from thalweg.sampling.executors import ONE_THREAD
from thalweg.units import Count

ANSWER = 10.0
"""Seconds in which a scheduler answers, usually."""


@runtime_checkable
class Cluster(Protocol):
    """Workers of Dask that someone started."""

    def close(self) -> None:
        """End them."""
        ...


class DaskExecutor(Executor):
    """Runs what it is given on the workers of a Dask scheduler.

    Workers must see the files of a campaign under the same path, as on a cluster with one file system, and the same
    version of this package. A task whose worker died was started again by Dask, as often as its setting
    ``distributed.scheduler.allowed-failures`` says; after that, this executor counts as broken.

    Parameters
    ----------
    client : connected to the scheduler; closed by `shutdown`, with the workers if this made them
    cluster : workers that end with this; None for those of others
    """

    def __init__(self, client: Client, cluster: Cluster | None = None):
        self._client, self._cluster = client, cluster

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future:  # ty: ignore[incompatible-method-override]
        """What ``function(*arguments)`` will be. It runs again if asked for again: what it does counts too.

        It runs in the folder in which this is called, whatever folder the worker was started in, and the plug-ins that
        the user named here are its plug-ins.
        """
        promised: Future = Future()
        here = (str(Path.cwd()), os.environ.get(WITH, ""))
        try:
            running = self._client.submit(_as_here, *here, function, *arguments, pure=False)
        except Exception as error:
            if self._client.status == "running":
                raise
            raise BrokenExecutor(f"the scheduler is gone: {error}") from error

        def settle(done) -> None:
            if not promised.set_running_or_notify_cancel():
                return
            try:
                if done.status == "finished":
                    promised.set_result(done.result())
                    return
                failed = _meant(done.exception()) if done.status == "error" else BrokenExecutor()
            except Exception as error:  # the scheduler went before it had handed over what came of it
                failed = BrokenExecutor(f"the scheduler is gone: {error}")
            promised.set_exception(failed)

        running.add_done_callback(settle)
        return promised

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the scheduler, and end the workers that were started for this."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


@dataclass(frozen=True)
class Dask:
    """Workers of Dask: new ones on this machine, or those of a scheduler at an address.

    Workers at an address are started by the user (``dask scheduler``, ``dask worker ADDRESS --nthreads 1``), see the
    files under the same paths, and have the same version of this package. A scheduler that goes away is waited for.

    Parameters
    ----------
    workers : processes of one thread each on this machine, where no address is given
    address : of a scheduler, such as ``"tcp://10.0.0.5:8786"``; empty for workers of this machine
    """

    workers: Count = 2
    address: str = ""

    def executor(self) -> Executor:
        if self.address:
            try:
                return DaskExecutor(Client(self.address, set_as_default=False, timeout=ANSWER))
            except (OSError, ValueError) as error:
                raise OSError(
                    f"no scheduler answers at {self.address} ({error}); start one there: dask scheduler, and workers: "
                    f"dask worker {self.address} --nthreads 1"
                ) from error
        cluster: Any = LocalCluster(
            n_workers=self.workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            env=ONE_THREAD,
        )
        return DaskExecutor(Client(cluster, set_as_default=False), cluster)


def dask_executor(where: int | str) -> Callable[[], Executor]:
    """A maker of executors for campaigns, on so many new processes here or on the scheduler at an address.

    Parameters
    ----------
    where : number of processes of one thread each on this machine, or the address of a scheduler, see `Dask`

    Raises
    ------
    OSError
        If no scheduler answers at the address.
    """
    return (Dask(address=where) if isinstance(where, str) else Dask(where)).executor


def _as_here(folder: str, plugins: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(*arguments)`` in a folder, with the plug-ins of whom it is for."""
    os.environ[WITH] = plugins
    os.chdir(folder)
    return function(*arguments)


def _meant(error: BaseException) -> BaseException:
    """`KilledWorker` as other executors say it: that workers died, so that a campaign makes itself new ones."""
    return BrokenExecutor(str(error)) if isinstance(error, KilledWorker) else error
