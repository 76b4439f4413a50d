"""Reference data of our own: dynamics of all atoms, free or held at beads.

A force matched over any distribution of beads has the same least squares solution where the functions suffice: the
mean force *at* given beads does not know how often these were visited. So a reference may be sampled with a bias along
variables of the beads, with forces of the unbiased energy [noid2008], and rare places count as much as common ones.
Forces averaged while springs hold the beads [maragliano2006] have less noise than those of a moment [john2017].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames, mapped_frames
from thalweg.coarse_graining.mapping import BeadMapping, ForceMap
from thalweg.dynamics.engine import Bias, Recording
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.temperature import thermal_start
from thalweg.potentials.energy import Energy, Sum, energy_and_forces
from thalweg.shapes import Array, Box, Energies, Float, Positions
from thalweg.systems.system import System
from thalweg.units import Nanometers, PerPicosecond, Picoseconds

AT_ONCE = 64
"""Frames whose forces are evaluated together."""


@dataclass(frozen=True, eq=False)
class AtomicFrames:
    """Frames of all atoms of a molecule at one temperature.

    Attributes
    ----------
    system : whose energy made them
    positions : (frames, atoms, 3) [nm]
    kT : [kJ/mol]
    weights : (frames,) that undo a bias; None where there was none
    lengths : frames of each trajectory
    """

    system: System
    positions: Float[np.ndarray, "frames atoms 3"]
    kT: float
    weights: Float[np.ndarray, " frames"] | None
    lengths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.positions)

    def forces(self) -> Float[np.ndarray, "frames atoms 3"]:
        """Of the system's energy on atoms, without bias and constraints [kJ/mol/nm]."""
        x = self.positions
        return np.concatenate(
            [_forces(self.system.energy, x[k : k + AT_ONCE]) for k in range(0, len(x), AT_ONCE)]
        )

    def on_beads(self, mapping: BeadMapping, force_map: ForceMap | str = "optimal") -> BeadFrames:
        """As frames of beads with forces, see `thalweg.coarse_graining.mapped_frames`."""
        return mapped_frames(
            mapping,
            self.positions,
            self.kT,
            forces=self.forces(),
            weights=self.weights,
            lengths=self.lengths,
            force_map=force_map,
            held=np.asarray(self.system.constraints.pairs, int).reshape(-1, 2),
        )


@dataclass(frozen=True)
class AtomicDynamics:
    """Langevin dynamics of all atoms of a molecule.

    Parameters
    ----------
    length : of every replica [ps]
    dt : step [ps]
    friction : [1/ps]
    replicas : of the molecule
    save_every : time between frames [ps]
    skip : share of every run that is left out at its start

    Examples
    --------
    >>> from thalweg.potentials.energy import Energy
    >>> from thalweg.systems.topology import Topology
    >>> class Springs(Energy):
    ...     def __call__(self, positions, box=None):
    ...         return 500.0 * (jnp.diff(positions, axis=0) ** 2).sum((0, 1)) + 0.5 * (positions ** 2).sum((0, 1))
    >>> names = ("A", "B", "C")
    >>> atoms = Topology(names, ("C",) * 3, names, (1, 2, 3), (0,) * 3, np.array([[0, 1], [1, 2]]))
    >>> start = np.array([[0.0, 0, 0], [0.01, 0, 0], [0.02, 0, 0]])
    >>> system = System(atoms, start, np.full(3, 12.0), Springs())
    >>> ends = BeadMapping.slices([0, 2], system.masses)
    >>> frames = AtomicDynamics(length=2.0, replicas=4, save_every=0.5).run(system, kT=2.5).on_beads(ends)
    >>> frames.positions.shape, frames.forces.shape
    ((12, 2, 3), (12, 2, 3))
    """

    length: Picoseconds = 200.0
    dt: Picoseconds = 0.002
    friction: PerPicosecond = 1.0
    replicas: int = 16
    save_every: Picoseconds = 1.0
    skip: float = 0.25

    def run(
        self,
        system: System,
        kT: float,
        *,
        starts: Float[np.ndarray, "replicas atoms 3"] | None = None,
        bias: Bias | None = None,
        bias_state: Any = None,
        seed: int = 0,
    ) -> AtomicFrames:
        """Frames at ``kT`` [kJ/mol].

        Parameters
        ----------
        starts : where replicas begin [nm]; all where the system is unless told
        bias : one that no longer grows, of variables of the beads; frames get weights that undo it, forces are those
            of the energy alone
        bias_state : what the bias has grown to

        Raises
        ------
        ValueError
            If the bias still grows, whose frames no weights make those of one ensemble; or the system has a box.
        RuntimeError
            If every replica broke.
        """
        if bias is not None and bias.stride is not None:
            raise ValueError(
                f"{type(bias).__name__} grows every {bias.stride} steps; run it first by itself, and give it here "
                "frozen (thalweg.sampling.FrozenBias), so that frames can be reweighted"
            )
        recording, whole = self._recorded(system, kT, starts, seed, bias, bias_state)
        first = int(self.skip * recording.positions.shape[1])
        kept = np.asarray(recording.positions[whole, first:], float)
        weights = None
        if bias is not None:
            raised = np.asarray(recording.bias_energy[whole, first:], float).ravel() / kT
            weights = np.exp(raised - raised.max())
        lengths = (kept.shape[1],) * len(whole)
        return AtomicFrames(system, kept.reshape(-1, *kept.shape[2:]), kT, weights, lengths)

    def _recorded(
        self, system: System, kT: float, starts, seed: int, bias=None, bias_state=None, energy=None
    ) -> tuple[Recording, list[int]]:
        """A run, and which replicas are whole."""
        if system.box is not None:
            raise ValueError(
                "this runs molecules without a box; for a liquid, run its engine and give its frames to mapped_frames"
            )
        replicas = self.replicas if starts is None else len(starts)
        integrator = Langevin(kT=kT, dt=self.dt, friction=self.friction)
        engine = NativeEngine(system, integrator, energy)
        places = None if starts is None else np.moveaxis(np.asarray(starts, float), 0, -1)
        state = thermal_start(system, kT, jax.random.key(seed), replicas, places)
        every = max(1, round(self.save_every / self.dt))
        steps = every * max(1, round(self.length / self.dt / every))
        recording = engine.run(state, steps, save_every=every, bias=bias, bias_state=bias_state)
        whole = [r for r in range(replicas) if r not in recording.diverged]
        if not whole:
            raise RuntimeError(
                f"dynamics of all atoms broke in every replica: {next(iter(recording.diverged.values()))}; minimize "
                "the start, or use a shorter step"
            )
        return recording, whole


