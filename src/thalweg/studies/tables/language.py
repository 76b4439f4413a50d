"""The language of studies: a table is the call it stands for, keys, types, units and defaults those of the signature.

What may stand in a table is read off a class or function. ``cutoff: Nanometers`` is a text with a unit (``"5 Å"``),
positive unless its type says otherwise (`AtLeast`, ``AnySign``); ``X | None`` takes ``"none"``; a parameter that is an
object of its own (a kernel, an optimizer) is a table in the table, whose ``kind`` names a class. Which kinds there are
is told by the parameter's type: the classes of a union, or the `Family` of a protocol. What only code can give
(``InCode[...]``, arrays, functions) is no key. So every parameter that a class gains can be said in a study at once.

| annotation | in a file |
|---|---|
| ``int, float, str, bool, Path, Literal`` | itself |
| ``Nanometers``, ``Kelvin``, ... | ``"5 Å"``, ``"300 K"`` |
| ``Annotated[int, AtLeast(1)]`` or ``Count`` | whole number of at least one |
| ``tuple[X, ...]``, ``Sequence[X]``, ``tuple[X, Y]`` | list |
| ``dict[str, X]``, ``Mapping[str, X]`` | table with keys of any name |
| a dataclass | table |
| ``A | B`` of dataclasses, or a protocol with a family | table with a ``kind`` |
| ``X | None`` | ``"none"``, or as ``X`` |
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import math
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal

from thalweg import registry
from thalweg.units import DIMENSIONS, AtLeast, Dimension, InCode, quantity

NOTHING = inspect.Parameter.empty
NO_ARGUMENTS: Mapping[str, Any] = types.MappingProxyType({})
PLAIN = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path",
}  # fmt: skip
CODE_ONLY = typing.get_args(InCode[int])[1]


class StudyError(ValueError):
    """A run file does not say what it must; the message names the key and what is accepted."""


def toml_of(path: Path) -> dict[str, Any]:
    """The tables of the file at ``path``.

    Raises
    ------
    StudyError
        If it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(f"{path} is no TOML: {error}") from None


