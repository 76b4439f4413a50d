"""References are the energies per element that explain the data, and a model knows where they do not decide."""

import numpy as np
import pytest

from thalweg.learned_potentials.frames.reference_energies import (
    fitted_references,
    of_other_compositions,
    undecided,
)
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.recipe import Recipe
from thalweg.representations.expansions.ace import ACE
from thalweg.systems.configuration import Configuration

OF_HYDROGEN, OF_CARBON = -13.0, -1000.0


def chain(carbons, hydrogens, energy=True):
    count = carbons + hydrogens
    points = 0.12 * np.arange(count)[:, None] * np.array([1.0, 0.3, 0.0])
    total = carbons * OF_CARBON + hydrogens * OF_HYDROGEN
    numbers = np.array([6] * carbons + [1] * hydrogens)
    return Configuration(numbers, points, energy=total if energy else None, forces=np.zeros((count, 3)))


def test_two_compositions_decide_two_elements():
    frames = [chain(1, 4), chain(2, 6), chain(2, 4)]
    assert fitted_references(frames) == pytest.approx({1: OF_HYDROGEN, 6: OF_CARBON})
    assert undecided(frames).shape == (0, 2)


def test_multiples_of_one_composition_leave_one_direction_open():
    frames = [chain(1, 2), chain(2, 4), chain(3, 6)]
    (direction,) = undecided(frames)
    assert abs(direction @ [2.0, 1.0]) < 1e-12
    assert undecided([chain(1, 2, energy=False)]).shape == (0, 2)


def test_a_model_of_one_composition_knows_those_that_are_other():
    recipe = Recipe(Linear(ACE(cutoff=0.2, levels=(3, 2))), core_repulsion=None)
    card = recipe.fit([chain(1, 2), chain(2, 4)]).card
    assert of_other_compositions(card, [chain(3, 6), chain(1, 4), chain(2, 2)]) == [1, 2]
    given = Recipe(recipe.learner, references={1: OF_HYDROGEN, 6: OF_CARBON}, core_repulsion=None)
    assert of_other_compositions(given.fit([chain(1, 2)]).card, [chain(1, 4)]) == []
