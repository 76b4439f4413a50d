"""What every method that finds a coordinate must do, tried on each with a telegraph signal beside two noises.

The signal jumps between -1 and 1 with probability 0.015 a frame, so that its correlations decay within
``-1 / ln(1 - 2 * 0.015)`` = 32.8 frames.
"""

from __future__ import annotations

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

import thalweg.collective_variables
from thalweg.collective_variables.bases.basis import Basis
from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.collective_variables.interpretation.surrogate import ByCorrelation, Surrogate
from thalweg.collective_variables.linear.dynamic_modes import DMD, EDMD
from thalweg.collective_variables.linear.integrated_vac import IntegratedVAC
from thalweg.collective_variables.linear.kernel_tica import KernelTICA
from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.collective_variables.linear.vamp import VAMP
from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod
from thalweg.collective_variables.memberships.deep_markov import DeepMarkovModel
from thalweg.collective_variables.memberships.fuzzy_markov_model import FuzzyMarkovStateModel
from thalweg.collective_variables.neural.autoencoders import Autoencoder, VariationalAutoencoder
from thalweg.collective_variables.neural.slow_networks import DCCA, SRV, VDE, TimeLaggedAutoencoder, VAMPnet
from thalweg.collective_variables.neural.spib import SPIB
from thalweg.learning.storage import load_tree, save_tree
from thalweg.time_series.trajectories import Trajectories

LENGTHS = (2000, 700, 1300)
TIMESCALE = -1 / np.log(1 - 2 * 0.015)
SMALL = dict(hidden=(8,), steps=60, restarts=1, batch=1024)
TWO = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
EXAMPLES = {
    "TICA": TICA(5, dim=1),
    "VAC": VAC(5, dim=1),
    "VAMP": VAMP(5, dim=1),
    "KernelTICA": KernelTICA(5, dim=1, landmarks=10, width=2.0, factors=(1.0,)),
    "IntegratedVAC": IntegratedVAC(3, 12, dim=1, lags=4),
    "SparseTICA": SparseTICA(5, dim=1, features=2),
    "DMD": DMD(5),
    "EDMD": EDMD(5),
    "PCA": PCA(1),
    "Autoencoder": Autoencoder(dim=1, **SMALL),
    "VariationalAutoencoder": VariationalAutoencoder(dim=1, **SMALL),
    "VAMPnet": VAMPnet(5, dim=1, **SMALL),
    "SRV": SRV(5, dim=1, **SMALL),
    "DCCA": DCCA(5, dim=1, **SMALL),
    "TimeLaggedAutoencoder": TimeLaggedAutoencoder(5, dim=1, **SMALL),
    "VDE": VDE(5, dim=1, **SMALL),
    "SPIB": SPIB(5, dim=1, states=6, **SMALL),
    "DeepMarkovModel": DeepMarkovModel(5, states=2, **SMALL),
    "FuzzyMarkovStateModel": FuzzyMarkovStateModel(5, Indicators(TWO)),
    "Surrogate": Surrogate(PCA(1), ByCorrelation()),
}
"""A small example of each method."""

OTHER = {
    "Dictionary", "Distillation", "FuzzyMarkovModel", "Search", "SlowVariables", "SymbolicRegression",
    "DensityReach", "FixedReach", "NeighborReach",
    "DiffusionMap", "FunctionalModes", "FunctionalNetwork", "RestrictedBoltzmannMachine",
}  # fmt: skip
"""What is fitted to something else: another model, targets beside frames, one of these inside another library, points
and their neighbors, contacts that are there or not; and a map that has no use for the order of frames."""


def signal():
    rng = np.random.default_rng(5)
    jumps = [np.where(rng.random(length) < 0.015, -1.0, 1.0) for length in LENGTHS]
    noises = [rng.normal(0, (0.25, 0.6, 0.4), (length, 3)) for length in LENGTHS]
    return [np.cumprod(jump)[:, None] * [1.0, 0.0, 0.0] + noise for jump, noise in zip(jumps, noises)]


def chunked(block):
    """A trajectory that can only be read from front to back."""

    class Chunks:
        def __iter__(self):
            yield from np.array_split(block, 3)

    return Chunks()


@pytest.fixture(scope="module", params=EXAMPLES)
def method(request):
    return EXAMPLES[request.param]


@pytest.fixture(scope="module")
def data():
    return Trajectories(signal(), names=("slow", "wide", "narrow"))


@pytest.fixture(scope="module")
def model(method, data):
    return method.fit(data)


def coordinates(model, frames):
    """``(frames, coordinates)``: of dynamic modes the slowest eigenfunction."""
    if hasattr(model, "transform"):
        return model.transform(frames)
    times = np.where(np.isfinite(model.timescales), model.timescales, -1.0)
    return np.asarray(model.eigenfunctions(frames))[:, [times.argmax()]].real


