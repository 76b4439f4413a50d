"""The works cited by key in docstrings, in full, as ``references.bib`` beside this file has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BIBLIOGRAPHY = Path(__file__).with_suffix(".bib")
CITATION = re.compile(r"\[([a-z]+[0-9]{4}[a-z]?(?:,\s[^\]\[]*)?)\]")
KEY = re.compile(r"[a-z]+[0-9]{4}[a-z]?")
ENTRY = re.compile(r"^@(\w+)\{(\w+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)


@dataclass(frozen=True)
class Reference:
    """One work; ``str`` of it is the finished reference.

    Parameters
    ----------
    kind : article, book, incollection or inproceedings
    fields : author, title, year, doi (or url, where there is none) and what the kind asks for, as the file spells them

    Examples
    --------
    >>> print(references()["leimkuhler2013"])
    B. Leimkuhler and C. Matthews, Rational construction of stochastic numerical methods for molecular sampling, Appl.
    Math. Res. Express 2013, 34 (2013), doi:10.1093/amrx/abs010
    """

    kind: str
    fields: Mapping[str, str]

    def __str__(self) -> str:
        parts = (self.authors, self.fields["title"], *self._place())
        found = f"doi:{self.fields['doi']}" if "doi" in self.fields else self.fields["url"]
        return f"{', '.join(parts)} ({self.fields['year']}), {found}"

    @property
    def authors(self) -> str:
        """All authors in words, such as "A. Author, B. Author and C. Author" or "A. Author et al."."""
        *first, last = self.fields["author"].strip("{}").split(" and ")
        if last == "others":
            return f"{', '.join(first)} et al."
        return f"{', '.join(first)} and {last}" if first else last

    def _place(self) -> list[str]:
        """Where it appeared: journal or book, edition, series, publisher, pages."""
        of = self.fields
        book = f"in {of['booktitle']}" if self.kind == "incollection" else of.get("booktitle")
        series = of.get("journal") or of.get("series") or book
        numbered = f"{series} {of['volume']}" if series and "volume" in of else series
        edition = f"{of['edition']} ed." if "edition" in of else None
        return [part for part in (edition, numbered, of.get("publisher"), of.get("pages")) if part]


def cited_in(text: str) -> list[str]:
    """Keys of the works that ``text`` cites in brackets, several in one pair too.

    Examples
    --------
    >>> cited_in("by RATTLE [swope1982, andersen1983], Horn's matrix [horn1987, section 4]")
    ['swope1982', 'andersen1983', 'horn1987']
    """
    words = [word.strip() for cited in CITATION.findall(text) for word in cited.split(",")]
    return [word for word in words if KEY.fullmatch(word)]


@cache
def references() -> Mapping[str, Reference]:
    """Key -> work, in the order of the file, which is that of the keys."""
    text = BIBLIOGRAPHY.read_text("utf-8")
    return {key: Reference(kind, dict(FIELD.findall(body))) for kind, key, body in ENTRY.findall(text)}