def matching_trajectories(folder: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """Files of ``[trajectories] files`` below ``folder``, patterns with a star filled in, in order.

    Raises
    ------
    StudyError
        If a pattern fits no file.
    """
    found: list[Path] = []
    for name in names:
        path = folder / name
        matching = sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
        if not matching:
            raise StudyError(f'[trajectories] files = "{name}" fits no file in {path.parent}')
        found += matching
    return tuple(found)


@dataclass(frozen=True)
class Family:
    """What a door offers: the kinds that may stand where a parameter of type ``offered`` is asked for.

    Objects of plug-ins (`thalweg.registry`) are kinds, too, if they are instances of ``offered``.

    Parameters
    ----------
    offered : the protocol or base class of the objects, as in annotations
    names : what stands in a file -> name in the registry, such as ``{"SOAP": "representations.SOAP"}``
    default : kind of a table that names none; None where one has to be named, unless there is only one
    """

    offered: Any
    names: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None

    @property
    def title(self) -> str:
        """What its objects are called."""
        return " or ".join(one.__name__ for one in _union(self.offered))

    def kinds(self) -> tuple[str, ...]:
        """What may stand in a file, plug-ins left out."""
        return tuple(self.names)

    def find(self, kind: str) -> tuple[str, Callable] | None:
        """How ``kind`` is written in full, and the class or function of that name; None if it is not offered."""
        for short, name in self.names.items():
            if kind in (short, name, name.partition(".")[2]):
                return short, registry.resolve(name)
        name = registry.found(kind)
        if name is not None and name.partition(".")[0] in registry.plugin_names():
            return name, registry.resolve(name)
        return None

    def kind_of(self, thing: Any) -> str:
        """The kind of an object.

        Raises
        ------
        StudyError
            If no file can name its class.
        """
        cls = type(thing)
        for short, name in self.names.items():
            if name.endswith(f".{cls.__name__}") and registry.resolve(name) is cls:
                return short
        try:
            name = registry.name_of(cls)
        except registry.UnknownName as error:
            raise StudyError(str(error)) from None
        if name.partition(".")[0] not in registry.plugin_names():
            raise StudyError(f"{name} is none of the kinds of {self.title}: {_quoted(self.names)}")
        return name


@dataclass(frozen=True)
class Classes:
    """The kinds where a parameter's type is a union of classes, by their own names."""

    offered: tuple[type, ...]
    default: str | None = None

    @property
    def title(self) -> str:
        return " or ".join(self.kinds())

    def kinds(self) -> tuple[str, ...]:
        return tuple(cls.__name__ for cls in self.offered)

    def find(self, kind: str) -> tuple[str, Callable] | None:
        return next(((kind, cls) for cls in self.offered if cls.__name__ == kind), None)

    def kind_of(self, thing: Any) -> str:
        return type(thing).__name__


Families = Sequence[Family]


@dataclass(frozen=True)
class Parameter:
    """One key of a table.

    Attributes
    ----------
    name : of the key
    hint : its type, annotations included
    default : value where the key is left out; `NOTHING` where it must be there
    """

    name: str
    hint: Any
    default: Any


def read(
    target: Callable,
    table: Any,
    where: str,
    families: Families = (),
    given: Mapping[str, Any] = NO_ARGUMENTS,
) -> tuple[Any, dict[str, Any]]:
    """What the call of ``target`` that ``table`` stands for returns, and the table with every default written out.

    Parameters
    ----------
    target : a class or function of this package or a plug-in
    table : keys are parameters of ``target``
    where : the table's name in messages
    families : which kinds there are of parameters whose type is a protocol
    given : arguments that code gives; they are no keys of the table

    Raises
    ------
    StudyError
        If a key is unknown or missing, a value has the wrong type, unit or sign, or the call refuses its arguments.

    Examples
    --------
    >>> from thalweg.learned_potentials.linear.regularization import Ridge
    >>> read(Ridge, {}, "regularization")
    (Ridge(strength=1e-06), {'strength': 1e-06})
    >>> read(Ridge, {"strenth": 1.0}, "regularization")
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: [regularization] has no key "strenth"; did you mean "strength"? ...
    """
    return _read(target, table, where, families, given, ())


def choose(
    family: Family | Classes,
    table: Any,
    where: str,
    families: Families = (),
    given: Mapping[str, Any] = NO_ARGUMENTS,
) -> tuple[Any, dict[str, Any]]:
    """As `read`, of the class or function that the table's ``kind`` names.

    Raises
    ------
    StudyError
        As `read`; if the kind is unknown; if a plug-in makes something else than the family offers.

    Examples
    --------
    >>> from thalweg.learned_potentials.linear.regularization import Regularization
    >>> family = Family(Regularization, {"Ridge": "learned_potentials.Ridge"})
    >>> choose(family, {"kind": "Ridge", "strength": 1.0}, "regularization")
    (Ridge(strength=1.0), {'kind': 'Ridge', 'strength': 1.0})
    >>> choose(family, {"kind": "os.system"}, "regularization")
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: [regularization] kind = 'os.system' is unknown; Known: "Ridge"
    """
    if not isinstance(table, Mapping):
        raise StudyError(f"[{where}] must be a table; got {table!r}")
    rest = dict(table)
    kind = rest.pop("kind", family.default)
    if kind is None and len(family.kinds()) == 1:
        (kind,) = family.kinds()
    if kind is None:
        raise StudyError(f"[{where}] has no kind; give kind = one of {_quoted(family.kinds())}")
    found = family.find(kind) if isinstance(kind, str) else None
    if found is None:
        raise StudyError(f"[{where}] kind = {kind!r} is unknown; {did_you_mean(str(kind), family.kinds())}")
    written_kind, target = found
    made, resolved = _read(target, rest, where, families, given, ("kind",))
    if not isinstance(made, family.offered):
        wanted = _union(family.offered)[0]
        missing = [name for name in dir(wanted) if not name.startswith("_") and not hasattr(made, name)]
        lacks = f" (it lacks {', '.join(missing)})" if missing else ""
        raise StudyError(
            f'[{where}] kind = "{written_kind}" makes a {type(made).__name__}, which is no {family.title}{lacks}'
        )
    return made, {"kind": written_kind, **resolved}


def written(thing: Any, families: Families = ()) -> dict[str, Any]:
    """The table that stands for an object, every setting written out: `read` of its class gives its like.

    Examples
    --------
    >>> from thalweg.learned_potentials.linear.regularization import Ridge
    >>> written(Ridge(1.0))
    {'strength': 1.0}
    """
    table = {}
    for name, parameter in parameters(type(thing), families).items():
        value = getattr(thing, name)
        if value is None and parameter.default is not None:
            table[name] = "none"
        elif (text := _written(value, parameter.hint, families)) is not None:
            table[name] = text
    return table


def written_kind(family: Family | Classes, thing: Any, families: Families = ()) -> dict[str, Any]:
    """The table that stands for an object of a family: `choose` gives its like."""
    return {"kind": family.kind_of(thing), **written(thing, families)}


def parameters(target: Callable, families: Families = (), given: Iterable[str] = ()) -> dict[str, Parameter]:
    """What a table that stands for a call of ``target`` may hold.

    Raises
    ------
    StudyError
        If ``target`` asks for something that no file can give and that is not ``given``.
    """
    known = {}
    for one in _all_parameters(target):
        if one.name in given:
            continue
        if _sayable(one.hint, families):
            known[one.name] = one
        elif one.default is NOTHING:
            raise StudyError(
                f"{_name(target)} asks for {one.name}, which no file can give; use it from Python"
            )
    return known


def value(given: Any, hint: Any, where: str, families: Families = ()) -> tuple[Any, Any]:
    """``given`` as the type ``hint`` wants it (of several, the first it fits), and as it stands in a resolved table.

    Raises
    ------
    StudyError
        If it fits none; what is wrong with the last one is said.

    Examples
    --------
    >>> from thalweg.units import Nanometers
    >>> value("5 Å", Nanometers | None, "cutoff")
    (0.5, '5 Å')
    """
    options = list(_options(hint))
    bare = [option.bare for option in options]
    if any(typing.get_origin(one) is Literal and given in typing.get_args(one) for one in bare):
        return given, given
    if given == "none" and NoneType in bare:
        return None, given
    offer = _offer(hint, families)
    if offer is not None and (isinstance(given, Mapping) or not any(map(_plain, bare))):
        if isinstance(offer, type):
            return read(offer, _without_kind(given, offer), _table_name(where), families)
        return choose(offer, given, _table_name(where), families)
    *others, last = [option for option in options if _plain(option.bare)]
    for option in others:
        try:
            return _one(given, option, where, families)
        except StudyError:
            continue
    return _one(given, last, where, families)


def did_you_mean(given: str, known: Iterable) -> str:
    """What is known, the likely one first."""
    near = difflib.get_close_matches(given, [str(name) for name in known], 1)
    return (f'did you mean "{near[0]}"? ' if near else "") + f"Known: {_quoted(known)}"


def _quoted(names: Iterable) -> str:
    """Names in quotation marks."""
    return ", ".join(f'"{name}"' for name in names)


@dataclass(frozen=True)
class _Option:
    """One type of a union: the type without its marks, dimension, and least value."""

    bare: Any
    dimension: str | None
    least: int | float | None
    in_code: bool


def _read(target, table, where, families, given, extra):
    if not isinstance(table, Mapping):
        raise StudyError(f"[{where}] must be a table; got {table!r}")
    known = parameters(target, families, given)
    for key in table:
        if key not in known:
            raise StudyError(f'[{where}] has no key "{key}"; {did_you_mean(key, (*extra, *known))}')
    arguments, resolved = dict(given), {}
    for name, parameter in known.items():
        if name in table:
            place = f"{where}.{name}" if _offer(parameter.hint, families) else f"[{where}] {name}"
            arguments[name], resolved[name] = value(table[name], parameter.hint, place, families)
        elif parameter.default is NOTHING:
            raise StudyError(f'[{where}] misses the key "{name}" (known: {", ".join((*extra, *known))})')
        elif (text := _written(parameter.default, parameter.hint, families)) is not None:
            resolved[name] = text
    try:
        return target(**arguments), resolved
    except StudyError:
        raise
    except ValueError as error:
        raise StudyError(f"[{where}] {error}") from None


def _all_parameters(target: Callable) -> Iterator[Parameter]:
    """Parameters of a call, also those that no file can give."""
    hints = _hints(target)
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            default = _default(target, name, parameter.default)
            yield Parameter(name, hints.get(name, NOTHING if default is NOTHING else type(default)), default)


def _hints(target: Callable) -> dict[str, Any]:
    """Types of the parameters, those of a class from its fields and its ``__init__``."""
    try:
        hints = typing.get_type_hints(target, include_extras=True)
        if inspect.isclass(target) and not dataclasses.is_dataclass(target):
            hints = typing.get_type_hints(target.__init__, include_extras=True) | hints
    except NameError as error:
        raise StudyError(
            f"types of the parameters of {_name(target)} cannot be read: {error}; import what they name where they "
            "are, not for type checkers only"
        ) from None
    return hints


def _default(target: Callable, name: str, default: Any) -> Any:
    """The default of a parameter, made where a dataclass has a function for it."""
    if inspect.isclass(target) and dataclasses.is_dataclass(target):
        for one in dataclasses.fields(target):
            if one.name == name and one.default_factory is not dataclasses.MISSING:
                return one.default_factory()
    return default


def _without_kind(given: Any, cls: type) -> Any:
    """The table of the only class there is, which may be named."""
    if isinstance(given, Mapping) and given.get("kind") == cls.__name__:
        return {key: one for key, one in given.items() if key != "kind"}
    return given


def _table_name(where: str) -> str:
    """The table ``a.b`` at the key ``[a] b``."""
    return where.removeprefix("[").replace("] ", ".")


def _name(target: Callable) -> str:
    return getattr(target, "__name__", repr(target))


def _union(hint: Any) -> tuple:
    united = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if united else hint if isinstance(hint, tuple) else (hint,)


def _options(hint: Any, marks: tuple = ()) -> Iterator[_Option]:
    """The types of a union, with the marks of each and of the whole."""
    if typing.get_origin(hint) is Annotated:
        bare, *own = typing.get_args(hint)
        yield from _options(bare, (*own, *marks))
        return
    parts = _union(hint)
    if len(parts) > 1:
        for part in parts:
            yield from _options(part, marks)
        return
    dimension = next((mark.name for mark in marks if isinstance(mark, Dimension)), None)
    least = [mark.least for mark in marks if isinstance(mark, AtLeast)]
    yield _Option(hint, dimension, least[-1] if least else None, CODE_ONLY in marks)


def _offer(hint: Any, families: Families) -> Family | Classes | type | None:
    """The family of a parameter that is an object, its class where there is one only; None for what is none."""
    bare = [option.bare for option in _options(hint)]
    for family in families:
        if set(_union(family.offered)) & set(bare):
            return family
    classes = tuple(one for one in bare if _is_settings(one, families))
    if len(classes) > 1:
        return Classes(classes)
    return classes[0] if classes else None


def _is_settings(cls: Any, families: Families) -> bool:
    """Whether objects of the class can be written down."""
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls) or inspect.isabstract(cls):
        return False
    try:
        needed = [one for one in _all_parameters(cls) if one.default is NOTHING]
    except StudyError:
        return False
    return all(_sayable(one.hint, families) for one in needed)


