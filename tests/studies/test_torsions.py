"""One command scans a torsion, and pays for no relaxation twice."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")

from thalweg.labeling.geometries.torsion_scans import TorsionScan
from thalweg.studies import torsions
from thalweg.studies.tables.language import StudyError


def quiet(what):
    return lambda message, fraction: None


def test_a_second_scan_relaxes_nothing_anew(tmp_path, monkeypatch):
    asked = torsions.TorsionStudy("CO", level="mmff94", points=3, conformers=1)
    first = torsions.torsion_study(asked, tmp_path, quiet)

    def paid(*arguments):
        raise AssertionError("a relaxation was made again")

    monkeypatch.setattr(torsions, "minimum_at_angle", paid)
    again = torsions.torsion_study(asked, tmp_path, quiet)
    np.testing.assert_array_equal(first.profiles[0][1], again.profiles[0][1])
    # methanol's three staggered minima are one
    np.testing.assert_allclose(first.profiles[0][1], 0, atol=0.01)
    assert TorsionScan.load(tmp_path / "scan.tree").level == "MMFF94"
    assert "Profile" in (tmp_path / "report.html").read_text()


def test_settings_that_cannot_be_are_said():
    with pytest.raises(StudyError, match="give four"):
        torsions.TorsionStudy("CO", torsion=(0, 1))
    with pytest.raises(StudyError, match="at least three"):
        torsions.TorsionStudy("CO", points=2)
