"""How far beyond its training set a linear potential is asked: the D-optimality grade [podryabinkin2017].

A potential that is linear in its coefficients has a row ``x`` of functions for each site. Of all rows of the training
set, one per coefficient is chosen so that their determinant is locally maximal (`learning.maximum_volume`): the
*active set* ``A`` of an element. The grade of a site,

    gamma = max_j |(x A^-1)_j|,

is at most one where the energy of the site is interpolated between energies of active sites, and more where it is
extrapolated; the grade of a frame is the largest of its atoms. Frames of grade above two are usually worth a label,
above ten they should stop a simulation. Labels play no part, and exchanging a row for one of grade gamma multiplies
the determinant by gamma, which is how new frames enter (`ActiveSet.extended`).

A potential of a whole molecule (`PolynomialFit`) has no sites: its rows are those of force components.

Of functions that are many or alike, training rows leave some directions out or nearly so; a fit holds coefficients
back there. Unit vectors of `SMALLEST` times the usual size of a function stand in for rows in them. Without these, or
with much smaller ones, a model of half as many functions as training sites calls frames it predicts well far out.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import numpy as np

from thalweg.learned_potentials.linear.design import Part
from thalweg.learned_potentials.terms.term import NoUncertainty
from thalweg.learning.maximum_volume import TOLERANCE, combinations, maximum_volume
from thalweg.representations.environments import element_kinds
from thalweg.shapes import Float, Int
from thalweg.systems.configuration import Configuration

SMALLEST = 1e-2
"""Directions in which training rows are smaller than this, relative to their usual size, count as unseen."""

NEVER = 1e-6
"""Usual size of a function that is zero in the whole training set, relative to the largest."""

BLOCK = 4096
"""Sites compared with the active set at a time."""

PASSES = 5
"""At most this often all sites are looked at again."""

NOBODY = -1
"""Frame of a unit vector."""

LABELED, STOPPED = 2.0, 10.0
"""Frames of more than these grades are worth a label, or not to be trusted [podryabinkin2017]."""


class ActiveSet(eqx.Module):
    """The sites that span the training set of a linear potential.

    Attributes
    ----------
    rows : one square matrix per element, ``(functions, functions)``
    frames : index of the training frame of each row; -1 for a unit vector that no frame has replaced
    training_frames : how many there were
    """

    rows: tuple[Float[np.ndarray, "functions functions"], ...]
    frames: tuple[Int[np.ndarray, " functions"], ...]
    training_frames: int

    @staticmethod
    def of(parts: Sequence[Part], configurations: Sequence[Configuration]) -> ActiveSet:
        """The active set of the ``parts`` of a potential in training ``configurations``.

        No site of ``configurations`` has a grade above `learning.maximum_volume.TOLERANCE`, unless `PASSES` over them
        were not enough.
        """
        kinds = len(parts[0].representation.elements)
        return ActiveSet.spanning(*site_rows(parts, configurations), kinds, len(configurations))

    @staticmethod
    def spanning(
        rows: Float[np.ndarray, "rows functions"],
        kinds: Int[np.ndarray, " rows"],
        owners: Int[np.ndarray, " rows"],
        count: int,
        training_frames: int,
    ) -> ActiveSet:
        """The active set of any ``rows`` of ``count`` ``kinds``, whose frames are ``owners``."""
        chosen = []
        for kind in range(count):
            mine = rows[kinds == kind]
            # unit vectors stand in for directions that no row of a frame has
            sizes = np.sqrt((mine**2).sum(0) / max(len(mine), 1))
            units = SMALLEST * np.diag(np.maximum(sizes, NEVER * (sizes.max(initial=0.0) or 1.0)))
            chosen.append(_largest_volume(units, np.full(len(units), NOBODY), mine, owners[kinds == kind]))
        return ActiveSet(*map(tuple, zip(*chosen)), training_frames)

    @property
    def filled(self) -> float:
        """Fraction of its rows that are of frames: below one, some directions were never seen."""
        return float(np.mean(np.concatenate(self.frames) != NOBODY))

    def grades(
        self, parts: Sequence[Part], configurations: Sequence[Configuration]
    ) -> tuple[np.ndarray, ...]:
        """Grade of every atom of each frame, ``(atoms,)`` each."""
        grades = []
        for frames in _few_sites(configurations):
            rows, kinds, _ = site_rows(parts, frames)
            grades += np.split(self.grades_of(rows, kinds), np.cumsum([len(frame) for frame in frames])[:-1])
        return tuple(grades)

    def grades_of(
        self, rows: Float[np.ndarray, "rows functions"], kinds: Int[np.ndarray, " rows"], together: int = 1
    ) -> Float[np.ndarray, " groups"]:
        """``gamma`` of ``rows`` of ``kinds``, so many ``together`` with ``|(x A^-1)_j|`` the length of all."""
        grades = np.zeros(len(rows) // together)
        for kind, active in enumerate(self.rows):
            mine = np.flatnonzero(kinds[::together] == kind)
            for block in np.array_split(mine, -(-len(mine) * together // BLOCK)) if len(mine) else ():
                x = rows.reshape(-1, together, rows.shape[1])[block]
                coefficients = combinations(x.reshape(-1, rows.shape[1]), active)
                lengths = np.sqrt((coefficients.reshape(len(block), together, -1) ** 2).sum(1))
                grades[block] = lengths.max(1)
        return grades

    def extended(
        self, parts: Sequence[Part], configurations: Sequence[Configuration], threshold: float = TOLERANCE
    ) -> tuple[ActiveSet, np.ndarray]:
        """The active set once ``configurations`` may enter, and which of them did.

        Parameters
        ----------
        threshold : sites of at most this grade do not enter; 2 chooses few and telling frames

        Returns
        -------
        The new active set, whose ``frames`` count on from the old ones, and indices of those ``configurations`` that
        own a row of it: the ones to label.
        """
        rows, kinds, owners = site_rows(parts, configurations)
        owners = self.training_frames + owners
        chosen = [
            _largest_volume(active, frames, rows[kinds == kind], owners[kinds == kind], threshold)
            for kind, (active, frames) in enumerate(zip(self.rows, self.frames))
        ]
        wider = ActiveSet(*map(tuple, zip(*chosen)), self.training_frames + len(configurations))
        entered = np.unique(np.concatenate(wider.frames)) - self.training_frames
        return wider, entered[entered >= 0]


def required(active: ActiveSet | None) -> ActiveSet:
    """``active``, or NoUncertainty where there is none yet."""
    if active is None:
        raise NoUncertainty(
            "this potential has no active set to extrapolate from; make one by with_active_set(training)"
        )
    return active


def site_rows(
    parts: Sequence[Part], configurations: Sequence[Configuration]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Functions of all sites, ``(sites, functions)``, their element indices and the indices of their frames.

    Elements have equally many columns; those an element does not use are zero.
    """
    elements = parts[0].representation.elements
    kinds = element_kinds(np.concatenate([frame.numbers for frame in configurations]), elements)
    columns = []
    for part in parts:
        features = np.concatenate(part.representation.features(configurations))
        values = np.zeros((len(kinds), max(part.basis.sizes)))
        for kind, size in enumerate(part.basis.sizes):
            mine = kinds == kind
            values[mine, :size] = part.basis.values(kind, features[mine])
        columns.append(values)
    owners = np.repeat(np.arange(len(configurations)), [len(frame) for frame in configurations])
    return np.concatenate(columns, 1), kinds, owners


def _largest_volume(active, frames, rows, owners, threshold=TOLERANCE):
    """Rows and their frames of locally maximal volume among ``active`` and ``rows``, a block of these at a time."""
    for _ in range(PASSES):
        before = frames
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            candidates = np.concatenate([active, rows[block]])
            candidate_frames = np.concatenate([frames, owners[block]])
            fresh = (frames == NOBODY).all()
            chosen = maximum_volume(candidates, None if fresh else np.arange(len(active)), threshold)
            active, frames = candidates[chosen], candidate_frames[chosen]
        if len(rows) <= BLOCK or np.array_equal(before, frames):
            break
    return active, frames


def _few_sites(configurations):
    """Frames in groups of at most `BLOCK` sites, or of one frame."""
    group, sites = [], 0
    for frame in configurations:
        if group and sites + len(frame) > BLOCK:
            yield group
            group, sites = [], 0
        group, sites = [*group, frame], sites + len(frame)
    if group:
        yield group
