"""Benchmarks of the checkout: found by name, run on one thread, row by row."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from rich.console import Console
from threadpoolctl import threadpool_limits

from thalweg.report.benchmark import Row


def measure(folder: Path, name: str, data: Path, quick: bool) -> list[Row]:
    """Rows of ``folder/name.py``, announced as they come.

    Raises
    ------
    ValueError
        If there is no such benchmark, or it defines no ``rows``.
    """
    file = folder / f"{name}.py"
    if not file.is_file():
        known = sorted(path.stem for path in folder.glob("*.py"))
        raise ValueError(
            f"there is no benchmark {file}; "
            + (f"known: {', '.join(known)}" if known else "run this in a checkout of Thalweg")
        )
    sys.path.insert(0, str(folder.resolve()))  # benchmarks share files
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not hasattr(module, "rows"):
        raise ValueError(f"{file} defines no rows(data, quick); see docs/add-your-own.md")
    console, measured = Console(stderr=True), []
    with threadpool_limits(1), console.status(f"{name}: running") as status:
        for row in module.rows(data, quick):
            measured.append(row)
            status.update(f"{name}: {len(measured)} rows, last: {row.test}")
    return measured
