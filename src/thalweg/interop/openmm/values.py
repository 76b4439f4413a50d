"""Numbers out of OpenMM objects, and how the translation says no."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openmm
from openmm import unit


class TranslationError(ValueError):
    """A term of an OpenMM ``System`` has no translation; the message names it and says what to do."""


def refuse(force: openmm.Force, present: object, feature: str) -> None:
    """Raise a `TranslationError` if ``feature`` of ``force`` is ``present``."""
    if present:
        raise TranslationError(
            f"force {force.getName()!r} ({type(force).__name__}) with {feature} has no translation to the native "
            'engine; use the OpenMM engine (engine = "openmm" in a study), or remove that feature'
        )


def numbers_of(value):
    """Numbers of OpenMM quantities, or lists of them, in OpenMM's own units, which are ours."""
    if unit.is_quantity(value):
        value = value.value_in_unit_system(unit.md_unit_system)
    return [numbers_of(entry) for entry in value] if isinstance(value, list | tuple) else value


def term_table(parameters: Callable, count: int, atoms: int, columns: int) -> tuple[np.ndarray, ...]:
    """The atoms of each of a force's ``count`` terms as ``(terms, atoms)`` int, and every parameter as ``(terms,)``."""
    rows = np.array([numbers_of(parameters(k)) for k in range(count)], float).reshape(count, atoms + columns)
    return rows[:, :atoms].astype(int), *rows[:, atoms:].T
