"""The report as one self-contained page: opens offline, prints well, and loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from thalweg.report import figures
from thalweg.report.page_parts import Figures, citation_list, document, in_order, provenance, summary, table
from thalweg.report.results import Results
from thalweg.report.rounding import significant, with_error
from thalweg.report.viewer import viewer


def page(results: Results) -> str:
    """The whole page for ``results``, sections in reading order; what is absent is left out."""
    sections: Sequence[Callable[[Results, Figures], str]] = (
        _summary,
        _numbers,
        _surfaces,
        _choice,
        _timescales,
        _states,
        _rounds,
        _learned,
        _convergence,
        _cost,
        _provenance,
        _citations,
    )
    body = in_order(results, sections)
    return document(results.title, body, in_order(results, (_viewer,)))


def _viewer(results: Results, _: Figures) -> str:
    shown = results.molecule is not None and any(len(state.structures) for state in results.states)
    return viewer(results.molecule, results.states) if shown else ""


def _summary(results: Results, _: Figures) -> str:
    answers = (
        ("What was simulated", results.simulated),
        ("What was found", results.found),
        ("How sure", results.certainty),
    )
    return summary(results.title, results.subtitle, answers, results.diagnoses)


def _numbers(results: Results, _: Figures) -> str:
    if not results.estimates:
        return ""
    header = ["quantity", "estimate", "verdict"]
    rows = [[e.name, with_error(e.value, e.error, e.unit), e.remark] for e in results.estimates]
    if any(e.repeats for e in results.estimates):
        header.insert(2, "each seed")
        for row, estimate in zip(rows, results.estimates):
            row.insert(2, "; ".join(with_error(*repeat) for repeat in estimate.repeats))
    note = '<p class="caption">± is one standard error.</p>'
    return "<h2>Numbers</h2>" + table(header, rows) + note


def _surfaces(results: Results, numbered: Figures) -> str:
    if not results.surfaces:
        return ""
    parts = ["<h2>Free energy</h2>"]
    for surface in results.surfaces:
        parts.append(f"<h3>Over {escape(surface.name)}</h3>")
        caption = "Free energy, contours every 5 kJ/mol, and its standard error. White: never visited."
        parts.append(numbered(figures.surface_figure, caption, surface))
        if len(surface.by_seed) > 1:
            caption = "The same surface from each seed alone: what they do not share is not known."
            parts.append(numbered(figures.seeds_figure, caption, surface))
    return "\n".join(parts)


def _choice(results: Results, numbered: Figures) -> str:
    choice = results.choice
    if choice is None:
        return ""
    caption = (
        "Scores on trajectories left out, with standard errors; ringed: the simplest of those within one error of the "
        "best, in use here."
    )
    parts = ["<h2>Which model</h2>", numbered(figures.choice_figure, caption, choice)]
    failures = [(one.name, one.failure) for one in choice.candidates if one.failure]
    if failures:
        parts.append(table(("no model", "why"), failures))
    return "\n".join(parts)


def _timescales(results: Results, numbered: Figures) -> str:
    parts = []
    if results.timescales is not None:
        caption = (
            "Implied time scales of the Markov model with 95 % bands. Where the lines are flat the model "
            "does not depend on the lag; inside the gray region the lag is longer than the process."
        )
        parts.append(numbered(figures.timescales_figure, caption, results.timescales))
    if results.chapman_kolmogorov is not None:
        caption = (
            "Chapman-Kolmogorov test: lines are predicted by the model, points with 95 % bars are counted."
        )
        parts.append(numbered(figures.chapman_kolmogorov_figure, caption, results.chapman_kolmogorov))
    return "\n".join(["<h2>Slow processes</h2>", *parts]) if parts else ""


def _states(results: Results, numbered: Figures) -> str:
    if not results.states:
        return ""
    shown = list(dict.fromkeys(name for state in results.states for name in state.center))
    rows = [
        (
            s.name,
            with_error(s.population.value, s.population.error),
            str(s.frames),
            *(s.center.get(n, "") for n in shown),
        )
        for s in results.states
    ]
    parts = ["<h2>States</h2>", table(("state", "population", "stored frames", *shown), rows)]
    known = tuple(s.population for s in results.states if s.population.value > 0)
    if known:
        caption = "Populations with one standard error, on a logarithmic scale."
        parts.append(numbered(figures.populations_figure, caption, known))
    if results.molecule is not None:
        parts.append("<h3>What they look like</h3>" + _viewer_place(results))
    return "\n".join(parts)


def _viewer_place(results: Results) -> str:
    buttons, number = [], 0
    for state in results.states:
        for copy in range(len(state.structures)):
            label = state.name if len(state.structures) == 1 else f"{state.name}, {copy + 1}"
            pressed = "true" if number == 0 else "false"
            buttons.append(
                f'<button data-structure="{number}" aria-pressed="{pressed}">{escape(label)}</button>'
            )
            number += 1
    return (
        f'<div class="buttons">{"".join(buttons)}</div>'
        '<iframe id="viewer" title="representative structures in 3D"></iframe>'
        '<p class="caption">Drag to turn, scroll to zoom. These are stored frames, not averages.</p>'
    )


def _learned(results: Results, numbered: Figures) -> str:
    learned = results.learned
    if learned is None:
        return ""
    return "\n".join(
        [
            "<h2>What the learned variables mean</h2>",
            numbered(
                figures.correlation_figure,
                "Absolute correlation with physical variables; angles enter by their sine and cosine.",
                learned,
            ),
            numbered(
                figures.learned_figure,
                f"{learned.names[0]} over the physical variables it follows most; points are stored frames.",
                learned,
            ),
        ]
    )


def _rounds(results: Results, numbered: Figures) -> str:
    visited = results.rounds
    if visited is None:
        return ""
    caption = (
        "Frames of the round that the slider shows, biased or not, and in gray those of the rounds before."
    )
    return "<h2>Where each round went</h2>" + numbered(figures.rounds_figure, caption, visited)


def _convergence(results: Results, numbered: Figures) -> str:
    if not results.convergence:
        return ""
    drawn = [
        numbered(
            figures.convergence_figure, f"{course.name} as data came in, band: one standard error.", course
        )
        for course in results.convergence
    ]
    return "\n".join(["<h2>Convergence</h2>", *drawn])


def _cost(results: Results, _: Figures) -> str:
    cost = results.cost
    if cost is None:
        return ""
    rows = [
        ("steps, all replicas", f"{cost.steps:,}"),
        ("simulated time", f"{significant(cost.nanoseconds, 4)} ns"),
        ("tasks", str(cost.tasks)),
        ("work", f"{significant(cost.seconds / 60, 3)} min, summed over workers"),
        ("speed", f"{significant(cost.nanoseconds_per_day, 3)} ns/day per worker"),
    ]
    return "<h2>Cost</h2>" + table(("", ""), rows)


def _provenance(results: Results, _: Figures) -> str:
    return provenance(results.provenance)


def _citations(results: Results, _: Figures) -> str:
    return citation_list(results.citations)
