"""Our own engine: energy, bias, constraints and integrator of many replicas compiled into one loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import Bias, Exchanging, Observer, Recording, StopRun
from thalweg.dynamics.integrator import Integrator
from thalweg.dynamics.loop import Laws, RecordedFrames, Run, advance, begun, tangent_momenta
from thalweg.dynamics.path_weights import has_path_weights
from thalweg.dynamics.phase import Phase
from thalweg.dynamics.recording import (
    check_integrator,
    check_kept_box,
    check_ladder,
    check_start,
    farewell,
    joined,
)
from thalweg.machine.precision import full_precision
from thalweg.potentials.energy import EnergyElsewhere
from thalweg.systems.state import State
from thalweg.systems.system import System
from thalweg.systems.topology import Topology

CHUNK_BYTES = 4_000_000
CHUNK_SECONDS = 0.5
"""Frames kept in the compiled loop, and time spent there, before the shell looks in."""


class NativeEngine:
    """Runs a system, or particles with masses in any potential, in one compiled loop.

    Replicas share the loop, the bias and one random key. A replica that breaks (an energy or position that is
    not finite, an atom thrown at more than a thousand times its thermal energy or by more than 1 nm in a
    step, a constraint that no longer holds) is stopped and the others go on.

    Parameters
    ----------
    system : System
    integrator : how it moves, such as `Langevin`; any `Integrator`
    energy : the energy to run instead of the system's, such as ``system.energy + restraint``

    Raises
    ------
    ValueError
        If the system has a barostat, an energy that only another program evaluates, or constraints that the integrator
        does not keep.

    Examples
    --------
    >>> from thalweg.dynamics.langevin import Langevin
    >>> from thalweg.systems.state import thermal_state
    >>> from thalweg.testsystems.wells import DoubleWell
    >>> engine = NativeEngine.for_potential(DoubleWell(), np.ones(1), Langevin(kT=1.0, dt=0.01))
    >>> start = thermal_state(jnp.ones((1, 1, 4)), np.ones(1), 1.0, jax.random.key(0))
    >>> engine.run(start, 100, save_every=10).positions.shape
    (4, 10, 1, 1)
    """

    def __init__(self, system: System, integrator: Integrator, energy: Callable | None = None):
        self.energy = system.energy if energy is None else energy
        check_kept_box(system, type(self).__name__)
        if isinstance(self.energy, EnergyElsewhere):
            raise ValueError(self.energy.reason)
        self.integrator = integrator
        self.topology = system.topology
        self.masses = np.asarray(system.masses, float)
        self.bonds = BondConstraints.build(system.constraints, self.masses)
        check_integrator(integrator, system.constraints)

    @staticmethod
    def for_potential(potential: Callable, masses: np.ndarray, integrator: Integrator) -> NativeEngine:
        """An engine for particles of ``masses`` ``(particles,)`` [amu] in ``potential``, in any dimension."""
        n = len(masses)
        names, numbers = ("X",) * n, tuple(range(1, n + 1))
        particles = Topology(names, ("",) * n, names, numbers, (0,) * n, np.zeros((0, 2), int))
        return NativeEngine(
            System(particles, np.zeros((n, 3)), np.asarray(masses, float), potential), integrator
        )

    @full_precision()
    def run(
        self,
        state: State,
        steps: int,
        *,
        save_every: int,
        bias: Bias | None = None,
        bias_state: Any = None,
        observers: Sequence[Observer] = (),
    ) -> Recording:
        """Advance all replicas by ``steps``; see `thalweg.dynamics.engine.Engine.run`.

        Atoms held by constraints are first put at their distances where the state does not have them there
        yet. Momenta along constraints vanish with the first step.
        """
        check_start(state, steps, save_every, len(self.masses))
        if np.ndim(state.box) == 3:
            raise ValueError(
                "each replica has a box of its own, but NativeEngine keeps one for all; run replicas one by one, "
                "or with OpenMMEngine"
            )
        if bias is not None and bias_state is None:
            bias_state = bias.init()
        check_ladder(bias, bias_state, state.positions.shape[2], self.integrator)
        laws = self._laws(state, bias)
        run = begun(laws, jax.tree.map(jnp.asarray, state), bias_state, jnp.int32(save_every))
        begin, capacity = int(run.step), _capacity(run.phase)
        chunks, done, pace = [], 0, save_every
        while not chunks or ((done := int(run.step) - begin) < steps and run.alive.any()):
            until = min(begin + done + pace, begin + steps, int(run.due) + (capacity - 1) * save_every)
            started = time.perf_counter()
            run, frames, count = jax.block_until_ready(
                advance(laws, run, capacity, jnp.int32(until), jnp.int32(save_every))
            )
            seconds = time.perf_counter() - started
            if run.step < until:
                laws = _refreshed(laws, run)
            pace = max(1, round((until - begin - done) * min(10.0, CHUNK_SECONDS / seconds)))
            chunks.append(self._recording(laws, run, frames, int(count), save_every, state))
            try:
                for observer in observers:
                    observer(int(run.step) - begin, steps, chunks[-1])
            except StopRun:
                break
        return joined(chunks)

    def _laws(self, state: State, bias: Bias | None) -> Laws:
        """What moves the replicas, in the precision of the state's positions."""

        def cast(leaf):
            return jnp.asarray(leaf, state.positions.dtype) if np.asarray(leaf).dtype.kind == "f" else leaf

        integrator, bonds, reach = jax.tree.map(
            cast, (self.integrator, self.bonds, self.integrator.reach(self.masses))
        )
        energy = self.energy.refreshed(state.positions, state.box)
        return Laws(integrator, energy, bias, bonds, state.box, reach)

    def _recording(
        self, laws: Laws, run: Run, frames: RecordedFrames, count: int, save_every: int, state: State
    ):
        """The first ``count`` of ``frames``, replicas first."""

        def replicas_first(array):
            return np.moveaxis(np.asarray(array[:count]), -1, 0)

        dt = self.integrator.dt
        labels = {int(r): self._label(int(run.culprit[r])) for r in np.flatnonzero(~np.asarray(run.alive))}
        momenta, key = (
            tangent_momenta(laws, run.phase),
            jax.random.fold_in(jax.random.split(state.key)[0], run.step),
        )
        return Recording(
            positions=np.ascontiguousarray(replicas_first(frames.positions), np.float32),
            values=replicas_first(frames.values),
            energy=replicas_first(frames.energy),
            bias_energy=replicas_first(frames.bias_energy),
            valid=replicas_first(frames.alive).sum(1),
            state=State(run.phase.positions, momenta, key, run.step, state.box),
            bias_state=run.bias_state,
            dt_frames=save_every * dt,
            diverged={r: farewell(r, int(run.last[r]), dt, label) for r, label in labels.items()},
            rungs=replicas_first(frames.rungs) if isinstance(laws.bias, Exchanging) else None,
            log_path=np.cumsum(replicas_first(frames.log_weight), axis=1, dtype=float)
            if has_path_weights(self.integrator, laws.bias)
            else None,
        )

    def _label(self, atom: int) -> str:
        return f"atom {atom} ({self.topology.label(atom)})"


def _refreshed(laws: Laws, run: Run) -> Laws:
    """The laws with neighbour lists valid where the run is."""
    positions = run.phase.positions
    energy = laws.energy.refreshed(positions, laws.box)
    if energy.stale(positions, laws.box):
        raise RuntimeError("a neighbour list is stale where it was made; give it a wider skin")
    return eqx.tree_at(lambda laws: laws.energy, laws, energy)


def _capacity(phase: Phase) -> int:
    """Frames in a chunk: a power of two set by the size of a frame alone, so that it compiles once."""
    return 1 << int(np.clip(np.log2(CHUNK_BYTES / phase.positions.nbytes), 0, 12))
