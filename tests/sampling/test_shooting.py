"""Shooting: shots end where they enter a set, and their outcomes are those of the exact chain."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
import scipy.stats

from thalweg import registry
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Coordinates
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.kinetics.reactions.regions import IN_A, IN_B, OUTSIDE, Ellipsoid, Intervals
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.campaign import drive
from thalweg.sampling.policies.shooting import Shooting
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.shoot import shoot, shot_outcomes
from thalweg.studies.tables.study import from_table
from thalweg.systems.state import thermal_state
from thalweg.testsystems.chain import chain_committor
from thalweg.testsystems.euler_chain import EulerChain
from thalweg.testsystems.wells import PrinzPotential

TOY = Path(__file__).parent / "toy_campaign.py"
RECIPE = ApparatusRecipe("toy_campaign.muller_brown")
LEFT, RIGHT = Intervals((-np.inf,), (-0.6,)), Intervals((0.6,), (np.inf,))


def line(integrator):
    engine = NativeEngine.for_potential(PrinzPotential(), np.ones(1), integrator)
    return Apparatus(engine, Coordinates([0], dims=1), np.zeros((1, 1)), np.ones(1), kT=1.0)


def shots_from(x, count, seed=0):
    places = jnp.full((1, 1, count), x, jnp.float32)
    return thermal_state(places, np.ones(1), 1.0, jax.random.key(seed))


@pytest.mark.long
def test_shots_reach_b_as_often_as_the_exact_chain_does():
    chain = EulerChain(PrinzPotential(), ((-1.3, 1.3),), 150)
    exact = chain_committor(chain.transition_matrix(), chain.points < -0.6, chain.points > 0.6)
    apparatus = line(Overdamped(kT=1.0, dt=1e-3))
    for k, x in enumerate((-0.25, 0.0, 0.25)):
        fan = shoot(apparatus, shots_from(x, 1000, k), LEFT, RIGHT, longest=8.0, save_every=1e-3)
        q = float(np.interp(x, chain.points, exact))
        assert abs((fan.outcomes == IN_B).mean() - q) < 4 * np.sqrt(q * (1 - q) / 1000)
        assert (fan.outcomes == OUTSIDE).sum() == 0
        assert fan.velocities is None


@pytest.mark.long
def test_a_shot_ends_with_its_first_frame_in_a_set_and_one_without_end_is_counted():
    fan = shoot(
        line(Langevin(kT=1.0, dt=0.01)), shots_from(0.0, 64), LEFT, RIGHT, longest=0.6, save_every=0.02
    )
    assert {IN_A, IN_B, OUTSIDE} == set(fan.outcomes.tolist())
    for positions, valid, outcome in zip(
        fan.recording.positions[..., 0, 0], fan.recording.valid, fan.outcomes
    ):
        before, last = positions[: valid - 1], positions[valid - 1]
        assert (np.abs(before) < 0.6).all()
        assert outcome == (IN_A if last <= -0.6 else IN_B if last >= 0.6 else OUTSIDE)
        assert outcome != OUTSIDE or valid == 30
    # the coordinate is the position of a unit mass: its velocity is the momentum that was drawn
    assert fan.velocities.std() == pytest.approx(1.0, abs=0.3)


def test_shots_from_inside_a_set_and_sets_that_are_missing_are_refused():
    with pytest.raises(ValueError, match="4 of 4 shots start in a set, the first in B"):
        shoot(
            line(Overdamped(kT=1.0, dt=1e-3)), shots_from(0.7, 4), LEFT, RIGHT, longest=0.1, save_every=0.01
        )
    with pytest.raises(ValueError, match="shots need to know where they end: b missing"):
        Shooting(RECIPE, a=LEFT).plan(Store.__new__(Store), 0)


@pytest.mark.long
def test_volleys_of_a_campaign_are_read_as_shots_of_the_same_points(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.WITH, "")
    registry.name_files([TOY])
    np.save(tmp_path / "points.npy", np.array([[[-0.2, 0.6]], [[-0.8, 0.6]], [[-0.7, 0.5]]]))
    policy = Shooting(
        RECIPE,
        Intervals((1.0,), (np.inf,), columns=(1,)),
        Intervals((-np.inf,), (0.3,), columns=(1,)),
        frames=str(tmp_path / "points.npy"),
        points=3,
        shots=8,
        volley=4,
        longest=2.0,
        save_every=0.002,
    )
    store = Store(tmp_path / "store")
    drive(store, policy)
    shots = shot_outcomes(store, policy.needed(), ("x", "y"))
    assert shots.outcomes.shape == (3, 8)
    np.testing.assert_allclose(shots.features, [[-0.2, 0.6], [-0.8, 0.6], [-0.7, 0.5]], atol=1e-6)
    segment = Segment.read(store, policy.needed()[0])
    ends = np.array([walk[n - 1, 1] for walk, n in zip(segment.features, segment.valid)]).reshape(3, 4)
    first = shots.outcomes[:, :4]
    np.testing.assert_array_equal(first == IN_A, ends >= 1.0)
    np.testing.assert_array_equal(first == IN_B, ends <= 0.3)


def test_a_study_can_ask_for_shots_between_regions():
    study = from_table(
        {
            "system": {"molecule": "alanine_dipeptide"},
            "campaign": {
                "kind": "Shooting",
                "a": {"kind": "Ellipsoid", "center": [0.0, 1.0], "radii": 0.5, "columns": [0, 1]},
                "b": {"kind": "Intervals", "lower": [0.8], "upper": [1.5], "columns": [0]},
                "shots": 20,
                "longest": "5 ps",
            },
        }
    )
    assert study.campaign.a == Ellipsoid((0.0, 1.0), 0.5, (0, 1))
    assert study.campaign.b == Intervals((0.8,), (1.5,), (0,))


AROUND = {
    name: {
        "kind": "Ellipsoid",
        "center": [*np.sin(np.radians(place)), *np.cos(np.radians(place))],
        "radii": 0.5,
    }
    for name, place in (("a", (-82.0, 70.0)), ("b", (72.0, -55.0)))
}
"""Conformations C7eq and C7ax of alanine dipeptide, in sines and cosines of phi and psi."""


def turned_to(phis):
    """Frames of alanine dipeptide relaxed at these angles phi [degrees]."""
    system = alanine_dipeptide("vacuum")
    own = openmm.XmlSerializer.deserialize(system.openmm_xml)
    held = openmm.CustomTorsionForce("1000 * (1 - cos(theta - place))")
    held.addGlobalParameter("place", 0.0)
    held.addTorsion(*(int(atom) for atom in backbone_dihedrals(system.topology)["phi"][0]), [])
    own.addForce(held)
    context = openmm.Context(own, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference"))
    context.setPositions(system.positions)
    frames = []
    for phi in phis:
        context.setParameter("place", np.radians(phi))
        openmm.LocalEnergyMinimizer.minimize(context, 1.0)
        frames.append(context.getState(positions=True).getPositions(asNumpy=True)._value)
    return np.array(frames)


@pytest.mark.long
def test_shots_of_a_molecule_through_openmm_end_where_those_of_the_native_engine_do(tmp_path):
    np.save(tmp_path / "points.npy", turned_to(np.arange(-80.0, 31.0, 5.0))[[14, 16, 18]])
    found = {}
    for engine in ("native", "openmm"):
        study = from_table(
            {
                "system": {"molecule": "alanine_dipeptide"},
                "dynamics": {"engine": engine, "temperature": "300 K"},
                "campaign": {
                    "kind": "Shooting",
                    **AROUND,
                    "frames": str(tmp_path / "points.npy"),
                    "points": 3,
                    "shots": 40,
                    "volley": 20,
                    "longest": "2 ps",
                    "save_every": "0.02 ps",
                },
            }
        )
        store = Store(tmp_path / engine)
        drive(store, study.campaign)
        found[engine] = shot_outcomes(store, study.campaign.needed())
    native, other = found["native"], found["openmm"]
    np.testing.assert_allclose(other.features, native.features, atol=1e-5)
    # velocities of torsions are those of the same ensemble, none along the constraints
    assert other.velocities.std() == pytest.approx(native.velocities.std(), rel=0.15)
    ends = {name: (shots.outcomes == IN_B).sum(axis=1) for name, shots in found.items()}
    left = {name: (shots.outcomes == IN_A).sum(axis=1) for name, shots in found.items()}
    assert min(ends["native"].sum(), left["native"].sum()) > 10
    for k in range(3):
        table = [[ends[name][k], left[name][k]] for name in found]
        assert scipy.stats.fisher_exact(table).pvalue > 0.002
