r"""Steps along forces that are the gradient of nothing: those of bands, strings and dimers.

No energy goes down along such a step, so nothing is searched for along a line: a step is taken as it is, and cut where
an atom would move too far. `QuasiNewton` is L-BFGS over all images at once [sheppard2008]; `FIRE` is molecular dynamics
that is stopped whenever it runs uphill [bitzek2006], slower and hard to upset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from thalweg.shapes import Shaped
from thalweg.units import Count, Nanometers

FIRST_CURVATURE = 1e6
"""Assumed for the first step of L-BFGS, about that of a triple bond [kJ/mol/nm^2]."""

GROWN = 1.5
"""Forces that grow by more in a step say that what is remembered of their slope is wrong."""

Vectors = Shaped[np.ndarray, "images atoms dims"]


@runtime_checkable
class Descent(Protocol):
    """Moves along forces: a process, whose state is carried by who uses it."""

    def init(self) -> Any:
        """State before any step."""
        ...

    def step(self, state: Any, positions: Vectors, forces: Vectors) -> tuple[Vectors, Any]:
        """How far to move [nm] from ``positions``, and the state after it."""
        ...


class _Memory(NamedTuple):
    moves: tuple[np.ndarray, ...] = ()
    changes: tuple[np.ndarray, ...] = ()
    before: tuple[np.ndarray, np.ndarray] | None = None
    curvature: float = FIRST_CURVATURE
    reach: float = 0.0


@dataclass(frozen=True)
class QuasiNewton:
    """L-BFGS without line search, over all images together [sheppard2008].

    Where forces grow instead, what was remembered is dropped and steps are halved, to recover one by one.

    Parameters
    ----------
    memory : steps remembered
    longest : how far an atom moves in a step at most [nm]
    """

    memory: Count = 20
    longest: Nanometers = 0.02

    def init(self) -> _Memory:
        return _Memory()

    def step(self, state: _Memory, positions: Vectors, forces: Vectors) -> tuple[Vectors, _Memory]:
        x, f = positions.ravel(), forces.ravel()
        moves, changes, curvature = state.moves, state.changes, state.curvature
        reach = state.reach or self.longest
        if state.before is not None:
            s, y = x - state.before[0], state.before[1] - f
            grown = np.linalg.norm(f) > GROWN * np.linalg.norm(state.before[1])
            reach = 0.5 * reach if grown else min(1.2 * reach, self.longest)
            curvature = np.linalg.norm(y) / max(np.linalg.norm(s), 1e-300) or curvature
            if grown:
                moves, changes = (), ()
            # a direction of negative curvature is no part of a minimum's Hessian
            elif s @ y > 1e-12 * np.sqrt((s @ s) * (y @ y)):
                moves, changes = (*moves, s)[-self.memory :], (*changes, y)[-self.memory :]
        step = _two_loops(f, moves, changes, curvature)
        if step @ f < 0:
            moves, changes, step = (), (), f / curvature
        return _cut(step.reshape(forces.shape), reach), _Memory(moves, changes, (x, f), curvature, reach)


class _Motion(NamedTuple):
    velocities: np.ndarray | None = None
    dt: float = 0.0
    longest_dt: float = 0.0
    alpha: float = 0.1
    downhill: int = 0


@dataclass(frozen=True)
class FIRE:
    """The fast inertial relaxation engine [bitzek2006], in a unit of time that follows from the first forces.

    Parameters
    ----------
    longest : how far an atom moves in a step at most [nm]
    """

    longest: Nanometers = 0.02

    def init(self) -> _Motion:
        return _Motion()

    def step(self, state: _Motion, positions: Vectors, forces: Vectors) -> tuple[Vectors, _Motion]:
        v, dt, longest_dt, alpha, downhill = state
        if v is None:
            dt = np.sqrt(0.05 * self.longest / max(np.linalg.norm(forces, axis=-1).max(), 1e-12))
            v, longest_dt = np.zeros_like(forces), 5 * dt
        if (forces * v).sum() >= 0:
            # v <- (1 - a) v + a |v| F/|F|
            along = forces / max(np.linalg.norm(forces), 1e-300)
            v = (1 - alpha) * v + alpha * np.linalg.norm(v) * along
            if downhill > 5:
                dt, alpha = min(1.1 * dt, longest_dt), 0.99 * alpha
            downhill += 1
        else:
            v, dt, alpha, downhill = np.zeros_like(v), 0.5 * dt, 0.1, 0
        v = v + dt * forces
        return _cut(dt * v, self.longest), _Motion(v, dt, longest_dt, alpha, downhill)


def _two_loops(f: np.ndarray, moves: tuple, changes: tuple, curvature: float) -> np.ndarray:
    """``H f`` with the inverse Hessian ``H`` that L-BFGS remembers [nocedal1980]."""
    if not moves:
        return f / curvature
    q, weights = f.copy(), []
    for s, y in zip(reversed(moves), reversed(changes), strict=True):
        weights.append((s @ q) / (s @ y))
        q -= weights[-1] * y
    q *= (moves[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for s, y, weight in zip(moves, changes, reversed(weights), strict=True):
        q += (weight - (y @ q) / (s @ y)) * s
    return q


def _cut(step: np.ndarray, longest: float) -> np.ndarray:
    """The step, shortened as a whole where an atom would move too far."""
    reach = np.linalg.norm(step, axis=-1).max()
    return step * min(1.0, longest / reach) if reach > 0 else step
