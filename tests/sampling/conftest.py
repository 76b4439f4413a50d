"""The toy campaigns, importable by the name that worker processes know them by."""

from pathlib import Path

import pytest


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import toy_campaign

    return toy_campaign
