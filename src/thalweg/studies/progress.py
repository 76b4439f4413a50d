"""Bars on the terminal with the time that remains, and lines where nobody watches."""

from __future__ import annotations

import contextlib
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

    Where nobody watches (a log file), a line at most every half minute instead.
    """
    with bars(console, TextColumn("{task.percentage:.0f} %"), console.is_terminal) as bar:

        def start(name: str) -> Report:
            task, last = bar.add_task(name, total=1.0), [time.monotonic()]

            def report(message: str, fraction: float) -> None:
                bar.update(task, completed=fraction, description=f"{name}: {message}")
                if not console.is_terminal and time.monotonic() - last[0] > QUIET:
                    last[0] = time.monotonic()
                    console.print(f"{name}, {100 * fraction:.0f} %: {message}", markup=False, highlight=False)

            return report

        yield start
