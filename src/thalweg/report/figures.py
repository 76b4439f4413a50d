"""The figures of a run's report: one function per kind of result, each a Plotly figure that prints well."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from thalweg.report.results import (
    Axis,
    ChapmanKolmogorov,
    Convergence,
    ModelChoice,
    ReportedNumber,
    ReportedTimescales,
    RoundsVisited,
    Surface,
    VariableMeaning,
)
from thalweg.report.style import INK, PALETTE, band, compact, decades, styled


def surface_figure(surface: Surface, ceiling: float = 40.0) -> go.Figure:
    """The free energy and, beside it, its standard error; above ``ceiling`` [kJ/mol] all is one color."""
    figure = make_subplots(1, 2, horizontal_spacing=0.17, subplot_titles=("free energy", "standard error"))
    top = float(min(ceiling, np.nanmax(surface.energy))) if np.isfinite(surface.energy).any() else ceiling
    # colors of the error span 95 % of the bins: single frames at the border have errors without bound
    known = surface.error[np.isfinite(surface.error)]
    widest = float(np.quantile(known, 0.95)) if known.size else 1.0
    panels = (
        (surface.energy, top, "kJ/mol", 0.415, "Cividis"),
        (surface.error, max(widest, 1e-3), "kJ/mol", 1.0, "Purples"),
    )
    for column, (values, limit, unit, place, colors) in enumerate(panels, start=1):
        figure.add_trace(
            go.Heatmap(
                x=surface.x.centers,
                y=surface.y.centers,
                z=compact(values.T),
                zmin=0,
                zmax=limit,
                colorscale=colors,
                colorbar={"title": {"text": unit}, "x": place, "thickness": 12, "outlinewidth": 0},
                hovertemplate=f"%{{x:.3g}}, %{{y:.3g}}<br>%{{z:.2f}} {unit}<extra></extra>",
            ),
            row=1,
            col=column,
        )
    # (x, y) arrays are drawn with y upward, that is transposed; contours every 5 kJ/mol over the free energy alone
    figure.add_trace(
        go.Contour(
            x=surface.x.centers,
            y=surface.y.centers,
            z=compact(surface.energy.T),
            showscale=False,
            showlegend=False,
            hoverinfo="skip",
            contours={"coloring": "none", "start": 5, "end": top, "size": 5},
            line={"width": 0.7, "color": "white"},
        ),
        row=1,
        col=1,
    )
    figure.update_xaxes(**_axis(surface.x))
    figure.update_yaxes(**_axis(surface.y))
    return styled(figure, height=430)


def seeds_figure(surface: Surface, ceiling: float = 40.0) -> go.Figure:
    """The free energies of the independent seeds side by side, on one scale."""
    count = len(surface.by_seed)
    titles = [f"seed {number}" for number in range(1, count + 1)]
    figure = make_subplots(1, count, horizontal_spacing=0.1, subplot_titles=titles, shared_yaxes=True)
    top = float(min(ceiling, np.nanmax(surface.energy)))
    for column, energy in enumerate(surface.by_seed, start=1):
        figure.add_trace(
            go.Heatmap(
                x=surface.x.centers,
                y=surface.y.centers,
                z=compact(energy.T),
                zmin=0,
                zmax=top,
                colorscale="Cividis",
                showscale=column == count,
                colorbar={"title": {"text": "kJ/mol"}, "thickness": 12, "outlinewidth": 0},
            ),
            row=1,
            col=column,
        )
    figure.update_xaxes(**_axis(surface.x))
    figure.update_yaxes(**_axis(surface.y) | {"title": None})
    figure.update_yaxes(title={"text": _label(surface.y.name, surface.y.unit)}, col=1)
    return styled(figure, height=360)


def timescales_figure(scan: ReportedTimescales) -> go.Figure:
    """Implied time scales against lag time with 95 % bands; below the gray line the lag hides the process.

    Processes the data cannot give as numbers are dotted.
    """
    figure = go.Figure()
    # processes shorter than the lag cannot be seen: gray below the diagonal
    lags = scan.lagtimes
    figure.add_trace(
        go.Scatter(
            x=lags,
            y=lags,
            mode="lines",
            line={"width": 0},
            fill="tozeroy",
            fillcolor="#EEEEEE",
            name="shorter than the lag",
            hoverinfo="skip",
        )
    )
    for process in range(scan.timescales.shape[1]):
        color, known = PALETTE[process % len(PALETTE)], scan.resolved[process]
        if known:
            figure.add_trace(band(lags, scan.lower[:, process], scan.upper[:, process], color))
        name = f"process {process + 1}" + ("" if known else ", under-sampled")
        figure.add_trace(
            go.Scatter(
                x=lags,
                y=scan.timescales[:, process],
                mode="lines+markers",
                name=name,
                line={"color": color, "width": 2, "dash": "solid" if known else "dot"},
                marker={"size": 7},
                hovertemplate="lag %{x:.3g} ps<br>%{y:.4g} ps<extra>" + name + "</extra>",
            )
        )
    if scan.chosen is not None:
        figure.add_vline(x=scan.chosen, line={"color": INK, "dash": "dash", "width": 1})
        figure.add_annotation(
            x=np.log10(scan.chosen),  # annotations of a logarithmic axis are placed by the exponent
            y=1,
            yref="paper",
            text="chosen lag",
            showarrow=False,
            xanchor="left",
            xshift=4,
        )
    finite = scan.timescales[np.isfinite(scan.timescales)]
    lowest = min(float(lags.min()), float(finite.min())) if finite.size else float(lags.min())
    highest = max(float(lags.max()), float(finite.max())) if finite.size else float(lags.max())
    figure.update_xaxes(type="log", **decades(lags), title={"text": "lag time [ps]"})
    figure.update_yaxes(
        type="log",
        **decades(np.array([lowest, highest])),
        title={"text": "implied time scale [ps]"},
        range=[np.log10(lowest / 1.5), np.log10(2 * highest)],
    )
    return styled(figure, height=420)


def chapman_kolmogorov_figure(test: ChapmanKolmogorov) -> go.Figure:
    """Staying probabilities of every set: the model's prediction as a line, the data as points."""
    figure = go.Figure()
    for state in range(test.predicted.shape[1]):
        color = PALETTE[state % len(PALETTE)]
        figure.add_trace(
            go.Scatter(
                x=test.lagtimes,
                y=test.predicted[:, state, state],
                mode="lines",
                line={"color": color, "width": 2},
                name=f"set {state + 1}, model",
            )
        )
        bars = {"type": "data", "array": 1.96 * test.error[:, state, state], "thickness": 1.2}
        figure.add_trace(
            go.Scatter(
                x=test.lagtimes,
                y=test.estimated[:, state, state],
                mode="markers",
                error_y=bars,
                marker={"color": color, "size": 7},
                name=f"set {state + 1}, data",
            )
        )
    figure.update_xaxes(title={"text": "time [ps]"}, rangemode="tozero")
    staying = np.diagonal(test.estimated, axis1=1, axis2=2)
    lowest = min(float(np.nanmin(staying)), float(np.diagonal(test.predicted, axis1=1, axis2=2).min()))
    figure.update_yaxes(title={"text": "probability of being there again"}, range=[0.9 * lowest, 1.01])
    return styled(figure, height=380)


