"""The page of a set of labels: what was asked, what came of it, and where the frames lie in energy and force."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import PageResults
from thalweg.report.style import PALETTE, styled
from thalweg.report.written_files import write_files
from thalweg.shapes import Shaped

MOST_ROWS = 20
"""Failures shown on the page; all are in ``results/report.json``."""


@dataclass(frozen=True, kw_only=True)
class LabelResults(PageResults):
    """Labels of one level, by where their frames come from.

    Attributes
    ----------
    origins : names of the ways in which frames were made, of each frame
    energies : (frames,) above the lowest of the same atoms, for each atom [kJ/mol]
    forces : (frames,) root mean square of the components [kJ/mol/nm]
    failures : number of a frame and why it has no label
    """

    origins: tuple[str, ...]
    energies: Shaped[np.ndarray, " frames"]
    forces: Shaped[np.ndarray, " frames"]
    failures: tuple[tuple[int, str], ...]


def write_label_report(results: LabelResults, folder: Path) -> Path:
    """Write ``report.html`` and ``results/report.json``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    return write_files(
        folder,
        {
            "results/report.json": lambda: json.dumps(jsonable(results), indent=1) + "\n",
            "report.html": lambda: _page(results),
        },
    )


def _page(results: LabelResults) -> str:
    """The whole page; what is absent is left out."""
    return report_page(results, (_frames, _failures))


def _frames(results: LabelResults, numbered: Figures) -> str:
    if not len(results.energies):
        return ""
    caption = (
        "Energy above the lowest frame of the same atoms, and root mean square force component, of every labeled frame "
        "by where it comes from. What a potential is to know should be inside this cloud."
    )
    return "<h2>Frames</h2>" + numbered(_cloud, caption, results)


def _cloud(results: LabelResults) -> go.Figure:
    figure = go.Figure()
    origins = np.array(results.origins)
    for color, origin in zip(PALETTE * 3, dict.fromkeys(results.origins)):
        here = origins == origin
        figure.add_trace(
            go.Scatter(
                x=results.energies[here],
                y=results.forces[here],
                mode="markers",
                marker={"color": color, "size": 5, "opacity": 0.6},
                name=f"{origin} ({int(here.sum())})",
            )
        )
    figure.update_xaxes(title={"text": "energy per atom [kJ/mol]"}, rangemode="tozero")
    figure.update_yaxes(title={"text": "root mean square force [kJ/mol/nm]"}, rangemode="tozero")
    return styled(figure, height=460).update_layout(showlegend=True)


def _failures(results: LabelResults, _: Figures) -> str:
    if not results.failures:
        return ""
    rows = [(str(number), reason) for number, reason in results.failures[:MOST_ROWS]]
    more = len(results.failures) - len(rows)
    after = f'<p class="caption">And {more} more.</p>' if more else ""
    return "<h2>Frames without a label</h2>" + table(("frame", "why"), rows) + after
