r"""State predictive information bottleneck (SPIB): slow variables and the number of states, both at once [wang2021].

A network tells, through a bottleneck of few values, the state in which a frame will be a lag time later
(`StatePrediction`). States begin as many small cells. When the network is trained, each frame is given the state that
is expected of it, and the network trained anew for these, until frames keep their states: cells between which walks go
within a lag time cannot be told apart and become one. What is left are states that live longer than the lag time, and
a coordinate in which they lie apart.

The lag is what decides: at a longer one there are fewer states. The coordinate keeps states apart and need not be an
eigenfunction, nor be monotone in one. From walks under a bias, weights stand for how often a frame occurs without it;
how it moves on is what the bias has made of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.neural.encoder import Scaling
from thalweg.collective_variables.neural.learned_basis import Learned, Training
from thalweg.collective_variables.neural.state_prediction import (
    NearestCenters,
    PredictedStates,
    StatePrediction,
    StatePredictor,
)
from thalweg.shapes import Float, Int
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories

LOOKED_AT = 20_000
"""Frames at most by which it is judged whether states are still changing."""

KEPT = 0.99
"""Share of these that keep their state, from which on nothing more is trained."""


@dataclass(frozen=True)
class SPIBModel(Learned):
    """A bottleneck, as functions of frames, and the states that are told by it.

    Attributes
    ----------
    labels : the states of frames
    changed : (rounds,) share of the frames that were given another state in each
    """

    labels: PredictedStates | None = None
    changed: Float[np.ndarray, " rounds"] | None = None

    @property
    def n_states(self) -> int:
        """States that are left."""
        return int(self._labels.occupied.sum())

    def states(self, frames: Float[np.ndarray, "frames features"]) -> Int[np.ndarray, " frames"]:
        """The state of each frame, numbered from zero without gaps."""
        numbers = np.cumsum(self._labels.occupied) - 1
        return numbers[np.asarray(_compiled(self._labels, jnp.asarray(frames, jnp.float32)))]

    def chances(self, frames: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames states"]:
        """Of the states a lag time later."""
        logits = self._labels.logits(jnp.asarray(frames, jnp.float32))[:, self._labels.occupied]
        return np.asarray(jax.nn.softmax(logits, axis=1), float)

    def headline(self) -> dict[str, object]:
        """What was found."""
        return {
            "values": len(self.names),
            "states": self.n_states,
            "held-out loss": float(np.nanmin(self.losses)),
        }

    @property
    def _labels(self) -> PredictedStates:
        assert self.labels is not None
        return self.labels


@dataclass(frozen=True)
class SPIB(Training):
    """The bottleneck that tells states a lag time later, and the states that it tells.

    Parameters
    ----------
    lagtime : in frames
    dim : values in the bottleneck
    states : cells at the beginning
    cost : ``beta``, of what is told of a frame beyond its state
    rounds : how often frames are given new states, at most

    Raises
    ------
    ValueError
        If there are fewer than two cells, or no round.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> place = np.sign(np.sin(np.arange(4000) / 60))                 # two states, changed every 190 frames
    >>> x = np.stack([place, 0 * place], axis=1) + 0.3 * random.standard_normal((4000, 2))
    >>> model = SPIB(10, dim=1, states=6, hidden=(16,), steps=200, restarts=1).fit(x)
    >>> model.n_states
    2
    >>> abs(np.corrcoef(model.states(x), place)[0, 1]) > 0.95
    np.True_
    """

    lagtime: int
    dim: int = 2
    states: int = 10
    cost: float = 0.01
    rounds: int = 10

    def __post_init__(self):
        super().__post_init__()
        if self.states < 2 or self.rounds < 1:
            raise ValueError(
                f"states={self.states}, rounds={self.rounds}; give two cells and one round at least"
            )

    def fit(self, data: TrajectoryData) -> SPIBModel:
        """Train, give frames new states, and again.

        Raises
        ------
        ValueError
            As of `LearnedBasis`, and if there are fewer different frames than cells.
        """
        runs = as_trajectories(data)
        frames, scaling = runs.strided(LOOKED_AT), Scaling.of(runs)
        centers = self._centers(np.asarray(scaling(frames)), frames)
        labels: Any = NearestCenters(scaling, centers.astype(np.float32))
        goal = StatePrediction(self.dim, self.cost, labels, centers, np.ones(self.states, bool))
        given, changed = np.asarray(_compiled(labels, frames)), []
        learned = self.basis(goal, self.lagtime).fit(runs)
        for _ in range(self.rounds):
            labels = _predicted(learned.module, frames)
            found = np.asarray(_compiled(labels, frames))
            changed.append(float((found != given).mean()))
            if changed[-1] <= 1 - KEPT:
                break
            given = found
            goal = replace(goal, labels=labels, occupied=labels.occupied, before=learned.module)
            goal = replace(goal, typical=_typical(labels, frames, found, goal.typical))
            learned = replace(self, restarts=1, checkpoint=None).basis(goal, self.lagtime).fit(runs)
        notes = learned.notes
        if changed[-1] > 1 - KEPT:
            notes += (
                f"{100 * changed[-1]:.1f} % of the frames were still given other states in round {len(changed)}; give "
                "more rounds, or another lagtime",
            )
        if labels.occupied.sum() == 1:
            notes += (
                f"one state is left at lagtime={self.lagtime}, so that the coordinate tells nothing; give a shorter "
                "lagtime, or longer walks",
            )
        parts: dict[str, Any] = {each.name: getattr(learned, each.name) for each in fields(learned)}
        parts["notes"] = notes
        return SPIBModel(**parts, labels=labels, changed=np.array(changed))

    def _centers(
        self, scaled: Float[np.ndarray, "frames features"], frames: Float[np.ndarray, "frames features"]
    ) -> Float[np.ndarray, "cells features"]:
        """Frames that cells lie around, well apart."""
        from sklearn.cluster import kmeans_plusplus

        different, first = np.unique(scaled, axis=0, return_index=True)
        if len(different) < self.states:
            raise ValueError(
                f"{len(different)} different frames make no {self.states} cells; give fewer states"
            )
        _, chosen = kmeans_plusplus(different, self.states, random_state=self.seed)
        return frames[first[chosen]]


@eqx.filter_jit
def _compiled(labels: Any, frames: Any) -> jax.Array:
    return labels(frames)


def _predicted(module: StatePredictor, frames: Float[np.ndarray, "frames features"]) -> PredictedStates:
    """The states that a network tells, as constants; only those in which there are frames."""
    encoder, decoder = jax.tree.map(np.asarray, (module.encoder, module.decoder))
    found = _compiled(PredictedStates(encoder, decoder, module.occupied), frames)
    return PredictedStates(encoder, decoder, np.bincount(found, minlength=len(module.occupied)) > 0)


def _typical(
    labels: PredictedStates,
    frames: Float[np.ndarray, "frames features"],
    states: Int[np.ndarray, " frames"],
    before: Float[np.ndarray, "states features"],
) -> Float[np.ndarray, "states features"]:
    """Of each state the frame nearest to its mean in the bottleneck; where there is none, what stood for it before."""
    z, found = np.asarray(labels.encoder(np.asarray(frames))), before.copy()
    for state in np.unique(states):
        own = np.flatnonzero(states == state)
        found[state] = frames[own[((z[own] - z[own].mean(axis=0)) ** 2).sum(axis=1).argmin()]]
    return found
