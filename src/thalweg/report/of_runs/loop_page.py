"""The page of the whole loop: free energies at the level of theory, their errors, and what the way there cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from thalweg.free_energies.perturbation import Perturbation
from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import PageResults, ReportedNumber
from thalweg.report.rounding import with_error
from thalweg.report.style import PALETTE, styled
from thalweg.report.written_files import write_files


@dataclass(frozen=True)
class StateAtLevel:
    """The free energy of a state against the rest.

    Attributes
    ----------
    name : of the state
    learned : by the learned potential, with the error of sampling
    labels_error : that the labels leave in it: scatter of potentials taught a part less [kJ/mol]; NaN if not known
    added : by the level of theory, asked about frames of both sides; None where it was not asked
    """

    name: str
    learned: ReportedNumber
    labels_error: float
    added: Perturbation | None

    @property
    def value(self) -> float:
        """At the level where that was asked, else by the learned potential [kJ/mol]."""
        return self.learned.value + (0.0 if self.added is None else self.added.value)

    @property
    def error(self) -> float:
        """Of sampling and of the correction, or of sampling and of the labels [kJ/mol]."""
        other = self.labels_error if self.added is None else self.added.error
        return float((self.learned.error**2 + other**2) ** 0.5)


@dataclass(frozen=True)
class TimeScaleOfLoop:
    """A time scale of the learned potential.

    Attributes
    ----------
    learned : with the error of sampling [ps]
    labels_error : that the labels leave in its logarithm; NaN if not known
    doubt : what speaks against that error, or why there is none
    """

    learned: ReportedNumber
    labels_error: float
    doubt: str = ""

    @property
    def error(self) -> float:
        """Of sampling and of the labels [ps]; of sampling alone where the other is not known."""
        return float(np.hypot(self.learned.error, self.learned.value * np.nan_to_num(self.labels_error)))

    def in_words(self) -> str:
        """The time scale with both errors."""
        told = with_error(self.learned.value, self.error, "ps")
        if np.isnan(self.labels_error):
            return (
                f"{self.learned.name}: {told}, without the error that the labels leave, which is not known."
            )
        return f"{self.learned.name}: {told}; the labels leave an error of {100 * self.labels_error:.2g} % in it."


@dataclass(frozen=True)
class Return:
    """How far sampling with one potential stayed within what it knows.

    Attributes
    ----------
    folder : of the run
    labels : the potential was taught
    error : force error on frames that it was not taught, root mean square [meV/Å]
    outside, border : shares of the sampled ensemble
    bought : labels bought afterwards
    """

    folder: str
    labels: int
    error: float
    outside: float
    border: float
    bought: int


@dataclass(frozen=True, kw_only=True)
class LoopResults(PageResults):
    """The whole loop.

    Attributes
    ----------
    states : free energies
    times : time scales
    returns : sampling with each potential in turn
    pages : what else to read, ``(title, path)``
    """

    states: tuple[StateAtLevel, ...]
    times: tuple[TimeScaleOfLoop, ...]
    returns: tuple[Return, ...]
    pages: tuple[tuple[str, str], ...]


def write_loop_report(results: LoopResults, folder: Path) -> Path:
    """Write ``report.html`` and ``results/report.json``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    sections = (_free_energies, _times, _returns, _pages)
    return write_files(
        folder,
        {
            "results/report.json": lambda: json.dumps(jsonable(results), indent=1) + "\n",
            "report.html": lambda: report_page(results, sections),
        },
    )


def _free_energies(results: LoopResults, numbered: Figures) -> str:
    if not results.states:
        return ""
    caption = (
        "Free energy of each state against the rest: by the learned potential, with the error of sampling and that "
        "which the labels leave, and corrected to the level of theory by labels of sampled frames. Bars are standard "
        "errors."
    )
    rows = [
        (
            state.name,
            with_error(state.learned.value, state.learned.error, ""),
            f"{state.labels_error:.2g}",
            "not asked" if state.added is None else str(state.added),
            with_error(state.value, state.error, ""),
            state.learned.remark,
        )
        for state in results.states
    ]
    head = ("state", "learned [kJ/mol]", "by labels [kJ/mol]", "added by the level", "result [kJ/mol]", "")
    return "<h2>Free energies</h2>" + numbered(_bars, caption, results.states) + table(head, rows)


def _bars(states: Sequence[StateAtLevel]) -> go.Figure:
    figure = go.Figure()
    names = [state.name for state in states]
    series = [
        ("learned, sampling", [s.learned.value for s in states], [s.learned.error for s in states]),
        (
            "learned, sampling and labels",
            [s.learned.value for s in states],
            [(s.learned.error**2 + s.labels_error**2) ** 0.5 for s in states],
        ),
        ("at the level", [s.value for s in states], [s.error for s in states]),
    ]
    if all(state.added is None for state in states):
        series.pop()
    for (name, values, errors), color in zip(series, PALETTE):
        figure.add_scatter(
            x=names, y=values, error_y={"type": "data", "array": errors}, mode="markers", name=name,
            marker={"color": color, "size": 9}, offsetgroup=name,
        )  # fmt: skip
    figure.update_layout(scattermode="group", scattergap=0.7)
    figure.update_yaxes(title="free energy against the rest [kJ/mol]")
    return styled(figure, height=380)


def _times(results: LoopResults, _: Figures) -> str:
    if not results.times:
        return ""
    rows = [
        (
            one.learned.name,
            with_error(one.learned.value, one.learned.error, ""),
            "not known" if np.isnan(one.labels_error) else f"{one.learned.value * one.labels_error:.2g}",
            with_error(one.learned.value, one.error, ""),
        )
        for one in results.times
    ]
    head = ("process", "learned, sampling [ps]", "by labels [ps]", "result [ps]")
    return "<h2>Time scales</h2>" + table(head, rows)


def _returns(results: LoopResults, _: Figures) -> str:
    rows = [
        (
            one.folder,
            str(one.labels),
            f"{one.error:.1f}",
            f"{100 * one.outside:.1f} %",
            f"{100 * one.border:.1f} %",
            str(one.bought),
        )
        for one in results.returns
    ]
    head = (
        "sampled",
        "labels taught",
        "force error [meV/Å]",
        "outside",
        "on the border",
        "labels bought then",
    )
    return "<h2>Within what the potential knows</h2>" + table(head, rows)


def _pages(results: LoopResults, _: Figures) -> str:
    items = "".join(f'<li><a href="{escape(path)}">{escape(title)}</a></li>' for title, path in results.pages)
    return f"<h2>All parts</h2><ul>{items}</ul>"
