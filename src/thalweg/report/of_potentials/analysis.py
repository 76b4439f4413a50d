"""A learned potential judged: predictions against labels, where errors are, what the uncertainty is worth.

Coverage is tried at all levels at once: of residuals ``r`` with claimed deviations ``s``, the fraction with
``|r| <= z s`` should be what a normal distribution has inside ``z`` [gneiting2007].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from thalweg.learned_potentials.frames.duplicates import contacts
from thalweg.learned_potentials.frames.errors import SHOWN, errors_of, residuals
from thalweg.learned_potentials.learning_curve import LearningCurve
from thalweg.learned_potentials.linear.regularization import FrontPoint
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Labels, Spread, Weights
from thalweg.learned_potentials.uncertainty.distance_to_training import (
    distances_to_training,
    errors_by_distance,
)
from thalweg.learning.calibration import coverage, rank_correlation, reliability_curve
from thalweg.learning.deviation_map import closed_below
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

TOO_FAR = 1.5
"""Claims that differ from errors by more than this factor are warned of."""

FEW = 8
"""Fewer frames say little of claims."""

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
    owners = np.repeat(labeled, [np.size(claims.forces[k]) for k in labeled])
    claimed = np.concatenate([np.ravel(claims.forces[k]) for k in labeled])
    off = np.concatenate([np.ravel(predicted.forces[k] - frames[k].forces) for k in labeled])
    # components that symmetry makes zero are claimed to be certain, and say nothing of the claims
    free = claimed > max(closed_below(claimed), claims.certain * (1 + 1e-9))
    if not free.any():
        return None
    claimed = np.hypot(claimed, claims.noise)  # labels are noisy, too
    claimed, off, owners = claimed[free] / MEV_PER_ANGSTROM, off[free] / MEV_PER_ANGSTROM, owners[free]
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
        *_ratio(claimed, off, owners),
        len(np.unique(owners)),
    )


def _ratio(claimed, off, owners) -> tuple[float, float]:
    """Root mean square claim over root mean square error, and its relative standard error over frames.

    Errors beyond four claims count as four: one wrong label is no verdict on the claims.
    """
    squares = np.minimum(np.abs(off), 4 * claimed) ** 2
    claims = claimed**2
    ratio = float(np.sqrt(claims.sum() / max(squares.sum(), 1e-300)))
    groups = np.unique(owners, return_inverse=True)[1]
    # of log ratio = log(sum claims / sum squares) / 2: what each frame adds, over frames
    pulls = np.bincount(groups, claims) / claims.sum() - np.bincount(groups, squares) / max(
        squares.sum(), 1e-300
    )
    count = len(pulls)
    error = 0.5 * np.sqrt(pulls @ pulls * count / (count - 1)) if count > 1 else float("nan")
    return ratio, float(error)


def claims_in_words(uncertainty: ForceUncertainty) -> tuple[str, ...]:
    """Where claims are wrong by more than `TOO_FAR`, in all or where they are lowest or highest; beyond chance."""
    said = []
    ratio, error = uncertainty.ratio, uncertainty.ratio_error
    doubt = 1 + 2 * error if error == error else float("inf")
    frames = f"{uncertainty.frames} frame{'s' * (uncertainty.frames > 1)}"
    if ratio > TOO_FAR * doubt:
        said.append(
            f"The uncertainty is far too large: claims are {ratio:.2g} times the errors, and "
            f"{100 * uncertainty.coverage_68:.0f} % of errors lie within one claimed deviation where 68 % should."
        )
    elif ratio * TOO_FAR * doubt < 1:
        said.append(
            f"The uncertainty is far too small: errors are {1 / ratio:.2g} times the claims, and only "
            f"{100 * uncertainty.coverage_95:.0f} % lie within two claimed deviations where 95 % should."
        )
    elif uncertainty.coverage_95 < 0.9 and uncertainty.frames >= FEW:
        said.append("Large errors are more frequent than the uncertainty says.")
    elif uncertainty.frames < FEW:
        said.append(
            f"What the uncertainty is worth was judged on {frames} only: it may be otherwise on others."
        )
    claimed, rmse = uncertainty.claimed, uncertainty.rmse
    if len(claimed) >= 5 and uncertainty.frames >= FEW:
        fifth = max(1, len(claimed) // 5)
        ends = [
            np.sqrt(np.mean(side[part] ** 2))
            for part in (slice(fifth), slice(-fifth, None))
            for side in (claimed, rmse)
        ]
        low, high = ends[0] / ends[1], ends[2] / ends[3]
        if low * TOO_FAR < 1 < high or low < 1 < high / TOO_FAR:
            said.append(
                f"Claims spread too widely: the lowest fifth claims {ends[0]:.3g} meV/Å and errs by {ends[1]:.3g}, the "
                f"highest claims {ends[2]:.3g} and errs by {ends[3]:.3g}."
            )
    return tuple(said)


def front(
    points: Sequence[FrontPoint], weights: Weights, held_out: Mapping[str, float] | None = None
) -> Front | None:
    """A Pareto front for the page; None without both energies and forces.

    Parameters
    ----------
    held_out : errors of the fit itself, by label; those of the point with its weights unless given
    """
    if not points or not {"energy", "force"} <= set(points[0].held_out):
        return None
    own = held_out if held_out and {"energy", "force"} <= set(held_out) else None
    if own is None:
        nearest = min(points, key=lambda point: abs(np.log(point.weights.energy / weights.energy)))
        own = nearest.held_out
    units = {"energy": unit("meV", "energy"), "force": MEV_PER_ANGSTROM, "stress": unit("meV", "energy")}
    labels = [label for label in units if label in points[0].held_out]
    found = {label: np.array([point.held_out[label] for point in points]) / units[label] for label in labels}
    return Front(
        found["energy"],
        found["force"],
        np.array([point.weights.energy for point in points]) / weights.energy,
        tuple(own[label] / units[label] if label in own else float("nan") for label in labels),
        found.get("stress"),
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
