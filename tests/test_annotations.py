"""What stands on a face says what it takes and what it gives, so that editors and type checkers can tell."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import equinox as eqx

from thalweg import registry

CALLED = ("__init__", "__call__", "__iter__", "__len__", "__getitem__")
"""Methods with a name between underscores that users call."""

GIVES_NOTHING = ("__init__", "__post_init__")


def functions_of_faces() -> Iterator[tuple[str, object]]:
    """Every function on a face, and every public method that a class on a face defines, with its name."""
    for name in registry.known():
        thing = registry.resolve(name)
        if not inspect.isclass(thing):
            yield name, thing
            continue
        for method, value in vars(thing).items():
            if not method.startswith("_") or method in CALLED:
                value = value.fget if isinstance(value, property) else value
                yield f"{name}.{method}", getattr(value, "method", getattr(value, "__func__", value))


def unannotated(function: object) -> list[str]:
    """Parameters without a type, and ``return`` where it has none."""
    function = inspect.unwrap(function)
    if not inspect.isfunction(function) or function.__code__.co_filename == "<string>":
        return []
    if not function.__module__.startswith("thalweg."):
        return []
    said, parameters = function.__annotations__, list(inspect.signature(function).parameters)
    missing = [
        name for k, name in enumerate(parameters) if name not in said and (k or name not in ("self", "cls"))
    ]
    return missing + ["return"] * ("return" not in said and function.__name__ not in GIVES_NOTHING)


def test_every_parameter_and_result_of_what_is_on_a_face_has_a_type():
    found = {name: missing for name, function in functions_of_faces() if (missing := unannotated(function))}
    assert found == {}


def test_a_parameter_without_a_type_would_be_found():
    class Method(eqx.Module):
        def fit(self, frames, lagtime: int = 1):
            return frames

    Method.fit.__module__ = "thalweg.somewhere"
    assert unannotated(Method.fit) == ["frames", "return"]
