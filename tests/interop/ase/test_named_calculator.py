"""Calculators of ASE by their names say what ASE says, at the border of units, in engines and as levels."""

from __future__ import annotations

import ase.build
import numpy as np
import pytest
from ase.calculators.emt import EMT

from thalweg.interop.ase.named_calculator import NamedCalculator
from thalweg.interop.files.configurations import from_atoms
from thalweg.interop.quantum.levels import level_of
from thalweg.labeling.level import LabelFailed
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learning.storage import load_tree, save_tree
from thalweg.potentials.energy import energy_and_forces
from thalweg.units import unit


def copper():
    atoms = ase.build.bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.05, seed=1)
    return atoms


def test_labels_are_those_of_ase_and_engines_see_the_same_forces():
    atoms = copper()
    frame = from_atoms(atoms)
    atoms.calc = EMT()
    labeled = NamedCalculator("emt").label(frame)
    assert labeled.energy == pytest.approx(atoms.get_potential_energy() * unit("eV", "energy"))
    np.testing.assert_allclose(labeled.forces, atoms.get_forces() * unit("eV/Å", "force"), rtol=1e-10)
    bound = LearnedPotential({29: 0.0}, (NamedCalculator("emt"),)).bind(
        frame.numbers, frame.box, frame.periodic
    )
    two = np.stack([frame.positions, frame.positions], -1).astype(np.float32)
    energies, forces = energy_and_forces(bound, two, frame.box.astype(np.float32))
    np.testing.assert_allclose(energies, labeled.energy, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(forces)[..., 1], labeled.forces, atol=1e-2)


def test_a_named_calculator_is_kept_as_its_name_and_is_read_as_a_level(tmp_path):
    level = level_of("ase:lj(sigma=2.5, epsilon=0.01)")
    assert level == NamedCalculator("lj", (("sigma", 2.5), ("epsilon", 0.01)))
    assert load_tree(save_tree(tmp_path / "level.tree", level)) == level


def test_what_a_calculator_does_not_know_fails_as_a_label_and_commands_are_refused():
    with pytest.raises(LabelFailed, match="ase:emt failed"):
        NamedCalculator("emt").label(from_atoms(ase.build.bulk("Fe")))
    with pytest.raises(ValueError, match="cannot be asked"):
        NamedCalculator("emt").check(from_atoms(ase.build.bulk("Fe")))
    with pytest.raises(ValueError, match="no commands"):
        NamedCalculator("orca", (("command", "rm"),))
    with pytest.raises(ValueError, match="no calculator 'os'"):
        level_of("ase:os")
