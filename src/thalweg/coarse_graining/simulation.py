"""Dynamics of beads under a coarse potential, by the native engine."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.dynamics.engine import Bias, Exchanging
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.potentials.energy import Energy
from thalweg.systems.state import thermal_state
from thalweg.units import PerPicosecond, Picoseconds


@dataclass(frozen=True)
class CoarseDynamics:
    """Langevin dynamics of many replicas of a molecule, or of one box of many.

    Parameters
    ----------
    length : of every replica [ps]
    dt : step [ps]
    friction : [1/ps]
    replicas : of a molecule without a box; a box runs alone
    save_every : time between frames [ps]
    skip : share of every run that is left out at its start
    """

    length: Picoseconds = 40.0
    dt: Picoseconds = 0.002
    friction: PerPicosecond = 5.0
    replicas: int = 100
    save_every: Picoseconds = 0.2
    skip: float = 0.25

    def run(self, energy: Energy, start: BeadFrames, seed: int = 0, ladder: Bias | None = None) -> BeadFrames:
        """Frames of ``energy`` at the temperature of ``start``, from frames of that drawn at random.

        Parameters
        ----------
        ladder : temperatures that replicas change places on, such as `thalweg.sampling.Ladder`; it says how many
            replicas there are. Frames at the temperature of ``start`` are kept, so that trajectories have gaps.

        Raises
        ------
        ValueError
            If the ladder is none, or no rung of it has the temperature of ``start``.
        RuntimeError
            If every replica broke; says how the first did.
        """
        rng = np.random.default_rng(seed)
        replicas = self.replicas if start.boxes is None else 1
        cold = None
        if ladder is not None:
            replicas, cold = _rungs(ladder, start.kT)
        chosen = rng.choice(len(start), replicas, replace=len(start) < replicas, p=_shares(start))
        box = None if start.boxes is None else jnp.asarray(start.boxes[chosen[0]], jnp.float32)
        positions = jnp.asarray(np.moveaxis(start.positions[chosen], 0, -1), jnp.float32)
        masses = np.asarray(start.masses, float)
        integrator = Langevin(kT=start.kT, dt=self.dt, friction=self.friction)
        engine = NativeEngine.for_potential(energy, masses, integrator)
        state = thermal_state(positions, masses, start.kT, jax.random.key(seed), box)
        every = max(1, round(self.save_every / self.dt))
        steps = every * max(1, round(self.length / self.dt / every))
        recording = engine.run(state, steps, save_every=every, bias=ladder)
        whole = [r for r in range(replicas) if r not in recording.diverged]
        if not whole:
            raise RuntimeError(
                f"the coarse model's dynamics broke in every replica: {next(iter(recording.diverged.values()))}; use "
                "a shorter step, or a prior that keeps beads apart and bonds together"
            )
        first = int(self.skip * (steps // every))
        kept = np.ones((len(whole), steps // every - first), bool)
        if cold is not None:
            kept = np.asarray(recording.rungs)[whole, first:] == cold
        frames = np.asarray(recording.positions[whole, first:], float)[kept]
        return BeadFrames(
            frames,
            start.kT,
            boxes=None if box is None else np.broadcast_to(np.asarray(box, float), (len(frames), 3, 3)),
            lengths=tuple(int(count) for count in kept.sum(1) if count),
            kinds=start.kinds,
            names=start.names,
            masses=masses,
            molecules=start.molecules,
        )


def _rungs(ladder: Bias, kT: float) -> tuple[int, int]:
    """Replicas on a ladder, and the rung whose temperature is asked for."""
    if not isinstance(ladder, Exchanging):
        raise ValueError(
            f"{type(ladder).__name__} is no ladder of temperatures; give thalweg.sampling.Ladder"
        )
    state = ladder.init()
    standing, own = np.asarray(ladder.rungs(state)), np.asarray(ladder.temperatures(state), float)
    at = standing[np.isclose(own, kT, rtol=1e-5)]
    if not len(at):
        raise ValueError(
            f"no rung of the ladder has kT of {kT:.4f} kJ/mol, that of the frames: it has "
            f"{', '.join(f'{each:.4f}' for each in np.unique(own))}; give one that begins there"
        )
    return len(standing), int(at[0])


def _shares(frames: BeadFrames):
    return None if frames.weights is None else frames.weights / frames.weights.sum()
