"""What docstrings cite is listed in full, and what is listed is cited."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import thalweg
from thalweg.references import BIBLIOGRAPHY, cited_in, references

PACKAGE = Path(thalweg.__file__).parent
CITED = {key for path in PACKAGE.rglob("*.py") for key in cited_in(path.read_text(encoding="utf-8"))}
NEEDED = {
    "article": {"author", "title", "journal", "year"},
    "book": {"author", "title", "publisher", "year"},
    "incollection": {"author", "title", "booktitle", "publisher", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
}
KNOWN = {"edition", "pages", "series", "volume"}


@pytest.mark.parametrize("key", sorted(CITED))
def test_every_work_cited_is_listed(key):
    assert key in references(), f"{key} is cited; add it to src/thalweg/references.bib"


@pytest.mark.parametrize("key", sorted(references()))
def test_a_reference_has_its_year_and_a_way_to_find_it(key):
    work = references()[key]
    (place,) = set(work.fields) & {"doi", "url"}
    assert set(work.fields) - KNOWN - {place} == NEEDED[work.kind]
    assert work.fields["year"] == re.search(r"[0-9]{4}", key).group()
    assert re.fullmatch(r"10\.(?!5555/)\d{4,}/\S+" if place == "doi" else r"https://\S+", work.fields[place])
    assert all(fact in str(work) for name, fact in work.fields.items() if name != "author")


def test_references_are_in_order_once_and_cited():
    keys = re.findall(r"^@\w+\{(.*),$", BIBLIOGRAPHY.read_text("utf-8"), re.MULTILINE)
    assert keys == sorted(set(keys)) == list(references())
    assert set(keys) <= CITED


def test_no_two_references_are_the_same_work():
    places = [(work.fields.get("doi") or work.fields["url"]).lower() for work in references().values()]
    assert len(set(places)) == len(places)


def test_all_keys_in_one_pair_of_brackets_are_seen():
    text = "BAOAB [leimkuhler2013, leimkuhler2016]; [horn1987, section 4]; [a,\nb2013] x[index2000 + 1] [noe2013b]"
    assert cited_in(text) == ["leimkuhler2013", "leimkuhler2016", "horn1987", "noe2013b"]
