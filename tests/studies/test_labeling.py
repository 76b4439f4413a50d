"""From a SMILES or a file to labels, in one call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.interop.files.configurations import read_configurations, write_configurations
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.studies.labeling import LabelStudy, label_study
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration

pytest.importorskip("tblite")
pytest.importorskip("rdkit")

WATER = Configuration(
    np.array([8, 1, 1]), np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])
)


def quietly(_name):
    return lambda _message, _fraction: None


@pytest.mark.long
def test_a_molecule_by_its_smiles_becomes_labeled_frames_and_a_second_call_pays_nothing(tmp_path):
    asked = LabelStudy(("O",), frames=12, test=0.25)
    results = label_study(asked, tmp_path, quietly)
    frames = read_configurations(tmp_path / "labels.xyz")
    assert len(frames) == len(results.energies) == 12
    assert {frame.info["made by"] for frame in frames} == {"modes", "dynamics"}
    parts = [len(read_configurations(tmp_path / name)) for name in ("train.xyz", "test.xyz")]
    assert sum(parts) == 12
    assert (tmp_path / "report.html").exists()
    assert "0 asked for now" in label_study(asked, tmp_path, quietly).found[0]


def test_frames_of_a_file_keep_their_labels_and_properties_through_the_files(tmp_path):
    moved = [replace(WATER, positions=WATER.positions + 0.002 * k * np.eye(3)) for k in range(3)]
    given = write_configurations(tmp_path / "given.xyz", moved)
    label_study(LabelStudy((str(given),), test=0.0), tmp_path / "out", quietly)
    frames = read_configurations(tmp_path / "out" / "labels.xyz")
    expected = TightBinding().label(frames[1])
    assert frames[1].energy == pytest.approx(expected.energy, abs=1e-4)
    np.testing.assert_allclose(frames[1].properties["dipole"], expected.properties["dipole"], atol=1e-6)
    np.testing.assert_allclose(frames[1].properties["charges"], expected.properties["charges"], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"ways": ("magic",)}, "magic"), ({"test": 1.5}, "a fraction"), ({"frames": 0}, "at least one")],
)
def test_settings_that_mean_nothing_are_refused(settings, words):
    with pytest.raises(StudyError, match=words):
        LabelStudy(("O",), **settings)
