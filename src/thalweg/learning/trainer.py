"""The one loop that trains networks: whatever has parameters, a loss, and batches.

One *epoch* walks once over the batches. After it the averaged weights,

    a <- d a + (1 - d) w,   d = min(average, (1 + t) / (10 + t)),   t the number of steps so far,

are tried on held-out batches; the best ones of all epochs are what `Trainer.fit` returns. Best is the least geometric
mean of the losses of these batches: losses are squares, and in an arithmetic mean one frame unlike all others would
often decide against the rest. Losses that may be negative, such as minus a score, need the arithmetic one.

With a checkpoint file, a run that was killed goes on from the last finished epoch and ends in the very same numbers:
all randomness of an epoch comes from the seed and the number of the epoch, and all else is in the file.

An epoch that loses what was learned (its loss is `LOST` times the least so far, and above that of the first epoch, or
no loss of it is finite) is undone: the best averaged weights so far are gone on from, at half the learning rate. After
`DIVERGED` epochs in a row without a finite loss training ends with these weights and a warning.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learning.checkpoint import entry, restored, save
from thalweg.learning.optimizers import LBFGS, Adam
from thalweg.learning.schedules import Constant, Cosine, Plateau
from thalweg.machine.precision import full_precision
from thalweg.machine.programs import make_room_for_programs
from thalweg.shapes import Float

Model = TypeVar("Model", bound=eqx.Module)
Batch = Any
Loss = Callable[[Any, Any], jax.Array]


TINY = 1e-30
"""Losses below this count as this much."""

LOST = 10.0
"""An epoch is undone if its loss is this many times the least so far, and above that of the first; both positive."""

DIVERGED = 5
"""Epochs in a row without a finite loss after which training ends."""


MEANS: dict[str, Callable[[np.ndarray], float]] = {
    "geometric": lambda losses: float(np.exp(np.log(np.maximum(losses, TINY)).mean())),
    "arithmetic": lambda losses: float(losses.mean()),
}
"""Means of held-out losses, by name."""


def is_parameter(leaf: Any) -> bool:
    """Whether a leaf is trained: a JAX array of real numbers. NumPy arrays are constants of the model."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.inexact)


@dataclass(frozen=True)
class Shuffled:
    """The same batches in another order every epoch."""

    batches: Sequence[Batch]

    def __call__(self, generator: np.random.Generator) -> Iterable[Batch]:
        return (self.batches[k] for k in generator.permutation(len(self.batches)))


@dataclass(frozen=True)
class History:
    """What happened, epoch by epoch.

    Attributes
    ----------
    training : mean loss of the batches as they came, before each step, of those where it was finite
    held_out : mean of the losses of held-out batches with the averaged weights; NaN without any
    learning_rate : at the end of each epoch
    skipped : steps not taken since their gradient was not finite
    seconds : wall time of each epoch
    undone : one for epochs whose steps were taken back, else zero
    best : epoch that the returned weights are from
    stopped : whether patience ended the run before its time
    """

    training: Float[np.ndarray, " epochs"]
    held_out: Float[np.ndarray, " epochs"]
    learning_rate: Float[np.ndarray, " epochs"]
    skipped: Float[np.ndarray, " epochs"]
    seconds: Float[np.ndarray, " epochs"]
    undone: Float[np.ndarray, " epochs"]
    best: int
    stopped: bool

    @property
    def diverged(self) -> int | None:
        """Epoch from which on no loss was finite, counted from zero, if training ended so."""
        return _diverged(self.training, self.held_out)

    @property
    def notes(self) -> tuple[str, ...]:
        """What went wrong on the way: epoch, and what to do."""
        notes = []
        if self.diverged is not None:
            notes.append(
                f"training diverged: no loss was finite from epoch {self.diverged + 1} on, although the learning rate "
                f"was halved down to {self.learning_rate[-1]:.2g}; weights are those after epoch {self.best + 1}. Use "
                "a smaller learning_rate, or look for frames unlike all others"
            )
        elif self.skipped.any():
            epochs = np.flatnonzero(self.skipped) + 1
            notes.append(
                f"{int(self.skipped.sum())} steps were not taken since their gradient was not finite, the first in "
                f"epoch {epochs[0]}, the last in epoch {epochs[-1]} of {len(self.training)}; if they are many, use a "
                "smaller learning_rate, or look for bad labels or frames"
            )
        return tuple(notes)


@dataclass(frozen=True)
class Trained:
    """A fitted module and how it came about."""

    model: Any
    history: History


