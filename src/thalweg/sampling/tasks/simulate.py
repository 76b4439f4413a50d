"""Run tasks: walkers advance from where they are told, under no bias, a growing one or a held one."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from thalweg import __version__
from thalweg.dynamics.engine import Bias
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.segment import final_bias_state, final_state, write_segment
from thalweg.sampling.store import MANIFEST, Store, sha256
from thalweg.sampling.tasks.slow_variable import SlowVariable
from thalweg.systems.state import State, thermal_state


@dataclass(frozen=True)
class GrowingBias:
    """Well-tempered metadynamics on a learned variable, going on from what a segment left.

    Attributes
    ----------
    model : entry of the learned variable, which also has the limits and widths
    height : of the first Gaussians [kJ/mol]
    bias_factor, stride : see `WellTemperedMetadynamics`
    after : entry of the segment at whose end the bias is taken up; None to begin with none
    """

    model: str
    height: float
    bias_factor: float
    stride: int
    after: str | None = None

    @property
    def parents(self) -> tuple[str, ...]:
        return (self.model,) if self.after is None else (self.model, self.after)

    def build(self, store: Store, apparatus: Apparatus) -> Bias:
        variable = SlowVariable.read(store, self.model)
        return variable.metadynamics(apparatus, self.height, self.bias_factor, self.stride)

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
    """Advance ``walkers`` by ``steps`` and keep a segment.

    Attributes
    ----------
    recipe : of the apparatus
    walkers, steps, save_every : how many, how long, how often a frame is kept
    seed : of momenta and noise of walkers that start anew
    after : entry of the segment whose walkers go on; None to start anew
    starts : entry with the places where walkers start anew; None for the apparatus' own
    bias : None for none
    """

    kind: ClassVar[str] = "run"

    recipe: ApparatusRecipe
    walkers: int
    steps: int
    save_every: int
    seed: int
    after: str | None = None
    starts: str | None = None
    bias: GrowingBias | HeldBias | None = None

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        bias = None if self.bias is None else self.bias.build(store, apparatus)
        recording = apparatus.engine.run(
            self._start(store, entry, apparatus),
            self.steps,
            save_every=self.save_every,
            bias=bias,
            bias_state=None if bias is None else self.bias.state(store, bias),
        )
        parents = {parent: sha256(store.folder(parent) / MANIFEST) for parent in sorted(self._parents())}
        card = {"id": entry, "arguments": asdict(self), "parents": parents, "thalweg": __version__}
        store.commit(entry, lambda folder: write_segment(folder, recording, apparatus, card))

    def _parents(self):
        named = {self.after, self.starts, *(() if self.bias is None else self.bias.parents)}
        return named - {None}

    def _start(self, store: Store, entry: str, apparatus: Apparatus) -> State:
        if self.after is not None:
            return final_state(store, self.after)
        if self.starts is None:
            positions = np.repeat(apparatus.positions[..., None], self.walkers, axis=-1)
        else:
            with np.load(store.file(self.starts, "starts.npz"), allow_pickle=False) as arrays:
                positions = np.moveaxis(arrays["positions"], 0, -1)
        key = jax.random.key(seed_of(self.seed, entry))
        box = None if apparatus.box is None else jnp.asarray(apparatus.box, jnp.float32)
        return thermal_state(jnp.asarray(positions, jnp.float32), apparatus.masses, apparatus.kT, key, box)


def seed_of(*names: Any) -> int:
    """A seed in 31 bits that depends on all of ``names`` and on nothing else.

    Examples
    --------
    >>> seed_of(0, "segments/a") == seed_of(0, "segments/a") != seed_of(1, "segments/a")
    True
    """
    return int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:4], "big") >> 1
