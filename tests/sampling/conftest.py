"""Toy campaigns, plug-ins of this process and of the workers it starts."""

from pathlib import Path

import pytest

from thalweg import registry

HERE = Path(__file__).parent


@pytest.fixture
def toys(monkeypatch):
    """Plug-ins by name."""
    monkeypatch.delenv(registry.WITH, raising=False)
    monkeypatch.setenv(registry.WITH, "")
    names = ("toy_campaign", "toy_fillings", "toy_sums", "toy_wells")
    registry.name_files([HERE / f"{name}.py" for name in names])
    return registry.plugin


@pytest.fixture
def toy(toys):
    """Campaigns on the Müller-Brown surface."""
    return toys("toy_campaign")


@pytest.fixture
def wells(toys):
    """Replica exchange in a double well."""
    return toys("toy_wells")


@pytest.fixture
def sums(toys):
    """Campaigns that add up numbers."""
    return toys("toy_sums")
