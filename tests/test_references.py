"""What docstrings cite is listed in full."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import thalweg
from thalweg.references import REFERENCES

PACKAGE = Path(thalweg.__file__).parent
KEY = re.compile(r"\[([a-z]+[0-9]{4}[a-z]?)\]")
CITED = {key for path in PACKAGE.rglob("*.py") for key in KEY.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("key", sorted(CITED))
def test_every_work_cited_is_listed(key):
    assert key in REFERENCES, f"{key} is cited; add it to src/thalweg/references.py"


@pytest.mark.parametrize("key", sorted(REFERENCES))
def test_a_reference_has_its_year_and_a_way_to_find_it(key):
    year = re.search(r"[0-9]{4}", key).group()
    assert year in REFERENCES[key]
    assert re.search(r"doi:10\.\d{4,}/\S+$", REFERENCES[key])


def test_references_are_in_order_and_cited():
    assert list(REFERENCES) == sorted(REFERENCES)
    assert set(REFERENCES) <= CITED
