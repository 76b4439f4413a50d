"""Figures of paths between minima."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from thalweg.report.style import PALETTE, styled
from thalweg.sampling.paths.reaction_path import ReactionPath


def path_figure(path: ReactionPath) -> go.Figure:
    """Energy along a path above its start: images, the curve that their forces give, and the saddle."""
    at, energies = path.profile()
    zero = path.energies[0]
    drawn = go.Figure(
        go.Scatter(
            x=at, y=energies - zero, mode="lines", line={"color": PALETTE[0]}, name="by images and forces"
        )
    )
    marker = {"color": PALETTE[0], "size": 8}
    drawn.add_trace(
        go.Scatter(x=path.lengths, y=path.energies - zero, mode="markers", marker=marker, name="images")
    )
    top = path.highest
    drawn.add_trace(
        go.Scatter(
            x=np.array([path.lengths[top]]),
            y=np.array([path.barrier]),
            mode="markers",
            marker={
                "color": PALETTE[1],
                "size": 12,
                "symbol": "diamond" if path.converged else "diamond-open",
            },
            name="highest" if path.converged else "highest, not converged",
        )
    )
    drawn.update_xaxes(title={"text": "length of the path [nm]"})
    drawn.update_yaxes(title={"text": "energy [kJ/mol]"})
    return styled(drawn, height=420)
