r"""A free energy on a grid of one to three variables, integrated from mean forces.

.. math::  \min_F\ \sum_{\text{edges } ij} w_{ij} \left(F_j - F_i + h\,\tfrac{1}{2}(f_i + f_j)\right)^2

Neighboring cells differ by the mean force between them times their distance. In one variable this is the sum along the
line; in more the differences around a loop add up to zero only on average, and the least squares spread the mismatch by
the certainty of each edge. Cells without forces belong to no edge and have no free energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from thalweg.free_energies.surface import FreeEnergySurfaceModel
from thalweg.learning.models import Method


@dataclass(frozen=True)
class MeanForceIntegration(Method):
    """The free energy on a grid from mean forces in its cells.

    Parameters
    ----------
    lower, upper : limits of each variable
    periods : period of each variable, equal to ``upper - lower``, or None
    samples : of the forces, drawn within their errors, by which the error of the free energy is found
    seed : of these

    Examples
    --------
    >>> s = (np.arange(60) + 0.5) * 2 * np.pi / 60
    >>> method = MeanForceIntegration(lower=(0.0,), upper=(2 * np.pi,), periods=(2 * np.pi,))
    >>> model = method.fit(-np.sin(s)[:, None], np.full((60, 1), 0.01))          # F = -cos(s)
    >>> round(float(np.ptp(model.free_energy)), 1)
    2.0
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    periods: tuple[float | None, ...]
    samples: int = 200
    seed: int = 0

    def __post_init__(self):
        if not 1 <= len(self.lower) == len(self.upper) == len(self.periods) <= 3:
            raise ValueError("give lower, upper and periods one entry for each of one to three variables")

    def fit(self, mean_forces: np.ndarray, errors: np.ndarray) -> FreeEnergySurfaceModel:
        """The surface.

        Parameters
        ----------
        mean_forces : ``(*bins, variables)``, minus the gradient [kJ/mol per unit]; NaN where there is none
        errors : ``(*bins, variables)``, standard errors

        Raises
        ------
        ValueError
            If shapes do not fit, errors are not positive, or cells with forces fall into parts.
        """
        forces, errors = np.asarray(mean_forces, float), np.asarray(errors, float)
        dims = len(self.lower)
        if forces.ndim != dims + 1 or forces.shape[-1] != dims or errors.shape != forces.shape:
            raise ValueError(
                f"mean forces of shape {forces.shape} and errors of shape {errors.shape} for {dims} variables; give "
                "(*bins, variables) of both"
            )
        known = np.asarray(np.isfinite(forces).all(axis=-1) & np.isfinite(errors).all(axis=-1))
        if not known.any() or not (errors[known] > 0).all():
            raise ValueError(
                f"{known.sum()} of {known.size} cells have forces; their errors must be positive"
            )
        first, second, along, width = self._edges(known)
        problem = _Problem.of(first, second, known.size)
        flat, flat_errors = forces.reshape(-1, dims), errors.reshape(-1, dims)

        def free_energies(each: np.ndarray) -> np.ndarray:
            rises = -width * 0.5 * (each[first, along] + each[second, along])
            return problem.solved(rises, weights)

        variances = 0.25 * (flat_errors[first, along] ** 2 + flat_errors[second, along] ** 2) * width**2
        weights = 1.0 / variances
        free = free_energies(flat)
        generator = np.random.default_rng(self.seed)
        drawn = [
            free_energies(flat + flat_errors * generator.standard_normal(flat.shape))
            for _ in range(self.samples)
        ]
        inside = known.ravel()
        error = np.std([each - each[inside].mean() for each in drawn], axis=0)
        shape = known.shape
        return FreeEnergySurfaceModel(
            tuple(
                low + (high - low) * (np.arange(n) + 0.5) / n
                for low, high, n in zip(self.lower, self.upper, shape, strict=True)
            ),
            np.where(known, (free - free[inside].min()).reshape(shape), np.inf),
            np.where(known, error.reshape(shape), np.inf),
        )

    def _edges(self, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Neighboring cells with forces: first and second, the variable along which, and their distance."""
        numbers, parts = np.arange(known.size).reshape(known.shape), []
        for axis, (low, high, period) in enumerate(zip(self.lower, self.upper, self.periods, strict=True)):
            count = known.shape[axis]
            last = count if period is not None and count > 2 else count - 1
            a = np.take(numbers, np.arange(last), axis)
            b = np.take(numbers, (np.arange(last) + 1) % count, axis)
            both = known.ravel()[a] & known.ravel()[b]
            size = int(both.sum())
            parts.append((a[both], b[both], np.full(size, axis), np.full(size, (high - low) / count)))
        first, second, along, width = (np.concatenate(each) for each in zip(*parts, strict=True))
        graph = scipy.sparse.coo_array((np.ones(len(first)), (first, second)), (known.size, known.size))
        count, label = scipy.sparse.csgraph.connected_components(graph, directed=False)
        sizes = np.bincount(label[known.ravel()], minlength=count)
        if (sizes > 0).sum() > 1:
            found = ", ".join(str(size) for size in np.sort(sizes[sizes > 0])[::-1][:5])
            raise ValueError(
                f"cells with forces fall into {(sizes > 0).sum()} parts (of {found} cells ...), between which no free "
                "energy is known; fill the gaps or take larger cells"
            )
        return first, second, along, width


class _Problem:
    """The least squares of differences along edges."""

    def __init__(self, difference: scipy.sparse.csr_array, cells: np.ndarray, size: int):
        self.difference, self.cells, self.size = difference, cells, size
        self._factor = None

    @staticmethod
    def of(first: np.ndarray, second: np.ndarray, size: int) -> _Problem:
        cells = np.unique(np.concatenate([first, second]))
        place = np.full(size, -1)
        place[cells] = np.arange(len(cells))
        rows = np.arange(len(first))
        entries = np.concatenate([-np.ones(len(first)), np.ones(len(first))])
        columns = np.concatenate([place[first], place[second]])
        shape = (len(first), len(cells))
        return _Problem(
            scipy.sparse.csr_array((entries, (np.concatenate([rows, rows]), columns)), shape), cells, size
        )

    def solved(self, rises: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``min_F sum_e w_e (F_j - F_i - rise_e)^2`` with F zero in the first cell."""
        weighted = self.difference.T @ scipy.sparse.diags_array(weights)
        if self._factor is None:
            normal = (weighted @ self.difference).tocsc()
            self._factor = scipy.sparse.linalg.splu(normal[1:, 1:].tocsc())
        free = np.zeros(self.size)
        free[self.cells[1:]] = self._factor.solve((weighted @ rises)[1:])
        return free


def gridded_forces(
    values: Sequence[np.ndarray],
    forces: Sequence[np.ndarray],
    lower: Sequence[float],
    upper: Sequence[float],
    bins: Sequence[int],
    fewest: int = 10,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean forces in the cells of a grid and their standard errors, ``(*bins, variables)`` each; NaN where few.

    Parameters
    ----------
    values : variables along trajectories, ``(frames, variables)`` each
    forces : of single frames [kJ/mol per unit], of the same shapes
    lower, upper, bins : of the grid
    fewest : frames in a cell that has a mean

    Raises
    ------
    ValueError
        If shapes differ, or no cell has frames enough.
    """
    points, each = np.concatenate(values), np.concatenate(forces)
    if points.shape != each.shape:
        raise ValueError(
            f"values of shape {points.shape} and forces of shape {each.shape} must be of one shape"
        )
    edges = [np.linspace(low, high, n + 1) for low, high, n in zip(lower, upper, bins, strict=True)]
    count, _ = np.histogramdd(points, edges)
    known = count >= fewest
    if not known.any():
        raise ValueError(f"no cell of {tuple(bins)} has {fewest} frames; take fewer bins or more frames")
    means, errors = [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for column in each.T:
            mean = np.histogramdd(points, edges, weights=column)[0] / count
            square = np.histogramdd(points, edges, weights=column**2)[0] / count
            means.append(np.where(known, mean, np.nan))
            # a floor of rounding keeps the error positive where forces are equal
            spread = np.maximum(square - mean**2, 1e-12 * np.maximum(square, 1e-300))
            errors.append(np.where(known, np.sqrt(spread / np.maximum(count - 1, 1)), np.nan))
    return np.stack(means, axis=-1), np.stack(errors, axis=-1)
