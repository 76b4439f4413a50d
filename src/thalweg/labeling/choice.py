"""Which of many frames to label: rules that score frames by what a potential does not know, and spread a batch out.

A frame that a potential errs for is worth a label, and two that are alike are worth hardly more than one. So each rule
gives frames a score; of the frames with the highest scores, four times as many as are wanted, those are taken that lie
farthest from each other and from what is labeled, in the mean features of their atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import NoUncertainty
from thalweg.learned_potentials.uncertainty.distance_to_training import distances_to_training
from thalweg.learned_potentials.uncertainty.graded import graded
from thalweg.learning.splits import farthest_points
from thalweg.representations.expansions.soap import SOAP
from thalweg.representations.representation import Representation
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.units import Count, Nanometers

POOL = 4
"""A batch is spread out over so many times as many frames as are wanted."""


@dataclass(frozen=True)
class Candidates:
    """Frames to choose from, and what is known.

    Attributes
    ----------
    frames : without labels
    known : frames that have labels
    potential : learned from these; None without one
    """

    frames: Sequence[Configuration]
    known: Sequence[Configuration] = ()
    potential: LearnedPotential | None = None

    def taught(self, rule: ChoiceRule) -> LearnedPotential:
        """The potential.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.potential is None:
            raise ValueError(f"{type(rule).__name__} asks a potential; give one, or use FarthestFrames")
        return self.potential


@runtime_checkable
class ChoiceRule(Protocol):
    """A frozen dataclass of settings that says how much each frame is worth."""

    def scores(self, among: Candidates) -> Float[np.ndarray, " frames"]:
        """Worth of a label of each frame, given what is known; equal scores are all worth the same.

        Raises
        ------
        ValueError
            If the rule needs a potential, or known frames, and there are none.
        """
        ...


@dataclass(frozen=True)
class RandomFrames:
    """Every frame is worth a number drawn at random: what the others are compared with.

    Parameters
    ----------
    seed : of the draw
    """

    seed: int = 0

    def scores(self, among: Candidates) -> Float[np.ndarray, " frames"]:
        return np.random.default_rng((self.seed, len(among.known))).random(len(among.frames))


@dataclass(frozen=True)
class FarthestFrames:
    """All frames are worth the same, so that a batch is only spread out: farthest point sampling [gonzalez1985]."""

    def scores(self, among: Candidates) -> Float[np.ndarray, " frames"]:
        return np.zeros(len(among.frames))


@dataclass(frozen=True)
class LargestSpread:
    """Standard deviation of the least known force of a frame, by a committee or a posterior [artrith2012].

    Parameters
    ----------
    of_all : take the root mean square over all atoms instead
    """

    of_all: bool = False

    def scores(self, among: Candidates) -> Float[np.ndarray, " frames"]:
        forces = among.taught(self).spread(among.frames).forces
        squares = [np.mean(np.asarray(each) ** 2, axis=1) for each in forces]
        return np.sqrt([each.mean() if self.of_all else each.max() for each in squares])


@dataclass(frozen=True)
class LargestGrade:
    """D-optimality grade of the farthest extrapolated atom of a frame [podryabinkin2017]."""

    def scores(self, among: Candidates) -> Float[np.ndarray, " frames"]:
        potential = among.taught(self)
        try:
            grades = potential.grades(among.frames)
        except NoUncertainty:
            if not among.known:
                raise ValueError("grades are against the frames that are known; give them") from None
            grades = graded(potential, among.known).grades(among.frames)
        return np.array([each.max() for each in grades])


@dataclass(frozen=True)
class FarthestFromData:
    """Distance of the strangest atom of a frame from the nearest known environment of its element.

    Parameters
    ----------
    representation : in which distances are taken
    """

    representation: Representation = SOAP(normalized=False)  # noqa: RUF009, an immutable module

    def scores(self, among: Candidates) -> Float[np.ndarray, " frames"]:
        if not among.known:
            raise ValueError("distances are from the frames that are known; give some, or use FarthestFrames")
        distances = distances_to_training(self.representation, among.known, among.frames)
        return np.array([each.max() for each in distances])


def choose_frames(
    frames: Sequence[Configuration],
    count: Count,
    known: Sequence[Configuration] = (),
    potential: LearnedPotential | None = None,
    rule: ChoiceRule | None = None,
    cutoff: Nanometers = 0.5,
) -> list[int]:
    """Numbers of the ``count`` frames that are most worth a label, the first ones most.

    Parameters
    ----------
    known : frames that have labels
    potential : learned from these
    rule : by default the spread of the potential, its grades if it has no spread, and distances without a potential
    cutoff : of the environments in which a batch is spread out

    Raises
    ------
    ValueError
        If there are fewer frames, or the rule needs what was not given.

    Examples
    --------
    >>> pair = [Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, x]])) for x in (0.07, 0.071, 0.09)]
    >>> choose_frames(pair, 2, rule=FarthestFrames())
    [2, 0]
    """
    if not 0 < count <= len(frames):
        raise ValueError(f"{count} frames were asked for out of {len(frames)}; ask for 1 to {len(frames)}")
    rule = _usual(potential, frames) if rule is None else rule
    scores = np.asarray(rule.scores(Candidates(frames, known, potential)), float)
    order = np.argsort(-np.nan_to_num(scores, nan=np.inf), kind="stable")
    if isinstance(rule, RandomFrames):
        return [int(k) for k in order[:count]]
    pool = order if np.ptp(scores) == 0 else order[: POOL * count]
    points = _mean_features([*known, *(frames[k] for k in pool)], cutoff)
    spread_out = farthest_points(points[len(known) :], count, others=points[: len(known)])
    return [int(pool[k]) for k in spread_out]


def _usual(potential, frames):
    """The rule that a potential allows."""
    if potential is None:
        return FarthestFrames()
    try:
        potential.spread(frames[:1])
    except NoUncertainty:
        return LargestGrade()
    return LargestSpread()


def _mean_features(frames: Sequence[Configuration], cutoff: float) -> Float[np.ndarray, "frames features"]:
    """Mean features of the atoms of each element, side by side, in units of their spread."""
    elements = elements_of(frames)
    features = SOAP(cutoff=cutoff, radial=6, degree=4, normalized=False).over(elements).features(frames)
    rows = []
    for frame, own in zip(frames, features):
        means = [
            own[np.asarray(frame.numbers) == z].mean(0) if z in frame.numbers else 0 * own[0]
            for z in elements
        ]
        rows.append(np.concatenate(means))
    points = np.array(rows)
    scale = points.std(0)
    return points / (np.sqrt((scale**2).sum()) or 1.0)
