"""A free-energy difference under a dearer energy, from a few frames of a cheaper one."""

import numpy as np
import pytest

from thalweg.free_energies.perturbation import perturbation, systematic_draw

KT = 2.5


def wells(rng, stiffness, count):
    """Frames of a harmonic well, in which the exact free energy is ``kT / 2 ln k`` but for a constant."""
    return rng.normal(0.0, np.sqrt(KT / stiffness), count)


def added(x, old, new):
    return 0.5 * (new - old) * x**2


def test_two_harmonic_wells_that_stiffen_differ_as_they_must_and_bars_cover():
    exact = 0.5 * KT * (np.log(12.0 / 10.0) - np.log(36.0 / 30.0 * 1.5))
    rng, scores = np.random.default_rng(1), []
    for seed in range(200):
        a, b = wells(rng, 10.0, 150), wells(rng, 30.0, 150)
        found = perturbation(added(a, 10.0, 12.0), added(b, 30.0, 54.0), KT, seed)
        assert not found.shortcomings
        scores.append((found.value - exact) / found.error)
    assert abs(np.mean(scores)) < 0.3
    assert 0.9 <= np.mean(np.abs(scores) < 1.96) <= 0.99


def test_a_constant_is_of_no_account():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 50))
    assert perturbation(a + 1e6, b + 1e6, KT).value == pytest.approx(perturbation(a, b, KT).value, abs=1e-6)


def test_energies_that_have_little_to_do_with_each_other_are_told():
    rng = np.random.default_rng(3)
    found = perturbation(rng.normal(0, 10 * KT, 100), np.zeros(100), KT)
    assert "% of the frames carry the weight, 10 % needed" in str(found)


@pytest.mark.parametrize("bad", [[1.0], [1.0, np.nan, 2.0]])
def test_too_few_or_impossible_energies_are_refused(bad):
    with pytest.raises(ValueError, match="state b has"):
        perturbation(np.array([0.0, 1.0]), np.array(bad), KT)


def test_frames_are_drawn_by_their_weights():
    logs = np.log(np.array([1.0, 2.0, 4.0, 1.0]))
    counts = np.bincount(systematic_draw(logs, 800, seed=4), minlength=4)
    np.testing.assert_allclose(counts, [100, 200, 400, 100], atol=1)
    assert systematic_draw(logs - 1e4, 8).tolist() == systematic_draw(logs, 8).tolist()
