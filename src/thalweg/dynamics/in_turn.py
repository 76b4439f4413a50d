"""Running replicas one after another in a program that knows one at a time, with everything else as usual.

Engines on top of other programs differ in how they take one replica a few steps further: that is a `Walker`.
Frames, the bias all replicas share, broken replicas and observers are the same for all and live here.
Replicas advance in turn by blocks that end where a frame or a deposit is due, so they deposit at the same
moments as in the native loop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Bias, Exchanging, Observer, Recording, StopRun
from thalweg.dynamics.integrator import Integrator
from thalweg.dynamics.recording import check_ladder, check_start, farewell, joined
from thalweg.machine.precision import full_precision
from thalweg.systems.state import State
from thalweg.systems.system import System

CHUNK_SECONDS = 0.5
"""Time between looks of the observers, if a frame is done by then."""


class Broken(Exception):
    """Raised by a walker whose replica cannot go on; the message names the atom at fault."""


@dataclass(frozen=True)
class Place:
    """Where one replica is.

    Attributes
    ----------
    positions, momenta : (atoms, dims) [nm, amu nm/ps]
    box : (3, 3) box vectors as rows [nm], or None
    energy : without bias [kJ/mol]
    kT : of the replica's bath [kJ/mol]; None where that is the integrator's
    """

    positions: np.ndarray
    momenta: np.ndarray
    box: np.ndarray | None
    energy: float = np.nan
    kT: float | None = None


@runtime_checkable
class Walker(Protocol):
    """A system in another program, of which it knows one replica at a time."""

    def advance(self, replica: int, place: Place, steps: int) -> Place:
        """Where the replica of that number, now at ``place``, is ``steps`` later.

        Raises
        ------
        Broken
            If the replica diverges on the way.
        """
        ...


class BiasForce:
    """The bias as another program wants it, of one structure (atoms, dims) [nm]; it grows by `deposit`.

    On a ladder it is that of the rung of the replica whose turn it is, which `turn_of` says.
    """

    def __init__(self, bias: Bias | None, bias_state: Any):
        self.bias = bias
        self.state = bias.init() if bias is not None and bias_state is None else bias_state
        self.replica = 0
        self._held: tuple[Any, int, Callable] | None = None
        self._read_rungs()

    @property
    def acts(self) -> bool:
        """Whether there is a force at all; a ladder of temperatures alone has none."""
        return self.bias is not None and len(self.bias.variable.names) > 0

    @property
    def kT(self) -> float | None:
        """Of the bath of the replica whose turn it is [kJ/mol]; None where the integrator knows."""
        return None if self._temperatures is None else float(self._temperatures[self.replica])

    @property
    def rung(self) -> int:
        """Of the replica whose turn it is; zero without a ladder."""
        return 0 if self._rungs is None else int(self._rungs[self.replica])

    def turn_of(self, replica: int) -> BiasForce:
        """This force, from now on as the replica of that number feels it."""
        self.replica = replica
        return self

    def _read_rungs(self) -> None:
        """Look up who stands where, once for all replicas."""
        on_ladder = isinstance(self.bias, Exchanging)
        self._rungs = np.asarray(self.bias.rungs(self.state)) if on_ladder else None
        self._temperatures = np.asarray(self.bias.temperatures(self.state), float) if on_ladder else None

    def _own(self) -> Any:
        """The bias state as the replica sees it whose turn it is."""
        return self.bias.alone(self.state, self.replica) if isinstance(self.bias, Exchanging) else self.state

    def _at(self, positions: np.ndarray, box: np.ndarray | None) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Energy, values and gradient by energy; bias and state are taken apart once for all steps until a deposit."""
        if self._held is None or self._held[0] is not self.state or self._held[1] != self.replica:
            arrays, rest = eqx.partition((self.bias, self._own()), eqx.is_array)
            leaves, structure = jax.tree.flatten(rest)
            compiled = _compiled(tuple(leaves), structure)
            self._held = (self.state, self.replica, partial(compiled, jax.tree.map(jnp.asarray, arrays)))
        box = None if box is None else np.asarray(box, np.float32)
        return self._held[2](np.asarray(positions, np.float32), box)

    def check(self, positions: np.ndarray, box: np.ndarray | None) -> None:
        """Raise ValueError if the bias is not the same for all replicas."""
        if self.bias is None:
            return
        shape = eqx.filter_eval_shape(_bias_energy, self.bias, self._own(), *_single(positions, box)).shape
        if shape != ():
            raise ValueError(
                f"the bias gives {shape} energies for one replica: it treats replicas differently, which only the "
                "native engine can; run each window by itself"
            )

    def __call__(self, positions: np.ndarray, box: np.ndarray | None) -> tuple[float, np.ndarray]:
        """Energy [kJ/mol] and forces [kJ/mol/nm]."""
        energy, _, gradient = self._at(positions, box)
        return float(energy), -np.asarray(gradient, float)

    def seen(self, positions: np.ndarray, box: np.ndarray | None) -> tuple[float, np.ndarray]:
        """Energy and values of the variable; none without a bias."""
        if self.bias is None or not self.acts:
            return 0.0, np.zeros(0, np.float32)
        energy, values, _ = self._at(positions, box)
        return float(energy), np.asarray(values)

    def steps_to_deposit(self, step: int) -> int | float:
        """How many steps after ``step`` replicas deposit next."""
        if self.bias is None or self.bias.stride is None:
            return math.inf
        return self.bias.stride - step % self.bias.stride

    def deposit(self, values: np.ndarray) -> None:
        """Let replicas at ``values`` (values, replicas) deposit; NaN deposits nothing."""
        self.state = _updated(self.bias, self.state, jnp.asarray(values, jnp.float32))

    def exchange(self, energy: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Let replicas change places on their ladder; what their momenta are to be scaled by ``(replicas,)``."""
        assert isinstance(self.bias, Exchanging)
        before = self._temperatures
        # differences of energies matter: their mean would cost digits of 32 bits
        center = energy[np.isfinite(energy)].mean() if np.isfinite(energy).any() else 0.0
        centered = jnp.asarray(energy - center, jnp.float32)
        self.state = _exchanged_state(self.bias, self.state, centered, jnp.asarray(values, jnp.float32))
        self._read_rungs()
        return np.sqrt(self._temperatures / before)


@dataclass(frozen=True)
class _Replica:
    """One replica between two blocks."""

    place: Place
    bias_energy: float = 0.0
    values: np.ndarray | None = None
    broken: str | None = None
    rung: int = 0


@full_precision()
def run_in_turn(
    walker: Callable[[int, BiasForce], Walker],
    system: System,
    integrator: Integrator,
    state: State,
    steps: int,
    *,
    save_every: int,
    bias: Bias | None,
    bias_state: Any,
    observers: Sequence[Observer],
) -> Recording:
    """What `thalweg.dynamics.engine.Engine.run` promises, by one walker for all replicas.

    ``walker(seed, bias_force)`` makes a walker whose noise depends on the seed and on what it has done since.
    """
    check_start(state, steps, save_every, len(system.masses))
    force = BiasForce(bias, bias_state)
    check_ladder(bias, force.state, state.positions.shape[2], integrator)
    if isinstance(bias, Exchanging) and system.barostat is not None:
        raise ValueError(
            "replicas cannot change places under a barostat: their volumes would count as well; hold the volume"
        )
    begun = _places(state)
    force.check(begun[0].positions, begun[0].box)
    key, seeding = jax.random.split(state.key)
    walks = walker(int(jax.random.randint(seeding, (), 1, 2**31 - 1)), force)

    fastest = integrator.reach(system.masses) / integrator.dt
    begin = step = int(state.step)
    now = good = [_observed(_Replica(place), force.turn_of(k)) for k, place in enumerate(begun)]
    frames, chunks, looked = [], [], time.perf_counter()
    while step < begin + steps:
        # all replicas go on to the next frame or deposit, whichever comes first, one after the other
        block = min(save_every - (step - begin) % save_every, force.steps_to_deposit(step))
        trouble = partial(farewell, step=step, dt=integrator.dt)
        now = [
            _advanced(walks, system, fastest, force.turn_of(k), one, block, partial(trouble, k))
            for k, one in enumerate(now)
        ]
        step += block
        now = [_observed(one, force.turn_of(k)) for k, one in enumerate(now)]
        if force.steps_to_deposit(step - 1) == 1:
            # one deposit of all replicas at once; NaN of a broken one deposits nothing
            values = np.stack([one.values * (np.nan if one.broken else 1.0) for one in now], 1)
            if isinstance(bias, Exchanging):
                now = _exchanged(now, force, values)
            else:
                force.deposit(values)
        if (step - begin) % save_every:
            continue
        # a replica that broke since its last frame is put back there, and stays
        now = [replace(old, broken=new.broken) if new.broken else new for old, new in zip(good, now)]
        good = now
        frames.append(now)
        # observers look in where a frame is done and some time has passed, and at the end
        over = step == begin + steps or all(one.broken for one in now)
        if over or time.perf_counter() - looked > CHUNK_SECONDS:
            boxes_move = system.barostat is not None
            end = _state(now, jax.random.fold_in(key, step), step, state, boxes_move)
            on_ladder = isinstance(bias, Exchanging)
            chunks.append(
                _recording(frames, end, force.state, save_every * integrator.dt, boxes_move, on_ladder)
            )
            frames, looked = [], time.perf_counter()
            try:
                for observer in observers:
                    observer(step - begin, steps, chunks[-1])
            except StopRun:
                break
        if over:
            break
    return joined(chunks)


def _places(state: State) -> list[Place]:
    """Where each replica starts."""
    positions, momenta = (
        np.moveaxis(np.asarray(array, float), -1, 0) for array in (state.positions, state.momenta)
    )
    box = None if state.box is None else np.asarray(state.box)
    if box is None or box.ndim == 2:
        return [Place(x, p, box) for x, p in zip(positions, momenta)]
    return [Place(x, p, own) for x, p, own in zip(positions, momenta, np.moveaxis(box, -1, 0))]


def _state(replicas: list[_Replica], key: jax.Array, step: int, like: State, boxes_move: bool) -> State:
    places, kind = [one.place for one in replicas], like.positions.dtype

    def stacked(name):
        return jnp.asarray(np.stack([getattr(place, name) for place in places], -1), kind)

    box = stacked("box") if boxes_move else like.box
    return State(stacked("positions"), stacked("momenta"), key, jnp.asarray(step, jnp.int32), box)


def _advanced(
    walker: Walker,
    system: System,
    fastest: np.ndarray,
    force: BiasForce,
    one: _Replica,
    steps: int,
    farewell: Callable,
) -> _Replica:
    """The replica ``steps`` later, or marked as broken with what ``farewell`` says of the atom at fault."""
    if one.broken:
        return one
    try:
        place = walker.advance(force.replica, replace(one.place, kT=force.kT), steps)
        _refuse_thrown(system, fastest, place)
    except Broken as broken:
        return replace(one, broken=farewell(atom=str(broken)))
    return replace(one, place=place)


def _refuse_thrown(system: System, fastest: np.ndarray, place: Place) -> None:
    """Raise `Broken` if a number is not finite or an atom is faster than ``fastest`` ``(atoms,)`` [nm/ps]."""
    masses = np.where(system.masses > 0, system.masses, np.inf)
    squares = (place.momenta**2).sum(1) / masses + 0.0 * place.positions.sum(1)
    squares = np.nan_to_num(squares, nan=np.inf)
    if not (np.isfinite(place.energy) and (np.sqrt(squares / masses) < fastest).all()):
        atom = int(squares.argmax())
        raise Broken(f"atom {atom} ({system.topology.label(atom)})")


def _observed(one: _Replica, force: BiasForce) -> _Replica:
    bias_energy, values = force.seen(one.place.positions, one.place.box)
    return replace(one, bias_energy=bias_energy, values=values, rung=force.rung)


def _exchanged(replicas: list[_Replica], force: BiasForce, values: np.ndarray) -> list[_Replica]:
    """The replicas after they have changed places on their ladder, momenta scaled to their new temperatures."""
    energy = np.array([np.nan if one.broken else one.place.energy for one in replicas])
    scales = force.exchange(energy, values)
    return [
        one if one.broken else replace(one, place=replace(one.place, momenta=scale * one.place.momenta))
        for one, scale in zip(replicas, scales)
    ]


def _recording(
    frames: list[list[_Replica]],
    state: State,
    bias_state: Any,
    dt_frames: float,
    boxes_move: bool,
    on_ladder: bool,
) -> Recording:
    def gathered(quantity):
        return np.array([[quantity(one) for one in replica] for replica in zip(*frames)], np.float32)

    return Recording(
        positions=gathered(lambda one: one.place.positions),
        values=gathered(lambda one: one.values),
        energy=gathered(lambda one: one.place.energy),
        bias_energy=gathered(lambda one: one.bias_energy),
        boxes=gathered(lambda one: one.place.box) if boxes_move else None,
        valid=np.array([sum(one.broken is None for one in replica) for replica in zip(*frames)]),
        state=state,
        bias_state=bias_state,
        dt_frames=dt_frames,
        diverged={r: one.broken for r, one in enumerate(frames[-1]) if one.broken},
        rungs=np.array([[one.rung for one in replica] for replica in zip(*frames)]) if on_ladder else None,
    )


def _single(positions: np.ndarray, box: np.ndarray | None) -> tuple[jax.Array, jax.Array | None]:
    """Both in 32 bits."""
    return jnp.asarray(positions, jnp.float32), None if box is None else jnp.asarray(box, jnp.float32)


@lru_cache(maxsize=64)
def _compiled(leaves: tuple, structure: Any) -> Callable:
    """``(arrays, positions, box) -> energy, values, gradient`` for all biases that are alike but for their arrays.

    `equinox.filter_jit` would take bias and state apart, and compare all that is no array, at every step.
    """
    rest = jax.tree.unflatten(structure, leaves)

    @jax.jit
    def at(arrays: Any, positions: jax.Array, box: jax.Array | None):
        bias, state = eqx.combine(arrays, rest)

        def energy(positions):
            values = bias.variable(positions, box)
            return bias.energy(state, values), values

        (energy, values), gradient = jax.value_and_grad(energy, has_aux=True)(positions)
        return energy, values, gradient

    return at


def _bias_energy(bias: Bias, state: Any, positions: jax.Array, box: jax.Array | None) -> jax.Array:
    return jnp.asarray(bias.energy(state, bias.variable(positions, box)))


@eqx.filter_jit
def _exchanged_state(bias: Exchanging, state: Any, energy: jax.Array, values: jax.Array) -> Any:
    return bias.exchanged(state, energy, values)


@eqx.filter_jit
def _updated(bias: Bias, state: Any, values: jax.Array) -> Any:
    return bias.update(state, values)