def choice_figure(choice: ModelChoice, most: int = 20) -> go.Figure:
    """Scores of the best candidates on data left out, with standard errors; the one in use is ringed."""
    figure = go.Figure()
    shown = [k for k, candidate in enumerate(choice.candidates) if not candidate.failure][:most]
    # the one in use is shown even if it is not among the best
    if choice.chosen not in shown:
        shown = [*shown[: most - 1], choice.chosen]
    families = list(dict.fromkeys(choice.candidates[k].features for k in shown))
    for number, family in enumerate(families):
        members = [choice.candidates[k] for k in shown if choice.candidates[k].features == family]
        color = PALETTE[number % len(PALETTE)]
        figure.add_trace(
            go.Scatter(
                x=[candidate.score for candidate in members],
                y=[candidate.name for candidate in members],
                mode="markers",
                error_x={
                    "type": "data",
                    "array": [candidate.error for candidate in members],
                    "thickness": 1.2,
                },
                marker={"color": color, "size": 8},
                name=family,
            )
        )
    chosen = choice.candidates[choice.chosen]
    ring = {"size": 16, "color": "rgba(0,0,0,0)", "line": {"color": INK, "width": 2}}
    figure.add_trace(
        go.Scatter(x=[chosen.score], y=[chosen.name], mode="markers", marker=ring, name="in use")
    )
    names = [choice.candidates[k].name for k in shown]
    figure.update_xaxes(title={"text": choice.score})
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    return styled(figure, height=140 + 26 * len(shown))


def populations_figure(populations: tuple[ReportedNumber, ...]) -> go.Figure:
    """State populations on a logarithmic scale, with standard errors."""
    names, values = [p.name for p in populations], [p.value for p in populations]
    errors = [p.error if np.isfinite(p.error) else 0.0 for p in populations]
    figure = go.Figure(
        go.Scatter(
            x=values,
            y=names,
            mode="markers",
            marker={"size": 10, "color": PALETTE[0]},
            error_x={"type": "data", "array": errors, "thickness": 1.5},
        )
    )
    figure.update_xaxes(type="log", **decades(np.array(values)), title={"text": "population"})
    figure.update_yaxes(autorange="reversed")
    return styled(figure, height=130 + 34 * len(populations))


