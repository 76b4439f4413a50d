"""An entry: one file, known by its digest and by what its first lines say of it. It is never imported here."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

MOST = 1_000_000
"""Size of a file [bytes]."""

WORDS = 300
"""Letters of its description that the board shows."""


@dataclass(frozen=True)
class Entry:
    """A file that takes part.

    Attributes
    ----------
    name : of the file, without its ending
    code : its content

    Examples
    --------
    >>> Entry("mine", b"'''Guesses.'''").words
    'Guesses.'
    """

    name: str
    code: bytes

    @classmethod
    def read(cls, path: Path) -> Entry:
        """The entry in the file at ``path``.

        Raises
        ------
        ValueError
            If it is no Python file, or larger than a megabyte.
        """
        if path.suffix != ".py":
            raise ValueError(
                f"{path} is no entry; give one Python file that defines fit(given) and answer(model, asked)"
            )
        if path.stat().st_size > MOST:
            raise ValueError(f"{path} has {path.stat().st_size:,} bytes; an entry has at most {MOST:,}")
        return cls(path.stem, path.read_bytes())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.code).hexdigest()

    @cached_property
    def words(self) -> str:
        """The first sentence or so of the description at its top, as its author wrote it; empty where there is none."""
        try:
            text = ast.get_docstring(ast.parse(self.code)) or ""
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""
        return " ".join(text.partition("\n\n")[0].split())[:WORDS]


def own_entries(task: str) -> tuple[Entry, ...]:
    """Entries to ``task`` that this package brings, null models too.

    Examples
    --------
    >>> [entry.name for entry in own_entries("affinities")]
    ['affinities_hansch', 'affinities_mean', 'affinities_process']
    """
    places = sorted((files("thalweg.contest") / "entries").iterdir(), key=lambda place: place.name)
    stem = task.replace("-", "_")
    return tuple(
        Entry(place.name.removesuffix(".py"), place.read_bytes())
        for place in places
        if place.name.startswith(f"{stem}_")
    )
