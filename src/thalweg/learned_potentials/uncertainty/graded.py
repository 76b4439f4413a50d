"""A fitted potential that keeps what spans its training set, where that costs little beside the fit.

Choosing ``f`` active rows out of ``n`` takes about ``n f^2`` multiplications (`learning.maximum_volume`) and the rows
themselves ``8 n f`` bytes, so that potentials of many functions and frames go without, and their card says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thalweg.learned_potentials.linear.extrapolation import LABELED
from thalweg.learned_potentials.linear.polynomials import PolynomialTerm
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Graded
from thalweg.machine.memory import available_memory
from thalweg.systems.configuration import Configuration

WORK = 2e10
"""Multiplications of less than a minute."""


def graded(
    potential: LearnedPotential,
    training: Sequence[Configuration],
    held_out: Sequence[Configuration] = (),
    work: float = WORK,
) -> LearnedPotential:
    """``potential`` with the active set of its linear terms, and grades of ``held_out`` frames on its card.

    Where it has no linear term, or one whose active set takes more than ``work`` multiplications or half of the memory
    there is, it stays as it was; the card says why.

    Parameters
    ----------
    training : the frames it was fitted to, with or without labels
    held_out : frames like them that were not fitted to: what their grades are tells what grades of others mean
    """
    linear = [term for term in potential.terms if isinstance(term, Graded)]
    if not linear:
        return potential
    for term in linear:
        rows, functions = _size(term, training)
        needed = f"{rows} rows of {functions} functions"
        if rows * functions**2 > work or 16 * rows * functions > available_memory() / 2:
            reason = f"not kept: {needed} are too many to choose from; "
            reason += "potential.with_active_set(training) does it anyway"
            return replace(potential, card={**potential.card, "active_set": reason})
    knowing = potential.with_active_set(training)
    summary = {"frames": len(training), "rows": needed}
    if held_out:
        grades = np.array([grades.max() for grades in knowing.grades(held_out)])
        summary |= {"held_out": len(grades), "held_out_median": float(np.median(grades))}
        summary |= {
            "held_out_largest": float(grades.max()),
            "held_out_beyond_2": int((grades > LABELED).sum()),
        }
    return replace(knowing, card={**knowing.card, "active_set": summary})


def _size(term, training):
    """Rows to choose from, and functions."""
    atoms = sum(len(frame) for frame in training)
    if isinstance(term, PolynomialTerm):
        return 3 * atoms, term.basis.count
    return atoms, sum(max(part.basis.sizes) for part in term.parts)
