"""The bispectrum equals its definition by group representations, and LAMMPS's where that is installed."""

from __future__ import annotations

from functools import reduce
from itertools import product

import numpy as np
import pytest

from thalweg.representations.expansions.bispectrum import Bispectrum, components
from thalweg.representations.expansions.quadratic import Quadratic
from thalweg.systems.configuration import Configuration

ELEMENTS, WEIGHTS, RADII = (14, 32), (1.0, 0.7), (0.5, 0.4)
CUTOFF = 0.47


def symmetric_power(matrix, power):
    """The matrix of ``matrix`` on symmetric tensors, in the basis of occupation numbers."""
    if power == 0:
        return np.ones((1, 1), complex)
    words = np.array(list(product((0, 1), repeat=power)))
    basis = (words.sum(1)[:, None] == np.arange(power + 1)).astype(float)
    basis /= np.sqrt(basis.sum(0))
    return basis.T @ reduce(np.kron, [matrix] * power) @ basis


def spin(j):
    """Raising operator and z component for doubled momentum j, states by occupation number."""
    k = np.arange(j + 1)
    raising = np.diag(np.sqrt((k[1:]) * (j - k[1:] + 1.0)), -1)
    return raising, np.diag(k - j / 2)


def coupling(j1, j2, j):
    """Isometry from momentum j into the product of j1 and j2, built by lowering the highest state."""
    (r1, z1), (r2, z2) = spin(j1), spin(j2)
    raising = np.kron(r1, np.eye(j2 + 1)) + np.kron(np.eye(j1 + 1), r2)
    z = np.diag(np.kron(z1, np.eye(j2 + 1)) + np.kron(np.eye(j1 + 1), z2))
    top = np.linalg.svd(np.vstack([raising, np.diag(np.abs(z - j / 2) > 1e-9)]))[2][-1]
    states = [top]
    for _ in range(j):
        lower = raising.T @ states[-1]
        states.append(lower / np.linalg.norm(lower))
    return np.array(states[::-1]).T


def by_definition(frame, twojmax, rfac0=0.99363):
    """Components of every atom of a frame without a cell."""
    rows = []
    for i, here in enumerate(frame.positions):
        sums = [np.eye(j + 1, dtype=complex) for j in range(twojmax + 1)]
        for k, there in enumerate(frame.positions):
            x, y, z = there - here
            r = np.linalg.norm(there - here)
            kinds = [ELEMENTS.index(frame.numbers[n]) for n in (i, k)]
            cutoff = CUTOFF * (RADII[kinds[0]] + RADII[kinds[1]])
            if k == i or r >= cutoff:
                continue
            t = rfac0 * np.pi * r / cutoff
            a, b = np.cos(t) - 1j * z / r * np.sin(t), (y - 1j * x) / r * np.sin(t)
            turn = np.array([[np.conj(a), -np.conj(b)], [b, a]])
            weight = WEIGHTS[kinds[1]] * 0.5 * (1 + np.cos(np.pi * r / cutoff))
            sums = [s + weight * symmetric_power(turn, j) for j, s in enumerate(sums)]
        row = []
        for j1, j2, j in components(twojmax):
            c = coupling(j1, j2, j)
            coupled = c.T @ np.kron(sums[j1], sums[j2]) @ c
            row.append(np.trace(sums[j].conj().T @ coupled).real - (j + 1))
        rows.append(row)
    return np.array(rows)


def cluster():
    random = np.random.default_rng(0)
    grid = 0.24 * np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return Configuration(random.choice(ELEMENTS, 8), grid + 0.03 * random.normal(size=grid.shape))


def spectrum(twojmax):
    return Bispectrum(cutoff=CUTOFF, twojmax=twojmax, weights=WEIGHTS, radii=RADII, elements=ELEMENTS)


def test_components_are_traces_of_coupled_group_representations():
    frame = cluster()
    np.testing.assert_allclose(spectrum(4).features([frame])[0], by_definition(frame, 4), atol=1e-9)


def test_an_atom_alone_has_no_components_unless_they_are_kept():
    alone = Configuration(np.array([14]), np.zeros((1, 3)))
    assert np.abs(spectrum(3).features([alone])[0]).max() < 1e-12
    kept = Bispectrum(cutoff=CUTOFF, twojmax=3, bzero=False, elements=ELEMENTS).features([alone])[0][0]
    np.testing.assert_allclose(kept, [j + 1 for _, _, j in components(3)])


def test_quadratic_features_are_products():
    frame = cluster()
    linear = spectrum(2).features([frame])[0]
    both = Quadratic(spectrum(2)).features([frame])[0]
    n = linear.shape[1]
    np.testing.assert_allclose(both[:, :n], linear)
    np.testing.assert_allclose(both[:, n], 0.5 * linear[:, 0] ** 2)
    np.testing.assert_allclose(both[:, n + 1], linear[:, 0] * linear[:, 1])
    assert both.shape[1] == n + n * (n + 1) // 2


def test_settings_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="2 weights given for 1"):
        Bispectrum(weights=(1.0, 2.0), elements=(14,))
    with pytest.raises(ValueError, match=r"the largest must be 0\.5"):
        Bispectrum(radii=(0.4, 0.3))