def convergence_figure(course: Convergence) -> go.Figure:
    """How an estimate moved as data came in, one line with a one-standard-error band per seed."""
    figure = go.Figure()
    for repeat in range(course.values.shape[1]):
        color = PALETTE[repeat % len(PALETTE)]
        values, errors = course.values[:, repeat], np.nan_to_num(course.errors[:, repeat])
        figure.add_trace(band(course.amount, values - errors, values + errors, color))
        figure.add_trace(
            go.Scatter(
                x=course.amount,
                y=values,
                mode="lines+markers",
                name=f"seed {repeat + 1}",
                line={"color": color, "width": 2},
            )
        )
    figure.update_xaxes(title={"text": course.label})
    figure.update_yaxes(title={"text": course.unit or course.name})
    return styled(figure, height=360)


def correlation_figure(learned: VariableMeaning) -> go.Figure:
    """Table of absolute correlations between learned and physical variables."""
    figure = go.Figure(
        go.Heatmap(
            x=list(learned.physical),
            y=list(learned.names),
            z=compact(learned.correlation),
            zmin=0,
            zmax=1,
            colorscale="Blues",
            texttemplate="%{z:.2f}",
            textfont={"size": 13},
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    figure.update_yaxes(autorange="reversed")
    return styled(figure, height=120 + 38 * len(learned.names))


def learned_figure(learned: VariableMeaning) -> go.Figure:
    """The first learned variable as color over the two physical variables it follows most."""
    order = np.argsort(-learned.correlation[0], kind="stable")[:2]
    color, label = learned.values[:, 0], learned.names[0]
    horizontal = int(order[0])
    marker: dict[str, Any] = {"size": 4, "opacity": 0.7}
    if len(order) == 1:
        trace = go.Scattergl(x=learned.physical_values[:, horizontal], y=color, mode="markers", marker=marker)
        title = label
    else:
        horizontal, vertical = sorted(int(i) for i in order)
        marker |= {
            "color": compact(color),
            "colorscale": "Cividis",
            "colorbar": {"title": {"text": label}, "thickness": 12, "outlinewidth": 0},
        }
        trace = go.Scattergl(
            x=compact(learned.physical_values[:, horizontal]),
            y=compact(learned.physical_values[:, vertical]),
            mode="markers",
            marker=marker,
        )
        title = _label(learned.physical[vertical], learned.units[vertical])
    figure = go.Figure(trace)
    figure.update_xaxes(title={"text": _label(learned.physical[horizontal], learned.units[horizontal])})
    figure.update_yaxes(title={"text": title})
    return styled(figure, height=420)


def rounds_figure(visited: RoundsVisited) -> go.Figure:
    """Frames of one round, chosen by a slider, over those of all rounds before it."""
    figure, count = go.Figure(), len(visited.points)
    earlier: dict[str, Any] = {"size": 3, "color": "#BBBBBB"}
    for k, points in enumerate(visited.points):
        marker = earlier | ({"size": 5, "color": PALETTE[0]} if k == count - 1 else {})
        x, y = compact(points).T
        figure.add_trace(
            go.Scattergl(x=x, y=y, mode="markers", name=f"round {visited.numbers[k]}", marker=marker)
        )
    steps = []
    for k in range(count):
        colors = [earlier["color"]] * k + [PALETTE[0]] * (count - k)
        sizes = [earlier["size"]] * k + [5] * (count - k)
        shown = {"visible": [j <= k for j in range(count)], "marker.color": colors, "marker.size": sizes}
        steps.append({"method": "restyle", "args": [shown], "label": str(visited.numbers[k])})
    figure.update_xaxes(title={"text": _label(visited.x, visited.unit)}, **_whole_turn(visited.unit))
    figure.update_yaxes(title={"text": _label(visited.y, visited.unit)}, **_whole_turn(visited.unit))
    styled(figure, height=500)
    slider = {"active": count - 1, "currentvalue": {"prefix": "round "}, "pad": {"t": 50}, "steps": steps}
    return figure.update_layout(sliders=[slider], showlegend=False)


def _whole_turn(unit: str) -> dict:
    return {"range": [-180, 180], "tickvals": [-180, -120, -60, 0, 60, 120, 180]} if unit == "deg" else {}


def _label(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name


def _axis(axis: Axis) -> dict:
    settings = {"title": {"text": _label(axis.name, axis.unit)}, "showgrid": False}
    if axis.period is not None and axis.unit == "deg":
        settings |= {"tickmode": "array", "tickvals": [-180, -120, -60, 0, 60, 120, 180]}
    return settings
