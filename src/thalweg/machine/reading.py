"""Every file comes in through here: whatever a library raises about one becomes a line that names it."""

from __future__ import annotations

import errno
import json
import os
import re
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thalweg.machine.surviving import reason

OF_CONTENT = (errno.EINVAL, errno.EOVERFLOW)
"""Errors of the operating system that come of a place in a file which the file itself names."""

NO_NUMBER = re.compile(
    r"(?:could not convert string to float|invalid literal for int\(\) with base \d+): (.*)"
)
"""What Python says of a text that is no number."""

INNER = re.compile(
    r"unpack|index|out of bounds|out of range|reshape|broadcast|buffer|truth value|argument|shape|ndim|subscript"
)
"""Words of messages that speak of a reader's variables and not of the file."""


class UnreadableFile(ValueError):
    """A file that is not what it should be: the message names it, the place in it, what is wrong and what to do."""


def broken_off(path: str | os.PathLike, frames: int, rest: int) -> str:
    """What is said of a trajectory with ``rest`` bytes after its whole ``frames``; empty if there are none.

    Examples
    --------
    >>> broken_off("a.xtc", 5, 0)
    ''
    """
    if not rest:
        return ""
    return (
        f"{os.fspath(path)} breaks off after {frames} whole frames, {rest} bytes into the next, as when it is cut off "
        "or still being written; the whole frames are read"
    )


@contextmanager
def reading(path: str | os.PathLike, what: str, advice: str = "") -> Iterator[None]:
    """Within it every error about the content of ``path`` becomes an `UnreadableFile`.

    Parameters
    ----------
    what : what the file should be: "a DCD trajectory"
    advice : what to do about it

    Raises
    ------
    UnreadableFile
        For any error but those of the operating system (a path that is not there, a full disk); an `UnreadableFile`
        that names the file already stays as it is. A damaged file may ask for any amount of memory, so running out of
        it is one, too.

    Examples
    --------
    >>> with reading("a.dcd", "a DCD trajectory"):
    ...     raise KeyError("frames")
    Traceback (most recent call last):
    thalweg.machine.reading.UnreadableFile: a.dcd is not readable as a DCD trajectory: it is damaged, cut off or ...
    """
    try:
        yield
    except UnreadableFile:
        raise
    except OSError as error:
        if error.errno not in (None, *OF_CONTENT):
            raise
        raise UnreadableFile(_line(path, what, error, advice)) from error
    except MemoryError as error:
        asked = ValueError("it asks for more memory than there is")
        raise UnreadableFile(_line(path, what, asked, advice)) from error
    except RecursionError as error:
        nested = ValueError("it is nested too deeply")
        raise UnreadableFile(_line(path, what, nested, advice)) from error
    except Exception as error:
        raise UnreadableFile(_line(path, what, error, advice)) from error


def read_json(path: str | os.PathLike, what: str, advice: str = "") -> Any:
    """The content of a JSON file; raises as `reading` does."""
    with reading(path, what, advice):
        return json.loads(Path(path).read_text("utf-8"))


def read_toml(path: str | os.PathLike, what: str, advice: str = "") -> dict[str, Any]:
    """The content of a TOML file; raises as `reading` does."""
    with reading(path, what, advice):
        return tomllib.loads(Path(path).read_text("utf-8"))


@contextmanager
def quietly() -> Iterator[None]:
    """Within it warnings are left out: of a library that reads a file, whose result is checked afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _line(path: str | os.PathLike, what: str, error: Exception, advice: str) -> str:
    told = what_is_wrong(error)
    if told.startswith(os.fspath(path)):
        return told if not advice else f"{told}; {advice}"
    return f"{os.fspath(path)} is not readable as {what}: {told}" + (f"; {advice}" if advice else "")


def what_is_wrong(error: Exception) -> str:
    """What ``error`` says about a file; of errors that speak of the reader's own variables, what they mean.

    Examples
    --------
    >>> what_is_wrong(ValueError("could not convert string to float: '1.0.0'"))
    "'1.0.0' is no number"
    """
    text = reason(error)
    if isinstance(error, UnicodeDecodeError):
        return f"it is no text in {error.encoding} (byte {error.object[error.start]:#04x} at {error.start})"
    if found := NO_NUMBER.search(text):
        return f"{found[1]} is no number"
    if (
        isinstance(error, ValueError | OSError | EOFError | LookupError)
        and " " in text
        and not INNER.search(text)
    ):
        return text
    return f"it is damaged, cut off or something else ({type(error).__name__} in its reader)"
