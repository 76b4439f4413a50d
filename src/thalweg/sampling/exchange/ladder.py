"""Replicas that change places on a ladder of temperatures or of biases [sugita1999, sugita2000].

Rung ``k`` has a bath of ``kT_k`` and a bias ``V_k``. Every ``stride`` steps the neighbors of every other pair of rungs
try to change places; replica i, on rung k, and j, on rung k + 1, do so with probability

``min(1, exp(u_k(x_i) + u_{k+1}(x_j) - u_k(x_j) - u_{k+1}(x_i)))``,    ``u_k(x) = (U(x) + V_k(x)) / kT_k``

Momenta are scaled by ``sqrt(T_new / T_old)``: kinetic energies then cancel, and every rung keeps its own ensemble of
positions and momenta. Pairs 01, 23, ... take turns with 12, 34, ..., which carries replicas along the ladder faster
than pairs drawn at random [syed2022]. It is rungs that are handed on, not positions: the trajectory of a replica has no
jumps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Bias, Variable
from thalweg.shapes import Array, Box, Energies, Float, Int, Positions, Values


class Unbiased(eqx.Module):
    """The variable without values: what a ladder of temperatures alone is biased in."""

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    @property
    def units(self) -> tuple[str, ...]:
        return ()

    @property
    def periods(self) -> tuple[float | None, ...]:
        return ()

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        """No values ``(0, *replicas)``."""
        return jnp.zeros((0, *positions.shape[2:]), positions.dtype)


class LadderState(eqx.Module):
    """Who stands where, and how the climbing went so far.

    Attributes
    ----------
    standing : (replicas,) the rung of each replica; a number where one replica is looked at alone
    stream : key of the draws
    attempts : how often the ladder was asked
    tried, accepted, chance : (pairs,) of each pair of neighboring rungs: how often it tried, how often places were
        changed, and the sum of the probabilities
    last_end : (replicas,) the end of the ladder a replica was at last: -1 the lowest rung, 1 the highest, 0 none yet
    ascents, descents : (replicas,) ways from the lowest rung to the highest, and back
    rising, falling : (rungs,) how often a replica on a rung had been at the lowest rung last, and at the highest
    """

    standing: Int[Array, "*replicas"]
    stream: Array
    attempts: Int[Array, ""]
    tried: Int[Array, " pairs"]
    accepted: Int[Array, " pairs"]
    chance: Float[Array, " pairs"]
    last_end: Int[Array, " replicas"]
    ascents: Int[Array, " replicas"]
    descents: Int[Array, " replicas"]
    rising: Int[Array, " rungs"]
    falling: Int[Array, " rungs"]


class Ladder(eqx.Module):
    """Rungs of temperatures, of biases, or of both; given to an engine in place of a bias.

    Replica r starts on rung ``r % rungs``; with more replicas than rungs there are several ladders in one run.

    Parameters
    ----------
    kT : (rungs,) thermal energies, neighbors beside each other [kJ/mol]; one number for a ladder of biases
    stride : steps between attempts to change places
    biases : one for each rung, all of one kind and of one variable, none of them growing; none for temperatures alone
    copies : number of ladders
    seed : of the draws

    Raises
    ------
    ValueError
        If there are fewer than two rungs, temperatures and biases differ in number, or biases grow or differ in kind.

    Examples
    --------
    >>> from thalweg.dynamics.langevin import Langevin
    >>> from thalweg.dynamics.native_engine import NativeEngine
    >>> from thalweg.systems.state import thermal_state
    >>> from thalweg.testsystems.wells import DoubleWell
    >>> engine = NativeEngine.for_potential(DoubleWell(), np.ones(1), Langevin(kT=1.0, dt=0.02))
    >>> ladder = Ladder([1.0, 2.0, 4.0], stride=10)
    >>> start = thermal_state(jnp.ones((1, 1, 3)), np.ones(1), 1.0, jax.random.key(0))
    >>> run = engine.run(start, 1000, save_every=10, bias=ladder)
    >>> run.rungs.shape, sorted(run.rungs[:, -1].tolist())
    ((3, 100), [0, 1, 2])
    """

    variable: Variable
    kT: Float[Array, " rungs"]
    stride: int = eqx.field(static=True)
    copies: int = eqx.field(static=True)
    stream: Array
    kind: Any
    own: tuple[Array, ...]

    def __init__(
        self,
        kT: Sequence[float] | Array | float,
        stride: int,
        biases: Sequence[Bias] = (),
        copies: int = 1,
        seed: int = 0,
    ):
        kT = np.asarray(kT, float)
        rungs = len(biases) if kT.ndim == 0 else len(kT)
        kT = np.broadcast_to(kT, (rungs,))
        if rungs < 2 or (len(biases) not in (0, rungs)):
            raise ValueError(
                f"{rungs} rungs with {len(biases)} biases; give at least two temperatures, and a bias for each or none"
            )
        if not (np.isfinite(kT).all() and (kT > 0).all()) or stride < 1 or copies < 1:
            raise ValueError(
                f"kT = {kT.tolist()}, stride = {stride}, copies = {copies}; give positive numbers"
            )
        self.kT, self.stride, self.copies = jnp.asarray(kT), stride, copies
        # an array, so that ladders of all seeds share a compiled loop
        self.stream = jax.random.key_data(jax.random.key(seed))
        self.variable = biases[0].variable if biases else Unbiased()
        self.kind, self.own = _taken_together(biases) if biases else (None, ())

    @property
    def count(self) -> int:
        """Number of rungs."""
        return len(self.kT)

    def init(self) -> LadderState:
        replicas, pairs = self.copies * self.count, self.count - 1
        none, still = jnp.zeros(pairs, jnp.int32), jnp.zeros(replicas, jnp.int32)
        return _looked_at(
            LadderState(
                standing=jnp.tile(jnp.arange(self.count, dtype=jnp.int32), self.copies),
                stream=self.stream,
                attempts=jnp.zeros((), jnp.int32),
                tried=none,
                accepted=none,
                chance=jnp.zeros(pairs),
                last_end=still,
                ascents=still,
                descents=still,
                rising=jnp.zeros(self.count, jnp.int32),
                falling=jnp.zeros(self.count, jnp.int32),
            )
        )

    def rungs(self, bias_state: LadderState) -> Int[Array, "*replicas"]:
        """On which rung each replica stands."""
        return bias_state.standing

    def temperatures(self, bias_state: LadderState) -> Float[Array, "*replicas"]:
        """``kT`` of each replica's bath [kJ/mol]."""
        return self.kT[bias_state.standing]

    def alone(self, bias_state: LadderState, replica: int) -> LadderState:
        """The state as one replica sees it."""
        return eqx.tree_at(lambda state: state.standing, bias_state, bias_state.standing[replica])

    def energy(self, bias_state: LadderState, values: Values) -> Energies:
        """The bias of each replica's own rung ``(*replicas,)`` [kJ/mol]."""
        if self.kind is None:
            return jnp.zeros(values.shape[1:], values.dtype)
        own = tuple(leaf[bias_state.standing] for leaf in self.own)
        if values.ndim == 1:
            return self._bias_energy(own, values)
        return jax.vmap(self._bias_energy, in_axes=(0, -1))(own, values)

    def bias_energies(self, values: Values) -> Float[Array, "rungs ..."]:
        """The bias of every rung at every replica [kJ/mol]."""
        if self.kind is None:
            return jnp.zeros((self.count, *values.shape[1:]), values.dtype)
        return jax.vmap(self._bias_energy, in_axes=(0, None))(self.own, values)

    def relative(
        self, energy: Float[np.ndarray, " frames"], values: Float[np.ndarray, "values frames"], kT: float
    ) -> Float[np.ndarray, "rungs frames"]:
        """``kT u_k(x) - U(x)`` [kJ/mol]: what every rung has beyond the ensemble at ``kT`` without bias.

        With these `thalweg.free_energies.reweighting.MBAR` weighs frames of all rungs as if made at ``kT``.

        Parameters
        ----------
        energy : without bias [kJ/mol]
        values : of the variable
        kT : [kJ/mol]
        """
        energy, own = np.asarray(energy, float), np.asarray(self.kT, float)[:, None]
        biases = np.asarray(self.bias_energies(jnp.asarray(values, jnp.float32)), float)
        # U enters by its differences alone; their mean is a constant of each rung
        return (kT / own - 1) * (energy - energy.mean()) + kT / own * biases

    def update(self, bias_state: LadderState, values: Values) -> LadderState:
        """Nothing: places are changed by `exchanged`, which knows the energies."""
        return bias_state

    def exchanged(self, bias_state: LadderState, energy: Energies, values: Values) -> LadderState:
        """The state after neighbors have tried to change places; who shows NaN stays."""
        state, n, copies = bias_state, self.count, self.copies
        # who[c, k]: the replica on rung k of ladder c
        place = jnp.arange(copies)[:, None] * n + state.standing.reshape(copies, n)
        who = (
            jnp.zeros(copies * n, jnp.int32)
            .at[place.reshape(-1)]
            .set(jnp.arange(copies * n))
            .reshape(copies, n)
        )
        lower, upper = who[:, :-1], who[:, 1:]
        # energies as differences: numbers of the size of kT, whatever the size of U
        apart = energy[lower] - energy[upper]
        log_chance = (1 / self.kT[:-1] - 1 / self.kT[1:]) * apart
        if self.kind is not None:
            v = self.bias_energies(values) / self.kT[:, None]
            pair = jnp.arange(n - 1)
            log_chance += v[pair, lower] + v[pair + 1, upper] - v[pair, upper] - v[pair + 1, lower]
        chance = jnp.where(jnp.isfinite(log_chance), jnp.exp(jnp.minimum(log_chance, 0.0)), 0.0)
        key = jax.random.fold_in(jax.random.wrap_key_data(state.stream), state.attempts)
        draws = jax.random.uniform(key, chance.shape)
        turn = (jnp.arange(n - 1) % 2 == state.attempts % 2)[None, :]
        accepted = turn & (draws < chance)
        up = accepted.reshape(-1).astype(jnp.int32)
        step = jnp.zeros(copies * n, jnp.int32).at[lower.reshape(-1)].add(up).at[upper.reshape(-1)].add(-up)
        return _looked_at(
            eqx.tree_at(
                lambda s: (s.standing, s.attempts, s.tried, s.accepted, s.chance),
                state,
                (
                    state.standing + step,
                    state.attempts + 1,
                    state.tried + copies * turn[0],
                    state.accepted + accepted.sum(0, dtype=jnp.int32),
                    state.chance + (turn * chance).sum(0).astype(state.chance.dtype),
                ),
            )
        )

    def _bias_energy(self, own: tuple[Array, ...], values: Values) -> Energies:
        """The bias whose own parts are these."""
        bias = self.kind(own)
        return bias.energy(bias.init(), values)