@dataclass(frozen=True)
class Trainer:
    """Settings of the loop.

    Parameters
    ----------
    epochs : walks over the batches; for `LBFGS`, iterations over all of them at once
    optimizer : `Adam` (also with decoupled weight decay, also AMSGrad) or `LBFGS`
    schedule : how the learning rate changes: `Constant`, `Cosine` with warmup, or `Plateau`
    clip : longest gradient, in multiples of their usual length; longer ones are scaled down
    average : how slowly the averaged weights follow, between 0 (not at all averaged) and 1
    patience : epochs without a better held-out loss after which to stop; None to use all epochs
    mean : of held-out losses, "geometric" or, where they can be negative, "arithmetic"
    """

    epochs: int = 100
    optimizer: Adam | LBFGS = Adam()  # noqa: RUF009
    schedule: Constant | Cosine | Plateau = Cosine()  # noqa: RUF009
    clip: float = 3.0
    average: float = 0.99
    patience: int | None = None
    mean: Literal["geometric", "arithmetic"] = "geometric"

    @full_precision()
    def fit(
        self,
        model: Model,
        loss: Loss,
        batches: Callable[[np.random.Generator], Iterable[Batch]] | Sequence[Batch],
        *,
        held_out: Sequence[Batch] = (),
        trainable: Any = is_parameter,
        seed: int = 0,
        checkpoint: Path | str | None = None,
        progress: Callable[[str, float], None] | None = None,
    ) -> Trained:
        """The model that does best on ``held_out`` (the last one where there is nothing held out), and the history.

        Parameters
        ----------
        model : where to start
        loss : ``loss(model, batch)``, a scalar; a mean, not a sum, where batches differ in size
        batches : called with a generator for the batches of one epoch, or a sequence of batches to shuffle. Arrays
            of few different shapes keep compilation rare.
        held_out : batches never trained on
        trainable : which leaves of the model are parameters, as in `equinox.partition`; by default JAX arrays of real
            numbers, while NumPy arrays are constants
        seed : of the order of the batches
        checkpoint : file kept up to date after every epoch, and gone on from if it is there
        progress : called with a message (remaining time included) and the fraction done

        Raises
        ------
        ValueError
            If there are no batches, the first loss or all those after it are not finite, or the checkpoint is of
            another run.

        Examples
        --------
        >>> line = eqx.nn.Linear(1, 1, key=jax.random.key(0))
        >>> x = jnp.linspace(-1, 1, 8)[:, None]
        >>> def error(model, x): return ((jax.vmap(model)(x) - 3 * x) ** 2).mean()
        >>> trained = Trainer(epochs=150, optimizer=Adam(0.1), average=0.5).fit(line, error, [x])
        >>> round(float(trained.model.weight[0, 0]), 1)
        3.0
        """
        make_room_for_programs()
        source = Shuffled(batches) if isinstance(batches, Sequence) else batches
        weights, constants = eqx.partition(model, trainable)
        count = _counted(
            source(np.random.default_rng([seed, 0])), lambda batch: _loss(loss, weights, constants, batch)
        )
        # all that an epoch needs and changes, as arrays: it is what a checkpoint holds
        state = {
            "weights": weights,
            "optimizer": self.optimizer.start(weights, self.clip),
            "average": weights,
            "best": weights,
            "schedule": self.schedule.start(),
            "log": np.zeros((0, 6)),
            "steps": np.zeros((), np.int64),
        }
        name = f"{self!r} seed={seed}"
        if checkpoint is not None and Path(checkpoint).exists():
            state = restored(checkpoint, state, name)
        began, resumed_at = time.perf_counter(), len(state["log"])
        while len(state["log"]) < self.epochs and not self._is_over(state["log"]):
            epoch = len(state["log"])
            shuffled = source(np.random.default_rng([seed, epoch]))
            state = self._epoch(state, shuffled, count, loss, constants, held_out)
            if checkpoint is not None:
                save(checkpoint, state, name)
            if progress is not None:
                pace = (time.perf_counter() - began) / (epoch + 1 - resumed_at)
                progress(_message(state["log"], pace * (self.epochs - epoch - 1)), (epoch + 1) / self.epochs)
        history = _history(state["log"], len(state["log"]) < self.epochs)
        if history.diverged is not None:
            if history.diverged == 0:
                raise ValueError(
                    f"training diverged: no loss of the first {len(state['log'])} epochs is finite, down to a learning "
                    f"rate of {history.learning_rate[-1]:.2g}; use a smaller one, or look for bad labels or frames"
                )
            warnings.warn(history.notes[0], stacklevel=2)
        elif held_out and not np.isfinite(history.held_out).any():
            warnings.warn(
                "the loss is not finite on held-out batches in any epoch, so that the last weights are taken; look for "
                "bad labels or frames among them",
                stacklevel=2,
            )
        return Trained(eqx.combine(state["best"], constants), history)

    def _epoch(self, state, batches, count, loss, constants, held_out):
        """The state after one epoch of about ``count`` steps."""
        began, losses, sound = time.perf_counter(), [], []
        weights, optimizer, average = state["weights"], state["optimizer"], state["average"]
        steps, epoch = int(state["steps"]), len(state["log"])
        # half the rate for each epoch that was undone
        full = self.optimizer.learning_rate * 0.5 ** state["log"][:, 5].sum()
        for batch in self.optimizer.gathered(batches):
            progress = (epoch + min(len(losses) / count, 1.0)) / self.epochs
            rate = full * self.schedule.factor(progress, state["schedule"])
            weights, optimizer, value, finite = self.optimizer.step(
                loss, self.clip, constants, weights, optimizer, batch, jnp.float32(rate)
            )
            # a <- d a + (1 - d) w, d = min(average, (1 + t) / (10 + t))
            decay = min(self.average, (1 + steps) / (10 + steps))
            average = _follow(average, weights, jnp.float32(decay))
            losses.append(value)
            sound.append(finite)
            steps += 1
        outcome = self._judged(average, loss, constants, held_out)
        log = state["log"]
        before = log[np.isfinite(log[:, 1]), 1]
        better = not held_out or not len(before) or outcome < before.min()
        finite_losses = [each for each in map(float, losses) if np.isfinite(each)]
        training = float(np.mean(finite_losses)) if finite_losses else float("nan")
        skipped = sum(not bool(finite) for finite in sound)
        lost = _is_lost(training, log[:, 0]) or not np.isfinite(training)
        if held_out and not np.isfinite(outcome):
            # where the best weights give no number either, held-out labels are to blame and not the epoch
            lost = lost or bool(np.isfinite(self._judged(state["best"], loss, constants, held_out)))
        best = average if better else state["best"]
        if lost:  # undone: on from the best weights, without the optimizer's memory
            best = weights = average = state["best"]
            optimizer = self.optimizer.start(weights, self.clip)
        row = [training, outcome, rate, skipped, time.perf_counter() - began, lost]
        return {
            "weights": weights,
            "optimizer": optimizer,
            "average": average,
            "best": best,
            "schedule": self.schedule.after(state["schedule"], row[1] if held_out else row[0]),
            "log": np.vstack([log, row]),
            "steps": np.asarray(steps, np.int64),
        }

    def _judged(self, weights, loss, constants, held_out):
        """Mean loss of held-out batches; NaN without any."""
        losses = [float(_loss(loss, weights, constants, batch)) for batch in held_out]
        return MEANS[self.mean](np.array(losses)) if losses else float("nan")

    def _is_over(self, log):
        if _diverged(log[:, 0], log[:, 1]) is not None:
            return True
        held_out = np.where(np.isfinite(log[:, 1]), log[:, 1], np.nan)
        if self.patience is None or not np.isfinite(held_out).any():
            return False
        return len(held_out) - 1 - int(np.nanargmin(held_out)) >= self.patience


