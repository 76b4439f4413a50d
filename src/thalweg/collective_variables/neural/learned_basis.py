"""A basis that is learned: a network trained on pairs of frames, best of several starts on held-out data.

What it is trained for is an `Objective`: a score of slowness (`VAMPScore`, `ReversibleScore`, `CanonicalCorrelation`)
or how well a decoder gives frames back, now or later (`Reconstruction`, `VariationalReconstruction`). The functions
found are then a basis like any other: the linear variational approach is solved in it exactly, which gives timescales,
error bars and scores. Some of the data have no say in training nor in the choice of epoch and start (`Learned.unseen`):
by them the network is judged.
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
from thalweg.collective_variables.neural.division import divided
from thalweg.collective_variables.neural.encoder import SCALES, Scale, Scales
from thalweg.learning.models import Model, Transforming
from thalweg.learning.optimizers import Adam
from thalweg.learning.trainer import History, Trained, Trainer
from thalweg.machine.precision import full_precision
from thalweg.machine.surviving import surviving
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import PairRange
from thalweg.time_series.trajectories import Trajectories
from thalweg.time_series.windows import Batch, Windows

JUDGED = 64
"""Batches of held-out data at most that judge an epoch."""

LEARNED_BY_HEART = 1.25
"""Factor between losses on data seen and unseen from which it is told."""

SMALL_LOSS = 0.01
"""Loss, of features of unit variance, below which it matters little where it comes from."""


@runtime_checkable
class Objective(Protocol):
    """What a network is trained for; hashable, as compiled steps are kept by it."""

    def start(self, scaling: Scale, hidden: Sequence[int], key: jax.Array) -> eqx.Module:
        """A module with random weights."""
        ...

    def __call__(self, module: Any, batch: Batch) -> jax.Array:
        """The loss of a batch."""
        ...

    def functions(self, module: Any) -> Any:
        """The functions of frames that the module has learned."""
        ...


@dataclass(frozen=True)
class Learned(Model):
    """Functions found by a network, and how well it went; `Functions` themselves.

    Attributes
    ----------
    functions : of frames
    module : everything that was trained, decoders included
    losses : (restarts,) loss of every start on the data it was chosen by; NaN for one that failed
    history : of the start that is used
    unseen : pairs that had no say in weights, epoch or start; empty where data are too few
    notes : what one should know about the training
    """

    functions: Any
    module: Any
    losses: Shaped[np.ndarray, " restarts"]
    history: History
    unseen: tuple[PairRange, ...] = ()
    notes: tuple[str, ...] = ()

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
        known = np.sort(self.losses[np.isfinite(self.losses)])
        others = ", ".join(f"{loss:.4f}" for loss in known[1:]) or "none"
        best = f"best of {len(self.losses)} starts: held-out loss {known[0]:.4f}, others {others}"
        return "\n".join([best, *self.notes])


@dataclass(frozen=True, kw_only=True)
class Training(Transforming):
    """How networks are trained.

    Parameters
    ----------
    hidden : widths of the hidden layers
    steps : of Adam, at most
    patience : share of the steps without improvement on held-out data after which to stop
    learning_rate : of Adam
    batch : pairs in a batch, about
    restarts : starts from other random weights; the best on held-out data is taken
    held_out : share of the data not trained on, in whole trajectories or blocks of long ones; by one half of it epochs
        and starts are chosen, by the other the result is judged
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

    def basis(self, objective: Objective, lagtime: int, scales: Scales = "deviations") -> LearnedBasis:
        """The basis of an objective trained so."""
        return LearnedBasis(objective, lagtime, self, scales)

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

        def told(text: str, done: float) -> None:
            try:
                progress(f"start {start + 1}: {text}", (start + done) / self.restarts)
            except Exception as error:
                raise Interrupted from error

        return told


class Interrupted(BaseException):
    """What the caller's own ``progress`` raised: it ends all starts."""


