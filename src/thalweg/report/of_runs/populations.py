"""How likely each state is, and frames that stand for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from thalweg.report.of_runs.drawn_structures import turned_onto
from thalweg.report.of_runs.evidence import RunEvidence
from thalweg.report.of_runs.free_energies import Weighted, difference
from thalweg.report.results import MolecularState, ReportedNumber


def _population(name: str, members: Sequence[np.ndarray], frames: Weighted) -> ReportedNumber:
    r"""The probability of a state from its free energy against the rest: ``p = 1 / (1 + exp(F / kT))``."""
    free = difference(name, members, frames)
    share = 1 / (1 + np.exp(free.value / frames.kT))
    return ReportedNumber(
        name, float(share), float(share * (1 - share) * free.error / frames.kT), remark=free.remark
    )


def described(
    name: str,
    members: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    evidence: RunEvidence,
    frames: Weighted,
    shown: Mapping[str, int],
    drawn: np.ndarray,
    copies: int = 2,
) -> MolecularState:
    """A state with its population, its mean torsions, and ``copies`` frames from its most likely cluster.

    Parameters
    ----------
    members : for each weighted walk, whether a frame is in the state
    labels : for each weighted walk, the cluster of a frame
    values : for each weighted walk, ``(frames, values)`` in which closeness is judged
    shown : names of torsions and their columns
    drawn : indices of the atoms to keep
    """
    chosen = np.concatenate(members)
    logs = np.concatenate(frames.pooled)[chosen]
    weights = np.exp(logs - logs.max(initial=-700.0))
    torsions = np.concatenate([walk.torsions for walk in evidence.weighted])[chosen]
    center = {}
    for label, column in shown.items():
        mean = np.angle((weights * np.exp(1j * torsions[:, column])).sum()) if chosen.any() else np.nan
        center[f"{label} [deg]"] = f"{np.degrees(mean):.0f}"
    cluster = np.concatenate(labels)[chosen]
    core = np.flatnonzero(cluster == np.argmax(np.bincount(cluster, weights))) if chosen.any() else cluster
    places = np.concatenate([walk.places for walk in evidence.weighted])[chosen][core]
    points = np.concatenate(values)[chosen][core]
    central = _central_points(points, weights[core], copies)
    structures = [evidence.positions(places[i])[drawn] for i in central]
    return MolecularState(
        name,
        _population(name, members, frames),
        int(chosen.sum()),
        center,
        np.array(structures).reshape(-1, len(drawn), 3),
    )


def _central_points(points: np.ndarray, weights: np.ndarray, copies: int) -> np.ndarray:
    """Indices of the ``copies`` points closest to where the weight is, one standard deviation as the measure.

    Examples
    --------
    >>> _central_points(np.array([[0.0], [1.0], [1.1], [9.0]]), np.array([1.0, 5.0, 5.0, 0.1]), 1).tolist()
    [1]
    """
    if len(points) == 0:
        return np.zeros(0, int)
    share = weights / weights.sum()
    mean = share @ points
    spread = np.sqrt(share @ (points - mean) ** 2) + 1e-12
    return np.argsort((((points - mean) / spread) ** 2).sum(1), kind="stable")[:copies]


def aligned(states: Sequence[MolecularState]) -> tuple[MolecularState, ...]:
    """The same states with all structures turned onto the first, so that one looks from one side."""
    first = next((s.structures[0] for s in states if len(s.structures)), None)
    if first is None:
        return tuple(states)
    return tuple(
        replace(s, structures=turned_onto(first, s.structures)) if len(s.structures) else s for s in states
    )
