"""Isolated atoms are told from crystals of one atom and become references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.frames.isolated_atoms import (
    isolated_atom_energies,
    trusted_atom_energies,
    without_isolated_atoms,
)
from thalweg.learned_potentials.recipe import Recipe
from thalweg.systems.configuration import Configuration


def atom(z, energy, **more):
    return Configuration(np.array([z]), np.zeros((1, 3)), energy=energy, **more)


BOXED = {"box": 2 * np.eye(3), "periodic": (True, True, True)}


def test_marked_and_free_atoms_count_and_crystals_of_one_atom_do_not():
    frames = [
        atom(8, -2.0, info={"config_type": "IsolatedAtom"}, **BOXED),
        atom(1, -1.0, info={"config_type": "isolated_atom"}),
        atom(6, -3.0),
        atom(29, -4.0, box=0.25 * np.eye(3), periodic=(True, True, True)),
        atom(7, None),
    ]
    assert isolated_atom_energies(frames) == {1: -1.0, 6: -3.0, 8: -2.0}
    assert without_isolated_atoms(frames) == [frames[3]]


def test_an_atom_alone_in_a_large_periodic_cell_is_isolated_without_a_label():
    assert isolated_atom_energies([atom(29, -4.0, **BOXED)]) == {29: -4.0}
    assert isolated_atom_energies([atom(55, -4.0, box=0.6 * np.eye(3), periodic=(True,) * 3)]) == {}


def test_energies_of_atoms_of_another_method_are_not_used(molecules):
    frames = [replace(frame, energy=frame.energy - 4 * 19000.0) for frame in molecules(12)]
    own = [atom(z, -19000.0) for z in (1, 6, 8)]
    assert trusted_atom_energies([*frames, *own]) == ({1: -19000.0, 6: -19000.0, 8: -19000.0}, ())
    foreign = [atom(z, -197000.0) for z in (1, 6, 8)]
    energies, said = trusted_atom_energies([*frames, *foreign])
    assert energies == {}
    assert "of another method than the frames, they are not used" in said[0]


def test_two_energies_of_one_atom_are_refused():
    with pytest.raises(ValueError, match="isolated O has energies of -2 and -3"):
        isolated_atom_energies([atom(8, -2.0), atom(8, -3.0)])


def test_atoms_far_apart_have_the_energies_of_isolated_ones(learner, molecules):
    alone = {1: -10.0, 6: -20.0, 8: -30.0}
    frames = [replace(frame, energy=frame.energy - 70.0) for frame in molecules(20)]
    atoms = [atom(z, energy) for z, energy in alone.items()]
    references = isolated_atom_energies([*frames, *atoms])
    potential = Recipe(learner, references=references, core_repulsion=None).fit(frames)
    apart = Configuration(np.array([6, 1, 1, 8]), 10.0 * np.arange(12.0).reshape(4, 3))
    assert potential.evaluate([apart]).energies[0] == pytest.approx(-70.0)
