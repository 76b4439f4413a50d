"""The doctor finds this machine fit, and says so when something is not."""

from __future__ import annotations

from collections import namedtuple

from typer.testing import CliRunner

from thalweg.cli import doctor
from thalweg.cli.main import app


def test_this_machine_is_fit():
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 0
    for subject in ("Python", "OpenMM platforms", "JAX devices", "disk space", "data folder"):
        assert subject in shown.stdout


def test_a_full_disk_is_found(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage(100, 100, 0))
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 1
    assert "0.00 GB free" in shown.output


def test_a_missing_package_is_found(monkeypatch):
    monkeypatch.setattr(doctor, "NEEDED", ("numpy", "no-such-package"))
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 1
    assert "not installed" in shown.output
