"""The Markov model of a report: clusters, implied time scales, its test, and the long-lived sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.kinetics.states.clustering import Clustering, KMeansAndCenters
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.chapman_kolmogorov import chapman_kolmogorov
from thalweg.kinetics.validation.implied_timescales import ImpliedTimescales
from thalweg.kinetics.validation.implied_timescales import TimescaleScan as Scan
from thalweg.report.drawing import drawn_test, drawn_timescales
from thalweg.report.results import ChapmanKolmogorov, Diagnosis, ReportedNumber, ReportedTimescales
from thalweg.report.rounding import significant, with_error

SHOWN = 3
"""Slow processes drawn and listed."""

SCANNED = 10
"""Times the chosen lag time up to which others are scanned."""

STEADY = 3.0
"""Standard errors by which a prediction may miss, or a time scale drift, before it is pointed out."""


@dataclass(frozen=True, eq=False)
class KineticPicture:
    """What the walks free of bias say about time.

    Attributes
    ----------
    clustering : microstates of the slow coordinates
    model : the Markov model at the chosen lag time
    sets : (clusters,) long-lived set of each microstate, most populated first, -1 outside the model
    scanned : implied time scales with their errors
    test : Chapman-Kolmogorov test between the sets, or why there is none
    """

    clustering: Clustering
    model: MarkovModel
    sets: np.ndarray
    scanned: Scan
    test: ChapmanKolmogorov | str

    @property
    def n_sets(self) -> int:
        """Number of long-lived sets."""
        return int(self.sets.max()) + 1

    @property
    def chapman_kolmogorov(self) -> ChapmanKolmogorov | None:
        """The test, where the walks are long enough for it."""
        return None if isinstance(self.test, str) else self.test

    @property
    def scan(self) -> ReportedTimescales:
        """Implied time scales as the report shows them."""
        return drawn_timescales(self.scanned, self.model.lag)

    @property
    def _chosen(self) -> int:
        return int(np.flatnonzero(self.scanned.lagtimes == self.model.lagtime)[0])

    @property
    def _resolved(self) -> np.ndarray:
        return self.scanned.resolved[self._chosen]

    def assigned(self, values: np.ndarray) -> np.ndarray:
        """The microstate of every frame with slow coordinates ``(frames, values)``."""
        return self.clustering.transform(values)

    def set_of(self, labels: np.ndarray) -> np.ndarray:
        """The long-lived set of every frame in microstates ``(frames,)``; -1 for none."""
        return self.sets[labels]

    def log_weights(self, labels: Sequence[np.ndarray], among: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Log weights that give the frames ``among`` the model's populations, for each of ``labels``."""
        population = self.model.stationary_distribution
        seen = np.bincount(np.concatenate(among), minlength=len(population))
        with np.errstate(divide="ignore"):
            each = np.log(population) - np.log(np.maximum(seen, 1))
        return [each[label] for label in labels]

    def estimates(self) -> tuple[ReportedNumber, ...]:
        """Time scales of the resolved processes; of the others, that they are under-sampled."""
        found = []
        for number, process in enumerate(self.model.processes[: len(self._resolved)]):
            name = f"time scale {number + 1}"
            if process.resolved:
                error = float(self.scanned.errors[self._chosen, number])
                found.append(ReportedNumber(name, process.estimate, error, "ps", remark=self._drift(number)))
            else:
                found.append(ReportedNumber(name, np.nan, np.nan, "ps", remark=str(process)))
        return tuple(found)

    def found(self) -> tuple[str, ...]:
        """The slow processes in words."""
        slow = [e for e in self.estimates() if np.isfinite(e.value) and e.value > self.model.lag]
        named = ", ".join(with_error(e.value, e.error, e.unit) for e in slow)
        text = (
            (f"Slow processes: {named}.",)
            if slow
            else ("No process slower than the lag was seen often enough.",)
        )
        missed = int((~self._resolved).sum())
        return (*text, f"{missed} more under-sampled.") if missed else text

    def certainty(self) -> tuple[str, ...]:
        """What speaks for or against the slowest time scale, in words."""
        words = []
        if self._resolved[0] and np.isfinite(self.scanned.timescales[self._chosen, 0]):
            drift = self._drift(0)
            words.append(f"The slowest time scale {drift or 'does not depend on the lag within its error'}.")
        if not isinstance(self.test, str):
            kept = (
                "foretells" if self._missed() <= STEADY else f"misses by {self._missed():.1f} standard errors"
            )
            words.append(
                f"The Markov model {kept} what the walks show up to {significant(self.test.lagtimes[-1])} ps."
            )
        return tuple(words)

    def diagnoses(self) -> list[Diagnosis]:
        """What speaks against the model."""
        found = [
            Diagnosis("warning", f"Process {number}: {process}.")
            for number, process in enumerate(self.model.processes[: len(self._resolved)], start=1)
            if not process.resolved
        ]
        for number in np.flatnonzero(self._resolved):
            if drift := self._drift(int(number)):
                found.append(
                    Diagnosis("warning", f"Time scale {number + 1} {drift}: the lag may be too short.")
                )
        if not self.model.active.complete:
            found.append(Diagnosis("note", f"Markov model: {self.model.active}."))
        if (self.model.counts.report.used == 0).any():
            found.append(Diagnosis("note", f"Walks: {self.model.counts.report}."))
        if isinstance(self.test, str):
            found.append(Diagnosis("note", f"No Chapman-Kolmogorov test: {self.test}."))
        elif (missed := self._missed()) > STEADY:
            words = f"The Chapman-Kolmogorov test misses by up to {missed:.1f} standard errors."
            found.append(Diagnosis("warning", words))
        return found

    def _missed(self) -> float:
        """Largest difference of prediction and data in the test, in standard errors."""
        test = self.test
        known = test.error > 0
        return float((np.abs(test.predicted - test.estimated)[known] / test.error[known]).max(initial=0.0))

    def _drift(self, number: int) -> str:
        """How a time scale moves from the chosen lag to the longest one below itself, if it does."""
        estimate, scanned = self.scanned.timescales[self._chosen, number], self.scanned
        if estimate < self.model.lag:
            return "is shorter than the lag"
        inside = (scanned.lags > self.model.lag) & (scanned.lags <= estimate)
        later = np.flatnonzero(scanned.resolved[:, number] & inside)
        if len(later) == 0:
            return ""
        places = [self._chosen, later[-1]]
        first, last = self.scanned.timescales[places, number]
        if abs(last - first) <= STEADY * np.hypot(*self.scanned.errors[places, number]):
            return ""
        return f"goes to {significant(last)} ps at a lag of {significant(self.scanned.lags[later[-1]])} ps"


