"""A basis in one file of the user's own is a basis like any other: solved in, scored, saved, named by a study."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import registry
from thalweg.collective_variables.bases.basis import Basis, Features, Functions, SideBySide, Then
from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.linear.dynamic_modes import EDMD
from thalweg.collective_variables.linear.integrated_vac import IntegratedVAC
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.collective_variables.linear.vamp import VAMP
from thalweg.learning.storage import load_tree, save_tree
from thalweg.studies.tables.doors import DOORS, LEARNERS
from thalweg.studies.tables.language import StudyError, choose
from thalweg.time_series.cross_validation import ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories

FILE = Path(__file__).with_name("own_basis.py")

RATE = 0.01
"""Probability per frame to leave the middle, and to come back."""

SLOWEST = -1 / np.log(1 - 2 * RATE)
"""Relaxation time of the sides [frames]: their autocorrelation is ``(1 - 2 RATE)^t``."""

WITHIN = 0.2
"""Relative deviation from it that is allowed: three standard errors of a rate from 300 changes of side."""

METHODS = (VAC, VAMP, EDMD, IntegratedVAC)


def fitted(method, basis, data):
    """The method in a basis, at a lag time of five frames, or of one to ten."""
    if method is EDMD:
        return EDMD(5, basis=basis).fit(data)
    if method is IntegratedVAC:
        return IntegratedVAC(1, 10, dim=1, basis=basis).fit(data)
    return method(5, dim=1, basis=basis).fit(data)


def slowest(model):
    """The longest time scale that is finite."""
    times = np.asarray(model.timescales)
    return float(np.nanmax(times[np.isfinite(times)]))


@pytest.fixture
def plugin(monkeypatch):
    """The user's file, named for this process."""
    monkeypatch.setenv(registry.WITH, "")
    registry.name_files([FILE])
    return registry.plugin("own_basis")


@pytest.fixture(scope="module")
def data():
    """A particle in the middle or, equally far, to its left or right: linear functions cannot tell these apart."""
    random = np.random.default_rng(0)
    blocks = []
    for _ in range(5):
        outside = (np.cumsum(random.random(6000) < RATE) + random.integers(2)) % 2
        place = 2.0 * outside * random.choice([-1.0, 1.0], 6000) + 0.3 * random.standard_normal(6000)
        blocks.append(np.stack([place, random.standard_normal(6000)], axis=1))
    return Trajectories(blocks)


def test_it_is_a_basis_and_its_functions_are_functions(plugin, data):
    basis = plugin.Steps(6)
    functions = basis.fit(data)
    assert isinstance(basis, Basis)
    assert isinstance(functions, Functions)
    assert functions(data.blocks[0][:7]).shape == (7, len(functions.names)) == (7, 12)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_every_variational_method_finds_in_it_the_process_that_features_cannot_show(method, plugin, data):
    assert slowest(fitted(method, plugin.Steps(9), data)) == pytest.approx(SLOWEST, rel=WITHIN)
    assert not np.nanmax(np.nan_to_num(TICA(5, dim=1).fit(data).timescales)) > 0.1 * SLOWEST


def test_it_stands_beside_other_bases_and_after_them(plugin, data):
    beside = VAC(5, 1, SideBySide((Features(), plugin.Steps(9)))).fit(data)
    after = VAC(5, 1, Then(Polynomials(2), plugin.Steps(9))).fit(data)
    for model in (beside, after):
        assert model.timescales[0] == pytest.approx(SLOWEST, rel=WITHIN)


def test_held_out_scores_prefer_it_to_the_features(plugin, data):
    splits = ShuffleSplit(3)
    own = cross_validate(VAC(5, 1, plugin.Steps(9)), data, splits)
    linear = cross_validate(VAC(5, 1), data, splits)
    # VAMP-2 of the constant and of one function of correlation exp(-5 / t)
    assert own.mean == pytest.approx(1 + np.exp(-10 / SLOWEST), abs=0.05)
    assert linear.mean < 1.05


@pytest.mark.parametrize("method", METHODS[:3], ids=lambda method: method.__name__)
def test_a_model_in_it_is_saved_and_loaded_with_its_functions(method, plugin, data, tmp_path):
    model = fitted(method, plugin.Steps(6), data)
    loaded = load_tree(save_tree(tmp_path / "model", model))
    frames = data.blocks[0][:50]
    assert type(loaded.functions) is plugin.FittedSteps
    assert loaded.method == model.method
    np.testing.assert_array_equal(loaded.functions(frames), model.functions(frames))
    np.testing.assert_array_equal(loaded.timescales, model.timescales)
    if method is not EDMD:
        np.testing.assert_array_equal(loaded.transform(frames), model.transform(frames))


def test_a_model_in_it_is_not_read_where_the_file_was_not_named(plugin, data, tmp_path, monkeypatch):
    path = save_tree(tmp_path / "model", fitted(VAC, plugin.Steps(6), data))
    monkeypatch.setenv(registry.WITH, "")
    with pytest.raises(ValueError, match="own_basis"):
        load_tree(path)


def test_a_coordinate_in_it_has_gradients_as_a_bias_needs_them(plugin, data):
    model = fitted(VAC, plugin.Steps(6), data)
    frame, step = data.blocks[0][3], 1e-6
    with jax.enable_x64(True):
        slope = jax.grad(lambda x: model.transform(x[None])[0, 0])(jnp.asarray(frame))
    shifts = step * np.eye(2)
    numeric = [
        (model.transform((frame + shift)[None]) - model.transform((frame - shift)[None]))[0, 0] / (2 * step)
        for shift in shifts
    ]
    np.testing.assert_allclose(np.asarray(slope), numeric, rtol=1e-5, atol=1e-7)


def test_a_study_names_it_in_the_table_of_its_learner(plugin, data):
    table = {"kind": "VAC", "lagtime": 5, "dim": 1, "basis": {"kind": "own_basis.Steps", "count": 9}}
    learner, written = choose(LEARNERS, table, "campaign.learner", DOORS)
    assert learner == VAC(5, 1, plugin.Steps(9))
    assert written["basis"] == {"kind": "own_basis.Steps", "count": 9, "width": 1.0}
    assert learner.fit(data).timescales[0] == pytest.approx(SLOWEST, rel=WITHIN)
    with pytest.raises(StudyError, match="count=1 must be at least two"):
        choose(
            LEARNERS, {**table, "basis": {"kind": "own_basis.Steps", "count": 1}}, "campaign.learner", DOORS
        )
