"""PotentialsTask: learn the forces of a molecule from labeled frames, and say those of other frames, hotter ones too.

A chain of seven heavy atoms in an energy of bonds, angles, torsions, and Lennard-Jones and Coulomb interactions between
atoms four and more bonds apart, its parameters drawn anew for each problem and exactly known to the judge. Frames come
from Langevin dynamics: those given at 300 K, those asked half at 300 K and half at 600 K, of other runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.contest.rules.task import Arrays, Ask, EntryLimits, Score, bootstrapped
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.machine.precision import full_precision
from thalweg.potentials.energy import Energy, energy_and_forces
from thalweg.potentials.harmonic import harmonic_angles, harmonic_bonds
from thalweg.potentials.internal_coordinates import InternalEnergy, distance
from thalweg.potentials.nonbonded import ExceptionPotential
from thalweg.potentials.torsions import periodic_torsions
from thalweg.shapes import Float
from thalweg.systems.elements import MASSES
from thalweg.systems.state import thermal_state
from thalweg.units import BOLTZMANN

CHAIN = (6, 7, 6, 8, 6, 16, 7)
"""Atomic numbers; no two places are alike."""

RUNS, FRAMES, STEPS, FIRST = 10, 10, 300, 900
"""Runs of each kind, frames of each, steps between frames, and steps before the first."""

WARM, HOT = 300.0, 600.0
"""Temperatures [K]."""


@dataclass(frozen=True)
class PotentialsTask:
    """The task; see the module."""

    name: str = "potentials"
    title: str = "Learn the forces of a molecule from 100 labeled frames at 300 K"
    gets: Mapping[str, str] = field(
        default_factory=lambda: {
            "numbers": "fit: (atoms,) atomic numbers",
            "positions": "fit and answer: (frames, atoms, 3) [nm]",
            "energies": "fit: (frames,) [kJ/mol]",
            "forces": "fit: (frames, atoms, 3) [kJ/mol/nm]",
        }
    )
    gives: Mapping[str, str] = field(default_factory=lambda: {"forces": "(frames, atoms, 3) [kJ/mol/nm]"})
    scored: str = (
        "mean absolute error of force components, half the frames at 300 K, half at 600 K, 0 at best"
    )
    unit: str = "kJ/mol/nm"
    larger_is_better: bool = False
    problems: int = 3
    limits: EntryLimits = EntryLimits(cpu=60.0, wall=240.0)  # noqa: RUF009

    def problem(self, seed: np.random.SeedSequence) -> DrawnChain:
        """A molecule and its runs drawn from ``seed``."""
        random = np.random.default_rng(seed)
        energy = _drawn_energy(random)
        given, warm, hot = (_frames(energy, T, random) for T in (WARM, WARM, HOT))
        return DrawnChain(energy, given, np.concatenate([warm, hot]))


@dataclass(frozen=True, eq=False)
class DrawnChain:
    """One draw.

    Attributes
    ----------
    energy : of the molecule
    runs : (runs, frames, atoms, 3) given [nm]
    withheld : (2 runs, frames, atoms, 3) [nm], the warm runs, then the hot ones
    """

    energy: Energy
    runs: Float[np.ndarray, "runs frames atoms 3"]
    withheld: Float[np.ndarray, "_ frames atoms 3"]

    @property
    def given(self) -> Arrays:
        """Labeled frames of the warm runs."""
        positions = self.runs.reshape(-1, len(CHAIN), 3)
        energies, forces = self.labels(positions)
        return {"numbers": np.array(CHAIN), "positions": positions, "energies": energies, "forces": forces}

    def play(self, ask: Ask) -> Score:
        """Ask for forces and compare them with the exact ones; blocks are runs, drawn within each temperature."""
        positions = self.withheld.reshape(-1, len(CHAIN), 3)
        answered = ask({"positions": positions}, {"forces": positions.shape})["forces"]
        errors = np.abs(np.clip(answered, -1e100, 1e100) - self.labels(positions)[1])
        of_runs = errors.reshape(2, RUNS, -1).mean(axis=2)
        return bootstrapped(lambda runs: float(of_runs[:, runs].mean()), RUNS)

    @full_precision()
    def labels(self, positions: Float[np.ndarray, "frames atoms 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Energies (frames,) and forces (frames, atoms, 3)."""
        energies, forces = energy_and_forces(self.energy, jnp.moveaxis(jnp.asarray(positions, float), 0, -1))
        return np.asarray(energies), np.moveaxis(np.asarray(forces), -1, 0)


@full_precision()
def _drawn_energy(random: np.random.Generator) -> Energy:
    """An energy of the chain with parameters about those of common force fields."""
    atoms = np.arange(len(CHAIN))
    bonds, angles, torsions = (
        np.stack([atoms[k : len(atoms) - n + k] for k in range(n + 1)], 1) for n in (1, 2, 3)
    )
    apart = np.array([pair for pair in combinations(atoms, 2) if pair[1] - pair[0] >= 4])
    charges = random.uniform(-0.3, 0.3, len(atoms))
    uniform = random.uniform
    return (
        harmonic_bonds(bonds, uniform(0.135, 0.155, len(bonds)), uniform(1.5e5, 3e5, len(bonds)))
        + harmonic_angles(angles, np.radians(uniform(105, 120, len(angles))), uniform(300, 600, len(angles)))
        + periodic_torsions(
            np.repeat(torsions, 2, axis=0), np.tile([1, 3], len(torsions)),
            np.tile([np.pi, 0.0], len(torsions)), uniform(1.0, 6.0, 2 * len(torsions)),
        )
        + InternalEnergy(
            distance,
            ExceptionPotential(
                charges[apart].prod(axis=1), uniform(0.28, 0.34, len(apart)), uniform(0.2, 0.6, len(apart))
            ),
            apart.T,
        )
    )  # fmt: skip


def _frames(
    energy: Energy, temperature: float, random: np.random.Generator
) -> Float[np.ndarray, "runs frames atoms 3"]:
    """Frames of Langevin dynamics from a stretched chain."""
    kT, places = BOLTZMANN * temperature, np.arange(len(CHAIN))
    masses = np.array([MASSES[number] for number in CHAIN])
    chain = np.stack([0.12 * places, 0.04 * (-1.0) ** places, 0.02 * np.cos(places)], axis=-1)
    start = jnp.asarray(np.repeat(chain[..., None], RUNS, axis=-1))
    engine = NativeEngine.for_potential(energy, masses, Langevin(kT=kT, dt=0.001, friction=5.0))
    state = thermal_state(start, masses, kT, jax.random.key(int(random.integers(1 << 31))))
    recorded = engine.run(state, FIRST + FRAMES * STEPS, save_every=STEPS)
    positions = np.asarray(recorded.positions, float)
    assert positions.shape[2:] == (len(CHAIN), 3)
    return positions[:, -FRAMES:]
