"""Formulas found for variables: planted ones, committors, and how they are written, read and differentiated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.interpretation.formula import Factor, Formula, identifiers
from thalweg.collective_variables.interpretation.formula_search import kinds_of
from thalweg.collective_variables.interpretation.formula_text import evaluated
from thalweg.collective_variables.interpretation.symbolic_regression import SymbolicRegression
from thalweg.potentials.expressions import Expression
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import DoubleWell
from thalweg.time_series.trajectories import Trajectories

NAMES = ("phi ALA2", "psi ALA2", "d", "s")
PERIODS = (2 * np.pi, 2 * np.pi, None, None)


@pytest.fixture(scope="module")
def features():
    random = np.random.default_rng(0)
    angles = random.uniform(-np.pi, np.pi, (4000, 2))
    x = np.concatenate([angles, random.uniform(0.3, 2, (4000, 1)), random.standard_normal((4000, 1))], axis=1)
    return Trajectories([x[:1500], x[1500:]], names=NAMES)


def expit(x):
    return 1 / (1 + np.exp(-x))


PLANTED = {
    "0.4+0.8*sin(phi_ALA2)*cos(psi_ALA2)": lambda x: 0.4 + 0.8 * np.sin(x[:, :1]) * np.cos(x[:, 1:2]),
    "0.2*s+0.3*exp(-1.7*d)": lambda x: 0.3 * np.exp(-1.7 * x[:, 2:3]) + 0.2 * x[:, 3:],
    "0.5/d-0.3*s^2": lambda x: 0.5 / x[:, 2:3] - 0.3 * x[:, 3:] ** 2,
    "1/(1+exp(0.5-3*s-cos(phi_ALA2)))": lambda x: expit(3 * x[:, 3:] + np.cos(x[:, :1]) - 0.5),
    "2/(1+exp(4*(0.4-s)))": lambda x: 2 * expit(4 * (x[:, 3:] - 0.4)),
}


@pytest.mark.parametrize("text", PLANTED)
def test_a_planted_formula_is_recovered_from_noisy_values(text, features):
    random, exact = np.random.default_rng(1), PLANTED[text]
    clean = [exact(block) for block in features.blocks]
    noise = 0.05 * np.concatenate(clean).std()
    noisy = [values + noise * random.standard_normal(values.shape) for values in clean]
    front = SymbolicRegression(complexity=14).fit(features, noisy, PERIODS)
    best = front.best
    k = front.formulas.index(best)
    assert {name for name in best.variables if name in text} == set(best.variables)
    assert abs(front.errors[k] - noise**2) < 3 * front.standard_errors[k]
    found = best(features.blocks[1])
    assert np.abs(found - clean[1]).std() < 0.2 * noise
    read = evaluated(text, dict(zip(identifiers(NAMES), features.blocks[1].T)))
    np.testing.assert_allclose(read, clean[1][:, 0], rtol=1e-12)


def test_the_committor_of_a_double_well_is_a_logistic_function_of_its_coordinate():
    generator = Generator(DoubleWell(barrier=5.0), ((-2.0, 2.0),), 400)
    committor = generator.committor(lambda x: x[0] < -0.9, lambda x: x[0] > 0.9)
    random = np.random.default_rng(2)
    x = np.concatenate([random.uniform(-0.9, 0.9, (3000, 1)), random.standard_normal((3000, 2))], axis=1)
    exact = generator.interpolated(committor, x[:, :1])[:, None]
    front = SymbolicRegression(complexity=11).fit(Trajectories([x], names=["x", "y", "z"]), [exact])
    good = front.within(1e-3)
    assert good.link in ("logistic", "probit")
    assert good.complexity == 7
    assert set(good.variables) == {"x"}
    assert abs(good(np.zeros((1, 3)))[0, 0] - 0.5) < 0.01
    assert np.sqrt(front.errors[front.formulas.index(front.best)]) < 1e-3
    assert "*  " in str(front).splitlines()[-1]
    with pytest.raises(ValueError, match="allow more complexity"):
        front.within(0.0)


def test_noise_alone_is_a_constant_and_the_front_does_not_pretend_otherwise(features):
    noise = [np.random.default_rng(3).standard_normal((len(block), 1)) for block in features.blocks]
    front = SymbolicRegression(complexity=10).fit(features, noise, PERIODS)
    assert front.best.complexity == 1
    assert (np.diff(front.training) < 0).all(), "in training more symbols always help"


def test_weights_count_as_repetition_does(features):
    x = features.blocks[1]
    y = 1.0 + 0.5 * x[:, 3:] + 0.1 * np.random.default_rng(4).standard_normal((len(x), 1))
    count = np.tile([1, 2, 1, 3], -(-len(x) // 4))[: len(x)]
    weighted = Trajectories([x], weights=[count.astype(float)])
    search = SymbolicRegression(complexity=4, links=("identity",), most=20000)
    formula = search.fit(weighted, [y], PERIODS).formulas[-1]
    blocks = np.minimum(np.arange(len(x)) * 20 // len(x), 19)
    aside = np.isin(blocks, np.random.default_rng(0).permutation(20)[:6])
    repeated = np.repeat(np.arange(len(x))[~aside], count[~aside])
    slope, constant = np.polyfit(x[repeated, 3], y[repeated, 0], 1)
    np.testing.assert_allclose([formula.constant, formula.terms[0][0]], [constant, slope], rtol=1e-6)


EVERYTHING = Formula(
    "logistic",
    -0.25,
    (
        (1.5, (Factor("sine", 0), Factor("cosine of twice", 1))),
        (-0.7, (Factor("step", 3, (-2.0, -0.3)), Factor("inverse", 2))),
        (0.3, (Factor("bump", 3, (1.1, 0.2)),)),
        (-0.2, (Factor("cube", 3), Factor("root", 2))),
        (0.1, (Factor("exponential", 2, (-1.3,)), Factor("logarithm", 2))),
    ),
    NAMES,
)


@pytest.mark.parametrize("link", ["identity", "logistic", "probit"])
def test_a_formula_its_text_and_other_readers_of_it_agree(link, features):
    formula = Formula(link, EVERYTHING.constant, EVERYTHING.terms, NAMES)
    x = features.blocks[0][:50]
    values = dict(zip(identifiers(NAMES), x.T))
    assert set(formula.variables) == set(values)
    np.testing.assert_allclose(evaluated(formula.text, values), formula(x)[:, 0], rtol=1e-12)
    with jax.enable_x64(True):
        elsewhere = Expression(formula.text)({name: jnp.asarray(column) for name, column in values.items()})
        np.testing.assert_allclose(elsewhere, formula(x)[:, 0], rtol=1e-10)
        np.testing.assert_allclose(formula(jnp.asarray(x)), formula(x), rtol=1e-10)
        in_jax = evaluated(formula.text, {name: jnp.asarray(column) for name, column in values.items()})
        np.testing.assert_allclose(in_jax, formula(x)[:, 0], rtol=1e-10)


def test_a_formula_has_gradients(features):
    x = features.blocks[0][:5]
    with jax.enable_x64(True):
        gradient = np.asarray(jax.jit(jax.grad(lambda at: EVERYTHING(at).sum()))(jnp.asarray(x)))
    for k in range(4):
        step = 1e-6 * np.eye(4)[k]
        numeric = (EVERYTHING(x + step) - EVERYTHING(x - step))[:, 0] / 2e-6
        np.testing.assert_allclose(gradient[:, k], numeric, rtol=1e-6, atol=1e-9)
    everywhere = EVERYTHING.transform(features)
    assert everywhere.lengths.tolist() == features.lengths.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "x.real", "[x]", "x if x else 1", "lambda: x", "x(1)", "exp(x, x)", "1 +", "x == 1",
        "open(x)", "'a'", "x; x", "x ** x", "exp", "y", "",
    ],
)  # fmt: skip
def test_text_that_is_no_formula_is_refused(text):
    with pytest.raises(ValueError, match=r"cannot read|no function|no value"):
        evaluated(text, {"x": 1.0})


def test_functions_are_used_only_where_they_are_safe():
    x = np.stack([np.linspace(-1, 1, 50), np.linspace(1, 2, 50), np.linspace(-3, 3, 50), np.ones(50)], axis=1)
    signs, positive, angle, constant = kinds_of(x, (None, None, 2 * np.pi, None))
    assert not {"inverse", "root", "logarithm"} & set(signs)
    assert {"inverse", "root", "logarithm"} <= set(positive)
    assert set(angle) == {"sine", "cosine", "sine of twice", "cosine of twice"}
    assert constant == ()


def test_what_a_search_cannot_do_is_refused(features):
    search = SymbolicRegression(complexity=4)
    with pytest.raises(ValueError, match="one coordinate"):
        search.fit(features, lambda x: x[:, :2])
    with pytest.raises(ValueError, match="period 2 pi"):
        search.fit(features, lambda x: x[:, 3:], (360.0, None, None, None))
    with pytest.raises(ValueError, match="give one each"):
        search.fit(features, lambda x: x[:, 3:], (None,))
    with pytest.raises(ValueError, match="too few"):
        search.fit(np.ones((3, 1)), lambda x: x)
    with pytest.raises(ValueError, match="allow the identity"):
        SymbolicRegression(links=("logistic",)).fit(features, lambda x: 5 * x[:, 3:])
    with pytest.raises(ValueError, match="must be positive"):
        SymbolicRegression(width=0)
