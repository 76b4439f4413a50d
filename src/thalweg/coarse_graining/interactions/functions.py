"""CoordinateFunctions of one coordinate, linear in their coefficients: powers, waves and splines.

Each offers its ``design``, values and slopes of all functions where data are (arrays, 64 bits, for fits), and its
``potential``, the one function that coefficients make of them (in a compiled loop).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import BSpline, PPoly

from thalweg.shapes import Array, Bool, Float


@runtime_checkable
class CoordinateFunctions(Protocol):
    """A few functions of one coordinate ``q``: a length [nm] or an angle [rad]."""

    @property
    def names(self) -> tuple[str, ...]:
        """A name a function."""
        ...

    def design(self, q: Float[np.ndarray, " *shape"]) -> tuple[np.ndarray, np.ndarray]:
        """Values and slopes ``(functions, *shape)`` at ``q``."""
        ...

    def potential(self, coefficients: Float[np.ndarray, " functions"]) -> Callable:
        """``u(q) = sum_k c_k f_k(q)`` as a function of arrays of JAX."""
        ...


@dataclass(frozen=True)
class Powers:
    """``((q - center) / scale)^n`` of the ``degrees``; with 1 and 2, a spring of any rest length.

    Examples
    --------
    >>> Powers(center=0.15, scale=0.01).design(np.array([0.16]))[0].ravel()
    array([1., 1.])
    """

    center: float
    scale: float = 1.0
    degrees: tuple[int, ...] = (1, 2)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"power {n}" for n in self.degrees)

    def design(self, q: Float[np.ndarray, " *shape"]) -> tuple[np.ndarray, np.ndarray]:
        z = (np.asarray(q, float) - self.center) / self.scale
        values = np.stack([z**n for n in self.degrees])
        return values, np.stack([n * z ** max(n - 1, 0) / self.scale for n in self.degrees])

    def potential(self, coefficients: Float[np.ndarray, " functions"]) -> Callable:
        return PowerSum(
            np.asarray(coefficients, float), float(self.center), float(self.scale), tuple(self.degrees)
        )


class PowerSum(eqx.Module):
    """What coefficients make of `Powers`."""

    coefficients: Float[Array, " functions"]
    center: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    degrees: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, q: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        z = (q - self.center) / self.scale
        c = jnp.asarray(self.coefficients, z.dtype)
        return sum((c[k] * z**n for k, n in enumerate(self.degrees)), jnp.zeros_like(z))


@dataclass(frozen=True)
class AngleWaves:
    """``cos n q`` and ``sin n q`` for ``n = 1 ... highest``: any smooth function of an angle.

    Examples
    --------
    >>> AngleWaves(1).design(np.array([np.pi]))[0].round(12).ravel().tolist()
    [-1.0, 0.0]
    """

    highest: int = 3

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{f} {n}" for n in range(1, self.highest + 1) for f in ("cos", "sin"))

    def design(self, q: Float[np.ndarray, " *shape"]) -> tuple[np.ndarray, np.ndarray]:
        q = np.asarray(q, float)
        values, slopes = [], []
        for n in range(1, self.highest + 1):
            c, s = np.cos(n * q), np.sin(n * q)
            values += [c, s]
            slopes += [-n * s, n * c]
        return np.stack(values), np.stack(slopes)

    def potential(self, coefficients: Float[np.ndarray, " functions"]) -> Callable:
        return WaveSum(np.asarray(coefficients, float))


class WaveSum(eqx.Module):
    """What coefficients make of `AngleWaves`."""

    coefficients: Float[Array, " functions"]

    def __call__(self, q: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        return sum(
            (c * wave for c, wave in zip(jnp.asarray(self.coefficients, q.dtype), _waves(q, self.highest))),
            jnp.zeros_like(q),
        )

    @property
    def highest(self) -> int:
        return len(self.coefficients) // 2


def _waves(q: Float[Array, " *shape"], highest: int) -> list[jax.Array]:
    """``cos q, sin q, cos 2q, ...`` by the addition theorem."""
    c, s = jnp.cos(q), jnp.sin(q)
    cosine, sine, found = c, s, [c, s]
    for _ in range(highest - 1):
        cosine, sine = cosine * c - sine * s, sine * c + cosine * s
        found += [cosine, sine]
    return found


@dataclass(frozen=True)
class BSplines:
    """B-splines on equal intervals from ``start`` to ``end``; beyond, a straight line goes on.

    Attributes
    ----------
    start, end : [nm] or [rad]
    intervals : how many
    zero_at_end : leave out those that do not vanish at the end with slope and curvature, as pairs at a cutoff want
    degree : of the polynomials; three is the least for which forces are smooth

    Examples
    --------
    >>> splines = BSplines(0.2, 1.0, 8)
    >>> splines.design(np.array([0.55]))[0].sum().round(12)            # a partition of one
    np.float64(1.0)
    >>> BSplines(0.2, 1.0, 8, zero_at_end=True).design(np.array([1.0]))[0].max()
    np.float64(0.0)
    """

    start: float
    end: float
    intervals: int
    zero_at_end: bool = False
    degree: int = 3

    def __post_init__(self):
        if not (self.end > self.start and self.intervals >= 1):
            raise ValueError(
                f"splines need an end beyond their start and at least one interval; got {self.start} to {self.end} in "
                f"{self.intervals}"
            )

    @property
    def width(self) -> float:
        return (self.end - self.start) / self.intervals

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"spline {k + 1}" for k in range(self._all - (self.degree if self.zero_at_end else 0)))

    @property
    def _all(self) -> int:
        return self.intervals + self.degree

    @property
    def _knots(self) -> np.ndarray:
        return self.start + self.width * np.arange(-self.degree, self.intervals + self.degree + 1)

    def design(self, q: Float[np.ndarray, " *shape"]) -> tuple[np.ndarray, np.ndarray]:
        q = np.asarray(q, float)
        inside = np.clip(q, self.start, self.end)
        splines = BSpline(self._knots, np.eye(self._all)[:, : len(self.names)], self.degree)
        values, slopes = splines(inside), splines.derivative()(inside)
        values = values + slopes * (q - inside)[..., None]
        return np.moveaxis(values, -1, 0), np.moveaxis(slopes, -1, 0)

    def continued(
        self, coefficients: Float[np.ndarray, " functions"], seen: Bool[np.ndarray, " functions"]
    ) -> Float[np.ndarray, " functions"]:
        """Coefficients with those of splines that hardly any value was ``seen`` under told by the others.

        Between seen ones they lie on a line. Beyond, the potential goes on as steeply, and away from what was seen
        never down: no frame was there. Left at zero they would be a hole that a simulation falls into.
        """
        known = np.flatnonzero(seen)
        if len(known) < 2 or len(known) == len(seen):
            return np.asarray(coefficients, float)
        place = np.arange(len(seen))
        c = np.interp(place, known, np.asarray(coefficients, float)[known])
        first, last = known[0], known[-1]
        c[:first] += abs(c[first + 1] - c[first]) * (first - place[:first])
        if not self.zero_at_end:
            c[last + 1 :] += abs(c[last] - c[last - 1]) * (place[last + 1 :] - last)
        return c

    def potential(self, coefficients: Float[np.ndarray, " functions"]) -> Callable:
        whole = np.zeros(self._all)
        whole[: len(self.names)] = coefficients
        pieces = PPoly.from_spline(BSpline(self._knots, whole, self.degree))
        inside = slice(self.degree, self.degree + self.intervals)
        if self.zero_at_end and self.degree == 3:
            third = pieces.c[0, inside] * self.width**3
            return TruncatedPowers(np.append(third[1:], 0.0) - third, float(self.start), float(self.width))
        # powers of the distance from the left knot, in widths
        powers = pieces.c[::-1, inside] * self.width ** np.arange(self.degree + 1)[:, None]
        return PolynomialPieces(powers, float(self.start), float(self.width))


class PolynomialPieces(eqx.Module):
    """A polynomial on each interval, as powers of the place within it; straight lines beyond both ends.

    Attributes
    ----------
    coefficients : (degree + 1, intervals)
    """

    coefficients: Float[Array, "powers intervals"]
    start: float = eqx.field(static=True)
    width: float = eqx.field(static=True)

    def __call__(self, q: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        t = (q - self.start) / self.width
        last = self.coefficients.shape[1] - 1
        piece = jnp.clip(jnp.floor(jax.lax.stop_gradient(t)), 0, last).astype(jnp.int32)
        s = t - piece
        inside = jnp.clip(s, 0.0, 1.0)
        value, slope = jnp.zeros_like(t), jnp.zeros_like(t)
        for power in jnp.asarray(self.coefficients, t.dtype)[::-1, piece]:
            slope = slope * inside + value
            value = value * inside + power
        # the slope at an end multiplies what lies beyond it: zero inside
        return value + slope * (s - inside)


class TruncatedPowers(eqx.Module):
    """A cubic spline that ends at zero, ``u(q) = sum_k c_k max(k + 1 - t, 0)^3``, ``t = (q - start) / width``.

    Each interval adds one power, from the end on: nothing is looked up in a table, which in loops over pairs takes
    twice as long. Below the start a straight line goes on.

    Attributes
    ----------
    coefficients : (intervals,) jumps of the third derivative over six, at the right end of each interval [kJ/mol]
    """

    coefficients: Float[Array, " intervals"]
    start: float = eqx.field(static=True)
    width: float = eqx.field(static=True)

    def __call__(self, q: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        @jax.custom_jvp
        def value(q):
            return self._value_and_slope(q)[0]

        @value.defjvp
        def change(primals, tangents):
            u, slope = self._value_and_slope(*primals)
            return u, slope * tangents[0]

        return value(q)

    def _value_and_slope(self, q):
        t = jnp.maximum((q - self.start) / self.width, 0.0)
        value, slope = jnp.zeros_like(t), jnp.zeros_like(t)
        for k in range(len(self.coefficients)):
            left = jnp.maximum(k + 1 - t, 0.0)
            square = jnp.asarray(self.coefficients, t.dtype)[k] * left * left
            value, slope = value + square * left, slope - 3 / self.width * square
        return value + slope * jnp.minimum(q - self.start, 0.0), slope
