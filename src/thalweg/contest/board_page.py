"""The board as one page: for each task its rules, the entries ranked with error bars and cost, and those refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import plotly.graph_objects as go

from thalweg import __version__
from thalweg.contest.board import BoardRow, standings
from thalweg.contest.listing import TASKS
from thalweg.contest.rules.task import ContestTask
from thalweg.report.page_parts import Figures, document, in_order, summary, table
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant, with_error
from thalweg.report.style import PALETTE, styled

COLUMNS = (
    "",
    "entry",
    "score",
    "of each problem",
    "processor time",
    "memory",
    "behind",
    "file",
    "in its author's words",
)


def board_page(rows: Sequence[BoardRow]) -> str:
    """A page that opens offline.

    Examples
    --------
    >>> row = BoardRow("affinities", "mine", "ab" * 32, "<b>", "2026-01-01", "0", "c", "walls", (1.0,), 1.0, 0.1)
    >>> "&lt;b&gt;" in board_page([row])
    True
    """
    sections = [_section(task, [row for row in rows if row.task == task.name]) for task in TASKS]
    body = in_order(rows, [lambda _, numbered: _head(rows), *sections])
    return document("Contest", body)


def _head(rows: Sequence[BoardRow]) -> str:
    scored = [row for row in rows if row.value is not None]
    asked = [f"{task.name}: {task.title}." for task in TASKS]
    found = [f"{len(scored)} judgments were scored, {len(rows) - len(scored)} refused."]
    best = [
        (task, standings([row for row in rows if row.task == task.name], task.larger_is_better))
        for task in TASKS
    ]
    found += [
        f"{task.name}: first is {first[0].entry} with {_score(first[0], task)}."
        for task, first in best
        if first
    ]
    certainty = (
        "Errors are standard errors over withheld runs, ligands or points; the problems are "
        "the same for all entries with one seed, so that two of them differ by less than the spread over problems.",
        "Problems are made, and how is public: an entry that knows the form of what was made has an advantage that no "
        "board can see. What is drawn, and all answers, are withheld.",
    )
    return summary(
        "Contest", f"Board of {datetime.now(UTC):%Y-%m-%d}, thalweg {__version__}",
        (("What was asked", asked), ("What was found", found), ("How sure", certainty)), _diagnoses(rows),
    )  # fmt: skip


def _diagnoses(rows: Sequence[BoardRow]) -> list[Diagnosis]:
    """What a reader must know before comparing rows."""
    found = []
    if public := sum(row.commitment == "public" for row in rows):
        found.append(
            Diagnosis("warning", f"{public} rows were judged on public problems, which are no secret")
        )
    if weak := sum("within reach" in row.protection for row in rows):
        found.append(
            Diagnosis("warning", f"{weak} rows were judged behind weak walls; see the column 'behind'")
        )
    if len(commitments := {row.commitment for row in rows}) > 1:
        found.append(
            Diagnosis(
                "note", f"rows of {len(commitments)} seeds stand together; compare within one (column 'seed')"
            )
        )
    if len(versions := {row.version for row in rows}) > 1:
        found.append(Diagnosis("note", f"rows of versions {', '.join(sorted(versions))} stand together"))
    return found


def _section(task: ContestTask, rows: Sequence[BoardRow]):
    """The part of the page about one task."""

    def section(_, numbered: Figures) -> str:
        first = standings(rows, task.larger_is_better)
        refused = [row for row in rows if row.value is None]
        rules = table(
            ("", ""),
            [
                *(("gets", f"{name}: {words}") for name, words in task.gets.items()),
                *(("gives", f"{name}: {words}") for name, words in task.gives.items()),
                ("score", f"{task.scored}; mean of {task.problems} problems"),
                ("limits of one problem", task.limits.in_words()),
            ],
        )
        text = f"<h2>{task.title}</h2>{rules}"
        if first:
            caption = f"{task.name}: {task.scored}. {'Right' if task.larger_is_better else 'Left'} is better."
            text += numbered(_figure, caption, first, task) + table((*COLUMNS, "seed"), _cells(first, task))
        if refused:
            text += "<h3>Refused</h3>" + table(
                ("entry", "cause", "behind", "file", "when"),
                [(r.entry, r.cause, r.protection, r.digest[:12], r.when[:16]) for r in refused],
            )
        return text + ("" if rows else "<p>No entry yet.</p>")

    section.__name__ = task.name
    return section


def _cells(rows: Sequence[BoardRow], task: ContestTask) -> list[tuple[str, ...]]:
    return [
        (
            str(place), row.entry, _score(row, task), ", ".join(significant(value) for value in row.values),
            f"{row.cpu:.1f} s", f"{row.memory / 1e6:.0f} MB", row.protection, row.digest[:12], row.words,
            row.commitment[:12],
        )
        for place, row in enumerate(rows, 1)
    ]  # fmt: skip


def _score(row: BoardRow, task: ContestTask) -> str:
    assert row.value is not None
    return with_error(row.value, row.error or 0.0, task.unit)


def _figure(rows: Sequence[BoardRow], task: ContestTask) -> go.Figure:
    """Scores with error bars, the best at the top; small points are single problems."""
    names = [f"{place} {row.entry}" for place, row in enumerate(rows, 1)]
    single = [(value, name) for row, name in zip(rows, names) for value in row.values]
    drawn = go.Figure(
        [
            go.Scatter(
                x=[value for value, _ in single], y=[name for _, name in single], mode="markers",
                name="single problems",
                marker={"size": 6, "symbol": "line-ns-open", "color": PALETTE[5]},
            ),
            go.Scatter(
                x=[row.value for row in rows], y=names, mode="markers", name="mean and standard error",
                error_x={"array": [row.error for row in rows]}, marker={"size": 9, "color": PALETTE[0]},
            ),
        ]
    )  # fmt: skip
    drawn.update_xaxes(title={"text": f"score{f' [{task.unit}]' if task.unit else ''}"}, rangemode="tozero")
    drawn.update_yaxes(autorange="reversed", type="category")
    return styled(drawn, height=190 + 34 * len(rows))
