"""Vectors and traceless symmetric tensors that point from a site to its neighbors, one for each element and distance.

    v_an = sum_j R_n(r_ij) r_ij / |r_ij|,     t_an = sum_j R_n(r_ij) (r r^T / |r|^2 - 1/3),     j of element a.

They turn with the molecule. Times functions of invariant features they make any vector or tensor that an environment
determines, so that a readout of such products is equivariant exactly, whatever the functions are.

Source: [grisafi2018].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.representations.density import projected
from thalweg.representations.element_channels import channel_weights, element_channels
from thalweg.representations.environments import batches, points_of
from thalweg.representations.radial import GaussianBasis
from thalweg.systems.configuration import Configuration
from thalweg.units import Nanometers

SIDES = np.array([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)])
"""The six components of a symmetric tensor; off the diagonal they count sqrt(2), so that dot products are traces."""

ROOTS = np.array([1.0, 1.0, 1.0, *[np.sqrt(2.0)] * 3])


class NeighborTensors(eqx.Module):
    """Sums over neighbors of an order-1 or order-2 tensor of their direction, ``(sites, channels, components)``.

    Parameters
    ----------
    elements : atomic numbers of neighbors, one channel for each and for each radial function
    order : 1 for vectors of 3 components, 2 for traceless symmetric tensors of 6 (see `flattened`)
    radial : number of radial functions, Gaussians from 0.05 nm on
    cutoff : where neighbors vanish [nm]
    """

    elements: tuple[int, ...] = eqx.field(static=True)
    order: Literal[1, 2] = eqx.field(static=True)
    radial: int = eqx.field(static=True, default=4)
    cutoff: Nanometers = eqx.field(static=True, default=0.5)

    def of(self, frames: Sequence[Configuration]) -> np.ndarray:
        """Tensors of all atoms of all ``frames``, one after the other.

        Examples
        --------
        >>> pair = Configuration(np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.1]]))
        >>> NeighborTensors((1,), 1, radial=1).of([pair])[:, 0].round(2).tolist()
        [[0.0, 0.0, 0.87], [0.0, 0.0, -0.87]]
        """
        found: list = [None] * len(frames)
        with jax.enable_x64(True):
            for chosen, near in batches(frames, self.elements, self.cutoff):
                some = [frames[k] for k in chosen]
                environments = near.environments(points_of(some, len(near.kinds)))
                tensors = np.asarray(_tensors(self, environments))
                ends = np.cumsum([len(frame) for frame in some])
                for k, block in zip(chosen, np.split(tensors[: ends[-1]], ends[:-1])):
                    found[k] = block
        return np.concatenate(found)


@eqx.filter_jit
def _tensors(tensors: NeighborTensors, environments):
    """``(sites, channels, components)``."""
    distances = environments.distances
    weights = channel_weights(element_channels(tensors.elements), environments)
    basis = GaussianBasis(tensors.radial, tensors.cutoff, first=0.05 if tensors.radial > 1 else 0.0)
    radial = (weights[:, None] * basis(distances)).reshape(-1, *distances.shape)
    unit = environments.vectors / distances
    if tensors.order == 1:
        angular = unit
    else:
        rows, columns = SIDES.T
        traceless = unit[rows] * unit[columns] - (rows == columns)[:, None, None] / 3
        angular = traceless * ROOTS[:, None, None]
    return jnp.moveaxis(projected(radial, angular), -1, 0)


def flattened(tensors: np.ndarray) -> np.ndarray:
    """Six numbers of symmetric tensors ``(..., 3, 3)``, whose dot product is the trace of the product of tensors."""
    rows, columns = SIDES.T
    return tensors[..., rows, columns] * ROOTS


def unflattened(numbers: np.ndarray) -> np.ndarray:
    """Symmetric tensors ``(..., 3, 3)`` of their six numbers.

    Examples
    --------
    >>> tensor = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])
    >>> bool(np.allclose(unflattened(flattened(tensor)), tensor))
    True
    """
    rows, columns = SIDES.T
    tensors = np.empty((*numbers.shape[:-1], 3, 3))
    tensors[..., rows, columns] = tensors[..., columns, rows] = numbers / ROOTS
    return tensors
