"""The free energies of a report: surfaces, differences of named states, how they moved as data came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.free_energies.blocks import statistical_inefficiency
from thalweg.free_energies.difference import FreeEnergyDifference, agreement, free_energy_difference
from thalweg.free_energies.surface import FreeEnergySurface
from thalweg.report.results import Axis, Convergence, ReportedNumber, Surface

BINS = 48
BANDWIDTH = 0.8
"""Bins along each variable of a surface, and the kernel in bins that spreads a frame."""

COURSE = 8
"""Points of a convergence curve."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """Trajectories and what each frame weighs.

    Attributes
    ----------
    seeds : (walks,) number of the independent run of each walk
    pooled : for each walk, log weights ``(frames,)`` among the frames of all runs
    own : likewise, among the frames of its own run
    kT : [kJ/mol]
    dt : time between frames [ps]
    """

    seeds: tuple[int, ...]
    pooled: Sequence[np.ndarray]
    own: Sequence[np.ndarray]
    kT: float
    dt: float

    def of_seed(self, seed: int, items: Sequence) -> list:
        """Those of ``items``, one per walk, that belong to a seed."""
        return [item for number, item in zip(self.seeds, items) if number == seed]


def torsion_surface(
    name: str, axes: tuple[str, str], angles: Sequence[np.ndarray], frames: Weighted
) -> Surface:
    """The free energy over two torsions, given in radians ``(frames, 2)`` for each walk, drawn in degrees."""
    limits = ((-np.pi, -np.pi), (np.pi, np.pi), (2 * np.pi, 2 * np.pi))
    surface = _surface(name, axes, ("rad", "rad"), angles, frames, *limits)
    x, y = (Axis(a.name, "deg", np.degrees(a.centers), 360.0) for a in (surface.x, surface.y))
    return Surface(name, x, y, surface.energy, surface.error, surface.by_seed)


def variable_surface(
    name: str, axes: tuple[str, str], values: Sequence[np.ndarray], frames: Weighted
) -> Surface:
    """The free energy over two learned variables ``(frames, 2)`` for each walk, as far as frames lie."""
    everywhere = np.concatenate(values)
    room = 0.02 * np.ptp(everywhere, axis=0) + 1e-9
    lower, upper = tuple(everywhere.min(0) - room), tuple(everywhere.max(0) + room)
    return _surface(name, axes, ("", ""), values, frames, lower, upper, (None, None))


def _surface(name, axes, units, values, frames, lower, upper, periods) -> Surface:
    block = max(1, round(3 * max(statistical_inefficiency([v[:, i] for v in values]) for i in range(2))))
    settings = FreeEnergySurface(
        frames.kT, lower, upper, (BINS, BINS), periods, bandwidth=BANDWIDTH, block=block
    )

    def blank(energy):
        return np.where(np.isfinite(energy), energy, np.nan)

    def sampled(points):
        """Bins with a frame in or beside them: the tail of the kernel is no evidence."""
        edges = [np.linspace(low, high, BINS + 1) for low, high in zip(lower, upper)]
        counts = np.histogram2d(*np.concatenate(points).T, bins=edges)[0]
        near = sum(
            np.roll(counts, (i, j), (0, 1)) if periods[0] else _shifted(counts, i, j)
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
        )
        return near > 0

    whole = settings.fit(values, frames.pooled)
    by_seed = []
    for seed in sorted(set(frames.seeds)):
        own = frames.of_seed(seed, values)
        model = settings.fit(own, frames.of_seed(seed, frames.own))
        by_seed.append(np.where(sampled(own), blank(model.free_energy), np.nan))
    seen = sampled(values)
    x, y = (Axis(a, u, c, p) for a, u, c, p in zip(axes, units, whole.centers, periods))
    return Surface(
        name,
        x,
        y,
        np.where(seen, blank(whole.free_energy), np.nan),
        np.where(seen, blank(whole.error), np.nan),
        tuple(by_seed) if len(by_seed) > 1 else (),
    )


def _shifted(counts: np.ndarray, i: int, j: int) -> np.ndarray:
    padded = np.pad(counts, 1)
    return padded[1 + i : 1 + i + counts.shape[0], 1 + j : 1 + j + counts.shape[1]]


def inside_ranges(
    angles: np.ndarray, names: Sequence[str], ranges: Mapping[str, tuple[float, float]]
) -> np.ndarray:
    """Whether each frame of ``angles`` ``(frames, torsions)`` [rad] is in all ``ranges``, around the circle.

    Examples
    --------
    >>> angles = np.radians([[170.0], [-170.0], [0.0]])
    >>> inside_ranges(angles, ["phi"], {"phi": (np.radians(160), np.radians(-160))}).tolist()
    [True, True, False]
    """
    within = np.ones(len(angles), bool)
    for name, (first, last) in ranges.items():
        angle = angles[:, list(names).index(name)]
        within &= (angle - first) % (2 * np.pi) <= (last - first) % (2 * np.pi)
    return within


def difference(name: str, members: Sequence[np.ndarray], frames: Weighted) -> ReportedNumber:
    """The free energy of a state against everything else, each seed by itself, and whether they agree.

    ``members`` says for each walk which frames are in the state. The value is the mean over seeds weighted by
    their precision; its error is the larger of what the seeds claim and how they scatter.
    """
    parts = [_of_seed(seed, members, frames) for seed in sorted(set(frames.seeds))]
    if missing := [str(number) for number, part in enumerate(parts, 1) if part is None]:
        return ReportedNumber(
            name, np.nan, np.nan, "kJ/mol", remark=f"never visited by seed {', '.join(missing)}"
        )
    values, errors = np.array([p.value for p in parts]), np.array([p.error for p in parts])
    repeats = tuple(zip(values.tolist(), errors.tolist())) if len(parts) > 1 else ()
    shortcomings = [f"seed {n}: {fault}" for n, part in enumerate(parts, 1) for fault in part.shortcomings]
    if not np.isfinite(errors).all():
        return ReportedNumber(
            name, np.nan, np.nan, "kJ/mol", repeats, "under-sampled; " + "; ".join(shortcomings)
        )
    precision = np.maximum(errors, 1e-6) ** -2.0
    mean = float(precision @ values / precision.sum())
    scatter = np.sqrt(precision @ (values - mean) ** 2 / precision.sum() / max(1, len(values) - 1))
    error = float(max(scatter, precision.sum() ** -0.5))
    verdict = agreement(parts).split(":")[0] if len(parts) > 1 else "one estimate"
    return ReportedNumber(name, mean, error, "kJ/mol", repeats, "; ".join([verdict, *shortcomings]))


def course(name: str, members: Sequence[np.ndarray], frames: Weighted) -> Convergence:
    """How the difference of `difference` moved as frames came in, for each seed."""
    seeds = sorted(set(frames.seeds))
    fractions = np.arange(1, COURSE + 1) / COURSE
    values, errors = np.full((2, COURSE, len(seeds)), np.nan)
    amount = np.zeros(COURSE)
    for i, fraction in enumerate(fractions):
        lengths = [max(1, round(fraction * len(walk))) for walk in members]
        part = Weighted(
            frames.seeds,
            [w[:n] for w, n in zip(frames.pooled, lengths)],
            [w[:n] for w, n in zip(frames.own, lengths)],
            frames.kT,
            frames.dt,
        )
        amount[i] = sum(lengths) * frames.dt * 1e-3
        for j, seed in enumerate(seeds):
            found = _of_seed(seed, [m[:n] for m, n in zip(members, lengths)], part)
            if found is not None:
                values[i, j], errors[i, j] = found.value, found.error
    finite = np.where(np.isfinite(values), values, np.nan)
    return Convergence(
        name,
        "kJ/mol",
        "weighted time, all seeds [ns]",
        amount,
        finite,
        np.where(np.isfinite(errors), errors, np.nan),
    )


def _of_seed(seed: int, members: Sequence[np.ndarray], frames: Weighted) -> FreeEnergyDifference | None:
    """The difference from the frames of one seed; None if all of them are on one side."""
    chosen = frames.of_seed(seed, members)
    if not any(m.any() for m in chosen) or all(m.all() for m in chosen):
        return None
    return free_energy_difference(chosen, [~m for m in chosen], frames.of_seed(seed, frames.own), frames.kT)