def _sayable(hint: Any, families: Families) -> bool:
    """Whether a file can give a value of this type."""
    options = list(_options(hint))
    if any(option.in_code for option in options):
        return False
    offered = _offer(hint, families) is not None
    bare = [option.bare for option in options if option.bare is not NoneType]
    return bool(bare) and all(
        (offered and isinstance(one, type)) or (_plain(one) and _parts_sayable(one, families)) for one in bare
    )


def _parts_sayable(bare: Any, families: Families) -> bool:
    parts = [part for part in typing.get_args(bare) if part is not ...]
    if typing.get_origin(bare) is Literal:
        return True
    return all(_sayable(part, families) for part in parts)


def _plain(bare: Any) -> bool:
    """Whether a type is a text, number, list or table of keys of any name, or a choice of some."""
    return bare in PLAIN or typing.get_origin(bare) in (Literal, tuple, list, Sequence, dict, Mapping)


def _one(given: Any, option: _Option, where: str, families: Families) -> tuple[Any, Any]:
    """``given`` as one type."""
    origin, parts = typing.get_origin(option.bare), typing.get_args(option.bare)
    if origin is Literal:
        raise StudyError(f"{where} = {given!r}; {did_you_mean(str(given), parts)}")
    if origin in (tuple, list, Sequence):
        return _list(given, parts, where, families)
    if origin in (dict, Mapping):
        if not isinstance(given, Mapping):
            raise StudyError(f"{where} must be a table; got {given!r}")
        pairs = {key: value(one, parts[1], f'{where} "{key}"', families) for key, one in given.items()}
        return {key: one for key, (one, _) in pairs.items()}, {key: text for key, (_, text) in pairs.items()}
    if option.dimension is not None:
        return _measured(given, option, where), given
    return _number_or_text(given, option, where), given


