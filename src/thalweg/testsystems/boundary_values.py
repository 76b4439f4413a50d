"""Linear problems with values given on sets, on a grid: committors and mean first-passage times.

Outside sets S_k, ``-L f = source``; on S_k, ``f = f_k``. Where a grid line between a cell outside and one
inside crosses the boundary after a fraction theta of the spacing, the hop ends there: its rate is that of a
step ``theta h``, with everything else unchanged, so the problem stays symmetric and second-order accurate
[gibou2002].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from thalweg.testsystems.grid import Grid
from thalweg.testsystems.potential import Potential

Region = np.ndarray | Callable[[np.ndarray], np.ndarray]
"""A mask (cells,), or a function from points (dims, points) to booleans (points,)."""

SUBDIVISION = 16
"""Points per dimension used to divide a cell that a boundary cuts."""


@runtime_checkable
class HoppingProcess(Protocol):
    """What a linear problem needs of a process that hops between the cells of a grid; see `generator.Generator`."""

    potential: Potential
    kT: float
    grid: Grid

    @property
    def points(self) -> np.ndarray:
        """Centers ``(dims, cells)`` [nm]."""
        ...

    @property
    def size(self) -> int:
        """Number of cells."""
        ...

    @property
    def reduced_energy(self) -> np.ndarray:
        """``(cells,)`` [kT]."""
        ...

    @property
    def stationary_distribution(self) -> np.ndarray:
        """``(cells,)``, sum one."""
        ...

    def hop_rates(self, origin: np.ndarray, step: np.ndarray, along: np.ndarray) -> np.ndarray:
        """Rates [1/ps] of signed steps [nm] from cells ``origin`` along dimensions ``along``."""
        ...


def _mask(generator: HoppingProcess, region: Region) -> np.ndarray:
    """Which cells (cells,) have their center in the region.

    Raises
    ------
    ValueError
        If a mask does not have one entry per cell, or no cell is inside.
    """
    inside = np.asarray(region(generator.points) if callable(region) else region, bool).reshape(-1)
    if inside.shape != (generator.size,):
        raise ValueError(
            f"a region of {inside.size} entries was given for {generator.size} cells; give one per cell"
        )
    if not inside.any():
        raise ValueError(
            f"no cell center is in the region; use cells finer than {generator.grid.spacing} or a larger set"
        )
    return inside


def fractions(generator: HoppingProcess, region: Region) -> np.ndarray:
    """Part (cells,) of each cell's weight that lies in the region; 0 or 1 for masks and off the boundary."""
    part = _mask(generator, region).astype(float)
    if not callable(region):
        return part
    # cells whose corners lie on both sides are cut by the boundary: only those are subdivided
    corners = np.meshgrid(*[[-0.5, 0.5]] * len(generator.grid.spacing), indexing="ij")
    offsets = generator.grid.spacing[:, None] * np.stack([axis.ravel() for axis in corners])
    votes = sum(region(generator.points + offset[:, None]) for offset in offsets.T)
    cut = np.flatnonzero((votes > 0) & (votes < len(offsets.T)))
    ticks = (np.arange(SUBDIVISION) + 0.5) / SUBDIVISION - 0.5
    grid = np.meshgrid(*[ticks] * len(generator.grid.spacing), indexing="ij")
    offsets = generator.grid.spacing[:, None] * np.stack([axis.ravel() for axis in grid])
    inner = generator.points[:, cut, None] + offsets[:, None, :]
    weights = np.exp(
        -(generator.potential.energy(inner) / generator.kT - generator.reduced_energy[cut, None])
    )
    part[cut] = (weights * region(inner)).sum(axis=1) / weights.sum(axis=1)
    return part