def test_every_method_has_an_example_here(public, without_example):
    """A basis takes `Trajectories`; methods take data in any form; maps of manifolds have a suite of their own."""
    room = thalweg.collective_variables
    found = {
        name
        for name in public(Basis, "collective_variables") - OTHER
        if list(inspect.signature(getattr(room, name).fit).parameters.values())[1].annotation
        != "Trajectories"
    }
    found -= public(ManifoldMethod, "collective_variables")
    assert len(found) > 10
    assert not without_example(found, EXAMPLES)


def test_it_finds_the_signal(method, model, data):
    if hasattr(method, "restarts") and not hasattr(method, "lagtime"):
        pytest.skip("to a bottleneck that knows no time, features scaled to unit variance are alike")
    found = np.asarray(coordinates(model, data.blocks[0]))[:, 0]
    assert abs(np.corrcoef(found, data.blocks[0][:, 0])[0, 1]) > 0.9


def test_timescales_are_in_order_and_the_first_is_that_of_the_signal(model):
    """Of some 60 jumps: one standard error is 13 % of the timescale; what the noise hides makes it shorter."""
    if not hasattr(model, "timescales"):
        pytest.skip("knows no time")
    times = model.timescales[np.isfinite(model.timescales)]
    assert (np.diff(times) <= 1e-9 * times[0]).all()
    assert (times >= 0).all()
    assert 0.5 < times[0] / TIMESCALE < 1.5


def test_coordinates_have_a_row_for_each_frame_in_whatever_form_frames_come(model, data):
    frames = data.blocks[1]
    found = np.asarray(coordinates(model, frames))
    assert found.shape == (len(frames), 1)
    assert np.isfinite(found).all()
    if not hasattr(model, "transform"):
        return
    runs = model.transform(data)
    assert runs.lengths.tolist() == list(LENGTHS)
    np.testing.assert_allclose(
        np.concatenate([chunk for k, _, chunk in runs.chunks() if k == 1]), found, rtol=1e-6, atol=1e-6
    )
    jax_found = model.transform(jnp.asarray(frames, jnp.float32))
    # 32 bits: of functions of unit size, and of sums of kernels that nearly cancel
    np.testing.assert_allclose(jax_found, found, rtol=1e-3, atol=1e-3 * np.abs(found).max())


def test_equal_data_give_an_equal_model_wherever_they_lie_and_dt_is_a_unit(method, model, data):
    blocks = [chunked(block) for block in signal()]
    again = method.fit(Trajectories(blocks, dt=0.5))
    frames = data.blocks[2]
    np.testing.assert_allclose(coordinates(again, frames), coordinates(model, frames), rtol=1e-6, atol=1e-9)
    if hasattr(model, "timescales"):
        np.testing.assert_allclose(again.timescales, 0.5 * model.timescales, rtol=1e-6)
    for block, kept in zip(data.blocks, signal()):
        np.testing.assert_array_equal(block, kept)


def test_weights_that_are_all_one_change_nothing(method, model, data):
    if hasattr(method, "restarts"):
        pytest.skip("networks are compiled anew for weights; see the tests of learned bases")
    weighted = Trajectories(signal(), weights=[np.ones(length) for length in LENGTHS])
    frames = data.blocks[1]
    again = coordinates(method.fit(weighted), frames)
    np.testing.assert_allclose(again, coordinates(model, frames), rtol=1e-6, atol=1e-6)


def test_a_frame_that_is_not_a_number_is_named(method):
    blocks = signal()
    blocks[1][7, 2] = np.nan
    with pytest.raises(ValueError, match=r"narrow.* is nan in trajectory 1, frame 7"):
        method.fit(Trajectories(blocks, names=("slow", "wide", "narrow")))


def test_a_lag_time_longer_than_every_trajectory_is_refused_with_the_numbers(method):
    if not hasattr(method, "lagtime"):
        pytest.skip("knows no lag time")
    with pytest.raises(ValueError, match="lagtime=5 leaves no pairs in trajectories of up to 5 frames"):
        method.fit(Trajectories([block[:5] for block in signal()]))


def test_frames_of_other_features_are_refused(model):
    with pytest.raises((ValueError, TypeError)):
        coordinates(model, np.zeros((4, 2)))


def test_a_model_stays_as_it_is(model):
    with pytest.raises(AttributeError):
        model.timescales = np.zeros(1)
    with pytest.raises(AttributeError):
        model.mean = np.zeros(1)


def test_saved_and_loaded_it_gives_the_same_numbers(model, data, tmp_path):
    loaded = load_tree(save_tree(tmp_path / "model", model))
    frames = data.blocks[1]
    np.testing.assert_array_equal(coordinates(loaded, frames), coordinates(model, frames))
