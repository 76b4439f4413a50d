"""Figures of vibrational spectra."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from thalweg.report.style import INK, PALETTE, band, compact, styled
from thalweg.spectra.harmonic import HarmonicSpectrum
from thalweg.spectra.time_correlation import Spectrum


def vibrational_figure(
    spectrum: Spectrum, harmonic: HarmonicSpectrum | None = None, low: float = 200.0, high: float = 4000.0
) -> go.Figure:
    """A spectrum of dynamics with twice its standard error, from ``high`` to ``low`` [1/cm], and a harmonic one.

    Harmonic lines are as wide as the resolution of the spectrum.
    """
    inside = (spectrum.wavenumbers >= low) & (spectrum.wavenumbers <= high)
    x, y, errors = (each[inside] for each in (spectrum.wavenumbers, spectrum.values, spectrum.errors))
    figure = go.Figure()
    if np.isfinite(errors).all():
        figure.add_trace(band(compact(x), compact(y - 2 * errors), compact(y + 2 * errors), PALETTE[0]))
    figure.add_trace(
        go.Scatter(
            x=compact(x),
            y=compact(y),
            mode="lines",
            line={"color": PALETTE[0]},
            name=f"dynamics, {spectrum.temperature:g} K",
        )
    )
    if harmonic is not None:
        lines = harmonic.broadened(x, spectrum.resolution, spectrum.kind)
        dashed = {"color": INK, "dash": "dot"}
        figure.add_trace(
            go.Scatter(x=compact(x), y=compact(lines), mode="lines", line=dashed, name="normal modes")
        )
    figure.update_xaxes(title="wavenumber [1/cm]", range=[high, low])
    figure.update_yaxes(title=f"{spectrum.kind} [{spectrum.unit}]")
    return styled(figure, height=420)
