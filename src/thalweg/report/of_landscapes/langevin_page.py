"""The page of motion along a variable: profiles with errors, rates by every route, and whether the model is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go

from thalweg.report.of_landscapes.langevin_results import DrawnProfile, LangevinResults
from thalweg.report.page_parts import Figures, citation_list, document, in_order, provenance, summary, table
from thalweg.report.rounding import significant, with_error
from thalweg.report.style import INK, PALETTE, band, decades, styled

DECADE = 5.0
"""Ratio of the largest to the smallest value from which on a positive function is drawn over decades."""


def langevin_page(results: LangevinResults) -> str:
    """The whole page; what is absent is left out."""
    sections: Sequence[Callable[[LangevinResults, Figures], str]] = (
        _summary,
        _profiles,
        _rates,
        _ranking,
        _residuals,
        _provenance,
        _citations,
    )
    return document(results.title, in_order(results, sections))


def _profile_figure(profile: DrawnProfile) -> go.Figure:
    """A function with its 95 % band."""
    x, values, wide = profile.x, profile.values, 1.96 * profile.errors
    lower, upper = values - wide, values + wide
    if profile.logarithmic:
        # errors of what is positive are relative
        factor = np.exp(wide / np.maximum(np.abs(values), 1e-300))
        lower, upper = values / factor, values * factor
    figure = go.Figure(band(x, lower, upper, PALETTE[0]))
    line = {"color": PALETTE[0], "width": 2}
    figure.add_trace(go.Scatter(x=x, y=values, mode="lines", line=line, name=profile.quantity))
    figure.update_xaxes(title={"text": profile.along})
    figure.update_yaxes(title={"text": profile.quantity})
    ends = np.array([np.nanmin(lower), np.nanmax(upper)])
    if profile.logarithmic and ends[1] > DECADE * ends[0]:
        figure.update_yaxes(type="log", **decades(ends), range=np.log10(ends * [0.8, 1.25]).tolist())
    return styled(figure, height=360).update_layout(showlegend=False)


def _residuals_figure(correlations: np.ndarray, chance: float) -> go.Figure:
    """Correlations of what the model leaves unexplained, and the band within which chance alone would put them."""
    steps = np.arange(1, len(correlations) + 1)
    figure = go.Figure(band(np.array([0.5, len(steps) + 0.5]), np.full(2, -chance), np.full(2, chance), INK))
    figure.add_trace(go.Bar(x=steps, y=correlations, marker={"color": PALETTE[0]}, width=0.4))
    figure.update_xaxes(title={"text": "steps apart"}, dtick=1)
    figure.update_yaxes(title={"text": "correlation of residuals"})
    return styled(figure, height=300).update_layout(showlegend=False)


def _summary(results: LangevinResults, _: Figures) -> str:
    answers = (
        ("What was modeled", results.modeled),
        ("What was found", results.found),
        ("How sure", results.certainty),
    )
    return summary(results.title, results.subtitle, answers, results.diagnoses)


def _profiles(results: LangevinResults, numbered: Figures) -> str:
    parts = ["<h2>Along the variable</h2>"]
    for profile in results.profiles:
        name = profile.quantity.rsplit(" [", 1)[0].capitalize()
        parts.append(numbered(_profile_figure, f"{name} with its 95 % band.", profile))
    return "\n".join(parts)


def _rates(results: LangevinResults, _: Figures) -> str:
    if not results.rates:
        return ""
    rows = [
        (
            each.route,
            with_error(each.forward, each.error, "1/ps")
            if np.isfinite(each.error)
            else f"{significant(each.forward)} 1/ps",
            f"{significant(each.backward)} 1/ps",
            f"{significant(1 / each.forward)} ps" if each.forward > 0 else "",
        )
        for each in results.rates
    ]
    return (
        "<h2>Rates</h2>"
        + table(("route", "left to right", "right to left", "mean time, left to right"), rows)
        + '<p class="caption">All of the one fitted model: the exact generator and the simulation know everything that '
        "it says, the formulas take wells and barrier for parabolas. Where they differ, believe the generator.</p>"
    )


def _ranking(results: LangevinResults, _: Figures) -> str:
    if len(results.ranked) < 2:
        return ""
    rows = [(name, with_error(time, error, "ps")) for name, time, error in results.ranked]
    return (
        "<h2>Which variable</h2>"
        + table(("variable", "slowest relaxation of a model along it"), rows)
        + '<p class="caption">A model along a poor variable is faster than the process: the slowest is nearest to the '
        "truth.</p>"
    )


def _residuals(results: LangevinResults, numbered: Figures) -> str:
    values, chance = results.correlations
    if not len(values):
        return ""
    caption = (
        "Correlations of what the model leaves unexplained; the gray band holds 99 % of those that chance makes. A "
        "right model leaves nothing that the past could tell."
    )
    return "<h2>Is the model right?</h2>" + numbered(_residuals_figure, caption, values, chance)


def _provenance(results: LangevinResults, _: Figures) -> str:
    return provenance(results.provenance)


def _citations(results: LangevinResults, _: Figures) -> str:
    return citation_list(results.citations)
