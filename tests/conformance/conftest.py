"""What the suites share: each tries every public implementation of one protocol and finds by itself which there are.

A suite has a table `EXAMPLES` of small instances, ``"Name"`` or ``"Name: which"``; it fails until a new implementation
on the face of a room has a line there, and then tries it on everything.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def public() -> Callable[..., set[str]]:
    """``public(Protocol, "room", ...)``: names of the final classes on faces of rooms that have all its members.

    Of an abstract class instead of a protocol: its subclasses.
    """

    def names(protocol: type, *rooms: str) -> set[str]:
        members = {
            name
            for cls in protocol.__mro__
            if getattr(cls, "_is_protocol", False)
            for name in (*vars(cls), *getattr(cls, "__annotations__", {}))
            if name == "__call__" or not name.startswith("_")
        }
        faces = [importlib.import_module(f"thalweg.{room}") for room in rooms]
        classes = [
            thing for face in faces for name in face.__all__ if inspect.isclass(thing := getattr(face, name))
        ]
        if not getattr(protocol, "_is_protocol", False):
            return {one.__name__ for one in classes if _final(one) and issubclass(one, protocol)}
        return {one.__name__ for one in classes if _final(one) and members <= _offered(one)}

    return names


@pytest.fixture(scope="session")
def without_example() -> Callable[[set[str], dict], set[str]]:
    """Those of some names for which a table has no line."""
    return lambda names, examples: names - {example.partition(":")[0] for example in examples}


def _final(cls: type) -> bool:
    return not (getattr(cls, "_is_protocol", False) or inspect.isabstract(cls))


def _offered(cls: type) -> set[str]:
    return set(dir(cls)).union(*(getattr(base, "__annotations__", {}) for base in cls.__mro__))
