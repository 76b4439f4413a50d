"""Benchmark rows: what was measured, against which target, beside which peer.

A benchmark is a module ``benchmarks/<name>.py`` of the checkout with one function,
``rows(data: Path, quick: bool) -> Iterator[Row]``; nothing in its table is typed by hand. A long one may also define
``parts(data, quick) -> dict[str, Callable[[], Iterator[Row]]]``; parts measured again by themselves take the place of
their earlier rows, and the table says when and where each part was measured.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.table import Table

from thalweg.machine.reading import read_json
from thalweg.machine.whole_files import write_whole
from thalweg.report.json_values import jsonable
from thalweg.report.rounding import significant

COMPARED = ("thalweg", "numpy", "scipy", "jax", "openmm", "deeptime", "scikit-learn", "pymbar", "mdtraj")
"""Packages whose versions decide what a benchmark measures."""

COLUMNS = ("test", "value", "unit", "target", "met", "peer", "peer value", "ratio")


@dataclass(frozen=True)
class Row:
    """One line of a benchmark table.

    Attributes
    ----------
    test : what was measured, such as ``"alanine dipeptide, OBC2, 32 replicas"``
    value : the measured number, or None where the row was skipped (``met`` is then None too)
    unit : unit of ``value``, ``spread`` and ``peer_value``
    spread : standard error or half range over repeats, in the same unit, or None
    target : the target in words, such as ``"ratio >= 2"``, or why the row was skipped
    met : whether the target is reached; None where there is no target
    peer : the program compared with and its version, or ``"exact"``, ``"published"``, or None
    peer_value : the peer's number, in the same unit
    ratio : peer over ours or ours over peer, whichever makes larger better; None without a peer
    part : which part of its benchmark it is of, empty where this has none

    Examples
    --------
    >>> Row("counts, 1e7 steps", 0.05, "s", target="ratio >= 10", met=True, peer_value=0.85, ratio=17.0).met
    True
    """

    test: str
    value: float | None
    unit: str
    spread: float | None = None
    target: str | None = None
    met: bool | None = None
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    part: str = ""


def _cells(row: Row) -> tuple[str, ...]:
    """The row as printed, one text per column of `COLUMNS`.

    Examples
    --------
    >>> _cells(Row("t2", 241.0, "ps", spread=6.0, target="covers 239.4", met=True))
    ('t2', '241 ± 6.00', 'ps', 'covers 239.4', 'yes', '', '', '')
    """
    value = "skipped" if row.value is None else significant(row.value)
    spread = "" if row.spread is None else f" ± {significant(row.spread)}"
    return (
        row.test,
        value + spread,
        row.unit,
        row.target or "",
        {True: "yes", False: "NO", None: ""}[row.met],
        row.peer or "",
        "" if row.peer_value is None else significant(row.peer_value),
        "" if row.ratio is None else f"{significant(row.ratio)}x",
    )


def benchmark_table(name: str, rows: Sequence[Row]) -> Table:
    """The rows as a table for the terminal."""
    drawn = Table(*COLUMNS, title=name, title_justify="left")
    for row in rows:
        drawn.add_row(*_cells(row), style="red" if row.met is False else None)
    return drawn


def verdict(rows: Sequence[Row]) -> str:
    """How many targets are met, in one sentence.

    Examples
    --------
    >>> verdict([Row("a", 1.0, "s", met=True), Row("b", None, "s"), Row("c", 2.0, "s", met=False)])
    '1 of 2 targets met, 1 row skipped'
    """
    judged = [row for row in rows if row.met is not None]
    skipped = sum(row.value is None for row in rows)
    sentence = f"{sum(bool(row.met) for row in judged)} of {len(judged)} targets met"
    return sentence + (f", {skipped} row{'s' * (skipped > 1)} skipped" if skipped else "")


def write_benchmark(name: str, rows: Sequence[Row], folder: Path) -> tuple[Path, Path]:
    """Write ``<name>.json`` and ``<name>.md`` with the machine they were measured on; both paths."""
    return _write_parts(name, rows, dict.fromkeys((row.part for row in rows), _machine()), folder)


def _write_parts(
    name: str, rows: Sequence[Row], machines: Mapping[str, Mapping[str, str]], folder: Path
) -> tuple[Path, Path]:
    """Write rows whose parts were measured on ``machines``; see `write_benchmark`."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"benchmark": name, "machines": machines, "rows": [asdict(row) for row in rows]}
    data, text = folder / f"{name}.json", folder / f"{name}.md"
    write_whole(data, json.dumps(jsonable(record), indent=1) + "\n")
    write_whole(text, _markdown(name, rows, machines))
    return data, text


def replace_parts(name: str, rows: Sequence[Row], folder: Path) -> tuple[Path, Path]:
    """Write ``rows`` in place of the rows of the same parts in the files of an earlier run, whose others are kept."""
    file = folder / f"{name}.json"
    earlier: dict[str, Any] = (
        read_json(file, "the rows of a benchmark") if file.is_file() else {"machines": {}, "rows": []}
    )
    before = [Row(**row) for row in earlier["rows"]]
    parts = list(dict.fromkeys(row.part for row in [*before, *rows]))
    new = {row.part for row in rows}
    merged = [row for part in parts for row in (rows if part in new else before) if row.part == part]
    return _write_parts(name, merged, earlier["machines"] | dict.fromkeys(new, _machine()), folder)


def _machine() -> dict[str, str]:
    """Processor, cores, system, date and the versions that matter."""
    described = {
        "processor": processor_name(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    for package in COMPARED:
        try:
            described[package] = version(package)
        except PackageNotFoundError:
            continue
    return described


def processor_name() -> str:
    """Model name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _markdown(name: str, rows: Sequence[Row], machines: Mapping[str, Mapping[str, str]]) -> str:
    lines = [f"# {name}", "", "| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(row)) + " |" for row in rows]
    lines += ["", verdict(rows) + "."]
    alike: dict[str, list[str]] = {}
    for part, described in machines.items():
        alike.setdefault(", ".join(f"{key} {value}" for key, value in described.items()), []).append(part)
    for described, parts in alike.items():
        lines += ["", described if len(alike) == 1 else f"{', '.join(parts)}: {described}"]
    return "\n".join(lines) + "\n"
