"""The page of an envelope of confidence: a map of what was taught, tested and is new; points turn into structures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from thalweg.report.csv_text import csv_text
from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import (
    Figures,
    asked_and_found,
    document,
    in_order,
    made_from,
    table,
    works_cited,
)
from thalweg.report.results import PageResults, ViewerMolecule
from thalweg.report.rounding import significant
from thalweg.report.style import PALETTE, styled
from thalweg.report.viewer import map_viewer
from thalweg.report.written_files import write_files
from thalweg.shapes import Shaped

MARKS = {"inside": "circle", "border": "diamond", "outside": "x"}
"""Of frames with each verdict."""

LISTED = 20
"""Frames to distrust most that the page lists; all are in ``results/frames.csv``."""

TURNED = 600
"""Structures on the map that turns points into them, at most."""


@dataclass(frozen=True, kw_only=True)
class EnvelopeResults(PageResults):
    """What an envelope says of frames, and where they lie.

    Attributes
    ----------
    sets : (frames,) name of the set of each frame, that of the training frames first
    places : (frames,) number of each in its set
    coordinates : (frames, 2) on the map
    explained : shares of the variance of the training frames along the two axes
    expected : (frames,) median of what the force error may be [meV/Å]
    probabilities : (frames,) that it is more than ``limit``
    verdicts : (frames,) inside, border or outside; empty for training frames
    errors : (frames,) true force errors, root mean square [meV/Å]; NaN without a label
    limit : force error that is too much [meV/Å]
    molecules : elements and bonds of each frame
    structures : (atoms, 3) of each frame [nm]
    """

    sets: tuple[str, ...]
    places: tuple[int, ...]
    coordinates: Shaped[np.ndarray, "frames 2"]
    explained: tuple[float, float]
    expected: Shaped[np.ndarray, " frames"]
    probabilities: Shaped[np.ndarray, " frames"]
    verdicts: tuple[str, ...]
    errors: Shaped[np.ndarray, " frames"]
    limit: float
    molecules: tuple[ViewerMolecule, ...]
    structures: tuple[np.ndarray, ...]


def write_envelope_report(results: EnvelopeResults, folder: Path) -> Path:
    """Write ``report.html``, ``results/frames.csv`` and ``results/report.json``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    told = {key: value for key, value in vars(results).items() if key not in ("molecules", "structures")}
    return write_files(
        folder,
        {
            "results/frames.csv": lambda: csv_text(*_table_of_frames(results)),
            "results/report.json": lambda: json.dumps(jsonable(told), indent=1) + "\n",
            "report.html": lambda: _page(results),
        },
    )


def _page(results: EnvelopeResults) -> str:
    """The whole page; what is absent is left out."""
    sections: Sequence[Callable[[EnvelopeResults, Figures], str]] = (
        asked_and_found,
        _map,
        _structures,
        _errors,
        _frames,
        made_from,
        works_cited,
    )
    return document(results.title, in_order(results, sections), in_order(results, (_viewer,)))


def _map(results: EnvelopeResults, numbered: Figures) -> str:
    shares = " and ".join(f"{100 * share:.0f} %" for share in results.explained)
    caption = (
        f"Frames in the two directions of representation space in which training frames differ most ({shares} of their "
        "variance). Gray is what was taught; circles are inside the envelope, diamonds on its border, crosses outside."
    )
    return "<h2>The map</h2>" + numbered(_map_figure, caption, results)


def _map_figure(results: EnvelopeResults) -> go.Figure:
    figure, sets, verdicts = go.Figure(), np.array(results.sets), np.array(results.verdicts)
    for color, name in zip(("#B8B8B8", *PALETTE * 3), dict.fromkeys(results.sets)):
        for verdict in ("", *MARKS):
            here = (sets == name) & (verdicts == verdict)
            if here.any():
                figure.add_trace(
                    go.Scatter(
                        x=results.coordinates[here, 0],
                        y=results.coordinates[here, 1],
                        mode="markers",
                        marker={
                            "color": color,
                            "size": 6,
                            "opacity": 0.7,
                            "symbol": MARKS.get(verdict, "circle"),
                        },
                        name=f"{name}{f', {verdict}' if verdict else ''} ({int(here.sum())})",
                    )
                )
    figure.update_xaxes(title={"text": "first direction"})
    figure.update_yaxes(title={"text": "second direction"})
    return styled(figure, height=520).update_layout(showlegend=True)


