"""The variational approach, its kinds and its scores, on processes whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.bases.fourier import Fourier
from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.collective_variables.bases.kernels import Landmarks, RandomWaves
from thalweg.collective_variables.linear.dynamic_modes import DMD, EDMD
from thalweg.collective_variables.linear.integrated_vac import IntegratedVAC
from thalweg.collective_variables.linear.kernel_tica import KernelTICA
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.collective_variables.linear.vamp import VAMP
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential
from thalweg.time_series.cross_validation import Folds, ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories


@pytest.fixture(scope="module")
def prinz():
    return Generator(PrinzPotential(), ((-1.2, 1.2),), 100)


@pytest.fixture(scope="module")
def equilibrium(prinz):
    return Trajectories(list(prinz.sample(40, 2500, 1e-3, seed=2)), dt=1e-3)


@pytest.fixture(scope="module")
def from_one_well(prinz):
    runs = prinz.sample(500, 417, 1e-3, start=lambda x: np.abs(x[0] + 0.22) < 0.02, seed=1)
    return Trajectories(list(runs), dt=1e-3)


@pytest.mark.parametrize(
    "method",
    [
        VAC(50, 2, Landmarks(30, width=0.3)),
        VAC(50, 2, RandomWaves(60, width=0.4)),
        VAC(50, 2, Indicators(np.linspace(-1.1, 1.1, 25)[:, None])),
        VAC(50, 2, Fourier(periods=3.0, order=8)),
        VAMP(50, 2, Landmarks(30, width=0.3)),
    ],
    ids=lambda method: f"{type(method).__name__} {type(method.basis).__name__}",
)
def test_two_timescales_at_equilibrium_within_three_errors(method, prinz, equilibrium):
    estimate = method.fit(equilibrium).timescale_errors(samples=50)
    assert (np.abs(estimate.value - prinz.timescales(2)) < 3 * estimate.error).all()
    assert (estimate.error < 0.35 * prinz.timescales(2)).all()


def test_coordinates_are_the_exact_eigenfunctions(prinz, equilibrium):
    model = VAC(50, 3, Landmarks(40), scaling="unit").fit(equilibrium)
    x = np.linspace(-0.9, 0.9, 200)[:, None]
    found, exact = model.transform(x), prinz.eigenfunctions(4)
    weights = np.exp(-PrinzPotential().energy(x.T))
    for k in range(3):
        function = prinz.interpolated(exact[k + 1], x)
        overlap = (weights * found[:, k] * function).sum()
        size = np.sqrt((weights * found[:, k] ** 2).sum() * (weights * function**2).sum())
        assert abs(overlap) / size > 0.99


def test_short_runs_from_one_well_give_the_slowest_time_by_every_method(prinz, from_one_well):
    exact, kernels = prinz.timescales(1)[0], Landmarks(30, width=0.3)
    found = [
        VAC(50, 1, kernels).fit(from_one_well).timescales[0],
        VAMP(50, 1, kernels).fit(from_one_well).timescales[0],
        EDMD(50, kernels, cutoff=1e-6).fit(from_one_well).timescales[1],
        IntegratedVAC(20, 120, 1, kernels).fit(from_one_well).timescales[0],
    ]
    np.testing.assert_allclose(found, exact, rtol=0.15)


def test_kernel_tica_finds_a_width_that_resolves_the_wells(prinz, equilibrium):
    model = KernelTICA(50, dim=3, landmarks=40).fit(equilibrium)
    exact = prinz.timescales(3)
    assert (np.abs(model.timescales[:3] - exact) < 3 * model.timescale_errors(50).error).all()
    assert 0.05 < model.method.basis.bases[1].width < 1.0


def test_integration_over_lags_is_exact_for_sums_of_exponentials():
    random, decay = np.random.default_rng(3), np.array([0.995, 0.9])
    x = np.zeros((100_000, 2))
    noise = random.standard_normal(x.shape) * np.sqrt(1 - decay**2)
    for t in range(1, len(x)):
        x[t] = decay * x[t - 1] + noise[t]
    model = IntegratedVAC(5, 200).fit(Trajectories([x @ [[1.0, 2.0], [3.0, -1.0]]], dt=2.0))
    np.testing.assert_allclose(model.timescales, -2 / np.log(decay), rtol=0.15)


def test_dynamic_modes_of_a_damped_rotation_are_its_eigenvalues():
    angle, damping, steps = 0.2, 0.98, np.arange(120)
    turning = damping**steps * np.exp(1j * angle * steps)
    x = np.stack([turning.real, turning.imag, turning.real + turning.imag], axis=1)
    model = DMD(lagtime=2).fit(Trajectories([x], dt=0.5))
    np.testing.assert_allclose(np.sort(model.frequencies), np.array([-1, 1]) * angle / (np.pi), rtol=1e-8)
    np.testing.assert_allclose(model.timescales, -0.5 / np.log(damping), rtol=1e-8)
    np.testing.assert_allclose(model.predict(x[:20], steps=5), x[10:30], atol=1e-10)
    assert model.notes == ("1 of 3 directions are combinations of the others and were dropped",)
    shifted = EDMD(lagtime=2).fit(Trajectories([x + 7.0], dt=0.5))
    np.testing.assert_allclose(shifted.predict(x[:20] + 7.0, steps=5), x[10:30] + 7.0, atol=1e-8)


def test_eigenfunctions_shrink_by_their_eigenvalues_on_average(equilibrium):
    model = EDMD(20, Landmarks(15, width=0.4), cutoff=1e-6).fit(equilibrium)
    start = np.concatenate([block[:-20] for block in equilibrium.blocks])
    end = np.concatenate([block[20:] for block in equilibrium.blocks])
    now, later = model.eigenfunctions(start)[:, :3], model.eigenfunctions(end)[:, :3]
    slope = (now.conj() * later).mean(axis=0) / (np.abs(now) ** 2).mean(axis=0)
    np.testing.assert_allclose(slope, model.eigenvalues[:3], atol=0.02)


def test_exact_scores_are_approached_from_below(prinz, equilibrium):
    exact = 1 + np.exp(-2 * 0.05 / prinz.timescales(3)).sum()
    result = cross_validate(VAMP(50, 3, Landmarks(30, width=0.3)), equilibrium, ShuffleSplit(4))
    assert abs(result.mean - exact) < 3 * result.error + 0.02
    assert result.held_out.shape == (4,)


def test_useless_functions_raise_training_scores_only():
    random = np.random.default_rng(5)
    noise = Trajectories([random.standard_normal((300, 40)) for _ in range(10)])
    result = cross_validate(VAMP(1, 10), noise, Folds(5))
    assert np.nanmean(result.training) > 1.3
    assert result.mean < 1 + 1.5 * 10**2 / 600


def test_long_trajectories_are_divided_and_no_pair_is_shared():
    seen = []

    class Recorder:
        def fit(self, data):
            seen.append(data)
            return self

        def score(self, data, r=2):
            seen.append(data)
            return 0.0

    data = Trajectories([np.arange(1000.0)[:, None], np.arange(2000.0, 2040.0)[:, None]])
    cross_validate(Recorder(), data, ShuffleSplit(1), parts=10)
    training, _, held_out = (np.concatenate(part.blocks).ravel() for part in seen)
    assert not set(training) & set(held_out)
    assert len(training) + len(held_out) == 1040


def test_a_split_without_a_model_is_told_and_survived():
    runs = [np.zeros((200, 1)) for _ in range(5)] + [np.random.default_rng(0).standard_normal((200, 1))]
    result = cross_validate(TICA(1, dim=1), Trajectories(runs), ShuffleSplit(6), parts=6)
    assert 0 < len(result.failures) < 6
    assert "constant" in next(iter(result.failures.values()))


def test_sparse_coordinates_name_the_slow_features_among_many():
    random = np.random.default_rng(2)
    x = 7 * random.standard_normal((30_000, 60))
    slow = np.zeros((len(x), 2))
    for t in range(1, len(x)):
        slow[t] = np.array([0.99, 0.95]) * slow[t - 1] + random.standard_normal(2)
    x[:, 7] += slow[:, 0]
    x[:, 21] -= slow[:, 0]
    x[:, 40] += 4 * slow[:, 1]
    names = [f"d{i}" for i in range(60)]
    model = SparseTICA(10, dim=2, keep=0.9).fit(Trajectories([x], dt=0.1, names=names))
    assert set(model.supports[0]) == {7, 21}
    assert 40 in model.supports[1][:1]
    np.testing.assert_allclose(model.timescales[0], model.dense.timescales[0], rtol=0.1)
    values = model.transform(x)
    np.testing.assert_allclose(values.var(axis=0), 1, rtol=0.05)
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.05
    assert "d7" in str(model)


@pytest.mark.parametrize("method", [VAC(1, 1, Landmarks(20)), VAMP(1, 1), VAC(1, 1, Fourier())], ids=str)
def test_raw_angles_raise_a_warning_in_every_basis_but_that_of_waves(method):
    angle = np.random.default_rng(0).standard_normal((4000, 1)).cumsum(axis=0) / 5 % (2 * np.pi)
    data = Trajectories([angle], names=["phi"])
    if isinstance(method.basis, Fourier):
        assert method.fit(data).notes == ()
        return
    with pytest.warns(UserWarning, match="phi.* look like raw angles"):
        assert "raw angles" in method.fit(data).notes[0]


def test_one_giant_run_and_a_thousand_tiny_ones_are_told_apart():
    random = np.random.default_rng(0)
    runs = [random.standard_normal((20_000, 2)).cumsum(axis=0) % 40, *random.standard_normal((1000, 3, 2))]
    model = VAC(5, 1, Landmarks(20)).fit(Trajectories(runs))
    assert (model.covariances.report.used[1:] == 0).all()
    assert "1000 trajectories too short to give any" in str(model.covariances.report)


def test_modes_of_a_damped_rotation_have_errors_that_cover_its_decay_and_frequency():
    random, angle, decay = np.random.default_rng(5), 0.2, 0.98
    turn = decay * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    runs = np.zeros((20, 2000, 2))
    for t in range(1, 2000):
        runs[:, t] = runs[:, t - 1] @ turn.T + random.standard_normal((20, 2))
    data = Trajectories(list(runs[:, 200:]), dt=0.1)
    for model in (DMD(2).fit(data), EDMD(2).fit(data)):
        times, turns = model.timescale_errors(50), model.frequency_errors(50)
        slow = np.abs(turns.value) > 0.1
        assert slow.sum() == 2
        exact = -0.1 / np.log(decay), angle / (2 * np.pi * 0.1)
        assert (np.abs(times.value - exact[0]) < 3 * times.error)[slow].all()
        assert (np.abs(np.abs(turns.value) - exact[1]) < 3 * turns.error)[slow].all()
        assert (times.error < 0.1 * exact[0])[slow].all()
