"""Tokens, a space of strings that are easy to know, and searches whose answer is known."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from thalweg.binding.generation.latent_search import BayesianSearch, LatentAscent, expected_improvement
from thalweg.binding.generation.string_autoencoder import StringAutoencoder, StringAutoencoderModel
from thalweg.binding.generation.string_network import StringNetwork
from thalweg.binding.generation.tokens import END, TokenAlphabet
from thalweg.learning.trainer import History


def words(count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return ["".join(generator.choice(list("CNO"), generator.integers(3, 9))) for _ in range(count)]


def share(strings) -> np.ndarray:
    """Of the symbol N; no answer to an empty string."""
    return np.array([each.count("N") / len(each) if each else np.nan for each in strings])


@pytest.fixture(scope="module")
def space() -> StringAutoencoderModel:
    strings = words(400, 0)
    method = StringAutoencoder(latent=24, width=32, merges=10, epochs=25, batch=32, learning_rate=5e-3)
    return method.fit(strings, share(strings)[:, None])


@pytest.mark.parametrize("merges", [0, 5, 40])
def test_strings_come_back_from_their_tokens(merges):
    strings = [*words(60, 1), "CCCCCCC", ""]
    alphabet = TokenAlphabet.of(strings, merges)
    rows = [np.append(each, END) for each in alphabet.tokens(strings)]
    found = [alphabet.strings(row[None])[0] for row in rows]
    assert found == [tuple(each) for each in strings]
    assert sum(map(len, rows)) <= sum(map(len, strings)) + len(strings)


def test_the_most_frequent_pair_is_merged_first_and_runs_of_equals_from_the_left():
    alphabet = TokenAlphabet.of(["NNN", "NNO", "CO"], merges=1)
    assert alphabet.merges == ((4, 4),)
    assert [each.tolist() for each in alphabet.tokens(["NNN"])] == [[6, 4]]


def test_an_unknown_symbol_is_named():
    with pytest.raises(ValueError, match=r"the symbol 'S' was in no string"):
        TokenAlphabet.of(["CN"]).tokens(["CS"])


@pytest.mark.long
def test_new_strings_are_reconstructed_and_their_property_is_read_off_their_points(space):
    new = words(100, 2)
    assert space.reconstructed(new).mean() > 0.8
    found = space.predict(space.encode(new))[:, 0]
    assert np.corrcoef(found, share(new))[0, 1] > 0.8


@pytest.mark.long
def test_what_a_space_cannot_read_is_said(space):
    assert space.readable(["CNO", "S", "CO" * 40]).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="more than the 11 that the model reads"):
        space.encode(["CONCOONOCN" * 4])


def test_too_few_strings_and_properties_are_said():
    with pytest.raises(ValueError, match="fewer than two batches"):
        StringAutoencoder().fit(["C"])
    with pytest.raises(ValueError, match="2 rows of properties for 128 strings"):
        StringAutoencoder().fit(["C"] * 128, np.zeros((2, 1)))


@pytest.mark.long
def test_a_saved_space_writes_the_same(space, tmp_path):
    points = space.random_points(5)
    found = StringAutoencoderModel.load(space.save(tmp_path / "space"))
    assert found.decode(points) == space.decode(points)


@pytest.mark.long
def test_uphill_raises_what_is_predicted_and_what_is_true(space):
    start = words(40, 3)
    best = LatentAscent(rounds=3).search(space, start)
    before, after = (space.predict(space.encode(each))[:, 0] for each in (start, best))
    assert (after >= before - 1e-6).all()
    assert share(best).mean() > share(start).mean() + 0.2


@pytest.mark.long
def test_asking_where_improvement_is_expected_beats_random_points(space):
    strings = [each for each in words(60, 4) if share([each])[0] < 0.5]
    asked = BayesianSearch(rounds=2, batch=15, candidates=200, coordinates=12).search(
        space, space.encode(strings), share(strings), share
    )
    random = share(space.decode(space.random_points(30)))
    assert asked.rounds.tolist() == [0] * 15 + [1] * 15
    assert np.nanmean(asked.values) > np.nanmean(random) + 0.1


ROWS = np.random.default_rng(6).integers(3, 8, (30, 4))
"""Of tokens."""

LATENT = 20
"""Dimensions."""


@pytest.fixture(scope="module")
def untrained() -> StringNetwork:
    return StringNetwork.init(8, ROWS, LATENT, 4, 1, jax.random.key(0))


@pytest.fixture(scope="module")
def numbers(untrained) -> StringAutoencoderModel:
    """A space whose strings are the first coordinates of points, its network untrained."""

    class Numbers(StringAutoencoderModel):
        def decode(self, points, temperature=0.0, seed=0):
            return [(f"{each[0]:.6f}",) for each in points]

    unit = np.ones(1)
    history = History(*[np.zeros(1)] * 6, 0, False)
    return Numbers(
        untrained, TokenAlphabet(("C",)), 0 * unit, unit, np.zeros(LATENT), np.eye(LATENT), history
    )


def test_a_network_begins_at_principal_components_of_variance_one(untrained):
    span, unfold = (
        [np.asarray(x) for x in (each.weight, each.bias)] for each in (untrained.span, untrained.unfold)
    )
    embedded = np.asarray(untrained.embedding)[ROWS].reshape(30, -1)
    points = embedded @ span[0] + span[1]
    # five tokens at four places differ in sixteen directions, all of which are kept
    np.testing.assert_allclose(points @ unfold[0] + unfold[1], embedded, atol=2e-4)
    np.testing.assert_allclose(points[:, :4].std(0), 1, rtol=1e-3)


def test_climbing_raises_what_is_predicted_and_stays_where_points_are(numbers):
    start = 0.5 * np.random.default_rng(7).normal(size=(10, LATENT))
    top = LatentAscent(steps=40, rate=0.1).climb(numbers, start)
    assert (numbers.predict(top) > numbers.predict(start)).all()
    assert np.linalg.norm(top, axis=1).max() < 1.2 * np.sqrt(LATENT) + 1e-5


def test_expected_improvement_finds_a_maximum_that_no_known_point_is_near(numbers):
    known = np.random.default_rng(8).normal(size=(40, LATENT))
    known = known[known[:, 0] < 0.5]

    def bump(strings):
        return -((np.array([float(each[0]) for each in strings]) - 1.5) ** 2)

    found = BayesianSearch(rounds=3, batch=5, candidates=100, coordinates=LATENT).search(
        numbers, known, bump(numbers.decode(known)), bump
    )
    assert found.values.max() > -0.05
    assert bump(numbers.decode(known)).max() < -0.9


def test_expected_improvement_is_the_mean_of_what_is_gained():
    drawn = np.random.default_rng(5).normal(0.3, 0.7, 200_000)
    gain = np.maximum(drawn - 0.5, 0)
    expected = expected_improvement(np.array([0.3]), np.array([0.7]), 0.5)[0]
    assert abs(gain.mean() - expected) < 4 * gain.std() / np.sqrt(len(gain))
