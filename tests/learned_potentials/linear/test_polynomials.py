from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.linear.polynomials import PolynomialFit
from thalweg.learned_potentials.recipes.molecular import pip
from thalweg.learned_potentials.terms.term import Graded, NoUncertainty, Term
from thalweg.representations.molecules.invariant_polynomials import InvariantPolynomials
from thalweg.representations.molecules.molecular_symmetry import automorphisms

EXCHANGE = np.array([3, 2, 1, 0])


def test_polynomials_of_three_like_atoms_are_counted_by_molien_series():
    # S3 on the three distances of A3: 1, 1, 2, 3, 4, 5 invariants of degrees 0 to 5
    group = automorphisms([1, 1, 1], np.zeros((3, 3), bool))
    counts = [InvariantPolynomials.of(group, degree).count for degree in range(1, 6)]
    assert counts == np.cumsum([1, 1, 2, 3, 4, 5])[1:].tolist()


def test_polynomials_do_not_change_when_like_atoms_change_places(chain):
    points = chain.start
    basis = InvariantPolynomials.of(np.array([np.arange(4), EXCHANGE]), 3)
    np.testing.assert_allclose(basis(points), basis(points[EXCHANGE]), rtol=1e-4, atol=1e-6)


def test_a_smooth_surface_is_learned_from_few_frames(chain):
    test = chain.labeled(20, seed=1)
    term = pip(3, (0.1,)).learner.fit(chain.labeled(40)).term
    assert chain.force_error(term, test) < 0.02 * np.abs([frame.forces for frame in test]).mean()


def test_forces_are_minus_the_gradient_of_the_energy(chain):
    term = PolynomialFit(2, (0.1,), (1e-8,)).fit(chain.labeled(20)).term
    frame, step = chain.labeled(1, seed=2)[0], 1e-6
    shift = np.zeros((4, 3))
    shift[1, 2] = step
    ends = [replace(frame, positions=frame.positions + sign * shift) for sign in (1, -1)]
    up, down = term.evaluate(ends).energies
    assert isinstance(term, Term)
    assert term.evaluate([frame]).forces[0][1, 2] == pytest.approx(-(up - down) / (2 * step), rel=1e-5)


def test_the_wanted_number_of_polynomials_is_kept(chain):
    assert PolynomialFit(3, (0.1,), (1e-8,), size=20).fit(chain.labeled(10)).term.basis.count == 20


def test_too_many_monomials_are_refused_with_their_number():
    with pytest.raises(ValueError, match="monomials, more than 500000"):
        InvariantPolynomials.of(np.arange(30)[None], 3)


def test_no_training_force_of_a_molecule_is_extrapolated_and_those_of_stretched_ones_are(chain):
    training, test = chain.labeled(20), chain.labeled(10, seed=3)
    bare = PolynomialFit(2, (0.1,), (1e-8,)).fit(training).term
    with pytest.raises(NoUncertainty, match="no active set"):
        bare.grades(training)
    term = bare.with_active_set(training)
    assert isinstance(term, Graded)
    assert max(map(np.max, term.grades(training))) <= 1.0101 * np.sqrt(3)
    near = np.median([grades.max() for grades in term.grades(test)])
    far = term.grades([replace(frame, positions=1.3 * frame.positions) for frame in test])
    assert near < 2 < min(grades.max() for grades in far)
    assert [grades.shape for grades in far] == [(4,)] * 10
    assert term.evaluate(test).energies == pytest.approx(bare.evaluate(test).energies)


def test_the_grade_of_a_molecule_does_not_change_when_it_is_moved_and_turned(chain):
    term = PolynomialFit(2, (0.1,), (1e-8,)).fit(chain.labeled(20)).term.with_active_set(chain.labeled(20))
    frame = chain.labeled(1, seed=4)[0]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    exchanged = replace(frame, positions=frame.positions[EXCHANGE] @ turn + 0.3)
    here, there = (term.grades([each])[0] for each in (frame, exchanged))
    np.testing.assert_allclose(there, here[EXCHANGE], rtol=1e-6)


def test_other_atoms_are_refused(chain):
    term = PolynomialFit(2, (0.1,), (1e-8,)).fit(chain.labeled(5)).term
    with pytest.raises(ValueError, match="one molecule with atoms"):
        term.bind(np.array([1, 6, 6]))
