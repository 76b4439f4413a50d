"""Files of a report: the page, the same numbers as JSON, and the arrays behind every figure."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from thalweg.report.json_values import jsonable
from thalweg.report.of_runs.page import page
from thalweg.report.results import Candidate, ModelChoice, Results, Surface
from thalweg.report.written_files import write_files


def write_report(results: Results, folder: Path) -> Path:
    """Write ``report.html``, ``results/report.json`` and the arrays behind it; the page's path.

    A file that cannot be made is told by a warning, the others are there.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    contents: dict[str, Callable[[], bytes | str]] = {
        "results/report.json": lambda: json.dumps(jsonable(results), indent=1) + "\n"
    }
    for surface in results.surfaces:
        stem = "results/free-energy-" + re.sub(r"[^a-z0-9]+", "-", surface.name.lower()).strip("-")
        contents |= {f"{stem}.npz": partial(_npz, surface), f"{stem}.csv": partial(_csv, surface)}
    if results.choice is not None:
        contents["results/models.csv"] = partial(_candidates, results.choice)
    contents["report.html"] = lambda: page(results)
    return write_files(folder, contents)


def _npz(surface: Surface) -> bytes:
    buffer = io.BytesIO()
    by_seed = np.stack(surface.by_seed) if surface.by_seed else np.empty((0, *surface.energy.shape))
    np.savez_compressed(
        buffer,
        x=surface.x.centers,
        y=surface.y.centers,
        energy=surface.energy,
        error=surface.error,
        by_seed=by_seed,
    )
    return buffer.getvalue()


def _csv(surface: Surface) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(
        (
            *(f"{a.name} [{a.unit}]" if a.unit else a.name for a in (surface.x, surface.y)),
            "free energy [kJ/mol]",
            "standard error [kJ/mol]",
        )
    )
    for i, x in enumerate(surface.x.centers):
        for j, y in enumerate(surface.y.centers):
            rows.writerow(f"{v:.6g}" for v in (x, y, surface.energy[i, j], surface.error[i, j]))
    return text.getvalue()


def _candidates(choice: ModelChoice) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([field.name for field in dataclasses.fields(Candidate)])
    rows.writerows(dataclasses.astuple(one) for one in choice.candidates)
    return text.getvalue()
