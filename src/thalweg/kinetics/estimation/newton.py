r"""Damped Newton minimization of convex functions on a graph, one variable per state.

Hessians are sparse sums over edges, so steps come from conjugate gradients with the diagonal as
preconditioner, solved no more accurately than the iteration needs [dembo1982], or from a sparse
factorization where these are slow to converge (nearly disconnected graphs). Steps are halved until the
function falls enough (Armijo).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import splu

from thalweg.machine.threads import on_one_thread


@runtime_checkable
class GraphFunction(Protocol):
    """A convex function of one number per state. Steps are in the function's own coordinates, see `moved`."""

    def value(self, point: np.ndarray) -> float:
        """The function at ``point`` ``(states,)``; infinite outside its domain."""
        ...

    def slope(self, point: np.ndarray) -> tuple[np.ndarray, csr_array | np.ndarray]:
        """Gradient ``(states,)`` and Hessian ``(states, states)`` with respect to a step from ``point``."""
        ...

    def moved(self, point: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The point after a step."""
        ...

    @property
    def scale(self) -> np.ndarray:
        """What the gradient of each state is compared with ``(states,)``."""
        ...


class NewtonResult(NamedTuple):
    """Where the iteration ended: ``residual`` is the largest gradient relative to its scale.

    Attributes
    ----------
    point : (states,), where it ended
    iterations : steps taken
    residual : largest gradient relative to its scale
    converged : whether that is below the tolerance
    """

    point: np.ndarray
    iterations: int
    residual: float
    converged: bool


@dataclass(frozen=True)
class Newton:
    """Damped Newton iteration until the relative gradient is below ``tolerance``.

    Parameters
    ----------
    tolerance : of the largest gradient, relative to its scale
    max_iterations : steps at most
    """

    tolerance: float = 1e-10
    max_iterations: int = 100

    @on_one_thread
    def minimize(self, function: GraphFunction, point: np.ndarray) -> NewtonResult:
        """The minimum of ``function``, started at ``point``."""
        value = function.value(point)
        for iteration in range(self.max_iterations):
            gradient, hessian = function.slope(point)
            residual = float(np.max(np.abs(gradient) / function.scale))
            if residual < self.tolerance:
                return NewtonResult(point, iteration, residual, True)
            # inexact Newton: far from the minimum the step need not be accurate
            step = _solution(hessian, -gradient, float(np.clip(residual, 1e-6, 0.1)))
            fall = float(gradient @ step)
            # Armijo: at least a share of the fall that the slope promises, but for rounding of the value
            size, trial = 1.0, function.moved(point, step)
            while not (new := function.value(trial)) <= value + 1e-4 * size * fall + 1e-12 * abs(value):
                size /= 2
                if size < 1e-10:
                    return NewtonResult(point, iteration, residual, False)
                trial = function.moved(point, size * step)
            point, value = trial, new
        gradient, _ = function.slope(point)
        residual = float(np.max(np.abs(gradient) / function.scale))
        return NewtonResult(point, self.max_iterations, residual, residual < self.tolerance)


def _solution(
    matrix: csr_array | np.ndarray, right: np.ndarray, tolerance: float, most: int = 200
) -> np.ndarray:
    """Solution of a positive (semi)definite system whose null space is at most the constants."""
    # conjugate gradients with the diagonal as preconditioner; r, z = D^-1 r, and r . z before and after
    diagonal = matrix.diagonal()
    # a state whose curvature has underflowed is given the least there is of others
    diagonal = np.where(diagonal > 0, diagonal, np.min(diagonal, where=diagonal > 0, initial=1.0))
    solution, residual = np.zeros_like(right), right.copy()
    conditioned = residual / diagonal
    direction, product = conditioned, residual @ conditioned
    goal = tolerance**2 * product
    for _ in range(most):
        image = matrix @ direction
        curvature = float(direction @ image)
        # along the null space, by rounding: no better step is to be had
        if curvature <= 0:
            return solution
        length = product / curvature
        solution = solution + length * direction
        residual = residual - length * image
        conditioned = residual / diagonal
        product, previous = residual @ conditioned, product
        if product <= goal:
            return solution
        direction = conditioned + (product / previous) * direction
    # too ill-conditioned for so few iterations, as nearly disconnected graphs are
    try:
        return splu(csc_array(matrix + _ridge(diagonal))).solve(right)
    except RuntimeError:
        # exactly singular: down the slope, of which the line search takes what helps
        return right / diagonal


def _ridge(diagonal: np.ndarray) -> csr_array:
    """A shift far below the diagonal that makes a semidefinite matrix invertible."""
    places = np.arange(len(diagonal))
    return csr_array((1e-13 * diagonal, (places, places)), shape=(len(diagonal),) * 2)
