"""Radial distribution functions of periodic frames, counted by MDTraj.

    g(r) = V / (N_a N_b) sum over pairs of delta(r - r_ij) / 4 pi r^2,

the density of partners at a distance over that of a gas as dense. Good up to half the shortest height of the cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np

from thalweg.interop.files.trajectories import topology_to_mdtraj
from thalweg.shapes import Array, Float, Int
from thalweg.systems.elements import SYMBOLS
from thalweg.systems.topology import Topology


@dataclass(frozen=True)
class RadialDistribution:
    """A radial distribution function.

    Attributes
    ----------
    radii : (bins,) centers of the bins [nm]
    values : (bins,) g at them
    """

    radii: np.ndarray
    values: np.ndarray

    @property
    def peak(self) -> tuple[float, float]:
        """Position [nm] and height of the highest peak, on the parabola through the highest bin and its neighbors."""
        k = int(np.clip(np.argmax(self.values), 1, len(self.values) - 2))
        before, here, after = self.values[k - 1 : k + 2]
        bend = before - 2 * here + after
        if bend == 0:
            return float(self.radii[k]), float(here)
        shift = 0.5 * (before - after) / bend
        spacing = self.radii[1] - self.radii[0]
        return float(self.radii[k] + shift * spacing), float(here - 0.25 * (before - after) * shift)


def radial_distribution(
    numbers: Int[Array, " atoms"],
    positions: Float[Array, "frames atoms 3"],
    box: Float[Array, "3 3"],
    pair: tuple[int, int],
    reach: float | None = None,
    spacing: float = 0.005,
) -> RadialDistribution:
    """``g(r)`` between the elements ``pair`` (atomic numbers), over all frames.

    Parameters
    ----------
    numbers : (atoms,) atomic numbers
    positions : (frames, atoms, 3) [nm], wrapped into the cell or not
    box : (3, 3) cell vectors as rows [nm], the same for all frames
    reach : largest distance [nm]; by default half the shortest height of the cell, beyond which images are missed
    spacing : of the bins [nm]

    Raises
    ------
    ValueError
        If there are no such pairs, or the reach is beyond half a height of the cell.

    Examples
    --------
    >>> gas = np.random.default_rng(0).uniform(0, 2, (50, 40, 3))
    >>> found = radial_distribution(np.full(40, 18), gas, 2 * np.eye(3), (18, 18), spacing=0.1)
    >>> bool(abs(found.values[-5:].mean() - 1) < 0.05)
    True
    """
    heights = np.abs(np.linalg.det(box)) / np.linalg.norm(
        np.cross(np.roll(box, -1, 0), np.roll(box, -2, 0)), axis=1
    )
    most = float(heights.min()) / 2
    reach = most if reach is None else reach
    if reach > most * (1 + 1e-6):
        raise ValueError(
            f"reach={reach:g} nm is beyond half the shortest height of the cell, {most:g} nm; shorten it"
        )
    topology = _topology(numbers)
    first, second = (np.flatnonzero(np.asarray(numbers) == z) for z in pair)
    pairs = topology.select_pairs(first, second)
    if not len(pairs):
        raise ValueError(f"the frames hold no pair of atomic numbers {pair[0]} and {pair[1]}")
    frames = mdtraj.Trajectory(np.asarray(positions, np.float32), topology)
    frames.unitcell_vectors = np.repeat(np.asarray(box, np.float32)[None], len(frames), 0)
    radii, values = mdtraj.compute_rdf(frames, pairs, (0.0, reach), spacing)
    return RadialDistribution(np.asarray(radii, float), np.asarray(values, float))


def _topology(numbers: Int[Array, " atoms"]) -> mdtraj.Topology:
    symbols, count = tuple(SYMBOLS[z] for z in numbers), len(numbers)
    one = Topology(symbols, symbols, ("MOL",) * count, (1,) * count, (0,) * count, np.zeros((0, 2), int))
    return topology_to_mdtraj(one)