def _counted(batches, loss):
    """Number of ``batches``, of which the first has a finite ``loss``."""
    count = 0
    for count, batch in enumerate(batches, 1):
        if count == 1 and not np.isfinite(first := float(loss(batch))):
            raise ValueError(f"the loss is {first} before training; look for bad labels or coinciding points")
    if count == 0:
        raise ValueError("there are no batches to train on; give at least one")
    return count


def _is_lost(loss, before):
    before = before[np.isfinite(before)]
    return len(before) > 0 and before.min() > 0 and bool(loss > max(LOST * before.min(), before[0]))


def _diverged(training, held_out):
    """First of the epochs at the end that have no finite loss, if these are at least `DIVERGED`; else None.

    Held-out losses count where one was ever finite.
    """
    finite = np.isfinite(held_out if np.isfinite(held_out).any() else training)
    last = int(np.flatnonzero(finite)[-1]) if finite.any() else -1
    return last + 1 if len(finite) - last - 1 >= DIVERGED else None


def history_of(checkpoint: Path | str) -> History:
    """What happened so far in the run of a checkpoint, which may still go on."""
    return _history(entry(checkpoint, "log"), False)


def _history(log, stopped):
    judged = np.where(np.isfinite(log[:, 1]), log[:, 1], np.nan)
    kept = np.flatnonzero(log[:, 5] == 0)
    last = int(kept[-1]) if len(kept) else len(log) - 1
    best = int(np.nanargmin(judged)) if np.isfinite(judged).any() else last
    return History(*log.T, best, stopped)


@eqx.filter_jit
def _loss(loss, weights, constants, batch):
    return loss(eqx.combine(weights, constants), batch)


@jax.jit
def _follow(average, weights, decay):
    return jax.tree.map(lambda a, w: (decay * a + (1 - decay) * w).astype(w.dtype), average, weights)


def _message(log, remaining):
    training, held_out = log[-1, :2]
    clock = f"{remaining / 3600:.1f} h" if remaining > 5400 else f"{remaining / 60:.0f} min"
    before = log[np.isfinite(log[:, 1]), 1]
    judged = f", held-out {held_out:.4g} (best {before.min():.4g})" if len(before) else ""
    return f"epoch {len(log)}: loss {training:.4g}{judged}, {clock} left"
