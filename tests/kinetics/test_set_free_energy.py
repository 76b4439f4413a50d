"""Free energies from walks that were started anywhere, beside those of a chain that is known."""

import numpy as np
import pytest

from thalweg.kinetics.known_chain import known_chain
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.set_free_energy import set_free_energy

HOP = np.array([0.3, 0.05, 0.3])
"""From one state of four to the next; back twice as often."""

CHAIN = np.diag(HOP, 1) + np.diag(2 * HOP, -1)
CHAIN += np.diag(1 - CHAIN.sum(1))
EXACT = -np.log((0.25 + 0.125) / (1 + 0.5))
"""Of the last two states against the first two, populations 8 : 4 : 2 : 1."""


def adaptive_walks(seed, walks=60, length=60):
    """Walks of which all begin in the rarest state."""
    random = np.random.default_rng(seed)
    steps = CHAIN.cumsum(1)
    found = []
    for _ in range(walks):
        walk = [3]
        for draw in random.random(length):
            walk.append(int(np.searchsorted(steps[walk[-1]], draw)))
        found.append(np.array(walk))
    return found


def test_where_walks_begin_does_not_matter_and_errors_are_right():
    """Over 20 data sets: counted frames are off by several kT, the model's mean by less than three standard errors."""
    assert known_chain(CHAIN).stationary_distribution == pytest.approx(np.array([8, 4, 2, 1]) / 15)
    found, naive = [], []
    for seed in range(20):
        walks = adaptive_walks(seed)
        inside = [walk >= 2 for walk in walks]
        model = MarkovStateModel(1, n_blocks=len(walks)).fit(walks)
        found.append(set_free_energy(model, inside, kT=1.0, samples=30))
        share = np.concatenate(inside).mean()
        naive.append(-np.log(share / (1 - share)))
    off = np.array([one.value - EXACT for one in found])
    errors = np.array([one.error for one in found])
    assert not any(one.shortcomings for one in found)
    assert np.abs(off.mean()) < 3 * off.std() / np.sqrt(20)
    assert np.abs(np.mean(naive) - EXACT) > 5 * off.std()
    assert 0.7 < np.sqrt(np.mean((off / errors) ** 2)) < 1.4
    assert str(found[0]) == f"{found[0].value:.2f} ± {found[0].error:.2f} kJ/mol"


def test_one_walk_there_and_back_is_refused_with_the_reason():
    there = np.array([0, 1, 0, 1, 2, 3, 2, 3, 2, 1, 0, 1])
    stays = [np.tile([0, 1], 20), np.tile([2, 3], 20)] * 10
    walks = [there, *stays]
    model = MarkovStateModel(1, n_blocks=len(walks)).fit(walks)
    found = set_free_energy(model, [walk >= 2 for walk in walks], kT=1.0)
    assert 0.4 < found.joined < 0.9
    assert "too few walks went there and back" in str(found)


def test_a_set_that_nothing_leaves_is_refused_and_frames_must_fit():
    walks = [np.tile([0, 1], 20), np.tile([2, 3], 20)]
    model = MarkovStateModel(1).fit(walks)
    found = set_free_energy(model, [walk >= 2 for walk in walks], kT=1.0)
    assert "no transitions join the sets" in str(found)
    with pytest.raises(ValueError, match="1 trajectories of 40 frames do not fit the model's 2 of 80"):
        set_free_energy(model, [walks[0] >= 2], kT=1.0)
