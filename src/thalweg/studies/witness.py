"""A learner that keeps what its fit leaves beside the term: the least-squares problem, or the course of a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.linear.problem import LinearProblem
from thalweg.learned_potentials.linear.sparse_kernel import SparseKernel
from thalweg.learned_potentials.networks.element_networks import Network
from thalweg.learned_potentials.networks.message_passing import MessagePassing
from thalweg.learned_potentials.terms.term import Learner, Term, Weights
from thalweg.learning.trainer import History, history_of
from thalweg.systems.configuration import Configuration


class Witness:
    """Fits like ``learner``; trainings go on from, and leave, a checkpoint per seed in ``folder``.

    Parameters
    ----------
    learner : what fits
    folder : where checkpoints are

    Attributes
    ----------
    problems : least-squares problems of the fits so far
    """

    def __init__(self, learner: Learner, folder: Path):
        self.learner = learner
        self.folder = folder
        self.problems: list[LinearProblem] = []

    def __repr__(self):
        return repr(self.learner)

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> Term:
        """The learner's own fit."""
        if isinstance(self.learner, Linear | SparseKernel):
            problem = self.learner.problem(configurations, seed, progress)
            self.problems.append(problem)
            solution = self.learner.regularization.solve(problem.equations, problem.prior, weights)
            return problem.term(solution)
        learner = self.learner
        if is_trained(learner):
            training = replace(learner.training, checkpoint=self.folder / f"checkpoint-{seed}.npz")
            learner = replace(learner, training=training)
        return learner.fit(
            configurations, validation=validation, weights=weights, seed=seed, progress=progress
        )

    def histories(self) -> dict[int, History]:
        """Seed -> how its training went."""
        files = {int(file.stem.split("-")[1]): file for file in self.folder.glob("checkpoint-*.npz")}
        return {seed: history_of(files[seed]) for seed in sorted(files)}


def is_trained(learner: Learner) -> bool:
    """Whether the learner goes through epochs."""
    return isinstance(learner, Network | MessagePassing)
