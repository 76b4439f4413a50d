"""Any calculator of ASE as a level of theory, for work in a script: paths, relaxations, labels.

A plan or a study cannot hold it, since a calculator has no name there; `NamedCalculator` has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import ase
import numpy as np
from ase.calculators.calculator import Calculator

from thalweg.interop.files.configurations import to_atoms
from thalweg.labeling.level import LabelFailed, geometry_trouble
from thalweg.machine.surviving import reason
from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, ELECTRONVOLT


@dataclass(frozen=True)
class CalculatorLevel:
    """Energies and forces of a calculator.

    Parameters
    ----------
    calculator : any of ASE's, or of another package

    Examples
    --------
    >>> from ase.calculators.lj import LennardJones
    >>> level = CalculatorLevel(LennardJones(sigma=3.4, epsilon=0.01, rc=20.0))
    >>> pair = Configuration(np.array([18, 18]), np.array([[0.0, 0, 0], [0, 0, 0.34 * 2 ** (1 / 6)]]))
    >>> round(level.label(pair).energy / ELECTRONVOLT, 4)
    -0.01
    """

    calculator: Calculator

    @property
    def name(self) -> str:
        """The calculator's own."""
        return f"ASE {type(self.calculator).__name__}"

    def provenance(self) -> Mapping[str, str]:
        return {"program": self.name, "version": ase.__version__, "level": self.name}

    def check(self, frame: Configuration) -> None:
        """Whether the calculator says anything of ``frame``.

        Raises
        ------
        ValueError
            If it does not know the elements.
        """
        try:
            self.label(frame)
        except LabelFailed as failure:
            raise ValueError(f"{self.name} cannot be asked about these atoms: {failure}") from None

    def seconds(self, frame: Configuration) -> float:
        return 0.01 + 1e-3 * len(frame)

    def label(self, frame: Configuration) -> Configuration:
        """Energy and forces.

        Raises
        ------
        LabelFailed
            If atoms are on top of each other, or the calculator fails.
        """
        if trouble := geometry_trouble(frame):
            raise LabelFailed(trouble)
        atoms = to_atoms(frame.unlabeled)
        atoms.calc = self.calculator
        try:
            energy = float(atoms.get_potential_energy()) * ELECTRONVOLT
            forces = np.array(atoms.get_forces(), float) * (ELECTRONVOLT / ANGSTROM)
        except Exception as error:
            raise LabelFailed(f"{self.name} failed: {reason(error)}") from error
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise LabelFailed(f"{self.name} gives no numbers for this geometry")
        return replace(frame, energy=energy, forces=forces)
