"""A molecular system: what the atoms are, where they start, and what holds them together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from thalweg.systems.topology import Topology


@dataclass(frozen=True)
class Constraints:
    """Fixed distances between pairs of atoms.

    Attributes
    ----------
    pairs : (constraints, 2) int
    distances : (constraints,) [nm]
    """

    pairs: np.ndarray
    distances: np.ndarray

    @staticmethod
    def none() -> Constraints:
        return Constraints(np.zeros((0, 2), int), np.zeros(0))


@dataclass(frozen=True)
class System:
    """Everything an engine needs to run a molecule.

    Attributes
    ----------
    topology : Topology
    positions : (atoms, 3) starting positions [nm]
    masses : (atoms,) [amu], after any hydrogen mass repartitioning
    energy : the differentiable energy (`thalweg.potentials.energy.Energy`)
    constraints : Constraints
    box : (3, 3) box vectors as rows [nm], or None
    openmm_xml : the OpenMM ``System`` this was translated from, serialized, or None
    barostat : what changes the box in that ``System``, such as ``"MonteCarloBarostat"``; None where the box stays
    notes : what was decided for the user where it was built, in sentences
    """

    topology: Topology
    positions: np.ndarray
    masses: np.ndarray
    energy: Callable
    constraints: Constraints = field(default_factory=Constraints.none)
    box: np.ndarray | None = None
    openmm_xml: str | None = None
    barostat: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def degrees_of_freedom(self) -> int:
        """Three per particle with mass, less one per constraint of such; held atoms and virtual sites have none."""
        moving = np.asarray(self.masses) > 0
        return 3 * int(moving.sum()) - int(moving[self.constraints.pairs].any(1).sum())
