"""A fitted potential that keeps what spans its training set, whatever it is made of.

Terms that are linear in their coefficients are graded by these, where choosing ``f`` active rows out of ``n`` costs
little beside the fit: about ``n f^2`` multiplications (`learning.maximum_volume`) and ``8 n f`` bytes for the rows. All
other potentials (kernels, which are bounded and so would be their grades, committees, networks) are graded in the
functions of a small expansion with their reach: whether an environment lies between those taught does not depend on
what was made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import numpy as np

from thalweg.learned_potentials.linear.design import Part, feature_count
from thalweg.learned_potentials.linear.extrapolation import LABELED, ActiveSet
from thalweg.learned_potentials.linear.linear_term import PlainFeatures
from thalweg.learned_potentials.linear.off_points import Sparse
from thalweg.learned_potentials.linear.polynomials import PolynomialTerm
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Graded
from thalweg.machine.memory import available_memory
from thalweg.representations.expansions.ace import ACE
from thalweg.systems.configuration import Configuration, elements_of

WORK = 2e10
"""Multiplications of less than a minute."""

REACH = 0.5
"""How far a graded environment goes at most [nm]."""

MIXED = 3
"""Elements from which on neighbors are told apart by so many mixtures of them."""


class SpannedEnvironments(eqx.Module):
    """Environments of a training set in the functions of an expansion, as something to grade others by.

    Attributes
    ----------
    parts : the expansion
    active : the environments that span the training set
    """

    parts: tuple[Part, ...]
    active: ActiveSet

    @staticmethod
    def of(training: Sequence[Configuration], cutoff: float) -> SpannedEnvironments:
        """Those of ``training`` frames up to ``cutoff`` [nm]."""
        part = _expansion(elements_of(training), cutoff)
        return SpannedEnvironments((part,), ActiveSet.of((part,), training))

    def with_active_set(self, configurations: Sequence[Configuration]) -> SpannedEnvironments:
        """The same functions, and environments of ``configurations``."""
        return replace(self, active=ActiveSet.of(self.parts, configurations))

    def grades(self, configurations: Sequence[Configuration]) -> tuple[np.ndarray, ...]:
        """Extrapolation grade of every atom, see `thalweg.learned_potentials.linear.extrapolation`."""
        return self.active.grades(self.parts, configurations)


def graded(
    potential: LearnedPotential,
    training: Sequence[Configuration],
    held_out: Sequence[Configuration] = (),
    work: float = WORK,
) -> LearnedPotential:
    """``potential`` with what spans its training set, and grades of ``held_out`` frames on its card.

    Parameters
    ----------
    training : the frames it was fitted to, with or without labels; where they are too many, frames evenly among them;
        without any the potential stays as it is
    held_out : frames like them that were not fitted to: what their grades are tells what grades of others mean
    work : multiplications to spend; a linear term that takes more is graded by a smaller expansion
    """
    if not training:
        return potential
    linear = [term for term in potential.terms if isinstance(term, Graded)]
    if linear and all(_is_affordable(term, training, work) for term in linear):
        rows = " and ".join("{} rows of {} functions".format(*_size(term, training)) for term in linear)
        used, knowing = training, potential.with_active_set(training)
    else:
        used = _some(training, potential, work)
        spanned = SpannedEnvironments.of(used, _reach(potential))
        knowing = replace(potential, environments=spanned)
        sites = sum(len(frame) for frame in used)
        rows = f"{sites} environments in {spanned.parts[0].basis.count} functions of an expansion"
    summary = {"frames": len(used), "rows": rows}
    if held_out:
        grades = np.array([grades.max() for grades in knowing.grades(held_out)])
        summary |= {"held_out": len(grades), "held_out_median": float(np.median(grades))}
        summary |= {
            "held_out_largest": float(grades.max()),
            "held_out_beyond_2": int((grades > LABELED).sum()),
        }
    return replace(knowing, card={**knowing.card, "active_set": summary})


def _reach(potential: LearnedPotential) -> float:
    """The cutoff of the potential, `REACH` at most."""
    cutoff = potential.card.get("cutoff")
    return min(float(cutoff), REACH) if isinstance(cutoff, int | float) and cutoff > 0 else REACH


def _expansion(elements: Sequence[int], cutoff: float) -> Part:
    """Some 70 to 370 functions: of more bodies and finer where there are fewer elements."""
    channels = MIXED if len(elements) > MIXED else None
    levels = (12, 10, 8) if len(elements) == 1 else (8, 7, 6)
    expansion = ACE(cutoff=cutoff, levels=levels, channels=channels).over(elements)
    return Part(expansion, PlainFeatures(feature_count(expansion), len(elements)))


def _some(training: Sequence[Configuration], potential: LearnedPotential, work: float):
    """All frames, or as many evenly among them as ``work`` and memory allow."""
    functions = _expansion(elements_of(training), _reach(potential)).basis.count
    sites = sum(len(frame) for frame in training)
    stride = int(
        max(1, np.ceil(sites * functions**2 / work), np.ceil(32 * sites * functions / available_memory()))
    )
    known, used = set(), []
    for k, frame in enumerate(training):  # every stride-th, and any with an element not met before
        fresh = {int(z) for z in frame.numbers} - known
        if k % stride == 0 or fresh:
            used.append(frame)
            known |= fresh
    return used


def _is_affordable(term: Graded, training: Sequence[Configuration], work: float) -> bool:
    """Whether its own functions can grade frames, and that within ``work`` and memory."""
    if any(isinstance(part.basis, Sparse) for part in getattr(term, "parts", ())):
        return False
    rows, functions = _size(term, training)
    return rows * functions**2 <= work and 16 * rows * functions <= available_memory() / 2


def _size(term: Graded, training: Sequence[Configuration]) -> tuple[int, int]:
    """Rows to choose from, and functions."""
    atoms = sum(len(frame) for frame in training)
    if isinstance(term, PolynomialTerm):
        return 3 * atoms, term.basis.count
    return atoms, sum(max(part.basis.sizes) for part in term.parts)
