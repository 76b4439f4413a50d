"""TICA finds the slow coordinates, also from short runs that did not start at equilibrium."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.collective_variables.linear.tica import TICA
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential
from thalweg.time_series.trajectories import Trajectories


@pytest.fixture(scope="module")
def prinz():
    return Generator(PrinzPotential(), ((-1.2, 1.2),), 100)


def gaussians(x):
    return np.exp(-((x - np.linspace(-1.2, 1.2, 20)) ** 2) / (2 * 0.15**2))


@pytest.fixture(scope="module")
def mixed():
    """Two hidden relaxation processes of known decay, mixed by a known matrix."""
    random = np.random.default_rng(3)
    decay = np.array([0.98, 0.9])
    hidden = np.zeros((60000, 2))
    noise = random.standard_normal(hidden.shape) * np.sqrt(1 - decay**2)
    for t in range(1, len(hidden)):
        hidden[t] = decay * hidden[t - 1] + noise[t]
    return hidden, hidden @ np.array([[2.0, 1.0], [-1.0, 3.0]])


def test_mixed_relaxations_are_unmixed_with_their_timescales(mixed):
    hidden, x = mixed
    model = TICA(lagtime=5, dim=2).fit(Trajectories([x], dt=0.5))
    assert model.estimate == "stationary"
    correlation = np.corrcoef(model.transform(x).T, hidden.T)[:2, 2:]
    np.testing.assert_allclose(np.abs(correlation), np.eye(2), atol=0.1)
    expected = -0.5 / np.log([0.98, 0.9])
    errors = model.timescale_errors().error
    assert (np.abs(model.timescales - expected) < 3 * errors).all()


def test_timescales_and_coordinates_equal_those_of_deeptime(mixed):
    decomposition = pytest.importorskip("deeptime.decomposition")
    _, x = mixed
    ours = TICA(lagtime=5, dim=2).fit(x)
    theirs = decomposition.TICA(lagtime=5, dim=2).fit_fetch(x)
    np.testing.assert_allclose(ours.timescales, theirs.timescales(lagtime=5), rtol=1e-4)
    same = np.corrcoef(ours.transform(x)[:, 0], theirs.transform(x)[:, 0])[0, 1]
    assert abs(same) > 1 - 1e-6


def test_short_runs_from_one_well_give_the_slowest_timescale(prinz):
    exact = prinz.timescales(1)[0]
    runs = prinz.sample(500, 417, 1e-3, start=lambda x: np.abs(x[0] + 0.22) < 0.02, seed=1)
    data = Trajectories([gaussians(x) for x in runs], dt=1e-3)
    model = TICA(lagtime=50, dim=1).fit(data)
    assert model.estimate == "reweighted"
    assert abs(model.timescales[0] / exact - 1) < 0.15
    assert model.discrepancy < 0.1
    symmetrized = covariances(data, 50)
    naive = np.linalg.eigvals(
        np.linalg.pinv(symmetrized.c00 + symmetrized.ctt, rcond=1e-7, hermitian=True)
        @ (symmetrized.c0t + symmetrized.c0t.T)
    )
    assert -0.05 / np.log(naive.real.max()) < 0.6 * exact


def test_runs_from_equilibrium_give_the_timescale_within_its_error(prinz):
    exact = prinz.timescales(2)
    model = TICA(lagtime=50, dim=2).fit(
        Trajectories([gaussians(x) for x in prinz.sample(40, 5000, 1e-3, seed=2)], dt=1e-3)
    )
    estimate = model.timescale_errors()
    assert (np.abs(estimate.value - exact) < 3 * estimate.error).all()
    assert (estimate.error < 0.2 * exact).all()


def test_weights_that_turn_negative_are_refused_with_the_reason():
    random = np.random.default_rng(0)
    runs = [np.linspace(0, 1, 20)[:, None] ** 2 + 0.01 * random.standard_normal((20, 1)) for _ in range(20)]
    model = TICA(lagtime=5, dim=1).fit(runs)
    assert model.estimate == "nonreversible"
    assert "negative" in model.reason or "above one" in model.reason


def test_parts_that_do_not_exchange_are_found():
    random = np.random.default_rng(0)
    sides = [np.full((200, 1), float(side)) for side in (0, 0, 1)]
    noise = [np.cumsum(random.standard_normal((200, 1)), axis=0) + 0.1 * k for k in range(3)]
    model = TICA(lagtime=5, dim=1).fit([np.hstack([s, n]) for s, n in zip(sides, noise)])
    assert model.estimate == "nonreversible"
    assert "do not exchange" in model.reason


def test_covariances_alone_cannot_be_weighted(prinz):
    runs = prinz.sample(50, 400, 1e-3, start=lambda x: x[0] < -0.6, seed=1)
    model = TICA(lagtime=20, dim=1).fit(covariances([gaussians(x) for x in runs], 20))
    assert (model.estimate, model.reason) == (
        "nonreversible",
        "weights need the data, only covariances were given",
    )


def test_constant_and_collinear_features_are_dropped_and_named(mixed):
    _, x = mixed
    more = np.column_stack([x, np.full(len(x), 3.0), x[:, 0] - x[:, 1]])
    plain, model = TICA(lagtime=5).fit(x), TICA(lagtime=5).fit(more)
    np.testing.assert_allclose(model.timescales, plain.timescales, rtol=1e-8)
    assert any("constant features were dropped: 2" in note for note in model.notes)
    assert any("1 of 3 directions" in note for note in model.notes)


def test_the_units_of_features_do_not_matter(mixed):
    _, x = mixed
    model = TICA(lagtime=5).fit(x * np.array([1e-6, 1e5]))
    np.testing.assert_allclose(model.timescales, TICA(lagtime=5).fit(x).timescales, rtol=1e-8)


def test_raw_angles_are_warned_of():
    random = np.random.default_rng(0)
    turning = np.mod(np.cumsum(0.3 * random.standard_normal((3000, 1)), axis=0), 2 * np.pi) - np.pi
    data = Trajectories([np.hstack([turning, random.standard_normal((3000, 1))])], names=["psi", "noise"])
    with pytest.warns(UserWarning, match=r"feature 0 \(psi\) look like raw angles"):
        model = TICA(lagtime=5).fit(data)
    assert model.notes


@pytest.mark.parametrize("scaling", ["unit", "kinetic_map", "commute_map"])
def test_coordinates_have_the_length_their_scaling_says(mixed, scaling):
    _, x = mixed
    model = TICA(lagtime=5, dim=2, scaling=scaling).fit(x)
    lengths = {
        "unit": np.ones(2),
        "kinetic_map": model.eigenvalues[:2],
        "commute_map": np.sqrt(model.timescales[:2] / 10),
    }
    np.testing.assert_allclose(model.transform(x).std(axis=0), lengths[scaling], rtol=1e-2)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (TICA(lagtime=5, dim=3), "dim=3 must lie between 1 and the rank of the functions, 2"),
        (TICA(lagtime=70000), "lagtime=70000 leaves no pairs in a trajectory of 60000 frames"),
    ],
)
def test_wrong_settings_are_explained(mixed, method, message):
    with pytest.raises(ValueError, match=message):
        method.fit(mixed[1])


def test_data_that_do_not_move_are_refused():
    with pytest.raises(ValueError, match="all features are constant"):
        TICA(lagtime=1).fit(np.ones((100, 2)))
