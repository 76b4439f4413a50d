"""Moment tensor invariants against contractions written out by einsum."""

import jax
import numpy as np
import pytest

from thalweg.representations.expansions.contractions import contractions
from thalweg.representations.expansions.moment_tensors import MomentTensors
from thalweg.representations.radial import ChebyshevBasis
from thalweg.systems.configuration import Configuration

CUTOFF = 0.5


def cluster(seed, numbers):
    points = np.random.default_rng(seed).uniform(-0.18, 0.18, (len(numbers), 3))
    return Configuration(np.array(numbers), points)


def written_out(graph, assignment, moment):
    """The sum over all indices of a graph's edges."""
    letters, names, words = iter("abcdefghijklmnop"), {}, []
    for i, row in enumerate(graph.edges):
        word = ""
        for j, count in enumerate(row):
            for n in range(count):
                edge = (min(i, j), max(i, j), n)
                names.setdefault(edge, None)
                names[edge] = names[edge] or next(letters)
                word += names[edge]
        words.append(word)
    return np.einsum(",".join(words) + "->", *[moment(k, nu) for k, nu in zip(assignment, graph.ranks)])


@pytest.mark.parametrize(("level", "step", "numbers"), [(14, 4, [6] * 7), (9, 1, [6, 8, 6, 8, 8])])
def test_invariants_are_contractions_of_tensors(level, step, numbers):
    frame, elements = cluster(0, numbers), tuple(sorted(set(numbers)))
    representation = MomentTensors(CUTOFF, level, step, elements=elements)
    features = representation.features([frame])[0][0]
    vectors = frame.positions[1:] - frame.positions[0]
    distances = np.linalg.norm(vectors, axis=1)
    plan, channels = contractions(level, step, len(elements)), len(elements)
    with jax.enable_x64(True):
        radial = np.asarray(ChebyshevBasis(plan.radial // channels, CUTOFF)(distances))

    def moment(function, rank):
        mu, channel = divmod(function, channels)
        total = 0
        for j, (vector, r) in enumerate(zip(vectors, distances)):
            tensor = np.array(radial[mu, j] * (frame.numbers[j + 1] == elements[channel]))
            for _ in range(rank):
                tensor = np.multiply.outer(tensor, vector / r)
            total = total + tensor
        return total

    expected = [written_out(one, row, moment) for one in plan.connected for row in one.assignments]
    np.testing.assert_allclose(features[: len(expected)], expected, rtol=1e-9, atol=1e-13)
    products = features[len(expected) :]
    assert all(np.isclose(value, np.outer(expected, features), rtol=1e-9, atol=0).any() for value in products)


def test_no_invariant_is_a_sum_of_others():
    frames = [cluster(seed, [6] * 8) for seed in range(1, 11)]
    features = np.concatenate(MomentTensors(CUTOFF, 10, elements=(6,)).features(frames))
    values = np.linalg.svd(features / np.linalg.norm(features, axis=0), compute_uv=False)
    assert features.shape[1] == 17
    assert values[-1] > 1e-6 * values[0]


def test_lower_levels_are_part_of_higher_ones():
    low, high = contractions(8, 4, 2), contractions(12, 4, 2)
    assert sorted(low.levels) == sorted(high.levels[high.levels <= 8])


def test_a_level_without_moments_is_refused():
    with pytest.raises(ValueError, match="level=1"):
        contractions(1)
