"""A learned potential: isolated atoms, known terms and fitted terms that add up, with a card that says what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.terms.term import Graded, Labels, NoUncertainty, Spread, Term, Uncertain
from thalweg.learning.deviation_map import DeviationMap
from thalweg.learning.storage import load_tree, save_tree
from thalweg.potentials.energy import Energy, Sum
from thalweg.shapes import Box, Energies, Positions
from thalweg.systems.configuration import Configuration


@dataclass(frozen=True)
class LearnedPotential:
    """``E = sum_i reference(element_i) + sum_k term_k``.

    Attributes
    ----------
    references : energy of an isolated atom of each element (atomic number) [kJ/mol]
    terms : baselines and fitted terms
    calibration : from the spread that terms claim to the errors seen on held-out forces; None if unknown
    card : what it was fitted to, how, with which errors
    environments : what spans the environments of the training set where no term does, see
        `thalweg.learned_potentials.uncertainty.graded`
    """

    references: Mapping[int, float]
    terms: tuple[Term, ...]
    calibration: DeviationMap | None = None
    card: Mapping[str, object] = field(default_factory=dict)
    environments: Graded | None = None

    @property
    def elements(self) -> tuple[int, ...]:
        return tuple(sorted(self.references))

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> Energy:
        """The energy of atoms ``numbers``, to run in an engine; see `Term.bind`."""
        constant = ConstantEnergy(float(self._reference(numbers)))
        return Sum((constant, *(term.bind(numbers, box, periodic) for term in self.terms)))

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        """Energies, forces and stresses of ``configurations``.

        Raises
        ------
        ValueError
            If an atom is of an element the potential was not fitted to.
        """
        total = Labels(
            np.array([self._reference(frame.numbers) for frame in configurations]),
            tuple(np.zeros((len(frame), 3)) for frame in configurations),
            tuple(np.full((3, 3), 0.0 if any(frame.periodic) else np.nan) for frame in configurations),
        )
        for term in self.terms:
            total = total + term.evaluate(configurations)
        return total

    def spread(self, configurations: Sequence[Configuration]) -> Spread:
        """Calibrated standard deviations of energies and force components from what is true; labels have noise.

        Raises
        ------
        NoUncertainty
            If no term knows how unsure it is.
        """
        unsure = [term.spread(configurations) for term in self.terms if isinstance(term, Uncertain)]
        if not unsure:
            raise NoUncertainty("no term of this potential has an uncertainty; fit a committee of it")
        bare = Spread(
            np.sqrt(sum(one.energies**2 for one in unsure)),
            tuple(np.sqrt(sum(f**2 for f in each)) for each in zip(*(one.forces for one in unsure))),
        )
        if self.calibration is None:
            return bare
        mapped = self.calibration
        return Spread(
            mapped.scale * bare.energies, tuple(map(mapped, bare.forces)), mapped.certain, mapped.noise
        )

    def with_active_set(self, training: Sequence[Configuration]) -> LearnedPotential:
        """The same, whose linear terms know the sites that span the ``training`` frames; see `grades`."""
        terms = tuple(
            term.with_active_set(training) if isinstance(term, Graded) else term for term in self.terms
        )
        return replace(self, terms=terms, environments=None)

    def grades(self, configurations: Sequence[Configuration]) -> tuple[np.ndarray, ...]:
        """D-optimality grade of every atom, ``(atoms,)`` per frame; the largest of a frame is the grade of the frame.

        Up to about one a linear term interpolates, beyond it extrapolates; see
        `thalweg.learned_potentials.linear.extrapolation`.

        Raises
        ------
        NoUncertainty
            If it was not given its training set: by `with_active_set` where terms are linear in their coefficients, by
            `thalweg.learned_potentials.uncertainty.graded.graded` in any case.
        """
        if self.environments is not None:
            return self.environments.grades(configurations)
        graded = [term.grades(configurations) for term in self.terms if isinstance(term, Graded)]
        if not graded:
            raise NoUncertainty(
                "this potential does not know its training set; give it by graded(potential, training)"
            )
        return tuple(np.max(each, axis=0) for each in zip(*graded))

    def save(self, path: str | os.PathLike) -> Path:
        """Write terms, calibration and card to one file, whole or not at all; nothing in it is executed on loading.

        Raises
        ------
        TypeError
            If a term holds what is not plain, such as a function; see `thalweg.learning.storage`.
        """
        return save_tree(path, self)

    @staticmethod
    def load(path: str | os.PathLike) -> LearnedPotential:
        """The potential in the file at ``path``.

        Raises
        ------
        ValueError
            If the file is damaged, of another kind, or holds something else.
        """
        potential = load_tree(path)
        if not isinstance(potential, LearnedPotential):
            raise ValueError(f"{path} holds a {type(potential).__name__}; wanted a learned potential")
        return potential

    def _reference(self, numbers):
        strangers = sorted({int(z) for z in numbers} - set(self.references))
        if strangers:
            raise ValueError(
                f"atomic numbers {strangers} are unknown to this potential, which knows {list(self.elements)}; "
                "fit one on data that contain them"
            )
        return sum(self.references[int(z)] for z in numbers)


class ConstantEnergy(Energy):
    """The same energy everywhere [kJ/mol]."""

    value: float

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        return jnp.full(positions.shape[2:], self.value, jnp.result_type(positions))
