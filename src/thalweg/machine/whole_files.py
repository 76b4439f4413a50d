"""Files that are at every moment the old one or the whole new one, whatever fails and whenever the power goes."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thalweg.machine import disk
from thalweg.machine.processes import is_alive

DRAFT = re.compile(r"\..*\.(?P<host>[^.]+)-(?P<process>\d+)\.unfinished(\..*)?")
"""What the drafts of `whole` are called."""

FOREIGN = re.compile(
    r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.directory|\.nfs.*|.*~|\.?#.*|\..*\.sw[a-p]|.*\.(bak|orig)",
    re.I,
)
"""What file managers, editors and network disks leave in folders that are not theirs."""


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """A file beside ``path`` to write to: flushed to disk and given its name at the end, removed if that fails.

    It has the suffix of ``path``, for writers that choose a format by it. What a killed writer of ``path`` left on this
    machine is removed.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; what was at ``path`` before is still there.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> target = Path(mkdtemp()) / "numbers.txt"
    >>> with whole(target) as draft:
    ...     written = draft.write_text("1 2 3")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('1 2 3', 1)
    """
    target = Path(path)
    draft = target.with_name(f".{target.stem}.{_host()}-{os.getpid()}.unfinished{target.suffix}")
    _remove_left(target)
    try:
        yield draft
        disk.force(draft)
        disk.move(draft, target)
    finally:
        disk.remove(draft)
    disk.force(target.parent)


def write_whole(path: str | os.PathLike, data: bytes | str) -> None:
    """Write ``data``, text as UTF-8; see `whole`."""
    with whole(path) as draft:
        disk.write(draft, data)


def is_vacant(folder: str | os.PathLike, besides: str = "") -> bool:
    """Whether ``folder`` is not there or holds only drafts, what file managers and editors leave, and ``besides``.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> (folder / ".DS_Store").touch()
    >>> is_vacant(folder), is_vacant(folder / "elsewhere"), is_vacant(folder / ".DS_Store")
    (True, True, False)
    """
    if disk.exists(folder) and not Path(folder).is_dir():
        return False
    return all(
        f.name == besides or DRAFT.fullmatch(f.name) or FOREIGN.fullmatch(f.name)
        for f in disk.listing(folder)
    )


def _remove_left(target):
    for path in disk.listing(target.parent):
        draft = DRAFT.fullmatch(path.name)
        if (
            draft
            and path.name.startswith(f".{target.stem}.")
            and draft["host"] == _host()
            and not is_alive(int(draft["process"]))
        ):
            disk.remove(path)


def _host():
    return socket.gethostname().replace(".", "_")
