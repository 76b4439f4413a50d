"""Every file comes in through here: whatever a library raises about one becomes a line that names it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from thalweg.machine.surviving import reason


class UnreadableFile(ValueError):
    """A file that is not what it should be: the message names it, the place in it, what is wrong and what to do."""


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
        For any error but those of the operating system (a path that is not there, a full disk) and of memory; an
        `UnreadableFile` that names the file already stays as it is.

    Examples
    --------
    >>> with reading("a.dcd", "a DCD trajectory"):
    ...     raise KeyError("frames")
    Traceback (most recent call last):
    thalweg.machine.reading.UnreadableFile: a.dcd is not readable as a DCD trajectory: KeyError('frames')
    """
    try:
        yield
    except (UnreadableFile, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise UnreadableFile(_line(path, what, error, advice)) from error
    except Exception as error:
        raise UnreadableFile(_line(path, what, error, advice)) from error


def _line(path: str | os.PathLike, what: str, error: Exception, advice: str) -> str:
    told = reason(error)
    if not isinstance(error, ValueError | OSError):
        told = told if " " in told else repr(error)
    if told.startswith(os.fspath(path)):
        return told if not advice else f"{told}; {advice}"
    return f"{os.fspath(path)} is not readable as {what}: {told}" + (f"; {advice}" if advice else "")
