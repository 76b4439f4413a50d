"""Files that are at every moment the old one or the whole new one, whatever fails and whenever the power goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """A file beside ``path`` to write to: flushed to disk and given its name at the end, removed if that fails.

    It has the suffix of ``path``, for writers that choose a format by it.

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
    draft = target.with_name(f".{target.stem}.{os.getpid()}.unfinished{target.suffix}")
    try:
        yield draft
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_whole(path: str | os.PathLike, data: bytes | str) -> None:
    """Write ``data``, text as UTF-8; see `whole`."""
    with whole(path) as draft:
        draft.write_bytes(data.encode() if isinstance(data, str) else data)
