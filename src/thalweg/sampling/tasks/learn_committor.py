"""Train tasks: learn the committor from weighted frames, by its variational principle, as a variable to be driven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.neural.encoder import Scaling
from thalweg.collective_variables.neural.learned_basis import Training
from thalweg.geometry.metric_tensors import metric_tensors
from thalweg.kinetics.committors.committor_coordinates import SOFTENED, CommittorCoordinates
from thalweg.kinetics.committors.logit_network import LogitNetwork
from thalweg.kinetics.committors.losses import DirichletLoss
from thalweg.kinetics.committors.network_committor import SHOWN, CommittorModel, NetworkCommittor
from thalweg.kinetics.reactions.regions import IN_A, IN_B, Region, labels
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.bias.method import Limits
from thalweg.sampling.segment import Segment, unbiased_weights, walks
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.learned_variable import LearnedVariable, ScaledModel, explained_share
from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories

WIDTH = 0.5
"""Half the spread of a logit within a state: a factor of e in the odds is the whole."""

UNDECIDED = 0.02
"""Committors from there to one less this are compared with those before."""

FEWEST = 100
"""Undecided frames below which two committors are not said to be alike."""


@dataclass(frozen=True)
class LearnCommittor:
    """Learn the committor between two sets from the frames of all drives by their weights, and its coordinates.

    Gradients are those in space, each atom's by its inverse mass, through the metric of the features in every frame.
    Frames of the walks that began in the sets have no weight, and tell what lies in the sets. As long as nothing was
    driven, no frame lies between: the functional would be least for a step, wherever, and the committor is guessed by
    the distances from the sets, ``d_A / (d_A + d_B)``.

    Attributes
    ----------
    recipe : of the apparatus
    a, b : the sets
    training : of the networks
    floor : added to squared gradients, see `CommittorCoordinates`
    swarm : entries of segments that were walked without bias
    drives : entries of those that were driven, cycle by cycle; each cycle counts by its effective frames
    skip : frames left out at the beginning of each driven walk, where its bias was still growing fast
    before : entry of the network's committor that was driven, of which this one may be a function; None for none
    """

    kind: ClassVar[str] = "train"

    recipe: ApparatusRecipe
    a: Region
    b: Region
    training: Training
    floor: float
    swarm: tuple[str, ...]
    drives: tuple[tuple[str, ...], ...] = ()
    skip: int = 0
    before: str | None = None

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        free, *drives = (
            [Segment.read(store, name) for name in names] for names in (self.swarm, *self.drives)
        )
        features = self._walks("features", free, drives)
        weights = self._weights(drives, [len(walk) for walk in features])
        metrics = [[_metrics(store, apparatus, one) for one in each] for each in (free, *drives)]
        metrics = self._walks("features", metrics[0], metrics[1:])
        size = features[0].shape[1]
        metrics = [each.reshape(-1, size, size) for each in metrics]
        data = Trajectories(
            [walk.astype(float) for walk in features],
            dt=free[0].card["dt_frames"],
            weights=weights,
            names=apparatus.features.names,
        )
        if drives:
            method = NetworkCommittor(self.a, self.b, DirichletLoss(), self.training, adaptations=0)
            model = method.fit(data, metric=metrics)
        else:
            model = _by_distance(data, self.a, self.b)
        variable = ScaledModel(self._coordinates(model, data, metrics), np.ones(2))
        values = variable.of_frames(np.concatenate(features))
        ends = values.min(axis=0) - 1, values.max(axis=0) + 1
        limits = Limits(*ends, np.array([WIDTH, WIDTH]))
        card = {
            "method": "NetworkCommittor",
            "called": "committor coordinate",
            "lagtime": None,
            "estimate": None,
            "reason": None,
            "notes": list(model.notes),
            "features": apparatus.features.names,
            "timescales": [None, None],
            "swarms": [list(self.swarm), *map(list, self.drives)],
        }
        if drives:
            last = np.concatenate(walks(drives[-1], "features", self.skip))
            card |= {"explained": self._explained(store, model, last), "beyond": 0.0}
        found = LearnedVariable(variable, limits, np.full(2, np.nan), card)
        store.commit(entry, found.write)

    def _coordinates(
        self, model: CommittorModel, data: Trajectories, metrics: Sequence[np.ndarray]
    ) -> CommittorCoordinates:
        """With the mean metric, and as soft as the sets are far from each other."""
        assert data.weights is not None
        metric = np.average(np.concatenate(metrics), axis=0, weights=np.concatenate(data.weights))
        frames, where = (np.concatenate(each) for each in (data.blocks, labels(data, self.a, self.b)))
        from_a, from_b = (
            float(np.mean(one.distance(frames[where == other])))
            for one, other in ((self.a, IN_B), (self.b, IN_A))
        )
        return CommittorCoordinates(model, metric, self.floor, (SOFTENED * from_a, SOFTENED * from_b))

    def _walks(
        self, name: str, free: Sequence[Segment], drives: Sequence[Sequence[Segment]]
    ) -> list[np.ndarray]:
        """One array of all walks, those that were driven last."""
        return walks(free, name) + [walk for driven in drives for walk in walks(driven, name, self.skip)]

    def _weights(self, drives: Sequence[Sequence[Segment]], lengths: Sequence[int]) -> list[np.ndarray]:
        """Without the bias, of mean one over what was driven; one each where nothing was."""
        if not drives:
            return [np.ones(length) for length in lengths]
        found = unbiased_weights(drives, self.skip)
        return [np.zeros(length) for length in lengths[: len(lengths) - len(found)]] + found

    def _explained(
        self, store: Store, model: CommittorModel, frames: Float[np.ndarray, "frames features"]
    ) -> float:
        """Share of the variance of the committor, where it is undecided, that the one before explains."""
        if self.before is None:
            return 0.0
        earlier = LearnedVariable.read(store, self.before).map.model.model
        before, now = (each.transform(frames.astype(float)) for each in (earlier, model))
        undecided = (np.abs(np.concatenate([before, now], axis=1) - 0.5) < 0.5 - UNDECIDED).any(axis=1)
        if undecided.sum() < FEWEST:
            return 0.0
        return explained_share(before[undecided], now[undecided])


def _by_distance(data: Trajectories, a: Region, b: Region) -> CommittorModel:
    """The committor of a network that says nothing.

    Raises
    ------
    ValueError
        If frames lie in one of the sets only, or in both at once.
    """
    labels(data, a, b)
    random = LogitNetwork.init(Scaling.of(data), (1,), a, b, jax.random.key(0))
    silent = replace(random, network=jax.tree.map(jnp.zeros_like, random.network))
    names = tuple(map(data.name, range(data.n_features)))
    note = "a guess by the distances from the sets: no frame was driven yet"
    return CommittorModel((silent,), np.full(1, np.nan), 0.0, data.strided(SHOWN), names, notes=(note,))


def _metrics(store: Store, apparatus: Apparatus, segment: Segment) -> Segment:
    """The segment with the metric of its features in place of them, row by row."""
    read, folder, count = apparatus.trajectories.read, store.folder(segment.entry), segment.features.shape[2]
    found = np.zeros((*segment.features.shape[:2], count**2))
    for walker in np.flatnonzero(segment.valid):
        valid = int(segment.valid[walker])
        frames = np.stack([read(folder, int(walker), k) for k in range(valid)])
        # a box that breathes changes a metric by a per mille
        box = apparatus.box if segment.boxes is None else segment.boxes[walker, 0]
        metrics = metric_tensors(apparatus.features, frames, 1 / np.asarray(apparatus.masses), box)
        found[walker, :valid] = metrics.reshape(valid, -1)
    return replace(segment, features=found)
