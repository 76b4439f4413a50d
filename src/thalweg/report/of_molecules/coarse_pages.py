"""The page of a coarse model: its free energy, distributions, potentials, time scales, other temperatures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.interactions.interaction import BondedInteraction
from thalweg.coarse_graining.judgement.models import ComparedVariables, ModelComparison
from thalweg.kinetics.validation.acceleration import TimescaleComparison
from thalweg.learning.models import Model
from thalweg.report.csv_text import csv_text
from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import PageResults
from thalweg.report.rounding import significant
from thalweg.report.style import INK, PALETTE, band, compact, styled
from thalweg.report.written_files import write_files

COLUMNS = 3
"""Panels beside each other."""

MOST = 12
"""Distributions, and potentials, that are drawn; all are in the tables."""

CEILING = 10.0
"""Free energies above this [kT] have one color."""

NAMES, COLORS = ("reference", "model"), (INK, PALETTE[1])


@dataclass(frozen=True, kw_only=True)
class CoarseResults(PageResults):
    """All parts of the study.

    Attributes
    ----------
    card : what a user of the model must know of it
    model : the potential
    comparison : with the reference
    transferred : the same at other temperatures, by name
    kT : of the reference [kJ/mol]
    """

    card: Mapping[str, Any]
    model: Model
    comparison: ModelComparison
    transferred: Mapping[str, ModelComparison]
    kT: float


def write_coarse_report(results: CoarseResults, folder: Path) -> Path:
    """Write ``report.html``, and below ``results/`` distributions and potentials as CSV, numbers as JSON.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    told = {
        "card": results.card,
        "found": results.found,
        "certainty": results.certainty,
        "diagnoses": [each.sentence for each in results.diagnoses],
        "distributions": {
            one.names[0]: dict(one.comparison.headline()) for one in results.comparison.distributions
        },
        "surface": dict(results.comparison.surface.comparison.headline())
        if results.comparison.surface
        else None,
        "dynamics": _plain(results.comparison.dynamics),
        "transferred": {name: dict(one.headline()) for name, one in results.transferred.items()},
    }
    sections = (_surface, _distributions, _potentials, _radial, _dynamics, _transferred, _card)
    head = ("coordinate", "value", "reference", "model")
    rows = [
        [one.names[0], *row]
        for one in results.comparison.distributions
        for row in zip(*(each.tolist() for each in (_middles(one, 0), *_densities(one))))
    ]
    files = {
        "results/distributions.csv": lambda: csv_text(head, rows),
        "results/report.json": lambda: json.dumps(jsonable(told), indent=1) + "\n",
        "report.html": lambda: report_page(results, sections),
    }
    if isinstance(results.model, LinearCoarseModel):
        model = results.model
        found = [
            [name, float(c), float(e)] for name, c, e in zip(model.names, model.coefficients, model.errors)
        ]
        files["results/coefficients.csv"] = lambda: csv_text(
            ("function", "coefficient [kJ/mol]", "error [kJ/mol]"), found
        )
    return write_files(folder, files)


