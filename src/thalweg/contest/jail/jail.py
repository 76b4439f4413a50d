"""An entry in a process of its own, watched: what it takes beyond its limits ends it, and only it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from thalweg.contest.jail.messages import Refused, checked, received, send
from thalweg.contest.jail.protection import Protection
from thalweg.contest.rules.task import Arrays, EntryLimits, Shapes

LOOK = 0.1
"""Seconds between looks at a running entry."""

HEADROOM = 6_000_000_000
"""Address space beyond the limit of memory, which libraries reserve and do not use [bytes]."""

MANY_FILES = 1000
TASKS = 512
"""Processes and threads that the user of an entry may have more than now."""

SUBREAPER, DUMPABLE = 36, 4
"""Options of ``prctl``: orphans come to this process; its memory is nobody else's."""


@dataclass
class Usage:
    """What an entry took so far, and why it was ended where it was.

    Attributes
    ----------
    cpu : processor time of all its processes [s]
    memory : most that all its processes held at once [bytes]
    wall : time by the clock [s]
    cause : why the judge ended it, or empty
    """

    cpu: float = 0.0
    memory: int = 0
    wall: float = 0.0
    cause: str = ""


class Confined:
    """A running entry; made by `confined`."""

    def __init__(self, process: subprocess.Popen, log: Path, limits: EntryLimits, usage: Usage):
        self._process, self._log, self._limits, self.usage = process, log, limits, usage

    def fit(self, given: Arrays) -> None:
        """Let the entry learn.

        Raises
        ------
        Refused
            If it does not come back from it within its limits.
        """
        self.ask(None, {"ready": (1,)})
        self.ask(given, {"ready": (1,)})

    def ask(self, asked: Arrays | None, shapes: Shapes) -> Arrays:
        """What the entry answers, checked.

        Raises
        ------
        Refused
            If it does not answer within its limits, or not with what was asked for.
        """
        try:
            if asked is not None:
                send(_there(self._process.stdin), asked)
            data = received(_there(self._process.stdout), self._limits.answer)
        except (BrokenPipeError, ValueError):
            data = b""
        if self.usage.cause:
            raise Refused(self.usage.cause)
        if not data:
            raise Refused(self._ended())
        return checked(data, shapes)

    def _ended(self) -> str:
        """Why there is no answer, of a process that ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)
        if self.usage.cause:
            return self.usage.cause
        if _printed(self._log) > self._limits.printed:  # the system was faster than the watch
            return _printed_too_much(self._limits)
        with self._log.open("rb") as file:
            file.seek(max(0, _printed(self._log) - 4000))
            lines = file.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return "ended without an answer" + (f": {last[:200]}" if last else "")


@contextlib.contextmanager
def confined(code: bytes, limits: EntryLimits, protection: Protection) -> Iterator[Confined]:
    """An entry's file ``code`` running behind ``protection`` within ``limits``; nothing of it is left afterwards.

    Its standard output and the files it writes are thrown away. Its environment holds nothing of the judge's. While it
    runs, this process adopts orphans, so that children that left their parent are found and ended, too; and where
    processes of the same user could be looked into, this one's memory is closed to them.
    """
    usage = Usage()
    with (
        tempfile.TemporaryDirectory(prefix="entry-", ignore_cleanup_errors=True) as outer,
        _adopting(protection),
    ):
        folder, log = Path(outer) / "own", Path(outer) / "log"
        folder.mkdir()
        (folder / "entry.py").write_bytes(code)
        before = {child.pid for child in psutil.Process().children(recursive=True)}
        with log.open("wb") as printed:
            process = subprocess.Popen(
                [*protection.command(folder), *_worker(folder, limits, protection)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed, cwd=folder, env=_environment(folder),
                start_new_session=True,
            )  # fmt: skip
        watch = _Watch(process, before, folder, log, limits, usage)
        watch.start()
        try:
            yield Confined(process, log, limits, usage)
        finally:
            watch.over.set()
            watch.join()
            _end_all(before)
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    _there(pipe).close()
            process.wait()


def _end_all(but: set[int]) -> None:
    """End all processes below this one except ``but``, those too that are started meanwhile."""
    for _ in range(200):
        left = _below(but)
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        for one in left:  # orphans are ours to bury
            with contextlib.suppress(ChildProcessError):
                os.waitpid(one.pid, os.WNOHANG)
        if not [one for one in left if _runs(one)]:
            return
        time.sleep(0.01)
    raise RuntimeError(f"{len(_below(but))} processes of an entry could not be ended")


class _Watch(threading.Thread):
    """Looks at an entry's processes and files again and again, notes what they take and ends them beyond the limits."""

    def __init__(
        self,
        process: subprocess.Popen,
        before: set[int],
        folder: Path,
        log: Path,
        limits: EntryLimits,
        usage: Usage,
    ):
        super().__init__(daemon=True)
        self.process, self.before, self.folder, self.log, self.limits, self.usage = (
            process,
            before,
            folder,
            log,
            limits,
            usage,
        )
        self.over, self.cpu_of = threading.Event(), {}

    def run(self) -> None:
        start = time.monotonic()
        while True:
            over = self.over.is_set()
            processes = self._take()
            self.usage.wall = time.monotonic() - start
            if cause := self._beyond(processes):
                self.usage.cause = cause
                _end_all(self.before)
                return
            if over:
                return
            if self.process.poll() is not None:  # children that outlive it would hold its pipes open
                _end_all(self.before)
                return
            self.over.wait(LOOK)

    def _take(self) -> int:
        """Note time and memory of all processes; how many there are."""
        below, memory = _below(self.before), 0
        for one in below:
            with contextlib.suppress(psutil.Error):
                with one.oneshot():
                    times = one.cpu_times()
                    memory += one.memory_info().rss
                self.cpu_of[one.pid] = times.user + times.system
        self.usage.memory = max(self.usage.memory, memory)
        self.usage.cpu = sum(self.cpu_of.values())
        return len(below)

    def _beyond(self, processes: int) -> str:
        limits, usage = self.limits, self.usage
        files, size = _taken(self.folder)
        if usage.cpu > limits.cpu:
            return f"took more than {limits.cpu:g} s of processor time"
        if usage.wall > limits.wall:
            return f"took more than {limits.wall:g} s by the clock"
        if usage.memory > limits.memory:
            return f"took more than {limits.memory / 1e9:g} GB of memory"
        if processes > limits.processes + 2:  # the wall's own
            return f"had more than {limits.processes} processes at once"
        if _printed(self.log) > limits.printed:
            return _printed_too_much(limits)
        if size > limits.files or files > MANY_FILES:
            return f"wrote more than {limits.files / 1e6:g} MB or {MANY_FILES} files"
        return ""


