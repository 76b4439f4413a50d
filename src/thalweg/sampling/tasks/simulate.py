"""Run tasks: walkers advance from where they are told, under no bias, a growing one or a held one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from thalweg import __version__
from thalweg.dynamics.engine import Bias
from thalweg.machine.arrays import stored_arrays
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.method import BiasMethod
from thalweg.sampling.plans import plain
from thalweg.sampling.segment import final_bias_state, final_state, write_segment
from thalweg.sampling.store import MANIFEST, Store, sha256
from thalweg.sampling.tasks.learned_variable import LearnedVariable
from thalweg.systems.state import State, thermal_state
from thalweg.units import Picoseconds, whole_multiple


@runtime_checkable
class PlannedBias(Protocol):
    """A bias as a plan names it: plain data, from which a worker makes the bias and where it is taken up."""

    @property
    def parents(self) -> tuple[str, ...]:
        """Entries it is made from."""
        ...

    def build(self, store: Store, apparatus: Apparatus) -> Bias:
        """The bias."""
        ...

    def state(self, store: Store, bias: Any) -> Any:
        """Its state at the beginning."""
        ...


@dataclass(frozen=True)
class GrowingBias:
    """A bias on a learned variable, going on from what a segment left.

    Attributes
    ----------
    model : entry of the learned variable, which also has the limits and widths
    method : what bias
    after : entry of the segment at whose end the bias is taken up; None to begin with none
    """

    model: str
    method: BiasMethod
    after: str | None = None

    @property
    def parents(self) -> tuple[str, ...]:
        return (self.model,) if self.after is None else (self.model, self.after)

    def build(self, store: Store, apparatus: Apparatus) -> Bias:
        return LearnedVariable.read(store, self.model).biased(apparatus, self.method)

    def state(self, store: Store, bias: Bias) -> Any:
        return bias.init() if self.after is None else final_bias_state(store, self.after, bias.init())


@dataclass(frozen=True)
class HeldBias:
    """A grown bias that grows no more."""

    grown: GrowingBias

    @property
    def parents(self) -> tuple[str, ...]:
        return self.grown.parents

    def build(self, store: Store, apparatus: Apparatus) -> FrozenBias:
        bias = self.grown.build(store, apparatus)
        return FrozenBias(bias, self.grown.state(store, bias))

    def state(self, store: Store, bias: Bias) -> Any:
        return bias.init()


@dataclass(frozen=True)
class Simulate:
    """Advance ``walkers`` until each has left ``frames``, and keep a segment.

    Attributes
    ----------
    recipe : of the apparatus
    walkers : how many
    frames : how many each of them leaves
    save_every : time between frames [ps]
    seed : of momenta and noise of walkers that start anew
    after : entry of the segment whose walkers go on; None to start anew
    starts : entry with the places where walkers start anew; None for the apparatus' own
    bias : None for none
    """

    kind: ClassVar[str] = "run"

    recipe: ApparatusRecipe
    walkers: int
    frames: int
    save_every: Picoseconds
    seed: int
    after: str | None = None
    starts: str | None = None
    bias: PlannedBias | None = None

    @property
    def cost(self) -> float:
        """Simulated time [ps], over all walkers."""
        return self.walkers * self.frames * self.save_every

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        bias = None if self.bias is None else self.bias.build(store, apparatus)
        stride = whole_multiple(self.save_every, apparatus.dt, "save_every")
        recording = apparatus.engine.run(
            self._start(store, entry, apparatus),
            self.frames * stride,
            save_every=stride,
            bias=bias,
            bias_state=None if bias is None else self.bias.state(store, bias),
        )
        parents = {parent: sha256(store.folder(parent) / MANIFEST) for parent in sorted(self._parents())}
        card = {"id": entry, "arguments": plain(self), "parents": parents, "thalweg": __version__}
        card |= {"walkers": self.walkers, "steps": self.frames * stride, "dt": apparatus.dt}
        store.commit(entry, lambda folder: write_segment(folder, recording, apparatus, card))

    def _parents(self):
        named = {self.after, self.starts, *(() if self.bias is None else self.bias.parents)}
        return named - {None}

    def _start(self, store: Store, entry: str, apparatus: Apparatus) -> State:
        if self.after is not None:
            return final_state(store, self.after)
        box = apparatus.box
        if self.starts is None:
            positions = np.repeat(apparatus.positions[..., None], self.walkers, axis=-1)
        else:
            with stored_arrays(store.file(self.starts, "starts.npz")) as arrays:
                positions = np.moveaxis(arrays["positions"], 0, -1)
                box = np.moveaxis(arrays["boxes"], 0, -1) if "boxes" in arrays else box
        key = jax.random.key(seed_of(self.seed, entry))
        box = None if box is None else jnp.asarray(box, jnp.float32)
        return thermal_state(jnp.asarray(positions, jnp.float32), apparatus.masses, apparatus.kT, key, box)


def seed_of(*names: Any) -> int:
    """A seed in 31 bits that depends on all of ``names`` and on nothing else.

    Examples
    --------
    >>> seed_of(0, "segments/a") == seed_of(0, "segments/a") != seed_of(1, "segments/a")
    True
    """
    return int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:4], "big") >> 1
