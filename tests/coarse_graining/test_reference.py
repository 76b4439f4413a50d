"""Frames of beads from dynamics of all atoms: their forces, weights of a bias, and mean forces while beads are held."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.coarse_graining.mapping import BeadMapping
from thalweg.coarse_graining.reference import AtomicDynamics, HeldDynamics
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.potentials.energy import Energy
from thalweg.systems.system import System
from thalweg.systems.topology import Topology
from thalweg.units import BOLTZMANN

KT = 2.5
SPRING, TRAP = 4000.0, 1000.0


class Chain(Energy):
    """Two ends and a middle atom between them, on springs without length; ends are trapped."""

    def __call__(self, positions, box=None):
        apart = jnp.diff(positions, axis=0)
        ends = positions[jnp.array([0, 2])]
        return 0.5 * SPRING * (apart**2).sum((0, 1)) + 0.5 * TRAP * (ends**2).sum((0, 1))


@pytest.fixture(scope="module")
def chain():
    names = ("A", "B", "C")
    topology = Topology(names, ("C",) * 3, names, (1, 2, 3), (0,) * 3, np.array([[0, 1], [1, 2]]))
    start = np.array([[0.0, 0, 0], [0.01, 0, 0], [0.02, 0, 0]])
    return System(topology, start, np.full(3, 12.0), Chain())


def ends(system):
    return BeadMapping.slices([0, 2], system.masses)


def exact(places):
    """Mean force on ends where the middle is free: springs in series pull with half the constant."""
    apart = places[:, 1] - places[:, 0]
    return np.stack([0.5 * SPRING * apart, -0.5 * SPRING * apart], 1) - TRAP * places


def starts(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.03, (count, 3, 3))


def test_mean_forces_of_held_ends_are_those_of_springs_in_series(chain):
    held = HeldDynamics(AtomicDynamics(length=8.0, save_every=0.05, skip=0.2, friction=10.0))
    frames = held.run(chain, ends(chain), KT, starts(32))
    assert frames.lengths == (1,) * 32
    spread = float(np.std(exact(frames.positions)))
    error = frames.forces - exact(frames.positions)
    assert np.sqrt((error**2).mean()) < 0.25 * spread
    # a moment's force is far noisier: the middle moves by sqrt(kT / 2 k)
    free = AtomicDynamics(length=8.0, save_every=0.2, replicas=32).run(chain, KT).on_beads(ends(chain))
    moment = free.forces - exact(free.positions)
    assert (error**2).mean() < 0.15 * (moment**2).mean()


def test_held_beads_stay_where_they_began(chain):
    places = starts(16)
    frames = HeldDynamics(width=0.002).run(chain, ends(chain), KT, places)
    assert np.abs(frames.positions - places[:, [0, 2]]).max() < 0.02


@pytest.mark.long
def test_forces_of_free_dynamics_are_unbiased(chain):
    frames = AtomicDynamics(length=100.0, save_every=0.2, replicas=32).run(chain, KT).on_beads(ends(chain))
    x, f = frames.positions.reshape(len(frames), -1), frames.forces.reshape(len(frames), -1)
    slopes = np.linalg.lstsq(x, f, rcond=None)[0]
    pull = -(0.5 * SPRING + TRAP)
    # forces of both ends, each by its own place and by the other's
    own, other = np.diagonal(slopes).mean(), np.diagonal(slopes, 3).mean()
    assert own == pytest.approx(pull, rel=0.05)
    assert other == pytest.approx(0.5 * SPRING, rel=0.1)


class Tilted:
    """A static bias: a constant pull on the first end."""

    stride = None

    def __init__(self, pull):
        self.pull = pull
        self.variable = self

    names, units, periods = ("x",), ("nm",), (None,)

    def __call__(self, positions, box=None):
        return positions[:1, 0]

    def init(self):
        return ()

    def energy(self, bias_state, values):
        return -self.pull * values[0]

    def update(self, bias_state, values):
        return bias_state


def test_weights_undo_a_bias_whose_forces_are_left_out(chain):
    dynamics = AtomicDynamics(length=30.0, save_every=0.2, replicas=32)
    frames = dynamics.run(chain, KT, bias=Tilted(60.0)).on_beads(ends(chain))
    x = frames.positions[:, 0, 0]
    shares = frames.weights / frames.weights.sum()
    assert x.mean() > 0.015
    # the ensemble without the bias is symmetric
    spread = 1 / np.sqrt((shares**2).sum()) ** 2
    assert abs(shares @ x) < 5 * x.std() / np.sqrt(spread / 5)
    error = frames.forces - exact(frames.positions)
    assert abs(error[:, 0, 0].mean()) < 10


def test_a_bias_that_grows_is_refused(chain):
    class Growing(Tilted):
        stride = 100

    with pytest.raises(ValueError, match="frozen"):
        AtomicDynamics().run(chain, KT, bias=Growing(1.0))


def test_a_width_must_be_positive(chain):
    with pytest.raises(ValueError, match="positive width"):
        HeldDynamics(width=0.0).run(chain, ends(chain), KT, starts(2))


def test_a_box_is_refused(chain):
    boxed = System(chain.topology, chain.positions, chain.masses, chain.energy, box=np.eye(3))
    with pytest.raises(ValueError, match="without a box"):
        AtomicDynamics(length=1.0).run(boxed, KT)


def test_forces_on_atoms_with_held_bonds_are_mapped_without_bias():
    system = alanine_dipeptide("vacuum")
    mapping = BeadMapping.per_residue(system.topology, system.masses, atom=None)
    dynamics = AtomicDynamics(length=0.4, save_every=0.1, replicas=4)
    frames = dynamics.run(system, BOLTZMANN * 300).on_beads(mapping, force_map="basic")
    # nothing pulls the molecule as a whole
    assert np.abs(frames.forces.sum(1)).max() < 1e-2 * np.abs(frames.forces).max()
