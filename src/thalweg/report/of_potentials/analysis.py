"""A learned potential judged: predictions against labels, where errors are, what the uncertainty is worth.

Coverage is tried at all levels at once: of residuals ``r`` with claimed deviations ``s``, the fraction with
``|r| <= z s`` should be what a normal distribution has inside ``z`` [gneiting2007].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.learned_potentials.frames.duplicates import contacts
from thalweg.learned_potentials.frames.errors import SHOWN, errors_of, residuals
from thalweg.learned_potentials.learning_curve import LearningCurve
from thalweg.learned_potentials.linear.regularization import FrontPoint
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Labels, Spread, Weights
from thalweg.learned_potentials.uncertainty.calibrated import CERTAIN
from thalweg.learned_potentials.uncertainty.distance_to_training import (
    distances_to_training,
    errors_by_distance,
)
from thalweg.learning.calibration import coverage, rank_correlation, reliability_curve
from thalweg.learning.trainer import History
from thalweg.report.of_potentials.results import (
    CurveLine,
    ErrorCourse,
    ForceUncertainty,
    Front,
    Judged,
    TrainingCourse,
)
from thalweg.representations.expansions.ace import ACE
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.units import ANGSTROM, ELECTRONVOLT, unit

POINTS = 6000
"""Force components of a set that are drawn."""

LIBRARY = 20000
"""Atoms of the training set that distances are measured from."""

REACH = 0.4
"""Neighbors further than this do not count as nearest [nm]."""

GROUPS = 8
"""Groups of atoms along a distance."""

MEV_PER_ANGSTROM = unit("meV/Å", "force")
EV_PER_ANGSTROM = ELECTRONVOLT / ANGSTROM


def judged(
    name: str, frames: Sequence[Configuration], potential: LearnedPotential, predicted: Labels
) -> Judged:
    """Errors of ``predicted`` labels of ``frames``, and the points of parity plots."""
    energies = np.array(
        [
            np.array([frame.energy, energy]) - sum(potential.references[int(z)] for z in frame.numbers)
            for frame, energy in zip(frames, predicted.energies)
            if frame.energy is not None
        ]
    ).reshape(-1, 2)
    sizes = np.array([len(frame) for frame in frames if frame.energy is not None], float)
    pairs = [
        np.stack([np.ravel(frame.forces), np.ravel(forces)], 1)
        for frame, forces in zip(frames, predicted.forces)
        if frame.forces is not None
    ]
    forces = np.concatenate([np.zeros((0, 2)), *pairs])
    shown = forces
    if len(forces) > POINTS:
        shown = forces[np.sort(np.random.default_rng(0).choice(len(forces), POINTS, replace=False))]
    return Judged(
        name,
        len(frames),
        energies / sizes[:, None] / ELECTRONVOLT,
        shown / EV_PER_ANGSTROM,
        len(forces),
        tuple(errors_of(frames, predicted).rows()),
    )


def by_element(sets: Sequence[Judged]) -> dict[str, dict[str, tuple[float, float]]]:
    """Set -> element -> mean absolute and root mean square force error [meV/Å]."""
    return {
        each.name: {
            row[0].split(" on ")[1]: (row[2], row[3]) for row in each.rows if row[0].startswith("forces on ")
        }
        for each in sets
    }


def courses(
    frames: Sequence[Configuration], predicted: Labels, training: Sequence[Configuration] = ()
) -> tuple[ErrorCourse, ...]:
    """Force errors of ``frames`` by distance to the nearest neighbor, and by distance to the training set."""
    forces = residuals(frames, predicted).forces
    near = [_nearest(frame) for frame in frames]
    along = [_course("distance to the nearest neighbor", "Å", near, forces, ANGSTROM)]
    known = set(elements_of(training))
    if training and known >= set(elements_of(frames)):
        stride = max(1, -(-sum(len(frame) for frame in training) // LIBRARY))
        far = distances_to_training(
            ACE(cutoff=0.5, levels=(8, 6), channels=3 if len(known) > 3 else None), training[::stride], frames
        )
        along.append(_course("distance to the training set", "", far, forces, 1.0))
    return tuple(course for course in along if course is not None)


def curve_lines(curve: LearningCurve, available: int) -> tuple[CurveLine, ...]:
    """Energies per atom and forces of a learning curve drawn from the ``available`` frames.

    Draws of all frames are the same frames: no error is given there.
    """
    lines = []
    for label in ("energy per atom", "forces"):
        name, unit_size = SHOWN[label]
        mean = curve.mean(label) / unit_size
        if np.isfinite(mean).all():
            error = np.where(
                np.array(curve.sizes) < available, curve.standard_error(label) / unit_size, np.nan
            )
            lines.append(CurveLine(label, name, np.array(curve.sizes), mean, error, curve.exponent(label)))
    return tuple(lines)


def force_uncertainty(
    claims: Spread, frames: Sequence[Configuration], predicted: Labels, on: str
) -> ForceUncertainty | None:
    """What the calibrated uncertainty that a potential ``claims`` is worth on ``frames``, of which some have forces.

    None where all forces are zero by symmetry.
    """
    labeled = [k for k, frame in enumerate(frames) if frame.forces is not None]
    claimed = np.concatenate([np.ravel(claims.forces[k]) for k in labeled])
    off = np.concatenate([np.ravel(predicted.forces[k] - frames[k].forces) for k in labeled])
    # components that symmetry makes zero are claimed to be certain, and say nothing of the claims
    free = claimed > CERTAIN * np.sqrt(np.mean(claimed**2))
    if not free.any():
        return None
    claimed, off = claimed[free] / MEV_PER_ANGSTROM, off[free] / MEV_PER_ANGSTROM
    levels = np.linspace(0.05, 0.95, 19)
    bins = reliability_curve(off, claimed)
    return ForceUncertainty(
        on,
        levels,
        np.array([coverage(off, claimed, level) for level in levels]),
        *bins.T,
        coverage(off, claimed, 0.6827),
        coverage(off, claimed, 0.95),
        rank_correlation(np.abs(off), claimed),
    )


def front(points: Sequence[FrontPoint], weights: Weights) -> Front | None:
    """A Pareto front for the page; None without both energies and forces."""
    if not points or not {"energy", "force"} <= set(points[0].held_out):
        return None
    weight = np.array([point.weights.energy for point in points]) / weights.energy
    return Front(
        np.array([point.held_out["energy"] for point in points]) / unit("meV", "energy"),
        np.array([point.held_out["force"] for point in points]) / MEV_PER_ANGSTROM,
        weight,
        int(np.abs(np.log(weight)).argmin()),
    )


def training_course(name: str, history: History) -> TrainingCourse:
    """A training for the page."""
    return TrainingCourse(
        name, history.training, history.held_out, history.best, float(history.seconds.sum())
    )


def _nearest(frame: Configuration) -> np.ndarray:
    """Distance of each atom to its nearest neighbor [nm], infinite beyond `REACH`."""
    nearest = np.full(len(frame), np.inf)
    i, j, distances = contacts(frame, REACH)
    np.minimum.at(nearest, i, distances)
    np.minimum.at(nearest, j, distances)
    return nearest


def _course(name, label, distances, forces, unit_size) -> ErrorCourse | None:
    """Errors in equally filled groups along a distance; None if atoms make fewer than two."""
    kept = [None if off is None else np.isfinite(far) for far, off in zip(distances, forces)]
    groups = errors_by_distance(
        [far if keep is None else far[keep] for far, keep in zip(distances, kept)],
        [None if keep is None else off[keep] for off, keep in zip(forces, kept)],
        GROUPS,
    )
    if len(groups) < 2:
        return None
    centers, errors = zip(*groups)
    return ErrorCourse(
        name,
        label,
        np.array(centers) / unit_size,
        np.array([error.mae for error in errors]) / MEV_PER_ANGSTROM,
        np.array([error.rmse for error in errors]) / MEV_PER_ANGSTROM,
    )
