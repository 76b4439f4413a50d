"""Files of a map or of a Langevin model: the page, the same numbers as JSON, the frames drawn as CSV."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from thalweg.report.csv_text import csv_text
from thalweg.report.json_values import jsonable
from thalweg.report.of_landscapes.langevin_page import langevin_page
from thalweg.report.of_landscapes.langevin_results import DrawnProfile, LangevinResults
from thalweg.report.of_landscapes.map_page import map_page
from thalweg.report.of_landscapes.results import MapResults
from thalweg.report.written_files import write_files


def write_map_report(results: MapResults, folder: Path) -> Path:
    """Write ``report.html``, ``results/report.json`` and ``results/map.csv``; the page's path.

    A file that cannot be made is told by a warning, the others are there.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    contents: dict[str, Callable[[], bytes | str]] = {
        "results/map.csv": lambda: _table(results),
        "results/report.json": lambda: json.dumps(jsonable(_numbers(results)), indent=1) + "\n",
        "report.html": lambda: map_page(results),
    }
    return write_files(folder, contents)


def write_langevin_report(results: LangevinResults, folder: Path) -> Path:
    """Write ``report.html``, ``results/report.json`` and a table of every profile; the page's path.

    A file that cannot be made is told by a warning, the others are there.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    contents: dict[str, Callable[[], bytes | str]] = {
        f"results/{each.quantity.rsplit(' [', 1)[0].replace(' ', '-')}.csv": partial(_profile, each)
        for each in results.profiles
    }
    contents["results/report.json"] = lambda: json.dumps(jsonable(results), indent=1) + "\n"
    contents["report.html"] = lambda: langevin_page(results)
    return write_files(folder, contents)


def _profile(profile: DrawnProfile) -> str:
    rows = list(zip(profile.x, profile.values, profile.errors, strict=True))
    return csv_text((profile.along, profile.quantity, "standard error"), rows)


def _table(results: MapResults) -> str:
    columns = [*results.points.coordinates.T, *results.points.properties.values()]
    header = (*results.names, *results.points.properties)
    return csv_text(header, [tuple(f"{value:.6g}" for value in row) for row in np.stack(columns, axis=1)])


def _numbers(results: MapResults) -> dict:
    """What the page says, without the points, which are in the table."""
    return {
        "title": results.title,
        "coordinates": results.names,
        "spectrum": {"name": results.spectrum[0], "values": results.spectrum[1]},
        "scores": dict(results.scores),
        "ranking": results.ranking,
        "mapped": results.mapped,
        "found": results.found,
        "certainty": results.certainty,
        "diagnoses": results.diagnoses,
        "provenance": results.provenance,
    }
