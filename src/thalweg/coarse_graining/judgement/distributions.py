"""Distributions of reference and model side by side, and how far apart two of them are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.interactions.interaction import InternalCoordinate, PairInteraction
from thalweg.shapes import Float


def jensen_shannon(p: Float[np.ndarray, " *bins"], q: Float[np.ndarray, " *bins"]) -> float:
    """The Jensen-Shannon divergence of two histograms [nat]: 0 where they agree, log 2 where they never meet [lin1991].

    Raises
    ------
    ValueError
        If one of them is empty.

    Examples
    --------
    >>> round(jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 3.0])), 6)
    0.693147
    """
    if not (p.sum() > 0 and q.sum() > 0):
        raise ValueError(
            "a histogram without counts has no distribution; give frames that lie within the bins"
        )
    p, q = p / p.sum(), q / q.sum()
    m = (p + q) / 2

    def against(a):
        seen = a > 0
        return float((a[seen] * np.log(a[seen] / m[seen])).sum())

    return (against(p) + against(q)) / 2


def histogram(
    coordinates: Sequence[InternalCoordinate], frames: BeadFrames, bins: int = 24
) -> Float[np.ndarray, " *bins"]:
    """Weighted joint histogram of one value of each of ``coordinates``; angles over their whole range.

    Lengths are binned over the range ``start`` to ``end`` of their splines, so that two sets of frames share bins.

    Raises
    ------
    ValueError
        If a coordinate has several terms, or a length has no range.
    """
    values, ranges = [], []
    for one in coordinates:
        if len(one.terms) != 1:
            raise ValueError(
                f"a surface has one value a coordinate; this {one.kind} has {len(one.terms)} terms"
            )
        values.append(one.values(frames.positions, frames.boxes)[:, 0])
        ranges.append(_range(one))
    counts, _ = np.histogramdd(np.stack(values, 1), bins, ranges, weights=frames.weights)
    return counts


def _range(one: InternalCoordinate) -> tuple[float, float]:
    if one.kind == "dihedral":
        return -np.pi, np.pi
    if one.kind == "angle":
        return 0.0, np.pi
    start, end = getattr(one.functions, "start", None), getattr(one.functions, "end", None)
    if start is None or end is None:
        raise ValueError(
            "give a length BSplines as its functions: their start and end are the range of the bins"
        )
    return start, end


def bead_radial_distribution(
    pairs: PairInteraction, frames: BeadFrames, bins: int = 100
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Middles of shells [nm] up to the cutoff of ``pairs``, and ``g(r)`` there.

    Raises
    ------
    ValueError
        If frames have no boxes: a density needs a volume.
    """
    if frames.boxes is None:
        raise ValueError("a radial distribution needs the volume; give frames with boxes")
    edges = np.linspace(0, pairs.cutoff, bins + 1)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    a, b = (int((np.asarray(pairs.kinds) == kind).sum()) for kind in pairs.between)
    number = a * (a - 1) / 2 if pairs.between[0] == pairs.between[1] else a * b
    weights = np.ones(len(frames)) if frames.weights is None else np.asarray(frames.weights)
    total = np.zeros(bins)
    for x, box, weight in zip(frames.positions, frames.boxes, weights):
        counts, _ = np.histogram(pairs.distances(x, box)[3], edges)
        total += weight * counts * abs(np.linalg.det(box)) / (shells * number)
    return (edges[1:] + edges[:-1]) / 2, total / weights.sum()


def bead_angular_distribution(
    pairs: PairInteraction, frames: BeadFrames, within: float, bins: int = 90
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Middles of bins [rad], and the density of angles between two neighbors of a bead ``within`` a distance [nm]."""
    edges = np.linspace(0, np.pi, bins + 1)
    weights = np.ones(len(frames)) if frames.weights is None else np.asarray(frames.weights)
    total = np.zeros(bins)
    boxes = [None] * len(frames) if frames.boxes is None else frames.boxes
    for x, box, weight in zip(frames.positions, boxes, weights):
        i, j, vectors, lengths = pairs.distances(x, box)
        near = lengths < within
        unit = vectors[near] / lengths[near, None]
        centers, arms = np.r_[i[near], j[near]], np.r_[unit, -unit]
        order = np.argsort(centers, kind="stable")
        centers, arms = centers[order], arms[order]
        for arm in np.split(arms, np.flatnonzero(np.diff(centers)) + 1):
            first, second = np.triu_indices(len(arm), 1)
            cosines = np.clip((arm[first] * arm[second]).sum(1), -1, 1)
            total += weight * np.histogram(np.arccos(cosines), edges)[0]
    return (edges[1:] + edges[:-1]) / 2, total / max(total.sum() * np.diff(edges)[0], 1e-300)
