"""Pair potentials: what is known comes back from a fit; cutoffs are smooth."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.parametric.pair_terms import (
    LennardJones,
    Morse,
    PairTerm,
    lennard_jones,
    morse,
    quintic_switch,
)
from thalweg.learned_potentials.terms.learner import Learner
from thalweg.learned_potentials.terms.term import Term
from thalweg.systems.configuration import Configuration

ELEMENTS = (9, 18)
LENNARD_JONES = lennard_jones(ELEMENTS, [0.5, 0.8, 1.2], [0.28, 0.31, 0.34], cutoff=0.8)
MORSE = morse(ELEMENTS, [40.0, 60.0, 30.0], [18.0, 20.0, 15.0], [0.3, 0.28, 0.33], cutoff=0.6)


def droplets(count: int) -> list[Configuration]:
    """Atoms of two elements, 12 of them, in unequal numbers."""
    frames = []
    for seed in range(count):
        random = np.random.default_rng(seed)
        grid = (
            0.31
            * np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)[: 12 + seed % 3]
        )
        points = grid + 0.02 * random.normal(size=grid.shape)
        frames.append(Configuration(random.choice(ELEMENTS, len(points)), points))
    return frames


def labeled(term: PairTerm, offsets: np.ndarray) -> list[Configuration]:
    """Frames with the labels of ``term`` and of atoms alone."""
    frames = droplets(6)
    labels = replace(term, offsets=offsets).evaluate(frames)
    return [replace(f, energy=e, forces=g) for f, e, g in zip(frames, labels.energies, labels.forces)]


@pytest.mark.parametrize(
    ("learner", "truth"),
    [(LennardJones(cutoff=0.8), LENNARD_JONES), (Morse(cutoff=0.6, depths=(50.0,)), MORSE)],
)
def test_a_fit_to_its_own_labels_finds_the_parameters(learner, truth):
    offsets = np.array([-3.0, 5.0])
    frames = labeled(truth, offsets)
    frames[0] = replace(frames[0], energy=None)
    frames[1] = replace(frames[1], forces=None)
    found = learner.fit(frames).term
    assert isinstance(learner, Learner)
    assert isinstance(found, Term)
    np.testing.assert_allclose(found.offsets, offsets, atol=1e-3)
    for table, expected in zip(jax.tree.leaves(found.interaction), jax.tree.leaves(truth.interaction)):
        np.testing.assert_allclose(table, expected, rtol=1e-3)


def test_frames_without_labels_are_refused():
    with pytest.raises(ValueError, match="none with an energy or forces"):
        LennardJones().fit(droplets(2))


@pytest.mark.parametrize("term", [LENNARD_JONES, MORSE])
def test_energy_and_two_derivatives_vanish_at_the_cutoff(term):
    def pair(distance):
        return term.interaction(distance, jnp.array(1))

    with jax.enable_x64(True):
        edge = jnp.array([term.cutoff - 1e-6, term.cutoff + 1e-6, 3 * term.cutoff])
        for derivative in (pair, jax.grad(pair), jax.grad(jax.grad(pair))):
            values = np.asarray(jax.vmap(derivative)(edge))
            assert abs(values[0]) < 0.1
            assert (values[1:] == 0).all()


def test_the_switch_is_one_inside_and_zero_outside():
    np.testing.assert_allclose(
        quintic_switch(jnp.array([0.1, 0.5, 0.75, 1.0, 2.0]), 0.5, 1.0), [1, 1, 0.5, 0, 0]
    )
