"""A learned potential as programs call it that move atoms step by step: one structure after another.

What is compiled and what is listed of neighbors is kept from call to call and renewed when atoms have moved far, the
cell has changed, or other atoms are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.potentials.energy import Energy, energy_and_forces
from thalweg.potentials.stress import energy_forces_and_virial

Precision = Literal["single", "double"]
"""32 or 64 bits."""


class OneStructure:
    """Energy, forces and virial of one structure at a time.

    Parameters
    ----------
    potential : LearnedPotential
    precision : "double" for minimization, vibrations and tests, "single" for dynamics: up to twice as fast
    """

    def __init__(self, potential: LearnedPotential, precision: Precision = "double"):
        self.potential, self.precision = potential, precision
        self._bound: tuple | None = None
        self._energy: Energy | None = None

    def __call__(
        self,
        numbers: Sequence[int] | np.ndarray,
        positions: np.ndarray,
        box: np.ndarray | None = None,
        periodic: Sequence[bool] | None = None,
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        """Energy [kJ/mol], forces (atoms, 3) [kJ/mol/nm], and virial: stress times volume (3, 3) [kJ/mol].

        Parameters
        ----------
        numbers : (atoms,) atomic numbers
        positions : (atoms, 3) [nm]
        box : (3, 3) rows [nm]; without one nothing is periodic and there is no virial
        periodic : which rows repeat; all by default
        """
        flags = (box is not None,) * 3 if periodic is None else tuple(bool(flag) for flag in periodic)
        cell = np.asarray(box, float) if any(flags) else None
        bound = (tuple(int(z) for z in numbers), flags)
        with jax.enable_x64(self.precision == "double"):
            kind = jnp.float64 if self.precision == "double" else jnp.float32
            if self._energy is None or bound != self._bound:
                self._energy = self.potential.bind(np.asarray(numbers, int), cell, flags)
                self._bound = bound
            points = jnp.asarray(np.asarray(positions, float), kind)
            if cell is None:
                self._energy = self._energy.refreshed(points)
                energy, forces = _open(self._energy, points)
                return float(energy), np.asarray(forces, float), None
            vectors = jnp.asarray(cell, kind)
            self._energy = self._energy.refreshed(points, vectors)
            answer = _periodic(self._energy, points, vectors)
            return float(answer[0]), np.asarray(answer[1], float), np.asarray(answer[2], float)


_open = eqx.filter_jit(energy_and_forces)
_periodic = eqx.filter_jit(energy_forces_and_virial)
