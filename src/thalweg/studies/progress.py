"""Bars on the terminal with the time that remains, and lines where nobody watches."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

QUIET = 30.0
"""Seconds between lines of progress in a log."""

ESTIMATED_OVER = 600.0
"""Seconds of the past from which the time that remains is estimated."""

Report = Callable[[str, float], None]
"""What a task reports to: a message, and the fraction done."""


def bars(console: Console, amount: ProgressColumn, shown: bool = True) -> Progress:
    """Bars in the look of all commands: what is done, how much of it, time elapsed and time left.

    Parameters
    ----------
    amount : the column that says how much is done, such as ``TextColumn("{task.percentage:.0f} %")``
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        amount,
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not shown, speed_estimate_period=ESTIMATED_OVER)


@contextlib.contextmanager
def watched(console: Console) -> Iterator[Callable[[str], Report]]:
    """Bars with the time that remains: a function from the name of a task to what it reports to.

    Where nobody watches (a log file), a line every half minute instead, also while the work says nothing.
    """
    with (
        bars(console, TextColumn("{task.percentage:.0f} %"), console.is_terminal) as bar,
        _lines(console) as log,
    ):

        def start(name: str) -> Report:
            task = bar.add_task(name, total=1.0)

            def report(message: str, fraction: float) -> None:
                bar.update(task, completed=fraction, description=f"{name}: {message}")
                log(f"{name}, {100 * fraction:.0f} %: {message}")

            return report

        yield start


@contextlib.contextmanager
def _lines(console: Console, quiet: float = QUIET) -> Iterator[Callable[[str], None]]:
    """A function that takes what is being done; the latest is printed every ``quiet`` seconds, unless on a terminal."""
    if console.is_terminal:
        yield lambda line: None
        return
    latest, began, over = [""], time.monotonic(), threading.Event()

    def log() -> None:
        printed = ""
        while not over.wait(quiet):
            if latest[0]:
                still = f" (still, after {time.monotonic() - began:.0f} s)" if latest[0] == printed else ""
                console.print(f"{latest[0]}{still}", markup=False, highlight=False)
                printed = latest[0]

    def take(line: str) -> None:
        latest[0] = line

    thread = threading.Thread(target=log, daemon=True)
    thread.start()
    try:
        yield take
    finally:
        over.set()
        thread.join()
