"""Loops that learn a variable and drive it: what is left out once it is settled, kills, and exact free energies."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.manifold.embeddings.isomap import Isomap
from thalweg.collective_variables.neural.autoencoders import Autoencoder, VariationalAutoencoder
from thalweg.collective_variables.neural.learned_basis import Training
from thalweg.free_energies.difference import agreement, free_energy_difference
from thalweg.kinetics.committors.gradient_rate import gradient_rates
from thalweg.kinetics.reactions.regions import Ellipsoid
from thalweg.machine.reading import read_json
from thalweg.sampling.agenda import foreseen
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.bias.metadynamics import Metadynamics, WellTemperedMetadynamics
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.campaign import drive
from thalweg.sampling.policies.committor_loop import CommittorLoop
from thalweg.sampling.policies.learn_and_drive import WEIGHTS
from thalweg.sampling.policies.local_diffusion_map_loop import LocalDiffusionMapLoop
from thalweg.sampling.policies.mesa import MESA
from thalweg.sampling.policies.rave import RAVE
from thalweg.sampling.policies.sandcv import SandCV
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.flatten import FlatteningBias
from thalweg.sampling.tasks.learned_variable import LearnedVariable, explained_share
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.study import from_table
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.time_series.trajectories import Trajectories

RECIPE = ApparatusRecipe("toy_campaign.muller_brown")
MULLER_BROWN = 3.634
"""F(y < 0.75) - F(y > 0.75) of Müller-Brown / 10, in kT."""

SETS = Ellipsoid((-0.558, 1.442), 0.2), Ellipsoid((0.623, 0.028), 0.2)
"""Discs around two of its minima."""

HILLS = Metadynamics(height=0.5, bias_factor=8.0, stride=0.02)
SHORT = {
    "seeds": (0, 3), "walkers": 4, "swarm": 0.2, "drive": 0.2, "produce": 0.2, "segment": 0.2, "save_every": 0.004,
    "lagtime": 0.02, "states": 10,
}  # fmt: skip
WHOLE = {
    "seeds": (0, 1), "walkers": 16, "swarm": 2.0, "drive": 8.0, "produce": 40.0, "segment": 10.0, "save_every": 0.01,
    "lagtime": 0.1, "states": 60, "skip": 4.0,
}  # fmt: skip


def test_a_variable_is_a_function_of_another_if_a_cubic_gives_it_back():
    x = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
    turned = x @ [[0.6, 0.8], [-0.8, 0.6]]
    assert explained_share(x, turned + 0.3 * turned**3) > 0.999
    # of the value that is explained least: nothing of the second is in the first
    assert abs(explained_share(x[:, :1], x)) < 0.02


def test_loops_without_an_end_are_foreseen_and_others_are_not(toy):
    assert foreseen(RAVE(RECIPE))
    assert not foreseen(MESA(RECIPE))
    assert not foreseen(SandCV(RECIPE))
    assert foreseen(MESA(RECIPE, settled=None))
    with pytest.raises(ValueError, match=r"settled = 1\.5; give a share"):
        MESA(RECIPE, settled=1.5)
    with pytest.raises(ValueError, match="give a free energy above zero"):
        RAVE(RECIPE, highest=0.0)


def test_a_committor_needs_two_sets_and_weights_that_make_sense(toy, tmp_path):
    with pytest.raises(ValueError, match="a and b missing; give regions"):
        CommittorLoop(RECIPE).plan(Store(tmp_path), 0)
    with pytest.raises(ValueError, match="strength = 1, floor = 0; give"):
        CommittorLoop(RECIPE, floor=0.0)
    a, b = SETS
    first = CommittorLoop(RECIPE, a=a, b=b).plan(Store(tmp_path), 0)
    assert [task.id for task in first] == ["starts/s1-c-1-starts-000", "starts/s2-c-1-starts-000"]


@pytest.mark.parametrize("kind", ["MESA", "SandCV", "RAVE"])
def test_a_study_names_them_and_what_they_learn_by(kind):
    table = {"system": {"molecule": "alanine_dipeptide"}, "campaign": {"kind": kind, "walkers": 4}}
    assert type(from_table(table).campaign).__name__ == kind
    table["campaign"]["learner"] = {"kind": "DiffusionMap", "dim": 1}
    assert from_table(table).campaign.learner.dim == 1
    table["campaign"]["setled"] = 0.9
    with pytest.raises(StudyError, match="settled" if kind != "RAVE" else "has no key"):
        from_table(table)


def test_what_is_known_of_a_distribution_is_made_flat_by_its_weights_and_goes_on_level_beyond():
    """Frames spread evenly with weights of a Gaussian: through kernels of width w, F is s^2 / 2 (1 + w^2)."""
    s, width, kT = np.random.default_rng(0).uniform(-3, 3, 40_000), 0.2, 2.5
    variable = SimpleNamespace(names=("s",), units=("",), periods=(None,))
    bias = WellTemperedMetadynamics(variable, -8.0, 8.0, width, height=1.0, bias_factor=5.0, kT=kT, stride=1)
    flat = FlatteningBias("models/none", (), highest=30.0)._flattening(bias, s[:, None], np.exp(-(s**2) / 2))
    places = np.linspace(-2, 2, 41)
    found = np.asarray(bias.grid.interpolated(flat.table, places[None].astype(np.float32))) / kT
    exact = -(places**2) / (2 * (1 + width**2))
    # 40,000 frames leave 2 % of noise at a width; kernels are cut off by the ends of what is known
    assert np.abs(found - found.mean() - exact + exact.mean()).max() < 0.08
    beyond = np.asarray(bias.grid.interpolated(flat.table, np.array([[5.0, 7.0]], np.float32)))
    assert abs(beyond[1] - beyond[0]) < 1e-3
    # F is 4.3 at the end of the frames, and rises by ln 330 = 5.8 to where kernels count fewer than ten of them
    assert -13 < beyond[0] / kT < -5
    with pytest.raises(ValueError, match="give longer walks"):
        FlatteningBias("models/none", (), highest=30.0)._flattening(bias, s[:5, None], np.ones(5))


@pytest.mark.long
def test_nothing_more_is_learned_once_the_variable_is_what_it_was(toy, tmp_path):
    """Two principal components of two features are the features, however long one looks."""
    policy = MESA(RECIPE, **SHORT, cycles=4, learner=PCA(dim=2), bias=HILLS)
    store = Store(tmp_path)
    drive(store, policy)
    for seed in policy.seeds:
        assert [store.has(policy.model(seed, cycle)) for cycle in range(4)] == [True, True, False, False]
        assert [any(map(store.has, policy.entries(seed, "drive", cycle))) for cycle in range(4)] == [
            True
        ] + 3 * [False]
        card = read_json(store.file(policy.model(seed, 1), "card.json"), "a variable")
        assert card["explained"] > 0.999
    assert policy.variable(store).card["swarms"] == [policy.entries(0, "swarm")]
    assert store.has(WEIGHTS)


@pytest.mark.long
def test_a_loop_that_is_stopped_anywhere_goes_on_to_the_same_end(toy, tmp_path):
    learner = VariationalAutoencoder(dim=1, hidden=(4,), steps=20, restarts=1)
    policy = RAVE(RECIPE, **SHORT, cycles=2, directions=2, learner=learner)
    drive(Store(tmp_path / "undisturbed"), policy)
    stopped = Store(tmp_path / "stopped")

    class Stop(BaseException):
        pass

    for after in (1, 2, 3):
        left = [after]

        def stop(round, task, done, total, seconds, left=left):
            left[0] -= seconds is not None
            if left[0] == 0:
                raise Stop

        with pytest.raises(Stop):
            drive(stopped, policy, observers=[stop])
    drive(stopped, policy)
    assert stopped.digest() == Store(tmp_path / "undisturbed").digest()


@pytest.mark.long
def test_the_committor_its_rate_and_free_energies_are_exact_where_all_three_are_known(toy, tmp_path):
    """The rate of overdamped dynamics is in the functional; exact ones are those of the grid."""
    ends = tmp_path / "ends.npy"
    np.save(ends, np.repeat([[one.center] for one in SETS], 4, axis=0))
    policy = CommittorLoop(
        RECIPE, **WHOLE | {"walkers": 8, "produce": 24.0, "segment": 24.0}, cycles=3, a=SETS[0], b=SETS[1],
        frames=str(ends), bias=OPES(barrier=15.0, stride=0.02), training=Training(**NETWORK),
    )  # fmt: skip
    store = Store(tmp_path / "store")
    drive(store, policy)
    inside = [lambda x, one=one: np.asarray(one.distance(x.T)) <= 0 for one in SETS]
    grid = Generator(MullerBrown(10.0), MullerBrown(10.0).domain, (144, 136), kT=1.0)
    exact, rate = grid.committor(*inside), grid.rate(*inside).forward
    undecided = (exact > 0.02) & (exact < 0.98) & (grid.reduced_energy < grid.reduced_energy.min() + 14)
    frames = WeightedFrames.read(store, WEIGHTS)
    for run, seed in enumerate(policy.seeds):
        last = [entry for entry in policy.entries(seed, "learn") if store.has(entry)][-1]
        model = LearnedVariable.read(store, last).map.model.model
        missed = model.transform(grid.points.T)[:, 0] - exact
        assert np.sqrt((missed[undecided] ** 2).mean()) < 0.1
        logs = frames.walks("log_weights", run)
        weights = [np.exp(walk - frames.log_weights.max()) for walk in logs]
        found = gradient_rates(model, Trajectories(frames.walks("features", run), weights=weights), 1.0)
        assert abs(found.forward.value - rate) < 3 * found.errors[1]
        assert found.errors[1] < 0.5 * rate
        lower = [walk[:, 1] < 0.75 for walk in frames.walks("features", run)]
        difference = free_energy_difference(lower, [~x for x in lower], logs, kT=1.0)
        assert abs(difference.value - MULLER_BROWN) < 3 * difference.error


NETWORK = {"hidden": (16, 16), "steps": 300, "restarts": 1}


@pytest.mark.long
def test_a_state_is_left_along_its_slowest_function_and_the_next_visit_begins_outside(toy, tmp_path):
    """A plain walker needs 1981 to leave the well: in the 42 of all in a visit, one does in 2 % of cases."""
    policy = LocalDiffusionMapLoop(
        RECIPE, seeds=(0, 3), walkers=8, visits=2, swarm=1.0, drive=0.5, free=0.2, tries=6, save_every=0.01,
        lagtime=0.05, bias=HILLS,
    )  # fmt: skip
    store = Store(tmp_path)
    drive(store, policy)
    for seed in policy.seeds:
        left = policy.exits(store, seed, 0)
        assert left is not None
        with np.load(store.folder(left) / "starts.npz") as arrays:
            # the state is above y = 0.9 or so
            assert (arrays["positions"][:, 0, 1] < 0.8).all()
        number = int(left[-3:])
        assert not store.has(left[:-3] + f"{number + 1:03d}")
        learned = read_json(store.file(f"models/s{seed}-v0-learn-000", "card.json"), "a variable")
        assert learned["method"] == "Surrogate"
    moving = policy.evidence(store).moving
    assert moving[0].segments == ("segments/s0-v0-swarm-000",)


LOOPS = {
    "MESA": MESA(RECIPE, **WHOLE, cycles=3, bias=HILLS, learner=Autoencoder(dim=2, **NETWORK)),
    "SandCV": SandCV(RECIPE, **WHOLE, cycles=3, bias=HILLS, learner=Isomap(dim=2, landmarks=100)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", LOOPS)
def test_every_loop_finds_the_exact_free_energy_from_one_well(name, toy, tmp_path):
    """Plain walks need 1981 to leave the well; each seed has 16 walkers for less than 80."""
    store, policy = Store(tmp_path), LOOPS[name]
    drive(store, policy)
    frames, found = WeightedFrames.read(store, WEIGHTS), []
    for run in range(len(policy.seeds)):
        lower = [walk[:, 1] < 0.75 for walk in frames.walks("features", run)]
        weights = frames.walks("log_weights", run)
        found.append(free_energy_difference(lower, [~x for x in lower], weights, kT=1.0))
        assert abs(found[-1].value - MULLER_BROWN) < 3 * found[-1].error
        assert found[-1].error < 0.6
    assert agreement(found).startswith("2 estimates agree")
