"""Networks and messages learn energies, forces and stresses that another potential made up."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.frames.frame_batches import FrameBatches, squared_error
from thalweg.learned_potentials.networks.element_networks import Network, standardizing_axes
from thalweg.learned_potentials.networks.gradient_training import GradientTraining
from thalweg.learned_potentials.networks.message_passing import MessagePassing
from thalweg.learned_potentials.parametric.pair_terms import lennard_jones
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learner import Learner
from thalweg.learned_potentials.terms.term import Uncertain, Weights
from thalweg.learned_potentials.uncertainty.committee import Committee
from thalweg.learning.optimizers import LBFGS, Adam
from thalweg.learning.storage import load_tree, save_tree
from thalweg.learning.trainer import Trainer
from thalweg.potentials.energy import energy_and_forces
from thalweg.representations.messages.schnet import SchNet
from thalweg.representations.symmetry_functions import SymmetryFunctions
from thalweg.systems.configuration import Configuration

TRUTH = lennard_jones((9, 18), [0.5, 0.8, 1.2], [0.22, 0.24, 0.26], cutoff=0.5)
WRONG = lennard_jones((9, 18), [0.6, 0.7, 1.0], [0.21, 0.24, 0.27], cutoff=0.5)
SHORT = GradientTraining(Trainer(60, Adam(1e-2), average=0.9), frames=3, held_out=0.2)
FUNCTIONS = SymmetryFunctions(0.5, tuple((600.0, float(r)) for r in np.linspace(0.2, 0.5, 9)), (), ())
LEARNER = Network(
    FUNCTIONS, (12,), floor=0.2, training=replace(SHORT, trainer=replace(SHORT.trainer, epochs=120))
)
chi_squared = eqx.filter_jit(squared_error)


def cluster(seed: int, atoms: int = 6, periodic: bool = False) -> Configuration:
    """Atoms of two elements near the corners of a lattice, labeled by `TRUTH`."""
    random = np.random.default_rng(seed)
    grid = 0.27 * np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3)[:atoms]
    points = grid + 0.012 * random.normal(size=grid.shape)
    numbers = np.where(np.arange(atoms) % 2 == 0, 9, 18)
    box = 0.6 * np.eye(3) if periodic else None
    frame = Configuration(numbers, points, box, (periodic,) * 3)
    labels = TRUTH.evaluate([frame])
    stress = labels.stresses[0] if periodic else None
    return replace(frame, energy=float(labels.energies[0]), forces=labels.forces[0], stress=stress)


@cache
def clusters():
    """Labeled when first asked for: tests that are only collected need no labels."""
    return [cluster(seed) for seed in range(24)]


def few():
    """Labels are always asked for this many frames, so that each term is compiled for one shape."""
    return clusters()[:8]


def force_error(term, frames):
    """Root mean square error of forces over their size."""
    forces = np.concatenate([frame.forces for frame in frames])
    return np.sqrt(((np.concatenate(term.evaluate(frames).forces) - forces) ** 2).mean() / (forces**2).mean())


@pytest.fixture(scope="module")
def schnet():
    return MessagePassing(SchNet(0.5, 1, 16, 10), SHORT).fit(clusters(), seed=1).term


@pytest.fixture(scope="module")
def network():
    return LEARNER.fit(clusters(), seed=1).term


@pytest.mark.parametrize("name", ["schnet", "network"])
def test_forces_of_new_frames_are_learned(name, request):
    term = request.getfixturevalue(name)
    assert force_error(term, [cluster(seed) for seed in range(100, 108)]) < 0.3


@pytest.mark.long
def test_quasi_newton_steps_on_all_frames_at_once_learn_forces_in_tens_of_iterations():
    training = replace(SHORT, trainer=Trainer(30, LBFGS(), average=0.0))
    term = replace(LEARNER, training=training).fit(clusters(), seed=1).term
    assert force_error(term, [cluster(seed) for seed in range(100, 108)]) < 0.3


def test_replicas_of_a_bound_energy_have_the_energies_and_forces_of_frames_on_their_own(schnet):
    """Its filters are tables, exact to the rounding of 32 bits; replicas do not hear each other."""
    labels = schnet.evaluate(few())
    energy = schnet.bind(few()[0].numbers)
    with jax.enable_x64(True):
        together = jnp.stack([jnp.asarray(frame.positions) for frame in few()], -1)
        energies, forces = eqx.filter_jit(energy_and_forces)(energy, together)
    scale = np.abs(labels.forces).max()
    np.testing.assert_allclose(energies, labels.energies, rtol=1e-6)
    np.testing.assert_allclose(np.moveaxis(forces, -1, 0), labels.forces, atol=1e-6 * scale)


def test_a_fitted_term_is_the_same_after_a_round_trip_to_a_file(schnet, network, tmp_path):
    for term in (schnet, network):
        again = load_tree(save_tree(tmp_path / "term", term))
        np.testing.assert_array_equal(again.evaluate(few()).energies, term.evaluate(few()).energies)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    def fitted(seed):
        learner = replace(LEARNER, training=replace(SHORT, trainer=replace(SHORT.trainer, epochs=2)))
        return learner.fit(clusters(), seed=seed).term.readout.linear

    assert (fitted(3) == fitted(3)).all()
    assert (fitted(3) != fitted(4)).any()


def test_missing_labels_count_for_nothing():
    """With its energy or forces missing, a frame adds the square of the other error alone."""

    def chi2(*frames):
        batches = FrameBatches.of(frames, (9, 18), 0.5, Weights(), len(frames))
        return sum(float(chi_squared(WRONG, batch)) for batch in batches.dealt(range(len(frames))))

    one = clusters()[0]
    parts = [chi2(replace(one, energy=None)), chi2(replace(one, forces=None))]
    assert chi2(one) == pytest.approx(sum(parts), rel=1e-4)
    assert chi2(one, replace(clusters()[1], energy=None, forces=None)) == pytest.approx(chi2(one), rel=1e-4)


def test_the_loss_is_the_one_written_down():
    """Against the labels that `evaluate` gives in 64 bits, stresses included."""
    frames = [cluster(3, 8, periodic=True), cluster(4, 5), cluster(5, 8, periodic=True)]
    weights = Weights(0.3, 20.0, 2.0)
    labels = WRONG.evaluate(frames)
    expected = 0.0
    for frame, energy, forces, stress in zip(frames, labels.energies, labels.forces, labels.stresses):
        expected += (energy - frame.energy) ** 2 / (0.3**2 * len(frame))
        expected += ((forces - frame.forces) ** 2).sum() / 20.0**2
        if frame.stress is not None:
            virial = (stress - frame.stress) * frame.volume
            expected += (virial**2).sum() / (2.0**2 * len(frame))
    batches = FrameBatches.of(frames, WRONG.elements, WRONG.cutoff, weights, 2)
    dealt = list(batches(np.random.default_rng(0)))
    assert len({batch.near.partners.shape for batch in dealt}) == 1
    assert sum(float(chi_squared(WRONG, batch)) for batch in dealt) == pytest.approx(expected, rel=1e-3)


def test_labels_that_are_not_finite_or_not_there_are_refused():
    bad = replace(clusters()[0], forces=clusters()[0].forces * np.nan)
    with pytest.raises(ValueError, match="frame 1 has a label that is not finite"):
        FrameBatches.of([clusters()[1], bad], (9, 18), 0.5, Weights(), 1)
    with pytest.raises(ValueError, match="nothing to learn"):
        FrameBatches.of([replace(clusters()[0], energy=None, forces=None)], (9, 18), 0.5, Weights(), 1)


def test_whitened_features_are_uncorrelated_and_never_blown_up_beyond_the_floor():
    x = np.random.default_rng(0).normal(size=(500, 4)) @ np.diag([3.0, 1.0, 1.0, 1e-3])
    x[:, 2] = x[:, 1] * (1 + 1e-4 * x[:, 2])
    mean, axes = standardizing_axes(x, 0.01)
    spreads = np.sort(((x - mean) @ axes).std(0))
    np.testing.assert_allclose(spreads[1:], 1, rtol=1e-2)
    assert spreads[0] < 0.1


def test_a_committee_is_its_mean_and_spreads_more_where_nothing_was_learned():
    learner = Committee(LEARNER, 2)
    potential = Recipe(learner, core_repulsion=None).fit(clusters())
    term = potential.terms[-1]
    assert potential.card["cutoff"] == term.cutoff == term.members[0].cutoff
    assert isinstance(learner, Learner)
    assert isinstance(term, Uncertain)
    each = [member.evaluate(few()) for member in term.members]
    energies = term.evaluate(few()).energies
    np.testing.assert_allclose(energies, np.mean([labels.energies for labels in each], 0))
    together = jnp.stack([jnp.asarray(frame.positions, jnp.float32) for frame in few()], -1)
    np.testing.assert_allclose(term.bind(few()[0].numbers)(together), energies, rtol=1e-3)
    squeezed = [replace(frame, positions=0.7 * frame.positions) for frame in few()]
    near, far = (
        np.mean([np.abs(f).mean() for f in potential.spread(frames).forces]) for frames in (few(), squeezed)
    )
    assert far > 3 * near


def test_one_member_is_no_committee():
    with pytest.raises(ValueError, match="at least 2"):
        Committee(Network(FUNCTIONS), 1).fit(clusters())
