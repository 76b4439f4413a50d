"""Arrays in NumPy's files that may come from anyone: numbers and texts, never objects, which would be unpickled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from thalweg.machine.reading import reading

WHAT = "arrays of numbers"
ADVICE = "it is damaged, or holds Python objects instead of numbers, which are not read: make it again"


@contextmanager
def stored_arrays(path: Path | str) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays in an ``.npz`` file by name.

    Raises
    ------
    ValueError
        If the file is damaged or holds objects, or an array is asked for that it does not hold.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.npz"
    >>> np.savez(path, x=np.arange(3))
    >>> with stored_arrays(path) as arrays:
    ...     arrays["x"].tolist()
    [0, 1, 2]
    """
    with reading(path, WHAT, ADVICE), np.load(path, allow_pickle=False) as file:
        found = _Arrays({name: file[name] for name in file.files})
    found.path = path
    yield found


def stored_array(path: Path | str) -> np.ndarray:
    """The array in an ``.npy`` file.

    Raises
    ------
    ValueError
        If the file is damaged, an archive, or holds objects.
    """
    with reading(path, WHAT, ADVICE), open(path, "rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def mapped_array(path: Path | str) -> np.memmap:
    """The array in an ``.npy`` file, left there until it is asked for; raises as `stored_array`."""
    with reading(path, WHAT, ADVICE):
        return np.lib.format.open_memmap(path, "r")


class _Arrays(dict):
    """Arrays by name, in the file at ``path``."""

    path: Path | str = ""

    def __missing__(self, name: str) -> np.ndarray:
        raise ValueError(f"{self.path} holds no array {name!r}; it has {', '.join(map(repr, self))}")
