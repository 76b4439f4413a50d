"""What runs inside the jail: takes limits on itself, loads the entry's file and answers what the judge asks.

Everything before the entry's file is loaded is ours, and what it takes on cannot be taken off again: hard limits of the
system, and where the judge wants it Landlock, by which the process sees only the folders named.
"""

from __future__ import annotations

import json
import os
import resource
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from thalweg.contest.jail.landlock import confine
from thalweg.contest.jail.messages import READY, arrays_in, received, send

MOST = 1 << 40


def _main() -> None:
    """Read the orders from the command line, confine this process, and serve."""
    orders = json.loads(sys.argv[1])
    pipe_in, pipe_out = os.dup(0), os.dup(1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what the entry prints goes to the log, never into the pipe
    _take_limits(orders)
    folder = Path(orders["folder"])
    os.chdir(folder)
    if orders["readable"]:
        confine(orders["readable"], [str(folder)])
    del sys.argv[1:]
    with os.fdopen(pipe_in, "rb") as asked, os.fdopen(pipe_out, "wb") as answers:
        entry = runpy.run_path(str(folder / "entry.py"), run_name="entry")
        send(answers, READY)
        model = _asked_for(entry, "fit")(arrays_in(received(asked, MOST)))
        send(answers, READY)
        while data := received(asked, MOST):
            send(answers, _asked_for(entry, "answer")(model, arrays_in(data)))


def _take_limits(orders: dict) -> None:
    """Set hard limits of the system for this process and all it starts."""
    limits: Sequence[tuple[int, int]] = (
        (resource.RLIMIT_CPU, int(orders["cpu"]) + 2),
        (resource.RLIMIT_AS, orders["address_space"]),
        (resource.RLIMIT_FSIZE, orders["files"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_NPROC, orders["tasks"]),
    )
    for kind, most in limits:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _asked_for(entry: dict, name: str) -> Callable:
    if not callable(entry.get(name)):
        raise SystemExit(
            f"the file defines no function {name}; an entry has fit(given) and answer(model, asked)"
        )
    return entry[name]


if __name__ == "__main__":
    _main()
