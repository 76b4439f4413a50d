"""What a docstring names between single back-ticks can be found: in its file, beside it, or on a face."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

import thalweg

PACKAGE = Path(thalweg.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
TICKED = re.compile(r"(?<![`\w:\\])`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\(\))?`(?![`_\w])")
"""One identifier or dotted name between single back-ticks; with a role before it (``:math:``) it is no name."""

Node = ast.Module | ast.ClassDef | ast.FunctionDef


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    parts = ("thalweg", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def targets(node: ast.AST) -> set[str]:
    """Names that a statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        bound = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {name.id for part in bound for name in ast.walk(part) if isinstance(name, ast.Name)}
    if isinstance(node, ast.If | ast.Try | ast.With):
        return {name for child in ast.iter_child_nodes(node) for name in targets(child)}
    return set()


def arguments(node: ast.FunctionDef) -> set[str]:
    args = node.args
    plain = {arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)}
    return plain | {starred.arg for starred in (args.vararg, args.kwarg) if starred}


@cache
def module_names(path: Path) -> frozenset[str]:
    """Names at the top of a module, and on the face if it is a room's."""
    names = {name for node in tree_of(path).body for name in targets(node)}
    return frozenset(names | set(face(module_name(path))))


@cache
def face(module: str) -> tuple[str, ...]:
    """Names on the face of a room; none if the module is no room."""
    return tuple(importlib.import_module(module).__all__) if stub(module).exists() else ()


def stub(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")[1:], "__init__.pyi")


@cache
def face_names() -> frozenset[str]:
    return frozenset(name for module in MODULES for name in face(module))


@cache
def classes() -> dict[str, list[ast.ClassDef]]:
    """All classes of the package by their name."""
    known: dict[str, list[ast.ClassDef]] = {}
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                known.setdefault(node.name, []).append(node)
    return known


def members(node: ast.ClassDef, above: tuple[str, ...] = ()) -> set[str]:
    """Fields, methods and parameters of a class and of those it is derived from."""
    own = {name for child in node.body for name in targets(child)}
    for child in ast.walk(node):
        if (
            isinstance(child, ast.Attribute)
            and isinstance(child.value, ast.Name)
            and child.value.id == "self"
        ):
            own |= {child.attr} if isinstance(child.ctx, ast.Store) else set()
        if isinstance(child, ast.FunctionDef) and child.name == "__init__":
            own |= arguments(child)
    for base in node.bases:
        word = base.value if isinstance(base, ast.Subscript) else base
        name = word.attr if isinstance(word, ast.Attribute) else getattr(word, "id", "")
        if name not in above:
            own |= {m for cls in classes().get(name, ()) for m in members(cls, (*above, node.name))}
    return own


def is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def documented(node: Node, scope: frozenset[str] = frozenset()):
    """Each string that documents something in a module, with its line and the names in its scope."""
    if isinstance(node, ast.ClassDef):
        scope |= members(node)
    elif isinstance(node, ast.FunctionDef):
        scope |= arguments(node)
    for child in node.body:
        if is_text(child):
            yield child.lineno, child.value.value, scope
        elif isinstance(child, ast.ClassDef | ast.FunctionDef):
            yield from documented(child, scope)


def is_among(names: frozenset[str], words: list[str]) -> bool:
    """Whether ``words`` is one of ``names``, or a member of a class that is."""
    if words[0] not in names:
        return False
    if len(words) == 1:
        return True
    return len(words) == 2 and any(words[1] in members(cls) for cls in classes().get(words[0], ()))


def resolves_in_module(module: str, words: list[str]) -> bool:
    """Whether ``words`` is a name of a module, or a member of a class in it; with no words left it is the module."""
    return not words or is_among(module_names(MODULES[module]), words)


def inside(name: str, here: str) -> bool:
    """Whether a name is a module beside the one that is ``here``, or a dotted name the end of a path in the package."""
    words = name.split(".")
    package = here if MODULES[here].name == "__init__.py" else here.rpartition(".")[0]
    if f"{package}.{name}" in MODULES or f"thalweg.{name}" in MODULES:
        return True
    ways = {".".join(words[:length]): words[length:] for length in range(1, len(words) + 1)}
    return len(words) > 1 and any(
        resolves_in_module(module, rest)
        for way, rest in ways.items()
        for module in MODULES
        if f".{module}".endswith(f".{way}")
    )


@cache
def outside(name: str) -> bool:
    """Whether a dotted name is found in another package; one that is not installed here is not looked into."""
    words = name.split(".")
    if len(words) == 1 or words[0] == "thalweg":
        return hasattr(builtins, name)
    try:
        if importlib.util.find_spec(words[0]) is None:
            return False
        thing = importlib.import_module(words[0])
    except ImportError:
        return False
    for k, word in enumerate(words[1:], 2):
        if not hasattr(thing, word):
            try:
                importlib.import_module(".".join(words[:k]))
            except ImportError:
                return False
        thing = getattr(thing, word)
    return True


def is_known(name: str, path: Path, scope: frozenset[str]) -> bool:
    return (
        name in scope
        or is_among(module_names(path) | face_names(), name.split("."))
        or inside(name, module_name(path))
        or outside(name)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_a_docstring_names_between_back_ticks_can_be_found(path):
    lost = [
        f"{path.relative_to(PACKAGE)}:{line}: `{name}`"
        for line, text, scope in documented(tree_of(path))
        for name in TICKED.findall(text)
        if not is_known(name, path, scope)
    ]
    assert not lost, "\n".join(["no such name (a public one, one of this file, or a full path):", *lost])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("TICA", True),
        ("thalweg.geometry.variables.Distances", True),
        ("variables.Distances", True),
        ("Distances.pairs", False),
        ("distances_of_nothing", False),
        ("numpy.linalg.svd", True),
        ("numpy.linalg.no_such", False),
    ],
)
def test_the_search_tells_what_is_from_what_is_not(name, found):
    assert is_known(name, PACKAGE / "geometry" / "evaluation.py", frozenset()) is found
