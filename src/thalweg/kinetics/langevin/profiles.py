"""Functions of a variable with error bars: free energies, friction, diffusion, kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.kinetics.langevin.likelihoods.frames import Pieces
from thalweg.kinetics.langevin.likelihoods.splines import SplineAxis, Splines
from thalweg.learning.models import Model
from thalweg.shapes import Shaped

EDGE = 20
"""Frames beyond the outermost knots at either end, where functions go on straight."""


@dataclass(frozen=True, eq=False)
class Profile(Model):
    """Values of a function at points, with standard errors.

    Attributes
    ----------
    points : (points, variables), or (points,) of times
    values : (points, ...)
    errors : as ``values``
    quantity : what it is, with its unit

    Examples
    --------
    >>> Profile(np.array([[0.0], [1.0]]), np.array([0.0, 2.0]), np.array([0.1, 0.2]), "F [kJ/mol]")
    Profile(quantity=F [kJ/mol], points=2, range=0 to 2, largest_error=0.2)
    """

    points: Shaped[np.ndarray, "points ..."]
    values: Shaped[np.ndarray, "points ..."]
    errors: Shaped[np.ndarray, "points ..."]
    quantity: str

    def headline(self) -> dict[str, object]:
        """What, where and how well known."""
        return {
            "quantity": self.quantity,
            "points": len(self.points),
            "range": f"{np.nanmin(self.values):.4g} to {np.nanmax(self.values):.4g}",
            "largest error": float(np.nanmax(self.errors)),
        }

    def __str__(self) -> str:
        lines = [self.quantity]
        rows = zip(self.points, np.asarray(self.values), np.asarray(self.errors))
        for point, value, error in rows:
            at = " ".join(f"{x:10.4g}" for x in np.atleast_1d(point))
            lines.append(
                at
                + "  "
                + "  ".join(f"{v:10.4g} ± {e:.2g}" for v, e in zip(np.ravel(value), np.ravel(error)))
            )
        return "\n".join(lines)


def linear_profile(
    rows: np.ndarray, parameters: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors of functions linear in the parameters: ``rows`` (points, parameters)."""
    variance = np.einsum("np,pq,nq->n", rows, covariance, rows, optimize=True)
    return rows @ parameters, np.sqrt(np.maximum(variance, 0.0))


def knot_axes(pieces: Pieces, intervals: int, periodic: np.ndarray) -> tuple[SplineAxis, ...]:
    """An axis for each variable over its frames, but for the few outermost."""
    frames = pieces.positions[:, :-1][pieces.weights > 0]
    edge = min(EDGE / len(frames), 0.02)
    axes = []
    for k in range(frames.shape[1]):
        lower, upper = np.quantile(frames[:, k], [edge, 1.0 - edge])
        if periodic[k]:
            lower, upper = pieces.lower[k], pieces.upper[k]
        axes.append(SplineAxis(float(lower), float(upper), intervals, bool(periodic[k])))
    return tuple(axes)


def grid_of(splines: Splines, points: int) -> np.ndarray:
    """Evenly spread points ``(points^variables, variables)`` over the knots."""
    lines = [np.linspace(axis.lower, axis.upper, points) for axis in splines.axes]
    return np.stack([each.ravel() for each in np.meshgrid(*lines, indexing="ij")], axis=1)


def mean_row(splines: Splines, frames: np.ndarray, most: int = 5000) -> np.ndarray:
    """Mean of all functions ``(functions,)`` over frames: differences from it have the smallest errors."""
    return splines.derivatives(frames[:: max(1, len(frames) // most)], ()).mean(axis=0)
