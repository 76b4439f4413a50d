"""Toy campaigns, importable by the names that worker processes know them by."""

from pathlib import Path

import pytest


@pytest.fixture
def importable(monkeypatch):
    """The folder of the toys on the path of this process and of the workers it starts."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def toy(importable):
    """Campaigns on the Müller-Brown surface."""
    import toy_campaign

    return toy_campaign


@pytest.fixture
def sums(importable):
    """Campaigns that add up numbers."""
    import toy_sums

    return toy_sums
