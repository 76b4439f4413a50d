"""Poses about a given one, as a simulation would visit them, at the cost of a score: to augment what models see.

The ligand is turned and shifted as a rigid body in a rigid pocket, by rotations and displacements that are normal about
the given pose (a restraint ``r``), and each pose weighs as its energy has it,

    w_a = exp(-E_a / kT) / sum_b exp(-E_b / kT),

so that weighted means are those of the density ``r exp(-E / kT)`` (importance sampling). How many poses the weights
leave, ``1 / sum_a w_a^2``, says whether they mean something. Energies are those of `VinaScore`: neither
ligand nor protein bends, and nothing is known of water.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from thalweg.binding.complexes import Complex, TypedAtoms
from thalweg.binding.vina import VinaScore
from thalweg.shapes import Float
from thalweg.units import thermal_energy


@dataclass(frozen=True)
class PoseSampling:
    """Settings.

    Parameters
    ----------
    poses : that are drawn, the given one included
    shift : standard deviation of displacements along each axis [nm]
    turn : of rotations about each axis [radian]
    kT : thermal energy [kJ/mol]
    seed : of the draw

    Examples
    --------
    >>> oxygen = TypedAtoms(np.zeros((1, 3)), np.array([8]), np.array([[0, 0, 1, 0, 0, 0, 0, 1]], bool))
    >>> donor = TypedAtoms(np.array([[0.28, 0, 0]]), np.array([7]), np.array([[0, 0, 0, 1, 0, 0, 0, 1]], bool))
    >>> found = PoseSampling(poses=200).sample(Complex(oxygen, donor))
    >>> len(found.poses), bool(found.mean_energy < found.energies.mean())
    (200, True)
    """

    poses: int = 8
    shift: float = 0.02
    turn: float = 0.08
    kT: float = thermal_energy(298.15)
    seed: int = 0

    def sample(self, complex: Complex) -> PoseEnsemble:
        """Poses of the ligand of a complex, and their weights.

        Raises
        ------
        ValueError
            If no pose is asked for, or the ligand has no atoms.
        """
        if self.poses < 1 or self.kT <= 0:
            raise ValueError(
                f"{self.poses} poses at kT={self.kT:g}: at least one pose and a positive kT are needed"
            )
        generator, center = np.random.default_rng(self.seed), complex.ligand.center
        turns = Rotation.from_rotvec(self.turn * generator.normal(size=(self.poses, 3))).as_matrix()
        shifts = self.shift * generator.normal(size=(self.poses, 3))
        turns[0], shifts[0] = np.eye(3), 0.0
        own = complex.ligand.positions - center
        near = Complex(complex.pocket(1.2), complex.ligand, complex.name)
        poses = tuple(complex.ligand.moved(own @ r.T + center + t) for r, t in zip(turns, shifts))
        score = VinaScore()
        energies = np.array([score.score(Complex(near.protein, pose)) for pose in poses])
        weights = np.exp(-(energies - energies.min()) / self.kT)
        return PoseEnsemble(poses, energies, weights / weights.sum())


@dataclass(frozen=True, eq=False)
class PoseEnsemble:
    """Poses and how much each counts.

    Attributes
    ----------
    poses : the given one first
    energies : (poses,) [kJ/mol]
    weights : (poses,) summing to one
    """

    poses: tuple[TypedAtoms, ...]
    energies: Float[np.ndarray, " poses"]
    weights: Float[np.ndarray, " poses"]

    @property
    def effective(self) -> float:
        """Number of poses that the weights leave."""
        return float(1 / (self.weights**2).sum())

    @property
    def mean_energy(self) -> float:
        """Weighted mean [kJ/mol]."""
        return float(self.weights @ self.energies)
