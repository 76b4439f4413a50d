"""An energy is a function of positions; a force is its gradient; energies add.

Learned, classical, coarse-grained and bias energies obey one protocol, so ``forcefield + bias`` is again an energy.
"""

from __future__ import annotations

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.machine.precision import full_precision
from thalweg.shapes import Array, Bool, Box, Energies, Forces, Positions


class Energy(eqx.Module):
    """A differentiable energy ``U(x)`` [kJ/mol] of positions [nm], with any replica axes behind ``(atoms, dims)``.

    Subclasses are final and write plain array code that never mixes replicas. What depends on a neighbor list
    holds it as a leaf and returns an updated copy from `refreshed`.
    """

    @abc.abstractmethod
    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        """Energies, shape ``(*replicas,)`` [kJ/mol], of ``positions`` ``(atoms, dims, *replicas)`` [nm]."""

    def refreshed(self, positions: Positions, box: Box | None = None) -> Energy:
        """This energy with neighbor lists valid around ``positions``; itself where it has none."""
        return self

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""] | bool:
        """Whether to refresh before another step: a neighbor list barely covers ``positions``. False without one.

        To be answered with room for one step of the fastest atom, since it is asked before the step.
        """
        return False

    def __add__(self, other: Energy) -> Energy:
        left = self.terms if isinstance(self, Sum) else (self,)
        right = other.terms if isinstance(other, Sum) else (other,)
        return Sum(left + right)


class EnergyElsewhere(Energy):
    """The energy of a system that only another program evaluates; asked for it, this says why.

    Attributes
    ----------
    reason : what it is that is not evaluated here, and what to do
    """

    reason: str = eqx.field(static=True)

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        raise ValueError(self.reason)

    def refreshed(self, positions: Positions, box: Box | None = None) -> Energy:
        raise ValueError(self.reason)


class Sum(Energy):
    """The sum of energies, ``U = sum_k U_k``."""

    terms: tuple[Energy, ...]

    @full_precision()
    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        positions = jnp.asarray(positions)
        return sum((term(positions, box) for term in self.terms), jnp.zeros_like(positions[0, 0]))

    def refreshed(self, positions: Positions, box: Box | None = None) -> Energy:
        return Sum(tuple(term.refreshed(positions, box) for term in self.terms))

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""] | bool:
        answers = [term.stale(positions, box) for term in self.terms]
        return (
            any(answers) if all(isinstance(answer, bool) for answer in answers) else jnp.array(answers).any()
        )


@full_precision()
def energy_and_forces(
    energy: Callable, positions: Positions, box: Box | None = None
) -> tuple[Energies, Forces]:
    """Energies ``(*replicas,)`` [kJ/mol] and forces ``-dU/dx``, shaped like ``positions`` [kJ/mol/nm]."""

    def total(x):
        energies = energy(x, box)
        return energies.sum(), energies

    gradient, energies = jax.grad(total, has_aux=True)(positions)
    return energies, -gradient
