"""The disk: every open, write, flush, rename, removal and listing of a campaign, a fit and a report is made here.

=====================  ================================================================================================
what asks              `exists`, `listing`, `files`, `size`, `opened`, `read_bytes`
what writes            `created`, `write`, `append`, `write_arrays`
what makes it last     `force`: of a file its bytes, of a folder the names in it
what changes names     `make_folder`, `move`, `remove`, `remove_tree`
what keeps others out  `locked`, and `holder`, who does
=====================  ================================================================================================

A file is written through a handle, `created`, that goes to the system in large pieces; NumPy's and zip archives go
through it too. Libraries that only take a path (MDTraj's DCD, XTC and PDB, the work of plug-ins) write into a draft by
themselves: such a file passes here as a whole when it is forced to disk, always before it gets its name. Readers of
committed files (`numpy.load`, memory maps) open by themselves what was found by name and compared with its digest here.

What is written and not forced may be lost, in part and in any order, when the power goes; so may a name that was made
or changed in a folder that is not forced afterwards.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

BUFFER = 1 << 20
"""Bytes that are gathered before the system is asked to write them."""


class Held(RuntimeError):
    """A file is locked by another process, which the message names."""


def exists(path: str | os.PathLike) -> bool:
    """Whether there is a file or folder at ``path``; a disk that does not answer is an error, not a no."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def listing(folder: str | os.PathLike) -> list[Path]:
    """What is in ``folder``, sorted; nothing if it is no folder.

    Examples
    --------
    >>> listing("/no/such/folder")
    []
    """
    return [Path(found.path) for found in _found(folder)]


def files(folder: str | os.PathLike) -> list[Path]:
    """All files in ``folder`` and its folders, sorted; links to folders are not followed."""
    names: list[Path] = []
    for found in _found(folder):
        names += files(found.path) if found.is_dir(follow_symlinks=False) else [Path(found.path)]
    return sorted(names)


def size(folder: str | os.PathLike) -> tuple[int, int]:
    """Bytes of all files in ``folder`` and its folders, and how many files and folders these are, itself included.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> write(folder / "a", "four")
    >>> size(folder)
    (4, 2)
    """
    total, number = 0, 1
    for found in _found(folder):
        if found.is_dir(follow_symlinks=False):
            below, more = size(found.path)
            total, number = total + below, number + more
        else:
            total, number = total + found.stat(follow_symlinks=False).st_size, number + 1
    return total, number


def opened(path: str | os.PathLike) -> io.BufferedReader:
    """A file to read."""
    return open(os.open(path, os.O_RDONLY), "rb")


def read_bytes(path: str | os.PathLike) -> bytes:
    """All bytes of a file."""
    with opened(path) as file:
        return file.read()


def created(path: str | os.PathLike) -> io.BufferedWriter:
    """A new, empty file to write."""
    return io.BufferedWriter(_Handle(path), BUFFER)


def write(path: str | os.PathLike, data: bytes | str) -> None:
    """Write a file from the beginning, text as UTF-8."""
    with created(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as `numpy.savez` does; the same arrays give the same bytes.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "arrays.npz"
    >>> write_arrays(path, {"x": np.arange(3)})
    >>> with np.load(path) as arrays:
    ...     arrays["x"]
    array([0, 1, 2])
    """
    with created(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def append(path: str | os.PathLike, line: str) -> None:
    """Add a line to a file, in one piece; after one that was cut short it begins anew."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        end = os.fstat(handle).st_size
        cut = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
        os.pwrite(handle, ("\n" * cut + line + "\n").encode(), end)
    finally:
        os.close(handle)


def force(path: str | os.PathLike) -> None:
    """Return when the bytes of a file, or the names in a folder, would outlast a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: str | os.PathLike) -> None:
    """Make a folder and those above it, where they are not there yet."""
    folder = Path(path)
    if exists(folder):
        return
    if not exists(folder.parent):
        make_folder(folder.parent)
    try:
        os.mkdir(folder)
    except FileExistsError:
        if not folder.is_dir():
            raise


def make_new_folder(path: str | os.PathLike) -> None:
    """Make one folder, in one that is there.

    Raises
    ------
    OSError
        If it is there already, or the one above it is not.
    """
    os.mkdir(path)


def move(path: str | os.PathLike, target: str | os.PathLike) -> None:
    """Give a file or folder another name at once; a file or an empty folder of that name is replaced."""
    os.replace(path, target)


def remove(path: str | os.PathLike) -> None:
    """Remove a file, if it is there."""
    if exists(path):
        os.unlink(path)


def remove_tree(folder: str | os.PathLike) -> None:
    """Remove a folder with all that is in it."""
    for found in _found(folder):
        if found.is_dir(follow_symlinks=False):
            remove_tree(found.path)
        else:
            os.unlink(found.path)
    if exists(folder):
        os.rmdir(folder)


@contextmanager
def locked(path: str | os.PathLike, holder: str) -> Iterator[None]:
    """Keep other processes from what the file ``path`` stands for; the system lets go when this process ends.

    Raises
    ------
    Held
        If another process holds it; the message is the ``holder`` that it gave.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(os.pread(handle, 200, 0).decode(errors="replace") or "another process") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, holder.encode(), 0)
        yield
    finally:
        os.close(handle)


def holder(path: str | os.PathLike) -> str | None:
    """Who keeps other processes from what the file ``path`` stands for (`locked`); None where nobody does."""
    if not exists(path):
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 200, 0).decode(errors="replace") or "another process"
    finally:
        os.close(handle)
    return None


def _found(folder) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda one: one.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


class _Handle(io.RawIOBase):
    """A file being written; every piece goes to the system at its place.

    It says that it has no descriptor, so that NumPy writes through it and not beside it.
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self._place = self._end = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        return self._place

    def write(self, data) -> int:
        written = os.pwrite(self._descriptor, data, self._place)
        self._place += written
        self._end = max(self._end, self._place)
        return written

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
