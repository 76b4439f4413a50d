"""The envelope of confidence of a potential, of whatever family: is a new frame inside, on the border, or outside?

A second potential, of another family and taught the same frames, is asked beside it. Two numbers of a frame say how
large the force error may be, before any label is there,

    sigma    the deviations that the potential claims, or else those of the posterior of the second one; of linear
             models ``sigma^2 = noise x^T A^-1 x`` of rows ``x`` of forces: how thin the training frames are about there
             [bigi2024],
    delta    how far the forces of the two potentials are apart [schran2020],

root mean squares over components. By held-out frames it is learned how errors scatter about ``sigma^(1-w) delta^w``
(`ErrorOdds`). Both grow as errors do far from what was taught, over orders of magnitude, so that the law of the
held-out frames is that of others, too. Where the strangest atom is ``d > 1`` times as far from the training
environments as that of hardly any held-out frame, the law is less sure, the logarithm of the error by `STRANGER`
``log d`` more, and the error is ``d`` times the usual one at least: both scores vanish where atoms have left.

A second opinion is worth most where it errs less than the potential, as what is between them is the error itself then;
of one that errs more it is the error of the other, and of one of the same family neither, as both miss the same. So a
kernel stands beside expansions and networks that is expanded in its derivatives at training frames: nothing learns more
from few [christensen2020]. Beside kernels of that sort stands a linear model.

A frame is *outside* where an error of more than ``limit`` times the usual one is more probable than not, *inside*
where it is at most as probable as `INSIDE`, or as in all but one in `DOUBTED` of the good ones held out, and on the
*border* between these. What is not inside is to be doubted, and that is the alarm: of who minds a bad frame that is
missed nine times as much as a good one that is doubted, or else does not want to doubt more than one in `DOUBTED` of
the good frames like those held out, however widely their errors scatter.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Literal

import numpy as np

from thalweg.learned_potentials.gradient_domain.site_term import SiteGradientDomainTerm
from thalweg.learned_potentials.gradient_domain.term import GradientDomainTerm
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.linear.linear_term import LinearTerm
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.recipes.molecular import fchl19
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
from thalweg.learning.calibration import ErrorOdds
from thalweg.learning.storage import load_tree, save_tree
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.representation import Representation
from thalweg.shapes import Bool, Float
from thalweg.systems.configuration import Configuration, elements_of

INSIDE, OUTSIDE = 0.1, 0.5
"""Probabilities of a large error up to which a frame is inside, and from which it is outside."""

DOUBTED = 20
"""Of so many good frames like those held out one may be doubted in any case."""

HARDLY_ANY = 0.95
"""Share of the held-out frames whose strangest atoms are nearer than distances are counted from."""

STRANGER = 0.3
"""Standard deviation of what a factor ``e`` of the distance beyond that may add to the logarithm of the error."""

REMEMBERED = 6000
"""Training environments to which distances are taken, at most."""

LABELS = 6000
"""Force components that a kernel beside a potential is taught at most, some half a minute's work."""

ANSWERING = 2000
"""Of these about so many answer for its uncertainty, where the potential claims none."""

