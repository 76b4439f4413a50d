"""Figures of models themselves: their timescales and populations, sets, clusters, flux and pathways.

Times are drawn in picoseconds, or in frames where the time between frames was not given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from thalweg.collective_variables.linear.pca import PCAModel
from thalweg.collective_variables.linear.vac import VACModel
from thalweg.collective_variables.linear.vamp import VAMPModel
from thalweg.free_energies.surface import FreeEnergySurfaceModel
from thalweg.kinetics.hidden.hidden_markov_model import HiddenModel
from thalweg.kinetics.macrostates.lumping import LumpedModel
from thalweg.kinetics.macrostates.pcca import MetastableSets
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.kinetics.reactions.pathways import Pathway
from thalweg.kinetics.reactions.transition_paths import ReactiveFlux
from thalweg.kinetics.states.clustering import Clustering
from thalweg.report.style import INK, PALETTE, band, compact, decades, styled
from thalweg.time_series.crossings import Process
from thalweg.units import unit_of

MOST_NAMED = 40
"""Centers, states and sets up to which each is numbered or drawn by itself."""

MOST_ARROWS = 40
"""Transitions drawn of a flux, the largest first."""

MOST_PATHWAYS = 15
"""Pathways drawn, the widest first."""


def markov_figure(model: MarkovModel) -> go.Figure:
    """Timescales of a Markov model against its lag, and the populations of its states."""
    if model.trajectories is None:
        times, known = model.timescales, np.ones(len(model.timescales), bool)
    else:
        times, known = _evidence(model.processes)
    return _spectrum(times, known, model.lag, unit_of(model.dt), model.stationary_distribution, "state")


def hidden_figure(model: HiddenModel) -> go.Figure:
    """Timescales of a hidden Markov model against its lag, and the populations of its hidden states."""
    times, known = _evidence(model.processes)
    return _spectrum(
        times, known, model.lag, unit_of(model.dt), model.stationary_distribution, "hidden state"
    )


def lumped_figure(model: LumpedModel) -> go.Figure:
    """Timescales between sets against the lag, and the populations of the sets."""
    known = np.ones(len(model.timescales), bool)
    return _spectrum(
        model.timescales, known, model.lag, unit_of(model.lag), model.stationary_distribution, "set"
    )


def coordinates_figure(model: VACModel) -> go.Figure:
    """Timescales of slow coordinates against the lag; hollow where the data do not show them often enough."""
    if model.processes:
        times, known = _evidence(model.processes)
    else:
        times = model.timescales[: model.loadings.shape[1]]
        known = np.ones(len(times), bool)
    drawn = go.Figure()
    _add_timescales(drawn, times, known, model.lagtime * model.dt, unit_of(model.dt), "coordinate")
    return styled(drawn, height=380)


def singular_figure(model: VAMPModel) -> go.Figure:
    """Singular values of VAMP; those of the coordinates kept are filled."""
    values, dim = model.singular_values, model.method.dim
    drawn = go.Figure()
    for name, part in (("kept", slice(0, dim)), ("left out", slice(dim, MOST_NAMED))):
        if len(values[part]):
            numbers = np.arange(1, len(values) + 1)[part]
            symbol = "circle" if name == "kept" else "circle-open"
            marker = {"color": PALETTE[0], "size": 9, "symbol": symbol}
            drawn.add_trace(go.Scatter(x=numbers, y=values[part], mode="markers", marker=marker, name=name))
    drawn.update_xaxes(title={"text": "coordinate"}, dtick=max(1, len(values) // 10))
    drawn.update_yaxes(title={"text": "singular value"}, range=[-0.04, 1.05 * max(1.0, float(values.max()))])
    return styled(drawn, height=380)


def components_figure(model: PCAModel) -> go.Figure:
    """The share of the variance up to and including each component; those kept are darker."""
    shares, dim = 100 * model.explained[:MOST_NAMED], model.loadings.shape[1]
    colors = [PALETTE[0] if k < dim else "#BBBBBB" for k in range(len(shares))]
    drawn = go.Figure(go.Bar(x=np.arange(1, len(shares) + 1), y=shares, marker={"color": colors}))
    drawn.update_xaxes(title={"text": f"component ({dim} kept)"}, dtick=max(1, len(shares) // 10))
    drawn.update_yaxes(title={"text": "variance up to here [%]"}, range=[0, 105])
    return styled(drawn, height=380)


def sets_figure(sets: MetastableSets) -> go.Figure:
    """Populations of metastable sets, and to which each state belongs how much, states ordered by set."""
    count = len(sets.populations)
    drawn = make_subplots(1, 2, column_widths=[0.35, 0.65], horizontal_spacing=0.14)
    names = [str(k) for k in range(count)]
    colors = [PALETTE[k % len(PALETTE)] for k in range(count)]
    drawn.add_trace(go.Bar(x=names, y=sets.populations, marker={"color": colors}, showlegend=False), 1, 1)
    active = np.flatnonzero(sets.assignments >= 0)
    # by set, and in a set those that belong to it most first
    strength = sets.memberships[active, sets.assignments[active]]
    order = active[np.lexsort((-strength, sets.assignments[active]))]
    for k, color in enumerate(colors):
        drawn.add_trace(
            go.Bar(
                x=np.arange(len(order)),
                y=sets.memberships[order, k],
                customdata=order,
                marker={"color": color, "line": {"width": 0}},
                name=f"set {k}",
                hovertemplate="state %{customdata}: %{y:.2f}<extra>set " + str(k) + "</extra>",
            ),
            1,
            2,
        )
    drawn.update_layout(barmode="stack", bargap=0.1 if len(order) < MOST_NAMED else 0)
    drawn.update_xaxes(title={"text": "set"}, type="category", row=1, col=1)
    drawn.update_yaxes(title={"text": "population"}, rangemode="tozero", row=1, col=1)
    drawn.update_xaxes(title={"text": f"{len(order)} states, by set"}, showticklabels=False, row=1, col=2)
    drawn.update_yaxes(title={"text": "membership"}, range=[0, 1], row=1, col=2)
    styled(drawn, height=380).update_layout(legend={"traceorder": "normal"})
    return drawn.update_xaxes(ticks="", row=1, col=2)


def clusters_figure(clusters: Clustering) -> go.Figure:
    """Centers of clusters over the first two features; numbered where they are few."""
    centers = clusters.centers
    few = len(centers) <= MOST_NAMED
    one = centers.shape[1] == 1
    drawn = go.Figure(
        go.Scatter(
            x=centers[:, 0],
            y=np.zeros(len(centers)) if one else centers[:, 1],
            mode="markers+text" if few else "markers",
            text=[str(k) for k in range(len(centers))] if few else None,
            textposition="top center",
            marker={"color": PALETTE[0], "size": 9 if few else 6},
            hovertemplate="cluster %{pointNumber}: %{x:.3g}, %{y:.3g}<extra></extra>",
        )
    )
    drawn.update_xaxes(title={"text": "feature 0"})
    drawn.update_yaxes(title={"text": "" if one else "feature 1"}, showticklabels=not one)
    return styled(drawn, height=300 if one else 480)


def flux_figure(flux: ReactiveFlux) -> go.Figure:
    """Reactive flux from left to right: states by committor and population, the largest net currents as lines."""
    drawn, known = go.Figure(), np.isfinite(flux.committor) & (flux.stationary_distribution > 0)
    entries = flux.net.tocoo()
    largest = np.argsort(-entries.data)[:MOST_ARROWS][::-1]
    for k in largest:
        ends = [int(entries.row[k]), int(entries.col[k])]
        share = float(entries.data[k] / entries.data.max())
        drawn.add_trace(
            go.Scatter(
                x=flux.committor[ends],
                y=flux.stationary_distribution[ends],
                mode="lines",
                line={"color": PALETTE[5], "width": 0.5 + 7 * share},
                opacity=0.6,
                hoverinfo="skip",
                showlegend=False,
            )
        )
    parts = {"start": flux.start, "target": flux.target}
    parts["between"] = np.setdiff1d(np.flatnonzero(known), np.concatenate([flux.start, flux.target]))
    for color, (name, states) in zip((PALETTE[2], PALETTE[1], PALETTE[0]), parts.items()):
        few = known.sum() <= MOST_NAMED // 2 or name != "between"
        drawn.add_trace(
            go.Scatter(
                x=flux.committor[states],
                y=flux.stationary_distribution[states],
                mode="markers+text" if few else "markers",
                text=[str(state) for state in states],
                textposition="top center",
                marker={"color": color, "size": 11},
                name=name,
            )
        )
    drawn.update_xaxes(title={"text": "committor"}, range=[-0.05, 1.05])
    populations = flux.stationary_distribution[known]
    span = [np.log10(populations.min() / 2), np.log10(2.5 * populations.max())]
    drawn.update_yaxes(title={"text": "population"}, type="log", range=span, **decades(populations))
    return styled(drawn, height=460)


def pathways_figure(ways: Sequence[Pathway]) -> go.Figure:
    """Shares of the flux that the widest pathways carry."""
    shown = list(ways)[:MOST_PATHWAYS]
    names = [_way(each) for each in shown]
    drawn = go.Figure(
        go.Bar(
            x=[100 * each.share for each in shown],
            y=list(range(len(shown))),
            orientation="h",
            marker={"color": PALETTE[0]},
            customdata=[[f"{each.flux:.3g}", f"{each.bottleneck}"] for each in shown],
            hovertemplate="%{x:.1f} %, %{customdata[0]} /ps, narrowest at %{customdata[1]}<extra></extra>",
        )
    )
    drawn.update_xaxes(title={"text": "share of the flux [%]"}, rangemode="tozero")
    drawn.update_yaxes(autorange="reversed", tickvals=list(range(len(shown))), ticktext=names)
    return styled(drawn, height=140 + 30 * len(shown))


def free_energy_figure(model: FreeEnergySurfaceModel) -> go.Figure:
    """A free energy over one variable with its 95 % band, or over two."""
    drawn, energy = go.Figure(), np.where(np.isfinite(model.free_energy), model.free_energy, np.nan)
    drawn.update_xaxes(title={"text": "variable 0"})
    if energy.ndim == 1:
        (x,), error = model.centers, 1.96 * model.error
        known = np.isfinite(energy) & np.isfinite(error)
        drawn.add_trace(band(x[known], (energy - error)[known], (energy + error)[known], PALETTE[0]))
        drawn.add_trace(go.Scatter(x=x, y=energy, mode="lines", line={"color": PALETTE[0], "width": 2}))
        drawn.update_yaxes(title={"text": "free energy [kJ/mol]"})
        return styled(drawn, height=380).update_layout(showlegend=False)
    bar = {"title": {"text": "kJ/mol"}, "thickness": 12, "outlinewidth": 0}
    x, y = model.centers
    drawn.add_trace(go.Heatmap(x=x, y=y, z=compact(energy.T), colorscale="Cividis", colorbar=bar))
    drawn.update_yaxes(title={"text": "variable 1"})
    return styled(drawn, height=460)


def _way(each: Pathway) -> str:
    """States of a pathway, the middle of a long one left out."""
    states = [str(state) for state in each.states]
    return " → ".join(states if len(states) <= 8 else [*states[:4], "…", *states[-3:]])


def _evidence(processes: Sequence[Process]) -> tuple[np.ndarray, np.ndarray]:
    """Timescales ``(processes,)``, and whether the data show each often enough."""
    return np.array([each.estimate for each in processes]), np.array(
        [each.resolved for each in processes], bool
    )


def _spectrum(
    times: np.ndarray, known: np.ndarray, lag: float, unit: str, populations: np.ndarray, noun: str
) -> go.Figure:
    """Timescales on the left, populations on the right."""
    drawn = make_subplots(1, 2, horizontal_spacing=0.14)
    _add_timescales(drawn, times, known, lag, unit, "process", row=1, col=1)
    states = np.flatnonzero(populations > 0)
    order = states[np.argsort(-populations[states])]
    few, wide = len(order) <= MOST_NAMED, bool(populations[order].min() < 0.03)
    points = {
        "x": [str(state) for state in order] if few else np.arange(1, len(order) + 1),
        "y": populations[order],
        "customdata": order,
        "hovertemplate": noun + " %{customdata}: %{y:.3g}<extra></extra>",
        "showlegend": False,
    }
    # a bar begins at zero, which a logarithmic axis does not have
    marker = {"color": PALETTE[2]}
    shape = go.Scatter(mode="markers", marker=marker, **points) if wide else go.Bar(marker=marker, **points)
    drawn.add_trace(shape, 1, 2)
    by = noun if few else f"{len(order)} {noun}s, most populated first"
    drawn.update_xaxes(title={"text": by}, type="category" if few else "linear", row=1, col=2)
    ticks = decades(populations[order]) if wide else {"rangemode": "tozero"}
    kind = "log" if wide else "linear"
    drawn.update_yaxes(title={"text": "population"}, type=kind, row=1, col=2, **ticks)
    return styled(drawn, height=400)


def _add_timescales(
    drawn: go.Figure,
    times: np.ndarray,
    known: np.ndarray,
    lag: float,
    unit: str,
    noun: str,
    row: int | None = None,
    col: int | None = None,
) -> None:
    """Points of timescales by number, and the lag below which none can be seen; hollow where hardly ever crossed."""
    numbers, place = np.arange(1, len(times) + 1), {"row": row, "col": col}
    for name, which, symbol in (("", known, "circle"), ("under-sampled", ~known, "circle-open")):
        shown = which & np.isfinite(times)
        if shown.any():
            marker = {"color": PALETTE[0], "size": 10, "symbol": symbol, "line": {"width": 2}}
            text = "%{x}: %{y:.4g} " + unit + "<extra>" + name + "</extra>"
            drawn.add_trace(
                go.Scatter(
                    x=numbers[shown],
                    y=times[shown],
                    mode="markers",
                    marker=marker,
                    name=name or "timescale",
                    hovertemplate=text,
                ),
                **place,
            )
    drawn.add_trace(
        go.Scatter(
            x=[0.5, len(times) + 0.5],
            y=[lag, lag],
            mode="lines",
            line={"color": INK, "dash": "dash", "width": 1},
            name="lag",
        ),
        **place,
    )
    reached = np.append(times[np.isfinite(times) & (times > 0)], lag)
    drawn.update_xaxes(title={"text": noun}, dtick=1, range=[0.5, len(times) + 0.5], **place)
    drawn.update_yaxes(
        title={"text": f"timescale [{unit}]"},
        type="log",
        range=[np.log10(reached.min() / 1.6), np.log10(1.6 * reached.max())],
        **decades(reached),
        **place,
    )
