"""What every learner and every term must do, tried on each with rattled water molecules labeled by Morse pairs."""

from __future__ import annotations

import inspect
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg.learned_potentials
from thalweg.learned_potentials.gradient_domain.gradient_domain import GradientDomain
from thalweg.learned_potentials.gradient_domain.site_gradient_domain import SiteGradientDomain
from thalweg.learned_potentials.linear.learner import Linear, Together
from thalweg.learned_potentials.linear.polynomials import PolynomialFit
from thalweg.learned_potentials.linear.sparse_kernel import SparseKernel
from thalweg.learned_potentials.long_range.charge_equilibration import ChargeEquilibration
from thalweg.learned_potentials.long_range.induced_dipoles import InducedDipoles
from thalweg.learned_potentials.long_range.labeled_charges import LabeledCharges
from thalweg.learned_potentials.long_range.latent_charges import LatentCharges
from thalweg.learned_potentials.long_range.point_charges import point_charges
from thalweg.learned_potentials.networks.element_networks import Network
from thalweg.learned_potentials.networks.gradient_training import GradientTraining
from thalweg.learned_potentials.networks.message_passing import MessagePassing
from thalweg.learned_potentials.parametric.free_atoms import FreeAtoms
from thalweg.learned_potentials.parametric.pair_terms import LennardJones, Morse, morse
from thalweg.learned_potentials.parametric.stillinger_weber import StillingerWeber
from thalweg.learned_potentials.parametric.valence_pairs import ValencePairs
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm, Learner
from thalweg.learned_potentials.terms.term import Term
from thalweg.learned_potentials.uncertainty.committee import Committee, ShallowCommittee
from thalweg.learning.storage import load_tree, save_tree
from thalweg.learning.trainer import Trainer
from thalweg.potentials.energy import energy_and_forces
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.messages.schnet import SchNet
from thalweg.systems.configuration import Configuration

pytestmark = pytest.mark.long
"""Every learner is fitted; each has quick tests of its own in its room."""

WATER = np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])
NUMBERS = np.array([8, 1, 1])
BONDS = morse((1, 8), [20.0, 450.0, 5.0], [20.0, 22.0, 20.0], [0.15, 0.096, 0.3], cutoff=0.5)
CHARGES = point_charges({1: 0.4, 8: -0.8})
SITES = ACE(cutoff=0.3, levels=(4, 3))
BRIEF = GradientTraining(Trainer(2))
MESSAGES = MessagePassing(SchNet(0.3, layers=1, width=4, radial=4), BRIEF, readout=4)
EXAMPLES = {
    "Linear": Linear(SITES),
    "Together": Together((Linear(SITES), Linear(ACE(cutoff=0.3, levels=(3,))))),
    "SparseKernel": SparseKernel(SITES, points=5),
    "Network": Network(SITES, (3,), training=BRIEF),
    "MessagePassing": MESSAGES,
    "ShallowCommittee": ShallowCommittee(MESSAGES, members=2),
    "Committee": Committee(Linear(SITES), 2),
    "GradientDomain": GradientDomain(reaches=(0.1,), relatives=(1.0,), widths=(1.0,), noises=(1e-6,)),
    "SiteGradientDomain": SiteGradientDomain(SITES, widths=(4.0,), noises=(1e-7,)),
    "PolynomialFit": PolynomialFit(2, (0.1,), (1e-8,)),
    "LennardJones": LennardJones(0.5),
    "Morse": Morse(0.5, depths=(100.0,)),
    "StillingerWeber": StillingerWeber(0.3, strengths=(300.0,)),
    "ChargeEquilibration": ChargeEquilibration(),
    "LatentCharges": LatentCharges(Linear(SITES), starts=1),
    "LabeledCharges": LabeledCharges(near=0.1),
}
"""A small example of each learner."""

KNOWN = {
    "ForceFieldTerm": lambda frames: ValencePairs().fit(frames, np.arange(3)[None]),
    "PairTerm": lambda frames: BONDS,
    "PointCharges": lambda frames: CHARGES,
    "InducedDipoles": lambda frames: InducedDipoles(CHARGES, np.array([0.3e-3, 0.9e-3])),
    "BindingTerm": lambda frames: FreeAtoms().binding(frames),
    "KernelSites": lambda frames: EXAMPLES["SiteGradientDomain"].fit(frames).term.sites,
    "LearnedPotential": lambda frames: Recipe(Linear(SITES), core_repulsion=None).fit(frames),
}
"""Terms that come from no learner alone."""

OTHER_LEARNERS = {"OnePass", "Recipe", "ValencePairs", "GradientTraining"}
"""What is a part of others, makes a whole potential, or trains a term that it is given."""

OTHER_TERMS = {"SiteTerm"}
"""The base of terms that are sums over sites."""


