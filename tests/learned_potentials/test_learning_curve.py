"""Errors fall with data, and a model is best at home."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.learned_potentials.learning_curve import learning_curve, transfer_matrix
from thalweg.learned_potentials.recipe import Recipe


def test_errors_fall_with_the_number_of_frames_and_have_error_bars(learner, molecules):
    said = []
    curve = learning_curve(
        Recipe(learner, core_repulsion=None),
        molecules(80, 0.02),
        (3, 10, 40),
        splits=4,
        progress=lambda message, fraction: said.append(fraction),
    )
    assert curve.values("forces").shape == (3, 4)
    mean, error = curve.mean("forces"), curve.standard_error("forces")
    assert (np.diff(mean) < 0).all()
    assert (error > 0).all()
    assert curve.exponent("forces") < 0
    assert len(said) == 12
    assert said == sorted(said)
    assert np.isnan(curve.mean("stress")).all()
    assert curve.table().count("meV/Å") == 3


def test_a_curve_is_the_same_for_the_same_seed_and_judged_on_given_frames(learner, molecules):
    recipe, frames, test = Recipe(learner, core_repulsion=None), molecules(12), molecules(9, seed=1)
    one, two = (learning_curve(recipe, frames, (12,), splits=2, test=test) for _ in range(2))
    assert (one.values("forces") == two.values("forces")).all()
    assert one.errors[0][0].energy.count == 9
    np.testing.assert_allclose(one.values("forces")[0, 0], one.values("forces")[0, 1], rtol=1e-3)


def test_sizes_beyond_the_frames_there_are_refused(learner, molecules):
    with pytest.raises(ValueError, match="10 frames cannot train on 10 and leave one to test on"):
        learning_curve(Recipe(learner), molecules(10), (5, 10))
    with pytest.raises(ValueError, match="give no fit"):
        learning_curve(Recipe(learner), molecules(10), ())


def test_a_model_is_best_where_it_was_taught(learner, molecules):
    sets = {
        "cold": molecules(40, 0.002),
        "hot": molecules(40, 0.03, seed=1),
        "other": molecules(40, seed=2, numbers=(7, 1, 1, 8)),
    }
    matrix = transfer_matrix(Recipe(learner, core_repulsion=None), sets)
    values = matrix.values("forces")
    assert values[0, 0] < values[1, 0]
    assert values[1, 1] < values[0, 1]
    assert np.isnan(values[0, 2])
    assert np.isnan(values[2, 0])
    assert "nan" in matrix.table()
    assert (matrix.standard_errors("forces")[:2, :2] > 0).all()
    with pytest.raises(ValueError, match="leaves one side empty"):
        transfer_matrix(Recipe(learner), {"one": sets["cold"][:1]})


def test_energies_that_a_set_of_one_composition_leaves_open_are_no_errors(learner, molecules):
    sets = {"one": molecules(10), "other": molecules(10, numbers=(6, 6, 1, 8))}
    open_ = transfer_matrix(Recipe(learner, core_repulsion=None), sets)
    energies = open_.values("energy per atom")
    assert np.isfinite(np.diagonal(energies)).all()
    assert np.isnan(energies[0, 1])
    assert np.isfinite(open_.values("forces")).all()
    assert "give energies of isolated atoms" in open_.table("energy per atom")
    given = Recipe(learner, core_repulsion=None, references=dict.fromkeys((1, 6, 8), 0.0))
    assert np.isfinite(transfer_matrix(given, sets).values("energy per atom")).all()
