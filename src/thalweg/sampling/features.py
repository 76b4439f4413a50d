"""What is measured on every frame of a run: features of a molecule, as a variable, and where their values can lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from scipy.sparse.csgraph import shortest_path

from thalweg.binding.swarms.guest_contacts import GuestContacts
from thalweg.dynamics.engine import Variable
from thalweg.geometry.bond_graph import heavy_atom_pairs
from thalweg.geometry.composed_variables import SineCosine
from thalweg.geometry.torsions import backbone_dihedrals, rotatable_dihedrals
from thalweg.geometry.variables import Dihedrals, Distances
from thalweg.systems.system import System
from thalweg.systems.topology import Topology
from thalweg.units import Count, Nanometers

MOST_DISTANCES = 5000
"""Features beyond which a campaign spends its time on features."""

SLACK = 1.1
"""How much longer than at the start a chain of bonds can be pulled."""


@runtime_checkable
class FeatureSet(Protocol):
    """A choice of features: what ``[features]`` of a study names. A frozen dataclass of plain data."""

    def variable(self, topology: Topology) -> Variable:
        """The features of a molecule.

        Raises
        ------
        ValueError
            If it has none, or too many.
        """
        ...

    def bounds(self, system: System, variable: Variable) -> tuple[np.ndarray, np.ndarray] | None:
        """Lower and upper ends ``(features,)`` of where each can lie at all; None if that is not known."""
        ...


@dataclass(frozen=True)
class TorsionFeatures:
    """Sines and cosines of torsions: those of the backbone, or of every bond that turns.

    Parameters
    ----------
    select : which torsions
    """

    select: Literal["backbone", "rotatable"] = "backbone"

    def variable(self, topology: Topology) -> SineCosine:
        """Sines and cosines, named."""
        return SineCosine(Dihedrals(self.torsions(topology), topology))

    def bounds(self, system: System, variable: Variable) -> tuple[np.ndarray, np.ndarray]:
        """Minus one and one."""
        ends = np.ones(len(variable.names))
        return -ends, ends

    def torsions(self, topology: Topology) -> np.ndarray:
        """Atoms ``(torsions, 4)``."""
        if self.select == "rotatable":
            quads = rotatable_dihedrals(topology)
        else:
            named = backbone_dihedrals(topology)
            quads = np.concatenate([named["phi"], named["psi"]])
        if len(quads) == 0:
            raise ValueError(
                f'[features] no {self.select} torsion in this molecule; use select = "rotatable" or '
                'kind = "DistanceFeatures"'
            )
        return quads


@dataclass(frozen=True)
class DistanceFeatures:
    """Distances of pairs of heavy atoms at least ``separation`` bonds apart, solvent left out.

    Nearer pairs are held by bonds and angles: they say nothing about slow motions, and a bias on them would
    strain the molecule.

    Parameters
    ----------
    separation : least number of bonds between the atoms of a pair
    """

    separation: Count = 3

    def variable(self, topology: Topology) -> Distances:
        """Distances [nm], named."""
        pairs = heavy_atom_pairs(topology, self.separation)
        if not 0 < len(pairs) <= MOST_DISTANCES:
            raise ValueError(
                f'[features] kind = "DistanceFeatures" makes {len(pairs)} of them with separation = {self.separation}; '
                f'1 to {MOST_DISTANCES} are possible, change separation or use kind = "TorsionFeatures"'
            )
        return Distances(pairs, topology)

    def bounds(self, system: System, variable: Variable) -> tuple[np.ndarray, np.ndarray]:
        """Zero, and the bonds between the atoms of each pair laid out straight, pulled by `SLACK` [nm]."""
        pairs = np.array(variable.atoms)
        bonds, x, n = system.topology.bonds, system.positions, len(system.topology)
        lengths = np.zeros((n, n))
        lengths[bonds[:, 0], bonds[:, 1]] = np.linalg.norm(x[bonds[:, 0]] - x[bonds[:, 1]], axis=1)
        ways = shortest_path(lengths, directed=False)[pairs[:, 0], pairs[:, 1]]
        widest = 2 * np.ptp(x, axis=0).max() if system.box is None else np.linalg.norm(system.box.sum(0))
        return np.zeros(len(variable.names)), SLACK * np.where(np.isfinite(ways), ways, widest)


@dataclass(frozen=True)
class HostGuestFeatures:
    """The distance of host and guest, and contacts of classes of their atoms, which no symmetry of either changes.

    Parameters
    ----------
    host : number of atoms of the host, which stands first
    guest : number of atoms of each guest; the guests follow
    radius : distance at which a pair of heavy atoms counts half a contact [nm]
    """

    host: Count
    guest: Count
    radius: Nanometers = 0.5

    def variable(self, topology: Topology) -> GuestContacts:
        """The distance [nm], then contacts."""
        guests, rest = divmod(len(topology) - self.host, self.guest)
        if guests < 1 or rest:
            raise ValueError(
                f"[features] a host of {self.host} atoms and guests of {self.guest} do not make up {len(topology)} "
                "atoms; count the atoms of both, hydrogens as well"
            )
        places = np.arange(self.host, len(topology)).reshape(guests, self.guest)
        return GuestContacts(topology, np.arange(self.host), places, self.radius)

    def bounds(self, system: System, variable: Variable) -> None:
        """Unknown: a guest may go anywhere."""
        return None
