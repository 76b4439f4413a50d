"""A basis that is learned: a network trained on pairs of frames, best of several starts on held-out data.

What it is trained for is an `Objective`: a score of slowness (`VAMPScore`, `ReversibleScore`, `CanonicalCorrelation`)
or how well a decoder gives frames back, now or later (`Reconstruction`, `VariationalReconstruction`). The functions
found are then a basis like any other: the linear variational approach is solved in it exactly, which gives timescales,
error bars and scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import numpy as np

from thalweg.collective_variables.bases.linear_map import function_values
from thalweg.collective_variables.neural.encoder import Scaling
from thalweg.learning.optimizers import Adam
from thalweg.learning.trainer import History, Trainer
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.trajectories import Trajectories
from thalweg.time_series.windows import Batch, Windows

JUDGED = 64
"""Batches of held-out data at most that judge an epoch."""


@runtime_checkable
class Objective(Protocol):
    """What a network is trained for; hashable, as compiled steps are kept by it."""

    def start(self, scaling: Scaling, hidden: Sequence[int], key: jax.Array) -> eqx.Module:
        """A module with random weights."""
        ...

    def __call__(self, module: Any, batch: Batch) -> jax.Array:
        """The loss of a batch."""
        ...

    def functions(self, module: Any) -> Any:
        """The functions of frames that the module has learned."""
        ...


@dataclass(frozen=True)
class Learned:
    """Functions found by a network, and how well it went; `Functions` themselves.

    Attributes
    ----------
    functions : of frames
    module : everything that was trained, decoders included
    losses : (restarts,) loss on held-out data of every start
    history : of the start that is used
    """

    functions: Any
    module: Any
    losses: Shaped[np.ndarray, " restarts"]
    history: History

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return tuple(self.functions.names)

    def __call__(self, frames: Any) -> Any:
        return self.functions(frames)

    def transform(self, data: Any) -> Any:
        """Values ``(frames, dim)`` of an array or of every trajectory."""
        return function_values(data, self.functions)

    def __str__(self) -> str:
        return (
            f"best of {len(self.losses)} starts: held-out loss {self.losses.min():.4f}, "
            f"others {', '.join(f'{loss:.4f}' for loss in np.sort(self.losses)[1:]) or 'none'}"
        )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How networks are trained.

    Parameters
    ----------
    hidden : widths of the hidden layers
    steps : of Adam, at most
    patience : share of the steps without improvement on held-out data after which to stop
    learning_rate : of Adam
    batch : pairs in a batch, about
    restarts : starts from other random weights; the best on held-out data is taken
    held_out : share of the data not trained on, in whole trajectories or blocks of long ones
    seed : of the split, the weights and the order of batches
    checkpoint : folder in which every start keeps a file to go on from after a kill
    progress : called with a message and the fraction done

    Raises
    ------
    ValueError
        If there is no start, no step, or nothing held out.
    """

    hidden: tuple[int, ...] = (64, 64)
    steps: int = 1000
    patience: float = 0.3
    learning_rate: float = 1e-2
    batch: int = 2048
    restarts: int = 3
    held_out: float = 0.3
    seed: int = 0
    checkpoint: Path | str | None = None
    progress: Callable[[str, float], None] | None = field(default=None, compare=False)

    def __post_init__(self):
        if self.restarts < 1 or self.steps < 1 or not 0 < self.held_out < 1:
            raise ValueError(
                f"restarts={self.restarts} and steps={self.steps} must be positive, "
                f"held_out={self.held_out} between 0 and 1"
            )

    def basis(self, objective: Objective, lagtime: int) -> LearnedBasis:
        """The basis of an objective trained so."""
        return LearnedBasis(objective, lagtime, self)

    def trainer(self, batches: int) -> Trainer:
        """The loop for so many batches in an epoch."""
        epochs = -(-self.steps // batches)
        patience = max(1, round(self.patience * epochs))
        return Trainer(epochs, Adam(self.learning_rate), average=0.9, patience=patience, mean="arithmetic")

    def reported(self, start: int) -> Callable[[str, float], None] | None:
        """Progress of one of the starts as that of all."""
        progress = self.progress
        if progress is None:
            return None
        return lambda text, done: progress(f"start {start + 1}: {text}", (start + done) / self.restarts)


@dataclass(frozen=True)
class LearnedBasis:
    """A network to be trained.

    Parameters
    ----------
    objective : what it is trained for
    lagtime : in frames, of the pairs it is shown; zero for frames alone
    training : how
    """

    objective: Objective
    lagtime: int
    training: Training = Training()

    def fit(self, data: Trajectories) -> Learned:
        """The functions.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs, or the data cannot be divided in two.
        """
        training, seed = self.training, self.training.seed
        training_windows, test_windows = self._divided(data)
        held_out = list(islice(test_windows(np.random.default_rng([seed, 1])), JUDGED))
        trainer = training.trainer(training_windows.batches)
        scaling, runs = Scaling.of(data), []
        for start in range(training.restarts):
            key = jax.random.key(np.random.default_rng([seed, start]).integers(2**31))
            file = None if training.checkpoint is None else Path(training.checkpoint) / f"start_{start}.npz"
            runs.append(
                trainer.fit(
                    self.objective.start(scaling, training.hidden, key),
                    self.objective,
                    training_windows,
                    held_out=held_out,
                    seed=seed + start,
                    checkpoint=file,
                    progress=training.reported(start),
                )
            )
        losses = np.array([np.nanmin(run.history.held_out) for run in runs])
        best = runs[int(np.argmin(losses))]
        return Learned(self.objective.functions(best.model), best.model, losses, best.history)

    def _divided(self, data: Trajectories) -> tuple[Windows, Windows]:
        """Windows to train on and windows held out."""
        used = data.report(self.lagtime).used if self.lagtime else data.lengths
        pieces = segments(used, 20)
        blocks = 1 + max(piece.block for piece in pieces)
        if blocks < 2:
            raise ValueError(
                "training needs data that can be divided in two; give longer or more trajectories"
            )
        count = min(max(round(self.training.held_out * blocks), 1), blocks - 1)
        # whole blocks are held out: neighboring frames know each other
        aside = set(np.random.default_rng(self.training.seed).permutation(blocks)[:count].tolist())
        parts = [[p for p in pieces if (p.block in aside) is taken] for taken in (False, True)]
        training, test = (Windows(data, part, self.lagtime, self.training.batch) for part in parts)
        return training, test
