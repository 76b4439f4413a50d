"""Files of a potential's report: the page, its numbers as JSON, and tables behind its figures as CSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from thalweg.machine import disk
from thalweg.machine.whole_files import write_whole
from thalweg.report.csv_text import csv_text
from thalweg.report.json_values import jsonable
from thalweg.report.of_potentials.page import potential_page
from thalweg.report.of_potentials.results import Judged, PotentialResults, Trust


def write_potential_report(results: PotentialResults, folder: Path) -> Path:
    """Write ``results/*.csv``, ``results/report.json`` and, last, ``report.html``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    tables = folder / "results"
    disk.make_folder(tables)
    for name, (header, rows) in _tables(results).items():
        write_whole(tables / f"{name}.csv", csv_text(header, rows))
    write_whole(tables / "report.json", json.dumps(jsonable(results), indent=1) + "\n")
    write_whole(folder / "report.html", potential_page(results))
    return folder / "report.html"


def _tables(results: PotentialResults) -> dict[str, tuple[Sequence[str], list]]:
    """Header and rows of every table there is something to say in, by the name of its file."""
    tables: dict[str, tuple[Sequence[str], list]] = {}
    if results.sets:
        tables |= _tables_of_sets(results.sets)
    if results.curve:
        header = ("label", "unit", "training frames", "MAE", "standard error")
        tables["learning-curve"] = (
            header,
            [
                (line.label, line.unit, *row)
                for line in results.curve
                for row in zip(line.sizes.tolist(), line.mae, line.error)
            ],
        )
    if (front := results.front) is not None:
        header = (
            "energy error over that of the study",
            "energy RMSE [meV/sqrt(atoms)]",
            "force RMSE [meV/Å]",
        )
        columns = [front.weight, front.energy, front.force]
        if front.stress is not None:
            header, columns = (*header, "stress RMSE [meV/sqrt(atoms)]"), [*columns, front.stress]
        tables["pareto-front"] = header, list(zip(*columns))
    if (claims := results.uncertainty) is not None:
        header = ("claimed deviation [meV/Å]", "force RMSE [meV/Å]", "standard error [meV/Å]")
        tables["uncertainty"] = header, list(zip(claims.claimed, claims.rmse, claims.error))
        tables["coverage"] = ("claimed", "observed"), list(zip(claims.levels, claims.observed))
    if results.trust is not None:
        tables["frames"] = _table_of_frames(results.trust)
    for course in results.training:
        rows = list(enumerate(zip(course.training, course.held_out), start=1))
        tables[f"history-{course.name}"] = ("epoch", "training", "held out"), [(k, *pair) for k, pair in rows]
    return tables


def _tables_of_sets(sets: Sequence[Judged]) -> dict[str, tuple[Sequence[str], list]]:
    """Errors by label, and the points of the parity plots."""
    return {
        "errors": (
            ("set", "label", "unit", "MAE", "RMSE", "largest", "count"),
            [(each.name, *row) for each in sets for row in each.rows],
        ),
        "energies": (
            ("set", "label [eV/atom]", "prediction [eV/atom]"),
            [(each.name, *pair) for each in sets for pair in each.energies],
        ),
        "forces": (
            ("set", "label [eV/Å]", "prediction [eV/Å]"),
            [(each.name, *pair) for each in sets for pair in each.forces],
        ),
    }


def _table_of_frames(trust: Trust) -> tuple[Sequence[str], list]:
    """What is known of every frame without its label, and its error where it has one."""
    header = (
        "file",
        "frame",
        "force RMSE [meV/Å]",
        "claimed deviation [meV/Å]",
        f"probability of an error above {trust.limit:.4g} meV/Å",
        "extrapolation grade",
        "verdict",
    )
    values = zip(trust.error, trust.claimed, trust.odds, trust.grade, trust.verdicts)
    return header, [(*place, *row) for place, row in zip(trust.places, values)]
