"""Minima and saddles of a model potential, found by Newton's method from a grid of starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.shapes import Shaped
from thalweg.testsystems.potential import Potential


@dataclass(frozen=True)
class StationaryPoints:
    """Points where the gradient vanishes, lowest first.

    Attributes
    ----------
    positions : (points, dims) [nm]
    energies : (points,) [kJ/mol]
    order : (points,) number of negative curvatures: 0 for a minimum, 1 for a saddle between two
    """

    positions: Shaped[np.ndarray, "points dims"]
    energies: Shaped[np.ndarray, " points"]
    order: Shaped[np.ndarray, " points"]

    def of_order(self, order: int) -> StationaryPoints:
        """Those of one order: the minima are ``of_order(0)``."""
        chosen = self.order == order
        return StationaryPoints(self.positions[chosen], self.energies[chosen], self.order[chosen])


def stationary_points(potential: Potential, starts: int = 60) -> StationaryPoints:
    """The stationary points in the domain that Newton's method finds from ``starts`` points along each
    dimension.

    Steps are no longer than a grid spacing; a start that leaves the domain is dropped. Positions are good to
    1e-9.

    Parameters
    ----------
    potential : in few dimensions
    starts : points along each dimension that Newton's method is started from

    Examples
    --------
    >>> from thalweg.testsystems.muller_brown import MullerBrown
    >>> minima = stationary_points(MullerBrown()).of_order(0)
    >>> minima.energies.round(4).tolist()
    [-146.6995, -108.1667, -80.7678]
    """
    lower, upper = np.array(potential.domain).T[..., None]
    spacing = (upper - lower) / starts
    ticks = [a + h * (np.arange(starts) + 0.5) for a, h in zip(lower[:, 0], spacing[:, 0])]
    x = np.stack([axis.ravel() for axis in np.meshgrid(*ticks, indexing="ij")])
    for _ in range(40):
        # Newton's step H^-1 grad U, no longer than a grid spacing along each dimension
        steps = np.linalg.solve(_hessian(potential, x), potential.gradient(x).T[..., None])[..., 0].T
        x = x - np.clip(steps, -spacing, spacing)
        inside = np.all((x > lower) & (x < upper), axis=0)
        x, steps = x[:, inside], steps[:, inside]
    x = x[:, np.all(np.abs(steps) < 1e-9, axis=0)]
    _, unique = np.unique(x.round(6), axis=1, return_index=True)
    x = x[:, unique[np.argsort(potential.energy(x[:, unique]))]]
    order = (np.linalg.eigvalsh(_hessian(potential, x)) < 0).sum(axis=1)
    return StationaryPoints(x.T, potential.energy(x), order)


def _hessian(potential: Potential, x: np.ndarray) -> np.ndarray:
    """Second derivatives (points, dims, dims) [kJ/mol/nm^2] at ``x`` (dims, points) from gradients."""
    step = 1e-5
    columns = [
        (potential.gradient(x + shift[:, None]) - potential.gradient(x - shift[:, None])) / (2.0 * step)
        for shift in step * np.eye(len(x))
    ]
    return 0.5 * (np.stack(columns).T + np.stack(columns).transpose(2, 0, 1))
