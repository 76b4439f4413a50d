"""Files of a report, one after the other: one that cannot be made is told, the others are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from thalweg.machine import disk
from thalweg.machine.surviving import surviving
from thalweg.machine.whole_files import write_whole


def write_files(folder: Path, contents: Mapping[str, Callable[[], bytes | str]]) -> Path:
    """Write files by their names below ``folder``; the path of ``report.html``.

    A file that cannot be made is told by a warning, the others are there.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    disk.make_folder(folder / "results")
    surviving(contents, lambda name: write_whole(folder / name, contents[name]()), "files of the report")
    return folder / "report.html"
