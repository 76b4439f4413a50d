"""100 ns of alanine dipeptide from the data folder: the psi process is measured, the phi process is not."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.implied_timescales import ImpliedTimescales
from thalweg.testsystems.chain import lumped_timescales, sampled_states, timescales


@pytest.fixture(scope="module")
def angles(data_set):
    folder = data_set("kinetics", "alanine_msmb")
    mdtraj = pytest.importorskip("mdtraj")
    runs = [mdtraj.load(path, top=folder / "ala2.pdb") for path in sorted(folder.glob("*.dcd"))]
    return [np.hstack([mdtraj.compute_phi(run)[1], mdtraj.compute_psi(run)[1]]) for run in runs]


def test_the_psi_process_takes_234_to_243_ps(angles):
    cells = [np.floor((a + np.pi) / (2 * np.pi) * 30).astype(int).clip(0, 29) for a in angles]
    grid = DiscreteTrajectories([c[:, 0] * 30 + c[:, 1] for c in cells], dt=1.0, n_states=900)
    scan = ImpliedTimescales([5, 10, 50], n_processes=2, samples=30).fit(grid)
    np.testing.assert_allclose(scan.timescales[:, 0], [234, 239.4, 242.7], atol=0.5)
    assert ((scan.intervals[0, :, 0] < 239) & (scan.intervals[1, :, 0] > 239)).all()
    assert scan.resolved[:, 0].all()
    assert (scan.errors[:, 0] < 40).all()


def test_positive_phi_is_reported_as_under_sampled(angles):
    side = DiscreteTrajectories([(a[:, 0] > 0).astype(int) for a in angles], dt=1.0)
    model = MarkovStateModel(1, n_processes=1).fit(side)
    assert model.processes[0].timescale is None
    assert "under-sampled (crossed 5 and 5 times" in str(model)


@pytest.mark.long
def test_timescales_of_few_crossings_are_not_called_flat_too_early(angles):
    """Walks of the chain of one picosecond seen through fewer states: wrong where the exact time is 8 % short."""
    cells = [np.floor((a + np.pi) / (2 * np.pi) * 30).astype(int).clip(0, 29) for a in angles]
    model = MarkovStateModel(1).fit(
        DiscreteTrajectories([c[:, 0] * 30 + c[:, 1] for c in cells], n_states=900)
    )
    active = np.flatnonzero(model.stationary_distribution)
    pi, chain = model.stationary_distribution[active], model.fit.matrix.toarray()
    slowest, random = timescales(chain, 1)[0], np.random.default_rng(2026)
    phi, psi = active // 30, active % 30
    wrong = scans = 0
    for seen in (phi // 3 * 10 + psi // 3, phi // 6 * 5 + psi // 6, psi // 5):
        states = np.unique(seen, return_inverse=True)[1]
        for lags in ([1, 2, 5, 10, 20], [5, 10, 20, 50]):
            exact = dict(zip(lags, lumped_timescales(chain, pi, states, lags)))
            for frames in (10_000, 30_000):
                for walk in sampled_states(chain, 2, frames, pi, random):
                    scan = ImpliedTimescales(lags, n_processes=1).fit(DiscreteTrajectories([states[walk]]))
                    begin = scan.flat_from[0]
                    wrong += bool(np.isfinite(begin) and exact[round(begin)] < 0.92 * slowest)
                    scans += 1
    assert wrong <= scans / 20
