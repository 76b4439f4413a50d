"""Frames nobody computed: molecules with bonds pulled, atoms torn out, swollen and crushed.

What is learned from frames near equilibrium says nothing true of these, and a model of many coefficients says
something all the same. Told that it should say little there, it does, and what it adds to, bonds that end at free
atoms, is left (`FreeAtoms`). Nothing is asked of the energies of such frames but that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from thalweg.representations.molecules.molecular_symmetry import bond_matrix
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import COVALENT_RADII

NEAREST = 0.7
"""Atoms are not pushed nearer than this multiple of the sum of their covalent radii."""

PULLED = (0.02, 1.0)
"""How far bonds are pulled [nm]."""

SHRUNK, SWOLLEN = (0.85, 0.97), (1.1, 4.0)
"""Factors by which whole frames are scaled."""


def imagined_frames(
    configurations: Sequence[Configuration], count: int, seed: int = 0
) -> list[Configuration]:
    """``count`` frames without labels, made of ``configurations`` evenly among these."""
    generator = np.random.default_rng(seed)
    chosen = np.linspace(0, len(configurations) - 1, count).round().astype(int)
    made = []
    for k, base in enumerate(chosen):
        frame = configurations[base]
        if len(frame) > 1:
            made.append(_WAYS[k % len(_WAYS)](frame, generator))
    return [replace(frame, energy=None, forces=None, stress=None) for frame in made]


def _with_bond_pulled(frame: Configuration, generator: np.random.Generator) -> Configuration:
    """One side of a bond moved away along it, or one atom where bonds are in a ring."""
    bonds = np.argwhere(bond_matrix([frame]))
    if not len(bonds):
        return _with_atom_pushed(frame, generator)
    i, j = bonds[generator.integers(len(bonds))].tolist()
    side = hanging_on(frame, i, j)
    along = frame.positions[i] - frame.positions[j]
    tilted = along / np.linalg.norm(along) + 0.3 * generator.normal(size=3)
    return _moved(frame, side, _far(generator) * tilted / np.linalg.norm(tilted))


def _with_atoms_torn_out(frame: Configuration, generator: np.random.Generator) -> Configuration:
    """Some atoms, up to all, moved away in directions of their own."""
    count = generator.integers(1, len(frame) + 1)
    positions = np.array(frame.positions, float)
    for atom in generator.choice(len(frame), count, replace=False):
        direction = generator.normal(size=3)
        positions[atom] += _far(generator) * direction / np.linalg.norm(direction)
    return _apart(replace(frame, positions=positions))


def _swollen(frame: Configuration, generator: np.random.Generator) -> Configuration:
    """All distances longer by one factor."""
    return _scaled(frame, np.exp(generator.uniform(*np.log(SWOLLEN))))


def _shrunk(frame: Configuration, generator: np.random.Generator) -> Configuration:
    """All distances shorter by one factor."""
    return _scaled(frame, generator.uniform(*SHRUNK))


def _with_atom_pushed(frame: Configuration, generator: np.random.Generator) -> Configuration:
    """One atom put near another one, from any side."""
    i, j = generator.choice(len(frame), 2, replace=False)
    direction = generator.normal(size=3)
    radii = COVALENT_RADII[frame.numbers[[i, j]]].sum()
    place = frame.positions[j] + generator.uniform(0.75, 1.6) * radii * direction / np.linalg.norm(direction)
    return _apart(_moved(frame, np.array([i]), place - frame.positions[i]))


_WAYS: tuple[Callable[[Configuration, np.random.Generator], Configuration], ...] = (
    _with_bond_pulled,
    _with_atoms_torn_out,
    _with_bond_pulled,
    _with_atom_pushed,
    _with_bond_pulled,
    _swollen,
    _with_atom_pushed,
    _shrunk,
)
"""In turn."""


def _far(generator):
    """A distance, near ones as often as far ones in their logarithm [nm]."""
    return float(np.exp(generator.uniform(*np.log(PULLED))))


def hanging_on(frame: Configuration, i: int, j: int) -> np.ndarray:
    """Atoms that hang on ``i`` once its bond with ``j`` is cut; ``i`` alone if ``j`` is one of them."""
    bonds = bond_matrix([frame])
    bonds[i, j] = bonds[j, i] = False
    parts = connected_components(csr_array(bonds), directed=False)[1]
    return np.array([i]) if parts[i] == parts[j] else np.flatnonzero(parts == parts[i])


def _moved(frame: Configuration, atoms: np.ndarray, by: Float[np.ndarray, "3"]) -> Configuration:
    positions = np.array(frame.positions, float)
    positions[atoms] += by
    return _apart(replace(frame, positions=positions))


def _scaled(frame, factor):
    box = None if frame.box is None else factor * np.asarray(frame.box, float)
    return _apart(replace(frame, positions=factor * np.asarray(frame.positions, float), box=box))


def _apart(frame: Configuration) -> Configuration:
    """The frame with atoms that are too near each other moved apart, pair by pair, in one pass."""
    positions = np.array(frame.positions, float)
    least = NEAREST * _sums(COVALENT_RADII[frame.numbers])
    for i, j in np.argwhere(np.tril(_distances(positions) < least, -1)):
        between = positions[i] - positions[j]
        distance = max(float(np.linalg.norm(between)), 1e-9)
        positions[i] += max(least[i, j] - distance, 0.0) * between / distance
    return replace(frame, positions=positions)


def _distances(positions):
    return np.linalg.norm(positions[:, None] - positions[None], axis=2)


def _sums(radii):
    return radii[:, None] + radii
