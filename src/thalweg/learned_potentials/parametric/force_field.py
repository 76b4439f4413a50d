"""Any energy of the engines, a classical force field say, as a known term under a fitted one.

An engine's energy belongs to one molecule or one box of molecules, atom by atom; so does the term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import numpy as np

from thalweg.learned_potentials.terms.term import Labels
from thalweg.potentials.energy import Energy, energy_and_forces
from thalweg.potentials.stress import energy_forces_and_virial
from thalweg.systems.configuration import Configuration

TOGETHER = 256
"""Frames without a cell are evaluated so many at a time."""


@dataclass(frozen=True)
class ForceFieldTerm:
    """The energy of one system as a term.

    Attributes
    ----------
    energy : as engines run it
    numbers : (atoms,) atomic numbers, in its order
    """

    energy: Energy
    numbers: np.ndarray

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> Energy:
        """The energy itself, if ``numbers`` are those it is for."""
        self._check(numbers)
        return self.energy

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        """Energies, forces and stresses, in 64 bits as far as the energy's own numbers are."""
        for frame in configurations:
            self._check(frame.numbers)
        # without a cell all frames at once, replicas on the last axis; in cells, which differ, one by one
        open_frames = [k for k, frame in enumerate(configurations) if not any(frame.periodic)]
        count = len(configurations)
        energies = np.zeros(count)
        forces: list = [None] * count
        stresses = [np.full((3, 3), np.nan)] * count
        with jax.enable_x64(True):
            for start in range(0, len(open_frames), TOGETHER):
                block = open_frames[start : start + TOGETHER]
                positions = np.stack([configurations[k].positions for k in block], -1).astype(float)
                values, pulls = _together(self.energy.refreshed(positions), positions)
                energies[block] = np.asarray(values)
                for k, pull in zip(block, np.moveaxis(np.asarray(pulls), -1, 0)):
                    forces[k] = pull
            for k in sorted(set(range(count)) - set(open_frames)):
                frame = configurations[k]
                positions, box = np.asarray(frame.positions, float), np.asarray(frame.box, float)
                value, pull, virial = _alone(self.energy.refreshed(positions, box), positions, box)
                energies[k], forces[k] = float(value), np.asarray(pull)
                stresses[k] = np.asarray(virial) / frame.volume
        return Labels(energies, tuple(forces), tuple(stresses))

    def _check(self, numbers):
        if list(map(int, numbers)) != list(map(int, self.numbers)):
            raise ValueError(
                f"this force field is for {len(self.numbers)} atoms of elements {list(map(int, self.numbers))} in this "
                f"order; got {len(numbers)} atoms {list(map(int, numbers))}"
            )


_together = eqx.filter_jit(energy_and_forces)
_alone = eqx.filter_jit(energy_forces_and_virial)
