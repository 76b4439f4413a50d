"""Tables as the calls they stand for: ``kind`` names what is called, the other keys are its parameters.

Parameters, their types and defaults are read off the classes and functions themselves. A `Kind` adds what a signature
does not say: which parameters carry a unit. A parameter that is an object of its own (a kernel, an optimizer) is a
table in the table, and has a family of kinds.
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import NoneType
from typing import Any

from thalweg.studies.tables.strict import StudyError, nearest, quoted, value_of
from thalweg.units import DIMENSIONS

NOTHING = inspect.Parameter.empty


@dataclass(frozen=True)
class Kind:
    """What a ``kind`` stands for.

    Attributes
    ----------
    path : ``"module:name"`` of a class or function, imported when it is called
    dimensions : of those parameters that are quantities
    hidden : parameters that a file does not give
    """

    path: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()

    @property
    def target(self) -> Callable:
        """The class or function."""
        module, _, name = self.path.partition(":")
        return getattr(import_module(module), name)


Family = Mapping[str, Kind]
Families = Mapping[str, Family]
"""Family of each parameter that is an object, by its name."""


@dataclass(frozen=True)
class Setting:
    """One parameter as a file gives it: its type, default, dimension and, if it is an object, family."""

    name: str
    hint: Any
    default: Any
    dimension: str | None
    family: Family | None


def settings(kind: Kind, families: Families) -> dict[str, Setting]:
    """What a table of this kind may hold."""
    return {setting.name: setting for setting in _settings(kind, families)}


def called(
    family: Family, table: Mapping[str, Any], where: str, families: Families, first: tuple = ()
) -> tuple[Any, dict[str, Any]]:
    """What the call that ``table`` stands for returns, and the table with every default written out.

    ``first`` are arguments that come before those of the table.

    Raises
    ------
    StudyError
        If the kind or a key is unknown, a value has the wrong type, unit or sign, or the call refuses its arguments.

    Examples
    --------
    >>> methods = "thalweg.learned_potentials.linear.regularization"
    >>> family = {"ridge": Kind(f"{methods}:Ridge"), "evidence": Kind(f"{methods}:Evidence")}
    >>> called(family, {"kind": "ridge"}, "regularization", {})
    (Ridge(strength=1e-06), {'kind': 'ridge', 'strength': 1e-06})
    >>> called(family, {"kind": "ridge", "strenth": 1.0}, "regularization", {})
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: [regularization] has no key "strenth"; did you mean "strength"? ...
    """
    if not isinstance(table, Mapping):
        raise StudyError(f"[{where}] must be a table; got {table!r}")
    rest = dict(table)
    name = rest.pop("kind", next(iter(family)) if len(family) == 1 else None)
    if name is None:
        raise StudyError(f"[{where}] has no kind; give kind = one of {quoted(family)}")
    if not isinstance(name, str) or name not in family:
        raise StudyError(f"[{where}] kind = {name!r} is unknown; {nearest(str(name), family)}")
    known = settings(family[name], families)
    for key in rest:
        if key not in known:
            raise StudyError(f'[{where}] has no key "{key}"; {nearest(key, ("kind", *known))}')
    arguments, resolved = {}, {} if len(family) == 1 else {"kind": name}
    for key, setting in known.items():
        if key in rest:
            arguments[key], resolved[key] = _given(rest[key], setting, where, families)
        elif setting.default is NOTHING:
            raise StudyError(f'[{where}] misses the key "{key}" (known: {", ".join(("kind", *known))})')
        elif (written := _written(setting.default, setting, families)) is not None:
            resolved[key] = written
    try:
        return family[name].target(*first, **arguments), resolved
    except StudyError:
        raise
    except ValueError as error:
        raise StudyError(f"[{where}] {error}") from None


def _settings(kind: Kind, families: Families) -> Iterator[Setting]:
    target = kind.target
    function = target.__init__ if inspect.isclass(target) else target
    hints = typing.get_type_hints(target)
    if inspect.isclass(target):
        hints = typing.get_type_hints(function) | hints
    for name, parameter in inspect.signature(function).parameters.items():
        dimension, family = kind.dimensions.get(name), families.get(name)
        if name == "self" or name in kind.hidden:
            continue
        if family is not None or dimension is not None or _tellable(hints[name]):
            yield Setting(name, hints[name], parameter.default, dimension, family)


def _tellable(hint: Any) -> bool:
    """Whether a file can give a value of this type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal or hint in (int, float, str, bool, NoneType):
        return True
    if origin is tuple or origin is Sequence:
        return all(part is ... or part in (int, float, str) for part in parts)
    return bool(parts) and origin is not Callable and all(_tellable(part) for part in parts)


def _given(value: Any, setting: Setting, where: str, families: Families) -> tuple[Any, Any]:
    if value == "none" and NoneType in typing.get_args(setting.hint):
        return None, value
    if setting.family is not None:
        return called(setting.family, value, f"{where}.{setting.name}", families)
    metadata = {} if setting.dimension is None else {"dimension": setting.dimension, "positive": True}
    return value_of(value, setting.hint, metadata, f"[{where}] {setting.name}"), value


def _written(value: Any, setting: Setting, families: Families) -> Any:
    """A default as it would stand in a file; None for what cannot."""
    if value is None:
        return None
    if setting.family is not None:
        return _table(value, setting.family, families)
    if setting.dimension is not None:
        unit = next(iter(DIMENSIONS[setting.dimension]))
        return (
            [f"{one!r} {unit}" for one in value]
            if isinstance(value, tuple | list)
            else f"{float(value)!r} {unit}"
        )
    if isinstance(value, tuple):
        value = [one.item() if hasattr(one, "item") else one for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(value: Any, family: Family, families: Families) -> dict[str, Any] | None:
    """The table that stands for the object ``value``."""
    for name, kind in family.items():
        if type(value) is kind.target:
            table = {} if len(family) == 1 else {"kind": name}
            for key, setting in settings(kind, families).items():
                given = getattr(value, key)
                if given is None and setting.default is not None:
                    table[key] = "none"
                elif (written := _written(given, setting, families)) is not None:
                    table[key] = written
            return table
    return None
