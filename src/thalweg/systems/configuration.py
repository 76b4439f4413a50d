"""Labeled configurations: what a quantum code said about an arrangement of atoms.

Units are internal (nm, kJ/mol); files are read and written by `thalweg.interop.files.configurations`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Configuration:
    """Atoms in space, periodic or not, with the labels there are.

    Attributes
    ----------
    numbers : (atoms,) int, atomic numbers
    positions : (atoms, 3) [nm]
    box : (3, 3) cell vectors as rows [nm], of any shape and handedness, or None where nothing is periodic
    periodic : which cell vectors repeat; all False without a box
    energy : potential energy [kJ/mol], or None
    forces : (atoms, 3) [kJ/mol/nm], or None
    stress : (3, 3) dU/d(strain) over volume [kJ/mol/nm^3], or None
    info : what else is known, such as the group or trajectory it came from
    properties : further labels by name: dipole (3,) [e nm], charges (atoms,) [e], polarizability (3, 3) as a volume
        [nm^3], shieldings (atoms,) [ppm], gap and ionization_energy () [kJ/mol]
    """

    numbers: np.ndarray
    positions: np.ndarray
    box: np.ndarray | None = None
    periodic: tuple[bool, bool, bool] = (False, False, False)
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    info: Mapping[str, object] = field(default_factory=dict)
    properties: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def unlabeled(self) -> Configuration:
        """The same atoms in the same places, and what else is known of them."""
        return Configuration(self.numbers, self.positions, self.box, self.periodic, info=self.info)

    @property
    def volume(self) -> float:
        """Volume of the cell [nm^3]; NaN without one."""
        return float("nan") if self.box is None else float(abs(np.linalg.det(self.box)))


def elements_of(configurations: Sequence[Configuration]) -> tuple[int, ...]:
    """Atomic numbers that occur, ascending."""
    return tuple(sorted({int(z) for configuration in configurations for z in configuration.numbers}))
