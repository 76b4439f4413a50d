"""What a worker needs to simulate: an engine, where to start, what to measure on each frame, how to keep it.

An apparatus holds compiled code and cannot travel between processes. What travels is its recipe: the public name of a
factory and plain settings, from which every process builds its own, once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from thalweg.dynamics.engine import Engine, Variable
from thalweg.machine import disk
from thalweg.machine.arrays import mapped_array
from thalweg.registry import resolve
from thalweg.shapes import Float
from thalweg.systems.system import Constraints


@runtime_checkable
class TrajectoryFiles(Protocol):
    """Keeps the frames of walkers in a folder, in its format; the same bytes for the same frames."""

    def write(self, folder: Path, walkers: Sequence[np.ndarray], boxes: Sequence, dt: float) -> None:
        """Write one trajectory ``(frames, atoms, dims)`` [nm] for each walker, frames ``dt`` [ps] apart.

        ``boxes`` has for each walker a box ``(3, 3)``, those of its frames ``(frames, 3, 3)`` [nm], or None.
        """
        ...

    def read(self, folder: Path, walker: int, frame: int) -> Float[np.ndarray, "atoms dims"]:
        """Positions [nm] of one frame."""
        ...


class ArrayFiles:
    """Trajectories as NumPy arrays, ``walker-000.npy``: full precision, any number of dimensions."""

    def write(self, folder: Path, walkers: Sequence[np.ndarray], boxes: Sequence, dt: float) -> None:
        for number, positions in enumerate(walkers):
            with disk.created(folder / f"walker-{number:03d}.npy") as file:
                np.save(file, positions, allow_pickle=False)

    def read(self, folder: Path, walker: int, frame: int) -> Float[np.ndarray, "atoms dims"]:
        return np.array(mapped_array(folder / f"walker-{walker:03d}.npy")[frame])


@dataclass(frozen=True)
class Apparatus:
    """A system ready to be simulated and observed.

    Attributes
    ----------
    engine : advances states
    features : the variable measured on every frame, from which slow variables are learned
    positions : (atoms, dims) where the first walkers start [nm]
    masses : (atoms,) [amu]
    kT : [kJ/mol]
    box : (3, 3) box vectors as rows [nm], or None
    bounds : lower and upper (features,), between which features can lie at all; None if unknown
    trajectories : how frames are kept
    constraints : fixed distances, along which no atom has a momentum
    card : what to write into every segment: engine, force field, versions
    notes : what was decided for the user, in sentences
    """

    engine: Engine
    features: Variable
    positions: Float[np.ndarray, "atoms dims"]
    masses: Float[np.ndarray, " atoms"]
    kT: float
    box: np.ndarray | None = None
    bounds: tuple[np.ndarray, np.ndarray] | None = None
    trajectories: TrajectoryFiles = field(default_factory=ArrayFiles)
    constraints: Constraints = field(default_factory=Constraints.none)
    card: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def dt(self) -> float:
        """Time step [ps]."""
        return self.engine.integrator.dt


@dataclass(frozen=True)
class ApparatusRecipe:
    """How to build an `Apparatus`: the ``factory``, a name of `thalweg.registry`, called with ``settings``.

    The settings are plain data, such as a study read from a file, so that a recipe can be sent to a worker
    and written down. A factory says of itself that it is one (`factory`): a plan can name no other function.
    """

    factory: str
    settings: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Apparatus:
        """The apparatus, made once in each process.

        Raises
        ------
        ValueError
            If ``factory`` names nothing, or what does not make apparatuses.
        """
        return _built(self.factory, json.dumps(self.settings, sort_keys=True))


def factory(make: Callable[..., Apparatus]) -> Callable[..., Apparatus]:
    """Mark ``make`` as one that may be called by a plan, with settings out of a file, to make an apparatus."""
    make.makes_apparatus = True
    return make


@lru_cache(maxsize=4)
def _built(name: str, settings: str) -> Apparatus:
    make = resolve(name)
    if not getattr(make, "makes_apparatus", False):
        raise ValueError(f"{name} makes no apparatus, so no plan may call it; remove the plan that does")
    return make(**json.loads(settings))
