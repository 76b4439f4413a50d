"""The figures of a learned potential's report: one function per kind of result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from thalweg.report.of_potentials.results import (
    CurveLine,
    ErrorCourse,
    ForceUncertainty,
    Front,
    Judged,
    TrainingCourse,
    Trust,
)
from thalweg.report.style import INK, PALETTE, compact, decades, styled

COLORS = {"training": "#9AA0A6", "validation": PALETTE[4], "test": PALETTE[0]}
"""Of the sets whose names are known."""

WIDE = 30.0
"""Largest over smallest error from which axes are logarithmic."""


def parity_figure(sets: Sequence[Judged]) -> go.Figure:
    """Predictions against labels, and below them what is left, for energies per atom and force components."""
    panels = [
        (attribute, name, unit)
        for attribute, name, unit in (
            ("energies", "energy per atom", "eV"),
            ("forces", "force component", "eV/Å"),
        )
        if any(len(getattr(each, attribute)) for each in sets)
    ]
    figure = make_subplots(
        2,
        len(panels),
        row_heights=[0.68, 0.32],
        vertical_spacing=0.06,
        horizontal_spacing=0.16,
        shared_xaxes=True,
    )
    for column, (attribute, name, unit) in enumerate(panels, start=1):
        # above: predictions against labels and the diagonal; below: what is left, a thousandth of the unit
        everything = np.concatenate([getattr(each, attribute) for each in sets])
        low, high = float(everything[:, 0].min()), float(everything[:, 0].max())
        line = {"color": INK, "width": 1, "dash": "dot"}
        for row, ends in ((1, [low, high]), (2, [0, 0])):
            figure.add_trace(
                go.Scatter(
                    x=[low, high], y=ends, mode="lines", line=line, showlegend=False, hoverinfo="skip"
                ),
                row=row,
                col=column,
            )
        for k, each in enumerate(sets):
            points = getattr(each, attribute)
            if not len(points):
                continue
            marker = {
                "size": 5 if len(points) < 500 else 3,
                "color": _color_of(each.name, k),
                "opacity": 0.55,
            }
            error = 1e3 * (points[:, 1] - points[:, 0])
            for row, values in ((1, points[:, 1]), (2, error)):
                figure.add_trace(
                    go.Scattergl(
                        x=compact(points[:, 0]),
                        y=compact(values),
                        mode="markers",
                        marker=marker,
                        name=each.name,
                        legendgroup=each.name,
                        showlegend=row == 1 and column == 1,
                    ),
                    row=row,
                    col=column,
                )
        figure.update_yaxes(title={"text": f"predicted {name} [{unit}]"}, row=1, col=column)
        figure.update_yaxes(title={"text": f"error [m{unit}]"}, row=2, col=column)
        figure.update_xaxes(title={"text": f"labeled {name} [{unit}]"}, row=2, col=column)
    return styled(figure, height=620)


def element_figure(errors: Mapping[str, Mapping[str, tuple[float, float]]]) -> go.Figure:
    """Mean absolute force error of each element, a bar per set; the line above it is the root mean square."""
    figure = go.Figure()
    for k, (name, elements) in enumerate(errors.items()):
        mae, rmse = np.array(list(elements.values())).T
        above = {"type": "data", "symmetric": False, "array": rmse - mae, "thickness": 1.2, "width": 4}
        figure.add_trace(
            go.Bar(x=list(elements), y=mae, name=name, marker={"color": _color_of(name, k)}, error_y=above)
        )
    figure.update_xaxes(title={"text": "element"})
    figure.update_yaxes(title={"text": "force error [meV/Å]"}, rangemode="tozero")
    figure = styled(figure, height=360)
    return figure.update_layout(bargap=0.35, showlegend=True)


def courses_figure(courses: Sequence[ErrorCourse]) -> go.Figure:
    """Force errors along distances, side by side."""
    figure = make_subplots(1, len(courses), horizontal_spacing=0.14)
    for column, course in enumerate(courses, start=1):
        for name, values, color in (("RMSE", course.rmse, PALETTE[1]), ("MAE", course.mae, PALETTE[0])):
            figure.add_trace(
                go.Scatter(
                    x=course.centers,
                    y=values,
                    mode="lines+markers",
                    name=name,
                    line={"color": color, "width": 2},
                    showlegend=column == 1,
                ),
                row=1,
                col=column,
            )
        title = f"{course.name} [{course.unit}]" if course.unit else course.name
        figure.update_xaxes(title={"text": title}, col=column)
        figure.update_yaxes(title={"text": "force error [meV/Å]"}, rangemode="tozero", col=column)
    return styled(figure, height=380)


def learning_curve_figure(lines: Sequence[CurveLine]) -> go.Figure:
    """Errors against the number of training frames, both logarithmic, with standard errors over splits."""
    figure = make_subplots(1, len(lines), horizontal_spacing=0.16)
    for column, line in enumerate(lines, start=1):
        figure.add_trace(
            go.Scatter(
                x=line.sizes,
                y=line.mae,
                mode="lines+markers",
                error_y={"type": "data", "array": np.nan_to_num(line.error), "thickness": 1.5},
                line={"color": PALETTE[column - 1], "width": 2},
                marker={"size": 8},
                showlegend=False,
            ),
            row=1,
            col=column,
        )
        figure.update_xaxes(
            type="log",
            tickmode="array",
            tickvals=line.sizes,
            ticktext=[f"{size}" for size in line.sizes],
            title={"text": "training frames"},
            col=column,
        )
        # the axis holds points and their bars, but no bar that would reach below half of its point
        bars = np.nan_to_num(line.error)
        lowest = float(np.maximum(line.mae - bars, 0.5 * line.mae).min()) / 1.15
        highest = float((line.mae + bars).max()) * 1.15
        figure.update_yaxes(
            type="log",
            **_ticks(lowest, highest),
            title={"text": f"{line.label} MAE [{line.unit}]"},
            range=[np.log10(lowest), np.log10(highest)],
            col=column,
        )
    return styled(figure, height=380)


def uncertainty_figure(uncertainty: ForceUncertainty) -> go.Figure:
    """Residuals against claimed deviations in bins, and coverage at all levels."""
    figure = make_subplots(1, 2, horizontal_spacing=0.16)
    # left, on one scale both ways: logarithmic where errors differ by more than WIDE, else from zero
    both = np.concatenate([uncertainty.claimed, uncertainty.rmse])
    wide = both.min() > 0 and both.max() > WIDE * both.min()
    ends = [0.8 * float(both.min()) if wide else 0.0, (1.25 if wide else 1.08) * float(both.max())]
    axes = {"type": "log", "range": np.log10(ends).tolist()} if wide else {"range": ends}
    # what is claimed is so where points lie on the diagonal
    for column, ideal in ((1, ends), (2, [0, 1])):
        figure.add_trace(
            go.Scatter(
                x=ideal,
                y=ideal,
                mode="lines",
                name="as claimed",
                line={"color": INK, "width": 1, "dash": "dot"},
                showlegend=column == 1,
                hoverinfo="skip",
            ),
            row=1,
            col=column,
        )
    figure.add_trace(
        go.Scatter(
            x=uncertainty.claimed,
            y=uncertainty.rmse,
            mode="markers",
            marker={"size": 9, "color": PALETTE[0]},
            error_y={"type": "data", "array": uncertainty.error, "thickness": 1.5},
            name="observed",
        ),
        row=1,
        col=1,
    )
    figure.add_trace(
        go.Scatter(
            x=uncertainty.levels,
            y=uncertainty.observed,
            mode="lines+markers",
            line={"color": PALETTE[0], "width": 2},
            showlegend=False,
        ),
        row=1,
        col=2,
    )
    figure.update_xaxes(title={"text": "claimed deviation [meV/Å]"}, **axes, col=1)
    figure.update_yaxes(title={"text": "RMS force error [meV/Å]"}, **axes, col=1)
    figure.update_xaxes(title={"text": "claimed coverage"}, range=[0, 1], col=2)
    figure.update_yaxes(title={"text": "observed coverage"}, range=[0, 1], col=2)
    return styled(figure, height=400)


def trust_figure(trust: Trust) -> go.Figure:
    """Force errors of frames against deviations claimed for them, and from where on alarms are raised."""
    figure = go.Figure()
    raised = trust.raised
    for name, chosen, color in (("no alarm", ~raised, PALETTE[0]), ("alarm", raised, PALETTE[1])):
        if chosen.any():
            figure.add_trace(
                go.Scatter(
                    x=compact(trust.claimed[chosen]),
                    y=compact(trust.error[chosen]),
                    text=[f"frame {k} of {file}" for (file, k), own in zip(trust.places, chosen) if own],
                    mode="markers",
                    marker={"size": 6, "color": color, "opacity": 0.7},
                    name=name,
                )
            )
    if np.isfinite(trust.limit):
        figure.add_hline(trust.limit, line={"color": INK, "width": 1, "dash": "dot"})
        # alarms begin between the largest claim without one and the smallest with one, drawn at their geometric mean
        if raised.any() and not raised.all():
            between = np.sqrt(trust.claimed[~raised].max() * trust.claimed[raised].min())
            figure.add_vline(between, line={"color": INK, "width": 1, "dash": "dash"})
    figure.update_xaxes(title={"text": "claimed deviation [meV/Å]"}, type="log", dtick="D2")
    figure.update_yaxes(title={"text": "RMS force error [meV/Å]"}, type="log", dtick="D2")
    return styled(figure, height=420)


def front_figure(front: Front) -> go.Figure:
    """Held-out force error against energy error as the weights change, by color that of stress; the study is marked."""
    order = np.argsort(front.energy, kind="stable")
    stressed = front.stress is not None
    shown = [front.weight[order], front.stress[order] if stressed else np.full(len(order), np.nan)]
    marker: dict = {"size": 7}
    if stressed:
        title = {"text": "stress [meV/√atoms]"}
        marker = {
            "size": 9,
            "color": front.stress[order],
            "colorscale": "Viridis",
            "colorbar": {"title": title},
        }
    figure = go.Figure(
        go.Scatter(
            x=front.energy[order],
            y=front.force[order],
            mode="markers" if stressed else "lines+markers",
            line={"color": PALETTE[0], "width": 2},
            marker=marker,
            name="weights from forces to energies",
            customdata=np.stack(shown, 1),
            hovertemplate="%{x:.3g} meV/√atoms, %{y:.3g} meV/Å<br>energy error x %{customdata[0]:.3g}"
            + ("<br>stress %{customdata[1]:.3g} meV/√atoms" if stressed else "")
            + "<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[front.study[0]],
            y=[front.study[1]],
            mode="markers",
            marker={"size": 15, "symbol": "circle-open", "color": PALETTE[1], "line": {"width": 3}},
            name="this study",
        )
    )
    figure.update_layout(showlegend=True, legend={"orientation": "h"})
    figure.update_xaxes(title={"text": "held-out energy RMSE [meV/√atoms]"})
    figure.update_yaxes(title={"text": "held-out force RMSE [meV/Å]"})
    return styled(figure, height=400)


def training_figure(courses: Sequence[TrainingCourse]) -> go.Figure:
    """Losses by epoch on a logarithmic scale; the kept epoch is marked."""
    figure = go.Figure()
    for k, course in enumerate(courses):
        epochs, color = np.arange(1, len(course.training) + 1), PALETTE[k % len(PALETTE)]
        prefix = f"{course.name}, " if len(courses) > 1 else ""
        figure.add_trace(
            go.Scatter(
                x=epochs,
                y=compact(course.training),
                mode="lines",
                name=f"{prefix}training",
                line={"color": color, "width": 1.5, "dash": "dot"},
            )
        )
        if np.isfinite(course.held_out).any():
            figure.add_trace(
                go.Scatter(
                    x=epochs,
                    y=compact(course.held_out),
                    mode="lines",
                    name=f"{prefix}held out",
                    line={"color": color, "width": 2},
                )
            )
            figure.add_trace(
                go.Scatter(
                    x=[course.best + 1],
                    y=[course.held_out[course.best]],
                    mode="markers",
                    name=f"{prefix}kept",
                    marker={"size": 12, "symbol": "circle-open", "color": color, "line": {"width": 2}},
                )
            )
    figure.update_xaxes(title={"text": "epoch"})
    values = np.concatenate([np.concatenate([course.training, course.held_out]) for course in courses])
    figure.update_yaxes(type="log", **decades(values), title={"text": "loss, relative to predicting zero"})
    return styled(figure, height=380)


def _ticks(lowest: float, highest: float) -> dict:
    """Ticks of a logarithmic axis, as many as a short one needs."""
    mantissas = (1, 2, 5) if highest / lowest > 20 else (1, 1.5, 2, 3, 4, 5, 7)
    powers = np.arange(np.floor(np.log10(lowest)), np.ceil(np.log10(highest)) + 1)
    ticks = [mantissa * 10.0**power for power in powers for mantissa in mantissas]
    ticks = [tick for tick in ticks if lowest <= tick <= highest]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:.6g}" for tick in ticks]}


def _color_of(name: str, number: int) -> str:
    """Color of a set."""
    return COLORS.get(name, PALETTE[number % len(PALETTE)])
