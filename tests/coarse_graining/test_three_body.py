"""Functions of angles in a liquid, and learners of surroundings: known potentials come back from their forces."""

import jax
import numpy as np
import pytest

from thalweg.coarse_graining import (
    BeadFrames,
    BSplines,
    EnvironmentForceMatching,
    ForceMatching,
    PairInteraction,
    Powers,
    ThreeBodyInteraction,
)
from thalweg.coarse_graining.fitting.force_matching import forces_of
from thalweg.learned_potentials import GaussianKernel, Network, SparseKernel, StillingerWeberTerm
from thalweg.learned_potentials.networks.gradient_training import GradientTraining
from thalweg.learning.optimizers import Adam
from thalweg.learning.trainer import Trainer
from thalweg.potentials import energy_and_forces
from thalweg.representations import SymmetryFunctions, angular_grid, radial_grid

BEADS, WIDTH = 27, 0.93
CUTOFF, DECAY, STIFFNESS, COSINE = 0.43, 0.287, 60.0, -1 / 3
POWERS = ThreeBodyInteraction(Powers(0.0, 1.0, (0, 1, 2)), CUTOFF, BEADS, (DECAY,))
SPLINES = ThreeBodyInteraction(BSplines(-1.0, 1.0, 5), CUTOFF, BEADS, (0.1, DECAY))
LENNARD_JONES = PairInteraction(BSplines(0.2, 0.45, 6, True), 0.45, np.ones(BEADS, int))


def liquid(frames, seed=0):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*3 * [np.arange(3)], indexing="ij"), -1).reshape(-1, 3) * WIDTH / 3
    x = grid + rng.normal(0, 0.03, (frames, BEADS, 3))
    return x, np.broadcast_to(np.eye(3) * WIDTH, (frames, 3, 3))


@pytest.mark.parametrize("angles", [POWERS, SPLINES], ids=["powers", "splines"])
def test_forces_of_functions_of_angles_are_the_slopes_of_their_energy(angles):
    x, boxes = liquid(2)
    c = np.random.default_rng(1).normal(size=len(angles.names))
    sums, rows = angles.rows(x, boxes)
    # finite differences of sums, all functions at once
    step = np.zeros_like(x[0])
    step[4, 1] = 1e-6
    ahead, behind = (angles.rows((x[0] + sign * step)[None], boxes[:1])[0][0] for sign in (1, -1))
    np.testing.assert_allclose(rows[0, 4, 1], -(ahead - behind) / 2e-6, rtol=1e-5, atol=1e-6)
    # the energy that runs, and what JAX says of it
    with jax.enable_x64(True):
        for k, place in enumerate(x):
            energy = angles.energy(c, BEADS).refreshed(place[..., None], boxes[k])
            found, forces = energy_and_forces(energy, place[..., None], boxes[k])
            np.testing.assert_allclose(np.asarray(found)[0], sums[k] @ c, rtol=1e-8)
            np.testing.assert_allclose(np.asarray(forces)[..., 0], rows[k] @ c, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(rows.sum(1), 0, atol=1e-9)


def test_a_liquid_of_stillinger_and_weber_comes_back_from_its_forces():
    x, boxes = liquid(12)
    one = np.ones(1)
    known = StillingerWeberTerm(
        (1,), CUTOFF, COSINE, 0 * one, one, DECAY * one, STIFFNESS * one, DECAY * one, 0 * one
    )
    bare = BeadFrames(x, 2.5, np.zeros_like(x), boxes, kinds=np.ones(BEADS, int))
    angular = np.array(known.evaluate(bare.configurations()).forces)
    pair = np.random.default_rng(2).normal(size=len(LENNARD_JONES.names))
    noise = 5.0 * np.random.default_rng(3).normal(size=x.shape)
    forces = angular + LENNARD_JONES.rows(x, boxes)[1] @ pair + noise
    model = ForceMatching((LENNARD_JONES, POWERS)).fit(BeadFrames(x, 2.5, forces, boxes))
    exact = np.r_[pair, STIFFNESS * np.array([COSINE**2, -2 * COSINE, 1.0])]
    assert (np.abs(model.coefficients - exact) < 5 * model.errors).all()
    assert (model.errors[-3:] < 0.2 * STIFFNESS).all()
    assert model.info["mean squared residual [(kJ/mol/nm)^2]"] == pytest.approx(25.0, rel=0.1)


@pytest.mark.parametrize("way", ["kernel", "network"])
def test_a_learner_of_surroundings_explains_what_pairs_cannot(way, tmp_path):
    functions = SymmetryFunctions(
        CUTOFF, radial_grid(CUTOFF, 3, 0.2), (), angular_grid(CUTOFF, 2, (1, 2), 0.15)
    )
    if way == "kernel":
        learner = SparseKernel(functions, 40, GaussianKernel(), folds=2)
    else:
        learner = Network(
            functions, (8,), training=GradientTraining(Trainer(200, Adam(1e-2), average=0.98), frames=2)
        )
    known = (LENNARD_JONES, POWERS)
    c = np.r_[np.zeros(len(LENNARD_JONES.names)), STIFFNESS * np.array([1 / 9, 2 / 3, 1.0])]

    def frames(count, seed):
        x, boxes = liquid(count, seed)
        rows = np.concatenate([one.rows(x, boxes)[1] for one in known], -1)
        return BeadFrames(x, 2.5, rows @ c, boxes, kinds=np.ones(BEADS, int))

    taught, others = frames(14, 1), frames(3, 2)
    pairs = ForceMatching((LENNARD_JONES,)).fit(taught)
    model = EnvironmentForceMatching(learner, pairs.energy()).fit(taught)
    left, before = (((others.forces - forces_of(one.energy(), others)) ** 2).mean() for one in (model, pairs))
    assert left < 0.3 * before
    again = type(model).load(model.save(tmp_path / "model.npz"))
    np.testing.assert_allclose(
        forces_of(again.energy(), others), forces_of(model.energy(), others), rtol=1e-6, atol=1e-6
    )


def test_liquids_that_cannot_be_are_said():
    x, boxes = liquid(1)
    with pytest.raises(ValueError, match="angles of a liquid need its box"):
        POWERS.rows(x)
    with pytest.raises(ValueError, match="exceeds half the smallest width"):
        ThreeBodyInteraction(Powers(0.0), 0.5, BEADS).rows(x, boxes)
    with pytest.raises(ValueError, match="these angles are of 27 beads; got 5"):
        POWERS.energy(np.zeros(3), 5)
    forces = BeadFrames(x, 2.5, x, boxes, weights=np.ones(1))
    with pytest.raises(ValueError, match="count frames alike"):
        EnvironmentForceMatching(SparseKernel(SymmetryFunctions(0.4))).fit(forces)
