"""The catalog of methods and how far each is, read off the package itself rather than claimed."""

from __future__ import annotations

import inspect
import tomllib
from dataclasses import asdict, dataclass, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import thalweg
from thalweg.registry import known, plugin, plugin_names, public, resolve
from thalweg.studies.tables.doors import DOORS
from thalweg.studies.tables.families import FAMILIES

STATUSES = ("works", "partial", "not yet", "added")


@dataclass(frozen=True)
class CatalogRow:
    """One row of the catalog.

    Attributes
    ----------
    id, section, title : as in the list of systems of the two review papers
    classes : what one uses, by its name in `thalweg.registry`
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
        """``"added"`` by a plug-in, ``"not yet"`` without classes, ``"works"`` if its files are there."""
        if self.section == "plug-ins":
            return "added"
        if not self.classes or not all(name in known() for name in self.classes):
            return "not yet"
        shown = all(exists(path) for path in (self.example, self.benchmark, self.test))
        return "works" if shown and not self.remaining else "partial"

    def as_dict(self) -> dict:
        return {"id": self.id, "status": self.status, **asdict(self), "modules": list(self.modules)}

    @property
    def modules(self) -> tuple[str, ...]:
        """Where each of the ``classes`` is defined."""
        return tuple(resolve(name).__module__ for name in self.classes if name in known())


def catalog() -> tuple[CatalogRow, ...]:
    """Every method that belongs in Thalweg, in the order of the papers."""
    tables = tomllib.loads((files("thalweg.cli") / "methods.toml").read_text("utf-8"))
    return tuple(
        CatalogRow(name, section, classes=tuple(row.pop("classes", ())), **row)
        for section, rows in tables.items()
        for name, row in rows.items()
    )


def plugins() -> tuple[CatalogRow, ...]:
    """What the user's plug-ins add: a row for each of their public classes and functions."""
    return tuple(
        CatalogRow(f"{plugin_name}.{name}", "plug-ins", _title(getattr(plugin(plugin_name), name)))
        for plugin_name in plugin_names()
        for name in public(plugin(plugin_name))
    )


def _title(added: Any) -> str:
    """The doors through which a study can use it, and the first line of its description."""
    doors = [family.title for family in (*DOORS, *FAMILIES) if _offers(added, family.offered)]
    summary = (inspect.getdoc(added) or "").partition("\n")[0]
    own = summary if added.__doc__ and not summary.startswith(f"{added.__name__}(") else added.__name__
    return f"{own} (may serve as {', '.join(dict.fromkeys(doors))})" if doors else own


def _offers(added: Any, protocol: Any) -> bool:
    """Whether a class has what a protocol, or one of a union, asks for, as attributes or as fields."""
    if parts := get_args(protocol):
        return any(_offers(added, part) for part in parts)
    if not isinstance(added, type):
        return False
    has = {*dir(added), *(field.name for field in fields(added))} if is_dataclass(added) else {*dir(added)}
    return all(name in has for name in _asked(protocol))


def _asked(protocol: type) -> set[str]:
    names = {
        name
        for base in protocol.__mro__[:-1]
        for name in (*vars(base), *vars(base).get("__annotations__", {}))
    }
    return {name for name in names if not name.startswith("_")} | ({"__call__"} & set(vars(protocol)))


def exists(path: str) -> bool:
    """Whether a file of the checkout is there; without a checkout, whether one is named."""
    checkout = Path(thalweg.__file__).parents[2]
    return bool(path) and (not (checkout / "pyproject.toml").exists() or (checkout / path).is_file())
