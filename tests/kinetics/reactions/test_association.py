"""Swarms about a well whose constants are known: the bound state, its free energy and its rates, or a refusal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.binding.swarms.placements import placements
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.free_energies.standard_state import standard_binding_free_energy
from thalweg.kinetics.reactions.association import Association
from thalweg.systems.state import thermal_state
from thalweg.testsystems.binding_well import BindingWell
from thalweg.time_series.trajectories import Trajectories

DIFFUSION, DT, SAVED = 0.01, 0.01, 2
"""[nm^2/ps], [ps], steps between frames: half a frame's step is a twentieth of the width of the well."""

SHELL = (0.7, 1.2)
"""The well is below 1e-4 kT there."""


def swarm(well, walkers, time, seed, shell=SHELL):
    """Distances ``(walkers, frames)`` of guests that begin far from the host."""
    starts = placements(np.zeros((2, 3)), [0], [[1]], walkers, shell, seed)[:, 1:]
    engine = NativeEngine.for_potential(well, np.ones(1), Overdamped(1.0, DT, DIFFUSION))
    start = jnp.asarray(np.moveaxis(starts, 0, -1), jnp.float32)
    state = thermal_state(start, np.ones(1), 1.0, jax.random.key(seed))
    recording = engine.run(state, round(time / DT), save_every=SAVED)
    return np.linalg.norm(recording.positions[:, :, 0].astype(float), axis=-1)


def analyzed(distances, lagtime=50, shell=SHELL):
    """The swarm by features that no rotation changes."""
    features = [np.stack([r, np.exp(-((r / 0.3) ** 2))], axis=1) for r in distances]
    data = Trajectories(features, dt=SAVED * DT)
    return Association(lagtime, shell, 1.0, states=30, dim=2, sets=2).fit(data, list(distances))


def edge(found, distances):
    """Up to which distance frames are in the bound state: states are intervals of the distance here."""
    return np.concatenate([r[b] for r, b in zip(distances, found.bound)]).max()


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_free_energy_and_rates_of_a_swarm_are_those_of_the_well(seed):
    well = BindingWell()
    distances = swarm(well, 128, 120.0, seed)
    found = analyzed(distances)
    assert not found.constant.shortcomings
    within = edge(found, distances)
    exact = standard_binding_free_energy(well.association_constant(within, 1.0), 1.0)
    assert abs(found.binding_free_energy - exact) < 3 * found.constant.error < 1.0
    inward = well.passage_inward(SHELL[0], within, 1.0, DIFFUSION)
    outward = well.passage_outward(within, SHELL[0], 1.0, DIFFUSION)
    # looked at every 0.02 ps, a guest is seen 0.58 sqrt(2 D t) = 0.012 nm beyond the border: 5 % of its radius
    assert abs(np.log(found.on.time / inward)) < 3 * found.on.log_error + 0.05
    assert abs(np.log(found.off.time / outward)) < 3 * found.off.log_error + 0.05
    assert found.on.log_error < 0.25
    assert found.off.log_error < 0.25


def test_the_rate_of_binding_is_that_of_diffusion_to_a_sphere():
    """An absorbing sphere in a large one: ``1 / T = 4 pi D a / V`` up to ``a / R``."""
    free = BindingWell(depth=0.0, radius=50.0)
    time = free.passage_inward(49.0, 0.5, 1.0, DIFFUSION)
    volume = 4 / 3 * np.pi * 50.0**3
    assert volume / time == pytest.approx(4 * np.pi * DIFFUSION * 0.5, rel=0.03)


def test_in_and_out_obey_detailed_balance():
    """``T_in / T_out`` of two far places is the ratio of their weights where the way between is quickly gone."""
    deep = BindingWell(depth=12.0)
    constant = deep.association_constant(0.3, 1.0)
    inward = deep.passage_inward(0.7, 0.3, 1.0, DIFFUSION)
    outward = deep.passage_outward(0.3, 0.7, 1.0, DIFFUSION)
    volume = 4 / 3 * np.pi * 1.2**3
    assert np.log(outward / inward) == pytest.approx(np.log(constant / volume), abs=0.5)


def test_a_guest_that_never_leaves_has_a_place_but_neither_free_energy_nor_rates():
    distances = swarm(BindingWell(depth=30.0), 24, 60.0, 3, shell=(0.5, 0.8))
    found = analyzed(distances, 20, (0.5, 1.2))
    assert found.bound_distance < 0.2
    assert found.crossings[0] > 5
    assert found.crossings[1] == 0
    words = found.in_words()
    assert "binding free energy: none" in words[1]
    assert "k_off: none" in words[3]


def test_walks_that_stay_far_apart_have_no_bound_state():
    random = np.random.default_rng(0)
    distances = list(random.uniform(1.0, 1.2, (10, 200)))
    with pytest.raises(ValueError, match="no walk has come to stay near the host"):
        Association(5, (0.9, 1.3), 1.0, states=10, dim=1, sets=2).fit(
            [r[:, None] for r in distances], distances
        )


def test_a_shell_without_frames_is_refused():
    distances = [np.full(100, 0.2) + np.random.default_rng(0).normal(0, 0.01, 100)]
    with pytest.raises(ValueError, match="no frame lies"):
        Association(5, (1.0, 1.5), 1.0, states=10, dim=1, sets=2).fit(
            [r[:, None] for r in distances], distances
        )
