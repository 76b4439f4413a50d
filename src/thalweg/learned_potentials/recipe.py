"""A paper as a recipe: what is learned, what is known before, and how much each label counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from thalweg.learned_potentials.card import model_card
from thalweg.learned_potentials.frames.errors import errors_of
from thalweg.learned_potentials.frames.inspection import require_sound
from thalweg.learned_potentials.frames.reference_energies import fitted_references, undecided
from thalweg.learned_potentials.parametric.core_repulsion import CoreRepulsion
from thalweg.learned_potentials.parametric.free_atoms import FreeAtoms
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.learner import FittedTerm, Learner, Vanishing
from thalweg.learned_potentials.terms.term import (
    Labels,
    NoUncertainty,
    Term,
    Uncertain,
    Weights,
    reach,
)
from thalweg.learned_potentials.uncertainty.calibrated import calibrated
from thalweg.learned_potentials.uncertainty.committee import Committee
from thalweg.learned_potentials.uncertainty.left_out import left_out_forces
from thalweg.learning.splits import random_split
from thalweg.machine.programs import make_room_for_programs
from thalweg.systems.configuration import Configuration, elements_of

NAMED = ("learner", "baseline", "core_repulsion", "fall_back")
"""Settings that are written as they are."""

CALIBRATED = 100
"""At most this many validation frames calibrate an uncertainty."""


@dataclass(frozen=True)
class Recipe:
    """A learner on top of baselines and reference energies.

    Parameters
    ----------
    learner : what is fitted
    baseline : known terms; the learner sees what they leave
    references : energies of isolated atoms by atomic number [kJ/mol], or None to fit them by least squares to
        the training energies
    weights : how much each kind of label counts
    core_repulsion : repulsion added below the shortest training distance of each pair of elements, where it does
        not touch the labels; None for none
    fall_back : the ``baseline``, or else bonds that end at free atoms, is all that is left far from the training frames
        of molecules; for learners that can leave it to them (`Vanishing`). None for whatever comes
    """

    learner: Learner
    baseline: tuple[Term, ...] = ()
    references: Mapping[int, float] | None = None
    weights: Weights = Weights()  # noqa: RUF009
    core_repulsion: CoreRepulsion | None = CoreRepulsion()  # noqa: RUF009
    fall_back: FreeAtoms | None = FreeAtoms()  # noqa: RUF009

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> LearnedPotential:
        """A potential for ``configurations``, as by `fit_with_info`."""
        return self.fit_with_info(configurations, validation=validation, seed=seed, progress=progress).term

    def fit_with_info(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
        inspected: bool = False,
    ) -> FittedTerm:
        """A `LearnedPotential` for ``configurations``, and how the learner's fit went.

        Frames of ``validation`` only stop or choose, never fit. Errors on both sets go onto the card. Where the fitted
        term knows how unsure it is, it is calibrated on `CALIBRATED` of the validation frames.

        Parameters
        ----------
        inspected : frames were looked over before, and are not again

        Raises
        ------
        ValueError
            If there are no frames, labels are not numbers, or forces are clearly not the gradient of the energies, or
            stresses not their derivative by strain: see `thalweg.learned_potentials.frames.inspection`.
        """
        make_room_for_programs()
        if not inspected:
            require_sound(configurations)
        core = () if self.core_repulsion is None else (self.core_repulsion.for_frames(configurations),)
        known = LearnedPotential(
            dict.fromkeys(elements_of([*configurations, *validation]), 0.0), (*core, *self.baseline)
        )
        # what is left of the labels after repulsion and baselines, then after bonds and energies of atoms
        rest = remainder(configurations, known.evaluate(configurations))
        learner = self.learner
        if self.fall_back is not None and _can_vanish(learner) and self.fall_back.concerns(rest):
            learner = _vanishing(learner, self.fall_back.imagined(rest, seed))
            if not self.baseline:
                bonds = self.fall_back.binding(rest, self.references)
                known = replace(known, terms=(*known.terms, bonds))
                rest = remainder(rest, bonds.evaluate(rest))
        references = fitted_references(rest) if self.references is None else dict(self.references)
        rest = remainder(rest, LearnedPotential(references, ()).evaluate(rest))
        known = replace(known, references=references)
        held_out = remainder(validation, known.evaluate(validation)) if validation else []
        term, info = learner.fit(
            rest, validation=held_out, weights=self.weights, seed=seed, progress=progress
        )
        errors = {"training": errors_of(rest, term.evaluate(rest))}
        if held_out:
            errors["validation"] = errors_of(held_out, term.evaluate(held_out))
        card = model_card(
            recipe=self.in_words,
            cutoff=reach((*known.terms, term)),
            training=configurations,
            validation=validation,
            errors=errors,
            weights=self.weights,
            seed=seed,
        )
        if self.references is None and len(open_ := undecided(configurations)):
            card["undecided"] = open_.tolist()
        fitted = replace(known, terms=(*known.terms, term), card=card)
        pulled = [frame for frame in validation if frame.forces is not None]
        if pulled and isinstance(term, Uncertain):
            chosen = random_split(len(pulled), [min(CALIBRATED, len(pulled))], seed)[0]
            try:
                # of what a baseline claims of frames left out nothing is known
                alone = not any(isinstance(each, Uncertain) for each in self.baseline)
                left_out = partial(left_out_forces, info, rest, CALIBRATED, seed) if alone else None
                fitted = calibrated(fitted, [pulled[k] for k in chosen], left_out)
            except NoUncertainty as reason:
                fitted = replace(fitted, card={**card, "calibration": str(reason)})
        return FittedTerm(fitted, info)

    @property
    def in_words(self) -> str:
        """The settings on one line."""
        with np.printoptions(legacy="1.25"):  # numbers of NumPy without their type
            settings = {name: repr(getattr(self, name)) for name in NAMED}
            settings["references"] = "fitted" if self.references is None else repr(dict(self.references))
        return " ".join(f"Recipe({', '.join(f'{name}={text}' for name, text in settings.items())})".split())


def _can_vanish(learner: Learner) -> bool:
    """Whether it, or members of a committee, can leave frames to what they are added to."""
    return isinstance(learner.learner if isinstance(learner, Committee) else learner, Vanishing)


def _vanishing(learner, imagined):
    if isinstance(learner, Committee):
        return replace(learner, learner=_vanishing(learner.learner, imagined))
    return learner.vanishing(imagined)


def remainder(configurations: Sequence[Configuration], known: Labels) -> list[Configuration]:
    """``configurations`` with ``known`` subtracted from those labels that are there."""
    return [
        replace(
            frame,
            energy=None if frame.energy is None else frame.energy - energy,
            forces=None if frame.forces is None else frame.forces - forces,
            stress=None if frame.stress is None else frame.stress - stress,
        )
        for frame, energy, forces, stress in zip(
            configurations, known.energies, known.forces, known.stresses, strict=True
        )
    ]
