"""The page of a run that learned as it went: the ledger whole in a table, its last lines on the page."""

from __future__ import annotations

import csv

import numpy as np

from thalweg.report.of_potentials.on_the_fly import LISTED, OnTheFlyResults, write_on_the_fly_report


def test_the_ledger_is_whole_and_figures_are_there(tmp_path):
    count = LISTED + 5
    nothing = np.array([np.nan] * 3)
    results = OnTheFlyResults(
        title="H2 learned on the fly",
        subtitle="1 ps, Morse asked",
        numbers=tuple(range(1, count + 1)),
        times=np.linspace(0, 1, count),
        reasons=("start",) * 3 + ("unsure",) * (count - 4) + ("check",),
        claimed=np.concatenate([nothing, np.full(count - 3, 20.0)]),
        errors=np.concatenate([nothing, np.full(count - 3, 30.0)]),
        jumps=np.concatenate([nothing, np.full(count - 3, -2.0)]),
        labels=tuple(f"labels/{k:03d}" for k in range(count)),
        failed=("",) * count,
        duration=1.0,
        limit=100.0,
        asked=("A run.",),
        found=("Labels.",),
        certainty=("Checks.",),
        diagnoses=(),
        provenance={},
        citations=(),
    )
    page = write_on_the_fly_report(results, tmp_path).read_text()
    assert f"The last {LISTED} of {count} calls" in page
    assert page.count('class="figure"') == 3
    assert "could not be made" not in page
    with (tmp_path / "results" / "ledger.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == count + 1
    assert rows[1][3] == ""  # nothing was claimed at the start
