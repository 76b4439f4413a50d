"""Tables as text of comma-separated values, numbers to eight digits."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    r"""The table as text, a line for each row; nothing stands for what is not known.

    Examples
    --------
    >>> csv_text(("x", "y"), [("a", 0.1), ("b", float("nan"))])
    'x,y\r\na,0.1\r\nb,\r\n'
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for row in rows:
        writer.writerow(_cell(value) for value in row)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A number to eight digits; nothing for NaN and None."""
    if isinstance(value, str | int) or value is None:
        return value
    return "" if value != value else f"{value:.8g}"
