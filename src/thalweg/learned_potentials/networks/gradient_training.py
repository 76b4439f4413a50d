"""How a term whose parameters are trained by gradients meets labeled frames: the same few lines for every network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from thalweg.learned_potentials.frames.frame_batches import FrameBatch, FrameBatches, squared_error
from thalweg.learned_potentials.networks.trained_front import TrainedFront
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.learning.trainer import Trainer, is_parameter
from thalweg.representations.environments import Neighborhoods
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.units import InCode


class RelativeError(eqx.Module):
    """``chi^2`` of a batch over that of a term that says zero, on average."""

    null: Float[Array, ""]

    def __call__(self, term: eqx.Module, batch: FrameBatch) -> jax.Array:
        return squared_error(term, batch) / self.null


@dataclass(frozen=True)
class GradientTraining:
    """Settings shared by all terms that are trained.

    Parameters
    ----------
    trainer : the loop
    frames : per step, if of average size
    held_out : fraction of the frames that is held out to choose the best epoch where no validation frames are given
    checkpoint : file to go on from after an interruption, or a folder with one for each seed; None for none
    """

    trainer: Trainer = Trainer()  # noqa: RUF009
    frames: int = 8
    held_out: float = 0.05
    checkpoint: InCode[Path | str | None] = field(default=None, repr=False)

    def split(
        self, configurations: Sequence[Configuration], validation: Sequence[Configuration], seed: int
    ) -> tuple[list[Configuration], list[Configuration]]:
        """Frames to train on and frames to choose by."""
        if len(validation) or self.held_out == 0 or len(configurations) < 4:
            return list(configurations), list(validation)
        order = np.random.default_rng([seed, 1]).permutation(len(configurations))
        aside = max(1, round(self.held_out * len(configurations)))
        return [configurations[k] for k in order[aside:]], [configurations[k] for k in order[:aside]]

    def fit(
        self,
        term: eqx.Module,
        configurations: Sequence[Configuration],
        validation: Sequence[Configuration],
        weights: Weights,
        *,
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
        trainable: Any = is_parameter,
        error: type[RelativeError] = RelativeError,
    ) -> FittedTerm:
        """``term`` trained on ``configurations``, the best epoch chosen by ``validation``.

        ``trainable`` says which leaves are parameters; ``error`` what is made small, given the scale of the labels.
        """
        batches = FrameBatches.of(configurations, term.elements, term.cutoff, weights, self.frames)
        held_out = []
        if len(validation):
            aside = FrameBatches.of(
                validation, term.elements, term.cutoff, weights, self.frames, like=batches
            )
            held_out = list(aside.dealt(range(len(validation))))
        trained = self.trainer.fit(
            term,
            error(np.asarray(batches.null, np.float32)),
            batches,
            held_out=held_out,
            trainable=trainable,
            seed=seed,
            checkpoint=self.file(seed),
            progress=progress,
        )

        def retrained(other: Weights) -> eqx.Module:
            """The trained term trained on with ``other`` weights, for a tenth of the epochs."""
            brief = replace(self.trainer, epochs=max(1, self.trainer.epochs // 10))
            settings = replace(self, trainer=brief, checkpoint=None)
            again = settings.fit(
                trained.model, configurations, validation, other, seed=seed, trainable=trainable, error=error
            )
            return again.term

        problem = None
        if len(validation) and error is RelativeError:
            problem = TrainedFront(trained.model, retrained, validation)
        return FittedTerm(trained.model, FitInfo(problem=problem, histories={seed: trained.history}))

    def file(self, seed: int) -> Path | None:
        """The checkpoint of a seed; None without one."""
        path = None if self.checkpoint is None else Path(self.checkpoint)
        return path / f"checkpoint-{seed}.npz" if path is not None and path.is_dir() else path


def typical_energy(configurations: Sequence[Configuration]) -> Float[np.ndarray, ""]:
    """How much the energy of an atom varies [kJ/mol], by its forces over 0.03 nm, or by the energies of frames."""
    forces = [frame.forces for frame in configurations if frame.forces is not None]
    if forces:
        return np.asarray(0.03 * np.sqrt(np.mean(np.concatenate(forces) ** 2)), np.float32)
    energies = [frame.energy / np.sqrt(len(frame)) for frame in configurations if frame.energy is not None]
    return np.asarray(np.std(energies) if len(energies) > 1 else 1.0, np.float32)


def typical_neighbors(configurations: Sequence[Configuration], reach: float) -> float:
    """Average number of neighbors within ``reach`` [nm] in up to 20 of the frames."""
    sample = configurations[:: max(1, len(configurations) // 20)]
    near = Neighborhoods.of(sample, elements_of(sample), reach)
    # places that only fill a block have an offset of three times the reach
    return float((np.abs(near.offsets).sum(0) < 2.9 * reach).mean() * len(near.partners))