@dataclass(frozen=True)
class LearnedBasis:
    """A network to be trained.

    Parameters
    ----------
    objective : what it is trained for
    lagtime : in frames, of the pairs it is shown; zero for frames alone
    training : how
    scales : of the features that the network sees: "deviations", each divided by its own, or "whitened", combinations
        that are uncorrelated and of unit variance
    """

    objective: Objective
    lagtime: int
    training: Training = Training()
    scales: Scales = "deviations"

    def fit(self, data: Trajectories) -> Learned:
        """The functions.

        A start that fails is left out, with a warning; so are epochs in which training diverged.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs, the data cannot be divided in two, or every start fails.
        """
        training, seed = self.training, self.training.seed
        # features alone are scaled by all frames, which are so found finite before the work
        scaling = SCALES[self.scales].of(data)
        parts = divided(data, self.lagtime, training.held_out, seed)
        shown, choosing, unseen = (
            Windows(data, part, self.lagtime, training.batch) if part else None for part in parts
        )
        assert shown is not None
        assert choosing is not None
        held_out = _some(choosing, seed)
        trainer = training.trainer(shown.batches)

        def run(start: int) -> Trained:
            key = jax.random.key(np.random.default_rng([seed, start]).integers(2**31))
            file = None if training.checkpoint is None else Path(training.checkpoint) / f"start_{start}.npz"
            return trainer.fit(
                self.objective.start(scaling, training.hidden, key),
                self.objective,
                shown,
                held_out=held_out,
                seed=seed + start,
                checkpoint=file,
                progress=training.reported(start),
            )

        try:
            left = surviving(range(training.restarts), run, "starts of the network")
        except Interrupted as interrupted:
            raise interrupted.__cause__ or interrupted from None
        losses = np.full(training.restarts, np.nan)
        losses[list(left.members)] = [_least(each.history) for each in left.results]
        if not np.isfinite(losses).any():
            raise ValueError(
                "no start of the network reached a finite loss on held-out data; lower learning_rate, or look for "
                "frames unlike all others"
            )
        best = left.results[left.members.index(int(np.nanargmin(losses)))]
        seen = self._loss(best.model, _some(shown, seed))
        notes = (left.told, *best.history.notes)
        if unseen is not None:
            notes += (_by_heart(seen, self._loss(best.model, _some(unseen, seed))),)
        return Learned(
            self.objective.functions(best.model),
            best.model,
            losses,
            best.history,
            parts.unseen,
            tuple(note for note in notes if note),
        )

    def _loss(self, module: Any, batches: Sequence[Batch]) -> float:
        """Mean loss of some batches."""
        return float(np.mean([float(_loss(self.objective, module, batch)) for batch in batches]))


@full_precision()
@eqx.filter_jit
def _loss(objective: Objective, module: Any, batch: Batch) -> jax.Array:
    return objective(module, batch)


def _some(windows: Windows, seed: int) -> list[Batch]:
    """At most `JUDGED` batches."""
    return list(islice(windows(np.random.default_rng([seed, 1])), JUDGED))


def _least(history: History) -> float:
    """Least held-out loss; NaN if none is finite."""
    finite = history.held_out[np.isfinite(history.held_out)]
    return float(finite.min()) if len(finite) else float("nan")


def _by_heart(seen: float, unseen: float) -> str:
    """A sentence if a loss, or minus a score, is much worse where the network has not been."""
    if not np.isfinite(unseen):
        return f"the loss is {unseen} on data that the network never saw: look for frames unlike all others"
    # scores are negative losses: large is good, and what counts is how much of it is left
    if seen < 0:
        worse = -seen > LEARNED_BY_HEART * max(-unseen, 0.0)
    else:
        worse = unseen > max(LEARNED_BY_HEART * seen, SMALL_LOSS)
    if not worse:
        return ""
    what, sign = ("score", -1) if seen < 0 else ("loss", 1)
    return (
        f"the {what} is {sign * seen:.3g} on data of the training and {sign * unseen:.3g} on data that the network "
        "never saw: learned by heart; give more data, or fewer features"
    )
