"""Files of a potential's report: the page, its numbers as JSON, and tables behind its figures as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from thalweg.machine.whole_files import write_whole
from thalweg.report.json_values import jsonable
from thalweg.report.of_potentials.page import potential_page
from thalweg.report.of_potentials.results import PotentialResults


def write_potential_report(results: PotentialResults, folder: Path) -> Path:
    """Write ``results/*.csv``, ``results/report.json`` and, last, ``report.html``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    tables = folder / "results"
    tables.mkdir(parents=True, exist_ok=True)
    for name, (header, rows) in _tables(results).items():
        write_whole(tables / f"{name}.csv", _csv(header, rows))
    write_whole(tables / "report.json", json.dumps(jsonable(results), indent=1) + "\n")
    write_whole(folder / "report.html", potential_page(results))
    return folder / "report.html"


def _tables(results: PotentialResults) -> dict[str, tuple[Sequence[str], list]]:
    found: dict[str, tuple[Sequence[str], list]] = {}
    if results.sets:
        header = ("set", "label", "unit", "MAE", "RMSE", "largest", "count")
        found["errors"] = header, [(each.name, *row) for each in results.sets for row in each.rows]
        header = ("set", "label [eV/atom]", "prediction [eV/atom]")
        found["energies"] = header, [(each.name, *pair) for each in results.sets for pair in each.energies]
        header = ("set", "label [eV/Å]", "prediction [eV/Å]")
        found["forces"] = header, [(each.name, *pair) for each in results.sets for pair in each.forces]
    if results.curve:
        header = ("label", "unit", "training frames", "MAE", "standard error")
        found["learning-curve"] = (
            header,
            [
                (line.label, line.unit, *row)
                for line in results.curve
                for row in zip(line.sizes.tolist(), line.mae, line.error)
            ],
        )
    if results.front is not None:
        front = results.front
        header = (
            "energy error over that of the study",
            "energy RMSE [meV/sqrt(atoms)]",
            "force RMSE [meV/Å]",
        )
        found["pareto-front"] = header, list(zip(front.weight, front.energy, front.force))
    if results.uncertainty is not None:
        claimed = results.uncertainty
        header = ("claimed deviation [meV/Å]", "force RMSE [meV/Å]", "standard error [meV/Å]")
        found["uncertainty"] = header, list(zip(claimed.claimed, claimed.found, claimed.error))
        found["coverage"] = ("claimed", "observed"), list(zip(claimed.levels, claimed.observed))
    if results.trust is not None:
        known = results.trust
        header = ("file", "frame", "force RMSE [meV/Å]", "claimed deviation [meV/Å]", "probability of an error above "
                  f"{known.limit:.4g} meV/Å", "extrapolation grade", "verdict")  # fmt: skip
        values = zip(known.error, known.claimed, known.odds, known.grade, known.verdicts)
        found["frames"] = header, [(*place, *row) for place, row in zip(known.places, values)]
    for course in results.training:
        rows = list(enumerate(zip(course.training, course.held_out), start=1))
        found[f"history-{course.name}"] = ("epoch", "training", "held out"), [(k, *pair) for k, pair in rows]
    return found


def _csv(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for row in rows:
        writer.writerow(_cell(value) for value in row)
    return text.getvalue()


def _cell(value):
    """A number to eight digits; nothing for what is not known."""
    if isinstance(value, str | int) or value is None:
        return value
    return "" if value != value else f"{value:.8g}"
