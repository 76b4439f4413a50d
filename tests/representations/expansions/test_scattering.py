"""Scattering against its definition written out, atom by atom."""

import numpy as np
import pytest
from scipy.special import sph_harm_y

from thalweg.representations.expansions.scattering import SOFTENING, Scattering, scales
from thalweg.systems.configuration import Configuration

CUTOFF, WIDTHS, DEGREE = 0.4, (0.06, 0.1, 0.15), 2
NUMBERS = np.array([6, 8, 6, 8, 8])
POSITIONS = np.random.default_rng(5).uniform(-0.14, 0.14, (5, 3))


def decay(r):
    return max(1 - (r / CUTOFF) ** 2, 0) ** 3


def answers(field, k):
    """Moduli over m of the wavelets of a field at atom k, with complex harmonics: (widths, degrees)."""
    total = np.zeros((len(WIDTHS), DEGREE + 1))
    for j, width in enumerate(WIDTHS):
        for l in range(DEGREE + 1):
            sums = np.zeros(2 * l + 1, complex)
            for n in set(range(len(POSITIONS))) - {k}:
                v = POSITIONS[n] - POSITIONS[k]
                r = np.linalg.norm(v)
                x = r / width
                peak = l ** (l / 2) * np.exp(-l / 2) if l else 1.0
                size = field[n] * x**l * np.exp(-0.5 * x**2) / peak * decay(r)
                angles = np.arccos(v[2] / r), np.arctan2(v[1], v[0])
                harmonics = np.array([sph_harm_y(l, m, *angles) for m in range(-l, l + 1)])
                sums += size * harmonics * np.sqrt(4 * np.pi / (2 * l + 1))
            total[j, l] = np.sqrt((np.abs(sums) ** 2).sum() + SOFTENING**2) - SOFTENING
    return total


def written_out(i):
    channels = [(z == NUMBERS).astype(float) for z in (6, 8)]
    seen = np.array([decay(np.linalg.norm(x - POSITIONS[i])) for x in POSITIONS])
    values = [answers(channel, i).ravel() for channel in channels]
    first = [np.stack([answers(channel * seen, k) for k in range(len(POSITIONS))]) for channel in channels]
    for j in range(len(WIDTHS) - 1):
        for channel in first:
            values += [answers(channel[:, j, l], i)[j + 1 :].ravel() for l in range(DEGREE + 1)]
    return np.concatenate(values)


def test_features_are_moduli_of_wavelets_and_wavelets_of_these():
    features = Scattering(CUTOFF, WIDTHS, DEGREE).features([Configuration(NUMBERS, POSITIONS)])[0]
    moduli = np.stack([written_out(i) for i in range(len(POSITIONS))])
    np.testing.assert_allclose(features, np.concatenate([moduli, moduli**2], 1), rtol=1e-9, atol=1e-12)


def test_an_atom_beyond_the_cutoff_is_not_seen_through_a_neighbor():
    chain = np.zeros((3, 3))
    chain[:, 0] = [0, 0.25, 0.45]
    moved = chain + np.array([[0, 0, 0], [0, 0, 0], [0, 0.05, 0]])
    frames = [Configuration(np.array([6] * 3), points) for points in (chain, moved)]
    first, second = Scattering(CUTOFF, WIDTHS, DEGREE).features(frames)
    # two columns of one product, which may be rounded apart
    np.testing.assert_allclose(first[0], second[0], rtol=1e-12, atol=1e-14)
    assert np.abs(first[1] - second[1]).max() > 1e-3


def test_scales_and_settings_are_checked():
    np.testing.assert_allclose(scales(0.5, 3, 0.05), [0.05, 0.1, 0.2])
    with pytest.raises(ValueError, match="ascend"):
        Scattering(0.5, widths=(0.2, 0.1))
    with pytest.raises(ValueError, match="whole numbers"):
        Scattering(0.5, exponents=(0,))
    with pytest.raises(ValueError, match="orders=3"):
        Scattering(0.5, orders=3)
