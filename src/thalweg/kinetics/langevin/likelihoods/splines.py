r"""Smooth functions of a few variables: sums of products of cubic B-splines, linear in their coefficients.

With knots a distance :math:`h` apart and :math:`u = (x - a) / h`, every spline is the same bump shifted,

.. math:: b(u) = \tfrac16 \left[ (2 - |u|)_+^3 - 4 (1 - |u|)_+^3 \right] ,

and a term of several variables is the product of their bumps. Roughness is measured by differences of neighboring
coefficients [eilers1996]. Beyond the knots a function goes on in a straight line; of a periodic variable
it goes around.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from thalweg.shapes import Float


def _bump(u: Any, order: int = 0) -> Any:
    """The cardinal cubic B-spline or its derivative of an order up to three, in the array library of ``u``.

    Examples
    --------
    >>> _bump(np.array([-1.0, 0.0, 0.5])).round(4).tolist()
    [0.1667, 0.6667, 0.4792]
    """
    xp = u.__array_namespace__()
    far, near = 2.0 - xp.abs(u), 1.0 - xp.abs(u)
    far, near = xp.where(far > 0, far, 0.0), xp.where(near > 0, near, 0.0)
    if order == 0:
        return (far**3 - 4.0 * near**3) / 6.0
    if order == 1:
        return -xp.sign(u) * (far**2 - 4.0 * near**2) / 2.0
    if order == 2:
        return far - 4.0 * near
    return -xp.sign(u) * (xp.where(far > 0, 1.0, 0.0) - 4.0 * xp.where(near > 0, 1.0, 0.0))


@dataclass(frozen=True)
class SplineAxis:
    """One variable with evenly spaced knots.

    Attributes
    ----------
    lower, upper : ends of the knots, in units of the variable
    intervals : between knots
    periodic : whether ``upper`` is ``lower`` again
    """

    lower: float
    upper: float
    intervals: int
    periodic: bool = False

    @property
    def spacing(self) -> float:
        """Distance of knots."""
        return (self.upper - self.lower) / self.intervals

    @property
    def size(self) -> int:
        """Number of splines."""
        return self.intervals if self.periodic else self.intervals + 3

    def functions(self, x: Any, order: int = 0) -> Any:
        """Splines, or their derivatives, of ``x`` ``(*points,)``: ``(*points, splines)``."""
        xp = x.__array_namespace__()
        if self.periodic:
            u = (x[..., None] - self.lower) / self.spacing - xp.arange(self.size)
            u = u - self.size * xp.round(u / self.size)
            return _bump(u, order) / self.spacing**order
        inside = xp.clip(x, self.lower, self.upper)
        u = (inside[..., None] - self.lower) / self.spacing - (xp.arange(self.size) - 1)
        values = _bump(u, order) / self.spacing**order
        # a straight line beyond the ends
        out = (x - inside)[..., None]
        if order == 0:
            return values + out * _bump(u, 1) / self.spacing
        return values if order == 1 else xp.where(out == 0, values, 0.0)

    def differences(self, order: int) -> np.ndarray:
        """Matrix ``(rows, splines)`` of differences of this order between neighboring coefficients."""
        if not self.periodic:
            return np.diff(np.eye(self.size), order, axis=0)
        step = np.roll(np.eye(self.size), 1, axis=1) - np.eye(self.size)
        return np.linalg.matrix_power(step, order)


@dataclass(frozen=True)
class Splines:
    """A space of functions: for each term a product of splines of the variables it names.

    Attributes
    ----------
    axes : one per variable
    terms : the variables of each term, such as ``((0,), (1,), (0, 1))``; ``((),)`` is a constant
    many_axes : knots of terms of several variables, coarser than those of terms of one

    Examples
    --------
    >>> space = Splines((SplineAxis(0.0, 1.0, 4),), ((0,),))
    >>> space.size, space.derivatives(np.array([[0.3]]), ()).sum(axis=1).round(12).tolist()
    (7, [1.0])
    """

    axes: tuple[SplineAxis, ...]
    terms: tuple[tuple[int, ...], ...]
    many_axes: tuple[SplineAxis, ...] = ()

    def of(self, term: tuple[int, ...]) -> tuple[SplineAxis, ...]:
        """The axes of a term."""
        axes = self.axes if len(term) == 1 or not self.many_axes else self.many_axes
        if len(term) <= 2:
            return tuple(axes[k] for k in term)
        # products of three and four have coarser knots still; a spline that goes around is four intervals wide
        fewest = [4 if axes[k].periodic else 2 for k in term]
        return tuple(
            replace(axes[k], intervals=max(least, 2 * axes[k].intervals // len(term)))
            for k, least in zip(term, fewest)
        )

    @property
    def sizes(self) -> list[int]:
        """Coefficients of each term."""
        return [prod(axis.size for axis in self.of(term)) for term in self.terms]

    @property
    def size(self) -> int:
        """Coefficients of all terms."""
        return sum(self.sizes)

    def derivatives(self, x: Any, along: tuple[int, ...]) -> Any:
        """Derivatives of all functions along the variables named (none: values): ``(points, functions)``.

        Parameters
        ----------
        x : (points, variables)
        along : a variable for each derivative, such as ``(0, 0)`` for the second in the first
        """
        xp = x.__array_namespace__()
        parts = []
        for term in self.terms:
            if any(k not in term for k in along):
                parts.append(xp.zeros((x.shape[0], prod(axis.size for axis in self.of(term)))))
                continue
            product = xp.ones((x.shape[0], 1))
            for k, axis in zip(term, self.of(term)):
                factor = axis.functions(x[:, k], along.count(k))
                product = (product[:, :, None] * factor[:, None, :]).reshape(x.shape[0], -1)
            parts.append(product)
        return xp.concat(parts, axis=1) if hasattr(xp, "concat") else xp.concatenate(parts, axis=1)

    def penalties(self, order: int) -> list[Float[np.ndarray, "functions functions"]]:
        """Roughness ``c' S c`` of this order, one matrix for terms of each number of variables."""
        found = []
        starts = np.cumsum([0, *self.sizes])
        for count in sorted({len(term) for term in self.terms} - {0}):
            matrix = np.zeros((self.size, self.size))
            for start, term in zip(starts, self.terms):
                if len(term) == count:
                    own = _roughness(self.of(term), order if count == 1 else 2)
                    matrix[start : start + len(own), start : start + len(own)] = own
            found.append(matrix)
        return found


def _roughness(axes: tuple[SplineAxis, ...], order: int) -> np.ndarray:
    """Sum over the axes of squared differences along each."""
    total = 0.0
    for k, axis in enumerate(axes):
        factors = [np.eye(each.size) for each in axes]
        factors[k] = axis.differences(order).T @ axis.differences(order)
        product = np.eye(1)
        for factor in factors:
            product = np.kron(product, factor)
        total = total + product
    return np.asarray(total)


def terms_up_to(variables: int, order: int) -> tuple[tuple[int, ...], ...]:
    """All sets of up to ``order`` variables.

    Examples
    --------
    >>> terms_up_to(3, 2)
    ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
    """
    return tuple(term for count in range(1, order + 1) for term in combinations(range(variables), count))
