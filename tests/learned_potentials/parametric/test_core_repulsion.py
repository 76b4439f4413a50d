"""Repulsion of nuclei: the published numbers, nothing where there are data, everything below."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.parametric.core_repulsion import (
    CoreRepulsion,
    core_repulsion,
    screened_nuclei,
)
from thalweg.learned_potentials.parametric.pair_terms import LennardJones, lennard_jones
from thalweg.learned_potentials.recipe import Recipe
from thalweg.systems.configuration import Configuration

METHANE = 0.109 / np.sqrt(3) * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)


def methanes(count: int) -> list[Configuration]:
    random = np.random.default_rng(0)
    return [
        Configuration(np.array([6, 1, 1, 1, 1]), METHANE + 0.004 * random.normal(size=(5, 3)))
        for _ in range(count)
    ]


def pair(first: int, second: int, distance: float) -> Configuration:
    return Configuration(np.array([first, second]), np.array([[0, 0, 0], [0, 0, distance]]))


def test_copper_at_half_an_angstrom_has_the_energy_of_the_universal_curve():
    # by hand: a = 0.08854 nm * 0.529177 / (2 * 29^0.23), phi(x) from the four exponentials, 14.3996 eV Å
    length = 0.88534 * 0.529177 / (2 * 29**0.23)
    x = 0.5 / length
    phi = sum(
        c * np.exp(-d * x) for c, d in ((0.1818, 3.2), (0.5099, 0.9423), (0.2802, 0.4029), (0.02817, 0.2016))
    )
    expected = 14.39964 * 29 * 29 / 0.5 * phi * 96.4853
    energy = screened_nuclei((29,), [0.15]).evaluate([pair(29, 29, 0.05)]).energies[0]
    assert abs(energy / expected - 1) < 2e-4


def test_training_frames_feel_nothing_and_closer_atoms_are_pushed_apart():
    frames = methanes(20)
    term = core_repulsion(frames)
    labels = term.evaluate(frames)
    assert (labels.energies == 0).all()
    assert all((forces == 0).all() for forces in labels.forces)
    closer = term.evaluate([pair(6, 1, r) for r in (0.08, 0.065, 0.05, 0.03)])
    assert (np.diff(closer.energies) > 0).all()
    assert all(forces[1, 2] > 0 for forces in closer.forces)
    assert closer.energies[1] > 50


def test_elements_that_never_meet_repel_below_a_fraction_of_their_radii():
    term = core_repulsion(methanes(5))
    assert term.evaluate([pair(6, 6, 0.06)]).energies[0] > 1000
    assert term.evaluate([pair(6, 6, 0.152)]).energies[0] == 0


def test_two_derivatives_are_continuous_where_the_repulsion_ends_and_where_its_end_begins():
    term = screened_nuclei((14,), [0.2], inner=0.5)

    def energy(distance):
        return term.interaction(distance, jnp.array(0))

    with jax.enable_x64(True):
        for place in (0.1, 0.2):
            for derivative in (energy, jax.grad(energy), jax.grad(jax.grad(energy))):
                below, above = derivative(jnp.array(place - 1e-9)), derivative(jnp.array(place + 1e-9))
                assert abs(below - above) < 1e-6 * abs(derivative(jnp.array(0.1))) + 0.01


def test_a_recipe_has_it_unless_told_otherwise():
    frames = methanes(6)
    truth = lennard_jones((1, 6), [1.0, 2.0, 3.0], [0.15, 0.1, 0.2], 0.5).evaluate(frames)
    frames = [replace(f, energy=e, forces=g) for f, e, g in zip(frames, truth.energies, truth.forces)]
    learner = LennardJones(cutoff=0.5)
    with_core, without = Recipe(learner).fit(frames), Recipe(learner, core_repulsion=None).fit(frames)
    assert len(with_core.terms) == len(without.terms) + 1
    np.testing.assert_allclose(
        with_core.evaluate(frames).energies, without.evaluate(frames).energies, rtol=1e-12
    )


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="positive distances"):
        screened_nuclei((14,), [0.0])
    with pytest.raises(ValueError, match="fraction"):
        CoreRepulsion(inner=1.0).for_frames(methanes(1))
