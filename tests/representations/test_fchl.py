"""FCHL19 against its sums written out, and against numbers of the authors' own program."""

import itertools

import numpy as np

from thalweg.representations import fchl
from thalweg.representations.fchl import FCHL19
from thalweg.systems.configuration import Configuration

POSITIONS = np.array(
    [[0, 0, 0], [1.1, 0.1, 0], [-0.2, 1.3, 0.3], [0.4, -0.5, 1.2], [-1, -0.9, -0.4], [1.9, 1.4, 0.8]]
)
NUMBERS = np.array([8, 1, 1, 6, 6, 1])
ELEMENTS = (1, 6, 8)
FRAME = Configuration(NUMBERS, 0.1 * POSITIONS)


def written_out(i, cutoff=4.0):
    """The paper's sums for atom i in ångström, one number at a time."""
    others = [j for j in range(len(NUMBERS)) if j != i]

    def decay(r):
        return 0.5 * (1 + np.cos(np.pi * r / cutoff)) if r < cutoff else 0.0

    def between(a, b):
        return np.linalg.norm(POSITIONS[a] - POSITIONS[b])

    def cosine(a, b, c):
        u, v = POSITIONS[b] - POSITIONS[a], POSITIONS[c] - POSITIONS[a]
        return u @ v / np.linalg.norm(u) / np.linalg.norm(v)

    values = []
    for z in ELEMENTS:
        for bin_ in cutoff * np.arange(1, 25) / 24:
            total = 0.0
            for j in others:
                if NUMBERS[j] == z:
                    r = between(i, j)
                    middle, variance = np.log(r**2 / np.sqrt(r**2 + 0.32)), np.log(1 + 0.32 / r**2)
                    peak = np.exp(-((np.log(bin_) - middle) ** 2) / (2 * variance))
                    total += decay(r) * r**-1.8 * peak / (np.sqrt(2 * np.pi * variance) * bin_)
            values.append(total)
    for pair in itertools.combinations_with_replacement(ELEMENTS, 2):
        for wave in (np.cos, np.sin):
            for bin_ in cutoff * np.arange(1, 21) / 20:
                total = 0.0
                for j, k in itertools.combinations(others, 2):
                    if tuple(sorted((NUMBERS[j], NUMBERS[k]))) == pair:
                        a, b, c = between(i, j), between(i, k), between(j, k)
                        triple = 1 + 3 * cosine(i, j, k) * cosine(j, i, k) * cosine(k, i, j)
                        radial = np.sqrt(2.7 / np.pi) * np.exp(-2.7 * (bin_ - 0.5 * (a + b)) ** 2)
                        angle = np.arccos(cosine(i, j, k))
                        angular = 2 * np.exp(-0.5 * np.pi**2) * wave(angle)
                        total += 13.4 * triple * (a * b * c) ** -0.57 * decay(a) * decay(b) * radial * angular
                values.append(total)
    return values


def test_spectra_are_the_sums_of_the_paper(monkeypatch):
    monkeypatch.setattr(fchl, "SOFTENING", 0.0)
    features = FCHL19(cutoff=0.4, cutoff_function="cosine").features([FRAME])[0]
    np.testing.assert_allclose(features, [written_out(i) for i in range(6)], rtol=1e-11, atol=1e-14)


def test_the_authors_program_gives_the_same_sizes_of_spectra():
    """Norms of the angular part from qmllib 1.2, to the softening of the sine."""
    features = FCHL19(cutoff=0.4, cutoff_function="cosine").features([FRAME])[0]
    norms = [0.249316598, 0.202910943, 0.145872136, 0.223522235, 0.075769885, 0.055184094]
    np.testing.assert_allclose(np.linalg.norm(features[:, 72:], axis=1), norms, rtol=1e-4)


def test_atoms_in_line_have_finite_slopes():
    straight = Configuration(np.array([6, 6, 6]), np.array([[0, 0, 0], [0.12, 0, 0], [-0.12, 0, 0]]))
    bent = Configuration(np.array([6, 6, 6]), np.array([[0, 1e-7, 0], [0.12, 0, 0], [-0.12, 0, 0]]))
    representation = FCHL19(cutoff=0.4, angular=4, radial=4, elements=(6,))
    first, second = representation.features([straight, bent])
    assert np.abs(first - second).max() < 1e-9 * np.abs(first).max()


def test_higher_orders_are_odd_multiples_of_the_angle():
    waves = fchl._odd_waves(np.cos(0.4), np.sin(0.4), 3, 0.5)
    for k, n in enumerate((1, 3, 5)):
        size = 2 * np.exp(-0.5 * (0.5 * n) ** 2)
        np.testing.assert_allclose(
            waves[2 * k : 2 * k + 2], [size * np.cos(0.4 * n), size * np.sin(0.4 * n)], rtol=1e-5
        )