def _plain(found: TimescaleComparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {**vars(found), "one_factor": found.one_factor, "in words": found.in_words()}


def _middles(one: ComparedVariables, axis: int) -> np.ndarray:
    low, high = one.ranges[axis]
    edges = np.linspace(low, high, one.comparison.reference.shape[axis] + 1)
    return (edges[1:] + edges[:-1]) / 2


def _densities(one: ComparedVariables) -> tuple[np.ndarray, np.ndarray]:
    width = np.prod([(b - a) / n for (a, b), n in zip(one.ranges, one.comparison.reference.shape)])
    return tuple(each / each.sum() / width for each in (one.comparison.reference, one.comparison.model))


def _surface(results: CoarseResults, numbered: Figures) -> str:
    one = results.comparison.surface
    if one is None:
        return ""
    caption = (
        f"Free energy of {' and '.join(one.names)}, of the reference and of the model's own dynamics. Divergence of "
        f"Jensen and Shannon {one.comparison.divergence:.4f} nat; of the halves of the reference "
        f"{one.comparison.floor:.4f} nat, which is what a perfect model would show; error "
        f"{one.comparison.error:.2f} kT."
    )
    draw = _maps_figure if len(one.names) == 2 else _line_figure
    return "<h2>Free energy</h2>" + numbered(draw, caption, one)


def _free_energies(one: ComparedVariables) -> list[np.ndarray]:
    found = []
    for counts in (one.comparison.reference, one.comparison.model):
        with np.errstate(divide="ignore"):
            energy = -np.log(counts / counts.max())
        found.append(np.where(np.isfinite(energy), energy, np.nan))
    return found


def _maps_figure(one: ComparedVariables) -> go.Figure:
    figure = make_subplots(1, 2, horizontal_spacing=0.1, subplot_titles=NAMES, shared_yaxes=True)
    for column, energy in enumerate(_free_energies(one), start=1):
        figure.add_trace(
            go.Heatmap(
                x=_middles(one, 0),
                y=_middles(one, 1),
                z=compact(energy.T),
                zmin=0,
                zmax=min(CEILING, float(np.nanmax(energy))),
                colorscale="Cividis",
                showscale=column == 2,
                colorbar={"title": {"text": "kT"}, "thickness": 12, "outlinewidth": 0},
                hovertemplate="%{x:.3g}, %{y:.3g}<br>%{z:.2f} kT<extra></extra>",
            ),
            row=1,
            col=column,
        )
        figure.update_xaxes(title=one.names[0], row=1, col=column)
    figure.update_yaxes(title=one.names[1], row=1, col=1)
    return styled(figure, height=420)


def _line_figure(one: ComparedVariables) -> go.Figure:
    figure = go.Figure()
    for energy, name, color in zip(_free_energies(one), NAMES, COLORS):
        figure.add_scatter(x=_middles(one, 0), y=compact(energy), name=name, line={"color": color})
    figure.update_xaxes(title=one.names[0])
    figure.update_yaxes(title="free energy [kT]")
    return styled(figure, height=360)


def _distributions(results: CoarseResults, numbered: Figures) -> str:
    ranked = sorted(
        results.comparison.distributions, key=lambda one: one.comparison.floor - one.comparison.divergence
    )
    if not ranked:
        return ""
    rows = [
        (
            one.names[0],
            f"{one.comparison.divergence:.4f}",
            f"{one.comparison.floor:.4f}",
            f"{one.comparison.own_floor:.4f}",
            f"{one.comparison.error:.2f}",
        )
        for one in ranked
    ]
    head = ("coordinate", "divergence [nat]", "halves of reference", "halves of model", "error [kT]")
    caption = (
        "Distributions of internal coordinates, by kinds of beads, those first that are farthest from their floor"
        f"{'' if len(ranked) <= MOST else f'; {MOST} of {len(ranked)}, all are in results/distributions.csv'}."
    )
    return "<h2>Distributions</h2>" + table(head, rows) + numbered(_panels_figure, caption, ranked[:MOST])


def _grid(titles: list[str]) -> tuple[go.Figure, list[tuple[int, int]]]:
    rows = -(-len(titles) // COLUMNS)
    columns = min(COLUMNS, len(titles))
    spacing = min(0.16, 0.5 / rows)
    figure = make_subplots(
        rows, columns, vertical_spacing=spacing, horizontal_spacing=0.1, subplot_titles=titles
    )
    return figure, list(product(range(1, rows + 1), range(1, columns + 1)))


def _panels_figure(chosen: list[ComparedVariables]) -> go.Figure:
    figure, places = _grid([one.names[0] for one in chosen])
    for k, (one, (row, column)) in enumerate(zip(chosen, places)):
        for density, name, color in zip(_densities(one), NAMES, COLORS):
            figure.add_trace(
                go.Scatter(
                    x=_middles(one, 0),
                    y=compact(density),
                    name=name,
                    line={"color": color},
                    showlegend=k == 0,
                ),
                row=row,
                col=column,
            )
        if column == 1:
            figure.update_yaxes(title="density", row=row, col=column)
    return _above(styled(figure, height=110 + 210 * (-(-len(chosen) // COLUMNS))))


def _above(figure: go.Figure) -> go.Figure:
    """The legend above the titles of panels."""
    height = figure.layout.height
    return figure.update_layout(margin={"t": 95}, legend={"y": 1 + 40 / (height - 155)})


def _potentials(results: CoarseResults, numbered: Figures) -> str:
    model = results.model
    if not isinstance(model, LinearCoarseModel):
        return ""
    drawn, at = [], 0
    ranges = {one.names[0].rsplit(" [", 1)[0]: one.ranges[0] for one in results.comparison.distributions}
    for one in model.interactions:
        size = len(one.names)
        own = slice(at, at + size)
        at += size
        if isinstance(one, BondedInteraction) and len(one.coordinates) == 1 and one.name in ranges:
            drawn.append((one, model.coefficients[own], model.errors[own], ranges[one.name]))
    if not drawn:
        return ""
    more = len(model.interactions) - len(drawn[:MOST])
    caption = (
        "Potentials of single coordinates over the range that both visit, lowest value at zero; the band is one "
        "standard error, errors of coefficients taken as independent"
        f"{f'. {more} interactions more are not drawn' if more else ''}."
    )
    return "<h2>Potentials</h2>" + numbered(_potentials_figure, caption, drawn[:MOST])


def _potentials_figure(drawn: list[tuple]) -> go.Figure:
    units = {"distance": "nm", "angle": "rad", "dihedral": "rad"}
    figure, places = _grid([f"{one.name} [{units[one.coordinates[0].kind]}]" for one, *_ in drawn])
    for (one, coefficients, errors, (low, high)), (row, column) in zip(drawn, places):
        q = np.linspace(low, high, 121)
        values = one.coordinates[0].functions.design(q)[0]
        # a constant is no force: deviations of the functions from their means
        u, around = coefficients @ values, values - values.mean(1, keepdims=True)
        wide = np.sqrt(np.nan_to_num(errors) ** 2 @ around**2)
        u = u - u.min()
        figure.add_trace(band(q, compact(u - wide), compact(u + wide), PALETTE[0]), row=row, col=column)
        figure.add_trace(
            go.Scatter(x=q, y=compact(u), line={"color": PALETTE[0]}, showlegend=False), row=row, col=column
        )
        if column == 1:
            figure.update_yaxes(title="kJ/mol", row=row, col=column)
    return styled(figure, height=80 + 210 * (-(-len(drawn) // COLUMNS)))


def _radial(results: CoarseResults, numbered: Figures) -> str:
    if not results.comparison.radial:
        return ""
    caption = "Radial distributions of beads of different molecules."
    return "<h2>Radial distributions</h2>" + numbered(_radial_figure, caption, results.comparison)


def _radial_figure(comparison: ModelComparison) -> go.Figure:
    figure, places = _grid(list(comparison.radial))
    for k, (one, (row, column)) in enumerate(zip(comparison.radial.values(), places)):
        for curve, name, color in zip((one.reference, one.model), NAMES, COLORS):
            figure.add_trace(
                go.Scatter(x=one.r, y=compact(curve), name=name, line={"color": color}, showlegend=k == 0),
                row=row,
                col=column,
            )
        figure.update_xaxes(title="r [nm]", row=row, col=column)
    figure.update_yaxes(title="g(r)", row=1, col=1)
    return _above(styled(figure, height=150 + 240 * (-(-len(comparison.radial) // COLUMNS))))


def _dynamics(results: CoarseResults, numbered: Figures) -> str:
    found = results.comparison.dynamics
    if found is None:
        return ""
    rows = []
    for k, why in enumerate(found.shortcomings):
        factor = "none" if why else f"{significant(float(found.factors[k]))}"
        error = "" if why else f" ± {found.factors[k] * found.log_errors[k]:.2g}"
        rows.append(
            (
                str(k + 1),
                _time(found.reference[k], found.reference_errors[k]),
                _time(found.model[k], found.model_errors[k]),
                factor + error,
                why,
            )
        )
    head = ("process", "reference [ps]", "model [ps]", "acceleration", "why there is none")
    caption = (
        "Time scales of the reference's slow processes, in both dynamics, with standard errors; hollow where they are "
        "not resolved. Lines join equal times, and times of one common factor."
    )
    return (
        "<h2>Time scales</h2>"
        + table(head, rows)
        + numbered(_times_figure, caption, found)
        + f"<p>{found.in_words()[-1].capitalize()}.</p>"
    )


def _time(value: float, error: float) -> str:
    if not np.isfinite(value):
        return "none"
    return f"{value:.3g} ± {error:.2g}" if np.isfinite(error) else f"{value:.3g}"


def _times_figure(found: TimescaleComparison) -> go.Figure:
    known = np.isfinite(found.reference) & np.isfinite(found.model)
    x, y = found.reference[known], found.model[known]
    resolved = np.isfinite(found.factors)[known]
    ends = np.array([min(x.min(), y.min()) / 2, max(x.max(), y.max()) * 2])
    figure = go.Figure()
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="equal", line={"color": INK, "dash": "dot", "width": 1}
    )
    if np.isfinite(found.factor):
        figure.add_scatter(
            x=ends,
            y=ends / found.factor,
            mode="lines",
            name="one factor",
            line={"color": PALETTE[2], "width": 1},
        )
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers+text",
        text=[str(k + 1) for k in np.flatnonzero(known)],
        textposition="top left",
        name="processes",
        error_x={"array": found.reference_errors[known], "thickness": 1},
        error_y={"array": found.model_errors[known], "thickness": 1},
        marker={
            "color": PALETTE[1],
            "size": 10,
            "symbol": ["circle" if one else "circle-open" for one in resolved],
        },
    )
    figure.update_xaxes(title="reference [ps]", type="log")
    figure.update_yaxes(title="model [ps]", type="log")
    return styled(figure, height=420)


def _transferred(results: CoarseResults, _: Figures) -> str:
    if not results.transferred:
        return ""
    own = results.comparison.surface
    rows = [("of the fit", *_numbers(own))]
    rows += [(name, *_numbers(one.surface)) for name, one in results.transferred.items()]
    head = ("temperature", "divergence [nat]", "halves of the reference", "error [kT]")
    return (
        "<h2>Other temperatures</h2>"
        + table(head, rows)
        + '<p class="caption">The same potential simulated at another temperature, beside atoms there. A free energy '
        "of beads has an entropy in it, and is not expected to hold elsewhere.</p>"
    )


def _numbers(one: ComparedVariables | None) -> tuple[str, str, str]:
    if one is None:
        return "none", "none", "none"
    found = one.comparison
    return f"{found.divergence:.4f}", f"{found.floor:.4f}", f"{found.error:.2f}"


def _card(results: CoarseResults, _: Figures) -> str:
    rows = []
    for name, value in results.card.items():
        if isinstance(value, Mapping):
            rows += [(f"{name}, {key}", _short(own)) for key, own in value.items()]
        else:
            rows.append((name, _short(value)))
    return (
        "<h2>Card of the model</h2>"
        + table(("", ""), rows)
        + '<p class="caption">In Python: thalweg.coarse_graining.LinearCoarseModel.load("model.thalweg").energy() runs '
        "in every engine of this package.</p>"
    )


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list):
        text = ", ".join(map(_short, value))
        return text if len(text) < 200 else f"{text[:200]} ... ({len(value)} in all)"
    return "none" if value is None else str(value)
