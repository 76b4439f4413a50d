"""Simulation of a fitted model with inertia and memory, many replicas at once, from tables of its functions.

A step is the symmetric splitting B A O A B [leimkuhler2013], where O is the friction without memory, the exchange
between velocity and each hidden variable (a rotation, exact) and the relaxation of these. Coefficients are taken where
a replica is; averages over positions are wrong by the square of the step only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from thalweg.shapes import Float


class Tables(NamedTuple):
    """Functions of position on a fine grid.

    Attributes
    ----------
    points : (points,) [nm], evenly spaced
    force : (points,) [kJ/mol/nm]
    mass : (points,) [amu]
    friction : (points,) without memory [1/ps]
    hidden : (hidden, points) friction of each hidden variable [1/ps]
    times : (hidden,) [ps]
    kT : [kJ/mol]
    period : of position, or None
    """

    points: Float[np.ndarray, " points"]
    force: Float[np.ndarray, " points"]
    mass: Float[np.ndarray, " points"]
    friction: Float[np.ndarray, " points"]
    hidden: Float[np.ndarray, "hidden points"]
    times: Float[np.ndarray, " hidden"]
    kT: float
    period: float | None = None

    def at(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        """A function at positions (replicas,), its last value beyond the ends."""
        if self.period is not None:
            x = self.points[0] + (x - self.points[0]) % self.period
        return np.interp(x, self.points, values)


class _Phases(NamedTuple):
    """Replicas: positions, velocities (replicas,) and hidden variables (hidden, replicas)."""

    x: Float[np.ndarray, " replicas"]
    v: Float[np.ndarray, " replicas"]
    z: Float[np.ndarray, "hidden replicas"]


def thermal(tables: Tables, x: np.ndarray, random: np.random.Generator) -> _Phases:
    """Replicas at positions ``x`` with thermal velocities and hidden variables."""
    width = np.sqrt(tables.kT / tables.at(tables.mass, x))
    v = width * random.standard_normal(x.shape)
    return _Phases(np.array(x, float), v, width * random.standard_normal((len(tables.times), *x.shape)))


def advanced(tables: Tables, phases: _Phases, dt: float, random: np.random.Generator) -> _Phases:
    """Replicas one step later."""
    x, v, z = phases
    mass_even = bool(np.ptp(tables.mass) < 1e-12)
    v = v + 0.5 * dt * _acceleration(tables, x, v, mass_even)
    x = x + 0.5 * dt * v
    width = np.sqrt(tables.kT / tables.at(tables.mass, x))
    z = z.copy()
    angles = [
        0.5 * dt * np.sqrt(tables.at(rate, x) / time) for rate, time in zip(tables.hidden, tables.times)
    ]
    for k, angle in enumerate(angles):
        v, z[k] = np.cos(angle) * v + np.sin(angle) * z[k], np.cos(angle) * z[k] - np.sin(angle) * v
    for k, time in enumerate(tables.times):
        keep = np.exp(-dt / time)
        z[k] = keep * z[k] + width * np.sqrt(1.0 - keep**2) * random.standard_normal(x.shape)
    keep = np.exp(-dt * tables.at(tables.friction, x))
    v = keep * v + width * np.sqrt(1.0 - keep**2) * random.standard_normal(x.shape)
    for k, angle in reversed(list(enumerate(angles))):
        v, z[k] = np.cos(angle) * v + np.sin(angle) * z[k], np.cos(angle) * z[k] - np.sin(angle) * v
    x = x + 0.5 * dt * v
    v = v + 0.5 * dt * _acceleration(tables, x, v, mass_even)
    return _Phases(x, v, z)


def _acceleration(tables: Tables, x: np.ndarray, v: np.ndarray, mass_even: bool) -> np.ndarray:
    """``F/m``, and ``-1/2 (ln m)' (v^2 + kT/m)`` where the mass depends on position."""
    mass = tables.at(tables.mass, x)
    pull = tables.at(tables.force, x) / mass
    if mass_even:
        return pull
    slope = tables.at(np.gradient(np.log(tables.mass), tables.points), x)
    return pull - 0.5 * slope * (v**2 + tables.kT / mass)


def simulated_phases(
    tables: Tables,
    start: np.ndarray,
    steps: int,
    dt: float,
    stride: int,
    random: np.random.Generator,
) -> tuple[Float[np.ndarray, "replicas frames"], Float[np.ndarray, "replicas frames"]]:
    """Positions and velocities from ``start`` (replicas,), thermal there, every ``stride`` steps, first included.

    Raises
    ------
    ValueError
        If a step is too long for the friction or curvature of the model: it must be below a fifth of the fastest time.
    """
    fastest = float(np.sqrt(np.abs(np.gradient(tables.force, tables.points)).max() / tables.mass.min()))
    if dt * fastest > 1.0:
        raise ValueError(
            f"dt={dt} ps is too long for a motion of {1 / fastest:.3g} ps; use at most {0.2 / fastest:.2g}"
        )
    phases = thermal(tables, start, random)
    positions, velocities = [phases.x], [phases.v]
    for step in range(1, steps + 1):
        phases = advanced(tables, phases, dt, random)
        if step % stride == 0:
            positions.append(phases.x)
            velocities.append(phases.v)
    return np.stack(positions, axis=1), np.stack(velocities, axis=1)
