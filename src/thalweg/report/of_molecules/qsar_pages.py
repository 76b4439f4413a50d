"""The page of a model of a table of molecules: scores beside null models, where it errs, what atoms add, the audit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import PageResults
from thalweg.report.rounding import with_error
from thalweg.report.style import INK, PALETTE, compact, styled
from thalweg.report.written_files import write_files
from thalweg.shapes import Float

LISTED = 40
"""Findings of the audit on the page; all are in its file."""

BINS = 5
"""Groups of equal size by similarity."""


@dataclass(frozen=True, eq=False)
class SplitScores:
    """One split.

    Attributes
    ----------
    name : of the split
    trained, tested : molecules
    scores : of each model, with its standard error
    covered : share of labels inside intervals, NaN for classes
    known_scaffolds : share of tested molecules whose scaffold was trained on
    identical : tested molecules with the very fingerprint of one trained on
    measured, predicted, lower, upper : (tested,) labels and what is said of them
    similarities : (tested,) to the nearest molecule trained on
    """

    name: str
    trained: int
    tested: int
    scores: Mapping[str, tuple[float, float]]
    covered: float
    known_scaffolds: float
    identical: int
    measured: Float[np.ndarray, " tested"]
    predicted: Float[np.ndarray, " tested"]
    lower: Float[np.ndarray, " tested"]
    upper: Float[np.ndarray, " tested"]
    similarities: Float[np.ndarray, " tested"]


@dataclass(frozen=True, kw_only=True)
class QSARResults(PageResults):
    """A model of a table and how good it is.

    Attributes
    ----------
    kind : of scores, "RMSE" or "AUC"
    unit : of labels
    audit : numbers of the audit, by name
    findings : its sentences
    splits : scores of each
    drawings : SVG of molecules and what each is
    """

    kind: str
    unit: str
    audit: Mapping[str, str]
    findings: tuple[str, ...]
    splits: tuple[SplitScores, ...]
    drawings: tuple[tuple[str, str], ...] = field(default=())


def write_qsar_report(results: QSARResults, folder: Path) -> Path:
    """Write ``report.html`` and ``results/report.json``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    told = {key: value for key, value in vars(results).items() if key != "drawings"}
    told["splits"] = [vars(each) for each in results.splits]
    sections = (_scores, _predicted, _near_and_far, _atoms, _audit)
    return write_files(
        folder,
        {
            "results/report.json": lambda: json.dumps(jsonable(told), indent=1) + "\n",
            "report.html": lambda: report_page(results, sections),
        },
    )


def _scores(results: QSARResults, _: Figures) -> str:
    names = list(results.splits[0].scores)
    rows = [
        (name, *(with_error(*each.scores[name], results.unit) for each in results.splits)) for name in names
    ]
    head = ("model", *(f"{results.kind}, {each.name} split" for each in results.splits))
    return "<h2>Scores beside null models</h2>" + table(head, rows)


def _predicted(results: QSARResults, numbered: Figures) -> str:
    caption = "What is predicted of tested molecules against what was measured"
    caption += "." if results.kind == "AUC" else ", with intervals of 90 %."
    return "<h2>Predicted and measured</h2>" + numbered(_predicted_figure, caption, results)


def _predicted_figure(results: QSARResults) -> go.Figure:
    """Predicted against measured labels of each split."""
    drawn = go.Figure()
    ends = [np.inf, -np.inf]
    for color, each in zip(PALETTE, results.splits):
        bars = None
        if np.isfinite(each.lower).all():
            bars = {
                "type": "data", "symmetric": False, "thickness": 0.6,
                "array": compact(each.upper - each.predicted), "arrayminus": compact(each.predicted - each.lower),
            }  # fmt: skip
        points = {"x": compact(each.measured), "y": compact(each.predicted), "error_y": bars}
        drawn.add_trace(
            go.Scatter(
                **points,
                mode="markers",
                marker={"color": color, "size": 5},
                opacity=0.6,
                name=f"{each.name} split",
            )
        )
        ends = [min(ends[0], float(each.measured.min())), max(ends[1], float(each.measured.max()))]
    drawn.add_trace(
        go.Scatter(x=ends, y=ends, mode="lines", line={"color": INK, "dash": "dot"}, name="equal")
    )
    unit = f" [{results.unit}]" if results.unit else ""
    drawn.update_xaxes(title=f"measured{unit}")
    drawn.update_yaxes(title="probability of class 1" if results.kind == "AUC" else f"predicted{unit}")
    return styled(drawn, height=480)


def _near_and_far(results: QSARResults, numbered: Figures) -> str:
    caption = (
        "Root mean square error of tested molecules, in groups of equal size by their similarity to the nearest "
        "training molecule: to the left, predictions are of what the model has not seen."
    )
    return "<h2>Near and far from training molecules</h2>" + numbered(_distance_figure, caption, results)


def _distance_figure(results: QSARResults) -> go.Figure:
    """Errors by similarity to the training set."""
    drawn = go.Figure()
    for color, each in zip(PALETTE, results.splits):
        groups = [g for g in np.array_split(np.argsort(each.similarities), BINS) if len(g)]
        x = [float(each.similarities[g].mean()) for g in groups]
        y = [float(np.sqrt(np.mean((each.predicted[g] - each.measured[g]) ** 2))) for g in groups]
        drawn.add_trace(
            go.Scatter(x=x, y=y, mode="lines+markers", line={"color": color}, name=f"{each.name} split")
        )
    drawn.update_xaxes(title="similarity to the nearest training molecule")
    unit = f" [{results.unit}]" if results.unit else ""
    drawn.update_yaxes(title=f"root mean square error{unit}", rangemode="tozero")
    return styled(drawn, height=380)


def _atoms(results: QSARResults, _: Figures) -> str:
    if not results.drawings:
        return ""
    blocks = "".join(f"<div>{svg}<p>{escape(text)}</p></div>" for svg, text in results.drawings)
    return (
        "<h2>What atoms add</h2><p>Blue atoms raise what is predicted, orange ones lower it: by how much it changes "
        f'without the substructures that hold them.</p><div class="summary">{blocks}</div>'
    )


def _audit(results: QSARResults, _: Figures) -> str:
    shown = results.findings[:LISTED]
    more = len(results.findings) - len(shown)
    text = "<h2>Audit</h2>" + table(("", "rows"), results.audit.items())
    if shown:
        text += "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in shown) + "</ul>"
    return text + (f"<p>{more} more are in results/audit.csv.</p>" if more > 0 else "")
