"""Atom indices and names of many values, as constants that compiled functions look up quickly.

A compiled function hashes and compares its constants at every call; nested tuples of fifty thousand pairs and their
names would take longer than the values. These are compared by content too, but hashed once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Rows = tuple[tuple[int, ...], ...]
"""For each value of a variable, the atoms it depends on."""


class AtomTable:
    """Rows of different indices, ``(rows, width)``.

    Parameters
    ----------
    rows : (rows, width) indices
    width : how many atoms a row must have

    Raises
    ------
    ValueError
        If the rows have another width, or one names an atom twice.

    Examples
    --------
    >>> AtomTable([[0, 1], [4, 2]], 2).rows
    ((0, 1), (4, 2))
    """

    __slots__ = ("_hash", "array")

    def __init__(self, rows: np.ndarray | Sequence, width: int):
        table = np.array(rows, int)
        if table.ndim != 2 or table.shape[1] != width:
            raise ValueError(
                f"atoms have the shape {table.shape}; give rows of {width} atom indices, (n, {width})"
            )
        ordered = np.sort(table, axis=1)
        repeated = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
        if len(repeated):
            row = table[repeated[0]].tolist()
            raise ValueError(f"the row {row} names an atom or residue twice; give {width} different ones")
        table.setflags(write=False)
        self.array = table
        self._hash = hash((table.shape, table.tobytes()))

    @property
    def rows(self) -> Rows:
        """The rows as tuples."""
        return tuple(map(tuple, self.array.tolist()))

    def __len__(self) -> int:
        return len(self.array)

    def __reduce__(self):
        return AtomTable, (self.array, self.array.shape[1])  # hashes differ from process to process

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, AtomTable) and np.array_equal(self.array, other.array)


class Names(tuple):
    """A tuple of names.

    Examples
    --------
    >>> Names(["phi ALA2"]) == ("phi ALA2",)
    True
    """

    def __reduce__(self):
        return Names, (tuple(self),)

    def __hash__(self) -> int:
        if "known" not in self.__dict__:
            self.__dict__["known"] = tuple.__hash__(self)
        return self.__dict__["known"]

    def __eq__(self, other: object) -> bool:
        return self is other or tuple.__eq__(self, other)
