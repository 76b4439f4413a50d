"""Scales of distances and the radial functions on them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.representations.radial import Agnesi, ChebyshevBasis, Exponential

CUTOFF = 0.5


@pytest.mark.parametrize("scale", [Exponential(), Agnesi(), Agnesi(0.5, 4)])
def test_the_first_two_functions_tell_the_scale_which_falls_from_one_to_minus_one(scale):
    distances = jnp.linspace(0.0, 0.999 * CUTOFF, 200)
    decay, first = ChebyshevBasis(2, CUTOFF, scale)(distances)
    y = np.asarray(first / decay)
    assert y[0] == pytest.approx(1, abs=1e-6)
    assert y[-1] == pytest.approx(-1, abs=0.02)
    assert (np.diff(y) < 1e-6).all()


def test_a_scale_about_a_distance_is_finest_near_it_and_flat_at_contact():
    slope = jax.vmap(jax.grad(Agnesi(0.6, 5)))(jnp.linspace(0.0, 1.0, 101))
    assert abs(float(slope[0])) < 1e-6
    assert 0.45 < float(jnp.argmin(slope)) / 100 < 0.6


@pytest.mark.parametrize("scale", [Exponential(), Agnesi()])
def test_functions_leave_with_two_continuous_derivatives(scale):
    def function(r):
        return ChebyshevBasis(5, CUTOFF, scale)(r)

    with jax.enable_x64(True):
        end = jnp.asarray(CUTOFF * (1 - 1e-6))
        for derivative in (function, jax.jacfwd(function), jax.jacfwd(jax.jacfwd(function))):
            assert float(jnp.abs(derivative(end)).max()) < 0.1