def _looked_at(state: LadderState) -> LadderState:
    """The state with what the rungs tell of ways from end to end added to its counts."""
    rungs = len(state.rising)
    at_lowest, at_highest = state.standing == 0, state.standing == rungs - 1
    last = jnp.where(at_lowest, -1, jnp.where(at_highest, 1, state.last_end)).astype(jnp.int32)
    return eqx.tree_at(
        lambda s: (s.last_end, s.ascents, s.descents, s.rising, s.falling),
        state,
        (
            last,
            state.ascents + (at_highest & (state.last_end == -1)),
            state.descents + (at_lowest & (state.last_end == 1)),
            state.rising.at[state.standing].add((last == -1).astype(jnp.int32)),
            state.falling.at[state.standing].add((last == 1).astype(jnp.int32)),
        ),
    )


class _OneOf(eqx.Module):
    """From a rung's own parts to its bias: what all rungs share is held once."""

    shared: tuple[Any, ...]
    differs: tuple[bool, ...] = eqx.field(static=True)
    structure: Any = eqx.field(static=True)

    def __call__(self, own: tuple[Array, ...]) -> Bias:
        parts, rest = iter(own), iter(self.shared)
        leaves = [next(parts) if differs else next(rest) for differs in self.differs]
        return jax.tree.unflatten(self.structure, leaves)


def _taken_together(biases: Sequence[Bias]) -> tuple[_OneOf, tuple[Array, ...]]:
    """Biases as what they share, and what is each one's own ``(rungs, ...)``."""
    if growing := [type(bias).__name__ for bias in biases if bias.stride is not None]:
        raise ValueError(f"{growing[0]} grows; hold it by FrozenBias before it is put on a rung")
    flat = [jax.tree.flatten(bias) for bias in biases]
    leaves, structures = [one[0] for one in flat], [one[1] for one in flat]
    alike = all(structure == structures[0] for structure in structures)
    if not alike or any(np.shape(a) != np.shape(b) for one in leaves for a, b in zip(one, leaves[0])):
        raise ValueError(
            "the biases of a ladder are of several kinds or shapes; give one kind, with a stiffness or a factor of "
            "zero where there is to be none"
        )
    columns = list(zip(*leaves))
    differs = tuple(any(not np.array_equal(leaf, column[0]) for leaf in column) for column in columns)
    shared = tuple(column[0] for column, own in zip(columns, differs) if not own)
    own = tuple(jnp.stack([jnp.asarray(leaf) for leaf in column]) for column, d in zip(columns, differs) if d)
    return _OneOf(shared, differs, structures[0]), own
