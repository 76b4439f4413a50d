"""Terms that are sums over sites, bound to atoms and run: lists, images, replicas, strains."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.learned_potentials.parametric.pair_terms import lennard_jones
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.local import SMALL
from thalweg.potentials.energy import energy_and_forces
from thalweg.potentials.stress import energy_forces_and_virial
from thalweg.systems.configuration import Configuration
from thalweg.systems.state import thermal_state

DIAMOND = (
    0.54309
    / 4
    * np.array(
        [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]], float
    )
)


def silicon(copies: int = 1, seed: int = 0, skew: float = 0.0) -> Configuration:
    """Rattled diamond in a sheared box."""
    a = 0.54309
    shifts = a * np.stack(np.meshgrid(*[np.arange(copies)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    points = (DIAMOND + shifts).reshape(-1, 3)
    points = points + 0.01 * np.random.default_rng(seed).normal(size=points.shape)
    shear = np.eye(3) + skew * np.tril(np.ones((3, 3)), -1)
    return Configuration(np.full(len(points), 14), points @ shear, a * copies * shear, (True,) * 3)


def two_elements(atoms: int, seed: int) -> Configuration:
    """Atoms of two elements scattered without a cell, none too close."""
    random = np.random.default_rng(seed)
    grid = 0.35 * np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), -1).reshape(-1, 3)[:atoms]
    return Configuration(
        random.permutation(np.arange(atoms) % 2 * 9 + 9), grid + 0.03 * random.normal(size=grid.shape)
    )


labels, strained_labels = eqx.filter_jit(energy_and_forces), eqx.filter_jit(energy_forces_and_virial)
value = eqx.filter_jit(lambda energy, positions, box: energy(positions, box))
MIXTURE = lennard_jones((9, 18), [0.5, 0.8, 1.2], [0.28, 0.31, 0.34], cutoff=0.7)


@pytest.mark.parametrize("atoms", [SMALL // 2, SMALL + 8], ids=["every pair", "lists"])
def test_replicas_have_the_energies_and_forces_that_frames_have(atoms):
    frames = [replace(two_elements(atoms, seed), numbers=two_elements(atoms, 0).numbers) for seed in range(3)]
    expected = MIXTURE.evaluate(frames)
    with jax.enable_x64(True):
        positions = np.stack([frame.positions for frame in frames], -1)
        energy = MIXTURE.bind(frames[0].numbers).refreshed(positions)
        energies, forces = labels(energy, jnp.asarray(positions))
    np.testing.assert_allclose(energies, expected.energies, rtol=1e-10)
    np.testing.assert_allclose(forces, np.stack(expected.forces, -1), atol=1e-8)


def test_a_bound_energy_computes_in_the_precision_of_its_positions():
    frame = silicon()
    positions, box = jnp.asarray(frame.positions, jnp.float32), jnp.asarray(frame.box, jnp.float32)
    energy = stillinger_weber_silicon().bind(frame.numbers, frame.box).refreshed(positions, box)
    single, forces = labels(energy, positions, box)
    assert single.dtype == forces.dtype == jnp.float32
    np.testing.assert_allclose(
        float(single), stillinger_weber_silicon().evaluate([frame]).energies[0], rtol=1e-5
    )


def test_a_cell_smaller_than_the_cutoff_equals_its_supercell():
    small = silicon(1)
    shifts = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 1, 3) @ small.box
    large = Configuration(
        np.tile(small.numbers, 8), (small.positions + shifts).reshape(-1, 3), 2 * small.box, (True,) * 3
    )
    one, eight = (lennard_jones((14,), [1.0], [0.25], 0.8).evaluate([frame]) for frame in (small, large))
    np.testing.assert_allclose(8 * one.energies, eight.energies, rtol=1e-10)
    np.testing.assert_allclose(np.tile(one.forces[0], (8, 1)), eight.forces[0], atol=1e-7)
    np.testing.assert_allclose(one.stresses[0], eight.stresses[0], rtol=1e-8)


def test_atoms_may_stand_in_any_image_of_the_cell():
    frame, term = silicon(1, skew=0.2), stillinger_weber_silicon()
    jumps = np.random.default_rng(1).integers(-2, 3, (len(frame), 3)) @ frame.box
    moved = replace(frame, positions=frame.positions + jumps)
    here, there = term.evaluate([frame]), term.evaluate([moved])
    np.testing.assert_allclose(here.energies, there.energies, rtol=1e-10)
    np.testing.assert_allclose(here.forces[0], there.forces[0], atol=1e-7)
    with jax.enable_x64(True):
        bound = term.bind(moved.numbers, moved.box).refreshed(moved.positions, moved.box)
        np.testing.assert_allclose(value(bound, moved.positions, moved.box), here.energies[0], rtol=1e-10)


def test_stress_is_the_derivative_of_the_energy_in_a_strain_by_either_route():
    frame, term = silicon(1, skew=0.1), stillinger_weber_silicon()
    stress = term.evaluate([frame]).stresses[0]
    with jax.enable_x64(True):
        bound = term.bind(frame.numbers, frame.box).refreshed(frame.positions, frame.box)
        virial = np.asarray(strained_labels(bound, jnp.asarray(frame.positions), jnp.asarray(frame.box))[2])
    np.testing.assert_allclose(virial / frame.volume, stress, atol=1e-6 * np.abs(stress).max())
    step = 1e-5
    for a, b in ((0, 0), (2, 1)):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step
            strained = replace(frame, positions=frame.positions @ strain, box=frame.box @ strain)
            ends.append(term.evaluate([strained]).energies[0])
        slope = (ends[0] - ends[1]) / (2 * step * frame.volume)
        np.testing.assert_allclose(slope, stress[a, b], rtol=1e-5, atol=1e-6 * np.abs(stress).max())


def test_a_list_serves_until_an_atom_has_moved_and_its_renewal_keeps_the_energy():
    frame = silicon(2)
    with jax.enable_x64(True):
        energy = (
            stillinger_weber_silicon().bind(frame.numbers, frame.box).refreshed(frame.positions, frame.box)
        )
        near = frame.positions.copy()
        near[3, 0] += 0.03
        assert not energy.stale(near, frame.box)
        assert energy.refreshed(near, frame.box) is energy
        far = frame.positions.copy()
        far[3, 0] += 0.045
        assert energy.stale(far, frame.box)
        assert energy.stale(near, 1.01 * frame.box)
        before = value(energy, far, frame.box)
        after = value(energy.refreshed(far, frame.box), far, frame.box)
    np.testing.assert_allclose(before, after, rtol=1e-12)


def test_a_crystal_with_lists_keeps_its_energy_at_constant_energy():
    frame, term = silicon(2), stillinger_weber_silicon()
    masses, steps = np.full(len(frame), 28.085), 400
    engine = NativeEngine.for_potential(term.bind(frame.numbers, frame.box), masses, VelocityVerlet(dt=0.001))
    start = thermal_state(
        jnp.asarray(frame.positions[:, :, None], jnp.float32),
        masses,
        8.0,
        jax.random.key(0),
        jnp.asarray(frame.box, jnp.float32),
    )
    kinetic = 0.5 * float((np.asarray(start.momenta) ** 2).sum() / 28.085)
    first = term.evaluate([frame]).energies[0] + kinetic
    run = engine.run(start, steps, save_every=steps)
    kinetic = 0.5 * float((np.asarray(run.state.momenta) ** 2).sum() / 28.085)
    assert (
        np.abs(np.asarray(run.state.positions)[..., 0] - frame.positions).max() > 0.05
    )  # lists were renewed
    assert abs(run.energy[0, -1] + kinetic - first) < 0.02 * kinetic / 10


def test_a_periodic_energy_without_a_box_says_what_it_needs():
    frame = silicon()
    energy = stillinger_weber_silicon().bind(frame.numbers, frame.box)
    with pytest.raises(ValueError, match="call refreshed"):
        energy(jnp.asarray(frame.positions))
    with pytest.raises(ValueError, match="needs a cell with a volume"):
        energy.refreshed(jnp.asarray(frame.positions))


@pytest.mark.parametrize("copies", [2, 4])
@pytest.mark.parametrize("cutoff", [0.4, 0.5, 0.6])
def test_a_crystal_that_melts_keeps_the_shape_of_its_neighbor_lists(copies, cutoff):
    """Programs are compiled for one shape: more neighbors than there were at first must find room."""
    crystal, random = silicon(copies), np.random.default_rng(0)
    energy = lennard_jones((14,), [1.0], [0.2], cutoff).bind(crystal.numbers, crystal.box)
    shapes = set()
    for size in np.linspace(0, 0.05, 7):  # at the end a fifth of the bond: a hot liquid
        places = crystal.positions + size * random.normal(size=crystal.positions.shape)
        energy = energy.refreshed(places[..., None], crystal.box)
        shapes.add(energy.near.partners.shape)
    assert len(shapes) == 1


def test_lists_that_overflow_grow_with_room():
    """A gas that condenses: few shapes on the way from one neighbor to many."""
    random, shapes = np.random.default_rng(1), []
    energy = lennard_jones((18,), [1.0], [0.3], 0.6).bind(np.full(60, 18))
    for edge in np.geomspace(6.0, 1.2, 40):
        energy = energy.refreshed(edge * random.random((60, 3))[..., None])
        if not shapes or shapes[-1] != len(energy.near.partners):
            shapes.append(len(energy.near.partners))
    assert shapes[-1] >= 4 * shapes[0]
    assert len(shapes) <= 9
