"""Strict reading of tables: every key is known, every value has its type, every number its unit.

A table is read into a frozen dataclass whose fields are the keys. A field with a ``dimension`` in its
metadata is a text with a unit, such as ``"2 fs"``, and is kept in internal units; `as_table` writes it back.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from thalweg.studies.tables.language import StudyError, nearest, quoted
from thalweg.units import DIMENSIONS, quantity

REQUIRED = dataclasses.MISSING


def measured(dimension: str, default: Any = REQUIRED, positive: bool = True) -> Any:
    """A field given as text with a unit of ``dimension``; ``default`` is such a text or None."""
    value = quantity(default, dimension) if isinstance(default, str) else default
    return dataclasses.field(default=value, metadata={"dimension": dimension, "positive": positive})


def counted(default: Any = REQUIRED, least: int = 1) -> Any:
    """A field that is a whole number of at least ``least``."""
    return dataclasses.field(default=default, metadata={"least": least})


def choose(
    kinds: Mapping[str, type],
    table: Mapping[str, Any],
    where: str,
    key: str = "kind",
    default: str | None = None,
):
    """The dataclass that ``table[key]`` names, read from the rest of the table."""
    rest = dict(table)
    kind = rest.pop(key, default)
    if kind is None:
        raise StudyError(f"[{where}] has no {key}; give {key} = one of {quoted(kinds)}")
    if not isinstance(kind, str) or kind not in kinds:
        raise StudyError(f"[{where}] {key} = {kind!r} is unknown; {nearest(str(kind), kinds)}")
    return read(kinds[kind], rest, where, extra=(key,))


def read(cls: type, table: Any, where: str, extra: Iterable[str] = ()):
    """An instance of the dataclass ``cls`` from ``table``.

    Raises
    ------
    StudyError
        If a key is unknown or missing, or a value has the wrong type, unit or sign.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Dynamics:
    ...     temperature: float = measured("temperature", "300 K")
    ...     walkers: int = counted(4)
    >>> read(Dynamics, {"temperature": "310 K"}, "dynamics")
    Dynamics(temperature=310.0, walkers=4)
    >>> read(Dynamics, {"temprature": "310 K"}, "dynamics")
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: [dynamics] has no key "temprature"; did you mean "temperature"? ...
    """
    if not isinstance(table, Mapping):
        raise StudyError(f"[{where}] must be a table; got {table!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in table:
        if key not in fields:
            raise StudyError(f'[{where}] has no key "{key}"; {nearest(key, (*extra, *fields))}')
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in table:
            values[name] = value_of(table[name], hints[name], field.metadata, f"[{where}] {name}")
        elif field.default is REQUIRED and field.default_factory is REQUIRED:
            raise StudyError(f'[{where}] misses the key "{name}" (known: {", ".join((*extra, *fields))})')
    try:
        return cls(**values)
    except StudyError:
        raise
    except ValueError as error:
        raise StudyError(f"[{where}] {error}") from None


def as_table(settings: Any) -> dict[str, Any]:
    """The dataclass ``settings`` as a table that `read` reads back, every default written out."""
    table = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value is None:
            continue
        if "dimension" in field.metadata:
            unit = next(iter(DIMENSIONS[field.metadata["dimension"]]))
            value = [f"{v!r} {unit}" for v in value] if isinstance(value, tuple) else f"{value!r} {unit}"
        elif isinstance(value, Path):
            value = str(value)
        elif isinstance(value, tuple):
            value = list(value)
        table[field.name] = value
    return table


def value_of(value: Any, hint: Any, metadata: Mapping, where: str) -> Any:
    """``value`` as the type ``hint`` and the ``metadata`` of a field want it; of several types, the first it fits.

    Raises
    ------
    StudyError
        If it fits none; what is wrong with the last one is said.
    """
    *others, kind = [option for option in _union(hint) if option is not type(None)]
    for option in others:
        try:
            return value_of(value, option, metadata, where)
        except StudyError:
            continue
    if "dimension" in metadata:
        return _measured(value, kind, metadata, where)
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            raise StudyError(f"{where} = {value!r}; {nearest(str(value), typing.get_args(kind))}")
        return value
    if typing.get_origin(kind) in (tuple, Sequence):
        if not isinstance(value, list):
            raise StudyError(f"{where} must be a list; got {value!r}")
        return tuple(value_of(entry, typing.get_args(kind)[0], metadata, where) for entry in value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = {
            str: "a text",
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            Path: "a path",
            dict: "a table",
        }
        raise StudyError(f"{where} must be {names[kind]}; got {value!r}")
    if "least" in metadata and value < metadata["least"]:
        raise StudyError(f"{where} = {value}; give at least {metadata['least']}")
    return value


def _measured(value: Any, kind: Any, metadata: Mapping, where: str) -> Any:
    if typing.get_origin(kind) in (tuple, Sequence):
        if not isinstance(value, list):
            raise StudyError(f"{where} must be a list of quantities; got {value!r}")
        return tuple(_measured(entry, float, metadata, where) for entry in value)
    if not isinstance(value, str):
        raise StudyError(f'{where} = {value!r} has no unit; give a text such as "{_example(metadata)}"')
    try:
        number = quantity(value, metadata["dimension"])
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from None
    if metadata["positive"] and not number > 0:
        raise StudyError(f'{where} = "{value}"; give a positive {metadata["dimension"]}')
    return number


def _example(metadata: Mapping) -> str:
    return f"1 {next(iter(DIMENSIONS[metadata['dimension']]))}"


def _union(hint: Any) -> tuple:
    return (
        typing.get_args(hint)
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        else (hint,)
    )