def _list(given, parts, where, families):
    if not isinstance(given, list | tuple):
        measured = any(option.dimension for option in _options(parts[0]))
        raise StudyError(f"{where} must be a list{' of quantities' * measured}; got {given!r}")
    if len(parts) == 1 or parts[1] is ...:
        parts = (parts[0],) * len(given)
    if len(parts) != len(given):
        raise StudyError(f"{where} = {list(given)!r}; give {len(parts)} values")
    pairs = [
        value(one, part, f"{where}, entry {k + 1}", families)
        for k, (one, part) in enumerate(zip(given, parts))
    ]
    return tuple(one for one, _ in pairs), [text for _, text in pairs]


def _measured(given: Any, option: _Option, where: str) -> float:
    units = DIMENSIONS[option.dimension]
    if not isinstance(given, str):
        raise StudyError(f'{where} = {given!r} has no unit; give a text such as "1 {next(iter(units))}"')
    try:
        number = quantity(given, option.dimension)
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from None
    if option.least is None and not number > 0:
        raise StudyError(f'{where} = "{given}"; give a positive {option.dimension}')
    if option.least is not None and number < option.least:
        raise StudyError(f'{where} = "{given}"; give at least {option.least:g} {next(iter(units))}')
    return number


def _number_or_text(given: Any, option: _Option, where: str) -> Any:
    kind = option.bare
    if kind is Path and isinstance(given, str):
        return Path(given)
    if kind is float and isinstance(given, int) and not isinstance(given, bool):
        given = float(given)
    if not isinstance(given, kind) or (isinstance(given, bool) and kind is not bool):
        raise StudyError(f"{where} must be {PLAIN[kind]}; got {given!r}")
    if option.least is not None and given < option.least:
        raise StudyError(f"{where} = {given}; give at least {option.least:g}")
    return given


