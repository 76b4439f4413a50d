"""The page of a relaxed torsion scan: the profile by the level and beside it by a force field, and where it jumps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.report.json_values import jsonable
from thalweg.report.of_scans import drawn_profiles
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import PageResults
from thalweg.report.written_files import write_files
from thalweg.shapes import Shaped


@dataclass(frozen=True, kw_only=True)
class TorsionResults(PageResults):
    """A scan, and another of the same torsion beside it.

    Attributes
    ----------
    angles : (points,) [degrees]
    profiles : name of a level and energies above its lowest (points,) [kJ/mol]; the one asked for first
    hysteresis : (points,) of the one asked for [kJ/mol]
    """

    angles: Shaped[np.ndarray, " points"]
    profiles: tuple[tuple[str, np.ndarray], ...]
    hysteresis: Shaped[np.ndarray, " points"]


def write_torsion_report(results: TorsionResults, folder: Path) -> Path:
    """Write ``report.html`` and ``results/report.json``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    return write_files(
        folder,
        {
            "results/report.json": lambda: json.dumps(jsonable(results), indent=1) + "\n",
            "report.html": lambda: report_page(results, (_profiles, _numbers)),
        },
    )


def _profiles(results: TorsionResults, numbered: Figures) -> str:
    caption = (
        "Energy above the lowest at each angle, all other coordinates at their minimum. Hollow: geometries that arrive "
        "from the two neighbors relax to different minima."
    )
    return "<h2>Profile</h2>" + numbered(
        lambda each: drawn_profiles(each.angles, each.profiles, each.hysteresis), caption, results
    )


def _numbers(results: TorsionResults, _: Figures) -> str:
    rows = [
        (f"{angle:.0f}", *(f"{energies[k]:.2f}" for _, energies in results.profiles))
        for k, angle in enumerate(results.angles)
    ]
    return "<h2>Numbers</h2>" + table(
        ("degrees", *(f"{name} [kJ/mol]" for name, _ in results.profiles)), rows
    )
