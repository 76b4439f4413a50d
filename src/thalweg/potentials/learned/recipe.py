"""A paper as a recipe: what is learned, what is known before, and how much each label counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.potentials.learned.core_repulsion import CoreRepulsion
from thalweg.potentials.learned.learned_potential import LearnedPotential
from thalweg.potentials.learned.term import Labels, Learner, Term, Weights
from thalweg.systems.configuration import Configuration, elements_of


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
    """

    learner: Learner
    baseline: tuple[Term, ...] = ()
    references: Mapping[int, float] | None = None
    weights: Weights = Weights()  # noqa: RUF009
    core_repulsion: CoreRepulsion | None = CoreRepulsion()  # noqa: RUF009

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> LearnedPotential:
        """A potential for ``configurations``; ``validation`` frames only stop or choose, never fit."""
        core = () if self.core_repulsion is None else (self.core_repulsion.for_frames(configurations),)
        known = LearnedPotential(
            dict.fromkeys(elements_of([*configurations, *validation]), 0.0), (*core, *self.baseline)
        )
        rest = remainder(configurations, known.evaluate(configurations))
        references = fitted_references(rest) if self.references is None else dict(self.references)
        known = replace(known, references=references)
        term = self.learner.fit(
            remainder(configurations, known.evaluate(configurations)),
            validation=remainder(validation, known.evaluate(validation)) if validation else (),
            weights=self.weights,
            seed=seed,
            progress=progress,
        )
        return replace(known, terms=(*known.terms, term))


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


def fitted_references(configurations: Sequence[Configuration]) -> dict[int, float]:
    """Energies per element that explain the energies best, of least norm where these do not decide [kJ/mol]."""
    elements = elements_of(configurations)
    labeled = [frame for frame in configurations if frame.energy is not None]
    if not labeled:
        return dict.fromkeys(elements, 0.0)
    counts = np.array([[np.count_nonzero(frame.numbers == z) for z in elements] for frame in labeled], float)
    energies = np.array([frame.energy for frame in labeled])
    solution = np.linalg.lstsq(counts, energies, rcond=1e-8)[0]
    return {z: float(value) for z, value in zip(elements, solution)}
