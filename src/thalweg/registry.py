"""The names by which files speak of what there is. Nothing else is ever imported, made or called because of a file.

A name is ``"room.Name"``, such as ``"collective_variables.TICA"``: an entry on the face of a room of this package,
wherever its module may have moved; or ``"plugin.Name"``, where ``plugin`` is a package that the user installed and that
declares itself by an entry point of the group ``thalweg``, or a file that the person at the keyboard named
(``thalweg run study.toml --with plugin.py``). What a study, a model or a folder from elsewhere says can choose among
these names, and cannot add to them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = __name__.partition(".")[0]
ROOMS = (
    "binding", "coarse_graining", "collective_variables", "contest", "dynamics", "free_energies", "geometry", "interop",
    "kinetics", "labeling", "learned_potentials", "learning", "machine", "potentials", "report", "representations",
    "sampling", "spectra", "studies", "systems", "testsystems", "time_series",
)  # fmt: skip
GROUP = "thalweg"
"""Group of the entry points by which installed packages declare themselves."""

WITH = "THALWEG_WITH"
"""Environment variable with the files that the user named, so that worker processes know them too."""

FORM = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")


class UnknownName(ValueError):
    """A name that no room and no plug-in has, or an object that has no such name."""


def resolve(name: str) -> Any:
    """What is called ``name``.

    Raises
    ------
    UnknownName
        If ``name`` is not on the face of a room or of a plug-in.

    Examples
    --------
    >>> resolve("time_series.Trajectories").__name__
    'Trajectories'
    >>> resolve("os.system")
    Traceback (most recent call last):
    ...
    thalweg.registry.UnknownName: "os.system" is no name of Thalweg; ...
    """
    room, _, last = name.partition(".") if FORM.fullmatch(name) else ("", "", "")
    if room in ROOMS:
        face = importlib.import_module(f"{PACKAGE}.{room}")
        if last in face.__all__:
            return getattr(face, last)
    elif room in plugin_names():
        module = plugin(room)
        if last in public(module):
            return getattr(module, last)
    near = get_close_matches(name, known(), 1)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    raise UnknownName(
        f'"{name}" is no name of Thalweg; {hint}known are those on the faces of its rooms ({", ".join(ROOMS)}) and of '
        f"plug-ins ({', '.join(plugin_names()) or 'none here: name a file by --with'})"
    )


def name_of(thing: Any) -> str:
    """The name of a public class or function.

    Raises
    ------
    UnknownName
        If it is not on the face of a room or plug-in.

    Examples
    --------
    >>> from thalweg.time_series.trajectories import Trajectories
    >>> name_of(Trajectories)
    'time_series.Trajectories'
    """
    module, last = getattr(thing, "__module__", None) or "", getattr(thing, "__qualname__", "")
    parts = module.split(".")
    if parts[0] == PACKAGE and len(parts) > 1:
        room = parts[1]
    else:
        room = next((name for name in plugin_names() if plugin(name).__name__ == module), "")
    name = f"{room}.{last}"
    if FORM.fullmatch(name) and (room in ROOMS or room in plugin_names()):
        try:
            found = resolve(name)
        except UnknownName:
            found = None
        if found is thing:
            return name
    raise UnknownName(
        f"{module}.{last} is on no face of {PACKAGE}, so no file can name it; keep its numbers instead, or put it "
        "on the face of its room"
    )


def found(word: str) -> str | None:
    """The full name of ``word``, which may leave out the room; None if there is none.

    Examples
    --------
    >>> found("TICA"), found("collective_variables.TICA"), found("os.system")
    ('collective_variables.TICA', 'collective_variables.TICA', None)
    """
    candidates = [name for name in known() if word in (name, name.partition(".")[2])]
    return candidates[0] if len(candidates) == 1 else None


@cache
def _faces() -> tuple[str, ...]:
    return tuple(
        f"{room}.{name}" for room in ROOMS for name in importlib.import_module(f"{PACKAGE}.{room}").__all__
    )


def known() -> tuple[str, ...]:
    """All names, those of plug-ins last."""
    return (*_faces(), *(f"{one}.{name}" for one in plugin_names() for name in public(plugin(one))))


def plugin_names() -> tuple[str, ...]:
    """Names of the plug-ins there are, not loaded yet: installed ones, then files named by the user."""
    return (*_installed(), *(path.stem for path in named_files()))


def named_files() -> tuple[Path, ...]:
    """Files that the user named for this process."""
    return tuple(Path(text) for text in os.environ.get(WITH, "").split(os.pathsep) if text)


def name_files(paths: Sequence[Path]) -> None:
    """Let this process and those it starts use plug-ins in the files at ``paths``, which the user has named.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If it is no Python file, or its name is taken.
    """
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"there is no plug-in {path}; give a Python file")
        if path.suffix != ".py" or not path.stem.isidentifier():
            raise ValueError(f"{path} is no plug-in; give a Python file with a name such as my_policy.py")
        if path.stem in ROOMS or path.stem in _installed():
            raise ValueError(f'"{path.stem}" is the name of something else here; rename the file {path}')
    whole = [*named_files(), *(path.resolve() for path in paths)]
    stems = [path.stem for path in dict.fromkeys(whole)]
    if len(set(stems)) < len(stems):
        raise ValueError(f"two plug-ins have one name ({', '.join(stems)}); rename one of the files")
    os.environ[WITH] = os.pathsep.join(map(str, dict.fromkeys(whole)))


def plugin(name: str) -> ModuleType:
    """The module of a plug-in, loaded when first asked for."""
    for path in named_files():
        if path.stem == name:
            return _loaded(path)
    return _installed_module(name)


def public(module: ModuleType) -> tuple[str, ...]:
    """Names on the face of a plug-in: its ``__all__``, or the classes and functions that it defines itself."""
    if hasattr(module, "__all__"):
        return tuple(module.__all__)
    return tuple(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", None) == module.__name__
    )


def fingerprints() -> Mapping[str, str]:
    """SHA-256 of each file that the user named, by the plug-in's name: what a run is tied to."""
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in named_files()}


@cache
def _installed() -> tuple[str, ...]:
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)} - set(ROOMS)))


@cache
def _installed_module(name: str) -> ModuleType:
    return next(entry for entry in entry_points(group=GROUP) if entry.name == name).load()


@cache
def _loaded(path: Path) -> ModuleType:
    """The module in the file at ``path``, under a name that can be no other module's."""
    name = f"thalweg_with_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
