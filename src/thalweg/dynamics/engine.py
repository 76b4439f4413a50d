"""What every engine offers and what may be plugged into one: the whole interface on one page.

An engine advances all replicas of a `State` by a number of steps of one integrator and returns a `Recording`.
The native, OpenMM and ASE engines are interchangeable: same inputs, same outputs, a pure function of the
state (its random key included) and the arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from thalweg.shapes import Array, Box, Energies, Float, Int, Positions, Values
from thalweg.systems.state import State


@runtime_checkable
class Variable(Protocol):
    """A differentiable map from positions to a few numbers: a physical or learned collective variable.

    ``names``, ``units`` and ``periods`` have one entry per value; a period of ``None`` means not periodic.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    periods: tuple[float | None, ...]

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        """Values ``(values, *replicas)`` of ``positions`` ``(atoms, dims, *replicas)``."""
        ...


@runtime_checkable
class Bias(Protocol):
    """An energy of a variable that may grow while a simulation runs: settings here, growth in ``bias_state``.

    All replicas share one bias state (multiple walkers). ``stride`` is the number of steps between updates;
    None means static.
    """

    variable: Variable
    stride: int | None

    def init(self) -> Any:
        """The bias state before any update (a pytree of arrays)."""
        ...

    def energy(self, bias_state: Any, values: Values) -> Energies:
        """Bias energies ``(*replicas,)`` [kJ/mol], differentiable in ``values`` ``(values, *replicas)``."""
        ...

    def update(self, bias_state: Any, values: Values) -> Any:
        """The bias state after all replicas, now at ``values`` ``(values, replicas)``, have deposited.

        A replica that has diverged shows NaN values and must deposit nothing.
        """
        ...


@runtime_checkable
class Exchanging(Protocol):
    """A `Bias` whose replicas stand on the rungs of a ladder, of temperatures or of biases, and change places.

    Every ``stride`` steps an engine asks for `exchanged` where it would let a bias be updated. A replica that comes to
    another temperature keeps its direction: its momenta are scaled by ``sqrt(T_new / T_old)``.
    """

    def rungs(self, bias_state: Any) -> Int[Array, " replicas"]:
        """On which rung each replica stands."""
        ...

    def temperatures(self, bias_state: Any) -> Float[Array, " replicas"]:
        """``kT`` of each replica's bath [kJ/mol]."""
        ...

    def exchanged(self, bias_state: Any, energy: Energies, values: Values) -> Any:
        """The bias state after neighbors have tried to change places.

        Parameters
        ----------
        energy : (replicas,) without bias [kJ/mol]; NaN of one that has diverged, which stays where it is
        values : (values, replicas) of the variable
        """
        ...

    def alone(self, bias_state: Any, replica: int) -> Any:
        """The bias state as one replica sees it, for engines that know one at a time."""
        ...


@dataclass(frozen=True)
class Recording:
    """What a run of an engine leaves: frames of every replica and where each stopped.

    Frames are taken every ``save_every`` steps, after the step; the starting point is not among them. A
    replica that diverged is frozen at its last good frame and listed in ``diverged``; its ``valid`` frames
    end there.

    Attributes
    ----------
    positions : (replicas, frames, atoms, dims) float32 [nm]
    values : (replicas, frames, values), the bias variable's values; last axis empty without a bias
    energy : (replicas, frames), potential energy without bias [kJ/mol]
    bias_energy : (replicas, frames), the bias as it was at that moment [kJ/mol]
    valid : (replicas,) int, number of good frames of each replica
    state : where all replicas stopped
    bias_state : the bias state at the end
    dt_frames : time between frames [ps]
    diverged : replica index -> sentence saying when and how it broke
    boxes : (replicas, frames, 3, 3) float32, box vectors of every frame [nm]; None where the box of ``state`` stays
    rungs : (replicas, frames) int, on which rung of a ladder a frame was made; None where replicas change no places
    log_path : (replicas, frames), running logarithm of the weight that the path since the start has without the
        bias, the column of `Trajectories`; None where paths have none, see `thalweg.dynamics.path_weights`
    """

    positions: np.ndarray
    values: np.ndarray
    energy: np.ndarray
    bias_energy: np.ndarray
    valid: np.ndarray
    state: State
    bias_state: Any
    dt_frames: float
    diverged: dict[int, str] = field(default_factory=dict)
    log_path: np.ndarray | None = None
    boxes: np.ndarray | None = None
    rungs: np.ndarray | None = None


@runtime_checkable
class Observer(Protocol):
    """Looks at a run between chunks of steps: a progress bar, a trajectory writer, a divergence guard.

    It must not change the run. Raising `StopRun` ends it after this chunk with everything so far kept.
    """

    def __call__(self, done: int, total: int, chunk: Recording) -> None:
        """``done`` of ``total`` steps are finished; ``chunk`` holds the frames since the last call."""
        ...


class StopRun(Exception):
    """Raised by an observer to end a run early; the engine returns what it has."""


@runtime_checkable
class Engine(Protocol):
    """Advances states. Built from a system, its energy and an integrator, as `NativeEngine` is."""

    def run(
        self,
        state: State,
        steps: int,
        *,
        save_every: int,
        bias: Bias | None = None,
        bias_state: Any = None,
        observers: Sequence[Observer] = (),
    ) -> Recording:
        """Advance all replicas by ``steps``.

        Raises
        ------
        ValueError
            If ``steps`` is not a multiple of ``save_every``, or positions are not finite, or do not fit the
            system.
        """
        ...
