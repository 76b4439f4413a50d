"""The page of an envelope: every frame is on the map and in the table, and the most doubtful can be turned."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from thalweg.report.of_potentials import envelopes
from thalweg.report.of_potentials.envelopes import EnvelopeResults, write_envelope_report
from thalweg.report.results import ViewerMolecule


def results(count=4, **changed):
    pair = ViewerMolecule(("H", "H"), np.array([[0, 1]]))
    given = {
        "title": "Envelope of a test",
        "subtitle": "pairs",
        "sets": ("training",) * (count - 2) + ("new.xyz",) * 2,
        "places": (*range(count - 2), 0, 1),
        "coordinates": np.arange(2.0 * count).reshape(count, 2),
        "explained": (0.8, 0.1),
        "expected": np.array([5.0] * (count - 1) + [np.inf]),
        "probabilities": np.array([0.01] * (count - 2) + [0.3, 1.0]),
        "verdicts": ("",) * (count - 2) + ("border", "outside"),
        "errors": np.array([4.0] * (count - 1) + [np.nan]),
        "limit": 15.0,
        "molecules": (pair,) * count,
        "structures": tuple(np.array([[0, 0, 0], [0, 0, 0.07 + 0.01 * k]]) for k in range(count)),
        "asked": ("Where?",),
        "found": ("new.xyz: of 2 frames 0 inside, 1 border, 1 outside.",),
        "certainty": ("The usual force error is 5 meV/Å.",),
        "diagnoses": (),
        "provenance": {},
        "citations": (),
    }
    return EnvelopeResults(**(given | changed))


def test_every_frame_is_in_the_table_and_the_doubtful_ones_are_listed(tmp_path):
    page = write_envelope_report(results(), tmp_path).read_text()
    assert "unknown element" in page
    assert "new.xyz, outside (1)" in page
    assert 'id="viewer"' in page
    assert "could not be made" not in page
    with (tmp_path / "results" / "frames.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 5
    assert [row[6] for row in rows[1:]] == ["", "", "border", "outside"]
    assert json.loads((tmp_path / "results" / "report.json").read_text())["limit"] == 15.0


def test_of_many_frames_those_to_distrust_most_can_be_turned(monkeypatch):
    monkeypatch.setattr(envelopes, "TURNED", 10)
    shown = envelopes._turned(results(100))
    assert len(shown) <= 10
    assert {98, 99} <= set(shown.tolist())


@pytest.mark.parametrize("verdict", ["inside", "border", "outside"])
def test_every_verdict_has_a_mark_of_its_own(verdict):
    assert len({envelopes.MARKS[each] for each in envelopes.MARKS}) == 3
    figure = envelopes._map_figure(results(verdicts=("", "", verdict, verdict)))
    assert figure.data[-1].marker.symbol == envelopes.MARKS[verdict]
