"""A level of theory as an ASE calculator: whatever makes labels can also drive dynamics, optimizers, vibrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from thalweg.interop.files.configurations import from_atoms
from thalweg.labeling.level import Level
from thalweg.units import ANGSTROM, ELECTRONVOLT


class LevelCalculator(Calculator):
    """Energy and forces of a `Level` for ASE: Å and eV outside.

    Parameters
    ----------
    level : such as `NamedCalculator`, `TightBinding`, or what `level_of` makes of a name

    Raises
    ------
    LabelFailed
        Where the level has no answer for a geometry.

    Examples
    --------
    >>> import ase.build
    >>> from thalweg.interop.ase.named_calculator import NamedCalculator
    >>> copper = ase.build.bulk("Cu", cubic=True)
    >>> copper.calc = LevelCalculator(NamedCalculator("emt"))
    >>> round(copper.get_potential_energy(), 4)
    -0.0227
    """

    implemented_properties: ClassVar = ["energy", "free_energy", "forces"]

    def __init__(self, level: Level):
        super().__init__()
        self.level = level

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        bare = Atoms(self.atoms.numbers, self.atoms.positions, cell=self.atoms.cell, pbc=self.atoms.pbc)
        label = self.level.label(from_atoms(bare))
        energy = float(label.energy) / ELECTRONVOLT
        forces = np.asarray(label.forces, float) * (ANGSTROM / ELECTRONVOLT)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
