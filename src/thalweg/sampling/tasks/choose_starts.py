"""Reduce tasks: choose, among all frames seen, those that new walkers start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from thalweg.machine import disk
from thalweg.machine.reading import read_json
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.restarts.least_counts import LeastCounts
from thalweg.sampling.restarts.rule import RestartRule, SampledFrames, clustered_frames
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store, write_json


@dataclass(frozen=True)
class ChooseStarts:
    """Cluster the features of all frames, count transitions, and take the frames that a rule names.

    The entry holds positions of the starts, the states they are in, targets if the rule named some, the segment, walker
    and frame that each comes from, and what the rule wants to remember.

    Attributes
    ----------
    recipe : of the apparatus
    segments : entries whose frames are considered, one for each round of walks
    walkers : number of starts
    states : number of clusters, k-centers so that rare places have theirs
    lagtime : of the transitions counted, in frames
    seed : of the choice among equals
    rule : a `RestartRule`
    before : entry of the choice before, whose memory the rule is given; None for the first
    """

    kind: ClassVar[str] = "reduce"

    recipe: ApparatusRecipe
    segments: tuple[str, ...]
    walkers: int
    states: int
    lagtime: int
    seed: int
    rule: RestartRule = field(default_factory=LeastCounts)
    before: str | None = None

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        segments = [Segment.read_again(store, name) for name in self.segments]
        sampled = self._sampled(store, segments, apparatus)
        restarts = self.rule.choose(sampled, self.walkers, self.seed)
        frames = _places(sampled, restarts.frames)
        starts = _positions(store, segments, frames, apparatus)
        starts |= {"states": sampled.state[restarts.frames], "counts": sampled.counts}
        starts |= {} if restarts.targets is None else {"targets": restarts.targets}
        sources = [{"segment": self.segments[s], "walker": w, "frame": f} for s, w, f in frames]

        def write(folder):
            disk.write_arrays(folder / "starts.npz", starts)
            write_json(folder / "starts.json", {"frames": sources, "memory": restarts.memory})

        store.commit(entry, write)

    def _sampled(self, store: Store, segments: Sequence[Segment], apparatus: Apparatus) -> SampledFrames:
        """What the rule is shown."""
        kept = [(s, int(w)) for s, one in enumerate(segments) for w in np.flatnonzero(one.valid)]
        return clustered_frames(
            [segments[s].features[w, : segments[s].valid[w]] for s, w in kept],
            [s for s, _ in kept],
            [w for _, w in kept],
            self.states,
            self.lagtime,
            tuple(apparatus.features.names),
            apparatus.features.periods,
            self._memory(store),
        )

    def _memory(self, store: Store) -> Mapping[str, Any]:
        if self.before is None:
            return {}
        return read_json(store.file(self.before, "starts.json"), "where starts come from")["memory"]


def _places(sampled: SampledFrames, frames: np.ndarray) -> list[tuple[int, int, int]]:
    """Segment, walker and frame of frames counted over all walks in a row."""
    begins = np.cumsum([0, *map(len, sampled.walks)])
    walks = np.searchsorted(begins, frames, side="right") - 1
    return [
        (int(sampled.rounds[walk]), int(sampled.walkers[walk]), int(frame - begins[walk]))
        for walk, frame in zip(walks, frames)
    ]


def _positions(
    store: Store, segments: Sequence[Segment], frames: Sequence[tuple[int, int, int]], apparatus: Apparatus
) -> dict[str, np.ndarray]:
    """Positions of frames, and their boxes where all have one of their own."""
    read = apparatus.trajectories.read
    folders = [store.folder(segment.entry) for segment in segments]
    starts = {"positions": np.stack([read(folders[s], walker, frame) for s, walker, frame in frames])}
    if all(segments[s].boxes is not None for s, _, _ in frames):
        starts["boxes"] = np.stack([segments[s].boxes[walker, frame] for s, walker, frame in frames])
    return starts
