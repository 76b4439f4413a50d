"""What methods that learn a density from frames share: blocks drawn for each member, training, and judgment."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.landscape import (
    JUDGED,
    DrawnBlocks,
    FittedMember,
    NetworkLandscape,
    Periods,
    WeightedSample,
    fitted_landscape,
)
from thalweg.learning.models import Method
from thalweg.learning.optimizers import Adam
from thalweg.learning.trainer import Trainer

BATCH = 2048
"""Frames of a batch."""

STEPS_OF_EPOCH = 50
"""Batches between two looks at frames left out."""


@runtime_checkable
class DensityProblem(Protocol):
    """A density to be trained on one sample."""

    @property
    def loss(self) -> Callable[[Any, Any], jax.Array]:
        """Of a model and a batch."""
        ...

    def start(self, key: jax.Array) -> Any:
        """A model with random weights: an energy of points with its ``kT``."""
        ...

    def batch(self, drawn: DrawnBlocks, rows: np.ndarray, generator: np.random.Generator) -> tuple:
        """What the loss wants of some frames."""
        ...

    def judges(self, drawn: DrawnBlocks, generator: np.random.Generator) -> tuple:
        """The same of frames left out."""
        ...


@dataclass(frozen=True, kw_only=True)
class DensityMethod(Method, abc.ABC):
    """A method that learns a density; settings as of `DensityClassifier`."""

    learning_rate: ClassVar[float]

    kT: float
    periods: Periods
    epochs: int = 60
    patience: int = 15
    members: int = 4
    block: int | None = None
    seed: int = 0
    progress: Callable[[str, float], None] | None = field(default=None, compare=False, repr=False)

    @abc.abstractmethod
    def problem(self, sample: WeightedSample) -> DensityProblem:
        """What is trained on a sample."""

    def fit(
        self, values: Sequence[np.ndarray], log_weights: Sequence[np.ndarray] | None = None
    ) -> NetworkLandscape:
        """The surface of ``values``, one array ``(frames, variables)`` for each trajectory.

        Parameters
        ----------
        values : variables along trajectories
        log_weights : of every frame, up to a common constant

        Raises
        ------
        ValueError
            If shapes do not fit, a variable does not vary, or frames are too few or too correlated.
        """
        sample = WeightedSample.of(values, log_weights, self.periods, self.block)
        problem = self.problem(sample)

        def member(drawn: DrawnBlocks, number: int) -> FittedMember:
            def epoch(generator: np.random.Generator) -> Any:
                for _ in range(STEPS_OF_EPOCH):
                    rows = drawn.fitted[generator.integers(len(drawn.fitted), size=BATCH)]
                    yield problem.batch(drawn, rows, generator)

            rule = Trainer(self.epochs, Adam(self.learning_rate), patience=self.patience, mean="arithmetic")
            trained = rule.fit(
                problem.start(jax.random.key(self.seed * 1000 + number)),
                problem.loss,
                epoch,
                held_out=[problem.judges(drawn, np.random.default_rng([self.seed, number, 1]))],
                seed=self.seed + number,
                progress=self.progress,
            )
            judged = _log_likelihood(trained.model, sample, drawn)
            return FittedMember(trained.model, judged, trained.history.notes)

        return fitted_landscape(sample, self.kT, self.members, self.seed, member, of_forces=False)


def _log_likelihood(model: Any, sample: WeightedSample, drawn: DrawnBlocks) -> float:
    """Mean of ``ln p`` at the frames that a member was not fitted to."""
    rows = drawn.left_out[:: max(1, len(drawn.left_out) // JUDGED)]
    logs = -np.asarray(model(jnp.asarray(sample.points[rows], jnp.float32)), float) / model.kT
    return float(np.average(logs, weights=drawn.weights[rows]))
