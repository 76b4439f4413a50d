"""Committees: where members taught alike disagree, the data did not decide [seung1992].

The energy is the mean over members; its spread is their standard deviation, and that of the forces the one of each
atom, `force_disagreement`. Members of a full `Committee` are fitted with different seeds, each to a bootstrap sample of
the frames [efron1979]. Members of a `ShallowCommittee` share learned messages and differ in their readouts only: one
training, and less honest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import equinox as eqx
import jax
import numpy as np

from thalweg.learned_potentials.frames.frame_batches import FrameBatch, squared_error
from thalweg.learned_potentials.networks.gradient_training import RelativeError
from thalweg.learned_potentials.networks.message_passing import MessagePassing, MessageTerm
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm, Learner, Resumable
from thalweg.learned_potentials.terms.term import Labels, Spread, Term, Weights, reach
from thalweg.learning.deviation_map import CLOSED
from thalweg.potentials.energy import Energy
from thalweg.shapes import Box, Energies, Float, Positions
from thalweg.systems.configuration import Configuration
from thalweg.units import AtLeast


@dataclass(frozen=True)
class Committee:
    """Several fits of one learner.

    Parameters
    ----------
    learner : of any family
    members : number of fits
    bootstrap : frames drawn for each member, with replacement, as a fraction of all; 0 gives all frames to all,
        so that members differ by their seeds alone
    """

    learner: Learner
    members: Annotated[int, AtLeast(2)] = 4
    bootstrap: float = 1.0

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A `CommitteeTerm` of members fitted in turn, and how each fit went.

        Raises
        ------
        ValueError
            If there are fewer than two members.
        """
        if self.members < 2:
            raise ValueError(f"members={self.members}; one member alone cannot disagree, use at least 2")
        fitted, drawn = [], []
        for member in range(self.members):
            report = progress and _member_progress(progress, member, self.members)
            drawn.append(self._sample(configurations, [seed, member]))
            fitted.append(
                self.learner.fit(
                    [configurations[k] for k in drawn[-1]],
                    validation=validation,
                    weights=weights,
                    seed=seed * self.members + member,
                    progress=report,
                )
            )
        return FittedTerm(
            CommitteeTerm(tuple(each.term for each in fitted)),
            FitInfo.of_members(
                [_with_frames_not_drawn(*each, len(configurations)) for each in zip(fitted, drawn)]
            ),
        )

    def with_checkpoints(self, folder: Path) -> Committee:
        """See `thalweg.learned_potentials.terms.learner.Resumable`; the same where members do not go on."""
        if not isinstance(self.learner, Resumable):
            return self
        return replace(self, learner=self.learner.with_checkpoints(folder))

    def _sample(self, configurations, seed):
        """Numbers of the frames that a member is taught."""
        if self.bootstrap == 0:
            return np.arange(len(configurations))
        generator, count = np.random.default_rng(seed), len(configurations)
        drawn = generator.integers(count, size=max(1, round(self.bootstrap * count)))
        known = {int(z) for k in drawn for z in configurations[k].numbers}
        # an element that no drawn frame has would be unknown to this member
        rare = [k for k in range(count) if not {int(z) for z in configurations[k].numbers} <= known]
        return np.array([*drawn, *rare[:1]])


def _with_frames_not_drawn(fitted, drawn, count):
    """What is known of the fit of a member, with frames left out by number among all, those not drawn among them."""
    if fitted.info.crossed is None:
        return fitted.info

    def crossed():
        apart = [(term, np.unique(drawn[own])) for term, own in fitted.info.crossed()]
        return ((fitted.term, np.setdiff1d(np.arange(count), drawn)), *apart)

    return replace(fitted.info, crossed=crossed)


