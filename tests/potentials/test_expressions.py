"""Formulas as text: read rightly, refused rightly, never executed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.potentials.expressions import Discrete, Expression, ExpressionError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2+3*4", 14.0),
        ("-2^2", -4.0),
        ("2^3^2", 512.0),
        ("2^-1", 0.5),
        ("8/2/2", 2.0),
        ("1.5e1 - .5E+1", 10.0),
        ("a*b; b = c + 1; c = 2*a", 21.0),
        ("step(0) + step(-1e-9)", 1.0),
        ("select(0, 1, 2) + select(a, 10, 20)", 12.0),
        ("min(3, 2)*max(3, 2) + abs(-1)", 7.0),
        ("floor(2.7) + ceil(2.2) + delta(0) + square(3) + cube(2) + recip(4)", 23.25),
        ("1/or; or = 4", 0.25),
        ("atan2(1, 1) - atan(1)", 0.0),
    ],
)
def test_formulas_have_the_value_of_algebra(text, expected):
    assert float(Expression(text)({"a": 3.0})) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    ["", "2+", "x y", "a.b", "x[0]", "__import__('os')", "lambda: 0", "2 if x else 3", "f(x)(y)", "x, y", "x == 1",
     "x; y", "x; 2 = y", "x**2", "'text'", "x := 3", "(1).real", "f(x=1)", "f(*x)"],
)  # fmt: skip
def test_whatever_is_no_algebra_is_refused(text):
    with pytest.raises(ExpressionError):
        Expression(text)


def test_an_unknown_function_is_named_with_the_known_ones():
    with pytest.raises(ExpressionError, match=r"unknown function gamma .* atan2"):
        Expression("gamma(r)")


def test_variables_are_what_must_be_given():
    assert Expression("k*d^2; d = abs(r - r0); unused = q").variables == {"k", "r", "r0", "q"}


def test_a_formula_is_differentiable():
    well = Expression("k*(r - 2)^4")
    slope = jax.grad(lambda r: well({"r": r, "k": 3.0}))(jnp.array(2.5))
    assert float(slope) == pytest.approx(12 * 0.5**3)


def test_a_table_is_looked_up_by_whole_numbers():
    table = np.arange(6.0).reshape(2, 3)
    expression = Expression("t(i, j)", {"t": Discrete(table)})
    values = expression({"i": jnp.array([0.0, 1.0]), "j": jnp.array([2.0, 0.0])})
    np.testing.assert_array_equal(values, [2.0, 3.0])
