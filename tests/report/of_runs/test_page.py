"""The page says everything, escapes what it is given, and asks the network for nothing."""

from __future__ import annotations

import csv
import inspect
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from thalweg.report import figures
from thalweg.report.json_values import jsonable
from thalweg.report.of_runs import page as page_module
from thalweg.report.of_runs.files import write_report
from thalweg.report.of_runs.page import page
from thalweg.report.results import Results


class Elements(HTMLParser):
    """Start tags with their attributes, and the text outside of scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.text, self._inside = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def elements(everything) -> Elements:
    return Elements(page(everything))


def test_no_element_of_the_page_loads_anything(elements):
    for tag, attributes in elements.tags:
        assert tag not in ("link", "img", "object", "embed", "base"), tag
        assert not {"src", "href", "data", "action", "poster"} & set(attributes), (tag, attributes)


def test_the_style_sheet_loads_nothing(everything):
    style = re.search("<style>(.*?)</style>", page(everything), re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style


def test_every_section_and_number_is_on_the_page(elements):
    text = " ".join(elements.text)
    for expected in (
        "Numbers",
        "Free energy",
        "Slow processes",
        "States",
        "What the learned variables mean",
        "Convergence",
        "Cost",
        "Provenance",
        "How to cite",
        "9.51 ± 0.12 kJ/mol",
        "240.1 ± 8.3 ps",
        "too few to give its time scale",
        "Figure 9.",
        "Which model",
        "dim=90 must lie between 1 and 45",
    ):
        assert expected in text


def test_names_are_text_and_never_markup(elements):
    assert ("ace-ala-nme", {}) not in elements.tags
    assert "Alanine dipeptide <ACE-ALA-NME>" in elements.text


def test_what_is_absent_is_left_out():
    text = " ".join(Elements(page(Results("t", "s", ("a",), ("b",), ("c",)))).text)
    assert "Free energy" not in text
    assert "Figure 1." not in text


def test_the_page_stays_small_enough_to_mail(everything):
    assert len(page(everything).encode()) < 15e6


def test_the_json_holds_the_same_numbers(everything, tmp_path):
    write_report(everything, tmp_path)
    read = json.loads((tmp_path / "results" / "report.json").read_text())
    assert read == jsonable(everything)
    assert read["estimates"][0]["value"] == 9.51
    assert read["timescales"]["timescales"][3][0] == pytest.approx(240 * (1 - np.exp(-10)))
    assert any(value is None for row in read["surfaces"][0]["energy"] for value in row)


def test_the_arrays_behind_a_surface_come_back(everything, tmp_path):
    write_report(everything, tmp_path)
    surface = everything.surfaces[0]
    with np.load(tmp_path / "results" / "free-energy-backbone-dihedrals.npz") as stored:
        np.testing.assert_array_equal(stored["energy"], surface.energy)
        assert stored["by_seed"].shape == (2, 36, 36)
    with open(tmp_path / "results" / "free-energy-backbone-dihedrals.csv") as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["phi [deg]", "psi [deg]", "free energy [kJ/mol]"]
    assert float(rows[1][2]) == pytest.approx(surface.energy[0, 0], rel=1e-5)
    assert len(rows) == 1 + 36 * 36


DRAWN = [name for name in vars(figures) if name.endswith("_figure")]
SECTIONS = [
    name
    for name, one in vars(page_module).items()
    if inspect.isfunction(one) and one.__module__ == page_module.__name__
    if len(inspect.signature(one).parameters) == 2
]


def broken(*_):
    raise KeyError("nothing there")


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_that_cannot_be_drawn_is_named_and_all_others_stand(everything, name, monkeypatch):
    whole = page(everything)
    monkeypatch.setattr(figures, name, broken)
    text = page(everything)
    missing = text.count("could not be made: &#x27;nothing there&#x27;")
    assert missing >= 1
    assert text.count('class="figure"') == whole.count('class="figure"') - missing
    assert text.count("<h2>") == whole.count("<h2>")


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_fails_is_named_and_all_others_stand(everything, name, monkeypatch):
    whole = page(everything)
    monkeypatch.setattr(page_module, name, named(broken, name))
    text = page(everything)
    assert f"The section {name.strip('_')} could not be made" in text
    assert text.count("<h2>") >= whole.count("<h2>") - 1


def named(function, name):
    def section(*given):
        return function(*given)

    section.__name__ = name
    return section


def test_a_file_of_the_report_that_fails_is_told_and_the_page_is_there(everything, tmp_path, monkeypatch):
    monkeypatch.setattr("thalweg.report.of_runs.files.jsonable", broken)
    with pytest.warns(
        UserWarning, match="files of the report failed and are left out; first, results/report.json"
    ):
        write_report(everything, tmp_path)
    assert (tmp_path / "report.html").is_file()
    assert not (tmp_path / "results/report.json").exists()
