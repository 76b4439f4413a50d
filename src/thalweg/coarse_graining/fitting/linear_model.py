"""A coarse potential linear in its coefficients: what fits of forces and of relative entropy return."""

from __future__ import annotations

from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.coarse_graining.interactions.functions import BSplines
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, Interaction, PairInteraction
from thalweg.learning.models import Model
from thalweg.potentials.energy import Energy, Sum
from thalweg.shapes import Float

HARDLY = 1e-4
"""Splines that count less than this, of the one of their potential that counts most, are told by the others."""


@dataclass(frozen=True)
class LinearCoarseModel(Model):
    """``U(x) = U_prior(x) + sum_k c_k Phi_k(x)``.

    Attributes
    ----------
    interactions : what coefficients belong to, in their order
    coefficients : (functions,) [kJ/mol]
    errors : (functions,) standard errors, from fits to all but one stretch of the frames (jackknife)
    beads : how many the system has
    prior : what was known before, or None
    info : how the fit went: residuals, strength, rounds
    """

    interactions: tuple[Interaction, ...]
    coefficients: Float[np.ndarray, " functions"]
    errors: Float[np.ndarray, " functions"]
    beads: int
    prior: Energy | None
    info: Table[str, Any]

    def headline(self) -> Table[str, Any]:
        return {"coefficients": len(self.coefficients), **self.info}

    @property
    def names(self) -> tuple[str, ...]:
        """A name a coefficient."""
        return tuple(name for one in self.interactions for name in one.names)

    def energy(self) -> Energy:
        """The energy of the beads, to run in an engine."""
        parts = [] if self.prior is None else [self.prior]
        at = 0
        for one in self.interactions:
            size = len(one.names)
            parts.append(one.energy(self.coefficients[at : at + size], self.beads))
            at += size
        return Sum(tuple(parts))

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and errors whose names begin with ``name``.

        Raises
        ------
        KeyError
            If there are none.
        """
        chosen = [k for k, each in enumerate(self.names) if each.startswith(name)]
        if not chosen:
            raise KeyError(f"no coefficient begins with {name!r}; there are {', '.join(self.names)}")
        return self.coefficients[chosen], self.errors[chosen]


def continued(
    interactions: Sequence[Interaction],
    coefficients: Float[np.ndarray, " functions"],
    counts: Float[np.ndarray, " functions"],
) -> Float[np.ndarray, " functions"]:
    """Coefficients of a fit, those of splines of one coordinate that hardly any data were under told by the others.

    Parameters
    ----------
    counts : how much data each function had, in any unit
    """
    found, at = np.array(coefficients, float), 0
    for one in interactions:
        part = slice(at, at + len(one.names))
        found[part] = told_by_others(_of_one_coordinate(one), found[part], counts[part])
        at = part.stop
    return found


def told_by_others(
    functions: object, coefficients: Float[np.ndarray, " functions"], counts: Float[np.ndarray, " functions"]
) -> Float[np.ndarray, " functions"]:
    """`continued` of the functions of one coordinate; what are no splines stay as they are."""
    if isinstance(functions, BSplines):
        return functions.continued(coefficients, counts > HARDLY * counts.max())
    return coefficients


def _of_one_coordinate(one: Interaction) -> object:
    if isinstance(one, BondedInteraction):
        return one.coordinates[0].functions if len(one.coordinates) == 1 else None
    return one.functions if isinstance(one, PairInteraction) else None
