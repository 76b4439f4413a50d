"""Tasks on the workers of Dask: on this machine, or wherever a scheduler has some."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from distributed import Client, LocalCluster
from distributed.scheduler import KilledWorker

from thalweg.sampling.executors import ONE_THREAD


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

    def __init__(self, client: Client, cluster: LocalCluster | None = None):
        self._client, self._cluster = client, cluster

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future:  # ty: ignore[incompatible-method-override]
        """What ``function(*arguments)`` will be. It runs again if asked for again: what it does counts too."""
        promised: Future = Future()
        running = self._client.submit(function, *arguments, pure=False)

        def settle(done) -> None:
            if not promised.set_running_or_notify_cancel():
                return
            if done.status == "finished":
                promised.set_result(done.result())
                return
            promised.set_exception(_meant(done.exception()) if done.status == "error" else BrokenExecutor())

        running.add_done_callback(settle)
        return promised

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the scheduler, and end the workers that were started for this."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def dask_executor(where: int | str) -> Callable[[], Executor]:
    """A maker of executors for campaigns, on so many new processes here or on the scheduler at an address.

    Parameters
    ----------
    where : number of processes of one thread each on this machine, or the address of a scheduler such as
        ``"tcp://10.0.0.5:8786"``, whose workers the user started (``dask worker``, dask-jobqueue)

    Raises
    ------
    OSError
        If no scheduler answers at the address.
    """

    def make() -> Executor:
        if isinstance(where, str):
            return DaskExecutor(Client(where, set_as_default=False))
        cluster = LocalCluster(
            n_workers=where, threads_per_worker=1, processes=True, dashboard_address=":0", env=ONE_THREAD
        )
        return DaskExecutor(Client(cluster, set_as_default=False), cluster)

    return make


def _meant(error: BaseException) -> BaseException:
    """`KilledWorker` as other executors say it: that workers died, so that a campaign makes itself new ones."""
    return BrokenExecutor(str(error)) if isinstance(error, KilledWorker) else error
