"""A convolutional network on grids of complexes: affinities, or whether a pose is good [jimenez2018] [ragoza2017].

Three convolutions of stride two halve the grid and widen its channels, then a plain network reads what is left. It is
shown every complex in another orientation and off the points by another part of a spacing in each epoch, and asked
about several orientations, so that what it says hardly depends on them. Several networks from different starts are
averaged; their scatter is part of the error bar. How much each atom adds is the derivative with respect to the height
of its Gaussian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.binding.complexes import CHANNELS, Complex
from thalweg.binding.voxels import GridAtoms, VoxelGrid, grid_atoms, random_rotations, voxels
from thalweg.learning.models import Method, Model
from thalweg.learning.optimizers import Adam
from thalweg.learning.perceptron import Perceptron
from thalweg.learning.trainer import Trainer
from thalweg.shapes import Array, Float


class GridConvolutions(eqx.Module):
    """One number from a grid of 16 channels.

    Attributes
    ----------
    kernels : (outputs, inputs, 3, 3, 3) of each convolution
    offsets : (outputs,) of each
    head : from what is left of the grid to the number
    """

    kernels: tuple[Float[Array, "_ _ 3 3 3"], ...]
    offsets: tuple[Float[Array, " _"], ...]
    head: Perceptron

    @staticmethod
    def init(points: int, widths: Sequence[int], key: jax.Array) -> GridConvolutions:
        """Random weights for a grid of so many points and these numbers of channels."""
        keys = jax.random.split(key, len(widths) + 1)
        sizes = [2 * len(CHANNELS), *widths]
        kernels = [
            jax.random.normal(k, (b, a, 3, 3, 3)) * np.sqrt(2 / (27 * a))
            for a, b, k in zip(sizes[:-1], sizes[1:], keys)
        ]
        for _ in widths:
            points = -(-points // 2)
        head = Perceptron.init((points**3 * widths[-1], 32, 1), keys[-1])
        return GridConvolutions(tuple(kernels), tuple(jnp.zeros(b) for b in widths), head)

    def __call__(self, grids: Float[Array, "complexes channels points points points"]) -> jax.Array:
        """Outputs, (complexes,)."""
        fields = jnp.moveaxis(jnp.asarray(grids), 1, -1)
        for kernel, offset in zip(self.kernels, self.offsets):
            fields = jax.nn.silu(_convolved(fields, kernel) + offset)
        return self.head(fields.reshape(len(fields), -1))[:, 0]


def _convolved(
    fields: Float[Array, "complexes x y z inputs"], kernel: Float[Array, "outputs inputs 3 3 3"]
) -> Float[Array, "complexes x2 y2 z2 outputs"]:
    """Every other point's weighted sum over the 27 points around it; beyond the border all is zero.

    As one product of matrices: the compiler's own convolutions in three dimensions take six times as long on a
    processor, their derivatives fifteen times.
    """
    points = fields.shape[1]
    half = -(-points // 2)
    missing = max(2 * half + 1 - points, 0)
    padded = jnp.pad(fields, ((0, 0), *((missing // 2, missing - missing // 2),) * 3, (0, 0)))
    every = [slice(first, first + 2 * half - 1, 2) for first in range(3)]
    # (complexes, x2, y2, z2, 27 inputs)
    around = jnp.concatenate([padded[:, i, j, k] for i in every for j in every for k in every], axis=-1)
    return around @ kernel.transpose(2, 3, 4, 1, 0).reshape(-1, len(kernel))


@dataclass(frozen=True)
class GridNetwork(Method):
    """Settings of the network and of its training.

    Parameters
    ----------
    task : "value" for affinities (squared errors), "class" for good and bad (logistic loss)
    grid : points and spacing
    widths : channels after each convolution
    epochs : walks over the complexes, each in new orientations
    batch : complexes in a step
    learning_rate : of Adam
    members : networks that are averaged
    orientations : in which a complex is asked about
    seed : of weights, order and orientations
    """

    task: Literal["value", "class"] = "value"
    grid: VoxelGrid = VoxelGrid()  # noqa: RUF009
    widths: tuple[int, ...] = (16, 32, 32)
    epochs: int = 20
    batch: int = 16
    learning_rate: float = 2e-3
    members: int = 3
    orientations: int = 4
    seed: int = 0

    def fit(self, complexes: Sequence[Complex], labels: Float[np.ndarray, " complexes"]) -> GridNetworkModel:
        """Networks trained on complexes and their labels.

        Raises
        ------
        ValueError
            If labels do not fit the complexes or the task, or a grid does not hold a ligand.
        """
        labels = np.asarray(labels, float)
        if len(labels) != len(complexes) or not np.isfinite(labels).all():
            raise ValueError(f"{len(complexes)} complexes need as many finite labels; got {len(labels)}")
        if self.task == "class" and set(np.unique(labels)) != {0.0, 1.0}:
            raise ValueError("classes are labeled 0 and 1, and both must be there")
        mean, spread = (labels.mean(), labels.std() or 1.0) if self.task == "value" else (0.0, 1.0)
        atoms, targets = grid_atoms(complexes, self.grid), jnp.asarray((labels - mean) / spread, jnp.float32)
        trainer = Trainer(self.epochs, Adam(self.learning_rate), average=0.9)
        members = []
        for member in range(self.members):
            key = jax.random.fold_in(jax.random.key(self.seed), member)
            start = GridConvolutions.init(self.grid.points, self.widths, key)
            batches = _Batches(atoms, targets, self.batch, self.grid)
            members.append(trainer.fit(start, _LOSSES[self.task], batches, seed=self.seed + member).model)
        return GridNetworkModel(self, tuple(members), float(mean), float(spread))


@dataclass(frozen=True, eq=False, repr=False)
class GridNetworkModel(Model):
    """Trained networks.

    Attributes
    ----------
    method : their settings
    members : the networks
    mean, spread : of labels of the training set, which outputs are scaled by
    """

    method: GridNetwork
    members: tuple[GridConvolutions, ...]
    mean: float
    spread: float

    def predict(
        self, complexes: Sequence[Complex]
    ) -> tuple[Float[np.ndarray, " complexes"], Float[np.ndarray, " complexes"]]:
        """What is expected of each complex, and its standard deviation over networks.

        Values in the unit of labels, or probabilities of class 1.
        """
        atoms, method = grid_atoms(complexes, self.method.grid), self.method
        turns = random_rotations(jax.random.key(method.seed), method.orientations)
        found = np.array(
            [
                np.mean([_outputs(member, atoms, turn, method.grid) for turn in turns], 0)
                for member in self.members
            ]
        )
        found = 1 / (1 + np.exp(-found)) if method.task == "class" else self.mean + self.spread * found
        return found.mean(0), found.std(0)

    def contributions(self, complex: Complex) -> tuple[np.ndarray, np.ndarray]:
        """How the output would grow if atoms were more, of the protein's and of the ligand's atoms, in units of labels.

        The mean over networks and orientations of ``d output / d w_a``, the Gaussian of atom ``a`` being ``w_a`` times
        as high; zero for atoms of the protein that are too far to be on any grid.
        """
        (atoms,) = [jax.tree.map(lambda leaf: leaf[0], grid_atoms([complex], self.method.grid))]
        turns = random_rotations(jax.random.key(self.method.seed), self.method.orientations)
        slopes = np.mean(
            [_slopes(member, atoms, turn, self.method.grid) for member in self.members for turn in turns], 0
        )
        near = self.method.grid.reaches(complex.protein.positions - complex.ligand.center)
        protein = np.zeros(len(complex.protein))
        protein[near] = slopes[: near.sum()]
        return self.spread * protein, self.spread * slopes[near.sum() : near.sum() + len(complex.ligand)]


@dataclass(frozen=True)
class _Batches:
    """Complexes in random order and orientation, anew in each epoch."""

    atoms: GridAtoms
    targets: jax.Array
    size: int
    grid: VoxelGrid

    def __call__(self, generator: np.random.Generator):
        order = generator.permutation(len(self.targets))
        size = min(self.size, len(order))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            key = jax.random.key(int(generator.integers(2**31)))
            turns = random_rotations(key, size)
            shifts = self.grid.spacing * (jax.random.uniform(key, (size, 3)) - 0.5)
            own = jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], self.atoms)
            yield _grids(own, turns, shifts, self.grid), self.targets[chosen]


@eqx.filter_jit
def _grids(atoms, turns, shifts, grid):
    return jax.lax.map(lambda given: voxels(given[0], grid, given[1], given[2]), (atoms, turns, shifts))


@eqx.filter_jit
def _outputs(network, atoms, turn, grid):
    return network(jax.lax.map(lambda own: voxels(own, grid, turn), atoms))


@eqx.filter_jit
def _slopes(network, atoms, turn, grid):
    def output(weights):
        return network(voxels(atoms, grid, turn, weights=weights)[None])[0]

    return jax.grad(output)(jnp.ones(len(atoms.radii), atoms.radii.dtype))


def _squares(network, batch):
    return ((network(batch[0]) - batch[1]) ** 2).mean()


def _entropy(network, batch):
    """``-log p`` of the class that each is in."""
    return jax.nn.softplus(jnp.where(batch[1] > 0.5, -1, 1) * network(batch[0])).mean()


_LOSSES = {"value": _squares, "class": _entropy}