def rattled(seed=0, count=6):
    random = np.random.default_rng(seed)
    bare = [Configuration(NUMBERS, WATER + 0.004 * random.normal(size=(3, 3))) for _ in range(count)]
    labels = BONDS.evaluate(bare)
    return [
        replace(one, energy=float(energy), forces=forces, properties={"charges": np.array([-0.8, 0.4, 0.4])})
        for one, energy, forces in zip(bare, labels.energies, labels.forces)
    ]


@pytest.fixture(scope="module")
def frames():
    return rattled()


@pytest.fixture(scope="module")
def fitted(frames):
    """``fitted(name)``: each learner fits once, when first asked for."""
    kept = {}

    def of(name):
        if name not in kept:
            kept[name] = EXAMPLES[name].fit(frames, seed=1)
        return kept[name]

    return of


@pytest.fixture(scope="module", params=[*EXAMPLES, *KNOWN])
def term(request, frames, fitted):
    return KNOWN[request.param](frames) if request.param in KNOWN else fitted(request.param).term


def test_every_learner_has_an_example_here(public, without_example):
    room = thalweg.learned_potentials
    found = {
        name
        for name in public(Learner, "learned_potentials") - OTHER_LEARNERS
        if "configurations" in inspect.signature(getattr(room, name).fit).parameters
    }
    assert not without_example(found, EXAMPLES)


def test_every_term_comes_from_an_example_here(public, fitted):
    made = {type(fitted(name).term).__name__ for name in EXAMPLES} | set(KNOWN)
    assert public(Term, "learned_potentials") - OTHER_TERMS - made == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_fit_gives_a_term_and_tells_how_it_went(name, fitted):
    assert isinstance(EXAMPLES[name], Learner)
    outcome = fitted(name)
    assert isinstance(outcome, FittedTerm)
    assert isinstance(outcome.term, Term)
    assert isinstance(outcome.info, FitInfo)
    assert all(isinstance(words, str) for words in outcome.info.in_words())


@pytest.mark.parametrize("name", EXAMPLES)
def test_equal_frames_and_seeds_give_equal_terms_and_frames_stay_as_they_were(name, fitted, frames):
    first, again = (
        fitted(name).term.evaluate(frames),
        EXAMPLES[name].fit(frames, seed=1).term.evaluate(frames),
    )
    np.testing.assert_allclose(again.energies, first.energies, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(again.forces, first.forces, rtol=1e-9, atol=1e-7)
    for one, kept in zip(frames, rattled()):
        np.testing.assert_array_equal(one.positions, kept.positions)
        np.testing.assert_array_equal(one.forces, kept.forces)


def test_labels_of_frames_have_a_row_for_each_in_64_bits(term, frames):
    labels = term.evaluate(frames[:3])
    assert labels.energies.shape == (3,)
    assert labels.energies.dtype == np.float64
    for forces, stress in zip(labels.forces, labels.stresses, strict=True):
        assert (forces.shape, stress.shape) == ((3, 3), (3, 3))
        assert np.isfinite(forces).all()
        assert np.isnan(stress).all()  # no cell, no stress


def test_forces_are_the_gradient_of_the_energy(term, frames):
    way, step = np.random.default_rng(3).normal(size=(3, 3)), 1e-5
    moved = [replace(frames[0], positions=frames[0].positions + s * step * way) for s in (-2, -1, 1, 2)]
    energies = term.evaluate(moved).energies
    slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * step)
    forces = term.evaluate(frames[:1]).forces[0]
    assert abs((forces * way).sum() + slope) < 1e-5 * (1 + np.abs(forces).max() * np.abs(way).sum())


def test_turned_moved_and_mirrored_the_energy_is_the_same_and_forces_turn_along(term, frames):
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    here = term.evaluate(frames[:1])
    there = term.evaluate([replace(frames[0], positions=frames[0].positions @ turn + [0.3, -2.0, 1.0])])
    np.testing.assert_allclose(there.energies, here.energies, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(there.forces[0], here.forces[0] @ turn, rtol=1e-5, atol=1e-4)


def test_bound_to_atoms_it_has_the_same_energy_and_forces_for_every_replica(term, frames):
    labels = term.evaluate(frames[:2])
    with jax.enable_x64(True):
        positions = jnp.asarray(np.stack([one.positions for one in frames[:2]], -1))
        energy = term.bind(NUMBERS).refreshed(positions)
        energies, forces = eqx.filter_jit(energy_and_forces)(energy, positions)
    assert energies.shape == (2,)
    np.testing.assert_allclose(energies, labels.energies, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(forces, np.stack(labels.forces, -1), rtol=1e-5, atol=1e-4)


def test_an_element_it_has_not_seen_is_refused(term):
    with pytest.raises(ValueError, match=r"(?i)element|molecule|atom"):
        term.bind(np.array([8, 1, 17]))


def test_saved_and_loaded_it_gives_the_same_numbers(term, frames, tmp_path):
    loaded = load_tree(save_tree(tmp_path / "term", term))
    before, after = term.evaluate(frames[:2]), loaded.evaluate(frames[:2])
    np.testing.assert_array_equal(after.energies, before.energies)
    np.testing.assert_array_equal(after.forces, before.forces)
