"""What all report pages are made of: the document itself, its summary, numbered figures, tables, what to cite."""

from __future__ import annotations

import gzip
import itertools
import logging
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from thalweg.machine.surviving import reason
from thalweg.report.results import Diagnosis, PageResults


def document(title: str, body: str, scripts: str = "") -> str:
    """A page that opens offline and loads nothing from anywhere."""
    home = files("thalweg.report")
    return Template((home / "page.html").read_text("utf-8")).substitute(
        title=escape(title),
        style=(home / "page.css").read_text("utf-8"),
        body=body,
        plotly=gzipped(get_plotlyjs()),
        viewer=scripts,
    )


def report_page(
    results: PageResults, sections: Iterable[Callable[[Any, Figures], str]], scripts: str = ""
) -> str:
    """A page that begins with what was asked and found and ends with what it was made from and what to cite."""
    return document(
        results.title, in_order(results, (asked_and_found, *sections, made_from, works_cited)), scripts
    )


def gzipped(code: str) -> str:
    """A library as the page unpacks it: gzip in base64, the same bytes for the same code."""
    return b64encode(gzip.compress(code.encode("utf-8"), mtime=0)).decode("ascii")


class Figures:
    """Draws the figures of one page, numbers them and puts each into it with its caption."""

    def __init__(self):
        self._numbers = itertools.count(1)

    def __call__(self, draw: Callable[..., go.Figure], caption: str, *drawn: Any) -> str:
        """The figure that ``draw`` makes of ``drawn``; where that fails, its caption and why."""
        number = next(self._numbers)
        try:
            figure = draw(*drawn)
            data = figure.to_json().replace("<", "\\u003c")
        except Exception as error:
            return _failed(f"Figure {number} ({caption.rstrip('.')})", error)
        return (
            f'<div class="figure" id="figure-{number}" style="min-height:{figure.layout.height}px">'
            f'<script type="application/json">{data}</script></div>\n'
            f'<p class="caption"><b>Figure {number}.</b> {escape(caption)}</p>'
        )


def in_order(results: Any, sections: Iterable[Callable[[Any, Figures], str]]) -> str:
    """The sections of a page one after the other, figures numbered through; what is absent is left out.

    A section that cannot be made says so in its place; the others stand.
    """
    numbered = Figures()
    return "\n".join(text for section in sections if (text := _made(section, results, numbered)))


def _made(section: Callable[[Any, Figures], str], results: Any, numbered: Figures) -> str:
    try:
        return section(results, numbered)
    except Exception as error:
        name = getattr(section, "__name__", "").strip("_").replace("_", " ")
        return _failed(f"The section {name}", error)


def _failed(what: str, error: Exception) -> str:
    """What stands on a page in place of what could not be made."""
    log = logging.getLogger(__name__)
    log.warning("%s could not be made: %s", what, reason(error))
    log.debug("where %s failed", what, exc_info=error)
    return f'<p class="warning"><b>Missing.</b> {escape(what)} could not be made: {escape(reason(error))}</p>'


def asked_and_found(results: PageResults, _: Figures) -> str:
    """The head of a page."""
    answers = (
        ("What was asked", results.asked),
        ("What was found", results.found),
        ("How sure", results.certainty),
    )
    return summary(results.title, results.subtitle, answers, results.diagnoses)


def made_from(results: PageResults, _: Figures) -> str:
    """Settings, versions and data."""
    return provenance(results.provenance)


def works_cited(results: PageResults, _: Figures) -> str:
    """What to cite."""
    return citation_list(results.citations)


def summary(
    title: str,
    subtitle: str,
    answers: Iterable[tuple[str, Iterable[str]]],
    diagnoses: Iterable[Diagnosis],
) -> str:
    """The head of a page: title, three answers side by side, what a careful reader must know."""
    blocks = "".join(f"<div><h3>{name}</h3>{_paragraphs(sentences)}</div>" for name, sentences in answers)
    points = "".join(
        f'<li class="{escape(d.severity)}"><b>{escape(d.severity.capitalize())}.</b>{escape(d.sentence)}</li>'
        for d in diagnoses
    )
    return (
        f'<h1>{escape(title)}</h1><p class="subtitle">{escape(subtitle)}</p>'
        f'<div class="summary">{blocks}</div>' + (f'<ul class="diagnoses">{points}</ul>' if points else "")
    )


def provenance(sections: Mapping[str, Mapping[str, str]]) -> str:
    """Settings, versions and data, by section."""
    if not sections:
        return ""
    tables = "".join(
        f"<h3>{escape(title)}</h3>" + table(("", ""), entries.items()) for title, entries in sections.items()
    )
    return f"<h2>Provenance</h2><details open><summary>How to make this again</summary>{tables}</details>"


def citation_list(works: Sequence[str]) -> str:
    """What to cite."""
    if not works:
        return ""
    return "<h2>How to cite</h2><ol>" + "".join(f"<li>{escape(c)}</li>" for c in works) + "</ol>"


def sentence(text: str) -> str:
    """Text with a capital letter and a full stop.

    Examples
    --------
    >>> sentence("weights leave few frames")
    'Weights leave few frames.'
    """
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _paragraphs(sentences: Iterable[str]) -> str:
    """Sentences, each in a paragraph."""
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; without a head if no column has a name."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header) if any(header) else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
