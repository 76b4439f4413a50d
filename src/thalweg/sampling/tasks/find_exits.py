"""Reduce tasks: which walkers have left the state that earlier ones filled, once they are free of bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.collective_variables.manifold.local_states import local_state
from thalweg.machine import disk
from thalweg.machine.reading import read_json
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.segment import Segment, final_state, walks
from thalweg.sampling.store import Store, write_json


@dataclass(frozen=True)
class FindExits:
    """Walkers whose frames all lie outside a state in the second half of a walk without bias.

    The entry says which they are; where there are some, it holds positions for as many walkers to begin at.

    Attributes
    ----------
    recipe : of the apparatus
    state : entries of segments whose frames fill the state
    freed : entry of the segment that was walked without bias
    walkers : places to begin at
    """

    kind: ClassVar[str] = "reduce"

    recipe: ApparatusRecipe
    state: tuple[str, ...]
    freed: str
    walkers: int

    def __call__(self, store: Store, entry: str) -> None:
        filled = [Segment.read(store, name) for name in self.state]
        state = local_state([walk.astype(float) for walk in walks(filled, "features")])
        freed = Segment.read(store, self.freed)
        left = [
            walker
            for walker, (frames, n) in enumerate(zip(freed.features, freed.valid))
            if n == frames.shape[0] and not state.holds(frames[n // 2 :]).any()
        ]
        arrays = _places(store, self.freed, np.resize(left, self.walkers)) if left else None

        def write(folder):
            if arrays is not None:
                disk.write_arrays(folder / "starts.npz", arrays)
            write_json(folder / "exits.json", {"left": left, "of": len(freed.valid), "reach": state.reach})

        store.commit(entry, write)

    @staticmethod
    def left(store: Store, entry: str) -> Sequence[int]:
        """Which walkers a committed entry says have left."""
        return read_json(store.file(entry, "exits.json"), "which walkers have left a state")["left"]


def _places(store: Store, segment: str, walkers: np.ndarray) -> dict[str, Any]:
    """Where walkers stood at the end of a segment, and their boxes where each has one of its own."""
    state = final_state(store, segment)
    found = {"positions": np.moveaxis(np.asarray(state.positions)[..., walkers], -1, 0)}
    if state.box is not None and state.box.ndim == 3:
        found["boxes"] = np.moveaxis(np.asarray(state.box)[..., walkers], -1, 0)
    return found
