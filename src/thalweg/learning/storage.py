"""Models and other trees of plain values in one file that executes nothing when it is read.

The file is a zip archive: ``tree.json`` describes the tree, ``arrays/*.npy`` hold its arrays byte for byte. A tree is
any nesting of tuples, lists, dictionaries (keys of any kind that is plain here, integers included), numbers, strings,
None, NumPy and JAX arrays, sparse matrices, and named tuples, dataclasses or `equinox.Module`s on the face of a room or
plug-in. Nothing is pickled: a class is named as in `thalweg.registry`, so that a file outlives the move of a module,
and only what is found there is made, field by field, without calling it. The same tree gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array

from thalweg import __version__
from thalweg.machine import disk
from thalweg.machine.reading import UnreadableFile, reading
from thalweg.machine.whole_files import whole
from thalweg.registry import UnknownName, name_of, resolve
from thalweg.units import InFrames

FORMAT = "thalweg tree"
VERSION = 2
DESCRIPTION = "tree.json"
PACKAGE = __name__.partition(".")[0]


def save_tree(path: str | os.PathLike, tree: Any) -> Path:
    """Write ``tree`` to ``path`` under another name, force it to disk and rename it: it is there whole or not at all.

    Raises
    ------
    TypeError
        If something in the tree is not plain: a function, an object of another package, an array of objects. The
        message says where it is.

    Examples
    --------
    >>> import tempfile
    >>> path = save_tree(Path(tempfile.mkdtemp()) / "tree", {6: (1.5, None), "w": np.arange(3)})
    >>> load_tree(path)
    {6: (1.5, None), 'w': array([0, 1, 2])}
    """
    path = Path(path)
    arrays: list[np.ndarray] = []
    description = {"format": FORMAT, "version": VERSION, "written_by": __version__}
    description["tree"] = _describe(tree, "tree", arrays)
    with (
        whole(path) as draft,
        disk.created(draft) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        archive.writestr(zipfile.ZipInfo(DESCRIPTION), json.dumps(description, allow_nan=False))
        for k, array in enumerate(arrays):
            with archive.open(zipfile.ZipInfo(_member(k)), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return path


def tree_digest(tree: Any) -> str:
    """SHA-256 of a tree's content, whatever version of this package stores it.

    Examples
    --------
    >>> tree_digest({"a": 1.5}) == tree_digest({"a": 1.5}) != tree_digest({"a": 1.0})
    True
    """
    arrays: list[np.ndarray] = []
    digest = hashlib.sha256(json.dumps(_describe(tree, "tree", arrays), allow_nan=False).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def load_tree(path: str | os.PathLike) -> Any:
    """The tree in the file at ``path``, as `save_tree` was given it; JAX arrays keep 64 bits.

    Raises
    ------
    ValueError
        If the file is cut off, damaged, of another kind, of another version of the format, or names a class that is no
        dataclass of `thalweg.registry`.
    """
    path = Path(path)
    with (
        reading(
            path, f"a file of {PACKAGE}", "it is damaged, cut off or another file: copy or save it again"
        ),
        zipfile.ZipFile(path) as archive,
    ):
        if DESCRIPTION not in archive.namelist():
            raise UnreadableFile(
                f"{path} is an archive, but was not written by {PACKAGE}: it has no {DESCRIPTION}"
            )
        description = json.loads(archive.read(DESCRIPTION))
        _require_version(path, description)
        return _Reader(path, archive).value(description["tree"], "tree")


def _require_version(path, description):
    """Refuse a file of another format, or version of it."""
    if not isinstance(description, dict):
        raise UnreadableFile(f"{path} has a {DESCRIPTION} that describes no tree; save it again")
    kind, version = description.get("format"), description.get("version")
    if kind != FORMAT:
        raise UnreadableFile(f"{path} says it is {kind!r}; wanted {FORMAT!r}")
    if version != VERSION:
        advice = (
            "it names modules, which have moved since: make it again"
            if version == 1
            else f"use {PACKAGE} {description.get('written_by')}, which wrote it"
        )
        raise UnreadableFile(
            f"{path} is in version {version} of its format; {PACKAGE} {__version__} reads version {VERSION}; {advice}"
        )


def _member(k: int) -> str:
    return f"arrays/{k}.npy"


def _describe(value, where, arrays):
    """What JSON says of ``value``; arrays are appended to ``arrays`` and called by number."""
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        kind = (
            "jax" if isinstance(value, jax.Array) else "array" if isinstance(value, np.ndarray) else "scalar"
        )
        return {"is": kind, **_stored(value, where, arrays)}
    if isinstance(value, csr_array):
        value = csr_array(value)
        parts = {"data": value.data, "indices": value.indices, "indptr": value.indptr}
        stored = {name: _describe(part, f"{where}.{name}", arrays) for name, part in parts.items()}
        return {"is": "csr", "shape": list(value.shape), **stored}
    if type(value) is InFrames:
        return {"is": "frames", "value": repr(float(value))}
    # what JSON knows stands as it is, but subclasses and numbers that are not finite, which it would change
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"is": "float", "value": repr(value)}
    if type(value) in (tuple, list):
        items = [_describe(item, f"{where}[{k}]", arrays) for k, item in enumerate(value)]
        return items if type(value) is list else {"is": "tuple", "items": items}
    # objects by the name of their class on a face, and their parts
    if _is_named_tuple(type(value)):
        items = [_describe(item, f"{where}.{name}", arrays) for name, item in zip(value._fields, value)]
        return {"is": _name(value, where), "items": items}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = _name(value, where)
        return {
            "is": name,
            "fields": {
                field.name: _describe(getattr(value, field.name), f"{where}.{field.name}", arrays)
                for field in dataclasses.fields(value)
            },
        }
    # as pairs, since keys of JSON can only be strings
    if isinstance(value, Mapping):
        pairs = [
            [_describe(key, f"a key of {where}", arrays), _describe(item, f"{where}[{key!r}]", arrays)]
            for key, item in value.items()
        ]
        return {"is": "dict", "items": pairs}
    raise TypeError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which cannot be saved; keep arrays, "
        f"numbers, strings, tuples, dictionaries and dataclasses of {PACKAGE}, and the name of a function instead of it"
    )


def _name(value, where):
    """Under which its class is found again."""
    try:
        return name_of(type(value))
    except UnknownName as error:
        raise TypeError(f"{where} cannot be saved: {error}") from None


def _is_named_tuple(cls):
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")


def _stored(value, where, arrays):
    """Number of the array, and its dtype where the .npy format does not know it (bfloat16 and the like)."""
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended):
        raise TypeError(f"{where} is an array of {value.dtype}; save jax.random.key_data of it")
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError(f"{where} is an array of objects, which cannot be saved without pickling")
    strange = array.dtype.kind == "V" and array.dtype.names is None
    arrays.append(array.view(f"u{array.dtype.itemsize}") if strange else array)
    return {"number": len(arrays) - 1} | ({"dtype": array.dtype.name} if strange else {})


class _Reader:
    """Makes values from what JSON says of them and from the arrays of an archive."""

    def __init__(self, path, archive):
        self.path, self.archive = path, archive

    def value(self, description, where):
        if isinstance(description, list):
            return [self.value(item, f"{where}[{k}]") for k, item in enumerate(description)]
        if not isinstance(description, dict):
            return description
        kind = description.get("is")
        if kind == "tuple":
            return tuple(self.value(item, f"{where}[{k}]") for k, item in enumerate(description["items"]))
        if kind == "dict":
            return {
                self.value(key, where): self.value(item, f"{where}[{key!r}]")
                for key, item in description["items"]
            }
        if kind == "csr":
            return self.sparse(description, where)
        if kind == "frames":
            return InFrames(description["value"])
        if kind == "float":
            return float(description["value"])
        if kind in ("array", "scalar", "jax"):
            array = self.array(description)
            return array if kind == "array" else array[()] if kind == "scalar" else _on_device(array)
        if "items" in description:
            return self.named_tuple(str(kind), description["items"], where)
        return self.instance(str(kind), description.get("fields", {}), where)

    def sparse(self, description, where):
        """A sparse matrix, whose indices lie inside it."""
        parts = [self.value(description[name], where) for name in ("data", "indices", "indptr")]
        matrix = csr_array(tuple(parts), shape=tuple(description["shape"]))
        matrix.check_format(full_check=True)
        return matrix

    def named_tuple(self, name, items, where):
        """A named tuple, made of its items without calling its class."""
        cls = self.resolved(name, where)
        if not (_is_named_tuple(cls) and isinstance(items, list) and len(items) == len(cls._fields)):
            raise UnreadableFile(
                f"{where} in {self.path} is said to be {name}, of which it has no items; refused"
            )
        return tuple.__new__(cls, [self.value(item, f"{where}[{k}]") for k, item in enumerate(items)])

    def array(self, description):
        with self.archive.open(_member(int(description["number"]))) as member:
            array = np.lib.format.read_array(io.BytesIO(member.read()), allow_pickle=False)
        return array.view(jnp.dtype(description["dtype"])) if "dtype" in description else array

    def instance(self, name, fields, where):
        """An instance of a dataclass of this package, with its fields set and none of its code run."""
        cls = self.dataclass(name, where)
        known = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise UnreadableFile(
                f"{where} in {self.path} has {', '.join(map(repr, unknown))}, which {name} of {PACKAGE} "
                f"{__version__} does not have; use the version that wrote the file"
            )
        instance = object.__new__(cls)
        for key, field in known.items():
            if key in fields:
                value = self.value(fields[key], f"{where}.{key}")
            elif field.default is not dataclasses.MISSING:
                value = field.default
            elif field.default_factory is not dataclasses.MISSING:
                value = field.default_factory()
            else:
                raise UnreadableFile(
                    f"{where} in {self.path} lacks {key} of {name}; the file is incomplete: save it again"
                )
            object.__setattr__(instance, key, value)
        return instance

    def dataclass(self, name, where):
        cls = self.resolved(name, where)
        if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
            raise UnreadableFile(
                f"{where} in {self.path} is said to be {name}, which is no dataclass; refused"
            )
        return cls

    def resolved(self, name, where):
        try:
            return resolve(name)
        except UnknownName as error:
            raise UnreadableFile(f"{where} in {self.path} is made of nothing known: {error}") from None


def _on_device(array):
    with jax.enable_x64(True):
        return jnp.asarray(array)
