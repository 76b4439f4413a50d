"""What a kernel says far from its frames stays within bounds, and what it says of its frames stays as it is."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.gradient_domain.gradient_domain import GradientDomain
from thalweg.learned_potentials.gradient_domain.mean_energy import KernelBound
from thalweg.learned_potentials.recipes.molecular import sgdml
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential

LEARNED = np.array([990.0, 1012.0, 1001.0, 930.0])
MEAN = np.array([-500.0, -490.0, -480.0, -250.0])
BOUND = KernelBound.of(0.5, LEARNED, MEAN)
FIXED = GradientDomain(reaches=(0.2,), relatives=(1.0,), widths=(1.0,), noises=(1e-8,))


def test_energies_of_training_frames_stay_as_they_are():
    np.testing.assert_allclose(BOUND(LEARNED, MEAN), LEARNED + MEAN, rtol=1e-6)


@pytest.mark.parametrize("learned", [-1e5, -2e3, 2e3, 1e5])
def test_a_kernel_takes_back_or_adds_no_more_than_its_share_of_what_the_mean_has_risen_by(learned):
    rise = np.array([0.0, 100.0, 1000.0, 1e4])
    with jax.enable_x64(True):
        moved = np.asarray(BOUND(np.full(4, learned), BOUND.floor + rise)) - BOUND.floor - BOUND.center - rise
    assert (np.abs(moved) <= 0.5 * (rise + 1.5 * BOUND.slack) * (1 + 1e-9)).all()
    assert (moved + rise >= -0.75 * BOUND.slack).all()
    # and where the mean has risen by more than the slack nothing is below the minimum
    assert (moved + rise)[rise > BOUND.slack].min() > 0


def test_two_derivatives_are_continuous_where_the_bound_begins():
    with jax.enable_x64(True):
        mean = jnp.asarray(BOUND.floor + 200.0)
        room = float((BOUND(jnp.asarray(1e9), mean) - mean - BOUND.center) / BOUND.share)
        begins = BOUND.center + BOUND.share / 2 * room
        slopes = jax.vmap(jax.grad(BOUND), (0, None))(begins + np.array([-1e-4, 1e-4]), mean)
        curves = jax.vmap(jax.grad(jax.grad(BOUND)), (0, None))(begins + np.array([-1e-4, 1e-4]), mean)
    np.testing.assert_allclose(slopes, 1, atol=1e-6)
    np.testing.assert_allclose(curves, 0, atol=1e-6)


@pytest.mark.long
def test_forces_are_minus_the_gradient_where_the_bound_holds_a_kernel_back_and_engines_have_the_same(chain):
    term = FIXED.fit(chain.labeled(10)).term
    frame = chain.labeled(1, seed=2)[0]
    far = replace(frame, positions=frame.positions + 0.06 * np.random.default_rng(0).normal(size=(4, 3)))
    # so little room that the kernel is held back
    term = replace(term, bound=replace(term.bound, share=0.02, slack=1.0))
    free = replace(term, bound=None)
    assert abs(term.evaluate([far]).energies[0] - free.evaluate([far]).energies[0]) > 1.0
    shift = np.zeros((4, 3))
    shift[1, 2] = 1e-6
    up, down = term.evaluate(
        [replace(far, positions=far.positions + sign * shift) for sign in (1, -1)]
    ).energies
    assert term.evaluate([far]).forces[0][1, 2] == pytest.approx(-(up - down) / 2e-6, rel=1e-4)
    with jax.enable_x64(True):
        energy = LearnedPotential(dict.fromkeys(map(int, frame.numbers), 0.0), (term,)).bind(frame.numbers)
        value, gradient = jax.value_and_grad(energy)(jnp.asarray(far.positions))
    assert float(value) == pytest.approx(term.evaluate([far]).energies[0])
    np.testing.assert_allclose(-gradient, term.evaluate([far]).forces[0], rtol=1e-6, atol=1e-6)


def test_what_was_published_without_bounds_has_none(chain):
    assert sgdml(widths=(10.0,)).learner.fit(chain.labeled(5)).term.bound is None
