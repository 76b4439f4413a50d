r"""How many atoms are around an atom, smoothly: coordination, burial, contact with solvent.

.. math::  n_i = \sum_j s(r_{ij} / r_0)

A residue with many atoms of others around its side chain is buried; one with many water oxygens around it is
exposed. Unlike a solvent-accessible surface this has a smooth gradient and can carry a bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.constant_tables import Names, Rows
from thalweg.geometry.dimensionless import Dimensionless
from thalweg.geometry.residues import residue_of_atoms
from thalweg.geometry.switching import LogisticSwitch, RationalSwitch
from thalweg.geometry.torsions import atoms_name
from thalweg.shapes import Box, Positions, Values
from thalweg.systems.box import nearest_components
from thalweg.systems.topology import Topology


class CoordinationNumbers(Dimensionless):
    """Numbers of atoms around some centers, themselves not counted; nearest images if there is a box.

    Parameters
    ----------
    centers : indices of atoms
    others : indices of the atoms that are counted
    radius : distance at which an atom counts one half, with a `LogisticSwitch` [nm]
    switch : `RationalSwitch` or `LogisticSwitch`
    topology : names the columns, and keeps atoms of a center's own residue from being counted

    Examples
    --------
    >>> line = jnp.array([[0.0, 0, 0], [0.2, 0, 0], [0.3, 0, 0], [5.0, 0, 0]])
    >>> CoordinationNumbers([0, 3], [0, 1, 2, 3], radius=1.0)(line).round(2).tolist()
    [2.0, 0.0]
    """

    centers: tuple[int, ...] = eqx.field(static=True)
    others: tuple[int, ...] = eqx.field(static=True)
    residues: tuple[int, ...] | None = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    radius: float
    switch: RationalSwitch | LogisticSwitch

    def __init__(
        self,
        centers: np.ndarray | Sequence[int],
        others: np.ndarray | Sequence[int],
        radius: float,
        switch: RationalSwitch | LogisticSwitch = RationalSwitch(),  # noqa: B008
        topology: Topology | None = None,
    ):
        self.centers = tuple(np.asarray(centers, int).tolist())
        self.others = tuple(np.asarray(others, int).tolist())
        self.residues = None if topology is None else tuple(residue_of_atoms(topology).tolist())
        self.names = Names(f"around {atoms_name(topology, [atom])}" for atom in self.centers)
        self.radius, self.switch = radius, switch

    @property
    def atoms(self) -> Rows:
        return tuple(
            (center, *(j for j, counted in zip(self.others, row) if counted))
            for center, row in zip(self.centers, self._counted().tolist())
        )

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        x = jnp.asarray(positions)
        others = x[np.array(self.others)]

        @jax.checkpoint
        def of_one(place):
            center, counted = place
            straight = [others[:, k] - center[k] for k in range(3)]
            x, y, z = straight if box is None else nearest_components(straight, box)
            square = x * x + y * y + z * z
            apart = square > 0.0
            length = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)
            near = self.switch(length / self.radius)
            return jnp.tensordot(counted.astype(near.dtype), near, 1)

        return jax.lax.map(of_one, (x[np.array(self.centers)], jnp.asarray(self._counted())))

    def _counted(self) -> np.ndarray:
        """Which of the others count for which center, ``(centers, others)`` bool."""
        centers, others = np.array(self.centers), np.array(self.others)
        if self.residues is None:
            return others != centers[:, None]
        residue = np.array(self.residues)
        return residue[others] != residue[centers][:, None]


def burial(topology: Topology, radius: float = 1.0) -> CoordinationNumbers:
    """Heavy atoms of other protein residues around the CB, or CA of glycine, of every residue: many if it is buried.

    Raises
    ------
    ValueError
        If there is no protein.
    """
    residue, centers = residue_of_atoms(topology), {}
    for wanted in ("CA", "CB"):
        for atom, (name, element) in enumerate(zip(topology.names, topology.elements)):
            if (name, element) == (wanted, "C"):
                centers[int(residue[atom])] = atom
    alpha = {int(residue[k]) for k, name in enumerate(topology.names) if name == "CA"}
    if not alpha:
        raise ValueError("the topology has no CA atom; give the centers to CoordinationNumbers yourself")
    counted = [atom for atom in topology.heavy_atoms.tolist() if int(residue[atom]) in alpha]
    return CoordinationNumbers(
        [centers[k] for k in sorted(alpha)], counted, radius, LogisticSwitch(10.0), topology
    )
