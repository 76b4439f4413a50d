"""What a sparse kernel cannot know: the variance of a Gaussian process off its chosen environments.

A process of kernel ``k`` whose values at ``M`` environments were known exactly would still be unsure of others by

    r(f, f') = k(f, f') - k_M(f)^T K_MM^-1 k_M(f'),

which fitted coefficients of the ``M`` kernels do not show: far from all of them these predict zero and are sure of it.
Adding ``r`` to the posterior's variance (the deterministic training conditional [quinonero2005]) gives it the prior's
there. Energies of frames and force components are linear in the process, so that with signs, sums over sites and
derivatives of ``k`` the correction is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from scipy.linalg import cholesky, solve_triangular

from thalweg.learned_potentials.linear.design import Part, part_rows
from thalweg.learned_potentials.linear.kernels import Kernel
from thalweg.representations.derivatives import Pulls, with_derivatives
from thalweg.representations.environments import Neighborhoods, points_of
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration


@runtime_checkable
class Sparse(Protocol):
    """A basis of kernels with chosen environments, see `sparse_kernel.KernelBasis`."""

    kernels: tuple[Kernel, ...]
    points: tuple[np.ndarray, ...]

    def prior(self) -> np.ndarray:
        """``K_MM``."""
        ...


def off_points(
    part: Part, configurations: Sequence[Configuration]
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Variances of energies ``(frames,)`` and of force components ``(atoms, 3)`` per frame that no point explains.

    In units of the kernel's prior. The basis of ``part`` is `Sparse`.
    """
    energies, forces = np.zeros(len(configurations)), [np.zeros((0, 3))] * len(configurations)
    factor = cholesky(part.basis.prior(), lower=False)
    with jax.enable_x64(True):
        for chosen, near, pulls in with_derivatives(part.representation, configurations):
            frames = [configurations[k] for k in chosen]
            points = points_of(frames, len(near.kinds))
            rows = part_rows(chosen, frames, near, points, pulls, part)
            # r = k - k_M^T K_MM^-1 k_M, with sums over sites for energies and derivatives for forces
            prior = _energy_variances(part, near, pulls.features, len(frames))
            energies[chosen] = np.maximum(prior - _explained(factor, rows.energies), 0)
            force_priors = _force_variances(part, near, pulls, sum(map(len, frames)))
            ends = np.cumsum([len(frame) for frame in frames])[:-1]
            for k, row, prior in zip(chosen, rows.forces, np.split(force_priors, ends)):
                forces[k] = np.maximum(prior - _explained(factor, row).reshape(-1, 3), 0)
    return energies, tuple(forces)


def _explained(factor, rows):
    """``x^T K_MM^-1 x = |U^-T x|^2`` of each row, with ``K_MM = U^T U``."""
    whitened = solve_triangular(factor, rows.T, trans="T", lower=False)
    return (whitened * whitened).sum(0)


def _energy_variances(part, near, features, count):
    """``sum_ij k(f_i, f_j)`` over the sites of each element in each frame."""
    variances = np.zeros(count)
    for kind, kernel in enumerate(part.basis.kernels):
        for frame in range(count):
            mine = features[(near.kinds == kind) & (near.frames == frame)]
            variances[frame] += float(np.asarray(kernel(mine.T, mine)).sum()) if len(mine) else 0.0
    return variances


def _force_variances(
    part: Part, near: Neighborhoods, pulls: Pulls, atoms: int
) -> Float[np.ndarray, "atoms 3"]:
    """Prior variances of the forces, each a `DotProduct.pulled_variance` of the sites that feel the atom."""
    variances = np.zeros((atoms, 3))
    for kind, kernel in enumerate(part.basis.kernels):
        mine = np.flatnonzero(near.kinds == kind)
        centers, slots, changes = pulls.of(mine)
        # -df/dx of every atom and every site that feels it: minus df/dr_ij of the neighbor, plus of the center
        moved = np.concatenate([near.partners[slots, centers], centers])
        feeling = np.concatenate([centers, centers])
        keys, place = np.unique(np.stack([moved, feeling]), axis=1, return_inverse=True)
        sums = np.zeros((keys.shape[1], *changes.shape[1:]))
        np.add.at(sums, place[: len(centers)], -changes)
        np.add.at(sums, place[len(centers) :], changes)
        starts = np.searchsorted(keys[0], np.arange(atoms + 1))
        for atom in range(atoms):
            near_by = slice(starts[atom], starts[atom + 1])
            if starts[atom] < starts[atom + 1]:
                variances[atom] += kernel.pulled_variance(pulls.features[keys[1, near_by]], sums[near_by])
    return variances
