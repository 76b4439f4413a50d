"""Figures of Langevin models: free energy, friction or diffusion and memory with 95 % bands; rates by every route."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from thalweg.kinetics.langevin.inertial import UnderdampedModel
from thalweg.kinetics.langevin.memory_kernels import VolterraKernel
from thalweg.kinetics.langevin.overdamped import OverdampedModel
from thalweg.kinetics.langevin.profiles import Profile
from thalweg.kinetics.langevin.ranking import RelaxationRanking
from thalweg.kinetics.langevin.rates import RatesTable
from thalweg.report.style import PALETTE, band, compact, styled


def langevin_figure(model: OverdampedModel | UnderdampedModel) -> go.Figure:
    """Free energy beside friction (with memory: and its kernel) or diffusion, with bands of 95 %; surfaces in two."""
    if model.dims > 2:
        raise ValueError(f"a figure is of one or two variables, the model has {model.dims}")
    parts = [model.free_energy()]
    if isinstance(model, OverdampedModel):
        parts.append(model.diffusion())
    else:
        parts.append(model.friction())
        if model.hidden:
            longest = float(model.memory_times().values.max())
            parts.append(model.kernel(np.linspace(0.0, 4.0 * longest, 101)))
    drawn = make_subplots(1, len(parts), horizontal_spacing=0.14)
    for column, part in enumerate(parts, start=1):
        if model.dims == 2 and np.ndim(part.points) == 2:
            _add_surface(drawn, part, column, len(parts), model.pieces.names)
        else:
            _add_profile(drawn, part, column, model.pieces.names[0])
    return styled(drawn, height=400).update_layout(showlegend=False)


def kernel_figure(found: VolterraKernel) -> go.Figure:
    """A memory kernel and its running integral, with bands of 95 %."""
    drawn = make_subplots(1, 2, horizontal_spacing=0.14)
    for column, part in enumerate((found.kernel, found.friction), start=1):
        _add_profile(drawn, part, column)
    return styled(drawn, height=400).update_layout(showlegend=False)


def rates_figure(found: RatesTable) -> go.Figure:
    """Rates by route with 95 % bars, on a logarithmic axis."""
    names = list(found.forward)
    bars = [1.96 * found.errors.get(name, 0.0) for name in names]
    points = go.Scatter(
        x=[found.forward[name] for name in names],
        y=names,
        error_x={"type": "data", "array": bars},
        mode="markers",
        marker={"color": PALETTE[0], "size": 10},
    )
    drawn = go.Figure(points)
    drawn.update_xaxes(title={"text": "rate from the left to the right well [1/ps]"}, type="log")
    drawn.update_yaxes(autorange="reversed")
    return styled(drawn, height=160 + 32 * len(names))


def relaxation_figure(found: RelaxationRanking) -> go.Figure:
    """Slowest relaxation of the model along each variable, with 95 % bars; hollow where it is not Markovian."""
    symbols = ["circle" if test.white else "circle-open" for test in found.tests]
    bars = {"type": "data", "array": 1.96 * found.errors}
    marker = {"color": PALETTE[0], "size": 10, "symbol": symbols, "line": {"width": 2}}
    drawn = go.Figure(
        go.Scatter(x=found.times, y=list(found.names), error_x=bars, mode="markers", marker=marker)
    )
    drawn.update_xaxes(title={"text": "slowest relaxation [ps]"})
    drawn.update_yaxes(autorange="reversed")
    return styled(drawn, height=160 + 32 * len(found.names))


def _add_profile(drawn: go.Figure, part: Profile, column: int, along: str = "") -> None:
    """A line and its band, along a variable of this name or times."""
    x, values, half = np.ravel(part.points), np.asarray(part.values), 1.96 * np.asarray(part.errors)
    drawn.add_trace(band(x, values - half, values + half, PALETTE[0]), 1, column)
    line = {"color": PALETTE[0], "width": 2}
    drawn.add_trace(go.Scatter(x=x, y=values, mode="lines", line=line), 1, column)
    title = "time [ps]" if np.ndim(part.points) == 1 else along
    drawn.update_xaxes(title={"text": title}, row=1, col=column)
    drawn.update_yaxes(title={"text": part.quantity}, row=1, col=column)


def _add_surface(drawn: go.Figure, part: Profile, column: int, columns: int, names: tuple[str, ...]) -> None:
    """Values over two variables; of a tensor the mean of its diagonal."""
    values = np.asarray(part.values)
    if values.ndim == 3:
        values = np.trace(values, axis1=1, axis2=2) / 2.0
    side = round(len(values) ** 0.5)
    x, y = np.unique(part.points[:, 0]), np.unique(part.points[:, 1])
    bar = {"title": {"text": part.quantity}, "thickness": 10, "x": column / columns - 0.02}
    surface = compact(values.reshape(side, side).T)
    drawn.add_trace(go.Heatmap(x=x, y=y, z=surface, colorscale="Cividis", colorbar=bar), 1, column)
    drawn.update_xaxes(title={"text": names[0]}, row=1, col=column)
    drawn.update_yaxes(title={"text": names[1]}, row=1, col=column)
