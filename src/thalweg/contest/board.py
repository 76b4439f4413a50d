"""The board: a folder to which rows are added and from which none is taken, one file each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from thalweg.machine.reading import UnreadableFile, read_json
from thalweg.machine.whole_files import write_whole
from thalweg.report.json_values import jsonable

ADVICE = "leave rows as the judge wrote them, or remove the file"


@dataclass(frozen=True)
class BoardRow:
    """What one judgment of one entry came to.

    Attributes
    ----------
    task, entry : names
    digest : SHA-256 of the entry's file
    words : its author's description
    when : date and time, ISO 8601 in UTC
    version : of this package, by which problems were made and scored
    commitment : SHA-256 of the secret seed, which lets everybody check it when the seed is published; rows are compared
        only within one
    protection : what stood between the entry and the machine, in words
    values : of each problem
    value, error : mean over problems and its standard error over withheld blocks; None where it was refused
    cpu : processor time of the entry over all problems [s]
    memory : most it held at once [bytes]
    cause : why it was refused, empty where it was scored
    """

    task: str
    entry: str
    digest: str
    words: str
    when: str
    version: str
    commitment: str
    protection: str
    values: tuple[float, ...] = ()
    value: float | None = None
    error: float | None = None
    cpu: float = 0.0
    memory: int = 0
    cause: str = ""


@dataclass(frozen=True)
class Board:
    """Rows in a folder.

    Attributes
    ----------
    folder : where they are; made when the first is added

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> board = Board(Path(mkdtemp()))
    >>> path = board.add(BoardRow("affinities", "mine", "ab", "", "2026-01-01", "0", "c", "p", cause="no"))
    >>> [row.cause for row in board.rows()]
    ['no']
    """

    folder: Path

    def add(self, row: BoardRow) -> Path:
        """Write a row to a file of its own; its path.

        Raises
        ------
        FileExistsError
            If this judgment is there already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        stamp = "".join(letter for letter in row.when if letter.isalnum())
        path = self.folder / f"{row.task}-{stamp}-{row.digest[:12]}.json"
        if path.exists():
            raise FileExistsError(f"{path} is there; rows are added, never replaced")
        write_whole(path, json.dumps(jsonable(asdict(row)), indent=1) + "\n")
        return path

    def rows(self) -> tuple[BoardRow, ...]:
        """All rows, oldest first.

        Raises
        ------
        UnreadableFile
            If a file is no row.
        """
        return tuple(sorted(map(_row, sorted(self.folder.glob("*.json"))), key=lambda row: row.when))


def standings(rows: Sequence[BoardRow], larger_is_better: bool) -> list[BoardRow]:
    """Scored rows, best first; of one file judged several times with one seed, the last row."""
    latest = {(row.digest, row.commitment): row for row in sorted(rows, key=lambda row: row.when)}
    scored = [(row.value, row) for row in latest.values() if row.value is not None]
    return [row for _, row in sorted(scored, key=lambda each: -each[0] if larger_is_better else each[0])]


def _row(path: Path) -> BoardRow:
    content = read_json(path, "a row of a board", ADVICE)
    names = {field.name for field in fields(BoardRow)}
    if not isinstance(content, dict) or set(content) != names:
        raise UnreadableFile(f"{path} is not readable as a row of a board; {ADVICE}")
    return BoardRow(**content | {"values": tuple(content["values"])})
