"""Linear equations of large chains: what their factors take is known before."""

import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array, eye_array, kron, random_array

from thalweg.kinetics.estimation import factorization
from thalweg.kinetics.estimation.factorization import ENTRY, _factor_entries, factorized
from thalweg.kinetics.known_chain import known_chain
from thalweg.kinetics.reactions.committor import committor
from thalweg.kinetics.reactions.hitting import first_hits, passage_times
from thalweg.kinetics.reactions.passage_times import first_passage_times
from thalweg.machine import memory


def chain(links):
    """Transition matrix of a walk along symmetric weights of links, which stays half of the time."""
    return (
        0.5 * eye_array(links.shape[0]) + 0.5 * diags_array(1 / np.asarray(links.sum(axis=1)).ravel()) @ links
    )


def row(states):
    return csr_array(diags_array([1.0, 1.0], offsets=[-1, 1], shape=(states, states)))


def net(states, links):
    found = random_array((states, states), density=links / states, rng=np.random.default_rng(0))
    return csr_array(found + found.T + row(states))


GRID = csr_array(kron(row(40), eye_array(40)) + kron(eye_array(40), row(40)))


@pytest.mark.parametrize(
    "links", [row(1000), GRID, net(400, 3), net(300, 60)], ids=["row", "grid", "net", "dense"]
)
def test_factors_fit_into_what_is_foretold(links):
    system = csr_array(eye_array(links.shape[0]) * 1.001 - chain(links))
    factors = factorized(system, "test")
    foretold = ENTRY * min(links.shape[0] ** 2, _factor_entries(system))
    # a value and a row number of each entry, which stand there twice for a moment
    assert 12 * (factors.L.nnz + factors.U.nnz) <= foretold


def test_a_long_row_of_states_fits_where_a_net_of_as_many_is_refused_with_the_number(monkeypatch):
    straight, tangled = (known_chain(chain(links), 1.0) for links in (row(1500), net(1500, 20)))
    for module in (memory, factorization):
        monkeypatch.setattr(module, "available_memory", lambda: 2_000_000)
    np.testing.assert_allclose(committor(straight, [0], [1499]), np.arange(1500) / 1499, atol=1e-9)
    for solve in (
        lambda: committor(tangled, [0], [1]),
        lambda: first_passage_times(tangled, [0]),
        lambda: first_hits(tangled, [[0], [1], [2]]),
        lambda: passage_times(tangled, [0], [1]),
    ):
        with pytest.raises(
            MemoryError, match=r"of 149[789] connected states; use fewer states: needs 0.0\d GB"
        ):
            solve()
