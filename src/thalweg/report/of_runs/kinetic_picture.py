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
from thalweg.machine.surviving import reason
from thalweg.report.drawing import drawn_test, drawn_timescales
from thalweg.report.results import ChapmanKolmogorov, Diagnosis, ReportedNumber, ReportedTimescales
from thalweg.report.rounding import significant, with_error
from thalweg.time_series.crossings import FEWEST_BLOCKS, FEWEST_CROSSINGS, Process

SHOWN = 3
"""Slow processes drawn and listed."""

SCANNED = 10
"""Times the chosen lag time up to which others are scanned."""

STEADY = 3.0
"""Standard errors by which a prediction may miss before it is pointed out."""


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
        for number, process in enumerate(self._slowest):
            name = f"time scale {number + 1}"
            if process.resolved:
                error = float(self.scanned.errors[self._chosen, number])
                found.append(
                    ReportedNumber(name, process.estimate, error, "ps", remark=self._verdict(number))
                )
            else:
                found.append(ReportedNumber(name, np.nan, np.nan, "ps", remark=str(process)))
        return tuple(found)

    def found(self) -> tuple[str, ...]:
        """The slow processes in words."""
        slow = [e for e in self.estimates() if np.isfinite(e.value) and e.value > self.model.lag]
        if not slow:
            return ("No process slower than the lag was seen often enough to give its time.",)
        named = ", ".join(with_error(e.value, e.error, e.unit) for e in slow)
        missed = int((~self._resolved).sum())
        text = f"Slow processes: {named}."
        if not missed:
            return (text,)
        return (
            text,
            f"Of the {len(self._resolved)} slowest processes {missed} were seen too seldom to give a time.",
        )

    def certainty(self) -> tuple[str, ...]:
        """What speaks for or against the slowest time scale, in words."""
        words = []
        if self._resolved[0] and np.isfinite(self.scanned.timescales[self._chosen, 0]):
            words.append(f"The slowest time scale: {self._verdict(0)}.")
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
        found = [Diagnosis("warning", text) for text in self._undersampled()]
        for number in np.flatnonzero(self._resolved):
            estimate, flatness = self.scanned.timescales[self._chosen, number], self.scanned.flatness[number]
            if estimate < self.model.lag or flatness.rising >= self.model.lag:
                words = f"Time scale {number + 1}: {self._verdict(int(number))}."
                found.append(Diagnosis("warning", words))
        if left := self.scanned.failures:
            told = "; ".join(f"{lag * self.model.trajectories.dt:g} ps: {why}" for lag, why in left.items())
            found.append(Diagnosis("note", f"No time scales at some lags: {told}."))
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

    @property
    def _slowest(self) -> tuple[Process, ...]:
        """Processes that are listed, slowest first."""
        return self.model.processes[: len(self._resolved)]

    def _undersampled(self) -> list[str]:
        """Processes seen too seldom, in one line."""
        few = [(k, process) for k, process in enumerate(self._slowest, start=1) if not process.resolved]
        if len(few) < 2:
            return [f"Process {k}: {process}." for k, process in few]
        numbers = ", ".join(str(k) for k, _ in few)
        up, down = (max(getattr(process, way) for _, process in few) for way in ("forward", "backward"))
        return [
            f"Processes {numbers} are under-sampled: crossed at most {up} and {down} times, needed are "
            f"{FEWEST_CROSSINGS} each way in {FEWEST_BLOCKS} blocks of the data."
        ]

    def _verdict(self, number: int) -> str:
        """What a time scale does from lag to lag."""
        if self.scanned.timescales[self._chosen, number] < self.model.lag:
            return "shorter than the lag"
        return str(self.scanned.flatness[number])

    def _missed(self) -> float:
        """Largest difference of prediction and data in the test, in standard errors."""
        test = self.test
        known = test.error > 0
        return float((np.abs(test.predicted - test.estimated)[known] / test.error[known]).max(initial=0.0))


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
    groups = _grouped(model, max(2, min(sets, 1 + slow)))
    return KineticPicture(clustering, model, groups, scan, _tested(model, groups))


def _grouped(model: MarkovModel, sets: int) -> np.ndarray:
    """Long-lived set of each microstate; one set of all where they fall into none."""
    try:
        return metastable_sets(model, sets).assignments
    except MemoryError:
        raise
    except Exception:
        return np.where(model.stationary_distribution > 0, 0, -1)


def _tested(model: MarkovModel, groups: np.ndarray) -> ChapmanKolmogorov | str:
    """The test over as many multiples of the lag time as the walks allow."""
    if groups.max() < 1:
        return "the states fall into no long-lived sets"
    multiples = min(5, (int(model.trajectories.lengths.max()) - 1) // model.lagtime)
    try:
        return drawn_test(chapman_kolmogorov(model, groups, multiples))
    except MemoryError:
        raise
    except Exception as error:
        return reason(error)


def _ladder(longest: int) -> list[int]:
    """Lag times 1, 2, 5, 10, ... up to ``longest``, in frames.

    Examples
    --------
    >>> _ladder(100)
    [1, 2, 5, 10, 20, 50, 100]
    """
    steps = (mantissa * 10**power for power in range(9) for mantissa in (1, 2, 5))
    return [step for step in steps if step <= max(1, longest)]
