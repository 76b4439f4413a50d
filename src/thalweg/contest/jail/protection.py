"""Which walls this machine can put around an entry, found by trying.

Strongest first: bubblewrap; namespaces by ``unshare`` with Landlock for the files; limits of the system alone. The
judge says which one was in force, and the board shows it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import thalweg
from thalweg.contest.jail.landlock import version

SYSTEM = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", "/sys/devices/system/cpu",
)  # fmt: skip
"""Files of the system that programs need to run, none of them anybody's own."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


@dataclass(frozen=True)
class Protection:
    """What stands between an entry and the machine, beside the limits of time, memory and size that always hold.

    Attributes
    ----------
    name : ``"bubblewrap"``, ``"namespaces"`` or ``"limits only"``
    files : whether it sees no files but those of Python, the system and its own folder
    network : whether it has none
    processes : whether it sees no processes but its own, and all of them end when it ends

    Examples
    --------
    >>> Protection("limits only", False, False, False).in_words()
    'limits only: other files, the network and other processes of the same user are within reach'
    """

    name: str
    files: bool
    network: bool
    processes: bool

    @property
    def whole(self) -> bool:
        """Whether nothing is within reach."""
        return self.files and self.network and self.processes

    def in_words(self) -> str:
        """What holds and what does not."""
        if self.whole:
            return f"{self.name}: no other files, no network, no other processes"
        open_doors = [
            said
            for closed, said in (
                (self.files, "other files"),
                (self.network, "the network"),
                (self.processes, "other processes of the same user"),
            )
            if not closed
        ]
        *first, last = open_doors
        return f"{self.name}: {', '.join(first)}{' and ' if first else ''}{last} are within reach"

    def readable(self) -> list[str]:
        """Folders that Landlock shall leave visible; empty where it is not what hides files."""
        if self.name != "namespaces" or not self.files:
            return []
        return [*_programs(), *DEVICES, "/proc"]

    def command(self, folder: Path) -> list[str]:
        """Words to put before a command so that it runs behind these walls, with ``folder`` its own."""
        if self.name == "bubblewrap":
            shown = [word for path in _programs() for word in ("--ro-bind-try", path, path)]
            alone = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
            own = ["--bind", str(folder), str(folder), "--remount-ro", "/dev", "--remount-ro", "/"]
            return ["bwrap", *alone, "--proc", "/proc", "--dev", "/dev", *shown, *own]
        return _unshare() if self.name == "namespaces" else []


@cache
def strongest() -> Protection:
    """The strongest protection that this machine gives to this user."""
    return next(each for each in _ladder() if _works(each))


LIMITS_ONLY = Protection("limits only", False, False, False)


def _ladder() -> Sequence[Protection]:
    return (
        Protection("bubblewrap", True, True, True),
        Protection("namespaces", version() > 0, True, True),
        LIMITS_ONLY,
    )


def _works(protection: Protection) -> bool:
    """Whether a Python can be started behind it."""
    command = [*protection.command(Path("/tmp")), sys.executable, "-I", "-c", "pass"]
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def _unshare() -> list[str]:
    alone = ["--user", "--map-root-user", "--net", "--pid", "--ipc", "--uts", "--mount-proc"]
    return ["unshare", *alone, "--fork", "--kill-child"]


def _programs() -> list[str]:
    """Python, the packages installed for it, this package, and what the system needs to run them."""
    ours = str(Path(thalweg.__file__).parents[1])
    places = {os.path.realpath(place) for place in (sys.prefix, sys.base_prefix, ours)} | {sys.prefix, ours}
    return [*sorted(places), *SYSTEM]
