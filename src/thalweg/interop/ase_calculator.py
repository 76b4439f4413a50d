"""Our energies as ASE calculators: anything of ASE (optimizers, vibrations, neb) runs on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from thalweg.potentials.energy import energy_and_forces
from thalweg.units import ANGSTROM, ELECTRONVOLT


class EnergyCalculator(Calculator):
    """An energy of ours for ASE: Å and eV outside, nm and kJ/mol inside, 32 bits.

    Parameters
    ----------
    energy : as in `thalweg.potentials.energy`; the box is the cell of the atoms where they are periodic

    Examples
    --------
    >>> from ase import Atoms
    >>> from thalweg.potentials.harmonic import harmonic_bonds
    >>> bond = harmonic_bonds(np.array([[0, 1]]), np.array([0.1]), np.array([1000.0]))
    >>> atoms = Atoms("H2", [[0, 0, 0], [0, 0, 1.2]], calculator=EnergyCalculator(bond))
    >>> round(atoms.get_potential_energy() * ELECTRONVOLT, 4)
    0.2
    """

    implemented_properties: ClassVar = ["energy", "forces"]

    def __init__(self, energy: Callable):
        super().__init__()
        self.energy = energy
        self._evaluate = eqx.filter_jit(energy_and_forces)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        positions = jnp.asarray(self.atoms.positions * ANGSTROM, jnp.float32)
        box = jnp.asarray(self.atoms.cell.array * ANGSTROM, jnp.float32) if self.atoms.pbc.any() else None
        if system_changes:
            self.energy = self.energy.refreshed(positions, box)
        energy, forces = self._evaluate(self.energy, positions, box)
        self.results = {
            "energy": float(energy) / ELECTRONVOLT,
            "forces": np.asarray(forces, float) * (ANGSTROM / ELECTRONVOLT),
        }
