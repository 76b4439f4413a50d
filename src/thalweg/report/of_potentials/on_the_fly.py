"""The page of a run that learned as it went: its ledger of labels, how sure and how wrong it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from thalweg.report.csv_text import csv_text
from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, document, in_order, made_from, summary, table, works_cited
from thalweg.report.results import PageResults
from thalweg.report.rounding import significant
from thalweg.report.style import PALETTE, styled
from thalweg.report.written_files import write_files
from thalweg.shapes import Shaped

LISTED = 25
"""Last lines of the ledger on the page; all are in ``results/ledger.csv``."""

REASONS = ("start", "unsure", "check", "broken")


@dataclass(frozen=True, kw_only=True)
class OnTheFlyResults(PageResults):
    """A run and its ledger, a line for each call.

    Attributes
    ----------
    numbers, times : (calls,) of each call, and when it was [ps]
    reasons : (calls,) why a label was asked for
    claimed, errors : (calls,) of the worst atom's force, before its label was known and after [meV/Å]
    jumps : (calls,) of the energy where the label was learned [meV]
    labels : (calls,) entries in the store
    failed : (calls,) why there is no label; empty where there is one
    duration : of the run [ps]
    limit : error of an atom that was allowed at the end [meV/Å]
    """

    numbers: tuple[int, ...]
    times: Shaped[np.ndarray, " calls"]
    reasons: tuple[str, ...]
    claimed: Shaped[np.ndarray, " calls"]
    errors: Shaped[np.ndarray, " calls"]
    jumps: Shaped[np.ndarray, " calls"]
    labels: tuple[str, ...]
    failed: tuple[str, ...]
    duration: float
    limit: float


def write_on_the_fly_report(results: OnTheFlyResults, folder: Path) -> Path:
    """Write ``report.html``, ``results/ledger.csv`` and ``results/report.json``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    return write_files(
        folder,
        {
            "results/ledger.csv": lambda: csv_text(*_lines(results)),
            "results/report.json": lambda: json.dumps(jsonable(results), indent=1) + "\n",
            "report.html": lambda: _page(results),
        },
    )


def _lines(results: OnTheFlyResults) -> tuple[Sequence[str], list[tuple]]:
    """Header and lines of the ledger."""
    header = ("call", "time [ps]", "why", "claimed [meV/Å]", "error found [meV/Å]", "jump of the energy [meV]",
              "label", "failed")  # fmt: skip
    columns = (
        results.numbers,
        results.times,
        results.reasons,
        results.claimed,
        results.errors,
        results.jumps,
    )
    return header, list(zip(*columns, results.labels, results.failed))


def _page(results: OnTheFlyResults) -> str:
    """The whole page; what is absent is left out."""
    sections: Sequence[Callable[[OnTheFlyResults, Figures], str]] = (
        _summary,
        _bought,
        _claims,
        _jumps,
        _ledger,
        made_from,
        works_cited,
    )
    return document(results.title, in_order(results, sections))


def _summary(results: OnTheFlyResults, _: Figures) -> str:
    answers = (
        ("What was run", results.asked),
        ("What was found", results.found),
        ("How sure", results.certainty),
    )
    return summary(results.title, results.subtitle, answers, results.diagnoses)


def _bought(results: OnTheFlyResults, numbered: Figures) -> str:
    caption = (
        "Labels bought along the run, by the reason. A run that has learned where it goes buys checks alone."
    )
    return "<h2>Labels</h2>" + numbered(_bought_figure, caption, results)


def _bought_figure(results: OnTheFlyResults) -> go.Figure:
    figure, reasons = go.Figure(), np.array(results.reasons)
    for color, reason in zip(PALETTE, REASONS):
        times = results.times[reasons == reason]
        if len(times):
            x, y = np.append(times, results.duration), np.append(np.arange(1, len(times) + 1), len(times))
            line = {"color": color, "shape": "hv"}
            figure.add_trace(go.Scatter(x=x, y=y, mode="lines", line=line, name=f"{reason} ({len(times)})"))
    figure.update_xaxes(title={"text": "time [ps]"}, rangemode="tozero")
    figure.update_yaxes(title={"text": "labels"}, rangemode="tozero")
    return styled(figure, height=400).update_layout(showlegend=True)


def _claims(results: OnTheFlyResults, numbered: Figures) -> str:
    known = (results.errors > 0) & (results.claimed > 0)
    if not known.any():
        return ""
    caption = (
        "Force error on the worst atom, found when the label came, against the deviation that was claimed before. "
        "Above the dotted line an error is more than is allowed. Checks say what the run missed without knowing."
    )
    return "<h2>How sure it was</h2>" + numbered(_claim_figure, caption, results, known)


def _claim_figure(results: OnTheFlyResults, known: np.ndarray) -> go.Figure:
    figure, reasons = go.Figure(), np.array(results.reasons)
    for color, reason in zip(PALETTE, REASONS):
        here = known & (reasons == reason)
        if here.any():
            marker = {"color": color, "size": 6, "opacity": 0.7}
            points = {"x": results.claimed[here], "y": results.errors[here]}
            figure.add_trace(go.Scatter(**points, mode="markers", marker=marker, name=reason))
    figure.add_hline(y=results.limit, line={"dash": "dot"})
    figure.update_xaxes(title={"text": "claimed deviation [meV/Å]"}, type="log")
    figure.update_yaxes(title={"text": "error found [meV/Å]"}, type="log")
    return styled(figure, height=460).update_layout(showlegend=True)


def _jumps(results: OnTheFlyResults, numbered: Figures) -> str:
    if not np.isfinite(results.jumps).any():
        return ""
    caption = (
        "By how much learning a label moved the energy of the place where the atoms were. Momenta stay, so that the "
        "total energy jumps by as much; the bath takes it up."
    )
    return "<h2>Jumps of the energy</h2>" + numbered(_jump_figure, caption, results)


def _jump_figure(results: OnTheFlyResults) -> go.Figure:
    marker = {"color": PALETTE[0], "size": 5}
    figure = go.Figure(go.Scatter(x=results.times, y=results.jumps, mode="markers", marker=marker))
    figure.update_xaxes(title={"text": "time [ps]"}, rangemode="tozero")
    figure.update_yaxes(title={"text": "jump of the energy [meV]"})
    return styled(figure, height=360)


def _ledger(results: OnTheFlyResults, _: Figures) -> str:
    header, rows = _lines(results)
    cells = [
        tuple(
            "" if each != each else significant(each) if isinstance(each, float) else str(each)
            for each in row
        )
        for row in rows[-LISTED:]
    ]
    more = f"The last {LISTED} of {len(rows)} calls; all" if len(rows) > LISTED else "All"
    note = f'<p class="caption">{more} are in results/ledger.csv.</p>'
    return "<h2>The ledger</h2>" + table(header, cells) + note
