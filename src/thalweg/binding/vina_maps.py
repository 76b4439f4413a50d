"""The score of `VinaScore` for many poses in one rigid pocket, read off maps, and a search for good ones.

What an atom of one kind feels at each point of a lattice is summed once over the protein [goodsell1990]; a pose is then
a few interpolations an atom. The search moves several rigid conformers at a time: each is turned and shifted at random
about where it is, and goes where the score is best, by moves that grow smaller. Nothing bends, and what is found is
near what the search began at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from thalweg.binding.complexes import TypedAtoms
from thalweg.binding.vina import CUTOFF, ROTOR_WEIGHT, WEIGHTS, kinds_of_atoms
from thalweg.shapes import Float
from thalweg.units import ANGSTROM, KILOCALORIE, Count

Kind = tuple[float, bool, bool, bool]
"""Radius [Å], whether it is hydrophobic, donates, accepts."""

OUTSIDE = 100.0
"""Of an atom that is off the maps [kJ/mol]."""

MOST_POINTS = 20_000
"""Whose pairs with atoms of the protein are held at a time."""


@dataclass(frozen=True, eq=False)
class VinaMaps:
    """Maps of one pocket.

    Attributes
    ----------
    low : corner of the lattice [nm]
    spacing : of its points [nm]
    maps : (x, y, z) what an atom of each kind feels [kJ/mol]
    """

    low: Float[np.ndarray, " 3"]
    spacing: float
    maps: Mapping[Kind, Float[np.ndarray, "x y z"]]

    @staticmethod
    def of(
        protein: TypedAtoms,
        about: Float[np.ndarray, "places 3"],
        ligands: Sequence[TypedAtoms],
        margin: float = 0.6,
        spacing: float = 0.05,
    ) -> VinaMaps:
        """Maps for the kinds of atoms of some ``ligands``, of all points within a box.

        Parameters
        ----------
        about : places that the box holds, with a ``margin`` on each side [nm]

        Examples
        --------
        >>> from thalweg.binding.complexes import Complex
        >>> from thalweg.binding.vina import VinaScore
        >>> oxygen = TypedAtoms(np.zeros((1, 3)), np.array([8]), np.array([[0, 0, 1, 0, 0, 0, 0, 1]], bool))
        >>> donor = TypedAtoms(np.array([[0.28, 0, 0]]), np.array([7]), np.array([[0, 0, 0, 1, 0, 0, 0, 1]], bool))
        >>> maps = VinaMaps.of(oxygen, donor.positions, [donor], spacing=0.01)
        >>> found = maps.energies(donor.positions[None], donor)[0]
        >>> bool(abs(found - VinaScore().score(Complex(oxygen, donor))) < 0.05)
        True
        """
        low = about.min(0) - margin
        shape = np.ceil((about.max(0) + margin - low) / spacing).astype(int) + 1
        points = low + spacing * np.argwhere(np.ones(shape, bool))
        wanted = dict.fromkeys(kind for each in ligands for kind in kinds_of_atoms(each))
        own, tree = kinds_of_atoms(protein), KDTree(protein.positions)
        radii, greasy, donors, acceptors = (np.array(column) for column in zip(*own))
        found: dict[Kind, list[np.ndarray]] = {kind: [] for kind in wanted}
        for part in np.array_split(points, -(-len(points) // MOST_POINTS)):
            pairs = KDTree(part).sparse_distance_matrix(tree, CUTOFF * ANGSTROM, output_type="ndarray")
            point, atom = pairs["i"], pairs["j"]
            for kind in wanted:
                d = pairs["v"] / ANGSTROM - radii[atom] - kind[0]
                felt = WEIGHTS[0] * np.exp(-((d / 0.5) ** 2)) + WEIGHTS[1] * np.exp(-(((d - 3) / 2) ** 2))
                felt += WEIGHTS[2] * np.minimum(d, 0) ** 2
                if kind[1]:
                    felt += WEIGHTS[3] * greasy[atom] * np.clip(1.5 - d, 0, 1)
                bonding = (kind[2] & acceptors[atom]) | (kind[3] & donors[atom])
                felt += WEIGHTS[4] * bonding * np.clip(-d / 0.7, 0, 1)
                found[kind].append(np.bincount(point, felt, len(part)) * KILOCALORIE)
        maps = {kind: np.concatenate(each).reshape(shape) for kind, each in found.items()}
        return VinaMaps(low, spacing, maps)

    def energies(
        self, positions: Float[np.ndarray, "poses atoms 3"], ligand: TypedAtoms
    ) -> Float[np.ndarray, " poses"]:
        """Of each pose of one ligand [kJ/mol], `OUTSIDE` added for each atom that is off the maps.

        Raises
        ------
        KeyError
            If the ligand has atoms of a kind for which there is no map.
        """
        places, kinds = (positions - self.low) / self.spacing, kinds_of_atoms(ligand)
        found = np.zeros(len(positions))
        for kind in dict.fromkeys(kinds):
            own = [k for k, each in enumerate(kinds) if each == kind]
            asked = places[:, own].reshape(-1, 3).T
            felt = map_coordinates(self.maps[kind], asked, order=1, mode="constant", cval=OUTSIDE)
            found += felt.reshape(len(positions), -1).sum(1)
        return found / (1 + ROTOR_WEIGHT * ligand.rotatable_bonds)


@dataclass(frozen=True)
class PoseSearch:
    """Settings of the search.

    Parameters
    ----------
    rounds : of moves, each of half the length of those before
    moves : of each conformer in a round
    shift, turn : standard deviations of the first moves [nm] and [radian]
    seed : of the moves
    """

    rounds: Count = 6
    moves: Count = 30
    shift: float = 0.15
    turn: float = 0.6
    seed: int = 0

    def best(self, maps: VinaMaps, conformers: Sequence[TypedAtoms]) -> tuple[TypedAtoms, float]:
        """The pose of the best score that is found from conformers of one ligand, and its score [kJ/mol].

        Raises
        ------
        ValueError
            If there are no conformers.
        """
        if not conformers:
            raise ValueError("there are no conformers; give one or more, each where the search is to begin")
        generator, here = np.random.default_rng(self.seed), np.stack([each.positions for each in conformers])
        energies = maps.energies(here, conformers[0])
        for step in range(self.rounds):
            length, count = 0.5**step, len(here) * self.moves
            turns = Rotation.from_rotvec(length * self.turn * generator.normal(size=(count, 3))).as_matrix()
            shifts = length * self.shift * generator.normal(size=(count, 1, 3))
            center = here.mean(1, keepdims=True).repeat(self.moves, 0)
            moved = (here.repeat(self.moves, 0) - center) @ turns.transpose(0, 2, 1) + center + shifts
            found = maps.energies(moved, conformers[0]).reshape(len(here), self.moves)
            chosen, each = found.argmin(1), np.arange(len(here))
            better = found[each, chosen] < energies
            moved = moved.reshape(len(here), self.moves, -1, 3)[each, chosen]
            here = np.where(better[:, None, None], moved, here)
            energies = np.where(better, found[each, chosen], energies)
        best = int(energies.argmin())
        return conformers[0].moved(here[best]), float(energies[best])
