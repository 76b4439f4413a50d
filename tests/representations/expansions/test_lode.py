"""Potentials of far atoms are those of Coulomb, their gradients fields, and a linear model of them holds far away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import erf

from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.long_range.point_charges import point_charges
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.expansions.lode import LODE
from thalweg.systems.configuration import Configuration

IONS = point_charges({11: 0.7, 17: -0.7})


def cluster(seed, size=2.0, count=6):
    points = np.random.default_rng(seed).uniform(size=(count, 3)) * size
    return Configuration(np.array([11, 17] * (count // 2)), points)


def test_the_first_features_are_potentials_of_smeared_atoms_of_each_element():
    one, far = cluster(0), LODE(cutoff=9.0, smearing=0.15, degree=2)
    features = far.features([one])[0]
    r = np.linalg.norm(one.positions[0] - one.positions[1:], axis=1)
    potentials = erf(r / np.sqrt(2) / 0.15) / r
    same = one.numbers[1:] == 11
    np.testing.assert_allclose(features[0, :2], [potentials[same].sum(), potentials[~same].sum()], rtol=1e-9)


def test_squares_of_degree_one_are_squares_of_fields():
    one, far = cluster(1), LODE(cutoff=9.0, smearing=0.02, degree=1, radial=1)
    features = far.features([one])[0]
    r = one.positions[0] - one.positions[1:]
    fields = 3**0.5 * (r / np.linalg.norm(r, axis=1, keepdims=True) ** 3)
    same = one.numbers[1:] == 11
    field = [fields[same].sum(0), fields[~same].sum(0)]
    squares = [field[0] @ field[0], field[0] @ field[1], field[1] @ field[1]]
    np.testing.assert_allclose(features[0, -3:], squares, rtol=1e-9)


def test_dispersion_falls_with_the_sixth_power():
    pair = [Configuration(np.array([18, 18]), np.array([[0, 0, 0], [r, 0, 0]])) for r in (0.6, 1.2)]
    near, far = (one[0, 0] for one in LODE(cutoff=5.0, exponent=6, smearing=0.05).features(pair))
    assert near / far == pytest.approx(64.0, rel=1e-9)


def test_rock_salt_has_nearly_its_madelung_constant_as_difference_of_potentials():
    salt = Configuration(
        np.array([11, 17]),
        np.array([[0, 0, 0], [0.282, 0, 0]]),
        0.282 * (np.ones((3, 3)) - np.eye(3)),
        (True,) * 3,
    )
    features = LODE(cutoff=2.2, smearing=0.04, fade=0.0, degree=0, radial=1).features([salt])[0]
    assert 0.282 * (features[0, 1] - features[0, 0]) == pytest.approx(1.7475646, abs=2.5e-3)


def test_a_linear_model_learns_ions_and_holds_at_distances_that_it_never_saw():
    far = LODE(cutoff=9.0, smearing=0.03, degree=0, radial=1, near=0.1)
    frames, asked = [cluster(k, 1.5) for k in range(30)], [cluster(k, 4.0) for k in range(40, 45)]

    def labeled(configurations):
        labels = IONS.evaluate(configurations)
        return [replace(f, energy=float(e)) for f, e in zip(configurations, labels.energies)]

    term = Linear(far).fit(labeled(frames), weights=Weights(energy=1e-3)).term
    truth = np.array([one.energy for one in labeled(asked)])
    np.testing.assert_allclose(term.evaluate(asked).energies, truth, rtol=1e-2)
