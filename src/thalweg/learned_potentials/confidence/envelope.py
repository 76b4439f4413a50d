"""The envelope of confidence of a potential, of whatever family: is a new frame inside, on the border, or outside?

A second potential, of another family and taught the same frames, is asked beside it. Two numbers of a frame say how
large the force error may be, before any label is there,

    sigma    the deviations that the potential claims, or else those of the posterior of a linear model in the features
             of a representation, ``sigma^2 = noise x^T A^-1 x`` of rows ``x`` of forces: how thin the training frames
             are about there [bigi2024],
    delta    how far the forces of the two potentials are apart [schran2020],

root mean squares over components. By held-out frames it is learned how errors scatter about ``sigma^(1-w) delta^w``
(`ErrorOdds`). Both grow as errors do far from what was taught, over orders of magnitude, so that the law of the
held-out frames is that of others, too. Where the strangest atom is ``d > 1`` times as far from the training
environments as that of hardly any held-out frame, the law is less sure, the logarithm of the error by `STRANGER`
``log d`` more, and the error is ``d`` times the usual one at least: both scores vanish where atoms have left.

Two expansions miss the same things, and their distance says little: beside a linear potential stands a network.

A frame is *outside* where an error of more than ``limit`` times the usual one is more probable than not, *inside*
where it is at most as probable as `INSIDE`, or as in all but one in `DOUBTED` of the held-out frames, and on the
*border* between these. What is not inside is to be doubted, and that is the alarm: of who minds a bad frame that is
missed nine times as much as a good one that is doubted, or else does not want more false alarms than one in `DOUBTED`
over frames like those held out, however widely their errors scatter [angelopoulos2023].
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.linear.linear_term import LinearTerm
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.recipes.networks import behler_parrinello
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import NoUncertainty
from thalweg.learned_potentials.uncertainty.calibrated import (
    FEW,
    force_deviations,
    force_errors,
    root_mean_squares,
    usual_error,
)
from thalweg.learned_potentials.uncertainty.committee import CommitteeTerm
from thalweg.learned_potentials.uncertainty.distance_to_training import KnownEnvironments
from thalweg.learned_potentials.uncertainty.label_noise import label_noise
from thalweg.learning.calibration import ErrorOdds, alarm_threshold
from thalweg.learning.storage import load_tree, save_tree
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.representation import Representation
from thalweg.shapes import Bool, Float
from thalweg.systems.configuration import Configuration, elements_of

INSIDE, OUTSIDE = 0.1, 0.5
"""Probabilities of a large error up to which a frame is inside, and from which it is outside."""

DOUBTED = 20
"""Of so many frames like those held out one may be doubted in any case."""

HARDLY_ANY = 0.95
"""Share of the held-out frames whose strangest atoms are nearer than distances are counted from."""

STRANGER = 0.3
"""Standard deviation of what a factor ``e`` of the distance beyond that may add to the logarithm of the error."""

REMEMBERED = 6000
"""Training environments to which distances are taken, at most."""

EPOCHS = 25
"""Of the training of a network beside a linear potential, which need not be good to be another opinion."""

Verdict = Literal["inside", "border", "outside"]


@dataclass(frozen=True)
class Envelope:
    """Where a potential may be believed.

    Attributes
    ----------
    potential : whose forces are judged
    second : of another family, taught the same frames; the same where there is no other
    environments : of the training frames
    errors : how force errors of held-out frames scatter about the two scores
    usual : force error of these, root mean square [kJ/mol/nm]
    far : distance of the strangest atom from which on less is known of errors
    limit : multiple of the usual error that is too much
    inside : probability of that up to which a frame is inside
    notes : what one should know
    """

    potential: LearnedPotential
    second: LearnedPotential
    environments: KnownEnvironments
    errors: ErrorOdds
    usual: float
    far: float
    limit: float = 3.0
    inside: float = INSIDE
    notes: tuple[str, ...] = ()

    @staticmethod
    def of(
        potential: LearnedPotential | None,
        training: Sequence[Configuration],
        held_out: Sequence[Configuration],
        representation: Representation | None = None,
        second: LearnedPotential | None = None,
        limit: float = 3.0,
        seed: int = 0,
    ) -> Envelope:
        """The envelope of ``potential`` that was fitted to ``training`` frames.

        Parameters
        ----------
        potential : of any family; None for a linear model in the representation alone, which is then what is judged
        training : labeled frames it was fitted to, or a fair part of them
        held_out : labeled frames of the same kind that it was not fitted to
        representation : in which training frames are dense or thin; None for a small expansion to 0.5 nm
        second : taught the training frames in another way; None to teach one: a small network beside linear potentials,
            a linear model in the representation beside all others

        Raises
        ------
        ValueError
            If fewer than three held-out frames have forces that are not zero by symmetry, training frames have no
            labels, ``limit`` is not above one, or held-out frames are training frames.
        """
        labeled = [frame for frame in held_out if frame.forces is not None]
        if not limit > 1:
            raise ValueError(
                f"limit = {limit:g} times the usual error would be every other frame; give more than 1"
            )
        if not len(training):
            raise ValueError("there are no training frames; give those that the potential was fitted to")
        if len(labeled) < 3:
            raise ValueError(
                f"{len(labeled)} of {len(held_out)} held-out frames have forces, which cannot say how errors scatter; "
                f"give {FEW} or more that the potential was not fitted to"
            )
        _check_apart(training, labeled)
        chosen = _expansion(training) if representation is None else representation
        if second is None:
            recipe = behler_parrinello(epochs=EPOCHS) if _is_linear(potential) else Recipe(Linear(chosen))
            second = recipe.fit(training, seed=seed)
        judged = second if potential is None else potential
        known = KnownEnvironments.of(chosen, training, REMEMBERED)
        untried = Envelope(judged, second, known, ErrorOdds(1.0, 1.0, 4), 1.0, np.inf, limit)
        errors, scores = force_errors(judged, labeled), untried.opinions(labeled)
        told = (errors > 0) & (scores > 0).all(1)
        if told.sum() <= scores.shape[1]:
            raise ValueError(
                f"of {len(labeled)} held-out frames with forces {told.sum()} are not zero by symmetry; give more whose "
                "atoms are displaced"
            )
        noise = label_noise([*training, *labeled])
        sizes = np.array([max(3.0 * len(frame) - 3, 1.0) for frame in labeled])[told]
        odds = ErrorOdds.of(errors[told], scores[told], noise, sizes)
        notes = (
            () if told.sum() >= FEW else (f"{told.sum()} held-out frames say little of how errors scatter.",)
        )
        made = replace(
            untried,
            errors=odds,
            usual=usual_error(odds.true_errors(errors[told], scores[told], noise, sizes)),
            far=float(np.quantile(untried.distances(labeled), HARDLY_ANY)),
            notes=notes,
        )
        return replace(made, inside=_doubted(made.probabilities(labeled)))

    def score(self, frames: Sequence[Configuration]) -> Float[np.ndarray, " frames"]:
        """Median of what the force error of each frame may be, (frames,) [kJ/mol/nm]; infinite of unknown elements.

        Root mean square over components. What ranks frames by how much they are to be distrusted.
        """
        return self._expected(frames)[0]

    def probabilities(self, frames: Sequence[Configuration]) -> Float[np.ndarray, " frames"]:
        """That the force error of each frame is more than ``limit`` times the usual one, (frames,)."""
        expected, stranger = self._expected(frames)
        alone = replace(self.errors, ratio=1.0, shares=(1.0,))
        unknown = STRANGER * np.log(np.clip(stranger, 1.0, 1e12))
        return alone.exceeding(np.minimum(expected, 1e12 * self.usual), self.limit * self.usual, unknown)

    def verdicts(self, frames: Sequence[Configuration]) -> list[Verdict]:
        """Whether each frame is ``"inside"``, on the ``"border"`` or ``"outside"``."""
        return [verdict_of(one, self.inside) for one in self.probabilities(frames)]

    def opinions(self, frames: Sequence[Configuration]) -> Float[np.ndarray, "frames kinds"]:
        """Claimed deviations, and where there are two models their distance: root mean squares [kJ/mol/nm]."""
        try:
            claimed = force_deviations(self.potential, frames)
        except NoUncertainty:
            claimed = force_deviations(self.second, frames)  # of a linear model, unless another was given
        if self.potential is self.second:
            return claimed[:, None]
        ours, theirs = (one.evaluate(frames).forces for one in (self.potential, self.second))
        return np.stack([claimed, root_mean_squares([a - b for a, b in zip(ours, theirs, strict=True)])], 1)

    def distances(self, frames: Sequence[Configuration]) -> Float[np.ndarray, " frames"]:
        """Of the strangest atom of each frame from the nearest training environment of its element, (frames,)."""
        return np.array([each.max() for each in self.environments.distances(frames)])

    def save(self, path: str | os.PathLike) -> Path:
        """Write the envelope, its potential included, to one file; nothing in it is executed on loading."""
        one = self.potential is self.second
        return save_tree(path, (self, one))

    @staticmethod
    def load(path: str | os.PathLike) -> Envelope:
        """The envelope in the file at ``path``.

        Raises
        ------
        ValueError
            If the file is damaged, of another kind, or holds something else.
        """
        kept = load_tree(path)
        if not (isinstance(kept, tuple) and len(kept) == 2 and isinstance(kept[0], Envelope)):
            raise ValueError(f"{path} holds no envelope; make one by: thalweg envelope MODEL TRAIN.xyz")
        envelope, one = kept
        return replace(envelope, potential=envelope.second) if one else envelope

    def _expected(self, frames: Sequence[Configuration]) -> tuple[np.ndarray, np.ndarray]:
        """Medians of errors, and how many times farther than usual the strangest atoms are, at least once."""
        known = self._known(frames)
        expected, stranger = np.full(len(frames), np.inf), np.ones(len(frames))
        if known.any():
            some = [frame for frame, one in zip(frames, known) if one]
            farther = self.distances(some) / max(self.far, 1e-12)
            least = np.where(farther > 1, self.usual * farther, 0.0)
            expected[known] = np.maximum(self.errors.medians(self.opinions(some)), least)
            stranger[known] = np.maximum(farther, 1.0)
        return np.nan_to_num(expected, nan=np.inf, posinf=np.inf), np.nan_to_num(stranger, nan=1.0)

    def _known(self, frames: Sequence[Configuration]) -> Bool[np.ndarray, " frames"]:
        """Frames of known elements.

        Raises
        ------
        ValueError
            If a frame has coordinates that are no numbers.
        """
        for k, frame in enumerate(frames):
            if not np.isfinite(frame.positions).all():
                raise ValueError(f"frame {k} has coordinates that are not finite numbers; leave it out")
        known = set(self.environments.representation.elements) & set(self.potential.elements)
        return np.array([set(map(int, frame.numbers)) <= known for frame in frames], bool)


def verdict_of(probability: float, inside: float = INSIDE) -> Verdict:
    """What the probability of a large error makes of a frame, ``inside`` that up to which it is inside.

    Examples
    --------
    >>> verdict_of(0.05), verdict_of(0.3), verdict_of(0.9)
    ('inside', 'border', 'outside')
    """
    if probability > OUTSIDE:
        return "outside"
    return "border" if probability > inside else "inside"


def _doubted(probabilities: Float[np.ndarray, " frames"]) -> float:
    """The probability that all but one in `DOUBTED` frames like these stay below, if that is more than `INSIDE`."""
    if len(probabilities) + 1 < DOUBTED:  # so few promise nothing
        return INSIDE
    return float(np.clip(alarm_threshold(probabilities, 1 / DOUBTED), INSIDE, OUTSIDE))


def _expansion(training: Sequence[Configuration]) -> Representation:
    """A few hundred functions: of more bodies and finer where there are fewer elements."""
    elements = elements_of(training)
    levels = (12, 10, 8) if len(elements) == 1 else (8, 7, 6)
    return ACE(cutoff=0.5, levels=levels, channels=3 if len(elements) > 3 else None).over(elements)


def _is_linear(potential: LearnedPotential | None) -> bool:
    """Whether what is fitted is linear in functions of environments, as the usual second one is."""
    terms = () if potential is None else potential.terms
    members = [
        one for term in terms for one in (term.members if isinstance(term, CommitteeTerm) else (term,))
    ]
    return any(isinstance(one, LinearTerm) for one in members)


def _check_apart(training: Sequence[Configuration], held_out: Sequence[Configuration]) -> None:
    taught = {np.asarray(frame.positions, float).tobytes() for frame in training}
    same = sum(np.asarray(frame.positions, float).tobytes() in taught for frame in held_out)
    if same:
        raise ValueError(
            f"{same} of {len(held_out)} held-out frames are training frames, whose errors are too small; give others"
        )
