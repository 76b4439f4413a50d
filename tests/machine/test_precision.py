"""Energies, dynamics and training ask for all 32 bits of matrix products, and have programs for graphics processors."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.loop import advance, begun
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.geometry.evaluation import evaluate
from thalweg.learned_potentials.long_range.point_charges import point_charges
from thalweg.learning.trainer import Trainer
from thalweg.potentials.energy import Energy, energy_and_forces
from thalweg.potentials.stress import energy_forces_and_virial
from thalweg.systems.state import State, thermal_state

MIXING = np.array([[1.0, 0.3], [0.1, 2.0]], np.float32)


class Mixed(Energy):
    """``|M x|^2 / 2`` of each particle: a product of matrices."""

    def __call__(self, positions, box=None):
        return 0.5 * (jnp.einsum("ab,nb...->na...", MIXING, positions) ** 2).sum((0, 1))


@dataclass(frozen=True)
class Variable:
    """An energy as a variable of positions."""

    energy: Energy
    names: tuple[str, ...] = ("energy",)

    def __call__(self, positions, box=None):
        return self.energy(positions)[None]


def start() -> State:
    return thermal_state(jnp.ones((3, 2, 1)), np.ones(3), 1.0, jax.random.key(0))


def moved(energy):
    engine = NativeEngine.for_potential(energy, np.ones(3), Langevin(kT=1.0, dt=0.01))
    return engine.run(start(), 2, save_every=1)


def trained(energy):
    line = eqx.nn.Linear(2, 1, key=jax.random.key(0))
    return Trainer(epochs=1).fit(
        line, lambda model, x: energy(x) + (jax.vmap(model)(x) ** 2).sum(), [jnp.ones((3, 2))]
    )


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda energy: energy_and_forces(energy, jnp.ones((3, 2))), id="forces"),
        pytest.param(
            lambda energy: energy_forces_and_virial(energy, jnp.ones((3, 3)), jnp.eye(3)), id="stress"
        ),
        pytest.param(lambda energy: (energy + energy)(jnp.ones((3, 2))), id="sum"),
        pytest.param(moved, id="dynamics"),
        pytest.param(trained, id="training"),
        pytest.param(lambda energy: evaluate(Variable(energy), np.ones((2, 3, 2))), id="variables"),
    ],
)
def test_products_of_matrices_keep_all_bits_of_their_factors(work):
    seen = []

    class Watched(Energy):
        def __call__(self, positions, box=None):
            seen.append(jax.config.jax_default_matmul_precision)
            return (jnp.asarray(positions) ** 2).sum((0, 1))

    work(Watched())
    assert set(seen) == {"highest"}
    assert jax.config.jax_default_matmul_precision is None


def test_the_slope_of_a_product_keeps_all_bits_too():
    program = jax.make_jaxpr(lambda x: energy_and_forces(Mixed(), x))(jnp.ones((3, 2)))
    products = [each for each in program.eqns if each.primitive.name == "dot_general"]
    assert len(products) == 2
    assert {each.params["precision"] for each in products} == {(jax.lax.Precision.HIGHEST,) * 2}


def test_dynamics_has_a_program_for_graphics_processors():
    engine = NativeEngine.for_potential(Mixed(), np.ones(3), Langevin(kT=1.0, dt=0.01))
    laws = engine._laws(start(), None)
    run = begun(laws, start(), None, jnp.int32(1))
    arrays, rest = eqx.partition((laws, run), eqx.is_array)

    def steps(arrays):
        laws, run = eqx.combine(arrays, rest)
        return jax.tree.leaves(advance(laws, run, 2, jnp.int32(2), jnp.int32(1)))

    assert has_program_for_cuda(steps, arrays)


def test_charges_have_a_program_for_graphics_processors():
    ions, box = np.array([[0.0, 0, 0], [0.28, 0, 0]], np.float32), np.eye(3, dtype=np.float32)
    energy = point_charges({11: 1.0, 17: -1.0}).bind(np.array([11, 17]), box).refreshed(ions, box)
    assert has_program_for_cuda(lambda x: energy_and_forces(energy, x, box), jnp.asarray(ions))


def has_program_for_cuda(function, *arguments) -> bool:
    """Whether all of a function is known to the compiler of graphics processors; without one it can't be run."""
    return "cuda" in jax.export.export(jax.jit(function), platforms=["cuda"])(*arguments).platforms
