"""Latent charges: charges that nobody labeled, learned from energies and forces [cheng2025].

    E = sum_i e_i + `EnvironmentCharges`

``e`` of any linear learner. Given charges, that part is one linear fit; what it cannot express decides the charges, see
`variable_projection`: few parameters, exact derivatives, several starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.csgraph import connected_components

from thalweg.learned_potentials.frames.forgiving import Forgiving
from thalweg.learned_potentials.linear.learner import OnePass, forces_of_some
from thalweg.learned_potentials.long_range.environment_charges import (
    CONSERVED,
    USUAL_CHANGE,
    EnvironmentCharges,
    no_charges,
)
from thalweg.learned_potentials.long_range.variable_projection import Expected, fit_beside, without
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.representation import Representation
from thalweg.representations.symmetry_functions import SymmetryFunctions, radial_grid
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration

BONDED = SymmetryFunctions(0.3, radial=radial_grid(0.3, 3), narrow=(), wide=())
"""Who is bonded, at which distance: little, since energies say little of it."""

USUAL_CHARGE = 0.5
"""Charges of elements are about so large [e]."""

USUAL_POLARIZABILITY = 1e-3
"""Of an atom [nm^3]."""

WHOLE = 0.15
"""A molecule alone whose charge is so near to a whole number has that number [e]."""


@dataclass(frozen=True)
class LatentCharges:
    """A linear learner for what is near, and charges and polarizabilities that nobody labeled for what is far.

    Labels of charges are not looked at; `LabeledCharges` looks at nothing else.

    Parameters
    ----------
    learner : of the local part: `Linear`, `Together`, `SparseKernel`; where it is not `Forgiving`, it becomes so: what
        is near errs more, and what is far has small forces and decides
    seen : what charges depend on beside their element: by default who is bonded, at which distance
    starts : charges at random that fits begin with
    force_sites : atoms whose forces charges are fitted to at most; the local part takes all
    """

    learner: OnePass
    seen: Representation = BONDED
    starts: int = 4
    force_sites: int = 2000

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A `LearnedPotential` of the `EnvironmentCharges` and the learner's term for what that leaves.

        Raises
        ------
        ValueError
            If no frame has a label that is not zero, or a frame repeats in one or two directions only.
        """
        if not any(_tells(frame) for frame in configurations):
            raise ValueError("no frame has a label that is not zero; there is nothing to learn")
        configurations = [_said(frame) for frame in configurations]
        labeled = [frame for frame in configurations if frame.energy is not None or frame.forces is not None]
        few = forces_of_some(labeled, self.force_sites, seed)
        local = self.learner.addends
        near = min(addend.part(configurations, seed).representation.cutoff for addend in local)
        start = no_charges(configurations, self.seen, near)
        term_of = partial(_with, start)
        learner = self.learner
        if learner.forgiving is None:
            learner = replace(learner, forgiving=Forgiving())
        expected = _expected(start, labeled)
        random = np.random.default_rng(seed)
        starts = [expected.drawn(random) for _ in range(self.starts)]
        whole = partial(_whole, start, labeled, expected)
        end = fit_beside(learner, term_of, expected, starts, few, weights, seed, progress, whole)
        term = jax.tree.map(np.asarray, term_of(end.parameters))
        rest = learner.fit(
            without(term, configurations),
            validation=validation,
            weights=weights,
            seed=seed,
            progress=progress,
        )
        potential = LearnedPotential(dict.fromkeys(term.elements, 0.0), (term, rest.term))
        told = ", ".join(f"{z}: {q:.2f}" for z, q in zip(term.elements, term.constants))
        note = f"Latent charges of elements in mean surroundings: {told} e."
        info = FitInfo(rest.info.chosen, rest.info.held_out, converged=end.converged, notes=(note,))
        return FittedTerm(potential, info)


def _said(frame):
    """The frame; neutral, where it says nothing of its charge."""
    return replace(frame, info={"charge": 0.0, **frame.info})


def _tells(frame):
    """Whether a label is not zero."""
    return any(
        label is not None and np.any(np.asarray(label) != 0)
        for label in (frame.energy, frame.forces, frame.stress)
    )


def _with(start: EnvironmentCharges, parameters: Float[Array, " parameters"]) -> EnvironmentCharges:
    """``start`` with constants, slopes and polarizabilities, one after the other."""
    count, width = start.slopes.shape
    constants, slopes, volumes = jnp.split(parameters, [count, count * (1 + width)])
    return replace(
        start,
        constants=constants,
        slopes=slopes.reshape(count, width),
        polarizabilities=USUAL_POLARIZABILITY * volumes,
    )


def _expected(start: EnvironmentCharges, configurations: Sequence[Configuration]) -> Expected:
    """Charges of usual sizes, which add up to those of the frames; polarizabilities that are not negative."""
    count, width = start.slopes.shape
    sums = np.array([each.sum(0) for each in start.by_parameter(configurations)])
    charges = np.array([float(frame.info.get("charge", 0.0)) for frame in configurations])
    spread = np.repeat([USUAL_CHARGE, USUAL_CHANGE, 1.0], [count, count * width, count])
    return Expected(
        np.zeros(len(spread)),
        spread,
        np.repeat([-np.inf, 0.0], [count * (1 + width), count]),
        np.pad(sums, ((0, 0), (0, count))) / CONSERVED,
        charges / CONSERVED,
    )


def _whole(
    start: EnvironmentCharges,
    configurations: Sequence[Configuration],
    expected: Expected,
    parameters: np.ndarray,
) -> Expected:
    """The same, and that molecules in the open, out of sight of all others, have charges of whole numbers.

    Energies decide which; what is not near one at ``parameters`` is left as it is.
    """
    open_ones = [frame for frame in configurations if not any(frame.periodic)]
    rows = [
        (scaled[molecules == k]).sum(0)
        for frame, scaled in zip(open_ones, start.by_parameter(open_ones))
        if (molecules := _molecules(frame, start.representation.cutoff)).max() > 0
        for k in range(molecules.max() + 1)
    ]
    if not rows:
        return expected
    table = np.pad(np.array(rows), ((0, 0), (0, len(start.elements))))
    charges = table @ parameters
    near = np.abs(charges - np.round(charges)) < WHOLE
    return replace(
        expected,
        rows=np.concatenate([expected.rows, table[near] / CONSERVED]),
        values=np.concatenate([expected.values, np.round(charges[near]) / CONSERVED]),
    )


def _molecules(frame, sight):
    """For each atom the number of its molecule: atoms that see each other, one after the other."""
    apart = np.linalg.norm(frame.positions[:, None] - frame.positions[None], axis=2)
    return connected_components(apart < sight, directed=False)[1]