EPOCHS = 25
"""Of the training of a network beside a linear potential of cells too large for a kernel."""

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
    vague : standard error of the logarithm of the usual error, which a few held-out frames tell to a part only
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
    vague: float = 0.0
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
        second : taught the training frames in another way; None to teach one: a kernel of environments, to `LABELS`
            force components of frames evenly among them; a linear model in the representation beside such kernels, and
            where the components of so many are of fewer than `FEW` frames, and then a network beside linear potentials

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
            second = _second(potential, training, chosen, seed)
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
        true = odds.true_errors(errors[told], scores[told], noise, sizes)
        notes = (
            () if told.sum() >= FEW else (f"{told.sum()} held-out frames say little of how errors scatter.",)
        )
        made = replace(
            untried,
            errors=odds,
            usual=usual_error(true),
            vague=_vague(true),
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
        unknown = np.hypot(STRANGER * np.log(np.clip(stranger, 1.0, 1e12)), self.vague)
        return alone.exceeding(np.minimum(expected, 1e12 * self.usual), self.limit * self.usual, unknown)

    def verdicts(self, frames: Sequence[Configuration]) -> list[Verdict]:
        """Whether each frame is ``"inside"``, on the ``"border"`` or ``"outside"``."""
        return [verdict_of(one, self.inside) for one in self.probabilities(frames)]

    def opinions(self, frames: Sequence[Configuration]) -> Float[np.ndarray, "frames kinds"]:
        """Claimed deviations, and where there are two models their distance: root mean squares [kJ/mol/nm]."""
        try:
            claimed = force_deviations(self.potential, frames)
        except NoUncertainty:
            claimed = force_deviations(self.second, frames)
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
    """`INSIDE`, or the least probability above which one in `DOUBTED` of the good frames is, as expected of these.

    A frame that is bad with a probability ``p`` counts ``1 - p`` as a good one.
    """
    if len(probabilities) < DOUBTED:  # so few say nothing of one in so many
        return INSIDE
    falling = np.sort(probabilities)[::-1]
    good = 1 - falling
    doubted = int(np.searchsorted(np.cumsum(good), good.sum() / DOUBTED, side="right"))
    return float(np.clip(falling[min(doubted, len(falling) - 1)], INSIDE, OUTSIDE))


def _expansion(training: Sequence[Configuration]) -> Representation:
    """A few hundred functions: of more bodies and finer where there are fewer elements."""
    elements = elements_of(training)
    levels = (12, 10, 8) if len(elements) == 1 else (8, 7, 6)
    return ACE(cutoff=0.5, levels=levels, channels=3 if len(elements) > 3 else None).over(elements)


def _second(
    potential: LearnedPotential | None,
    training: Sequence[Configuration],
    representation: Representation,
    seed: int,
) -> LearnedPotential:
    """A potential of another family, or a linear one where there is none yet."""
    some = _some(training)
    kernels = GradientDomainTerm | SiteGradientDomainTerm
    if potential is not None and not _has(potential, kernels) and len(some) >= FEW:
        recipe = fchl19(representation.cutoff, (2.0, 4.0), (1e-6, 1e-8), choosing=900, remembered=ANSWERING)
        return recipe.fit(some, seed=seed)
    if potential is not None and _has(potential, LinearTerm):
        return behler_parrinello(epochs=EPOCHS).fit(training, seed=seed)
    return Recipe(Linear(representation)).fit(training, seed=seed)


def _has(potential: LearnedPotential, kind: type | UnionType) -> bool:
    """Whether a term is of the ``kind``, or members of its committee are."""
    return any(
        isinstance(one, kind)
        for term in potential.terms
        for one in (term.members if isinstance(term, CommitteeTerm) else (term,))
    )


def _some(training: Sequence[Configuration]) -> list[Configuration]:
    """Frames whose forces are `LABELS` components at most, evenly among those that have any, each element in one."""
    labeled = [frame for frame in training if frame.forces is not None and len(frame) > 1]
    components = 3 * sum(len(frame) for frame in labeled)
    count = min(LABELS * len(labeled) // max(components, 1), len(labeled))
    chosen = [labeled[k] for k in np.linspace(0, len(labeled) - 1, count).astype(int)]
    for z in set(elements_of(training)) - set(elements_of(chosen)):
        chosen += [frame for frame in labeled if z in frame.numbers][:1]
    return chosen if set(elements_of(chosen)) == set(elements_of(training)) else []


def _vague(errors: Float[np.ndarray, " frames"]) -> float:
    """Standard error of the logarithm of `usual_error`."""
    squares = np.minimum(errors, 10 * np.median(errors)) ** 2
    return float(squares.std(ddof=1) / squares.mean() / 2 / np.sqrt(len(squares)))


def _check_apart(training: Sequence[Configuration], held_out: Sequence[Configuration]) -> None:
    taught = {np.asarray(frame.positions, float).tobytes() for frame in training}
    same = sum(np.asarray(frame.positions, float).tobytes() in taught for frame in held_out)
    if same:
        raise ValueError(
            f"{same} of {len(held_out)} held-out frames are training frames, whose errors are too small; give others"
        )
