"""Folders that may come from anyone: nothing in them leads to files outside."""

from __future__ import annotations

import os
from pathlib import Path


def check_links(folder: Path) -> None:
    """See that no link below ``folder`` leads out of it, so that what is read and written there is there.

    Raises
    ------
    ValueError
        Naming the first link that does, and where it leads.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "log").symlink_to("/")
    >>> check_links(folder)
    Traceback (most recent call last):
    ...
    ValueError: .../log is a link out of the folder, to /; put there what it leads to, or remove it
    """
    home = folder.resolve()
    for path in _links(folder):
        try:
            end = path.resolve()
        except (OSError, RuntimeError):
            end = Path(os.readlink(path))
        if not end.is_relative_to(home):
            raise ValueError(
                f"{path} is a link out of the folder, to {end}; put there what it leads to, or remove it"
            )


def _links(folder: Path) -> list[Path]:
    """All links below ``folder``, which are not followed."""
    return sorted(
        Path(where) / name
        for where, folders, files in os.walk(folder)
        for name in (*folders, *files)
        if (Path(where) / name).is_symlink()
    )