def kinetic_picture(
    walks: Sequence[np.ndarray],
    dt: float,
    lagtime: int,
    lagtimes: Sequence[int],
    clusters: int,
    sets: int,
) -> KineticPicture:
    """Cluster, count, scan, test and group walks ``(frames, values)`` of slow coordinates, ``dt`` [ps] apart.

    Long-lived sets are one more than the processes resolved and slower than the lag, ``sets`` at most.

    Raises
    ------
    ValueError
        If there is no model at ``lagtime``: no pairs left, or no two states connected.
    """
    clustering = KMeansAndCenters(max(2, min(clusters, sum(map(len, walks)) // 2))).fit(walks)
    labels = DiscreteTrajectories(
        [clustering.transform(walk) for walk in walks], dt=dt, n_states=clustering.n_clusters
    )
    longest = min(int(labels.lengths.max()) // 2, SCANNED * lagtime)
    wanted = sorted({lagtime, *(lagtimes or _ladder(longest))})
    scan = ImpliedTimescales(wanted, n_processes=SHOWN).fit(labels)
    if lagtime in scan.failures:
        raise ValueError(scan.failures[lagtime])
    model = scan.models[lagtime]
    slow = sum(process.resolved and process.estimate > model.lag for process in model.processes)
    groups = metastable_sets(model, max(2, min(sets, 1 + slow))).assignments
    return KineticPicture(clustering, model, groups, scan, _tested(model, groups))


def _tested(model: MarkovModel, groups: np.ndarray) -> ChapmanKolmogorov | str:
    """The test over as many multiples of the lag time as the walks allow."""
    multiples = min(5, (int(model.trajectories.lengths.max()) - 1) // model.lagtime)
    try:
        test = chapman_kolmogorov(model, groups, multiples)
    except ValueError as error:
        return str(error)
    return drawn_test(test)


def _ladder(longest: int) -> list[int]:
    """Lag times 1, 2, 5, 10, ... up to ``longest``, in frames.

    Examples
    --------
    >>> _ladder(100)
    [1, 2, 5, 10, 20, 50, 100]
    """
    steps = (mantissa * 10**power for power in range(9) for mantissa in (1, 2, 5))
    return [step for step in steps if step <= max(1, longest)]
