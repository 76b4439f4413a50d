"""The page of an infrared spectrum: dynamics and normal modes on one axis, the bands and the modes in tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.report.csv_text import csv_text
from thalweg.report.json_values import jsonable
from thalweg.report.of_molecules.spectra import vibrational_figure
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import PageResults
from thalweg.report.written_files import write_files
from thalweg.spectra.harmonic import HarmonicSpectrum
from thalweg.spectra.time_correlation import Spectrum

ONE_BAND = 5.0
"""A normal mode within so many resolutions of a band may be its origin."""


@dataclass(frozen=True, kw_only=True)
class SpectrumResults(PageResults):
    """A spectrum of dynamics, and that of normal modes beside it.

    Attributes
    ----------
    spectrum : of dynamics
    harmonic : of normal modes
    """

    spectrum: Spectrum
    harmonic: HarmonicSpectrum


def write_spectrum_report(results: SpectrumResults, folder: Path) -> Path:
    """Write ``report.html``, ``results/spectrum.csv`` and ``results/report.json``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    told = {key: value for key, value in vars(results).items() if key != "spectrum"}
    told["bands"] = [{"wavenumber": peak, "error": error} for peak, error in _bands(results.spectrum)]
    header = ("wavenumber [1/cm]", f"intensity [{results.spectrum.unit}]", "standard error")
    columns = (results.spectrum.wavenumbers, results.spectrum.values, results.spectrum.errors)
    return write_files(
        folder,
        {
            "results/spectrum.csv": lambda: csv_text(header, np.stack(columns, 1).tolist()),
            "results/report.json": lambda: json.dumps(jsonable(told), indent=1) + "\n",
            "report.html": lambda: report_page(results, (_spectrum, _peaks, _modes)),
        },
    )


def _spectrum(results: SpectrumResults, numbered: Figures) -> str:
    caption = (
        "Absorption by dynamics with twice its standard error, and by the normal modes at the minimum, drawn as wide "
        f"as the resolution of {results.spectrum.resolution:.0f} 1/cm. Areas are intensities in km/mol."
    )
    return "<h2>Spectrum</h2>" + numbered(vibrational_figure, caption, results.spectrum, results.harmonic)


def _peaks(results: SpectrumResults, _: Figures) -> str:
    rows = [
        (f"{peak:.0f}", f"{error:.0f}" if np.isfinite(error) else "", _origin(results, peak))
        for peak, error in _bands(results.spectrum)
    ]
    if not rows:
        return ""
    head = ("dynamics [1/cm]", "standard error", "nearest normal mode [1/cm] (km/mol)")
    return "<h2>Bands</h2>" + table(head, rows)


def _modes(results: SpectrumResults, _: Figures) -> str:
    harmonic = results.harmonic
    rows = [
        (f"{wavenumber:.0f}", f"{intensity:.1f}")
        for wavenumber, intensity in zip(harmonic.wavenumbers, harmonic.intensities)
    ]
    return "<h2>Normal modes</h2>" + table(("1/cm", "km/mol"), rows)


def _bands(spectrum: Spectrum) -> list[tuple[float, float]]:
    """Peaks and their standard errors."""
    return [(float(peak), float(error)) for peak, error in zip(spectrum.peaks(), spectrum.peak_errors())]


def _origin(results: SpectrumResults, peak: float) -> str:
    """The normal mode nearest to a band, if it is near."""
    harmonic = results.harmonic
    nearest = int(np.abs(harmonic.wavenumbers - peak).argmin())
    if abs(harmonic.wavenumbers[nearest] - peak) > ONE_BAND * results.spectrum.resolution:
        return ""
    return f"{harmonic.wavenumbers[nearest]:.0f} ({harmonic.intensities[nearest]:.0f})"