@dataclass(frozen=True)
class HeldDynamics:
    """Mean forces on beads by short runs in which springs hold the beads, one run for each start.

    A spring of ``kT / width^2`` leaves a bead that width, and what is averaged is the mean force of the free energy
    smoothed by as much, at the mean positions. Runs should be several correlation times long of what held beads leave
    free; where atoms that are no bead have basins of their own, a run stays in one of them.

    Parameters
    ----------
    dynamics : of each run; its replicas are as many as starts
    width : thermal deviation of a held bead [nm]

    Examples
    --------
    >>> HeldDynamics(width=0.005).dynamics.length
    10.0
    """

    dynamics: AtomicDynamics = AtomicDynamics(length=10.0, save_every=0.05, skip=0.1)
    width: Nanometers = 0.003

    def run(
        self,
        system: System,
        mapping: BeadMapping,
        kT: float,
        starts: Float[np.ndarray, "frames atoms 3"],
        *,
        force_map: ForceMap | str = "optimal",
        seed: int = 0,
    ) -> BeadFrames:
        """A frame for each of ``starts`` [nm], with forces averaged over its run; runs that broke are left out.

        Raises
        ------
        ValueError
            If the width is not positive, or the system has a box.
        RuntimeError
            If every run broke.
        """
        if not self.width > 0:
            raise ValueError(f"a held bead needs a positive width [nm]; got {self.width}")
        places = np.asarray(starts, float)
        springs = _Springs(
            jnp.asarray(mapping.weights.toarray()),
            jnp.moveaxis(jnp.asarray(mapping.positions(places)), 0, -1),
            jnp.asarray(kT / self.width**2),
        )
        recording, whole = self.dynamics._recorded(
            system, kT, places, seed, energy=Sum((cast(Energy, system.energy), springs))
        )
        first = int(self.dynamics.skip * recording.positions.shape[1])
        kept = np.asarray(recording.positions[whole, first:], float)
        samples = kept.shape[1]
        atoms = AtomicFrames(system, kept.reshape(-1, *kept.shape[2:]), kT, None, (samples,) * len(whole))
        frames = atoms.on_beads(mapping, force_map)

        def averaged(values):
            return values.reshape(len(whole), samples, *values.shape[1:]).mean(1)

        return replace(
            frames,
            positions=averaged(frames.positions),
            forces=averaged(frames.needed_forces()),
            lengths=(1,) * len(whole),
        )


class _Springs(Energy):
    """Every bead of every replica held at a place of its own."""

    weights: Float[Array, "beads atoms"]
    places: Float[Array, "beads 3 replicas"]
    stiffness: Float[Array, ""]

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        beads = jnp.tensordot(self.weights.astype(positions.dtype), positions, 1)
        return 0.5 * self.stiffness * ((beads - self.places) ** 2).sum((0, 1))


def _forces(energy, positions):
    """``(frames, atoms, 3)`` [kJ/mol/nm]; the last, smaller batch is filled up, so that one shape is compiled."""
    filled = np.concatenate([positions, np.repeat(positions[-1:], AT_ONCE - len(positions), 0)])
    x = jnp.moveaxis(jnp.asarray(filled, jnp.float32), 0, -1)
    return np.moveaxis(np.asarray(_compiled(energy.refreshed(x), x), float), -1, 0)[: len(positions)]


@eqx.filter_jit
def _compiled(energy, x):
    return energy_and_forces(energy, x)[1]
