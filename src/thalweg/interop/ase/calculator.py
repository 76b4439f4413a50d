"""Our energies as ASE calculators: anything of ASE (optimizers, vibrations, neb, sockets to i-PI) runs on them.

`PotentialCalculator` is for learned potentials and knows stress and uncertainty; `EnergyCalculator` is for an energy of
certain atoms as engines run it. A simulation driven by i-PI, or by ASE's own server, calls a potential through
``ase.calculators.socketio.SocketClient(unixsocket="name").run(atoms)`` with a calculator on the atoms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from thalweg.interop.one_structure import OneStructure, Precision
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.potentials.energy import energy_and_forces
from thalweg.systems.configuration import Configuration
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

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
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


class PotentialCalculator(Calculator):
    """A learned potential for ASE: Å and eV outside; neighbor lists with a skin; compiled once per set of atoms.

    Besides ``energy``, ``forces`` and, where atoms are periodic in a cell of three vectors, ``stress`` (of a slab: over
    the volume of that cell, vacuum included, as calculators of ASE do), it gives ``energy_uncertainty`` [eV] and
    ``forces_uncertainty`` (atoms, 3) [eV/Å] through ``get_property`` where the potential knows how unsure it is:
    calibrated standard deviations of the energy and of force components. A potential with an active set also gives
    ``extrapolation_grades`` (atoms,), see `LearnedPotential.grades`.

    Parameters
    ----------
    potential : LearnedPotential
    precision : "double", or "single" for dynamics

    Examples
    --------
    >>> from ase.build import bulk
    >>> from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
    >>> silicon = bulk("Si", cubic=True)
    >>> silicon.calc = PotentialCalculator(LearnedPotential({14: 0.0}, (stillinger_weber_silicon(),)))
    >>> round(silicon.get_potential_energy() / 8, 3)
    -4.336
    """

    implemented_properties: ClassVar = [
        "energy",
        "free_energy",
        "forces",
        "stress",
        "energy_uncertainty",
        "forces_uncertainty",
        "extrapolation_grades",
    ]

    def __init__(self, potential: LearnedPotential, precision: Precision = "double"):
        super().__init__()
        self.potential = potential
        self._structure = OneStructure(potential, precision)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        frame = self._frame()
        strained = any(frame.periodic) and self.atoms.cell.rank == 3
        if "stress" in properties and not strained:
            raise PropertyNotImplementedError(
                "stress is over a volume: it needs periodic atoms in a cell of three vectors; give a slab a third one"
            )
        if {"energy_uncertainty", "forces_uncertainty"} & set(properties):
            spread = self.potential.spread([frame])
            self.results["energy_uncertainty"] = float(spread.energies[0]) / ELECTRONVOLT
            self.results["forces_uncertainty"] = spread.forces[0] * (ANGSTROM / ELECTRONVOLT)
        if "extrapolation_grades" in properties:
            self.results["extrapolation_grades"] = self.potential.grades([frame])[0]
        if not system_changes and "energy" in self.results:
            return
        energy, forces, virial = self._structure(frame.numbers, frame.positions, frame.box, frame.periodic)
        self.results["energy"] = self.results["free_energy"] = energy / ELECTRONVOLT
        self.results["forces"] = forces * (ANGSTROM / ELECTRONVOLT)
        if strained:
            stress = virial / frame.volume * (ANGSTROM**3 / ELECTRONVOLT)
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def _frame(self):
        periodic = (bool(self.atoms.pbc[0]), bool(self.atoms.pbc[1]), bool(self.atoms.pbc[2]))
        if not (self.atoms.cell.any(1) | ~self.atoms.pbc).all():
            raise ValueError(
                f"the atoms are periodic along a cell vector that is zero: {self.atoms.cell.tolist()}; set cell or pbc"
            )
        # a vector that does not repeat may be missing, as on reading
        box = np.array(self.atoms.cell.complete()) * ANGSTROM if any(periodic) else None
        return Configuration(self.atoms.numbers, self.atoms.positions * ANGSTROM, box, periodic)
