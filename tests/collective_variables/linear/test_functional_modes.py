"""The motion that goes with a function: known modes, functions without a part in the motion, mutants."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression

from thalweg.collective_variables.interpretation.ranking import group_amplitudes
from thalweg.collective_variables.linear.functional_modes import FunctionalModes
from thalweg.collective_variables.linear.least_squares_paths import PartialLeastSquares, PrincipalComponents
from thalweg.time_series.trajectories import Trajectories

ATOMS = 20
LENGTHS = (900, 400, 700, 150, 850)


def _motion(seed: int, lengths=LENGTHS, memory: int = 5):
    """Relaxing positions (memory in frames) with correlated atoms, and their covariance."""
    random = np.random.default_rng(seed)
    shape = np.random.default_rng(7).standard_normal((3 * ATOMS, 3 * ATOMS)) / np.sqrt(3 * ATOMS)
    scale = shape * (0.02 + 0.2 * 0.8 ** np.arange(3 * ATOMS))
    keep = np.exp(-1 / memory)
    runs = []
    for length in lengths:
        noise = random.standard_normal((length, 3 * ATOMS))
        for t in range(1, length):
            noise[t] = keep * noise[t - 1] + np.sqrt(1 - keep**2) * noise[t]
        runs.append(5.0 + noise @ scale.T)
    return runs, scale @ scale.T


def _direction() -> np.ndarray:
    """Only atoms 3 and 11 have a part in the function."""
    direction = np.zeros(3 * ATOMS)
    direction[[9, 10, 33, 35]] = 1.0, -0.5, -1.0, 0.7
    return direction


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@pytest.mark.parametrize("path", [PartialLeastSquares(), PrincipalComponents()])
def test_all_directions_of_a_path_are_ordinary_least_squares(path):
    random = np.random.default_rng(0)
    x = random.standard_normal((100, 6)) @ random.standard_normal((6, 6))
    y = random.standard_normal(100)
    exact = LinearRegression(fit_intercept=False).fit(x, y).coef_
    np.testing.assert_allclose(path(x, y, 6)[-1], exact, rtol=1e-7)
    few = path(x[:4], y[:4], 9)
    np.testing.assert_allclose(x[:4] @ few[-1], y[:4], atol=1e-8)


def test_partial_least_squares_are_those_of_another_implementation():
    random = np.random.default_rng(1)
    x = random.standard_normal((80, 30)) @ random.standard_normal((30, 30))
    y = random.standard_normal(80) + x[:, 0]
    x, y = x - x.mean(axis=0), y - y.mean()
    ours = PartialLeastSquares()(x, y, 5)
    for k in range(5):
        theirs = PLSRegression(k + 1, scale=False, tol=1e-12, max_iter=10000).fit(x, y)
        np.testing.assert_allclose(ours[k], theirs.coef_[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("path", [PartialLeastSquares(), PrincipalComponents()])
def test_a_known_mode_is_found_in_runs_of_mixed_lengths_with_one_part_noise_to_three(path):
    runs, covariance = _motion(0)
    direction, random = _direction(), np.random.default_rng(3)
    clean = [run @ direction for run in runs]
    deviation = np.concatenate(clean).std()
    function = [(each + deviation / 3 * random.standard_normal(len(each)))[:, None] for each in clean]
    model = FunctionalModes(most=40, path=path).fit(Trajectories(runs), function)
    exact = covariance @ direction / np.sqrt(direction @ covariance @ direction)
    assert model.predictable
    assert _cosine(model.ensemble, exact) > 0.95
    assert np.corrcoef(model.transform(np.concatenate(runs))[:, 0], np.concatenate(clean))[0, 1] > 0.95
    # 1 / sqrt(1 + 1/9) is what noise leaves at most
    assert 0.9 < model.correlation < np.sqrt(0.9) + 3 * model.held_out_error
    assert model.score(runs, function) == pytest.approx(model.training, abs=1e-9)
    assert np.mean(np.abs(model.ensemble - exact) < 3 * model.ensemble_errors) > 0.9
    step = model.along(np.array([1.0]))
    assert model.transform(step)[0, 0] - model.offset == pytest.approx(
        float(
            np.sqrt(model.loadings[:, 0] @ np.cov(np.concatenate(runs).T, bias=True) @ model.loadings[:, 0])
        )
    )


def test_functions_without_a_part_in_the_motion_are_refused_although_training_predicts_them():
    found = []
    for seed in range(4):
        runs, _ = _motion(10 + seed, (300, 300))
        slow, _ = _motion(20 + seed, (300, 300), memory=40)
        found.append(FunctionalModes(components=20, samples=2).fit(runs, [run[:, :1] for run in slow]))
    assert all(model.training > 0.5 for model in found)
    refused = [model for model in found if not model.predictable]
    assert len(refused) >= 3, "one in twenty may be predicted by chance, two of four are one in a hundred"
    assert any("not predictable" in note for note in refused[0].notes)
    assert "NOT predictable" in str(refused[0])


@pytest.mark.long
def test_functions_without_a_part_are_called_predictable_once_in_twenty():
    found = []
    for seed in range(100):
        runs, _ = _motion(1000 + seed, (200, 150, 250))
        slow, _ = _motion(5000 + seed, (200, 150, 250), memory=20)
        model = FunctionalModes(most=8, shifts=19, samples=2).fit(runs, [run[:, :1] for run in slow])
        found.append(model.predictable)
    # 5 % of 100 and three standard errors of a binomial
    assert np.sum(found) <= 5 + 3 * np.sqrt(100 * 0.05 * 0.95)


def test_a_mutant_is_told_from_the_wild_type_by_its_residues():
    runs, _ = _motion(4, (120,) * 12)
    moved = np.zeros(3 * ATOMS)
    moved[3 * 5 : 3 * 5 + 3] = 0.1
    labels = [float(k % 2) for k in range(12)]
    mutants = [run + label * moved for run, label in zip(runs, labels)]
    function = [np.full((120, 1), label) for label in labels]
    model = FunctionalModes(most=10).fit(mutants, function)
    assert model.predictable
    assert model.amplitudes([f"RES{k}" for k in range(ATOMS)]).names[0] == "RES5"
    assert not FunctionalModes(most=10).fit(runs, function).predictable


def test_weights_count_as_frames_that_occur_as_often():
    runs, _ = _motion(5, (60, 80))
    function = [run @ _direction()[:, None] + 0.1 * run[:, :1] ** 2 for run in runs]
    random = np.random.default_rng(0)
    times = [random.integers(1, 4, len(run)) for run in runs]
    settings = FunctionalModes(components=4, folds=2, n_blocks=2, samples=2)
    weighted = settings.fit(Trajectories(runs, weights=[each.astype(float) for each in times]), function)
    repeated = settings.fit(
        [np.repeat(run, each, axis=0) for run, each in zip(runs, times)],
        [np.repeat(values, each, axis=0) for values, each in zip(function, times)],
    )
    np.testing.assert_allclose(weighted.loadings, repeated.loadings, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(weighted.ensemble, repeated.ensemble, rtol=1e-6, atol=1e-9)


def test_the_prediction_is_a_variable_that_jax_follows(tmp_path):
    runs, _ = _motion(6, (100, 100))
    model = FunctionalModes(components=3).fit(runs, lambda frames: frames[:, :1])
    values = model.transform(jnp.asarray(runs[0][:5], jnp.float32))
    np.testing.assert_allclose(values, model.transform(runs[0][:5]), rtol=1e-4)
    again = type(model).load(model.save(tmp_path / "mode.npz"))
    np.testing.assert_array_equal(again.ensemble, model.ensemble)


def test_amplitudes_of_residues_are_lengths_of_their_atoms():
    names, lengths = group_amplitudes(np.array([[3.0, 4, 0, 0, 0, 5, 0, 0, 2]]), ["A", "A", "B"])
    assert names == ("A", "B")
    np.testing.assert_allclose(lengths, [[5.0, 2.0]])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda frames: frames[:, :2], "2 functions; give one number"),
        (lambda frames: 0 * frames[:, :1] + 3, "the function is 3 in all frames"),
        ([np.zeros((99, 1)), np.zeros((100, 1))], "give one row of values for each frame"),
    ],
)
def test_what_is_no_function_of_the_frames_is_refused(function, message):
    with pytest.raises(ValueError, match=message):
        FunctionalModes().fit(_motion(0, (100, 100))[0], function)


def test_settings_that_tell_nothing_are_refused():
    with pytest.raises(ValueError, match="give 19 or more"):
        FunctionalModes(shifts=5)
    with pytest.raises(ValueError, match="must be positive"):
        FunctionalModes(most=0)
    with pytest.raises(ValueError, match="make no 5 folds"):
        FunctionalModes().fit(_motion(0, (10, 10))[0][0][:3], lambda frames: frames[:, :1])
    with pytest.raises(ValueError, match="a group for each atom"):
        group_amplitudes(np.zeros(4), ["A"])
