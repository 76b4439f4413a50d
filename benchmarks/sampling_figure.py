"""The race as one picture: ``python benchmarks/sampling_figure.py race.html``, from the rows of its table."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
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

TIMES = (1, 3, 10, 30, 100, 300, 1000)
"""Ticks of the first panel."""

FEWEST = 5
"""Seeds below which their mean free energy is not drawn."""

APART = 0.24
"""Between the landscapes of one entry, in rows."""

NAMES = {"muller-brown": "Müller-Brown/10", "wells": "2-D double well"}


def scores(rows: list[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Mapping[str, Any]]]]:
    """Rows by landscape, entry and what they tell."""
    found: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for row in rows:
        landscape, _, entry = row["part"].partition("/")
        told = row["test"].split(": ", 1)[1]
        kind = next((kind for kind in PANELS if told.startswith(kind)), None)
        if kind is not None and row["value"] is not None and _seeds(told) >= FEWEST:
            found.setdefault(landscape, {}).setdefault(entry, {})[kind] = row
    return found


def _seeds(told: str) -> float:
    """How many seeds gave the free energy that a row tells of; of all other rows, as many as can be."""
    given = re.search(r"bias \((\d+) of", told)
    return int(given.group(1)) if given else float("inf")


def figure(rows: list[Mapping[str, Any]]) -> go.Figure:
    """Entries in rows, the fastest first; a panel for each score, a color for each landscape."""
    found = scores(rows)
    first = next(iter(found.values()))
    fastest = sorted(first, key=lambda name: _value(first[name], "steps to the first visit") or 0.0)
    height = {name: row for row, name in enumerate(fastest)}
    drawn = make_subplots(1, len(PANELS), shared_yaxes=True, horizontal_spacing=0.025)
    for k, (landscape, entries) in enumerate(found.items()):
        for column, kind in enumerate(PANELS, 1):
            kept = [name for name in fastest if kind in entries.get(name, {})]
            drawn.add_trace(
                go.Scatter(
                    x=[_value(entries[name], kind) for name in kept],
                    y=[height[name] - APART * (k - (len(found) - 1) / 2) for name in kept],
                    error_x={"type": "data", "array": [_spread(entries[name], kind) for name in kept]},
                    mode="markers",
                    marker={"color": PALETTE[k], "size": 9},
                    name=NAMES.get(landscape, landscape),
                    showlegend=column == 1,
                ),
                1,
                column,
            )
    drawn = styled(drawn, 460)
    for column, title in enumerate(PANELS.values(), 1):
        drawn.update_xaxes(title=title, col=column)
    drawn.update_xaxes(
        type="log", col=1, tickmode="array", tickvals=TIMES, ticktext=[f"{n:g}" for n in TIMES]
    )
    drawn.update_xaxes(range=np.log10([0.3, 1000.0]).tolist(), col=1)
    drawn.update_yaxes(tickmode="array", tickvals=list(range(len(fastest))), ticktext=fastest)
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
    figure(json.loads(RESULTS.read_text("utf-8"))["rows"]).write_html(
        sys.argv[1], config={"displayModeBar": False}
    )
