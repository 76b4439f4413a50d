"""Whether forces are the gradient of the energies, and if not, by which factor: mixed units show.

Between two frames a and b of the same atoms, close to each other, the energy changes by the work

    dE = E_b - E_a,    W = -(F_a + F_b) . (x_b - x_a) / 2,    dE = W + O(|x_b - x_a|^3),

after b was turned onto a [kabsch1976] or, in a cell, moved to the nearest images. The slope of ``dE`` on ``W`` over
pairs of nearest frames is one. As the cubic error is mostly in ``W``, a plain regression is too flat; the slope lies
between that of ``dE`` on ``W`` and the inverse of that of ``W`` on ``dE``, which is the bracket reported. Frames that
are too far apart widen it until nothing can be said. Pairs weigh less the farther apart they are, and the more their
energies change beyond the usual: up a repulsive wall the work says little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, BOHR, ELECTRONVOLT, HARTREE, KILOCALORIE

RATIOS = {
    "Hartree/bohr read as eV/Å": HARTREE / ELECTRONVOLT * ANGSTROM / BOHR,
    "Hartree read as eV": HARTREE / ELECTRONVOLT,
    "eV read as kcal/mol": ELECTRONVOLT / KILOCALORIE,
    "eV read as kJ/mol": ELECTRONVOLT,
    "kcal/mol read as kJ/mol": KILOCALORIE,
    "Hartree read as kcal/mol": HARTREE / KILOCALORIE,
    "Hartree/bohr read as kcal/mol/Å": HARTREE / KILOCALORIE * ANGSTROM / BOHR,
    "Hartree read as kJ/mol": HARTREE,
    "Rydberg read as eV": HARTREE / ELECTRONVOLT / 2,
    "Rydberg/bohr read as eV/Å": HARTREE / ELECTRONVOLT / 2 * ANGSTROM / BOHR,
    "Hartree read as Rydberg": 2.0,
    "eV/Å read as kJ/mol/nm": ELECTRONVOLT / ANGSTROM,
    "1/bohr read as 1/Å": ANGSTROM / BOHR,
    "1/Å read as 1/nm": 1 / ANGSTROM,
    "eV read as meV": 1000.0,
}
"""What forces have to be multiplied by if they are in the first unit and were taken for the second (or energies the
other way round)."""

NEIGHBORS = 2
"""Each frame is paired with this many of its nearest."""

MOST_FRAMES = 1000
MOST_WORK = 1e7
MOST_DISTANCES = 2000
LEAST_PAIRS = 12
CLEAR = 0.6
"""Squared correlation below which nothing is said."""

PASSED = 1.5
"""A slope that differs from one by less than this factor passes: anharmonic forces alone do that."""

SLACK = 0.1
"""Units explain a slope if they are this close to its bracket."""


@dataclass(frozen=True)
class ForceScale:
    """Energy differences over work of the forces, between near frames.

    Attributes
    ----------
    low, high : bracket of the slope, which is one where forces are the negative gradient
    error : standard error of ``low`` (bootstrap over pairs)
    correlation : between energy differences and work
    pairs : number of pairs that decide, ``(sum l)^2 / sum l^2`` of their leverages
    """

    low: float
    high: float
    error: float
    correlation: float
    pairs: float

    @property
    def factor(self) -> float:
        """What forces have to be multiplied by to be the negative gradient: the middle of the bracket (logarithmic)."""
        return float(np.sign(self.low) * np.sqrt(abs(self.low * self.high)))

    @property
    def consistent(self) -> bool:
        """Whether the slope may be one, or so near to it that no mistaken unit explains it."""
        return self.low > 0 and self._reaches(1.0, PASSED - 1)

    @property
    def readings(self) -> tuple[str, ...]:
        """Mistaken units that would explain the factor, most likely first; empty if none does."""
        named = RATIOS | {
            " read as ".join(words.split(" read as ")[::-1]): 1 / r for words, r in RATIOS.items()
        }
        far = {words: abs(np.log(abs(self.factor) / ratio)) for words, ratio in named.items()}
        return tuple(words for words in sorted(far, key=far.get) if self._reaches(named[words]))

    def _reaches(self, size, slack=SLACK):
        """Whether the slope may be as large as ``size``: within the bracket, two standard errors and some slack."""
        low, high = sorted((abs(self.low), abs(self.high)))
        margin = 1 + slack + 2 * self.error / abs(self.low)
        return low / margin <= size <= high * margin

    def __str__(self):
        if self.low < 0 and self._reaches(1.0):
            cause = "they are the gradient, with the wrong sign"
        else:
            cause = (
                f"as if {self.readings[0]}" if self.readings else "no mistaken unit known here explains it"
            )
            cause += f" (or {self.readings[1]})" if len(self.readings) > 1 else ""
            cause += ", with the wrong sign" if self.low < 0 else ""
        return (
            f"energies change {self.factor:.4g} times as much as forces say (between {self.low:.4g} and "
            f"{self.high:.4g}, from {self.pairs:.0f} pairs of near frames): {cause}"
        )


def force_scale(configurations: Sequence[Configuration], seed: int = 0) -> ForceScale | None:
    """By how much energies change between near frames, relative to what the forces say.

    ===============  ================================================
    ``W, dE``        ``work, change`` of each pair of frames [kJ/mol]
    ``|x_b - x_a|``  ``distance``, root mean square over atoms [nm]
    ``l``            ``leverage``, weight times squared work
    ===============  ================================================

    Returns
    -------
    None where the frames cannot tell: too few labeled alike, too far apart, or all the same.
    """
    groups: dict[tuple, list[Configuration]] = {}
    for frame in configurations:
        if _usable(frame):
            box = b"" if frame.box is None else np.round(np.asarray(frame.box, float), 6).tobytes()
            groups.setdefault((frame.numbers.tobytes(), frame.periodic, box), []).append(frame)
    pairs = [_pairs(group) for group in groups.values() if len(group) > 1]
    if not pairs:
        return None
    work, change, distance = (np.concatenate(column) for column in zip(*pairs))
    apart = distance > 1e-7
    work, change, distance = work[apart], change[apart], distance[apart]
    if len(work) < LEAST_PAIRS:
        return None
    # pairs count less beyond the nearest fifth, and beyond the usual work and change
    near = np.sort(distance)[max(LEAST_PAIRS, len(distance) // 5) - 1]
    usual = [max(float(np.median(np.abs(side))), 1e-12) for side in (work, change)]
    weights = 1 / (1 + (distance / near) ** 6) / (1 + (work / usual[0]) ** 2 + (change / usual[1]) ** 2)
    low, high, correlation = _bracket(work, change, weights)
    # bootstrap over pairs; (sum l)^2 / sum l^2 pairs decide, with l the leverage of each
    draws = np.random.default_rng(seed).integers(len(work), size=(200, len(work)))
    slopes = [_bracket(work[draw], change[draw], weights[draw])[0] for draw in draws]
    error = float(np.std(slopes))
    leverage = weights * work**2
    deciding = float(leverage.sum() ** 2 / max((leverage**2).sum(), 1e-300))
    if not np.isfinite(error) or correlation**2 < CLEAR or 4 * error > abs(low) or deciding < LEAST_PAIRS / 2:
        return None
    return ForceScale(low, high, error, correlation, deciding)


def _usable(frame):
    labeled = len(frame) > 1 and frame.energy is not None and frame.forces is not None
    return bool(
        labeled
        and np.shape(frame.forces) == np.shape(frame.positions)
        and np.isfinite(frame.energy)
        and np.isfinite(frame.forces).all()
        and np.isfinite(frame.positions).all()
        and (all(frame.periodic) or not any(frame.periodic))
    )


def _bracket(work, change, weights):
    """Slopes of ``change`` on ``work``, of their inverse, and their correlation."""
    # <w dE>, <w w>, <dE dE>: the slope of dE on W, the inverse of that of W on dE
    across, of_work, of_change = (
        float((weights * a * b).sum()) for a, b in ((work, change), (work, work), (change, change))
    )
    if not (of_work > 0 and of_change > 0 and across != 0):
        return float("nan"), float("nan"), 0.0
    return across / of_work, of_change / across, across / np.sqrt(of_work * of_change)


def _pairs(frames):
    """Work, energy difference and distance per atom [nm] of pairs of near frames of the same atoms."""
    periodic = any(frames[0].periodic)
    most = np.sqrt(MOST_WORK / len(frames[0])) if periodic else MOST_FRAMES
    frames = frames[: max(int(min(most, MOST_FRAMES)), 2)]
    positions = np.array([frame.positions for frame in frames], float)
    forces = np.array([frame.forces for frame in frames], float)
    energies = np.array([frame.energy for frame in frames], float)
    box = np.asarray(frames[0].box, float) if periodic else None
    first, second = (
        _nearest(_image_squares(positions, box)) if periodic else _nearest(_distance_squares(positions))
    )
    if periodic:
        step = _nearest_images(positions[second] - positions[first], box)
        rotated_forces = forces[second]
    else:
        centered = positions - positions.mean(1, keepdims=True)
        rotation = _rotations(centered[first], centered[second])
        step, rotated_forces = centered[second] @ rotation - centered[first], forces[second] @ rotation
    # W = -(F_a + F_b) . (x_b - x_a) / 2
    work = -((forces[first] + rotated_forces) * step).sum((1, 2)) / 2
    return work, energies[second] - energies[first], np.sqrt((step**2).sum(2).mean(1))


def _distance_squares(positions):
    """Squared differences between interatomic distances of all pairs of frames."""
    i, j = np.triu_indices(positions.shape[1], 1)
    if len(i) > MOST_DISTANCES:
        chosen = np.random.default_rng(0).choice(len(i), MOST_DISTANCES, replace=False)
        i, j = i[chosen], j[chosen]
    distances = np.linalg.norm(positions[:, i] - positions[:, j], axis=2)
    squares = (distances**2).sum(1)
    return squares[:, None] + squares - 2 * distances @ distances.T


def _image_squares(positions, box):
    """Squared displacements between all pairs of frames in one cell."""
    return np.array([(_nearest_images(positions - frame, box) ** 2).sum((1, 2)) for frame in positions])


def _nearest_images(steps, box):
    """Displacements ``(frames, atoms, 3)`` to the nearest images, without their mean."""
    fractions = steps @ np.linalg.inv(box)
    fractions -= np.round(fractions)
    return (fractions - fractions.mean(1, keepdims=True)) @ box


def _nearest(squares):
    """Pairs of each frame with its nearest others, each pair once."""
    squares = squares.copy()
    np.fill_diagonal(squares, np.inf)
    count = min(NEIGHBORS, len(squares) - 1)
    nearest = np.argsort(squares, 1)[:, :count]
    pairs = np.sort(np.stack([np.repeat(np.arange(len(squares)), count), nearest.ravel()], 1), 1)
    return np.unique(pairs, axis=0).T


def _rotations(fixed, moving):
    """Rotations ``R`` that bring ``moving @ R`` closest to ``fixed``, both ``(pairs, atoms, 3)`` and centered."""
    left, _, right = np.linalg.svd(moving.swapaxes(1, 2) @ fixed)
    left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
    return left @ right
