import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import sph_harm_y

from thalweg.dynamics.engine import Variable
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.switching import LogisticSwitch, RationalSwitch
from thalweg.representations.steinhardt import AveragedOrder, GlobalOrder, LocalOrder

SHARP = LogisticSwitch(300.0)
CUBIC = {
    "fcc": (np.sqrt(2), [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], (3, 3, 3)),
    "bcc": (1.0, [[0, 0, 0], [1, 1, 1]], (3, 3, 6)),
    "sc": (1.0, [[0, 0, 0]], (3, 6, 6)),
}
CELLS = {
    **{name: (a * np.eye(3), np.array(basis) / 2, copies) for name, (a, basis, copies) in CUBIC.items()},
    "hcp": (
        np.diag([1.0, np.sqrt(3), np.sqrt(8 / 3)]),
        np.array([[0, 0, 0], [1 / 2, 1 / 2, 0], [1 / 2, 5 / 6, 1 / 2], [0, 1 / 3, 1 / 2]]),
        (3, 3, 3),
    ),
}
RADIUS = 1.2
"""Between the first shell, for bcc the second, and the next of all these crystals of 108 atoms [nm]."""

KNOWN = {
    "fcc": {4: 0.19094, 6: 0.57452},
    "hcp": {4: 0.09722, 6: 0.48476},
    "bcc": {4: 0.03637, 6: 0.51069},
    "sc": {4: 0.76376, 6: 0.35355},
}


def crystal(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions of 108 atoms and their box."""
    cell, basis, copies = CELLS[name]
    corners = np.stack(np.meshgrid(*map(np.arange, copies), indexing="ij"), -1).reshape(-1, 1, 3)
    return ((corners + basis).reshape(-1, 3) @ cell).astype(np.float32), np.array(copies)[:, None] * cell


def by_scipy(x: np.ndarray, degree: int, radius: float, switch) -> tuple[np.ndarray, np.ndarray]:
    """Complex moments and sums of weights of every atom, no box."""
    arrows = x[None] - x[:, None]
    lengths = np.linalg.norm(arrows, axis=2)
    weights = np.array(switch(lengths / radius))
    np.fill_diagonal(weights, 0.0)
    polar = np.arccos(arrows[..., 2] / np.where(lengths > 0, lengths, 1.0))
    azimuth = np.arctan2(arrows[..., 1], arrows[..., 0])
    harmonics = [sph_harm_y(degree, m, polar, azimuth) for m in range(-degree, degree + 1)]
    return np.einsum("ij,mij->im", weights, harmonics), weights


def invariant(moments: np.ndarray) -> np.ndarray:
    degree = moments.shape[-1] // 2
    return np.sqrt(4 * np.pi / (2 * degree + 1) * (np.abs(moments) ** 2).sum(-1))


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("degree", [4, 6])
def test_perfect_crystals_have_their_known_order(name, degree):
    x, box = crystal(name)
    found = evaluate(LocalOrder(range(108), degree, RADIUS, SHARP), x[None], box)
    np.testing.assert_allclose(found, KNOWN[name][degree], atol=2e-5)


@pytest.mark.parametrize("kind", [AveragedOrder, GlobalOrder])
def test_order_averaged_or_of_the_whole_crystal_is_that_of_each_atom(kind):
    x, box = crystal("sc")
    found = evaluate(kind(range(108), 4, RADIUS, SHARP), x[None], box)
    np.testing.assert_allclose(found, KNOWN["sc"][4], atol=2e-5)


def test_an_icosahedron_has_its_known_order():
    golden = (1 + np.sqrt(5)) / 2
    corners = [np.roll([0, a, b * golden], shift) for shift in range(3) for a in (-1, 1) for b in (-1, 1)]
    x = np.array([[0.0, 0, 0], *corners])
    first = evaluate(LocalOrder(range(13), 6, 2.0 * np.hypot(1, golden), SHARP), x[None])[0, 0]
    assert first == pytest.approx(0.66332, abs=1e-5)


def test_values_are_those_of_complex_harmonics():
    degree = 4
    x, switch = np.random.default_rng(0).uniform(0, 1, (12, 3)), RationalSwitch(6, 12)
    with jax.enable_x64(True):
        moments, weights = by_scipy(x, degree, 0.4, switch)
        local = moments / weights.sum(1, keepdims=True)
        averaged = (local + weights @ local) / (1 + weights.sum(1, keepdims=True))
        expected = {
            LocalOrder: invariant(local),
            AveragedOrder: invariant(averaged),
            GlobalOrder: invariant(moments.sum(0) / weights.sum())[None],
        }
        kinds = [kind(range(12), degree, 0.4, switch) for kind in expected]
        ours = jax.jit(lambda x: [kind(x) for kind in kinds])(x)
        for found, values in zip(ours, expected.values()):
            np.testing.assert_allclose(found, values, atol=1e-10)


def test_gradients_are_those_of_finite_differences():
    random, step = np.random.default_rng(1), 1e-6
    x, direction = random.uniform(0, 1.5, (10, 3)), random.normal(size=(10, 3))
    variables = [kind(range(10), 2, 0.5) for kind in (LocalOrder, AveragedOrder, GlobalOrder)]
    with jax.enable_x64(True):
        values = jax.jit(lambda x: jnp.stack([variable(x, 1.5 * np.eye(3)).sum() for variable in variables]))
        slope = (values(x + step * direction) - values(x - step * direction)) / (2 * step)
        gradient = np.asarray(jax.jit(jax.jacrev(values))(x))
        np.testing.assert_allclose(np.tensordot(gradient, direction, 2), slope, rtol=1e-5)


def test_lone_atoms_have_no_order_and_finite_gradients():
    x = np.array([[0.0, 0, 0], [9.0, 0, 0], [9.0, 9.0, 0]], np.float32)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: LocalOrder(range(3), 2, 0.3)(x).sum()))(x)
    assert value == 0
    assert np.isfinite(gradient).all()


def test_columns_name_their_atoms_and_replicas_do_not_see_each_other():
    x = np.random.default_rng(2).uniform(0, 1, (8, 3, 2, 2)).astype(np.float32)
    order = LocalOrder([1, 2, 5, 7], 2, 0.5)
    assert isinstance(order, Variable)
    assert order.names == ("q2 1", "q2 2", "q2 5", "q2 7")
    assert order.atoms[0] == (1, 2, 5, 7)
    values = eqx.filter_jit(order)(x)
    np.testing.assert_allclose(values[:, 1, 0], eqx.filter_jit(order)(x[:, :, 1, 0]), atol=1e-6)


def test_order_of_one_atom_or_of_degree_zero_is_refused():
    with pytest.raises(ValueError, match="at least two atoms, got 1"):
        LocalOrder([3], 6, 0.5)
    with pytest.raises(ValueError, match="degree=0"):
        GlobalOrder([3, 4], 0, 0.5)
