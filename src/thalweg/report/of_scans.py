"""Figures of relaxed torsion scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from thalweg.labeling.geometries.torsion_scans import TorsionScan
from thalweg.report.style import PALETTE, styled
from thalweg.shapes import Shaped
from thalweg.units import DEGREE


def scan_figure(scan: TorsionScan) -> go.Figure:
    """Energies of a scan above the lowest; hollow where neighbors lead to different minima."""
    return drawn_profiles(scan.angles / DEGREE, ((scan.level, scan.profile),), scan.hysteresis)


def drawn_profiles(
    angles: Shaped[np.ndarray, " points"],
    profiles: Sequence[tuple[str, np.ndarray]],
    hysteresis: Shaped[np.ndarray, " points"],
) -> go.Figure:
    """Profiles [kJ/mol] over ``angles`` [degrees] by name; of the first, points with ``hysteresis`` are hollow."""
    drawn = go.Figure()
    for color, (name, energies) in zip(PALETTE, profiles):
        first = name == profiles[0][0]
        hollow = np.nan_to_num(hysteresis) > 1.0 if first else np.zeros(len(angles), bool)
        marker = {"size": 7, "symbol": ["circle-open" if each else "circle" for each in hollow]}
        drawn.add_trace(
            go.Scatter(
                x=angles, y=energies, mode="lines+markers", name=name, marker=marker, line={"color": color}
            )
        )
    drawn.update_xaxes(title={"text": "torsion [degrees]"}, range=[-185, 185], dtick=60)
    drawn.update_yaxes(title={"text": "energy [kJ/mol]"}, rangemode="tozero")
    return styled(drawn, height=420)
