"""The catalog of methods and how far each is, read off the package itself rather than claimed."""

from __future__ import annotations

import importlib
import tomllib
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import thalweg

STATUSES = ("works", "partial", "not yet")


@dataclass(frozen=True)
class CatalogRow:
    """One row of the catalog.

    Attributes
    ----------
    id, section, title : as in the list of systems of the two review papers
    classes : dotted paths of what one uses
    example, benchmark, test : files of the checkout that show, measure and prove it
    remaining : what is still missing before it counts as working, or ``""``
    """

    id: str
    section: str
    title: str
    classes: tuple[str, ...] = ()
    example: str = ""
    benchmark: str = ""
    test: str = ""
    remaining: str = ""

    @property
    def status(self) -> str:
        """``"not yet"`` without classes; ``"works"`` if its files are there too and nothing remains."""
        if not self.classes or not all(importable(path) for path in self.classes):
            return "not yet"
        shown = all(exists(path) for path in (self.example, self.benchmark, self.test))
        return "works" if shown and not self.remaining else "partial"

    def as_dict(self) -> dict:
        return {"id": self.id, "status": self.status, **asdict(self)}


def catalog() -> tuple[CatalogRow, ...]:
    """Every method that belongs in Thalweg, in the order of the papers."""
    tables = tomllib.loads((files("thalweg.cli") / "methods.toml").read_text("utf-8"))
    return tuple(
        CatalogRow(id=name, section=section, **{**row, "classes": tuple(row.get("classes", ()))})
        for section, rows in tables.items()
        for name, row in rows.items()
    )


def importable(path: str) -> bool:
    """Whether the dotted ``path`` names something there is.

    Examples
    --------
    >>> importable("thalweg.units.quantity"), importable("thalweg.no.such")
    (True, False)
    """
    module, _, name = path.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return False


def exists(path: str) -> bool:
    """Whether a file of the checkout is there; without a checkout, whether one is named."""
    checkout = Path(thalweg.__file__).parents[2]
    return bool(path) and (not (checkout / "pyproject.toml").exists() or (checkout / path).is_file())
