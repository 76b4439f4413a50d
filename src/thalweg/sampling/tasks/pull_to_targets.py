"""Run tasks: pull walkers from their starts to targets beyond what was sampled, and keep where they come to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Bias
from thalweg.machine import disk
from thalweg.machine.arrays import stored_arrays
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.exchange.ladder import Ladder
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.simulate import seed_of
from thalweg.shapes import Float, Int
from thalweg.systems.state import State, thermal_state
from thalweg.units import Picoseconds, whole_multiple

STAGES = 4
"""Parts of the way, at the end of each of which the restraint has gone so much further."""

SLACK = 0.15
"""Thermal deviation from the restraint's center, relative to the length of the way."""


@dataclass(frozen=True)
class PullToTargets:
    """Pull walkers to the targets of a choice of starts, by a restraint on all features that moves in stages.

    Frames on the way are not kept: they are no sample of anything. A walker without a target, or one that diverged on
    the way, begins where it would have without pulling.

    Attributes
    ----------
    recipe : of the apparatus
    starts : entry with the starts and targets
    walkers : how many there are
    pull : time that the way takes [ps]
    seed : of momenta and noise
    """

    kind: ClassVar[str] = "run"

    recipe: ApparatusRecipe
    starts: str
    walkers: int
    pull: Picoseconds
    seed: int

    @property
    def cost(self) -> float:
        """Simulated time [ps], over all walkers."""
        return self.walkers * self.pull

    def __call__(self, store: Store, entry: str) -> None:
        with stored_arrays(store.file(self.starts, "starts.npz")) as stored:
            arrays = dict(stored)
        targets = arrays.pop("targets", None)
        if targets is not None and np.isfinite(targets).any():
            apparatus = self.recipe.build()
            boxes = arrays.get("boxes")
            key = jax.random.key(seed_of(self.seed, entry))
            state = self._state(apparatus, arrays["positions"], boxes, key)
            reached, arrived = pulled(apparatus, state, targets, self.pull)
            arrays["positions"][arrived] = np.moveaxis(np.asarray(reached.positions), -1, 0)[arrived]
            if boxes is not None:
                boxes[arrived] = np.moveaxis(np.asarray(reached.box), -1, 0)[arrived]
        store.commit(entry, lambda folder: disk.write_arrays(folder / "starts.npz", arrays))

    @staticmethod
    def _state(
        apparatus: Apparatus, positions: np.ndarray, boxes: np.ndarray | None, key: jax.Array
    ) -> State:
        box = apparatus.box if boxes is None else np.moveaxis(boxes, 0, -1)
        box = None if box is None else jnp.asarray(box, jnp.float32)
        places = jnp.asarray(np.moveaxis(positions, 0, -1), jnp.float32)
        return thermal_state(places, apparatus.masses, apparatus.kT, key, box)


def pulled(
    apparatus: Apparatus, state: State, targets: Float[np.ndarray, "walkers features"], pull: Picoseconds
) -> tuple[State, Int[np.ndarray, " arrived"]]:
    """Where walkers come to, and the numbers of those that had a target and did not diverge.

    The restraint's stiffness makes thermal deviations a fraction `SLACK` of the median way.

    Parameters
    ----------
    targets : features, NaN for walkers without a target
    pull : time that the way takes [ps]
    """
    variable = apparatus.features
    begun = np.asarray(variable(state.positions, state.box), float)
    way = targets.T - begun
    for row, period in zip(way, variable.periods):
        if period is not None:
            row -= period * np.round(row / period)
    wanted = np.isfinite(way).all(axis=0)
    length = np.median(np.linalg.norm(way[:, wanted], axis=0))
    if not length > 0:
        return state, np.zeros(0, int)
    stiffness = np.full(len(begun), apparatus.kT / (SLACK * length) ** 2)
    total = whole_multiple(pull, apparatus.dt, "pull")
    never = int(state.step) + total + 1
    fine = wanted.copy()
    for done, until in pairwise(np.linspace(0, total, min(STAGES, total) + 1).astype(int).tolist()):
        center = begun + until / total * np.where(wanted, way, 0.0)
        restraint = _each_at_its_own(apparatus, center, stiffness, never)
        recording = apparatus.engine.run(state, until - done, save_every=until - done, bias=restraint)
        fine[list(recording.diverged)] = False
        state = recording.state
    return state, np.flatnonzero(fine)


def _each_at_its_own(
    apparatus: Apparatus, centers: Float[np.ndarray, "features walkers"], stiffness: np.ndarray, never: int
) -> Bias:
    """Walkers held at one center each: rungs of a ladder on which nobody changes places before the step ``never``.

    That is what engines know that move one replica after another.
    """
    restraints = [HarmonicRestraint(apparatus.features, center, stiffness) for center in centers.T]
    return restraints[0] if len(restraints) == 1 else Ladder(apparatus.kT, never, restraints)
