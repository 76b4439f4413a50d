"""Latent charges learn what no local model can: ions beyond the cutoff, in the open and in a cell."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pytest

from thalweg.learned_potentials.long_range.latent_charges import LatentCharges
from thalweg.learned_potentials.long_range.point_charges import point_charges
from thalweg.learned_potentials.long_range.whole_frames import whole_frame
from thalweg.learned_potentials.networks.gradient_training import GradientTraining
from thalweg.learning.optimizers import Adam
from thalweg.learning.trainer import Trainer
from thalweg.potentials.electrostatics.ewald import smooth_energy, waves
from thalweg.potentials.electrostatics.multipoles import Multipoles
from thalweg.representations.symmetry_functions import SymmetryFunctions
from thalweg.systems.configuration import Configuration
from thalweg.units import COULOMB

SIGHT = SymmetryFunctions(0.3, radial=((60.0, 0.1),), narrow=(), wide=())
IONS = point_charges({11: 0.5, 17: -0.5})


def labeled(points, numbers, box=None):
    one = Configuration(np.asarray(numbers), np.asarray(points), box, (box is not None,) * 3)
    label = IONS.evaluate([one])
    return replace(one, energy=float(label.energies[0]), forces=label.forces[0])


def pairs(distances, seed=0):
    """Two ions at distances, in random directions."""
    ways = np.random.default_rng(seed).normal(size=(len(distances), 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    return [labeled([[0, 0, 0], r * way], [11, 17]) for r, way in zip(distances, ways)]


def learner(epochs):
    trainer = Trainer(epochs, Adam(0.02), average=0.9)
    return LatentCharges(SIGHT, (4,), training=GradientTraining(trainer, frames=8, held_out=0.0))


@pytest.mark.long
def test_ions_beyond_the_cutoff_are_learned_and_their_tail_is_coulombs():
    term = learner(400).fit(pairs(np.linspace(0.4, 0.9, 16)), seed=1).term
    asked = pairs(np.array([1.2, 1.5]), seed=2)
    energies = term.evaluate(asked).energies
    truth = np.array([one.energy for one in asked])
    np.testing.assert_allclose(energies, truth, rtol=0.02)
    with jax.enable_x64(True):
        charges = np.asarray(eqx.filter_jit(term.charges)(whole_frame(term, asked[0])))[:2]
    assert charges.sum() == pytest.approx(0, abs=1e-9)
    assert abs(charges[0]) == pytest.approx(0.5, rel=0.01)


def test_in_a_cell_the_energy_of_latent_charges_is_that_of_waves():
    ions = pairs(np.array([0.5]))
    term = learner(1).start(ions, 0)
    box = np.array([[1.0, 0, 0], [0.1, 1.2, 0], [0, -0.1, 1.1]])
    cell = replace(ions[0], box=box, periodic=(True,) * 3, energy=None, forces=None)
    total = term.evaluate([cell]).energies[0]
    with jax.enable_x64(True):
        whole = whole_frame(term, cell)
        charges = np.asarray(eqx.filter_jit(term.charges)(whole))
        numbers = waves(box, term.alpha, 1e-9)
        latent = COULOMB * float(smooth_energy(whole.points, Multipoles(charges), box, term.alpha, numbers))
        features = eqx.filter_jit(term.representation)(whole.environments)
        local = float(np.asarray(term.energies(features, whole.kinds))[:2].sum())
    assert total == pytest.approx(latent + local, rel=1e-4)
