"""One command makes the spectrum of a molecule, and runs nothing twice."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace

import numpy as np
import pytest

from thalweg.interop.files.configurations import write_configurations
from thalweg.labeling.known_potential import KnownPotential
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learning.storage import tree_digest
from thalweg.report.of_molecules.spectrum_pages import SpectrumResults, write_spectrum_report
from thalweg.spectra.harmonic import HarmonicSpectrum
from thalweg.spectra.time_correlation import Infrared, Spectrum
from thalweg.studies.molecules import spectra
from thalweg.studies.molecules.spectra import SpectrumStudy, spectrum_study
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import WAVENUMBER

BOND = KnownPotential(
    morse((1, 9), [0.0, 500.0, 0.0], [20.0, 22.0, 20.0], [0.1, 0.092, 0.1], cutoff=2.0), "Morse"
)
FLUORIDE = Configuration(np.array([9, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.01, 0.094]]))


@dataclass(frozen=True)
class Charges:
    """Opposite charges at both ends of the bond."""

    name: str = "charges"

    def label(self, frame):
        return replace(frame, properties={"dipole": 0.3 * (frame.positions[1] - frame.positions[0])})

    def check(self, frame):
        """Any frame will do."""

    def seconds(self, frame):
        return 1e-4

    def provenance(self):
        return {"level": self.name}


def nameable(value):
    """What a digest can name: a class of a test is on no face."""
    return value.name if isinstance(value, Charges) else value


def quiet(what):
    return lambda message, fraction: None


@pytest.mark.long
def test_a_second_call_runs_nothing_anew_and_the_band_is_near_the_normal_mode(tmp_path, monkeypatch):
    write_configurations(tmp_path / "hf.xyz", [FLUORIDE])
    monkeypatch.setattr(spectra, "_levels", lambda wanted: (BOND, Charges()))
    monkeypatch.setattr(spectra, "tree_digest", lambda tree: tree_digest(tuple(map(nameable, tree))))
    wanted = SpectrumStudy(str(tmp_path / "hf.xyz"), duration="1 ps", temperature="100 K", runs=4)
    first = spectrum_study(wanted, tmp_path / "out", quiet)
    expected = np.sqrt(2 * 500.0 * 22.0**2 * (1 / MASSES[1] + 1 / MASSES[9])) / WAVENUMBER
    assert first.harmonic.wavenumbers == pytest.approx([expected], rel=1e-3)
    bands = first.spectrum.peaks()
    assert np.abs(bands - expected).min() < 100  # turning splits the band into branches some 50 1/cm away

    def paid(*arguments, **more):
        raise AssertionError("a run was made again")

    monkeypatch.setattr(spectra, "property_trajectories", paid)
    again = spectrum_study(wanted, tmp_path / "out", quiet)
    np.testing.assert_array_equal(first.spectrum.values, again.spectrum.values)
    assert Spectrum.load(tmp_path / "out" / "spectrum.thalweg").kind == "infrared"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Normal modes" in page
    assert "could not be made" not in page


def test_the_page_has_the_bands_and_the_modes_they_come_from(tmp_path):
    time = 0.001 * np.arange(4000)[:, None]
    runs = [np.cos(1700 * WAVENUMBER * time + phase) * np.array([0.0, 0.0, 0.01]) for phase in range(4)]
    results = SpectrumResults(
        title="Infrared spectrum of a spring",
        subtitle="",
        spectrum=Infrared(300.0).fit(Trajectories(runs, dt=0.001)),
        harmonic=HarmonicSpectrum(np.array([1712.0]), np.array([100.0]), None, None, "a spring"),
        asked=(),
        found=(),
        certainty=(),
        diagnoses=(),
        provenance={},
        citations=(),
    )
    page = write_spectrum_report(results, tmp_path).read_text()
    assert "<td>1700</td><td>0</td><td>1712 (100)</td>" in page
    with (tmp_path / "results" / "spectrum.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == len(results.spectrum.values) + 1
    assert '"bands"' in (tmp_path / "results" / "report.json").read_text()


def test_what_makes_no_spectrum_is_said(tmp_path):
    with pytest.raises(StudyError, match="--runs 0"):
        SpectrumStudy("O", runs=0)
    with pytest.raises(StudyError, match="--potential"):
        SpectrumStudy("O", dipole=tmp_path / "dipole.thalweg")
    with pytest.raises(FileNotFoundError, match="no SMILES"):
        spectra._starts(SpectrumStudy("water.xyz"))
    crystal = replace(FLUORIDE, box=np.eye(3), periodic=(True, True, True))
    write_configurations(tmp_path / "cell.xyz", [crystal])
    with pytest.raises(StudyError, match="has a cell"):
        spectra._starts(SpectrumStudy(str(tmp_path / "cell.xyz")))
    slow = replace(BOND, called="slow")
    with pytest.raises(StudyError, match="would take some"):
        spectra._require_time(SpectrumStudy("O", duration="10 ms"), slow, slow, FLUORIDE)
