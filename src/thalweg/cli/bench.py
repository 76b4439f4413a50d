"""Benchmarks of the checkout: found by name, run on one thread, row by row."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from rich.console import Console
from threadpoolctl import threadpool_limits

from thalweg.report.benchmark import Row


def measure(folder: Path, name: str, data: Path, quick: bool, parts: Sequence[str] = ()) -> list[Row]:
    """Rows of ``folder/name.py``, announced as they come; only those of ``parts`` if any are named.

    Raises
    ------
    ValueError
        If there is no such benchmark or part, or it defines no ``rows``.
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
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not hasattr(module, "rows"):
        raise ValueError(f"{file} defines no rows(data, quick); see docs/add-your-own.md")
    console, measured = Console(stderr=True), []
    with threadpool_limits(1), console.status(f"{name}: running") as status:
        for row in _rows(module, name, data, quick, parts):
            measured.append(row)
            status.update(f"{name}: {len(measured)} rows, last: {row.test}")
    return measured


def _rows(module: ModuleType, name: str, data: Path, quick: bool, wanted: Sequence[str]) -> Iterator[Row]:
    if not hasattr(module, "parts"):
        if wanted:
            raise ValueError(f"benchmark {name} has no parts; run it whole")
        yield from module.rows(data, quick)
        return
    parts = module.parts(data, quick)
    strangers = sorted(set(wanted) - set(parts))
    if strangers:
        raise ValueError(f"benchmark {name} has no parts {strangers}; it has: {', '.join(parts)}")
    for part in wanted or parts:
        for row in parts[part]():
            yield replace(row, part=part)
