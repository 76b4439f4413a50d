"""The page of a potential made by active learning: what it cost, how it got better, why it ended, whether it holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import PageResults
from thalweg.report.rounding import significant
from thalweg.report.style import PALETTE, styled
from thalweg.report.written_files import write_files
from thalweg.sampling.policies.active_learning import CycleRecord
from thalweg.units import unit


@dataclass(frozen=True, kw_only=True)
class CampaignResults(PageResults):
    """What a campaign came to.

    Attributes
    ----------
    cycles : what each had to tell, in order
    error : force error that was wanted [kJ/mol/nm]
    duration : of walks [ps]
    ended : which rule fired, in words
    checks : what was tried with the finished potential, and what came of it
    card : what the model says of itself
    """

    cycles: tuple[CycleRecord, ...]
    error: float
    duration: float
    ended: str
    checks: tuple[tuple[str, str], ...]
    card: dict[str, str]


def write_campaign_report(results: CampaignResults, folder: Path) -> Path:
    """Write ``report.html`` and ``results/report.json``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    return write_files(
        folder,
        {
            "results/report.json": lambda: json.dumps(jsonable(results), indent=1) + "\n",
            "report.html": lambda: _page(results),
        },
    )


def _page(results: CampaignResults) -> str:
    """The whole page; what is absent is left out."""
    sections = (_course, _cycles, _checks, _card)
    return report_page(results, sections)


def _course(results: CampaignResults, numbered: Figures) -> str:
    if not results.cycles:
        return ""
    errors = (
        "Root mean square error of force components on frames that nothing was taught of, by the labels bought; the "
        "dashed line is what was wanted."
    )
    times = (
        "Time until walkers stopped because the potential was unsure: the first of them, and half of them. At the "
        "dashed line, where walks end, they are lower bounds."
    )
    return (
        "<h2>How it got better</h2>"
        + numbered(_errors_figure, errors, results)
        + numbered(_times_figure, times, results)
    )


def _errors_figure(results: CampaignResults) -> go.Figure:
    """Force errors by labels."""
    one = unit("meV/Å", "force")
    figure = go.Figure()
    labels = [each.labels for each in results.cycles]
    _line(figure, labels, [each.force_error / one for each in results.cycles], "test frames", PALETTE[0])
    alarms = [None if each.by_grade else each.threshold / one for each in results.cycles]
    if any(value is not None for value in alarms):
        _line(figure, labels, alarms, "error about which walkers stop", PALETTE[1])
    figure.add_hline(results.error / one, line={"dash": "dash", "color": PALETTE[6]})
    figure.update_xaxes(title={"text": "labels"})
    figure.update_yaxes(title={"text": "force error [meV/Å]"}, type="log")
    return styled(figure, height=420)


def _times_figure(results: CampaignResults) -> go.Figure:
    """Times until walkers stopped, by labels."""
    figure = go.Figure()
    labels = [each.labels for each in results.cycles]
    _line(figure, labels, [each.shortest_time for each in results.cycles], "first of the walkers", PALETTE[0])
    _line(figure, labels, [each.typical_time for each in results.cycles], "half of the walkers", PALETTE[2])
    figure.add_hline(results.duration, line={"dash": "dash", "color": PALETTE[6]})
    figure.update_xaxes(title={"text": "labels"})
    figure.update_yaxes(title={"text": "time until unsure [ps]"}, rangemode="tozero")
    return styled(figure, height=380)


def _line(figure, x, y, name, color):
    figure.add_trace(
        go.Scatter(x=x, y=y, mode="lines+markers", name=name, line={"color": color}, marker={"size": 7})
    )


def _cycles(results: CampaignResults, _: Figures) -> str:
    if not results.cycles:
        return ""
    one = unit("meV/Å", "force")
    header = (
        "labels", "force error [meV/Å]", "energy error [meV/atom]", "alarm at", "first stop [ps]", "half stopped [ps]",
        "lasted", "broke",
    )  # fmt: skip
    rows = [
        (
            str(each.labels),
            significant(each.force_error / one),
            significant(each.energy_error / unit("meV", "energy")),
            f"grade {each.threshold:.2g}" if each.by_grade else f"{each.threshold / one:.0f} meV/Å",
            f"{each.shortest_time:g}",
            f"{each.typical_time:g}",
            f"{100 * each.lasted:.0f} %",
            str(each.broken),
        )
        for each in results.cycles
    ]
    return f"<h2>Cycles</h2><p>{results.ended}</p>" + table(header, rows)


def _checks(results: CampaignResults, _: Figures) -> str:
    return "<h2>Does it hold?</h2>" + table(("", ""), results.checks) if results.checks else ""


def _card(results: CampaignResults, _: Figures) -> str:
    return "<h2>Card of the model</h2>" + table(("", ""), results.card.items()) if results.card else ""
