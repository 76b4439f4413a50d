"""A small energy learned in a second, against which labels are held: pairs of atoms, and densities they make.

    U = sum_{i<j} sum_n c_n g_n(r_ij) + sum_i sum_{n<=m} d_nm rho_in rho_im,    rho_in = sum_j h_n(r_ij),

with coefficients of their own for each pair of elements and each element. It is linear in ``c, d``, and its derivatives
all lie along pairs: with ``s_ij = dU/dr_ij`` and the unit vectors ``u_ij``

    F_i = sum_j s_ij u_ij,    V stress = sum_{i<j} r_ij s_ij u_ij (x) u_ij,

so that forces, energies and virials of the same coefficients can be compared. It is no potential to simulate with; it
tells signs and units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import vesin

from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration

CUTOFF, CLOSEST = 0.5, 0.08
"""Reach of the pairs, and center of their first function [nm]."""

PAIRS, DENSITIES = 10, 4
"""Functions ``g_n`` of each pair of elements, ``h_n`` of each element."""

RIDGE = 1e-6
"""Relative to the normal matrix, in units in which its diagonal is one."""


@dataclass(frozen=True)
class SurrogateRows:
    """Energy, forces and virial of each function in one frame.

    Attributes
    ----------
    energies : (functions,)
    forces : (3 atoms, functions)
    virials : (9, functions), stress times volume
    """

    energies: Float[np.ndarray, " functions"]
    forces: Float[np.ndarray, "components functions"]
    virials: Float[np.ndarray, "nine functions"]


def surrogate_rows(frame: Configuration, elements: np.ndarray) -> SurrogateRows:
    """The functions of a ``frame`` of these ``elements``, ascending.

    ====================  ==============================================
    ``g_n, g_n'``         ``values, slopes`` (pairs, PAIRS)
    ``h_n, h_n'``         ``spread, steep`` (pairs, DENSITIES)
    ``rho_in``            ``density`` (atoms, DENSITIES)
    ``s_ij``              ``along`` (pairs, functions of one element or pair)
    ====================  ==============================================
    """
    i, j, distances, steps = _pairs(frame)
    kinds, count = np.searchsorted(elements, frame.numbers), len(elements)
    units = steps / distances[:, None]
    values, slopes = _functions(distances[:, None], PAIRS)
    spread, steep = _functions(distances[:, None], DENSITIES)
    density = np.zeros((len(frame), DENSITIES))
    np.add.at(density, i, spread)
    np.add.at(density, j, spread)
    low, high = np.triu_indices(DENSITIES)
    squares = density[:, low] * density[:, high]
    couples = np.minimum(kinds[i], kinds[j]) * count + np.maximum(kinds[i], kinds[j])
    energies, forces, virials = [], [], []

    def gather(energy, chosen, along):
        energies.append(energy)
        pull = units[chosen, :, None] * along[:, None, :]
        onto = np.zeros((len(frame), 3, along.shape[1]))
        # -dr/dx_i = (x_j - x_i) / r, and the opposite on j
        np.add.at(onto, i[chosen], pull)
        np.subtract.at(onto, j[chosen], pull)
        forces.append(onto.reshape(3 * len(frame), -1))
        virials.append(np.einsum("pa,pbf->abf", steps[chosen], pull).reshape(9, -1))

    for first in range(count):
        for second in range(first, count):
            chosen = np.flatnonzero(couples == first * count + second)
            gather(values[chosen].sum(0), chosen, slopes[chosen])
    for kind in range(count):
        # d(rho_n rho_m)/dr_ij, of the atoms i and j that are of this kind
        own = density * (kinds == kind)[:, None]
        both = own[i] + own[j]
        along = steep[:, low] * both[:, high] + steep[:, high] * both[:, low]
        gather(squares[kinds == kind].sum(0), np.arange(len(i)), along)
    return SurrogateRows(np.concatenate(energies), np.concatenate(forces, 1), np.concatenate(virials, 1))


def frame_features(frame: Configuration, elements: np.ndarray) -> Float[np.ndarray, " functions"]:
    """What a frame looks like: its functions and the numbers of its ``elements``, per atom."""
    counts = np.array([np.count_nonzero(frame.numbers == z) for z in elements], float)
    return np.concatenate([surrogate_rows(frame, elements).energies, counts]) / len(frame)


def coefficients_from_forces(
    rows: Sequence[SurrogateRows], frames: Sequence[Configuration]
) -> Float[np.ndarray, " functions"]:
    """``c, d`` with the least squares of forces, ``sum |F + dU/dx|^2 + ridge``; all ``frames`` have forces."""
    normal, right = 0.0, 0.0
    for row, frame in zip(rows, frames, strict=True):
        normal = normal + row.forces.T @ row.forces
        right = right + row.forces.T @ np.ravel(frame.forces)
    size = np.sqrt(np.diag(normal))
    used = size > 0
    scaled = normal[np.ix_(used, used)] / size[used, None] / size[used]
    found = np.zeros(len(size))
    found[used] = np.linalg.solve(scaled + RIDGE * np.eye(len(scaled)), right[used] / size[used]) / size[used]
    return found


def _pairs(frame):
    """Atoms, distance and step from the first to the second of each pair [nm], images included."""
    periodic = any(frame.periodic)
    box = np.asarray(frame.box, float) if periodic else np.zeros((3, 3))
    flags = [bool(flag) for flag in frame.periodic] if periodic else False
    search = vesin.NeighborList(cutoff=CUTOFF, full_list=False, n_threads=1)
    i, j, distances, steps = search.compute(np.asarray(frame.positions, float), box, flags, "ijdD")
    return i.astype(int), j.astype(int), distances, steps


def _functions(distances, count):
    """Gaussians that end smoothly at the cutoff, and their derivatives, ``(pairs, count)``."""
    centers, width = np.linspace(CLOSEST, CUTOFF, count, retstep=True)
    away = (distances - centers) / width
    gaussian, ratio = np.exp(-(away**2) / 2), distances / CUTOFF
    end = (1 - ratio**2) ** 2
    return gaussian * end, gaussian * (-away / width * end - 4 * ratio / CUTOFF * (1 - ratio**2))
