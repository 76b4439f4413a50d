"""Figures of committors: what a model says and how surely, how it spreads on a surface, which variable explains it."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import scipy.stats
from plotly.subplots import make_subplots

from thalweg.kinetics.committors.network_committor import CommittorModel
from thalweg.kinetics.committors.shot_outcomes import CommittorDistribution, ShotOutcomes
from thalweg.kinetics.committors.variable_ranking import VariableRanking
from thalweg.report.style import PALETTE, styled

BINS = 10
"""Bars between 0 and 1."""


def committor_figure(model: CommittorModel) -> go.Figure:
    """The committor of frames of the fit over their first two features, and its standard error against itself."""
    frames = model.shown
    q, error = model.transform(frames)[:, 0], model.error(frames)
    second = min(1, frames.shape[1] - 1)
    drawn = make_subplots(1, 2, column_widths=[0.6, 0.4], horizontal_spacing=0.2)
    bar = {"title": {"text": "committor"}, "thickness": 12, "outlinewidth": 0, "x": 0.5}
    marker = {"color": q, "colorscale": "Cividis", "cmin": 0, "cmax": 1, "size": 4, "colorbar": bar}
    small = {"color": PALETTE[1], "size": 4}
    points = {"mode": "markers", "showlegend": False}
    drawn.add_trace(go.Scattergl(x=frames[:, 0], y=frames[:, second], marker=marker, **points), 1, 1)
    drawn.add_trace(go.Scattergl(x=q, y=error, marker=small, **points), 1, 2)
    drawn.update_xaxes(title={"text": model.features[0]}, row=1, col=1)
    drawn.update_yaxes(title={"text": model.features[second]}, row=1, col=1)
    drawn.update_xaxes(title={"text": "committor"}, range=[-0.02, 1.02], row=1, col=2)
    drawn.update_yaxes(title={"text": "standard error"}, rangemode="tozero", row=1, col=2)
    return styled(drawn, height=420)


def shots_figure(shots: ShotOutcomes) -> go.Figure:
    """The committor of each point by shots, the lowest first, with its 95 % interval."""
    order = np.argsort(shots.committor)
    p, (low, high) = shots.committor[order], shots.interval()[:, order]
    bars = {"type": "data", "array": high - p, "arrayminus": p - low, "thickness": 1.2}
    points = {"mode": "markers", "marker": {"color": PALETTE[0], "size": 8}, "customdata": order}
    text = "point %{customdata}: %{y:.3f}<extra></extra>"
    drawn = go.Figure(go.Scatter(x=np.arange(len(p)), y=p, error_y=bars, hovertemplate=text, **points))
    drawn.update_xaxes(title={"text": "points, by committor"})
    drawn.update_yaxes(title={"text": "committor"}, range=[-0.02, 1.02])
    return styled(drawn, height=380)


def distribution_figure(distribution: CommittorDistribution) -> go.Figure:
    """Committors of points of a surface, and how they would scatter if all had the mean."""
    edges = np.linspace(0, 1, BINS + 1)
    found = np.histogram(distribution.committors, edges)[0]
    expected = np.zeros(BINS)
    for shots in distribution.shots:
        hits = np.arange(shots + 1)
        chance = scipy.stats.binom.pmf(hits, shots, distribution.mean)
        expected += np.histogram(hits / shots, edges, weights=chance)[0]
    middle = 0.5 * (edges[1:] + edges[:-1])
    drawn = go.Figure(go.Bar(x=middle, y=found, marker={"color": PALETTE[0]}, name="points"))
    line = {"color": PALETTE[1], "width": 2, "shape": "hvh"}
    drawn.add_trace(go.Scatter(x=middle, y=expected, mode="lines", line=line, name="binomial alone"))
    drawn.update_xaxes(title={"text": "committor by shots"}, range=[0, 1])
    drawn.update_yaxes(title={"text": "points"}, rangemode="tozero")
    return styled(drawn, height=380).update_layout(bargap=0.05)


def ranking_figure(ranking: VariableRanking) -> go.Figure:
    """How far each candidate is behind the best, in log likelihood, with its standard error."""
    behind = [each.behind for each in ranking.variables]
    drawn = go.Figure(
        go.Bar(
            x=behind,
            y=[each.name for each in ranking.variables],
            orientation="h",
            marker={"color": PALETTE[0]},
            error_x={"array": [each.behind_error for each in ranking.variables]},
        )
    )
    drawn.update_xaxes(title={"text": "log likelihood below the best"}, rangemode="tozero")
    drawn.update_yaxes(autorange="reversed")
    return styled(drawn, height=140 + 30 * len(behind))