@dataclass(frozen=True)
class ShallowCommittee:
    """One set of learned messages with several readouts, trained together.

    Parameters
    ----------
    learner : a `MessagePassing`
    members : number of readouts

    Raises
    ------
    ValueError
        If the ``learner`` passes no messages.
    """

    learner: Learner
    members: Annotated[int, AtLeast(2)] = 4

    def __post_init__(self):
        if not isinstance(self.learner, MessagePassing):
            raise ValueError(
                f"members of a shallow committee share learned messages, and {type(self.learner).__name__} has none; "
                'use kind = "full", or a learner that passes messages'
            )

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A `CommitteeTerm` of terms with the same messages, and the course of their training."""
        training = self.learner.training
        taught, held_out = training.split(configurations, validation, seed)
        starts = [
            self.learner.start([*taught, *held_out], seed * self.members + k) for k in range(self.members)
        ]
        heads = Heads(starts[0].representation, tuple(start.readout for start in starts))
        trained, info = training.fit(
            heads, taught, held_out, weights, seed=seed, progress=progress, error=HeadsError
        )
        return FittedTerm(CommitteeTerm(trained.terms), info)

    def with_checkpoints(self, folder: Path) -> ShallowCommittee:
        """See `thalweg.learned_potentials.terms.learner.Resumable`."""
        return replace(self, learner=self.learner.with_checkpoints(folder))


class Heads(eqx.Module):
    """A representation and several readouts."""

    representation: eqx.Module
    readouts: tuple[eqx.Module, ...]

    @property
    def elements(self) -> tuple[int, ...]:
        return self.representation.elements

    @property
    def cutoff(self) -> float:
        return self.representation.cutoff

    @property
    def terms(self) -> tuple[MessageTerm, ...]:
        """One term per readout."""
        return tuple(MessageTerm(representation=self.representation, readout=one) for one in self.readouts)


class HeadsError(RelativeError):
    """Mean of the relative errors of all readouts."""

    def __call__(self, term: Heads, batch: FrameBatch) -> jax.Array:  # ty: ignore[incompatible-method-override]
        return sum(squared_error(one, batch) for one in term.terms) / (self.null * len(term.readouts))


class CommitteeTerm(eqx.Module):
    """The mean of terms, which knows how much they differ."""

    members: tuple[Term, ...]

    @property
    def cutoff(self) -> float | None:
        return reach(self.members)

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> MeanEnergy:
        return MeanEnergy(tuple(member.bind(numbers, box, periodic) for member in self.members))

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        each = [member.evaluate(configurations) for member in self.members]
        return Labels(
            np.mean([labels.energies for labels in each], 0),
            tuple(np.mean(forces, 0) for forces in zip(*(labels.forces for labels in each))),
            tuple(np.mean(stresses, 0) for stresses in zip(*(labels.stresses for labels in each))),
        )

    def spread(self, configurations: Sequence[Configuration]) -> Spread:
        """Standard deviations over members."""
        each = [member.evaluate(configurations) for member in self.members]
        return Spread(
            np.std([labels.energies for labels in each], 0, ddof=1),
            tuple(force_disagreement(forces) for forces in zip(*(labels.forces for labels in each))),
        )


def force_disagreement(
    forces: Sequence[Float[np.ndarray, "atoms 3"]],
) -> Float[np.ndarray, "atoms 3"]:
    """Standard deviation over members of the force components of each atom: their root mean square in all directions.

    A few members tell that of a single component to tens of per cent only, and claims that scatter so much for no
    reason are spread too widely. Components that symmetry makes zero are left out, and keep their own.

    Examples
    --------
    >>> force_disagreement([np.array([[3.0, 0.0, 4.0]]), np.array([[1.0, 0.0, 0.0]])]).round(3).tolist()
    [[2.236, 0.0, 2.236]]
    """
    squares = np.var(forces, 0, ddof=1)
    open_ = squares > CLOSED**2 * squares.max(1, keepdims=True)
    usual = np.sum(squares * open_, 1, keepdims=True) / np.maximum(open_.sum(1, keepdims=True), 1)
    return np.sqrt(np.where(open_, usual, squares))


class MeanEnergy(Energy):
    """The mean of energies."""

    energies: tuple[Energy, ...]

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        return sum(energy(positions, box) for energy in self.energies) / len(self.energies)

    def refreshed(self, positions: Positions, box: Box | None = None) -> MeanEnergy:
        return MeanEnergy(tuple(energy.refreshed(positions, box) for energy in self.energies))

    def stale(self, positions: Positions, box: Box | None = None) -> bool | jax.Array:
        answers = [energy.stale(positions, box) for energy in self.energies]
        if all(isinstance(answer, bool) for answer in answers):
            return any(answers)
        return jax.numpy.array(answers).any()


def _member_progress(progress, member, members):
    def report(message, fraction):
        progress(f"member {member + 1} of {members}: {message}", (member + fraction) / members)

    return report
