"""Figures of Galerkin approximations: the committor over the features it depends on, and its martingale test."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from thalweg.kinetics.committors.martingale import MartingaleTest
from thalweg.kinetics.galerkin.dynamical_galerkin import GalerkinModel
from thalweg.report.style import PALETTE, band, styled
from thalweg.units import duration, unit_of


def martingale_figure(test: MartingaleTest) -> go.Figure:
    """Mean increments of a committor over its values, one line for each lag, with two standard errors."""
    drawn = go.Figure()
    _add_drift(drawn, test)
    drawn.update_xaxes(title={"text": "committor"})
    drawn.update_yaxes(title={"text": "mean increment"})
    return styled(drawn, height=380)


def galerkin_figure(model: GalerkinModel) -> go.Figure:
    """Rates and passage times with their errors beside the martingale test of the committor."""
    drawn = make_subplots(1, 2, column_widths=[0.4, 0.6], horizontal_spacing=0.16)
    unit = unit_of(model.dt)
    names = ("1 / k_AB", "A to B", "1 / k_BA", "B to A")
    found = (model.rate_ab, model.passage_ab, model.rate_ba, model.passage_ba)
    for k, (name, each) in enumerate(zip(names, found)):
        value, (low, high) = float(each.value), each.interval() if len(each.samples) else (np.nan, np.nan)
        if "k" in name:
            value, low, high = 1 / value, 1 / high, 1 / low
        bars = {"type": "data", "symmetric": False, "array": [high - value], "arrayminus": [value - low]}
        marker = {"color": PALETTE[k // 2], "size": 10, "symbol": "circle" if "k" in name else "square"}
        points = {"mode": "markers", "marker": marker, "showlegend": False}
        drawn.add_trace(go.Scatter(x=[name], y=[value], error_y=bars, **points), 1, 1)
    _add_drift(drawn, model.martingale, row=1, col=2)
    drawn.update_yaxes(title={"text": f"mean passage time [{unit}], 95 %"}, row=1, col=1)
    drawn.update_yaxes(type="log", dtick="D2", row=1, col=1)
    drawn.update_xaxes(title={"text": "committor"}, row=1, col=2)
    drawn.update_yaxes(title={"text": "mean increment"}, row=1, col=2)
    # the lags belong to the test alone
    return styled(drawn, height=400).update_layout(legend={"x": 0.48, "xanchor": "left"})


def _add_drift(
    drawn: go.Figure, test: MartingaleTest, row: int | None = None, col: int | None = None
) -> None:
    """Lines and bands of mean increments."""
    place, middle = {"row": row, "col": col}, 0.5 * (test.edges[1:] + test.edges[:-1])
    for k, lag in enumerate(test.lagtimes):
        color, drift, error = PALETTE[k % len(PALETTE)], test.drift[k], test.error[k]
        known = np.isfinite(error)
        shown = band(middle[known], (drift - 2 * error)[known], (drift + 2 * error)[known], color)
        drawn.add_trace(shown, **place)
        name = f"{duration(lag * test.dt, test.dt)}, p = {test.p_values[k]:.2g}"
        line = {"color": color, "width": 2}
        drawn.add_trace(go.Scatter(x=middle, y=drift, mode="lines+markers", line=line, name=name), **place)
