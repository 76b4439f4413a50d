"""Chains that are known: what a model says of them is what linear algebra says, and nothing is estimated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.sparse import csr_array

from thalweg.kinetics.known_chain import known_chain, known_rates
from thalweg.kinetics.macrostates.lumping import hummer_szabo, lumped
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.reactions.committor import committor
from thalweg.kinetics.reactions.passage_times import mean_first_passage_time
from thalweg.kinetics.validation.bootstrap import bootstrap
from thalweg.testsystems import chain as exact


def eight_states() -> np.ndarray:
    """Rates of two squares of states, joined by one slow edge, with unequal populations [1/ps]."""
    energies = np.array([0.0, 0.5, 1.0, 0.3, 0.8, 0.2, 0.6, 1.2])
    fast = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4)]
    rates = np.zeros((8, 8))
    for (i, j), strength in [(edge, 1.0) for edge in fast] + [((2, 4), 0.02)]:
        rates[i, j] = strength * np.exp((energies[i] - energies[j]) / 2)
        rates[j, i] = strength * np.exp((energies[j] - energies[i]) / 2)
    return rates - np.diag(rates.sum(axis=1))


def test_the_model_is_the_chain():
    matrix = expm(2.0 * eight_states())
    model = known_chain(matrix, lag=2.0, n_processes=7)
    np.testing.assert_allclose(model.transition_matrix, matrix, atol=1e-14)
    np.testing.assert_allclose(
        model.stationary_distribution, exact.chain_stationary_distribution(matrix), atol=1e-12
    )
    np.testing.assert_allclose(model.timescales, exact.timescales(matrix, 7, lag=2.0), rtol=1e-9)
    assert model.fit.reversible
    ends = np.isin(np.arange(8), [0]), np.isin(np.arange(8), [7])
    np.testing.assert_allclose(committor(model, [0], [7]), exact.chain_committor(matrix, *ends), atol=1e-10)
    times = exact.chain_mean_first_passage_time(matrix, ends[1], lag=2.0)
    assert mean_first_passage_time(model, [0], [7]) == pytest.approx(times[0])


def test_two_sets_of_eight_states_relax_as_slowly_as_all_where_local_equilibrium_is_too_fast():
    model = known_rates(eight_states(), lag=0.5)
    sets = metastable_sets(model, 2)
    assert sorted(np.bincount(sets.assignments)) == [4, 4]
    slowest, shifted = model.timescales[0], np.array([0, 0, 1, 0, 1, 1, 1, 1])
    for groups in (sets.assignments, shifted):
        few, local = hummer_szabo(model, groups).timescales[0], lumped(model, groups).timescales[0]
        assert local < few < slowest
        assert slowest - few < 0.3 * (slowest - local)
    assert "2 metastable sets" in str(sets)


def test_a_cycle_is_known_not_to_be_reversible():
    cycle = np.roll(np.eye(3), 1, axis=1) * 0.5 + 0.5 * np.eye(3)
    assert not known_chain(csr_array(cycle)).fit.reversible


def test_what_is_known_has_no_error():
    with pytest.raises(ValueError, match="at least two blocks"):
        bootstrap(known_rates(eight_states()), lambda model: model.timescales[0])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)) / 3, r"shape \(2, 3\)"),
        (np.array([[0.5, 0.4], [0.5, 0.6]]), "columns do: give the transpose"),
        (np.array([[1.2, -0.2], [0.5, 0.5]]), "negative"),
        (np.eye(3), "falls into 3 parts"),
    ],
)
def test_what_is_no_chain_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        known_chain(matrix)


def test_what_are_no_rates_is_refused():
    with pytest.raises(ValueError, match="give the transpose"):
        known_rates(np.array([[-0.1, 0.2], [0.1, -0.2]]))
    with pytest.raises(ValueError, match="must sum to zero"):
        known_rates(np.array([[0.9, 0.1], [0.2, 0.8]]))
