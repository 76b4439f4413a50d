r"""A model protein that switches between two forms by the torsions of a few residues, one after the other.

Progress :math:`q` hops along a double well; switch :math:`i` turns where progress passes its place,

.. math::  \theta_i = \theta_i^0 + \Delta\, \big/ \big(1 + e^{-(q - q_i) / w}\big) + \text{noise}_i ,

while all others only fluctuate: most little, some (loops) much, some slowly. Known are the residues of the switch, the
order in which they turn, and the time scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from thalweg.shapes import Shaped
from thalweg.testsystems.chain import chain_stationary_distribution, hop_chain, sampled_states, timescales
from thalweg.testsystems.wells import DoubleWell

POINTS = np.linspace(-1.5, 1.5, 31)
"""Places of progress."""


class ActivationRuns(NamedTuple):
    """Runs of the model.

    Attributes
    ----------
    torsions : one array ``(frames, 2 residues)`` of each run, sines and cosines of the torsions in turn
    progress : one array ``(frames,)`` of each run, hidden from the methods
    """

    torsions: list[np.ndarray]
    progress: list[np.ndarray]


@dataclass(frozen=True)
class ActivationSwitch:
    """The model.

    Parameters
    ----------
    residues : how many
    switches : which of them turn, in the order in which they do
    loops : which fluctuate much
    slow : which fluctuate slowly, with a memory of ``memory`` frames
    turn : how far a switch turns [rad]
    noise, loop_noise : fluctuations [rad]
    width : of the turn of a switch, in progress
    barrier : between both forms [kT]
    memory : of slow fluctuations [frames]

    Examples
    --------
    >>> model = ActivationSwitch()
    >>> runs = model.sample(n_trajectories=2, n_frames=100, seed=0)
    >>> runs.torsions[0].shape, model.names[14:16], model.members[14]
    ((100, 80), ('sin RES7', 'cos RES7'), ('RES7',))
    >>> round(model.timescale)
    645
    """

    residues: int = 40
    switches: tuple[int, ...] = (7, 22, 13, 31)
    loops: tuple[int, ...] = (2, 3, 18, 19, 36)
    slow: tuple[int, ...] = (10, 27)
    turn: float = 1.2
    noise: float = 0.4
    loop_noise: float = 1.0
    width: float = 0.1
    barrier: float = 2.0
    memory: float = 50.0

    @property
    def places(self) -> np.ndarray:
        """Progress at which each switch is half turned ``(switches,)``."""
        return np.linspace(-0.6, 0.6, len(self.switches))

    @property
    def names(self) -> tuple[str, ...]:
        """One of each feature."""
        return tuple(f"{kind} RES{k}" for k in range(self.residues) for kind in ("sin", "cos"))

    @property
    def members(self) -> tuple[tuple[str], ...]:
        """The residue of each feature."""
        return tuple((f"RES{k // 2}",) for k in range(2 * self.residues))

    @property
    def named(self) -> tuple[str, ...]:
        """Residues of the switch in the order in which they turn."""
        return tuple(f"RES{k}" for k in self.switches)

    @property
    def timescale(self) -> float:
        """Of the exchange of both forms [frames]."""
        return float(timescales(self._chain, 1)[0])

    @property
    def _chain(self) -> Shaped[np.ndarray, "places places"]:
        return hop_chain(DoubleWell(barrier=self.barrier), POINTS)

    def sample(self, n_trajectories: int, n_frames: int, seed: int) -> ActivationRuns:
        """Runs that start in equilibrium."""
        random = np.random.default_rng(seed)
        chain = self._chain
        start = chain_stationary_distribution(chain)
        progress = POINTS[sampled_states(chain, n_trajectories, n_frames, start, random)]
        angles = self.noise * random.standard_normal((n_trajectories, n_frames, self.residues))
        angles[..., list(self.loops)] *= self.loop_noise / self.noise
        keep = np.exp(-1 / self.memory)
        for residue in self.slow:
            for frame in range(1, n_frames):
                angles[:, frame, residue] *= np.sqrt(1 - keep**2)
                angles[:, frame, residue] += keep * angles[:, frame - 1, residue]
        for residue, place in zip(self.switches, self.places):
            angles[..., residue] += self.turn / (1 + np.exp(-(progress - place) / self.width))
        rest = np.random.default_rng(0).uniform(-np.pi, np.pi, self.residues)
        both = np.stack([np.sin(angles + rest), np.cos(angles + rest)], axis=-1)
        return ActivationRuns(list(both.reshape(n_trajectories, n_frames, -1)), list(progress))
