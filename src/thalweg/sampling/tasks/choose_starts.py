"""Reduce tasks: choose, among all frames seen, those that new walkers start from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.states.clustering import KCenters
from thalweg.machine import disk
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.restart import LeastCounts, RestartRule
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store, write_json
from thalweg.time_series.trajectories import Trajectories


@dataclass(frozen=True)
class ChooseStarts:
    """Cluster the features of all frames, count transitions, and take frames of the states that a rule names.

    Attributes
    ----------
    recipe : of the apparatus
    segments : entries whose frames are considered
    walkers : number of starts
    states : number of clusters, k-centers so that rare places have theirs
    lagtime : of the transitions counted, in frames
    seed : of the choice among equals
    rule : a `RestartRule`
    """

    kind: ClassVar[str] = "reduce"

    recipe: ApparatusRecipe
    segments: tuple[str, ...]
    walkers: int
    states: int
    lagtime: int
    seed: int
    rule: RestartRule = field(default_factory=LeastCounts)

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        segments = [Segment.read(store, name) for name in self.segments]
        walks, sources = _walks(segments)
        states = min(self.states, len(np.unique(np.concatenate(walks), axis=0)))
        clusters = KCenters(states, apparatus.features.periods).fit(walks)
        visited = clusters.transform(Trajectories(walks))
        counts = transition_counts(visited, self.lagtime, n_blocks=1).matrix.toarray()
        chosen = self.rule.choose(counts, self.walkers, self.seed)
        rng = np.random.default_rng(self.seed)
        everywhere = np.concatenate(visited.blocks)
        frames = [sources[rng.choice(np.flatnonzero(everywhere == state))] for state in chosen]
        read = apparatus.trajectories.read
        starts = {
            "positions": np.stack([read(store.folder(name), walker, frame) for name, walker, frame in frames])
        }
        boxes = {segment.entry: segment.boxes for segment in segments}
        if all(boxes[name] is not None for name, _, _ in frames):
            starts["boxes"] = np.stack([boxes[name][walker, frame] for name, walker, frame in frames])

        def write(folder):
            disk.write_arrays(folder / "starts.npz", starts | {"states": chosen, "counts": counts})
            write_json(
                folder / "starts.json", [{"segment": s, "walker": w, "frame": f} for s, w, f in frames]
            )

        store.commit(entry, write)


def _walks(segments):
    """Features of every walker of every segment, and the place of each of these frames."""
    walks, sources = [], []
    for segment in segments:
        for walker in np.flatnonzero(segment.valid):
            n = int(segment.valid[walker])
            walks.append(segment.features[walker, :n])
            sources += [(segment.entry, int(walker), frame) for frame in range(n)]
    return walks, sources
