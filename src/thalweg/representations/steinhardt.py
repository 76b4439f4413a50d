r"""Steinhardt's order parameters: how far the directions to neighbors are those of a crystal [steinhardt1983].

.. math::  q_{lm}(i) = \frac{\sum_j w_{ij} Y_{lm}(\hat r_{ij})}{\sum_j w_{ij}}, \qquad
           q_l(i) = \sqrt{\tfrac{4\pi}{2l + 1} \sum_m |q_{lm}(i)|^2}

A neighbor counts by a smooth weight ``w = switch(r / radius)`` between one and zero, so that values have gradients
and can carry a bias. Perfect crystals, first shell (the first two for bcc):

=====  =======  =======  =======  ===========
l      fcc      hcp      bcc      icosahedron
=====  =======  =======  =======  ===========
of     12       12       14       12 neighbors
4      0.19094  0.09722  0.03637  0
6      0.57452  0.48476  0.51069  0.66332
=====  =======  =======  =======  ===========

`LocalOrder` is of each atom, `AveragedOrder` of each atom and its neighbors, which tells crystals and liquids
apart more sharply [lechner2008], `GlobalOrder` of all bonds together. Work grows with the square of the number of
atoms; atoms are taken one after the other, so memory does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.constant_tables import Names, Rows
from thalweg.geometry.dimensionless import Dimensionless
from thalweg.geometry.switching import LogisticSwitch, RationalSwitch
from thalweg.geometry.torsions import atoms_name
from thalweg.representations.spherical_harmonics import spherical_harmonics
from thalweg.shapes import Box, Positions, Values
from thalweg.systems.box import nearest_components
from thalweg.systems.topology import Topology

Switch = RationalSwitch | LogisticSwitch


class _Neighbors(eqx.Module):
    """Which atoms are neighbors of which, smoothly, and the harmonics of degree ``degree`` of the directions."""

    members: tuple[int, ...] = eqx.field(static=True)
    degree: int = eqx.field(static=True)
    radius: float
    switch: Switch

    def __check_init__(self):
        if self.degree < 1:
            raise ValueError(f"degree={self.degree} must be at least one; 4 and 6 tell crystals apart")
        if len(self.members) < 2:
            raise ValueError(f"order needs at least two atoms, got {len(self.members)}")

    def sums(self, positions: Positions, box: Box | None) -> tuple[jax.Array, jax.Array]:
        """``sum_j w_ij Y_lm`` ``(members, 2 l + 1, *replicas)`` and ``sum_j w_ij`` ``(members, *replicas)``."""
        x = jnp.asarray(positions)[np.array(self.members)]

        @jax.checkpoint
        def of_one(center):
            weights, harmonics = self.around(center, x, box)
            return (weights * harmonics).sum(axis=1), weights.sum(axis=0)

        return jax.lax.map(of_one, x)

    def around(self, center, x, box) -> tuple[jax.Array, jax.Array]:
        """Weights ``(members, *replicas)`` of the neighbors of one atom and harmonics of the directions to them."""
        straight = [x[:, k] - center[k] for k in range(3)]
        arrow = straight if box is None else nearest_components(straight, box)
        square = sum(component**2 for component in arrow)
        # an atom is none of its own neighbors; the inner where keeps derivatives finite at zero distance
        apart = square > 0.0
        length = jnp.sqrt(jnp.where(apart, square, 1.0))
        unit = jnp.stack([component / length for component in arrow])
        weights = jnp.where(apart, self.switch(length / self.radius), 0.0)
        return weights, spherical_harmonics(unit, self.degree)[self.degree**2 :]

    def invariant(self, moments) -> jax.Array:
        """``sqrt(4 pi / (2 l + 1) sum_m q_m^2)`` of moments on axis 1, with derivative zero at zero."""
        square = 4 * np.pi / (2 * self.degree + 1) * (moments**2).sum(axis=1)
        positive = square > 0.0
        return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


class LocalOrder(Dimensionless):
    """``q_l`` of each of some atoms, in [0, 1], neighbors among the same atoms.

    Parameters
    ----------
    atoms : indices
    degree : ``l``
    radius : distance at which a neighbor counts one half [nm]: between the first shell and the second
    switch : how sharply
    topology : names the columns

    Raises
    ------
    ValueError
        If the degree is not positive or there are fewer than two atoms.
    """

    label: ClassVar[str] = "q"

    neighbors: _Neighbors
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        atoms: Sequence[int] | np.ndarray,
        degree: int,
        radius: float,
        switch: Switch = LogisticSwitch(30.0),  # noqa: B008
        topology: Topology | None = None,
    ):
        members = tuple(np.asarray(atoms, int).tolist())
        self.neighbors = _Neighbors(members, degree, radius, switch)
        self.names = Names(f"{self.label}{degree} {atoms_name(topology, [atom])}" for atom in members)

    @property
    def atoms(self) -> Rows:
        return (self.neighbors.members,) * len(self.names)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        moments, weights = self.neighbors.sums(positions, box)
        return self.neighbors.invariant(_divided(moments, weights[:, None]))


class AveragedOrder(LocalOrder):
    """``q_l`` of the moments of each atom averaged with those of its neighbors; parameters of `LocalOrder`."""

    label: ClassVar[str] = "averaged q"

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        summed, weights = self.neighbors.sums(positions, box)
        moments = _divided(summed, weights[:, None])
        x = jnp.asarray(positions)[np.array(self.neighbors.members)]

        @jax.checkpoint
        def of_one(place):
            center, own = place
            weights, _ = self.neighbors.around(center, x, box)
            return (own + (weights[:, None] * moments).sum(axis=0)) / (1.0 + weights.sum(axis=0))

        return self.neighbors.invariant(jax.lax.map(of_one, (x, moments)))


class GlobalOrder(eqx.Module):
    """``Q_l`` of all bonds between some atoms together: large in one crystal, small where directions mix.

    Parameters
    ----------
    atoms, degree, radius, switch : as for `LocalOrder`
    """

    neighbors: _Neighbors

    def __init__(
        self,
        atoms: Sequence[int] | np.ndarray,
        degree: int,
        radius: float,
        switch: Switch = LogisticSwitch(30.0),  # noqa: B008
    ):
        self.neighbors = _Neighbors(tuple(np.asarray(atoms, int).tolist()), degree, radius, switch)

    units = ("",)
    periods = (None,)

    @property
    def names(self) -> tuple[str, ...]:
        return (f"Q{self.neighbors.degree}",)

    @property
    def atoms(self) -> Rows:
        return (self.neighbors.members,)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        moments, weights = self.neighbors.sums(positions, box)
        return self.neighbors.invariant(_divided(moments.sum(axis=0), weights.sum(axis=0))[None])


def _divided(moments, weights):
    """Moments per neighbor, and zero for an atom that has none."""
    accompanied = weights > 1e-12
    return jnp.where(accompanied, moments / jnp.where(accompanied, weights, 1.0), 0.0)
