"""The look that all figures share.

Colors are those of Okabe and Ito, told apart by color-blind readers and on paper; surfaces use cividis.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, GRID = "#222222", "#E3E3E3"


def decades(values: np.ndarray) -> dict:
    """Ticks 1, 2, 5 of every decade that ``values`` reach, all written in full."""
    positive = values[np.isfinite(values) & (values > 0)]
    first, last = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
    ticks = [mantissa * 10.0**power for power in np.arange(first, last + 1) for mantissa in (1, 2, 5)]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:.6g}" for tick in ticks]}


def compact(values: np.ndarray) -> np.ndarray:
    """Single precision: half the size of the page, far below what a screen or paper shows."""
    return np.asarray(values, np.float32)


def styled(figure: go.Figure, height: int) -> go.Figure:
    """The figure in the look that all share."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 70, "r": 20, "t": 64, "b": 60},
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"family": "Helvetica, Arial, sans-serif", "size": 14, "color": INK},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        showlegend=len(figure.data) > 1,
    )
    figure.update_xaxes(
        gridcolor=GRID, linecolor=INK, showline=True, ticks="outside", zeroline=False, automargin=True
    )
    figure.update_yaxes(
        gridcolor=GRID, linecolor=INK, showline=True, ticks="outside", zeroline=False, automargin=True
    )
    return figure


def band(x: np.ndarray, lower: np.ndarray, upper: np.ndarray, color: str) -> go.Scatter:
    """The area between ``lower`` and ``upper`` along ``x``, behind the line it belongs to."""
    return go.Scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([upper, lower[::-1]]),
        fill="toself",
        fillcolor=color,
        opacity=0.18,
        line={"width": 0},
        mode="lines",
        showlegend=False,
        hoverinfo="skip",
    )
