"""The report of a learned potential as one page that opens offline, in the look of all reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from thalweg.report.of_potentials import figures
from thalweg.report.of_potentials.results import PotentialResults, Trust
from thalweg.report.page_parts import Figures, citation_list, document, in_order, provenance, summary, table
from thalweg.report.rounding import significant, with_error

LISTED = 20
"""Doubtful frames that a page shows."""


def potential_page(results: PotentialResults) -> str:
    """The whole page, sections in reading order; what is absent is left out."""
    sections: Sequence[Callable[[PotentialResults, Figures], str]] = (
        _summary,
        _errors,
        _parity,
        _places,
        _curve,
        _uncertainty,
        _trust,
        _front,
        _training,
        _card,
        _provenance,
        _citations,
    )
    return document(results.title, in_order(results, sections))


def _summary(results: PotentialResults, _: Figures) -> str:
    answers = (
        ("What was done", results.fitted),
        ("How good it is", results.accuracy),
        ("How sure", results.certainty),
    )
    return summary(results.title, results.subtitle, answers, results.diagnoses)


def _errors(results: PotentialResults, _: Figures) -> str:
    labels = list(dict.fromkeys((row[0], row[1]) for each in results.sets for row in each.rows))
    if not labels:
        return ""
    header = ("label", *(f"{each.name} ({each.frames} frames)" for each in results.sets))
    rows = []
    for label, unit in labels:
        cells = []
        for each in results.sets:
            errors = next((row for row in each.rows if row[0] == label), None)
            cells.append("" if errors is None else f"{significant(errors[2])} / {significant(errors[3])}")
        rows.append((f"{label} [{unit}]", *cells))
    note = '<p class="caption">Mean absolute / root mean square error; of forces and stress by component.</p>'
    return "<h2>Errors</h2>" + table(header, rows) + note


def _parity(results: PotentialResults, numbered: Figures) -> str:
    drawn = [each for each in results.sets if len(each.energies) or len(each.forces)]
    if not drawn:
        return ""
    sampled = any(len(each.forces) < each.components for each in drawn)
    caption = (
        "Predictions against labels, and their difference below. Energies are less those of isolated atoms."
    )
    caption += " Of the force components, a random sample is shown." if sampled else ""
    return "<h2>Predictions against labels</h2>" + numbered(figures.parity_figure, caption, drawn)


def _places(results: PotentialResults, numbered: Figures) -> str:
    parts = []
    elements = {name: errors for name, errors in results.by_element.items() if errors}
    if len({element for errors in elements.values() for element in errors}) > 1:
        caption = "Force error by element: bars are mean absolute, the line above a bar ends at the root mean square."
        parts.append(numbered(figures.element_figure, caption, elements))
    if results.courses:
        caption = "Force error of atoms in equally filled groups by distance."
        if any("training" in course.name for course in results.courses):
            caption += (
                " The distance to the training set is between features of environments, in units of their spread: "
                "where the error rises with it, frames like those would help."
            )
        parts.append(numbered(figures.courses_figure, caption, results.courses))
    return "\n".join(["<h2>Where errors are</h2>", *parts]) if parts else ""


def _curve(results: PotentialResults, numbered: Figures) -> str:
    if not results.curve:
        return ""
    rows = [
        (
            line.label,
            *(with_error(value, error, line.unit) for value, error in zip(line.mae, line.error)),
            f"{line.exponent:.2f}",
        )
        for line in results.curve
    ]
    header = ("label", *(f"{size} frames" for size in results.curve[0].sizes), "exponent")
    caption = (
        "Mean absolute error on the test frames against the number of training frames; bars are standard errors over "
        "random draws."
    )
    return (
        "<h2>Learning curve</h2>"
        + numbered(figures.learning_curve_figure, caption, results.curve)
        + table(header, rows)
    )


def _uncertainty(results: PotentialResults, numbered: Figures) -> str:
    uncertainty = results.uncertainty
    if uncertainty is None:
        return ""
    caption = (
        f"Left: force errors on the {uncertainty.on} frames against the deviations claimed for them, in equally filled "
        "bins with standard errors. Right: the fraction of errors inside intervals that should hold a given fraction."
    )
    return "<h2>Uncertainty</h2>" + numbered(figures.uncertainty_figure, caption, uncertainty)


def _trust(results: PotentialResults, numbered: Figures) -> str:
    trust = results.trust
    if trust is None:
        return ""
    doubted = [int(k) for k in trust.order if trust.verdicts[k]]
    text = f"<p>{len(doubted)} of {len(trust.places)} frames are in doubt.</p>"
    if np.isfinite(trust.claimed).any() and np.isfinite(trust.error).any():
        caption = (
            "Force error of each frame against the deviation claimed for it, without its label. Right of the dashed "
            "line alarms are raised; above the dotted line they should be."
        )
        text += numbered(figures.trust_figure, caption, trust)
    return "<h2>Frames to distrust</h2>" + text + _doubted_frames(trust, doubted)


def _doubted_frames(trust: Trust, doubted: Sequence[int]) -> str:
    """The worst of the doubted frames, with what is known of each."""
    if not doubted:
        return ""
    columns = (
        ("force error, RMS [meV/Å]", trust.error, significant),
        ("claimed deviation [meV/Å]", trust.claimed, significant),
        (f"probability of more than {significant(trust.limit)} meV/Å", trust.odds, "{:.1%}".format),
        ("extrapolation grade", trust.grade, significant),
    )
    # columns that say nothing of any frame are left out
    shown = [(name, values, written) for name, values, written in columns if np.isfinite(values).any()]
    rows = [
        (
            *map(str, trust.places[k]),
            *("" if np.isnan(values[k]) else written(float(values[k])) for _, values, written in shown),
            trust.verdicts[k],
        )
        for k in doubted[:LISTED]
    ]
    more = f" The first {LISTED} are shown." if len(doubted) > LISTED else ""
    note = f'<p class="caption">Worst first; all frames are in results/frames.csv.{more}</p>'
    return table(("file", "frame", *(name for name, _, _ in shown), "verdict"), rows) + note


def _front(results: PotentialResults, numbered: Figures) -> str:
    if results.front is None:
        return ""
    stressed = results.front.stress is not None
    caption = (
        "What other weights would give on frames left out, where no other weights beat it in every label"
        f"{'; colors are errors of stress times volume' if stressed else ''}. The circle is this study."
    )
    return f"<h2>Energies against forces{' and stresses' if stressed else ''}</h2>" + numbered(
        figures.front_figure, caption, results.front
    )


def _training(results: PotentialResults, numbered: Figures) -> str:
    if not results.training:
        return ""
    seconds = sum(course.seconds for course in results.training)
    caption = (
        "Loss by epoch; the epoch with the best held-out loss is kept. "
        f"Training took {significant(seconds / 60)} min."
    )
    return "<h2>Training</h2>" + numbered(figures.training_figure, caption, results.training)


def _card(results: PotentialResults, _: Figures) -> str:
    if not results.card:
        return ""
    return "<h2>Model card</h2>" + table(("", ""), results.card.items())


def _provenance(results: PotentialResults, _: Figures) -> str:
    return provenance(results.provenance)


def _citations(results: PotentialResults, _: Figures) -> str:
    return citation_list(results.citations)
