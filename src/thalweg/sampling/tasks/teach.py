"""Train tasks: a potential from all labels that are there, with the alarm that its held-out frames call for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from thalweg.labeling.geometries.exploration import Alarm, GradeAlarm
from thalweg.learned_potentials.frames.errors import errors_of
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import NoUncertainty
from thalweg.learned_potentials.uncertainty.calibrated import ForceAlarm
from thalweg.learned_potentials.uncertainty.graded import graded
from thalweg.learning.storage import load_tree, save_tree
from thalweg.machine.reading import read_json
from thalweg.sampling.store import Store, write_json
from thalweg.sampling.tasks.label import StoredLabel, frames_of_set, label_entry
from thalweg.systems.configuration import Configuration
from thalweg.units import KilojoulesPerMolePerNanometer

BEGINNING, GIVEN, POTENTIAL, LESSON = "beginning/lessons", "given.tree", "potential.tree", "lesson.json"

CALIBRATED_BY = 6
"""Every sixth label is held out of the fit, to say what claims of uncertainty are worth."""

TIMES = 3.0
"""An alarm is never about less than this multiple of the force error that is aimed at."""


@dataclass(frozen=True)
class TeachPotential:
    """Fit the recipe of a campaign to the labels of ``sets``, and judge it by those of ``test``.

    Attributes
    ----------
    sets : entries of sets of frames whose labels are there
    test : entry of a set that nothing is taught of
    error : force error that is aimed at [kJ/mol/nm]
    seed : of the fit
    """

    kind: ClassVar[str] = "train"

    sets: tuple[str, ...]
    test: str
    error: KilojoulesPerMolePerNanometer
    seed: int = 0

    def __call__(self, store: Store, entry: str) -> None:
        recipe, given = beginning(store)
        known = [*given, *labels_of(store, self.sets)]
        fitted, held_out = parted(known)
        potential = recipe.fit_with_info(
            fitted, validation=held_out, seed=self.seed, inspected=not given
        ).term
        test = labels_of(store, (self.test,))
        lesson = _judged(potential, fitted, held_out, test, self.error)
        # the day is no part of what the same campaign leaves twice
        dateless = replace(lesson.potential, card={**lesson.potential.card, "date": ""})

        def write(folder):
            save_tree(folder / POTENTIAL, dateless)
            write_json(folder / LESSON, lesson.numbers)

        store.commit(entry, write)


@dataclass(frozen=True)
class Lesson:
    """What came of teaching.

    Attributes
    ----------
    potential : fitted to all labels but those held out; its card says what its claims are worth
    labels : frames with labels, held out or not
    force_error : root mean square of the force components of the test frames [kJ/mol/nm]
    energy_error : root mean square for each atom, the mean of the test frames taken out [kJ/mol]
    threshold : force error of a frame about which the alarm is [kJ/mol/nm], or the grade where ``by_grade``
    by_grade : whether the alarm is by extrapolation grades, the potential having no uncertainty
    """

    potential: LearnedPotential
    labels: int
    force_error: float
    energy_error: float
    threshold: float
    by_grade: bool

    @staticmethod
    def read(store: Store, entry: str) -> Lesson:
        """A committed one, checked against its digest."""
        told = read_json(store.file(entry, LESSON), "what a lesson says of itself")
        return Lesson(LearnedPotential.load(store.file(entry, POTENTIAL)), **told)

    @property
    def alarm(self) -> Alarm:
        """Raised over frames that the potential should not be trusted with."""
        if self.by_grade:
            return GradeAlarm(self.potential, self.threshold)
        known = ForceAlarm.known(self.potential)
        return replace(known, limit=self.threshold / known.usual)

    @property
    def numbers(self) -> dict[str, float | int | bool]:
        """All but the potential."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "potential"}


def commit_beginning(store: Store, recipe: Recipe, given: Sequence[Configuration] = ()) -> None:
    """Keep what is taught, and frames whose labels were there before the campaign."""
    store.commit(
        BEGINNING, lambda folder: save_tree(folder / GIVEN, {"recipe": recipe, "given": tuple(given)})
    )


def beginning(store: Store) -> tuple[Recipe, list[Configuration]]:
    """The recipe of a campaign and the labels it began with."""
    kept = load_tree(store.file(BEGINNING, GIVEN))
    return kept["recipe"], list(kept["given"])


def labels_of(store: Store, sets: Sequence[str]) -> list[Configuration]:
    """Labels of the frames of ``sets`` for which the level did not fail, in their order."""
    found = []
    for entry in sets:
        frames, level = frames_of_set(store, entry)
        stored = [StoredLabel.read(store, label_entry(level, frame)) for frame in frames]
        found += [each.frame for each in stored if each.frame is not None]
    return found


def parted(known: Sequence[Configuration]) -> tuple[list[Configuration], list[Configuration]]:
    """Frames to fit to, and every sixth, to calibrate by: the same ones whatever comes after them."""
    if len(known) < 2 * CALIBRATED_BY:
        raise ValueError(
            f"{len(known)} frames have labels; at least {2 * CALIBRATED_BY} are needed to fit to some and to judge by "
            "others: begin with more frames, or look why labels failed"
        )
    kept = [frame for k, frame in enumerate(known) if k % CALIBRATED_BY != CALIBRATED_BY - 1]
    return kept, list(known[CALIBRATED_BY - 1 :: CALIBRATED_BY])


def _judged(potential, fitted, held_out, test, error) -> Lesson:
    """Errors on the test frames, and from where on the potential is not trusted."""
    found = errors_of(test, potential.evaluate(test))
    by_grade, labels = False, len(fitted) + len(held_out)
    try:
        known = ForceAlarm.known(potential)
        threshold = max(known.limit * known.usual, TIMES * error)
    except NoUncertainty:
        by_grade, potential = True, graded(potential, fitted, held_out)
        threshold = max(2.0, float(potential.card["active_set"]["held_out_largest"]))
    return Lesson(potential, labels, found.forces.rmse, _relative(potential, test), threshold, by_grade)


def _relative(potential: LearnedPotential, test: Sequence[Configuration]) -> float:
    """Root mean square error of energies for each atom, their mean taken out [kJ/mol]."""
    energies = potential.evaluate(test).energies
    off = np.array([(e - frame.energy) / len(frame) for e, frame in zip(energies, test, strict=True)])
    return float(np.std(off))
