"""How far the time scales of a sampled ensemble may be off because the potential that made it is.

Potentials taught a part of the labels less are asked about frames of every microstate, and what they add to the energy
there changes the time scales (`thalweg.kinetics.perturbed_timescale`); the scatter is the error that the labels leave,
as for free energies. Friction and what hops jump over are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.linear.tica import TICA
from thalweg.free_energies.perturbation import systematic_draw
from thalweg.kinetics.perturbed_timescale import perturbed_timescales, weighted_hops
from thalweg.kinetics.states.clustering import KMeansAndCenters
from thalweg.report.of_runs.evidence import RunEvidence
from thalweg.shapes import Float, Int
from thalweg.time_series.trajectories import Trajectories

MICROSTATES = 60
"""Clusters of the slow coordinates between which walkers hop."""

SLOW = 2
"""Slow coordinates in which clusters are made."""

JUMPED = 1.5
"""Factor by which errors of hops twice as long may be others before it is told that hops jump barriers."""


@dataclass(frozen=True, eq=False)
class Hopping:
    """Microstates along the weighted walks of an ensemble, and frames of each to ask about.

    Attributes
    ----------
    labels, log_weights : of each walk
    asked : numbers of frames, of all walks one after the other
    number : of microstates
    kT : [kJ/mol]
    """

    labels: tuple[np.ndarray, ...]
    log_weights: tuple[np.ndarray, ...]
    asked: Int[np.ndarray, " asked"]
    number: int
    kT: float

    @staticmethod
    def of(evidence: RunEvidence, lagtime: int, count: int) -> Hopping:
        """Clusters of the slow coordinates, and ``count`` frames, as many of each cluster.

        Parameters
        ----------
        lagtime : of the slow coordinates, in frames
        """
        assert evidence.pooled is not None
        moving = Trajectories([walk.features.astype(float) for walk in evidence.moving], dt=evidence.dt)
        slowest = TICA(lagtime=lagtime, dim=1).fit(moving)
        tica = TICA(lagtime=lagtime, dim=min(SLOW, len(slowest.eigenvalues))).fit(moving)
        walks = [tica.transform(walk.features.astype(float)) for walk in evidence.weighted]
        clusters = KMeansAndCenters(max(2, min(MICROSTATES, sum(map(len, walks)) // 10))).fit(walks)
        labels = tuple(clusters.transform(walk) for walk in walks)
        joined, logs = np.concatenate(labels), np.concatenate(evidence.pooled)
        each, asked = -(-count // clusters.n_clusters), []
        for state in np.unique(joined):
            inside = np.flatnonzero(joined == state)
            asked.append(inside[systematic_draw(logs[inside], each)])
        return Hopping(
            labels, tuple(evidence.pooled), np.concatenate(asked), clusters.n_clusters, evidence.kT
        )

    def factors(
        self, added: Float[np.ndarray, "members asked"], processes: int, stride: int = 1
    ) -> Float[np.ndarray, "members processes"]:
        """What every member's energies, added [kJ/mol] at the frames asked about, make of time scales.

        Raises
        ------
        ValueError
            If the walks do not join their microstates.
        """
        cut = [
            [each[k::stride] for each in walks for k in range(stride)]
            for walks in (self.labels, self.log_weights)
        ]
        hops, populations = weighted_hops(cut[0], cut[1], self.number)
        state = np.concatenate(self.labels)[self.asked]
        return np.array(
            [perturbed_timescales(hops, populations, self._of_states(state, m), processes) for m in added]
        )

    def _of_states(self, state: np.ndarray, added: np.ndarray) -> np.ndarray:
        """``-ln <exp(-dU / kT)>`` of each microstate, whose frames were drawn by their weights."""
        least, seen = added.min(), np.bincount(state, minlength=self.number)
        mean = np.bincount(state, np.exp(-(added - least) / self.kT), self.number) / np.maximum(seen, 1)
        with np.errstate(divide="ignore"):
            return np.where(seen > 0, least / self.kT - np.log(mean), np.nan)


def labels_errors(
    hopping: Hopping, added: Sequence[Float[np.ndarray, " asked"]], processes: int
) -> tuple[np.ndarray, str]:
    """Errors ``(processes,)`` that labels leave in the logarithms of time scales, and what speaks against them.

    The jackknife [efron1994]: each member was taught all labels but a part.
    """
    found = []
    for stride in (1, 2):
        logs = np.log(hopping.factors(np.stack([np.asarray(each) for each in added]), processes, stride))
        found.append(np.sqrt((len(logs) - 1) * logs.var(0)))
    one, two = found
    if (one > JUMPED * two).any():
        return one, (
            "the errors of time scales would be smaller by more than a half with frames twice as far apart: walkers "
            "jump over barriers between frames, and what the labels leave may be more; save more often"
        )
    return one, ""
