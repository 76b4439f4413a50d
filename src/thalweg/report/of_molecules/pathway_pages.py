"""The page of a switch: residues by importance, in which order they turn, structures along the way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from thalweg.collective_variables.interpretation.ranking import Ranking
from thalweg.collective_variables.interpretation.turning import TurningOrder
from thalweg.report.csv_text import csv_text
from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, report_page
from thalweg.report.results import MolecularState, PageResults, ReportedNumber, ViewerMolecule
from thalweg.report.style import INK, PALETTE, compact, styled
from thalweg.report.viewer import viewer
from thalweg.report.written_files import write_files
from thalweg.shapes import Shaped

MOST = 30
"""Residues in the figure of importances."""

PROFILES = 8
"""Residues in the figure of turns."""


@dataclass(frozen=True, kw_only=True)
class PathwayResults(PageResults):
    """Residues of a switch.

    Attributes
    ----------
    ranking : of residues
    order : in which they turn
    along : (places,) of structures along the coordinate
    structures : (places, atoms, 3) [nm]
    molecule : elements and bonds of their atoms
    """

    ranking: Ranking
    order: TurningOrder
    along: Shaped[np.ndarray, " places"]
    structures: Shaped[np.ndarray, "places atoms 3"]
    molecule: ViewerMolecule


def write_pathway_report(results: PathwayResults, folder: Path) -> Path:
    """Write ``report.html``, and below ``results/`` residues and their places as CSV, all as JSON.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    ranking, order = results.ranking, results.order
    rows = [
        [name, value, spread, stable, name in ranking.named]
        for name, value, spread, stable in zip(
            ranking.names, ranking.values, ranking.spread, ranking.stability
        )
    ]
    turns = [list(each) for each in zip(order.names, order.places, order.errors, order.differences)]
    kept = ("structures", "molecule")
    told = {key: value for key, value in vars(results).items() if key not in kept}
    told |= {"ranking": vars(ranking), "order": vars(order) | {"sure": order.sure}}
    head = ("residue", "share of importance", "spread over halves", "among the first", "named")
    sections = (_importances, _turns, _structures)
    return write_files(
        folder,
        {
            "results/residues.csv": lambda: csv_text(head, rows),
            "results/order.csv": lambda: csv_text(("residue", "place", "error", "deviations apart"), turns),
            "results/report.json": lambda: json.dumps(jsonable(told), indent=1) + "\n",
            "report.html": lambda: report_page(results, sections, _script(results)),
        },
    )


def _importances(results: PathwayResults, numbered: Figures) -> str:
    caption = (
        "Share of each residue in the slowest coordinate, with its spread over halves of the data. Dark: among the "
        "first in enough halves to be named."
    )
    return "<h2>Residues</h2>" + numbered(_importance_figure, caption, results.ranking)


def _importance_figure(ranking: Ranking) -> go.Figure:
    names = list(ranking.names[:MOST])
    figure = go.Figure(
        go.Bar(
            x=names,
            y=compact(100 * ranking.values[:MOST]),
            error_y={"array": compact(100 * ranking.spread[:MOST]), "color": INK, "thickness": 1},
            customdata=compact(100 * ranking.stability[:MOST]),
            hovertemplate="%{x}: %{y:.1f} %, among the first in %{customdata:.0f} % of the halves<extra></extra>",
            marker={"color": [PALETTE[0] if name in ranking.named else "#c9d3dd" for name in names]},
        )
    )
    figure.update_xaxes(title="residue", tickangle=-60)
    figure.update_yaxes(title="importance [%]", rangemode="tozero")
    return styled(figure, height=360)


def _turns(results: PathwayResults, numbered: Figures) -> str:
    if not results.order.names:
        return ""
    caption = (
        "How far each residue has turned from its mean in the form with more frames (0) to that in the other (1), "
        "along the coordinate of all other features. Points: halfway, with errors by resampled stretches of the data."
    )
    return "<h2>Order</h2>" + numbered(_turn_figure, caption, results.order)


def _turn_figure(order: TurningOrder) -> go.Figure:
    figure = go.Figure()
    bins = order.profiles.shape[1]
    way = (np.arange(bins) + 0.5) / bins
    for k, name in enumerate(order.names[:PROFILES]):
        color = PALETTE[k % len(PALETTE)]
        figure.add_scatter(
            x=compact(way),
            y=compact(order.profiles[k]),
            mode="lines",
            name=name,
            legendgroup=name,
            line={"color": color},
        )
        figure.add_scatter(
            x=compact(order.places[k : k + 1]),
            y=[0.5],
            error_x={"array": compact(order.errors[k : k + 1]), "color": color},
            mode="markers",
            marker={"color": color, "size": 8},
            legendgroup=name,
            showlegend=False,
            hovertemplate=f"{name}: %{{x:.2f}}<extra></extra>",
        )
    figure.update_xaxes(title="way along the slowest coordinate", range=[0, 1])
    figure.update_yaxes(title="turned")
    return styled(figure, height=380)


def _structures(results: PathwayResults, _: Figures) -> str:
    return (
        '<h2>Structures</h2><iframe id="viewer" title="structures along the slowest coordinate in 3D"></iframe>'
        f'<p class="caption">{len(results.structures)} frames from one end of the coordinate to the other. '
        "Drag to turn, scroll to zoom, choose a frame below.</p>"
    )


def _script(results: PathwayResults) -> str:
    states = [
        MolecularState(f"{place:.2f}", ReportedNumber("", 1.0, 0.0), 1, {}, structure[None])
        for place, structure in zip(results.along, results.structures)
    ]
    return viewer(results.molecule, states)
