r"""The dimer: a saddle from a start and a guess of the way over it, by forces alone [henkelman1999, heyden2005].

Two arrangements :math:`R \pm \Delta\,N` are turned until the curvature :math:`C = N \cdot H N` along their axis is
least, then moved along the force turned round in it:

.. math::

   C \approx \frac{(F_0 - F_1)\cdot N}{\Delta}, \qquad
   f = \begin{cases} F_0 - 2\,(F_0\cdot N)\,N & C < 0\\ -(F_0 \cdot N)\,N & C \ge 0 \end{cases}

Of the two only one is asked for forces, and the angle of each rotation follows from one more [heyden2005]:

=====================  =====================================================================
:math:`N`              ``axis``, unit vector over all coordinates
:math:`\Theta`         direction of turning, the rotational force :math:`-2\,(HN)_\perp`
:math:`C(\phi)`        :math:`a_0 + a_1 \cos 2\phi + b_1 \sin 2\phi`, exact for a quadratic energy
=====================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thalweg.learning.models import Model
from thalweg.sampling.paths.ends import Arrangement, arrangement
from thalweg.sampling.paths.optimizers import QuasiNewton
from thalweg.sampling.paths.rigid_motion import Freedom
from thalweg.sampling.paths.surface import Surface, surface_of
from thalweg.shapes import Shaped
from thalweg.systems.configuration import Configuration
from thalweg.units import Count, KilojoulesPerMolePerNanometer, Nanometers

MOST_SPECTRUM = 300
"""Coordinates up to which a saddle is proved by all curvatures; of more, the lowest two are looked for."""


@dataclass(frozen=True, eq=False)
class SaddlePoint(Model):
    """Where the energy is highest along one direction and lowest along all others.

    Attributes
    ----------
    positions : (atoms, dims) [nm]
    energy : [kJ/mol]
    forces : (atoms, dims) [kJ/mol/nm]
    mode : (atoms, dims), the direction of negative curvature, of length one over all coordinates
    curvatures : the lowest, ascending [kJ/mol/nm^2]; one of them negative at a saddle between two minima
    residual : largest force on an atom [kJ/mol/nm]
    converged : whether that is below what was asked for and one curvature alone is negative
    iterations : moves
    calls : arrangements whose forces were asked for
    notes : what one should know
    """

    positions: Shaped[np.ndarray, "atoms dims"]
    energy: float
    forces: Shaped[np.ndarray, "atoms dims"]
    mode: Shaped[np.ndarray, "atoms dims"]
    curvatures: Shaped[np.ndarray, " lowest"]
    residual: float
    converged: bool
    iterations: int
    calls: int
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, Any]:
        return {
            "energy [kJ/mol]": self.energy,
            "negative curvatures": int((self.curvatures < 0).sum()),
            "residual force [kJ/mol/nm]": self.residual,
            "converged": self.converged,
            "calls": self.calls,
        }

    def __str__(self) -> str:
        return "\n".join([f"saddle by the dimer: {self!r}", *self.notes])


class _Axis(NamedTuple):
    direction: np.ndarray
    curvature: float
    calls: int


@dataclass(frozen=True)
class Dimer:
    """A saddle near a start.

    Parameters
    ----------
    tolerance : largest force on an atom that is left [kJ/mol/nm]; if None, 10 (0.01 eV/Å) for atoms and a hundredth of
        the largest force at the start for model systems
    separation : half the length of the dimer [nm]
    rotations : of the axis in one move at most, two calls for the first and one for each further
    turned : angle below which the axis is not turned further [radian]; five degrees as in [heyden2005]
    longest : how far an atom moves in a step at most [nm]
    fixed : atoms that do not move
    iterations : moves at most
    seed : of the axis where no mode is given

    Notes
    -----
    It climbs along the mode that it is given, or finds: which saddle that leads to is not known before. From a minimum
    without a mode it climbs along the softest one, one way or the other, and not always to a saddle.

    Examples
    --------
    >>> from thalweg.testsystems.muller_brown import MullerBrown
    >>> saddle = Dimer(tolerance=0.1).climb(MullerBrown(), [-0.75, 0.65], mode=[1.0, -1.0])
    >>> round(saddle.energy, 4), saddle.positions.round(3).tolist(), (saddle.curvatures < 0).tolist()
    (-40.6648, [[-0.822, 0.624]], [True, False])
    """

    tolerance: KilojoulesPerMolePerNanometer | None = None
    separation: Nanometers = 1e-3
    rotations: Count = 4
    turned: float = 0.087
    longest: Nanometers = 0.01
    fixed: tuple[int, ...] = ()
    iterations: Count = 300
    seed: int = 0

    def climb(
        self,
        energy: Any,
        start: Arrangement,
        mode: Shaped[np.ndarray, "atoms dims"] | Sequence | None = None,
    ) -> SaddlePoint:
        """The saddle that is reached from ``start``.

        Parameters
        ----------
        energy : an energy in JAX, a learned potential or a level of theory, see `surface_of`
        start : a frame or positions, best where the energy curves down along ``mode`` already
        mode : (atoms, dims), direction to climb in, such as the tangent of a path; the softest one if None

        Raises
        ------
        ValueError
            If the mode does not fit, or moves nothing that can move.
        LabelFailed
            If a level gives no label on the way.
        """
        frame = arrangement(start)
        surface, freedom = surface_of(energy, frame), Freedom.of(frame, self.fixed)
        axis = self._first_axis(frame, freedom, mode)
        x = frame.positions.copy()
        (value,), (force,) = surface(x[None])
        calls, tolerance = 1, self._tolerance(frame, force)
        mover, state, convex = QuasiNewton(longest=self.longest), None, None
        iteration, residual, curvature = 0, np.inf, np.nan
        for iteration in range(self.iterations + 1):
            force = freedom.projected(force[None], x[None])[0]
            residual = float(np.linalg.norm(force, axis=-1).max())
            if iteration == self.iterations or (residual < tolerance and curvature < 0):
                break
            axis, curvature, asked = self._turned(surface, freedom, x, force, axis)
            calls += asked
            along = (force * axis).sum() * axis
            effective = force - 2 * along if curvature < 0 else -along
            if convex is None or convex != (curvature >= 0):
                # another force altogether: what was learned of its slope is forgotten
                convex, state = curvature >= 0, mover.init()
            if convex:
                step = self.longest * effective / max(np.linalg.norm(effective, axis=-1).max(), 1e-300)
                if not np.linalg.norm(effective) > 0:
                    step = self.longest * axis / np.linalg.norm(axis, axis=-1).max()
            else:
                step, state = mover.step(state, x[None], effective[None])
                step = step[0]
            x = x + step
            (value,), (force,) = surface(x[None])
            calls += 1
        curvatures, mode_found, asked = _lowest_curvatures(surface, freedom, x, self.separation, axis)
        notes = _judged(residual, tolerance, curvatures, iteration)
        return SaddlePoint(
            x,
            float(value),
            force,
            mode_found,
            curvatures,
            residual,
            not notes,
            iteration,
            calls + asked,
            notes,
        )

    def _tolerance(self, frame: Configuration, force: np.ndarray) -> float:
        if self.tolerance is not None:
            return self.tolerance
        return 10.0 if np.any(frame.numbers) else 0.01 * float(np.linalg.norm(force, axis=-1).max()) + 1e-9

    def _first_axis(self, frame: Configuration, freedom: Freedom, mode: Any) -> np.ndarray:
        shape = frame.positions.shape
        given = (
            np.random.default_rng(self.seed).normal(size=shape) if mode is None else np.asarray(mode, float)
        )
        if given.size != frame.positions.size or not np.isfinite(given).all():
            raise ValueError(
                f"mode of shape {given.shape} does not fit positions {shape}; give one vector per atom"
            )
        free = freedom.projected(given.reshape((1, *shape)), frame.positions[None])[0]
        if not np.linalg.norm(free) > 1e-6 * np.linalg.norm(given):
            raise ValueError(
                "the mode only shifts or turns all atoms, or moves fixed ones; give one that costs energy"
            )
        return free / np.linalg.norm(free)

    def _turned(
        self, surface: Surface, freedom: Freedom, x: np.ndarray, force: np.ndarray, axis: np.ndarray
    ) -> _Axis:
        """The axis of least curvature at ``x``, turned from ``axis`` by forces [heyden2005]."""
        change = self._slope(surface, freedom, x, force, axis)
        calls, curvature = 1, float((change * axis).sum())
        for _ in range(self.rotations):
            # the rotational force -2 (H N - C N), whose direction is turned to
            across = -2 * (change - curvature * axis)
            size = np.linalg.norm(across)
            first = 0.5 * np.arctan(0.5 * size / max(abs(curvature), 1e-300))
            if first < self.turned or size == 0:
                break
            theta = across / size
            tried = np.cos(first) * axis + np.sin(first) * theta
            there = self._slope(surface, freedom, x, force, tried)
            calls += 1
            # C(phi) = a0 + a1 cos 2 phi + b1 sin 2 phi through both curvatures and the slope dC/dphi = -size
            b1 = -0.5 * size
            other = float((there * tried).sum())
            a1 = (curvature - other + b1 * np.sin(2 * first)) / (1 - np.cos(2 * first))
            least = 0.5 * np.arctan2(b1, a1) + 0.5 * np.pi
            axis, change = (
                np.cos(least) * axis + np.sin(least) * theta,
                # H N at the new angle from those at the two known ones: it is linear in N
                np.sin(first - least) / np.sin(first) * change + np.sin(least) / np.sin(first) * there,
            )
            axis = axis / np.linalg.norm(axis)
            curvature = float((change * axis).sum())
        return _Axis(axis, curvature, calls)

    def _slope(
        self, surface: Surface, freedom: Freedom, x: np.ndarray, force: np.ndarray, axis: np.ndarray
    ) -> np.ndarray:
        """``H N`` from one more force."""
        _, (there,) = surface((x + self.separation * axis)[None])
        return freedom.projected((force - there)[None], x[None])[0] / self.separation


def _lowest_curvatures(
    surface: Surface, freedom: Freedom, x: np.ndarray, step: float, axis: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """The two lowest curvatures at ``x``, the first mode, and calls: by the whole Hessian where it is small, else by
    Lanczos' iteration from the axis [lanczos1950].
    """
    free = _free_basis(freedom, x) if x.size <= MOST_SPECTRUM else None
    rounds = len(free) if free is not None else 30
    calls = 0

    def product(v: np.ndarray) -> np.ndarray:
        nonlocal calls
        ahead, behind = (x + sign * step * v.reshape(x.shape) for sign in (1, -1))
        _, forces = surface(np.stack([ahead, behind]))
        calls += 2
        return freedom.projected((forces[1] - forces[0])[None], x[None]).ravel() / (2 * step)

    if free is not None:
        hessian = np.stack([free @ product(v) for v in free])
        values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
        return values[:2], (free.T @ vectors[:, 0]).reshape(x.shape), calls
    basis = [axis.ravel() / np.linalg.norm(axis)]
    products = []
    rng = np.random.default_rng(0)
    while len(products) < rounds:
        products.append(product(basis[-1]))
        rest = (
            products[-1]
            if len(products) > 1
            else products[-1]
            + 1e-3 * np.linalg.norm(products[-1]) * rng.normal(size=x.size) / np.sqrt(x.size)
        )
        rest = freedom.projected(rest.reshape((1, *x.shape)), x[None]).ravel()
        for _ in range(2):
            rest = rest - np.stack(basis).T @ (np.stack(basis) @ rest)
        basis.append(rest / np.linalg.norm(rest))
    known = np.stack(basis[:-1])
    small = known @ np.stack(products).T
    values, vectors = np.linalg.eigh(0.5 * (small + small.T))
    return values[:2], (known.T @ vectors[:, 0]).reshape(x.shape), calls


def _free_basis(freedom: Freedom, x: np.ndarray) -> np.ndarray:
    """Orthonormal directions ``(free, coordinates)`` that count."""
    everything = np.eye(x.size).reshape((x.size, *x.shape))
    projected = freedom.projected(everything, np.repeat(x[None], x.size, axis=0)).reshape(x.size, x.size)
    _, sizes, rows = np.linalg.svd(projected)
    return rows[sizes > 0.5]


def _judged(residual: float, tolerance: float, curvatures: np.ndarray, iterations: int) -> tuple[str, ...]:
    """Why it is no saddle; empty if it is one."""
    notes = []
    if residual >= tolerance:
        notes.append(
            f"not converged: the largest force is {residual:.3g} kJ/mol/nm after {iterations} moves, asked for is "
            f"{tolerance:g}; start nearer to the saddle, give a mode, or allow more iterations"
        )
    negative = int((curvatures < 0).sum())
    if negative != 1:
        told = (
            "no curvature is negative: a minimum" if not negative else "two curvatures or more are negative"
        )
        notes.append(
            f"{told} ({', '.join(f'{c:.4g}' for c in curvatures)} kJ/mol/nm^2); this is no saddle of a path"
        )
    return tuple(notes)
