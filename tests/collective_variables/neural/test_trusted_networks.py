"""Networks are judged on what they never saw; what speaks against their times is said, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.covariances.slow_modes import nonreversible_modes
from thalweg.collective_variables.covariances.stationarity import unsymmetrized
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.memberships.deep_markov import DeepMarkovModel
from thalweg.collective_variables.neural.autoencoders import Autoencoder
from thalweg.collective_variables.neural.division import divided
from thalweg.collective_variables.neural.doubts import (
    SlowestFunction,
    _elsewhere,
    _growing,
    _uncertain,
    doubts,
)
from thalweg.collective_variables.neural.learned_basis import LearnedBasis, Training
from thalweg.collective_variables.neural.slow_networks import DCCA, SRV, VDE, TimeLaggedAutoencoder, VAMPnet
from thalweg.collective_variables.neural.slowness import ReversibleScore
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential
from thalweg.time_series.resampling import Estimate
from thalweg.time_series.trajectories import Trajectories

SMALL = {"hidden": (16,), "steps": 150, "restarts": 1, "batch": 1024, "learning_rate": 0.02}
LEARNERS = {
    "VAMPnet": lambda lag, **more: VAMPnet(lag, dim=1, **more),
    "memberships": lambda lag, **more: VAMPnet(lag, dim=1, output="memberships", **more),
    "SRV": lambda lag, **more: SRV(lag, dim=1, **more),
    "DCCA": lambda lag, **more: DCCA(lag, dim=1, **more),
    "TimeLaggedAutoencoder": TimeLaggedAutoencoder,
    "VDE": VDE,
    "DeepMarkovModel": lambda lag, **more: DeepMarkovModel(lag, states=2, **more),
}
every_learner = pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)


@pytest.fixture(scope="module")
def prinz():
    return Generator(PrinzPotential(), ((-1.2, 1.2),), 100)


def relaxation(timescales, frames, seed=0):
    """Processes that forget within ``timescales`` frames, of unit variance ``(frames, processes)``."""
    decay, random = np.exp(-1 / np.array(timescales)), np.random.default_rng(seed)
    noise = random.standard_normal((frames, len(decay))) * np.sqrt(1 - decay**2)
    values = np.zeros((frames, len(decay)))
    for t in range(1, frames):
        values[t] = decay * values[t - 1] + noise[t]
    return values


# parts of the data


@pytest.mark.parametrize("lengths", [(3000,), (40,) * 100, (2000, 37, 900, 12)])
@pytest.mark.parametrize("lagtime", [0, 1, 12])
def test_parts_share_no_frame_and_leave_a_gap_of_a_lag_time(lengths, lagtime):
    data = Trajectories([np.zeros((length, 1)) for length in lengths])
    parts = divided(data, lagtime, 0.3, seed=1)
    frames = np.zeros((3, len(lengths), max(lengths) + 2 * lagtime), bool)
    for part, pieces in enumerate(parts):
        for piece in pieces:
            assert piece.stop + lagtime <= lengths[piece.trajectory]
            frames[part, piece.trajectory, piece.start : piece.stop + lagtime] = True
    assert (frames.sum(axis=0) <= 1).all()
    # frames of one part, and a lag time on, are none of another
    later = np.roll(frames, lagtime, axis=2)
    for part in range(3):
        assert not (later[part] & np.delete(frames, part, axis=0).any(axis=0)).any()
    sizes = frames.sum(axis=(1, 2)) / frames.sum()
    assert (np.abs(sizes - [0.7, 0.15, 0.15]) < 0.12).all()


def test_data_too_short_for_three_parts_are_divided_in_two_and_that_is_told():
    data = Trajectories([relaxation([20.0], 60)])
    assert divided(data, 15, 0.3, seed=0).unseen == ()
    tica = TICA(15, dim=1).fit(data)
    asked = SlowestFunction(
        data, tica.functions, tica.modes, lambda sums: tica.modes, tica.timescale_errors, 15, ()
    )
    assert "too few to keep some from the network" in _elsewhere(asked)
    assert _elsewhere(replace(asked, unseen=None)) == ""


def test_frames_that_are_unseen_have_no_say_in_the_network():
    """Changed there, and there alone, data give the same weights (scaling apart, which knows no time)."""
    values = relaxation([30.0, 3.0], 2000)
    basis = LearnedBasis(ReversibleScore(2), 5, Training(hidden=(4,), steps=10, restarts=1))
    first = basis.fit(Trajectories([values]))
    assert first.unseen
    changed = values.copy()
    for piece in first.unseen:
        # the same frames in the other order: their mean and variance are as they were
        changed[piece.start : piece.stop] = changed[piece.start : piece.stop][::-1]
    again = basis.fit(Trajectories([changed]))
    np.testing.assert_allclose(first.functions(values), again.functions(values), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first.losses, again.losses, rtol=1e-5)


# what is said


def test_of_white_noise_a_network_says_that_it_has_learned_it_by_heart():
    noise = np.random.default_rng(0).standard_normal((800, 30))
    model = SRV(5, dim=1, **SMALL | {"restarts": 2}).fit(noise)
    assert model.functions.unseen
    assert any("never saw" in note for note in model.notes)


@pytest.mark.long
@every_learner
def test_white_noise_of_many_seeds_has_no_time_beyond_the_lag_without_a_note(learner):
    silent = 0
    for seed in range(10):
        noise = np.random.default_rng(seed).standard_normal((800, 30))
        model = learner(5, seed=seed, **SMALL).fit(noise)
        silent += bool(model.timescales[0] > 5 and not model.notes)
    assert silent <= 1


@pytest.mark.long
@every_learner
def test_short_runs_from_one_well_give_the_time_or_say_why_not(learner, prinz):
    exact = prinz.timescales(1)[0]
    for seed in range(4):
        runs = prinz.sample(400, 42, 0.01, start=lambda x: np.abs(x[0] + 0.22) < 0.05, seed=seed)
        model = learner(10, seed=seed, **SMALL).fit(Trajectories(runs, dt=0.01))
        assert abs(model.timescales[0] / exact - 1) < 0.15 or model.notes


@pytest.mark.long
@every_learner
def test_runs_at_equilibrium_give_the_time(learner, prinz):
    exact = prinz.timescales(1)[0]
    data = Trajectories(prinz.sample(10, 8000, 0.01, seed=0), dt=0.01)
    model = learner(10, **SMALL).fit(data)
    if learner is LEARNERS["DeepMarkovModel"]:
        # two states of four wells may be no pure ones; then it says so
        assert model.notes or abs(model.timescales[0] / exact - 1) < 0.2
        return
    assert abs(model.timescales[0] / exact - 1) < 0.2
    assert model.notes == ()


@pytest.mark.long
def test_an_autoencoder_that_has_learned_frames_by_heart_says_so():
    noise = np.random.default_rng(0).standard_normal((60, 20))
    learned = Autoencoder(dim=8, hidden=(64,), steps=300, restarts=1, learning_rate=0.02).fit(noise)
    assert any("learned by heart" in note for note in learned.notes)
    assert "learned by heart" in str(learned)
    line = np.random.default_rng(0).standard_normal((3000, 1)) * [1.0, 2.0]
    assert Autoencoder(dim=1, **SMALL).fit(line).notes == ()


@pytest.mark.long
@pytest.mark.parametrize("kind", [TimeLaggedAutoencoder, VDE])
def test_a_bottleneck_follows_slowness_of_whitened_features_and_says_where_it_follows_variance(kind):
    """Five processes, the fastest the loudest, mixed into five features."""
    times, random = [100.0, 40.0, 20.0, 10.0, 5.0], np.random.default_rng(3)
    mixed = relaxation(times, 20_000) * [1, 2, 2, 3, 3] @ random.standard_normal((5, 5))
    model = kind(10, **SMALL).fit(mixed)
    error = model.timescale_errors(samples=40).error[0]
    assert abs(model.timescales[0] - 100) < 3 * error < 60
    loud = kind(10, scales="deviations", **SMALL | {"steps": 20}).fit(mixed)
    assert any("variance" in note for note in loud.notes)
    assert not any("variance" in note for note in model.notes)


def test_a_mixture_of_slow_and_fast_is_said_to_be_too_short():
    slow, fast = relaxation([100.0, 5.0], 40_000).T
    sums = 0.7 * slow + 0.7 * fast
    claimed = -10 / np.log(np.corrcoef(sums[:-10], sums[10:])[0, 1])
    assert claimed < 30
    assert "too short" in _growing(Trajectories([sums[:, None]]), claimed, 10)
    pure = -10 / np.log(np.corrcoef(slow[:-10], slow[10:])[0, 1])
    assert _growing(Trajectories([slow[:, None]]), pure, 10) == ""


def test_runs_out_of_equilibrium_say_how_well_they_know_a_time():
    random = np.random.default_rng(0)
    runs = [np.linspace(0, 1, 20)[:, None] + 0.3 * random.standard_normal((20, 1)) for _ in range(50)]
    wide, narrow = (
        Estimate(np.array([100.0]), 100 + width * random.standard_normal((100, 1)), 40) for width in (20, 2)
    )
    away = Trajectories(runs)
    assert "known between" in _uncertain(away, lambda: wide)
    assert _uncertain(away, lambda: narrow) == ""
    at_rest = Trajectories([0.3 * random.standard_normal((20, 1)) for _ in range(50)])
    assert _uncertain(at_rest, lambda: wide) == ""
    lost = Estimate(np.array([100.0]), np.full((100, 1), np.nan), 40)
    assert "not at all" in _uncertain(away, lambda: lost)


# one that fails


@dataclass(frozen=True)
class Fragile:
    """A score that raises for some of the starts, or is no number from some step on."""

    score: ReversibleScore = ReversibleScore(2)  # noqa: RUF009
    fails: frozenset = frozenset()
    started: list = field(default_factory=list, compare=False, hash=False)

    def start(self, scaling, hidden, key):
        self.started.append(key)
        if len(self.started) - 1 in self.fails:
            raise RuntimeError("no memory of this start")
        return self.score.start(scaling, hidden, key)

    def __call__(self, module, batch):
        return self.score(module, batch)

    def functions(self, module):
        return self.score.functions(module)


def fragile(fails, restarts=3):
    objective = Fragile(fails=frozenset(fails))
    return LearnedBasis(objective, 5, Training(hidden=(4,), steps=10, restarts=restarts))


def test_a_start_that_fails_is_told_and_the_others_stand():
    data = Trajectories([relaxation([30.0], 1000)])
    with pytest.warns(UserWarning, match="1 of 3 starts of the network failed.*no memory of this start"):
        learned = fragile({1}).fit(data)
    assert np.isnan(learned.losses).tolist() == [False, True, False]
    assert any("1 of 3 starts" in note for note in learned.notes)
    assert "1 of 3 starts" in str(learned)
    with pytest.raises(ValueError, match="all 3 starts of the network failed; first, 0: no memory"):
        fragile({0, 1, 2}).fit(data)


def test_what_the_observer_raises_ends_all_starts():
    class Cancelled(Exception):
        pass

    def cancel(text, done):
        raise Cancelled

    calls = fragile(())
    with pytest.raises(Cancelled):
        replace(calls, training=replace(calls.training, progress=cancel)).fit(
            Trajectories([relaxation([30.0], 1000)])
        )
    assert len(calls.objective.started) == 1


def test_a_question_that_cannot_be_asked_is_a_sentence():
    data = Trajectories([relaxation([30.0, 10.0], 2000)])
    model = SRV(5, dim=1, hidden=(4,), steps=10, restarts=1).fit(data)

    def broken(*_):
        raise RuntimeError("this one broke")

    slowest = SlowestFunction(data, model.functions, model.modes, broken, broken, 5, model.functions.unseen)
    said = doubts(slowest)
    assert any("could not be looked for: this one broke" in sentence for sentence in said)
    silent = replace(
        slowest, unseen=None, modes_of=lambda sums: nonreversible_modes(unsymmetrized(sums, 1e-6), sums)
    )
    assert not any("broke" in sentence for sentence in doubts(silent))


def test_a_learned_whitening_has_gradients():
    data = Trajectories([relaxation([30.0, 10.0], 2000) @ np.array([[1.0, 0.9], [0.0, 0.1]])])
    model = TimeLaggedAutoencoder(5, hidden=(4,), steps=20, restarts=1).fit(data)
    gradient = jax.grad(lambda x: model.transform(x[None])[0, 0])(jnp.array([0.3, 0.2]))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 1e-3
