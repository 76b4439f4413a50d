"""Figures of maps: the points colored by any physical variable, and the spectrum."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from thalweg.report.of_landscapes.results import MapResults, ShownFrames
from thalweg.report.style import PALETTE, compact, styled

TURNING = "Phase"
"""Colors of periodic variables: the ends are one."""

MOST_VALUES = 40
"""Values of a spectrum that are drawn."""


def map_figure(results: MapResults) -> go.Figure:
    """The first two coordinates, or one against the variable that follows it most, colored by a variable to choose."""
    points, names = results.points, results.names
    coordinates, properties = points.coordinates, list(points.properties)
    first = properties[0] if properties else None
    one = coordinates.shape[1] == 1
    if one and first is not None:
        y, title = points.properties[first], first
    else:
        y, title = (np.zeros(len(coordinates)), "") if one else (coordinates[:, 1], names[1])
    figure = go.Figure(
        go.Scattergl(
            x=compact(coordinates[:, 0]),
            y=compact(y),
            mode="markers",
            marker=_marker(points, first),
            hovertemplate="%{x:.3g}, %{y:.3g}<br>%{marker.color:.4g}<extra></extra>",
        )
    )
    if len(properties) > 1:
        buttons = [
            {"label": name, "method": "restyle", "args": [{"marker": [_marker(points, name)]}]}
            for name in properties
        ]
        place = {"x": 1.0, "xanchor": "right", "y": 1.02, "yanchor": "bottom", "active": 0}
        figure.update_layout(updatemenus=[{"buttons": buttons, "showactive": True} | place])
    figure.update_xaxes(title={"text": names[0]})
    figure.update_yaxes(title={"text": title})
    return styled(figure, height=520)


def spectrum_figure(name: str, values: np.ndarray, kept: int) -> go.Figure:
    """Values of the spectrum, those of the map filled."""
    shown = values[:MOST_VALUES]
    numbers = np.arange(1, len(shown) + 1)
    colors = [PALETTE[0] if k < kept else "rgba(0,0,0,0)" for k in range(len(shown))]
    marker = {"color": colors, "size": 9, "line": {"color": PALETTE[0], "width": 1.5}}
    figure = go.Figure(go.Scatter(x=numbers, y=shown, mode="markers", marker=marker))
    figure.update_xaxes(title={"text": f"coordinate ({kept} in the map)"}, dtick=max(1, len(shown) // 10))
    figure.update_yaxes(title={"text": name})
    return styled(figure, height=320)


def _marker(points: ShownFrames, name: str | None) -> dict:
    """How points are drawn when a variable colors them."""
    look = {"size": 4, "opacity": 0.8}
    if name is None:
        return look | {"color": PALETTE[0]}
    values = points.properties[name]
    limits = {}
    if name in points.periods:
        half = points.periods[name] / 2
        limits = {"cmin": -half, "cmax": half}
    return (
        look
        | limits
        | {
            "color": compact(values).tolist(),
            "colorscale": TURNING if name in points.periods else "Cividis",
            "showscale": True,
            "colorbar": {"title": {"text": name, "side": "right"}, "thickness": 12, "outlinewidth": 0},
        }
    )
