"""Molecules on a grid: densities of typed atoms at points, turned, shifted, many at once, with gradients.

Every atom is a Gaussian as wide as its radius ``r``, a product of one factor for each axis,

    rho_c(x, y, z) = sum_{a in c} g_a(x - x_a) g_a(y - y_a) g_a(z - z_a),   g_a(u) = exp(-2 u^2 / r_a^2)

[ragoza2017], so that the grid of a channel ``c`` is one matrix product over its atoms. Positions are traced: gradients
with respect to them, to the rotation and to the shift are exact. The occupancy ``1 - exp(-(r / d)^12)`` of the nearest
atom [jimenez2018] has no such factors and stands here for comparison with published networks; it is some ten times
slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.binding.complexes import CHANNELS, Complex, TypedAtoms
from thalweg.shapes import Array, Bool, Float, Int

ROUND = 32
"""Lists of atoms are filled up to multiples of so many, so that few programs are compiled."""

NOWHERE = 1e3
"""Where atoms that fill up lists are put [nm]: no grid reaches there."""


class OutsideGrid(ValueError):
    """A ligand that the grid does not hold: the message says by how much."""


@dataclass(frozen=True)
class VoxelGrid:
    """A cube of points.

    Parameters
    ----------
    points : along each edge
    spacing : between neighbors [nm]

    Examples
    --------
    >>> VoxelGrid().edge
    2.4
    """

    points: int = 24
    spacing: float = 0.1

    @property
    def edge(self) -> float:
        """Length of an edge, a cell of a spacing around each point [nm]."""
        return round(self.points * self.spacing, 12)

    @property
    def axis(self) -> Float[np.ndarray, " points"]:
        """Coordinates of points along an axis, about the center of the grid [nm]."""
        return (np.arange(self.points) - (self.points - 1) / 2) * self.spacing

    def reaches(self, positions: Float[np.ndarray, "atoms 3"]) -> Bool[np.ndarray, " atoms"]:
        """Which positions about the center [nm] some turn brings near enough to be seen on the grid."""
        return np.linalg.norm(positions, axis=1) < np.sqrt(3) / 2 * self.edge + 0.4

    def check_holds(self, ligand: TypedAtoms, center: Float[Array, " 3"]) -> None:
        """Refuse a ligand that sticks out of the grid.

        Raises
        ------
        OutsideGrid
            If an atom is further from ``center`` [nm] along an axis than half an edge.
        """
        away = np.abs(ligand.positions - np.asarray(center))
        if len(ligand) and away.max() > self.edge / 2:
            out = int((away.max(1) > self.edge / 2).sum())
            raise OutsideGrid(
                f"{out} of {len(ligand)} atoms of the ligand are outside of the grid of {self.edge:g} nm, up to "
                f"{away.max() - self.edge / 2:.2f} nm; center the grid on the ligand, or use "
                f"points={int(np.ceil(2 * away.max() / self.spacing))} or more"
            )


class GridAtoms(eqx.Module):
    """Atoms of one complex, or of a batch of them with one more axis in front, sorted by channel to be put on a grid.

    Attributes
    ----------
    positions : (atoms, 3) about the center of the grid [nm]; the last ones fill up
    radii : (atoms,) [nm]
    members : for each channel, those of the protein first, indices of its atoms, filled up by atoms that are nowhere
    """

    positions: Float[Array, "*batch atoms 3"]
    radii: Float[Array, "*batch atoms"]
    members: tuple[Int[Array, "*batch _"], ...]


def grid_atoms(
    complexes: Sequence[Complex],
    grid: VoxelGrid = VoxelGrid(),
    centers: Float[Array, "complexes 3"] | None = None,
) -> GridAtoms:
    """A batch of complexes ready to be put on grids around their ligands.

    Atoms of the protein that no rotation brings near the grid are left out.

    Parameters
    ----------
    centers : of the grids [nm]; the ligands' centers unless given

    Raises
    ------
    ValueError
        If there are no complexes.
    OutsideGrid
        If the grid does not hold a ligand.
    """
    if not complexes:
        raise ValueError("there are no complexes; give at least one")
    middles = [each.ligand.center for each in complexes] if centers is None else np.asarray(centers)
    placed = []
    for each, middle in zip(complexes, middles):
        grid.check_holds(each.ligand, middle)
        protein = each.protein.positions - middle
        near = grid.reaches(protein)
        radii = np.r_[each.protein.radii[near], each.ligand.radii]
        channels = np.zeros((len(radii), 2 * len(CHANNELS)), bool)
        channels[: near.sum(), : len(CHANNELS)] = each.protein.channels[near]
        channels[near.sum() :, len(CHANNELS) :] = each.ligand.channels
        placed.append((np.r_[protein[near], each.ligand.positions - middle], radii, channels))
    return _filled_up(placed)


def _filled_up(placed):
    count = _rounded(max(len(radii) for _, radii, _ in placed) + 1)
    sizes = [_rounded(max(int(own[:, c].sum()) for _, _, own in placed)) for c in range(2 * len(CHANNELS))]
    positions = np.full((len(placed), count, 3), NOWHERE, np.float32)
    radii = np.full((len(placed), count), 0.1, np.float32)
    members = [np.full((len(placed), size), count - 1, np.int32) for size in sizes]
    for k, (own, sized, channels) in enumerate(placed):
        positions[k, : len(own)], radii[k, : len(own)] = own, sized
        for c, filled in enumerate(members):
            chosen = np.flatnonzero(channels[:, c])
            filled[k, : len(chosen)] = chosen
    return GridAtoms(jnp.asarray(positions), jnp.asarray(radii), tuple(map(jnp.asarray, members)))


def _rounded(count):
    return -(-max(count, 0) // ROUND) * ROUND


def voxels(
    atoms: GridAtoms,
    grid: VoxelGrid = VoxelGrid(),
    rotation: Float[Array, "3 3"] | None = None,
    shift: Float[Array, " 3"] | None = None,
    weights: Float[Array, " atoms"] | None = None,
) -> Float[jax.Array, "channels points points points"]:
    """Gaussian densities of one complex: eight channels of the protein, eight of the ligand.

    Parameters
    ----------
    atoms : of one complex; `jax.vmap` or `voxel_batch` for a batch
    rotation : (3, 3) matrix that turns the complex about the center of the grid
    shift : of the complex after it is turned [nm], such as part of a spacing
    weights : (atoms,) heights of Gaussians; one unless given
    """
    placed = _placed(atoms.positions, rotation, shift)
    # (atoms, 3, points): one factor for each axis
    away = placed[:, :, None] - jnp.asarray(grid.axis, placed.dtype)
    factors = jnp.exp(-2 * (away / atoms.radii[:, None, None]) ** 2)
    if weights is not None:
        factors = factors.at[:, 0].multiply(weights[:, None])
    channels = [_density(factors[members], grid.points) for members in atoms.members]
    return jnp.stack(channels)


def _density(factors, points):
    """``sum_a x_ai y_aj z_ak`` as a product of matrices, (points, points, points)."""
    if not factors.shape[0]:
        return jnp.zeros((points,) * 3, factors.dtype)
    planes = (factors[:, 1, :, None] * factors[:, 2, None, :]).reshape(len(factors), -1)
    return (factors[:, 0].T @ planes).reshape((points,) * 3)


@eqx.filter_jit
def voxel_batch(
    atoms: GridAtoms,
    grid: VoxelGrid = VoxelGrid(),
    rotations: Float[Array, "complexes 3 3"] | None = None,
    shifts: Float[Array, "complexes 3"] | None = None,
) -> Float[jax.Array, "complexes channels points points points"]:
    """`voxels` of every complex of a batch, each with its own rotation and shift."""

    def single(given):
        return voxels(given[0], grid, *given[1:])

    # one after the other: what a complex needs on the way stays in the cache of the processor
    return jax.lax.map(single, (atoms, rotations, shifts))


def occupancies(
    atoms: GridAtoms,
    grid: VoxelGrid = VoxelGrid(),
    rotation: Float[Array, "3 3"] | None = None,
    shift: Float[Array, " 3"] | None = None,
) -> Float[jax.Array, "channels points points points"]:
    """``1 - exp(-(r / d)^12)`` of the atom that fills each point most, in each channel [jimenez2018]."""
    placed = _placed(atoms.positions, rotation, shift)
    axis = jnp.asarray(grid.axis, placed.dtype)
    squares = (placed[:, :, None] - axis) ** 2
    far = (
        squares[:, 0, :, None, None] + squares[:, 1, None, :, None] + squares[:, 2, None, None, :]
    )  # d^2, (atoms, points, points, points)
    ratio = (atoms.radii**2)[:, None, None, None] / jnp.maximum(far, 1e-6)
    filled = -jnp.expm1(-(jnp.minimum(ratio, 10.0) ** 6))
    return jnp.stack(
        [
            filled[members].max(0) if members.shape[0] else jnp.zeros((grid.points,) * 3, placed.dtype)
            for members in atoms.members
        ]
    )


def random_rotations(key: jax.Array, count: int) -> Float[jax.Array, "count 3 3"]:
    """Uniformly distributed rotations, from random unit quaternions [shoemake1992]."""
    w, x, y, z = jax.random.normal(key, (4, count))
    length = jnp.sqrt(w**2 + x**2 + y**2 + z**2)
    w, x, y, z = w / length, x / length, y / length, z / length
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return jnp.moveaxis(jnp.array(rows), -1, 0)


def _placed(positions, rotation, shift):
    turned = positions if rotation is None else positions @ jnp.asarray(rotation, positions.dtype).T
    return turned if shift is None else turned + jnp.asarray(shift, positions.dtype)
