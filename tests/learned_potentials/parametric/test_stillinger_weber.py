"""Stillinger and Weber's potential: moments equal the sum over triples; a fit finds what made its labels."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import jax
import numpy as np

from thalweg.learned_potentials.parametric.stillinger_weber import (
    StillingerWeber,
    StillingerWeberTerm,
    stillinger_weber_silicon,
)
from thalweg.systems.configuration import Configuration

MIXED = StillingerWeberTerm(
    (14, 32),
    0.4,
    -0.3,
    strength=np.array([1400.0, 1200.0, 1000.0]),
    core=np.array([1.1e-3, 1.2e-3, 1.3e-3]),
    width=np.array([0.2, 0.21, 0.22]),
    stiffness=np.array([4000.0, 3500.0, 3000.0]),
    angle_width=np.array([0.25, 0.24, 0.26]),
    offsets=np.array([-5.0, 7.0]),
)


def cluster(seed: int) -> Configuration:
    random = np.random.default_rng(seed)
    grid = 0.24 * np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return Configuration(random.choice((14, 32), len(grid)), grid + 0.015 * random.normal(size=grid.shape))


def test_the_energy_is_the_sum_over_pairs_and_triples():
    frame, t = cluster(0), MIXED
    kinds = (frame.numbers == 32).astype(int)

    def table(values, i, j):
        return values[kinds[i] + kinds[j]]

    def falling(values, i, j, r):
        return np.exp(table(values, i, j) / (r - t.cutoff)) if r < t.cutoff else 0.0

    total = t.offsets[kinds].sum()
    r = np.linalg.norm(frame.positions[:, None] - frame.positions, axis=-1)
    for i, j in combinations(range(len(frame)), 2):
        two = table(t.strength, i, j) * (table(t.core, i, j) / r[i, j] ** 4 - 1)
        total += two * falling(t.width, i, j, r[i, j])
    for i in range(len(frame)):
        for j, k in combinations([j for j in range(len(frame)) if j != i], 2):
            cosine = (frame.positions[j] - frame.positions[i]) @ (frame.positions[k] - frame.positions[i])
            cosine /= r[i, j] * r[i, k]
            stiff = np.sqrt(table(t.stiffness, i, j) * table(t.stiffness, i, k))
            widths = falling(t.angle_width, i, j, r[i, j]) * falling(t.angle_width, i, k, r[i, k])
            total += stiff * (cosine - t.cosine) ** 2 * widths
    np.testing.assert_allclose(t.evaluate([frame]).energies[0], total, rtol=1e-12)


def test_silicon_is_at_rest_at_its_lattice_constant():
    a = 0.543095
    points = (
        a
        / 4
        * np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]])
    )
    labels = stillinger_weber_silicon().evaluate(
        [Configuration(np.full(8, 14), points, a * np.eye(3), (True,) * 3)]
    )
    np.testing.assert_allclose(labels.energies[0] / 8, -2 * 209.2, rtol=1e-5)
    assert np.abs(labels.stresses[0]).max() < 1  # kJ/mol/nm^3, some 2 MPa


def test_a_fit_to_its_own_labels_finds_the_parameters():
    frames = [cluster(seed) for seed in range(12)]
    labels = MIXED.evaluate(frames)
    frames = [replace(f, energy=e, forces=g) for f, e, g in zip(frames, labels.energies, labels.forces)]
    found = StillingerWeber(cutoff=0.4, cosine=-0.3, strengths=(1000.0,)).fit(frames).term
    after = found.evaluate(frames)
    np.testing.assert_allclose(after.energies, labels.energies, atol=1e-3)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(MIXED)):
        np.testing.assert_allclose(one, other, rtol=1e-2)