def _worker(folder: Path, limits: EntryLimits, protection: Protection) -> list[str]:
    orders = asdict(limits) | {
        "folder": str(folder),
        "readable": protection.readable(),
        "address_space": limits.memory + HEADROOM,
        "tasks": _tasks_of_user() + TASKS,
    }
    return [sys.executable, "-I", "-m", "thalweg.contest.jail.worker", json.dumps(orders)]


def _environment(folder: Path) -> dict[str, str]:
    """All that an entry is told by its environment."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "1")
    one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    home = dict.fromkeys(("HOME", "TMPDIR"), str(folder))
    own = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": one, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    return {"PATH": os.environ.get("PATH", os.defpath), **home, **threads, **own}


@contextlib.contextmanager
def _adopting(protection: Protection) -> Iterator[None]:
    """Within it orphans below this process are its own, and its memory cannot be read where it could be found."""
    if sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.prctl(SUBREAPER, 1, 0, 0, 0)
    if not protection.processes:
        libc.prctl(DUMPABLE, 0, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(SUBREAPER, 0, 0, 0, 0)
        libc.prctl(DUMPABLE, 1, 0, 0, 0)


def _printed(log: Path) -> int:
    return log.stat().st_size


def _printed_too_much(limits: EntryLimits) -> str:
    return f"printed more than {limits.printed / 1e6:g} MB"


def _below(but: set[int]) -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if one.pid not in but]


def _runs(one: psutil.Process) -> bool:
    try:
        return one.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _taken(folder: Path) -> tuple[int, int]:
    """Files in a folder and their size [bytes]."""
    files = size = 0
    for place, folders, names in os.walk(folder):
        files += len(names) + len(folders)
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(place, name)).st_size
        if files > MANY_FILES:
            break
    return files, size


def _tasks_of_user() -> int:
    """Processes and threads that this user has."""
    own, found = os.getuid(), 0
    for one in psutil.process_iter(("uids", "num_threads")):
        if one.info["uids"] and one.info["uids"].real == own:
            found += one.info["num_threads"] or 1
    return found


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