def _structures(results: EnvelopeResults, _: Figures) -> str:
    return (
        "<h2>The structures</h2>"
        '<iframe id="viewer" title="map of structures, each point one in 3D"></iframe>'
        f'<p class="caption">{len(_turned(results))} frames: choose a point and its structure is shown on the right; '
        "drag to turn it. Colors are probabilities of a large error.</p>"
    )


def _turned(results: EnvelopeResults) -> np.ndarray:
    """Frames that the second map shows: those to distrust most, and others evenly."""
    count = len(results.sets)
    if count <= TURNED:
        return np.arange(count)
    worst = np.argsort(-results.probabilities, kind="stable")[: TURNED // 2]
    rest = np.setdiff1d(np.arange(count), worst)
    return np.sort(np.concatenate([worst, rest[:: -(-len(rest) // (TURNED // 2))]]))


def _viewer(results: EnvelopeResults, _: Figures) -> str:
    shown = _turned(results)
    number = {name: k for k, name in enumerate(dict.fromkeys(results.sets))}
    properties = {
        "first direction": results.coordinates[shown, 0],
        "second direction": results.coordinates[shown, 1],
        "set": np.array([number[results.sets[k]] for k in shown]),
        "frame": np.array(results.places)[shown],
        "expected error [meV/Å]": np.nan_to_num(results.expected[shown], posinf=1e6),
        "probability of a large error": results.probabilities[shown],
    }
    return map_viewer(
        [results.molecules[k] for k in shown],
        [results.structures[k] for k in shown],
        properties,
        ("first direction", "second direction", "probability of a large error"),
    )


def _errors(results: EnvelopeResults, numbered: Figures) -> str:
    known = np.isfinite(results.errors) & (np.array(results.verdicts) != "")
    if not known.any():
        return ""
    caption = (
        "True force error of labeled frames against what was expected before their labels were looked at. Above the "
        "dotted line an error is too much."
    )
    return "<h2>What the envelope is worth</h2>" + numbered(_error_figure, caption, results, known)


def _error_figure(results: EnvelopeResults, known: np.ndarray) -> go.Figure:
    figure, verdicts = go.Figure(), np.array(results.verdicts)
    for color, verdict in zip((PALETTE[2], PALETTE[4], PALETTE[1]), MARKS):
        here = known & (verdicts == verdict) & np.isfinite(results.expected)
        if here.any():
            figure.add_trace(
                go.Scatter(
                    x=results.expected[here],
                    y=results.errors[here],
                    mode="markers",
                    marker={"color": color, "size": 6, "symbol": MARKS[verdict], "opacity": 0.7},
                    name=f"{verdict} ({int(here.sum())})",
                )
            )
    figure.add_hline(y=results.limit, line={"dash": "dot"})
    figure.update_xaxes(title={"text": "expected force error [meV/Å]"}, type="log")
    figure.update_yaxes(title={"text": "force error [meV/Å]"}, type="log")
    return styled(figure, height=460).update_layout(showlegend=True)


def _frames(results: EnvelopeResults, _: Figures) -> str:
    doubted = [k for k in _order(results) if results.verdicts[k] in ("border", "outside")]
    if not doubted:
        return ""
    rows = [
        (
            results.sets[k],
            str(results.places[k]),
            results.verdicts[k],
            significant(float(results.expected[k]))
            if np.isfinite(results.expected[k])
            else "unknown element",
            f"{results.probabilities[k]:.1%}",
            "" if np.isnan(results.errors[k]) else significant(float(results.errors[k])),
        )
        for k in doubted[:LISTED]
    ]
    header = ("set", "frame", "verdict", "expected [meV/Å]", "probability of a large error", "error [meV/Å]")
    note = f'<p class="caption">{len(doubted)} frames, worst first; all are in results/frames.csv.</p>'
    return "<h2>Frames to distrust</h2>" + table(header, rows) + note


def _order(results: EnvelopeResults) -> np.ndarray:
    return np.argsort(-results.probabilities, kind="stable")


def _table_of_frames(results: EnvelopeResults) -> tuple[Sequence[str], list]:
    header = (
        "set", "frame", "first direction", "second direction", "expected force error [meV/Å]",
        f"probability of more than {results.limit:.4g} meV/Å", "verdict", "force error [meV/Å]",
    )  # fmt: skip
    rows = zip(
        results.sets,
        results.places,
        *results.coordinates.T,
        results.expected,
        results.probabilities,
        results.verdicts,
        results.errors,
    )
    return header, [tuple(row) for row in rows]
