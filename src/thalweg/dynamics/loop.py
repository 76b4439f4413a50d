"""The one compiled loop: many steps of all replicas, frames on the way, broken replicas stopped in place.

Nothing in here depends on how the steps are dealt out to calls, so results are the same bit for bit however
often the shell looks in. Numbers of frames and steps are arguments of the compiled program, not part of it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import UInt32

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import Integrator, Langevin, Overdamped, VelocityVerlet
from thalweg.dynamics.langevin import baoab
from thalweg.dynamics.noise import normal
from thalweg.dynamics.overdamped import euler_maruyama
from thalweg.dynamics.phase import Field, FieldFunction, Phase, field_of
from thalweg.dynamics.velocity_verlet import velocity_verlet
from thalweg.potentials.energy import Energy
from thalweg.shapes import Array, Bool, Box, Float, Int, Positions

STEPS = {Langevin: baoab, Overdamped: euler_maruyama, VelocityVerlet: velocity_verlet}
"""What advances a phase by one step, for each integrator."""

BROKEN_BOND = 1e-3
"""Relative deviation of a constrained length from which a replica counts as diverged."""


class Laws(eqx.Module):
    """What moves the replicas.

    Attributes
    ----------
    integrator : time step and bath
    energy, bias : what they feel; bias may be None
    bonds : masses and constraints
    box : (3, 3) [nm] or None
    reach : (atoms,) an atom that moves further than this in one step has been thrown: the replica is broken
    [nm]
    """

    integrator: Integrator
    energy: Any
    bias: Any
    bonds: BondConstraints
    box: Box | None
    reach: Float[Array, "atoms"]

    def field(self, bias_state: Any) -> FieldFunction:
        return field_of(self.energy, self.bias, bias_state, self.box)


class Run(eqx.Module):
    """All replicas in the middle of a run.

    Attributes
    ----------
    phase : where they are
    good : where they were at their last frame
    bias_state : the bias as grown so far
    stream : key of the noise of this run
    step : steps done since the state was made
    due : step of the next frame
    alive : (replicas,) False once a replica has diverged
    last : (replicas,) the last sound step of each replica
    culprit : (replicas,) the atom under the greatest strain when a replica broke; -1 while it is alive
    """

    phase: Phase
    good: Phase
    bias_state: Any
    stream: UInt32[Array, "2"]
    step: Int[Array, ""]
    due: Int[Array, ""]
    alive: Bool[Array, "replicas"]
    last: Int[Array, "replicas"]
    culprit: Int[Array, "replicas"]


class Frames(eqx.Module):
    """Room for frames, first axis; a call of `advance` fills a part of it.

    Attributes
    ----------
    positions : (capacity, atoms, dims, replicas)
    values : (capacity, values, replicas)
    energy, bias_energy, alive : (capacity, replicas)
    """

    positions: Float[Array, "capacity atoms dims replicas"]
    values: Float[Array, "capacity values replicas"]
    energy: Float[Array, "capacity replicas"]
    bias_energy: Float[Array, "capacity replicas"]
    alive: Bool[Array, "capacity replicas"]

    @staticmethod
    def room(phase: Phase, capacity: int) -> Frames:
        """Room for ``capacity`` frames of ``phase``."""
        alive = jnp.zeros(phase.field.energy.shape, bool)
        return Frames(*(jnp.zeros((capacity, *one.shape), one.dtype) for one in _shown(phase, alive)))

    def with_frame(self, index: Int[Array, ""], phase: Phase, alive: Bool[Array, "replicas"]) -> Frames:
        """These frames and the present one at ``index``."""
        return Frames(
            *(all.at[index].set(one) for all, one in zip(jax.tree.leaves(self), _shown(phase, alive)))
        )


def _shown(phase: Phase, alive):
    field = phase.field
    return phase.positions, field.values, field.energy, field.bias_energy, alive


@eqx.filter_jit
def field_at(laws: Laws, positions: Positions, bias_state: Any) -> Field:
    """The field where a run starts."""
    return laws.field(bias_state)(positions)


@eqx.filter_jit
def advance(
    laws: Laws, run: Run, capacity: int, until: Int[Array, ""], save_every: Int[Array, ""]
) -> tuple[Run, Frames, Int[Array, ""]]:
    """The run at step ``until``, the frames on the way, at most ``capacity``, and how many they are.

    It stops before where a neighbour list goes stale: refresh the energy and go on.
    """

    def going(run):
        energy, positions = laws.energy, run.phase.positions
        stale = energy.stale(positions, laws.box) if isinstance(energy, Energy) else False
        return (run.step < until) & jnp.logical_not(stale)

    def one_frame(carry):
        run, frames, index = carry
        run = jax.lax.while_loop(
            lambda run: going(run) & (run.step < run.due), lambda run: _one_step(laws, run), run
        )
        whole = run.step == run.due
        run = jax.lax.cond(whole, lambda run: _judged(laws, run, save_every), lambda run: run, run)
        return run, frames.with_frame(index, run.phase, run.alive), index + whole

    start = (run, Frames.room(run.phase, capacity), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(lambda carry: going(carry[0]), one_frame, start)


def _one_step(laws: Laws, run: Run) -> Run:
    """All living replicas one step further, and the bias after what they deposit."""
    before, step = run.phase, run.step + 1
    field, noise = laws.field(run.bias_state), partial(normal, run.stream, run.step)
    after = STEPS[type(laws.integrator)](before, field, laws.integrator, laws.bonds, noise)
    moved = ((after.positions - before.positions) ** 2).sum(1)
    alive = run.alive & (moved < (laws.reach**2)[:, None]).all(0)
    phase = _chosen(alive, after, before)
    last = jnp.where(alive, step, run.last)
    bias_state = _deposited(laws, run.bias_state, phase, alive, step)
    return Run(phase, run.good, bias_state, run.stream, step, run.due, alive, last, run.culprit)


def _deposited(laws, bias_state, phase, alive, step):
    """The bias state after step ``step``; a broken replica shows NaN, which deposits nothing."""
    if laws.bias is None or laws.bias.stride is None:
        return bias_state
    return jax.lax.cond(
        step % laws.bias.stride == 0,
        lambda: laws.bias.update(bias_state, jnp.where(alive, phase.field.values, jnp.nan)),
        lambda: bias_state,
    )


def _judged(laws: Laws, run: Run, save_every: Int[Array, ""]) -> Run:
    """The run at a frame: what has broken since the last one is put back there and stays."""
    phase = run.phase
    sound = jnp.isfinite(phase.field.energy) & (laws.bonds.violation(phase.positions) < BROKEN_BOND)
    alive = run.alive & sound
    strain = (phase.field.forces**2).sum(1) * (laws.bonds.inverse_masses**2)[:, None]
    culprit = jnp.where(alive | (run.culprit >= 0), run.culprit, strain.argmax(0).astype(jnp.int32))
    phase = _chosen(alive, phase, run.good)
    due = run.due + save_every
    return Run(phase, phase, run.bias_state, run.stream, run.step, due, alive, run.last, culprit)


def _chosen(alive, new: Phase, old: Phase) -> Phase:
    """The new phase for replicas alive, the old for the others."""
    return jax.tree.map(lambda new, old: jnp.where(alive, new, old), new, old)