def _written(thing: Any, hint: Any, families: Families) -> Any:
    """A value as it would stand in a file; None for what stands for itself by not being there."""
    if thing is None:
        return None
    options = [option for option in _options(hint) if option.bare is not NoneType]
    if isinstance(thing, Mapping):
        part = next(typing.get_args(option.bare)[1] for option in options if typing.get_args(option.bare))
        return {key: _written(one, part, families) for key, one in thing.items()}
    if isinstance(thing, tuple | list):
        parts = next((typing.get_args(one.bare) for one in options if typing.get_args(one.bare)), (Any,))
        if len(parts) == 1 or parts[1] is ...:
            parts = (parts[0],) * len(thing)
        return [_written(one, part, families) for one, part in zip(thing, parts, strict=True)]
    offer = _offer(hint, families)
    if offer is not None and dataclasses.is_dataclass(thing):
        return written(thing, families) if isinstance(offer, type) else written_kind(offer, thing, families)
    thing = thing.item() if hasattr(thing, "item") else str(thing) if isinstance(thing, Path) else thing
    dimension = next((option.dimension for option in options if option.dimension), None)
    if dimension is not None and isinstance(thing, int | float) and not isinstance(thing, bool):
        return f"{float(thing)!r} {next(iter(DIMENSIONS[dimension]))}"
    return None if isinstance(thing, float) and not math.isfinite(thing) else thing
