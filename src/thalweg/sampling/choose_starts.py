"""Reduce tasks: choose, among all frames seen, those that new walkers start from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from thalweg.kinetics.clustering import KCenters
from thalweg.sampling.apparatus import Recipe
from thalweg.sampling.restart import LeastCounts, RestartRule
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store, write_json

FRAMES = 50_000
"""Frames clustered at most; of more, every second, third, ... is used."""


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

    recipe: Recipe
    segments: tuple[str, ...]
    walkers: int
    states: int
    lagtime: int
    seed: int
    rule: RestartRule = field(default_factory=LeastCounts)

    def __call__(self, store: Store, entry: str) -> None:
        walks, sources = self._walks([Segment.read(store, name) for name in self.segments])
        states = min(self.states, len(sources))
        clusters = KCenters(n_clusters=states, seed=self.seed).fit(np.concatenate(walks))
        labels = [clusters.transform(walk) for walk in walks]
        counts = np.zeros((states, states))
        for walk in labels:
            np.add.at(counts, (walk[: -self.lagtime], walk[self.lagtime :]), 1)
        chosen = self.rule.choose(counts, self.walkers, self.seed)
        rng = np.random.default_rng(self.seed)
        everywhere = np.concatenate(labels)
        frames = [sources[rng.choice(np.flatnonzero(everywhere == state))] for state in chosen]
        read = self.recipe.build().trajectories.read
        positions = np.stack([read(store.folder(name), walker, frame) for name, walker, frame in frames])

        def write(folder):
            np.savez(folder / "starts.npz", positions=positions, states=chosen, counts=counts)
            write_json(
                folder / "starts.json", [{"segment": s, "walker": w, "frame": f} for s, w, f in frames]
            )

        store.commit(entry, write)

    def _walks(self, segments):
        """Features of every walker of every segment, thinned evenly, and where each frame lies."""
        stride = max(1, sum(int(s.valid.sum()) for s in segments) // FRAMES)
        walks, sources = [], []
        for segment in segments:
            for walker, n in enumerate(segment.valid):
                kept = range(0, int(n), stride)
                walks.append(segment.features[walker, kept])
                sources += [(segment.entry, walker, frame) for frame in kept]
        return walks, sources
