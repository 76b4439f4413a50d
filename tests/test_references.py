"""What docstrings cite is listed in full, and what is listed is cited."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import thalweg
from thalweg.references import BIBLIOGRAPHY, references

PACKAGE = Path(thalweg.__file__).parent
KEY = re.compile(r"\[([a-z]+[0-9]{4}[a-z]?)\]")
CITED = {key for path in PACKAGE.rglob("*.py") for key in KEY.findall(path.read_text(encoding="utf-8"))}
NEEDED = {
    "article": {"author", "title", "journal", "year", "doi"},
    "book": {"author", "title", "publisher", "year", "doi"},
    "incollection": {"author", "title", "booktitle", "publisher", "year", "doi"},
    "inproceedings": {"author", "title", "booktitle", "year", "doi"},
}
KNOWN = {"edition", "pages", "series", "volume"}


@pytest.mark.parametrize("key", sorted(CITED))
def test_every_work_cited_is_listed(key):
    assert key in references(), f"{key} is cited; add it to src/thalweg/references.bib"


@pytest.mark.parametrize("key", sorted(references()))
def test_a_reference_has_its_year_and_a_way_to_find_it(key):
    work = references()[key]
    assert set(work.fields) - KNOWN == NEEDED[work.kind]
    assert work.fields["year"] == re.search(r"[0-9]{4}", key).group()
    assert re.fullmatch(r"10\.\d{4,}/\S+", work.fields["doi"])
    assert all(fact in str(work) for name, fact in work.fields.items() if name != "author")


def test_references_are_in_order_once_and_cited():
    keys = re.findall(r"^@\w+\{(.*),$", BIBLIOGRAPHY.read_text("utf-8"), re.MULTILINE)
    assert keys == sorted(set(keys)) == list(references())
    assert set(keys) <= CITED


def test_no_two_references_are_the_same_work():
    dois = [work.fields["doi"].lower() for work in references().values()]
    assert len(set(dois)) == len(dois)