@dataclass(frozen=True)
class Boundary:
    """The sets on which values are given, and the hops that end on them.

    Attributes
    ----------
    generator : the process
    regions : the sets, which must not touch

    Raises
    ------
    ValueError
        If two sets share a cell or have neighboring cells.
    """

    generator: HoppingProcess
    regions: tuple[Region, ...]

    def __post_init__(self):
        first, second, _ = self.generator.grid.neighbors
        owners = sum(region.astype(int) for region in self.masks)
        touching = (self.labels[first] != self.labels[second]) & (owners[first] > 0) & (owners[second] > 0)
        if owners.max() > 1 or touching.any():
            raise ValueError(
                "the sets overlap or touch on this grid; give sets farther apart or a finer grid"
            )

    @cached_property
    def masks(self) -> tuple[np.ndarray, ...]:
        """Cells (cells,) in each set."""
        return tuple(_mask(self.generator, region) for region in self.regions)

    @cached_property
    def labels(self) -> np.ndarray:
        """Index (cells,) of the set that holds each cell, -1 outside all."""
        labels = np.full(self.generator.size, -1)
        for k, inside in enumerate(self.masks):
            labels[inside] = k
        return labels

    @cached_property
    def ending_hops(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hops from a cell outside onto a set: ``(origin, set, rate)``, rate in 1/ps."""
        first, second, along = self.generator.grid.neighbors
        step = self.generator.grid.spacing[along]
        inward = np.flatnonzero((self.labels[first] < 0) & (self.labels[second] >= 0))
        outward = np.flatnonzero((self.labels[second] < 0) & (self.labels[first] >= 0))
        origin = np.concatenate([first[inward], second[outward]])
        label = self.labels[np.concatenate([second[inward], first[outward]])]
        along = np.concatenate([along[inward], along[outward]])
        step = np.concatenate([step[inward], -step[outward]])
        for k, region in enumerate(self.regions):
            if callable(region):
                own = label == k
                step[own] *= _crossing(region, self.generator.points[:, origin[own]], along[own], step[own])
        return origin, label, self.generator.hop_rates(origin, step, along)

    def solution(self, values: tuple[float, ...], source: float) -> np.ndarray:
        """``f`` (cells,) with ``-L f = source`` outside the sets and ``f = values[k]`` on set k.

        Solved by sparse LU decomposition in the symmetric form ``-pi^(1/2) L pi^(-1/2)``.
        """
        chain = self.generator
        origin, label, rate = self.ending_hops
        outside = np.flatnonzero(self.labels < 0)
        root = np.sqrt(chain.stationary_distribution)
        bulk = chain.symmetric[outside][:, outside]
        hops = scipy.sparse.triu(bulk, 1)
        hops = hops + hops.T
        # diagonal: rates of hops to other cells outside, sum_j L_ij, and of those that end on a set
        exits = -(hops @ root[outside]) / root[outside]
        exits += np.bincount(origin, rate, chain.size)[outside]
        # right-hand side: the source, and what ending hops bring of the values given on the sets
        forced = source + np.bincount(origin, rate * np.asarray(values)[label], chain.size)
        matrix = (hops + scipy.sparse.diags_array(exits)).tocsc()
        symmetric = {"permc_spec": "MMD_AT_PLUS_A", "options": {"SymmetricMode": True}}
        factors = scipy.sparse.linalg.splu(matrix, **symmetric)
        result = np.append(values, 0.0)[self.labels]
        result[outside] = factors.solve((root * forced)[outside]) / root[outside]
        return result

    def flux_into(self, index: int, committor: np.ndarray) -> float:
        """Reactive flux [1/ps] onto a set where the committor is one: ``sum_i pi_i k_i (1 - q_i)``."""
        origin, label, rate = self.ending_hops
        own = label == index
        weights = self.generator.stationary_distribution[origin[own]]
        return float(weights @ (rate[own] * (1.0 - committor[origin[own]])))


def _crossing(region: Callable, points: np.ndarray, along: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Fraction (hops,) of each step from ``points`` (dims, hops) at which the region begins (bisection)."""
    outside, inside = np.zeros(step.size), np.ones(step.size)
    hop = np.arange(step.size)
    for _ in range(40):
        half = 0.5 * (outside + inside)
        trial = points.copy()
        trial[along, hop] += half * step
        within = region(trial)
        outside, inside = np.where(within, outside, half), np.where(within, half, inside)
    return inside
