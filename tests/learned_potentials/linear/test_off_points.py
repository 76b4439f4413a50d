"""The variance of a sparse kernel off its points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.linear.design import Part
from thalweg.learned_potentials.linear.kernels import DotProduct, GaussianKernel
from thalweg.learned_potentials.linear.off_points import off_points
from thalweg.learned_potentials.linear.regularization import Ridge
from thalweg.learned_potentials.linear.sparse_kernel import KernelBasis, SparseKernel
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.expansions.soap import SOAP
from thalweg.systems.configuration import Configuration

SMALL = SOAP(cutoff=0.4, radial=3, degree=2, smearing=0.08, elements=(14,))


def cell(seed, size=1.0):
    """Four rattled atoms in a small cell, which see images of themselves and of each other."""
    generator = np.random.default_rng(seed)
    box = size * 0.37 * (np.eye(3) + generator.normal(0, 0.02, (3, 3)))
    fractions = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return Configuration(
        np.full(4, 14), fractions @ box + generator.normal(0, 0.01, (4, 3)), box, (True,) * 3
    )


def sparse(kernel, frames):
    points = np.concatenate(SMALL.features(frames))
    return Part(SMALL, KernelBasis((kernel.fitted(points),), (points,)))


def residual_of_sums(part, signed):
    """Variance of a signed sum of site energies, ``[(sign, frame), ...]``, given those at the points."""
    features = np.concatenate([np.concatenate(SMALL.features([frame])) for _, frame in signed])
    signs = np.repeat([sign for sign, _ in signed], [len(frame) for _, frame in signed])
    kernel, points = part.basis.kernels[0], part.basis.points[0]
    prior = np.asarray(kernel(features.T, features), float)
    across = np.asarray(kernel(features.T, points), float) @ signs
    return signs @ prior @ signs - across @ np.linalg.solve(part.basis.prior(), across)


@pytest.fixture(params=[DotProduct(3), GaussianKernel(1.5)], ids=["dot product", "Gaussian"])
def part(request):
    return sparse(request.param, [cell(0), cell(1)])


def test_energies_of_frames_have_the_variance_of_the_sum_of_their_sites(part):
    frame = cell(5, 1.1)
    energies, _ = off_points(part, [frame])
    assert energies[0] == pytest.approx(residual_of_sums(part, [(1, frame)]), rel=1e-6)


def test_forces_have_the_variance_of_differences_of_energies(part):
    frame, step = cell(5, 1.1), 2e-5
    _, forces = off_points(part, [frame])
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        shift = np.zeros((4, 3))
        shift[atom, axis] = step
        there, here = (replace(frame, positions=frame.positions + sign * shift) for sign in (1, -1))
        expected = residual_of_sums(part, [(1, there), (-1, here)]) / (2 * step) ** 2
        assert forces[0][atom, axis] == pytest.approx(expected, rel=1e-3)


def test_nothing_is_left_at_the_points_themselves(part):
    energies, _ = off_points(part, [cell(0), cell(5, 1.1)])
    assert energies[0] < 1e-6 * energies[1]


def test_far_from_its_points_a_sparse_kernel_is_as_unsure_as_its_prior():
    def labeled(frame):
        labels = stillinger_weber_silicon().evaluate([frame])
        return replace(frame, energy=float(labels.energies[0]), forces=labels.forces[0])

    frames = [labeled(cell(seed)) for seed in range(6)]
    learner = SparseKernel(SMALL, points=8, kernel=GaussianKernel(0.3), regularization=Ridge(1e-6))
    problem = learner.problem(frames)
    term = problem.term(learner.regularization.solve(problem.equations, problem.prior, Weights()))
    strange = Configuration(np.array([14]), np.zeros((1, 3)))
    assert term.spread([strange]).energies[0] == pytest.approx(np.sqrt(term.priors[0]), rel=1e-3)
    assert term.spread([strange]).energies[0] > term.spread(frames[:1]).energies[0] / 4
