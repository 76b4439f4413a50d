"""The one compiled loop: many steps of all replicas, frames on the way, broken replicas stopped in place.

Nothing in here depends on how the steps are dealt out to calls, so results are the same bit for bit however
often the shell looks in. Numbers of frames and steps are arguments of the compiled program, not part of it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import UInt32

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import Exchanging
from thalweg.dynamics.integrator import Integrator
from thalweg.dynamics.noise import normal
from thalweg.dynamics.path_weights import has_path_weights, log_weight_of_step
from thalweg.dynamics.phase import ForceFunction, Phase
from thalweg.potentials.energy import Energy
from thalweg.shapes import Array, Bool, Box, Energies, Float, Int, Momenta, Positions, Values
from thalweg.systems.state import State

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
    reach: Float[Array, " atoms"]

    def forces(self, bias_state: Any) -> ForceFunction:
        """The force of energy and bias as a function of positions."""

        def total(positions):
            energy, bias_energy, _ = self.seen(positions, bias_state)
            return (energy + bias_energy).sum()

        return lambda positions: -jax.grad(total)(positions)

    def seen(self, positions: Positions, bias_state: Any) -> tuple[Energies, Energies, Values]:
        """Energy without bias, bias energy, and the values of the bias variable (no rows without a bias)."""
        energy = self.energy(positions, self.box)
        if self.bias is None:
            return energy, jnp.zeros_like(energy), jnp.zeros((0, *energy.shape), energy.dtype)
        values = self.bias.variable(positions, self.box)
        return energy, self.bias.energy(bias_state, values), values

    def in_baths(self, bias_state: Any) -> Integrator:
        """The integrator; on a ladder, every replica in a bath of the temperature of its rung."""
        if not isinstance(self.bias, Exchanging):
            return self.integrator
        return eqx.tree_at(lambda one: one.kT, self.integrator, self.bias.temperatures(bias_state))

    def bias_energy(self, bias_state: Any, positions: Positions) -> Energies:
        """Energy of the bias alone."""
        return self.bias.energy(bias_state, self.bias.variable(positions, self.box))


class Run(eqx.Module):
    """All replicas in the middle of a run.

    Attributes
    ----------
    phase : where they are
    started : whether the forces of the phase are known yet
    good : where they were at their last frame
    bias_state : the bias as grown so far
    stream : key of the noise of this run
    step : steps done since the state was made
    due : step of the next frame
    alive : (replicas,) False once a replica has diverged
    last : (replicas,) the last sound step of each replica
    culprit : (replicas,) the atom under the greatest strain when a replica broke; -1 while it is alive
    log_weight : (replicas,) logarithm of the weight of the path since the last frame; zero where paths have none
    """

    phase: Phase
    started: Bool[Array, ""]
    good: Phase
    bias_state: Any
    stream: UInt32[Array, "2"]
    step: Int[Array, ""]
    due: Int[Array, ""]
    alive: Bool[Array, " replicas"]
    last: Int[Array, " replicas"]
    culprit: Int[Array, " replicas"]
    log_weight: Float[Array, " replicas"]


class RecordedFrames(eqx.Module):
    """Frames, first axis, with what was seen there.

    Attributes
    ----------
    positions : (frames, atoms, dims, replicas)
    energy, bias_energy : (frames, replicas)
    values : (frames, values, replicas)
    alive : (frames, replicas)
    log_weight : (frames, replicas), of the path since the frame before
    rungs : (frames, replicas), zero where replicas change no places
    """

    positions: Float[Array, "frames atoms dims replicas"]
    energy: Float[Array, "frames replicas"]
    bias_energy: Float[Array, "frames replicas"]
    values: Float[Array, "frames values replicas"]
    alive: Bool[Array, "frames replicas"]
    log_weight: Float[Array, "frames replicas"]
    rungs: Int[Array, "frames replicas"]

    @staticmethod
    def of(laws: Laws, run: Run) -> RecordedFrames:
        """The present frame."""
        seen = laws.seen(run.phase.positions, run.bias_state)
        on_ladder = isinstance(laws.bias, Exchanging)
        rungs = laws.bias.rungs(run.bias_state) if on_ladder else jnp.zeros(run.alive.shape, jnp.int32)
        return RecordedFrames(
            *(array[None] for array in (run.phase.positions, *seen, run.alive, run.log_weight, rungs))
        )

    @staticmethod
    def room(laws: Laws, run: Run, capacity: int) -> RecordedFrames:
        """Room for ``capacity`` frames."""
        one = jax.eval_shape(lambda: RecordedFrames.of(laws, run))
        return jax.tree.map(lambda array: jnp.zeros((capacity, *array.shape[1:]), array.dtype), one)

    def with_frame(self, index: Int[Array, ""], frame: RecordedFrames) -> RecordedFrames:
        """These frames with another one at ``index``."""
        return jax.tree.map(lambda all, one: all.at[index].set(one[0]), self, frame)


@eqx.filter_jit
def begun(laws: Laws, state: State, bias_state: Any, save_every: Int[Array, ""]) -> Run:
    """The run at its start, with constrained atoms put at their distances if they are not there yet."""

    def pulled(carry):
        positions, tries = carry
        at_rest = jnp.zeros_like(positions)
        positions, _ = laws.bonds.restored(positions, at_rest, laws.bonds.tangents(positions), 1.0)
        return positions, tries + 1

    def apart(carry):
        return (laws.bonds.violation(carry[0]) > BROKEN_BOND / 10).any() & (carry[1] < 20)

    positions, _ = jax.lax.while_loop(apart, pulled, (state.positions, 0))
    phase = Phase(positions, state.momenta, jnp.zeros_like(positions))
    each = positions.shape[2:]
    return Run(
        phase=phase,
        started=jnp.array(False),
        good=phase,
        bias_state=bias_state,
        stream=jax.random.bits(jax.random.split(state.key)[1], (2,), jnp.uint32),
        step=state.step,
        due=state.step + save_every,
        alive=jnp.ones(each, bool),
        last=jnp.broadcast_to(state.step, each),
        culprit=jnp.full(each, -1, jnp.int32),
        log_weight=jnp.zeros(each, positions.dtype),
    )


@eqx.filter_jit
def tangent_momenta(laws: Laws, phase: Phase) -> Momenta:
    """The momenta of a phase without components that would change bond lengths."""
    return laws.bonds.projected(phase.momenta, laws.bonds.tangents(phase.positions))


@eqx.filter_jit
def advance(
    laws: Laws, run: Run, capacity: int, until: Int[Array, ""], save_every: Int[Array, ""]
) -> tuple[Run, RecordedFrames, Int[Array, ""]]:
    """The run at step ``until``, the frames on the way, at most ``capacity``, and how many they are.

    It stops before where a neighbour list goes stale: refresh the energy and go on.
    """
    stride = None if laws.bias is None else laws.bias.stride

    def going(run):
        energy, positions = laws.energy, run.phase.positions
        stale = energy.stale(positions, laws.box) if isinstance(energy, Energy) else False
        return (run.step < until) & jnp.logical_not(stale)

    def to_next_event(carry):
        run, frames, index = carry
        begin = run.step
        # steps until a frame or a deposit is due, or a neighbor list goes stale
        stop = run.due if stride is None else jnp.minimum(run.due, begin + stride - begin % stride)
        run = jax.lax.while_loop(
            lambda run: going(run) & (run.step < stop), lambda run: _one_step(laws, run), run
        )
        # a frame is due: broken replicas are put back, the frame is kept, the weight of the path starts anew
        whole = run.step == run.due
        run = jax.lax.cond(whole, lambda run: _judged(laws, run, save_every), lambda run: run, run)
        blank = RecordedFrames.room(laws, run, 1)
        frame = jax.lax.cond(whole, lambda: RecordedFrames.of(laws, run), lambda: blank)
        run = replace(run, log_weight=jnp.where(whole, 0.0, run.log_weight))
        frames = frames.with_frame(index, frame)  # a blank one is written over by the next
        if stride is not None:
            deposits = (run.step > begin) & (run.step % stride == 0)
            run = jax.lax.cond(deposits, lambda run: _deposited(laws, run), lambda run: run, run)
        return run, frames, index + whole

    start = (run, RecordedFrames.room(laws, run, capacity), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(lambda carry: going(carry[0]), to_next_event, start)


def _one_step(laws: Laws, run: Run) -> Run:
    """All living replicas one step further; the first time they stay, and get the forces where they start.

    Forces are most of what is compiled: the program holds them once, for the start and for all steps.
    """
    before, step, started = run.phase, run.step + run.started, run.started
    forces, noise = laws.forces(run.bias_state), partial(normal, run.stream, run.step)

    def forces_at(positions):
        return forces(jnp.where(started, positions, before.positions))

    after = laws.in_baths(run.bias_state).step(before, forces_at, laws.bonds, noise)
    after = _chosen(started, after, replace(before, forces=after.forces))
    moved = ((after.positions - before.positions) ** 2).sum(1)
    alive = run.alive & (moved < (laws.reach**2)[:, None]).all(0)
    last = jnp.where(alive, step, run.last)
    phase = _chosen(alive, after, before)
    run = replace(run, phase=phase, started=jnp.array(True), step=step, alive=alive, last=last)
    if not has_path_weights(laws.integrator, laws.bias):
        return run
    weight = log_weight_of_step(
        before, partial(laws.bias_energy, run.bias_state), laws.integrator, laws.bonds, noise
    )
    return replace(run, log_weight=run.log_weight + jnp.where(started & alive, weight, 0.0))


def _judged(laws: Laws, run: Run, save_every: Int[Array, ""]) -> Run:
    """The run at a frame: what has broken since the last one is put back there and stays."""
    phase, bonds = run.phase, laws.bonds
    sound = jnp.isfinite(phase.forces).all((0, 1)) & (bonds.violation(phase.positions) < BROKEN_BOND)
    alive = run.alive & sound
    strain = (bonds.velocities(phase.forces) ** 2).sum(1).argmax(0).astype(jnp.int32)
    culprit = jnp.where(alive | (run.culprit >= 0), run.culprit, strain)
    phase = _chosen(alive, phase, run.good)
    return replace(run, phase=phase, good=phase, due=run.due + save_every, alive=alive, culprit=culprit)


def _deposited(laws: Laws, run: Run) -> Run:
    """The run after all replicas have deposited; a broken one shows NaN, which deposits nothing."""
    if isinstance(laws.bias, Exchanging):
        return _exchanged(laws, run)
    values = laws.bias.variable(run.phase.positions, laws.box)
    return replace(run, bias_state=laws.bias.update(run.bias_state, jnp.where(run.alive, values, jnp.nan)))


def _exchanged(laws: Laws, run: Run) -> Run:
    """The run after neighbors on a ladder have tried to change places; forces are then those of the new biases."""
    bias, phase = laws.bias, run.phase
    energy, _, values = laws.seen(phase.positions, run.bias_state)
    state = bias.exchanged(run.bias_state, jnp.where(run.alive, energy, jnp.nan), values)
    # momenta go from the Maxwell distribution of one temperature to that of the other
    scale = jnp.sqrt(bias.temperatures(state) / bias.temperatures(run.bias_state))
    phase = replace(phase, momenta=phase.momenta * scale.astype(phase.momenta.dtype))
    return replace(run, phase=phase, bias_state=state, started=jnp.array(False))


def _chosen(alive, new: Phase, old: Phase) -> Phase:
    """The new phase for replicas alive, or for all or none; the old for the others."""
    return jax.tree.map(lambda new, old: jnp.where(alive, new, old), new, old)
