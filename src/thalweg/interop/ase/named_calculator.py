"""A calculator by the name that ASE knows it by: a level of theory, a baseline, or the first to explore with.

A pretrained potential is used so: ``NamedCalculator("mace_mp", (("model", "medium"),))``, or any class of yours after
``ase.calculators.calculator.register_calculator_class("mine", Mine)``. A name stands in studies and stores, and a
calculator does not: so settings are numbers and words, and no command lines or files.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import ase
import jax
import jax.numpy as jnp
import numpy as np
from ase.calculators.calculator import PropertyNotImplementedError, get_calculator_class, names
from ase.stress import voigt_6_to_full_3x3_stress

from thalweg.interop.files.configurations import to_atoms
from thalweg.labeling.level import LabelFailed, geometry_trouble
from thalweg.learned_potentials.terms.term import Labels
from thalweg.machine.surviving import reason
from thalweg.potentials.explicit_gradient import ExplicitGradient
from thalweg.shapes import Box, Energies, Positions
from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, ELECTRONVOLT

WORD = re.compile(r"[\w.+()-]+")
"""Settings that are texts."""

NEW = ("mace_mp", "mattersim")
"""Calculators that ASE finds and does not list."""

REFUSED = ("command", "profile", "directory", "label")
"""Settings that would run or write something."""


@dataclass(frozen=True)
class NamedCalculator:
    """An ASE calculator as a term and as a level of theory.

    Parameters
    ----------
    calculator : its name in ASE, such as ``"emt"``, or one that was registered there
    settings : keys and numbers or words that it is made with

    Raises
    ------
    ValueError
        If ASE knows no such calculator, or a setting is a command or a path.

    Examples
    --------
    >>> import ase.build
    >>> from thalweg.interop.files.configurations import from_atoms
    >>> copper = from_atoms(ase.build.bulk("Cu", cubic=True))
    >>> round(NamedCalculator("emt").label(copper).energy / ELECTRONVOLT, 4)
    -0.0227
    """

    calculator: str
    settings: tuple[tuple[str, float | int | bool | str], ...] = ()

    def __post_init__(self):
        if self.calculator not in (*names, *NEW):
            raise ValueError(
                f"ASE knows no calculator {self.calculator!r}; use one of {', '.join(names[:60])}, or register yours"
            )
        for key, value in self.settings:
            if key in REFUSED or (isinstance(value, str) and not WORD.fullmatch(value)):
                raise ValueError(
                    f"{key} = {value!r} is no setting of a named calculator: give numbers and words, no commands and "
                    "no paths; set these in ASE's configuration"
                )

    @property
    def name(self) -> str:
        """As one writes it."""
        inside = ", ".join(f"{key}={value}" for key, value in self.settings)
        return f"ase:{self.calculator}" + (f"({inside})" if inside else "")

    def provenance(self) -> Mapping[str, str]:
        return {"program": f"ASE, {self.calculator}", "version": ase.__version__, "level": self.name}

    def check(self, frame: Configuration) -> None:
        """Whether the calculator says anything of ``frame``.

        Raises
        ------
        ValueError
            If it does not know the elements, or is not installed.
        """
        try:
            self.label(frame)
        except LabelFailed as failure:
            raise ValueError(f"{self.name} cannot be asked about these atoms: {failure}") from None

    def seconds(self, frame: Configuration) -> float:
        return 0.01 + 1e-3 * len(frame)

    def label(self, frame: Configuration) -> Configuration:
        """Energy, forces, and stress of frames that repeat in all directions where the calculator has it.

        Raises
        ------
        LabelFailed
            If atoms are on top of each other, or the calculator fails.
        """
        if trouble := geometry_trouble(frame):
            raise LabelFailed(trouble)
        try:
            energy, forces, stress = self._single_point(frame)
        except Exception as error:
            raise LabelFailed(f"{self.name} failed: {reason(error)}") from error
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise LabelFailed(f"{self.name} gives no numbers for this geometry")
        return replace(frame, energy=energy, forces=forces, stress=stress if all(frame.periodic) else None)

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> NamedCalculatorEnergy:
        """The energy of atoms ``numbers`` for engines; every call leaves the compiled program for ASE."""
        x, y, z = (box is not None,) * 3 if periodic is None else map(bool, periodic)
        return NamedCalculatorEnergy(self, tuple(int(number) for number in numbers), (x, y, z))

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        """Energies, forces, and stresses where the calculator has them."""
        each = [self._single_point(frame) for frame in configurations]
        nothing = np.full((3, 3), np.nan)
        return Labels(
            np.array([energy for energy, _, _ in each], float),
            tuple(forces for _, forces, _ in each),
            tuple(nothing if stress is None else stress for _, _, stress in each),
        )

    def _single_point(self, frame: Configuration) -> tuple[float, np.ndarray, np.ndarray | None]:
        """Energy [kJ/mol], forces [kJ/mol/nm] and stress [kJ/mol/nm^3] of one frame."""
        atoms = to_atoms(frame.unlabeled)
        atoms.calc = _made(self.calculator, self.settings)
        energy = float(atoms.get_potential_energy()) * ELECTRONVOLT
        forces = np.array(atoms.get_forces(), float) * (ELECTRONVOLT / ANGSTROM)
        stress = None
        if all(frame.periodic):
            with contextlib.suppress(PropertyNotImplementedError):
                stress = voigt_6_to_full_3x3_stress(atoms.get_stress()) * (ELECTRONVOLT / ANGSTROM**3)
        return energy, forces, stress


@lru_cache(maxsize=4)
def _made(name: str, settings: tuple) -> Any:
    """The calculator, made once: a pretrained one takes seconds."""
    return get_calculator_class(name)(**dict(settings))


class NamedCalculatorEnergy(ExplicitGradient):
    """The energy of given atoms by a named calculator, which a compiled loop calls back to, one replica after another.

    Attributes
    ----------
    term : the calculator
    numbers : atomic numbers
    periodic : which cell vectors repeat
    """

    term: NamedCalculator
    numbers: tuple[int, ...]
    periodic: tuple[bool, bool, bool]

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        shapes = (
            jax.ShapeDtypeStruct(positions.shape[2:], positions.dtype),
            jax.ShapeDtypeStruct(positions.shape, positions.dtype),
        )
        cell = jnp.zeros((3, 3), positions.dtype) if box is None else box
        return jax.pure_callback(self._on_host, shapes, positions, cell, vmap_method="sequential")

    def _on_host(self, positions, box):
        """Energies and gradients of all replicas, in the precision of ``positions``."""
        positions = np.asarray(positions)
        flat = positions.reshape(*positions.shape[:2], -1).astype(float)
        cell = np.asarray(box, float) if any(self.periodic) else None
        frames = [
            Configuration(np.array(self.numbers), flat[..., r], cell, self.periodic)
            for r in range(flat.shape[2])
        ]
        labels = self.term.evaluate(frames)
        gradients = -np.stack(labels.forces, -1)
        return (
            labels.energies.reshape(positions.shape[2:]).astype(positions.dtype),
            gradients.reshape(positions.shape).astype(positions.dtype),
        )
