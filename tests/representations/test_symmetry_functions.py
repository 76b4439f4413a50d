"""Symmetry functions against sums written out over triples of atoms."""

import itertools

import numpy as np
import pytest

from thalweg.representations.symmetry_functions import SymmetryFunctions, angular_grid, radial_grid
from thalweg.systems.configuration import Configuration

POSITIONS = 0.1 * np.array(
    [[0, 0, 0], [1.1, 0.1, 0], [-0.2, 1.3, 0.3], [0.4, -0.5, 1.2], [-1, -0.9, -0.4], [1.9, 1.4, 0.8]]
)
NUMBERS = np.array([8, 1, 1, 6, 6, 1])
CUTOFF = 0.3
RADIAL = ((50.0, 0.0), (150.0, 0.12))
NARROW = ((10.0, 1, 1.0), (30.0, 4, -1.0), (10.0, 3, -1.0))
WIDE = ((20.0, 2, 1.0), (30.0, 1, -1.0))


def decay(name, r):
    if r >= CUTOFF:
        return 0.0
    return (1 - (r / CUTOFF) ** 2) ** 3 if name == "smooth" else 0.5 * (1 + np.cos(np.pi * r / CUTOFF))


def written_out(i, name, elements=(1, 6, 8)):
    """Behler's sums for atom i, one number at a time; equal to dscribe 2.1's with the cosine, to the last digit."""
    others = [j for j in range(len(NUMBERS)) if j != i]
    v = {j: POSITIONS[j] - POSITIONS[i] for j in others}
    r = {j: np.linalg.norm(v[j]) for j in others}
    f = {j: decay(name, r[j]) for j in others}
    values = [
        sum(np.exp(-eta * (r[j] - shift) ** 2) * f[j] for j in others if NUMBERS[j] == z)
        for eta, shift in RADIAL
        for z in elements
    ]
    for functions, narrow in ((NARROW, True), (WIDE, False)):
        for eta, zeta, sign in functions:
            for pair in itertools.combinations_with_replacement(elements, 2):
                total = 0.0
                for j, k in itertools.combinations(others, 2):
                    if tuple(sorted((NUMBERS[j], NUMBERS[k]))) != pair:
                        continue
                    apart = np.linalg.norm(v[j] - v[k])
                    cosine = v[j] @ v[k] / (r[j] * r[k])
                    term = 2.0 ** (1 - zeta) * (1 + sign * cosine) ** zeta * f[j] * f[k]
                    term *= np.exp(-eta * (r[j] ** 2 + r[k] ** 2))
                    total += term * np.exp(-eta * apart**2) * decay(name, apart) if narrow else term
                values.append(total)
    return values


@pytest.mark.parametrize("name", ["smooth", "cosine"])
def test_symmetry_functions_are_the_sums_of_the_papers(name):
    functions = SymmetryFunctions(CUTOFF, RADIAL, NARROW, WIDE, name)
    features = functions.features([Configuration(NUMBERS, POSITIONS)])[0]
    np.testing.assert_allclose(features, [written_out(i, name) for i in range(6)], rtol=1e-12, atol=1e-15)


def test_numbers_of_another_program_are_reproduced():
    """Oxygen among its neighbors, from dscribe 2.1 (in Å there)."""
    functions = SymmetryFunctions(CUTOFF, RADIAL, NARROW[:2], WIDE, "cosine")
    features = functions.features([Configuration(NUMBERS, POSITIONS)])[0]
    np.testing.assert_allclose(
        features[0, [0, 1, 3, 4]], [0.617032233, 0.432742133, 1.25705009, 1.06857690], rtol=1e-8
    )
    np.testing.assert_allclose(
        features[0, [6, 12, 18, 24]], [8.59567332e-2, 3.41631539e-3, 1.24508174e-1, 1.75643901e-1], rtol=1e-8
    )


def test_grids_follow_the_cutoff():
    radial = radial_grid(0.6, 5, 0.1)
    np.testing.assert_allclose([shift for _, shift in radial], [0.1, 0.2, 0.3, 0.4, 0.5])
    np.testing.assert_allclose([eta for eta, _ in radial], 0.5 / 0.1**2)
    angular = angular_grid(0.6, 3, (1, 2))
    assert len(set(angular)) == 12
    assert SymmetryFunctions(0.6).narrow == angular_grid(0.6)


def test_channels_compress_elements():
    frames = [Configuration(NUMBERS, POSITIONS)]
    apart = SymmetryFunctions(CUTOFF, RADIAL, NARROW, WIDE).features(frames)[0]
    mixed = SymmetryFunctions(CUTOFF, RADIAL, NARROW, WIDE, channels=2).features(frames)[0]
    assert apart.shape[1] == 2 * 3 + 5 * 6
    assert mixed.shape[1] == 2 * 2 + 5 * 3


def test_strange_powers_and_cutoffs_are_refused():
    with pytest.raises(ValueError, match="whole number"):
        SymmetryFunctions(0.5, wide=((1.0, 0, 1.0),))
    with pytest.raises(ValueError, match="smooth, cosine"):
        SymmetryFunctions(0.5, cutoff_function="step")
