"""How the command line answers when something is wrong: one message for the user, a traceback only for a bug.

A mistake is an ``OSError``, or a ``ValueError``, `StoreError`, ``ImportError`` (an extra that is not installed) or
``MemoryError`` (predicted before the work starts) raised by this package: its message is printed and the exit code is
2. Anything else is a bug: its traceback goes to a file, whose path is printed, and the exit code is 1. A warning of
this package is a line before the answer; those of libraries, about which a user can do nothing, go to the log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import TextIO

import typer
from rich.console import Console
from typer.core import TyperGroup

from thalweg.sampling.store import StoreError

HERE = Path(__file__).parents[1]
"""The package: where a warning comes from tells whom it is for."""

log = logging.getLogger(__name__)


class Answering(TyperGroup):
    """A group of commands that never shows a traceback."""

    def invoke(self, ctx):
        try:
            with notes_shown():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except Exception as error:
            raise typer.Exit(answer(error)) from None


@contextlib.contextmanager
def notes_shown() -> Iterator[None]:
    """Within it a warning of this package is shown once, as a line; one of a library goes to the log."""
    shown: set[str] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        said = str(message)
        if not Path(filename).is_relative_to(HERE):
            log.debug("%s:%s: %s", filename, lineno, said)
        elif said not in shown:
            shown.add(said)
            _note(said)

    with warnings.catch_warnings():
        setattr(warnings, "showwarning", show)  # noqa: B010 as a type this is one function
        yield


def _note(sentence: str) -> None:
    """Print something to know that ends nothing."""
    console = Console(stderr=True, soft_wrap=True)
    console.print("[bold yellow]note:[/]", end=" ")
    console.print(sentence, markup=False, highlight=False)


def answer(error: Exception) -> int:
    """Print what is wrong and return the exit code; a reader that went away needs no answer."""
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    console = Console(stderr=True, soft_wrap=True)
    if is_mistake(error):
        console.print("[bold red]error:[/]", end=" ")
        console.print(sentence(error), markup=False, highlight=False)
        return 2
    with tempfile.NamedTemporaryFile("w", prefix="thalweg-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    console.print("[bold red]unexpected:[/]", end=" ")
    console.print(f"{type(error).__name__}: {error}", markup=False, highlight=False)
    console.print(
        f"This is a bug of Thalweg; please report it with {file.name}.", markup=False, highlight=False
    )
    return 1


def is_mistake(error: BaseException) -> bool:
    """Whether ``error`` is about what the user gave, or about the machine."""
    from thalweg.sampling.campaign import CampaignError

    if isinstance(error, CampaignError) and error.__cause__ is not None:
        return isinstance(error.__cause__, BrokenExecutor) or is_mistake(error.__cause__)
    ours = isinstance(error, ValueError | StoreError | ImportError | MemoryError) and raised_here(error)
    return isinstance(error, OSError) or ours


def raised_here(error: BaseException) -> bool:
    """Whether ``error`` was raised by code of this package, here or in a worker process.

    A ``ValueError`` out of NumPy is a bug of ours; one that we raise ourselves says what the user can do.
    """
    if type(error.__cause__).__name__ == "_RemoteTraceback":
        places = [line for line in str(error.__cause__).splitlines() if line.lstrip().startswith("File ")]
        return bool(places) and "thalweg" in places[-1]
    last = list(modules(error))[-1:]
    return bool(last) and last[0].split(".")[0] == "thalweg"


def modules(error: BaseException) -> Iterator[str]:
    """Names of the modules that ``error`` passed through, outermost first."""
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame.f_globals.get("__name__", "")
        step = step.tb_next


def sentence(error: Exception) -> str:
    """The message, with the path where an operating system's error has one.

    Examples
    --------
    >>> sentence(FileNotFoundError(2, "No such file or directory", "a.pdb"))
    'a.pdb: No such file or directory'
    >>> sentence(ValueError("dt = 0; give a positive time step"))
    'dt = 0; give a positive time step'
    """
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        advice = {28: "; free some space and run the same command again, it goes on where it stopped"}
        return f"{where}{error.strerror}{advice.get(error.errno, '')}"
    return str(error)
