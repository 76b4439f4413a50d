"""The race as one picture: ``python benchmarks/sampling_figure.py race.html``, from the rows of its table."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from thalweg.report.style import INK, PALETTE, styled

RESULTS = Path(__file__).parent / "results" / "sampling.json"
PANELS = {
    "steps to the first visit": "times faster than plain walks",
    "coverage": "share of the low cells visited",
    "divergence": "divergence [nats]",
    "free energy, bias": "error of the free energy [kT]",
}
"""What a row tells -> the axis it is drawn along."""

NAMES = {"muller-brown": "Müller-Brown/10", "wells": "2-D double well"}


def scores(rows: list[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Mapping[str, Any]]]]:
    """Rows by landscape, entry and what they tell."""
    found: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for row in rows:
        landscape, _, entry = row["part"].partition("/")
        told = row["test"].split(": ", 1)[1]
        kind = next((kind for kind in PANELS if told.startswith(kind)), None)
        if kind is not None and row["value"] is not None:
            found.setdefault(landscape, {}).setdefault(entry, {})[kind] = row
    return found


def figure(rows: list[Mapping[str, Any]]) -> go.Figure:
    """Entries in rows, the fastest first; a panel for each score, a color for each landscape."""
    found = scores(rows)
    first = next(iter(found.values()))
    fastest = sorted(first, key=lambda name: _value(first[name], "steps to the first visit") or 0.0)
    drawn = make_subplots(1, len(PANELS), shared_yaxes=True, horizontal_spacing=0.025)
    for color, (landscape, entries) in zip(PALETTE, found.items()):
        for column, kind in enumerate(PANELS, 1):
            kept = [name for name in fastest if kind in entries.get(name, {})]
            drawn.add_trace(
                go.Scatter(
                    x=[_value(entries[name], kind) for name in kept],
                    y=kept,
                    error_x={"type": "data", "array": [_spread(entries[name], kind) for name in kept]},
                    mode="markers",
                    marker={"color": color, "size": 9},
                    name=NAMES.get(landscape, landscape),
                    showlegend=column == 1,
                ),
                1,
                column,
            )
    drawn = styled(drawn, 460)
    for column, (kind, title) in enumerate(PANELS.items(), 1):
        drawn.update_xaxes(title=title, type="log" if kind.startswith("steps") else "linear", col=column)
    drawn.update_yaxes(categoryorder="array", categoryarray=fastest)
    for column, line in ((1, 1.0), (4, 0.0)):
        drawn.add_vline(x=line, line={"color": INK, "width": 1, "dash": "dot"}, col=column)
    return drawn


def _value(entry: Mapping[str, Mapping[str, Any]], kind: str) -> float | None:
    """What is drawn: the ratio for the first visit, else the value."""
    if kind not in entry:
        return None
    return entry[kind]["ratio"] if kind.startswith("steps") else entry[kind]["value"]


def _spread(entry: Mapping[str, Mapping[str, Any]], kind: str) -> float:
    """Its error bar: of the mean for first visits and free energies, over seeds for the others."""
    row = entry[kind]
    if kind.startswith("steps"):
        return row["ratio"] * row["spread"] / row["value"]
    return row["spread"] or 0.0


if __name__ == "__main__":
    figure(json.loads(RESULTS.read_text("utf-8"))["rows"]).write_html(sys.argv[1], include_plotlyjs=True)
