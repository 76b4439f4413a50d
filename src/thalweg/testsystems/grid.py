"""Cells of a rectangular grid, those kept of it, and functions on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.ndimage
from numpy.typing import ArrayLike

from thalweg.testsystems.potential import Domain


@dataclass(frozen=True)
class Grid:
    """The cells of a box that are kept, numbered with the last dimension running fastest.

    Attributes
    ----------
    domain : ``(lower, upper)`` [nm] of each dimension
    shape : (dims,) number of cells along each dimension
    kept : ``shape`` bool, which cells there are
    periodic : whether the first and the last cell of each dimension are neighbors; none are by default

    Examples
    --------
    >>> grid = Grid(((0.0, 1.0),), (4,), np.array([True, True, True, False]))
    >>> grid.points.tolist(), grid.at(np.array([[0.3]])).tolist()
    ([[0.125, 0.375, 0.625]], [1])
    """

    domain: Domain
    shape: tuple[int, ...]
    kept: np.ndarray
    periodic: tuple[bool, ...] = ()

    @cached_property
    def size(self) -> int:
        """Number of cells kept."""
        return int(self.kept.sum())

    @cached_property
    def lower(self) -> np.ndarray:
        """Lower corner of the box (dims,) [nm]."""
        return np.array([lower for lower, _ in self.domain])

    @cached_property
    def spacing(self) -> np.ndarray:
        """Width of a cell (dims,) [nm]."""
        return (np.array([upper for _, upper in self.domain]) - self.lower) / self.shape

    @cached_property
    def points(self) -> np.ndarray:
        """Centers of the cells (dims, cells) [nm]."""
        return self.lower[:, None] + self.spacing[:, None] * (np.stack(np.nonzero(self.kept)) + 0.5)

    @cached_property
    def number(self) -> np.ndarray:
        """Index ``shape`` of each cell of the box, -1 where it is not kept."""
        number = np.full(self.shape, -1)
        number[self.kept] = np.arange(self.size)
        return number

    @cached_property
    def neighbors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of neighboring cells ``(first, second)`` and the dimension along which they lie, (pairs,)."""
        first, second, along = [], [], []
        for d, n in enumerate(self.shape):
            around = np.arange(n if self.periodic and self.periodic[d] else n - 1)
            near = np.take(self.number, around, axis=d).ravel()
            far = np.take(self.number, (around + 1) % n, axis=d).ravel()
            both = (near >= 0) & (far >= 0)
            first.append(near[both])
            second.append(far[both])
            along.append(np.full(both.sum(), d))
        return np.concatenate(first), np.concatenate(second), np.concatenate(along)

    def at(self, x: ArrayLike) -> np.ndarray:
        """Index (frames,) of the cell that holds each of ``x`` (frames, dims) [nm].

        Raises
        ------
        ValueError
            If a point lies in no cell.
        """
        position = np.floor((np.asarray(x, float) - self.lower) / self.spacing).astype(int)
        inside = np.all((position >= 0) & (position < self.shape), axis=1)
        index = np.where(inside, self.number[tuple(np.clip(position, 0, np.array(self.shape) - 1).T)], -1)
        if np.any(index < 0):
            raise ValueError(
                f"{np.sum(index < 0)} of {len(index)} points lie in no cell of the grid over {self.domain}; "
                "leave them out, or widen the domain"
            )
        return index

    def unfolded(self, values: np.ndarray) -> np.ndarray:
        """``values`` (cells,) as an array of the grid's ``shape``, NaN where there is no cell."""
        full = np.full(self.shape, np.nan)
        full[self.kept] = values
        return full

    def interpolated(self, values: np.ndarray, x: ArrayLike) -> np.ndarray:
        """``values`` (cells,) at points ``x`` (frames, dims) [nm], by cubic splines, flat at the walls."""
        nearest = scipy.ndimage.distance_transform_edt(
            ~self.kept, return_distances=False, return_indices=True
        )
        full = self.unfolded(values)[tuple(nearest)]
        position = (np.asarray(x, float) - self.lower) / self.spacing - 0.5
        return scipy.ndimage.map_coordinates(full, position.T, order=3, mode="reflect")
