import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.geometry.switching import LogisticSwitch, RationalSwitch


@pytest.mark.parametrize(("n", "m"), [(6, 12), (6, 8), (3, 10)])
def test_the_rational_switch_is_its_textbook_formula(n, m):
    x = np.array([0.2, 0.7, 0.95, 1.05, 1.5, 4.0])
    with jax.enable_x64(True):
        np.testing.assert_allclose(RationalSwitch(n, m)(x), (1 - x**n) / (1 - x**m), rtol=1e-12)


@pytest.mark.parametrize(
    "switch", [RationalSwitch(6, 12), RationalSwitch(6, 8), LogisticSwitch(12.0)], ids=str
)
def test_value_and_slope_are_continuous_at_the_radius(switch):
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(switch))
        below, at, above = 1.0 - 1e-9, 1.0, 1.0 + 1e-9
        assert float(switch(jnp.asarray(below))) == pytest.approx(float(switch(jnp.asarray(above))), abs=1e-7)
        assert float(slope(below)) == pytest.approx(float(slope(at)), rel=1e-6)
        assert float(slope(above)) == pytest.approx(float(slope(at)), rel=1e-6)


@pytest.mark.parametrize("switch", [RationalSwitch(), RationalSwitch(12, 24), LogisticSwitch()], ids=str)
def test_contacts_at_zero_and_far_away_have_finite_gradients_in_single_precision(switch):
    x = jnp.array([0.0, 1e-3, 1.0, 1e3, 1e6], jnp.float32)
    values, gradient = switch(x), jax.jit(jax.grad(lambda x: switch(x).sum()))(x)
    assert np.isfinite(gradient).all()
    assert (np.diff(values) <= 0).all()
    assert values[0] == pytest.approx(1.0, abs=1e-5)
    assert values[-1] == pytest.approx(0.0, abs=1e-5)


def test_exponents_that_do_not_fall_off_are_refused():
    with pytest.raises(ValueError, match="give 0 < n < m"):
        RationalSwitch(12, 6)
