"""All of landscapes, part by part: maps, diffusion maps, states, Galerkin, committors, Langevin models, surfaces.

Each part is one of a file ``landscapes_*.py`` beside this one, under that file's name: ``maps/shapes``, say. Each runs
alone in less than twenty minutes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

from thalweg.report.benchmark import Row


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """The parts of all files, by the name of the file and their own."""
    found: dict[str, Callable[[], Iterator[Row]]] = {}
    for file in sorted(Path(__file__).parent.glob("landscapes_*.py")):
        module = importlib.import_module(file.stem)
        own = module.parts(data, quick)
        found |= {
            f"{file.stem.removeprefix('landscapes_').replace('_', '-')}/{name}": own[name] for name in own
        }
    return found


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """All of them."""
    for part in parts(data, quick).values():
        yield from part()
