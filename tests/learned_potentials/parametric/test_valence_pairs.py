from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.gradient_domain.gradient_domain import GradientDomain
from thalweg.learned_potentials.parametric.valence_pairs import ValencePairs, pair_orbits
from thalweg.learning.storage import load_tree, save_tree
from thalweg.representations.molecules.molecular_symmetry import molecular_symmetry


@pytest.fixture
def frames(molecules):
    """Rattled molecules in which one carbon is bonded to two others, which are alike, and to an oxygen."""
    return molecules(12, 0.005, numbers=(6, 6, 6, 8))


def fitted(frames):
    return ValencePairs().fit(frames, np.arange(len(frames[0]))[None])


def test_pairs_that_permutations_exchange_are_alike(frames):
    assert pair_orbits(np.array([[0, 1, 2], [0, 2, 1]])).tolist() == [0, 0, 1]
    group = molecular_symmetry(frames)
    term = ValencePairs().fit(frames, group)
    swapped = [replace(frame, positions=frame.positions[group[-1]]) for frame in frames]
    np.testing.assert_allclose(term.evaluate(frames).energies, term.evaluate(swapped).energies, rtol=1e-6)


def test_most_of_the_forces_of_bonds_are_explained(frames):
    forces = np.array([frame.forces for frame in frames])
    left = forces - np.array(fitted(frames).evaluate(frames).forces)
    assert np.abs(left).mean() < 0.7 * np.abs(forces).mean()


def test_stretched_bonds_are_pulled_back_and_atoms_that_meet_repel_each_other(frames):
    energy = fitted(frames).bind(frames[0].numbers)
    start = np.asarray(frames[0].positions, float)

    def along(pair, factor):
        moved = start.copy()
        moved[pair[1]] = start[pair[0]] + factor * (start[pair[1]] - start[pair[0]])
        return float(energy(jnp.asarray(moved)))

    assert along((0, 1), 1.5) > along((0, 1), 1.2) > along((0, 1), 1.0)
    assert along((0, 1), 0.6) > along((0, 1), 0.8) > along((0, 1), 1.0)
    assert along((1, 2), 0.4) > along((1, 2), 0.6) > along((1, 2), 1.0)


def test_far_from_all_frames_a_kernel_falls_back_to_its_mean(frames):
    settings = {"reaches": (np.inf,), "relatives": (1.0,), "widths": (0.1,), "noises": (1e-6,)}
    term = GradientDomain(**settings, mean=ValencePairs()).fit(frames).term
    rng = np.random.default_rng(0)
    far = [replace(frames[0], positions=1.5 * frames[0].positions + 0.01 * rng.normal(size=(4, 3)))]
    fallen_back = term.mean.evaluate(far).forces[0]
    np.testing.assert_allclose(
        term.evaluate(far).forces[0], fallen_back, atol=0.05 * np.abs(fallen_back).max()
    )


def test_a_kernel_with_a_mean_is_the_same_after_saving_and_loading(frames, tmp_path):
    settings = {"reaches": (0.1,), "relatives": (1.0,), "widths": (1.0,), "noises": (1e-6,)}
    term = GradientDomain(**settings, mean=ValencePairs()).fit(frames).term
    back = load_tree(save_tree(tmp_path / "term", term))
    assert back.evaluate(frames).energies.tolist() == term.evaluate(frames).energies.tolist()
    assert back.spread(frames[:1]).energies.tolist() == term.spread(frames[:1]).energies.tolist()


def test_frames_without_forces_are_refused(frames):
    with pytest.raises(ValueError, match="none of the frames has forces"):
        fitted([replace(frame, forces=None) for frame in frames])
