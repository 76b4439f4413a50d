r"""Markov models of core sets: the dynamics projected onto committors between cores [schutte2011].

With the core visited last :math:`b_t` and the core visited next :math:`f_t`,

.. math::  M_{ij} = P(f_t = j \mid b_t = i),\qquad C_{ij} = P(f_{t+\tau} = j \mid b_t = i),\qquad
           A = M^{-1} C .

The committors :math:`q_j(x) = P(f_t = j \mid x_t = x)` are nearly constant inside metastable sets and smooth
between them, so that a handful of cores gives timescales that a division of space into as many states gets
wrong by a factor: recrossings near the borders do not count. Rows of :math:`A` sum to one, entries may be
slightly negative; it is a projection, no chain. Its eigenvalues are close to those of the full dynamics if
the cores are returned to quickly and left rarely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from thalweg.kinetics.cores.coring import CoredTrajectories, cored, milestones
from thalweg.kinetics.counts.processes import processes_of
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.learning.models import Method, Model
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.crossings import Process
from thalweg.time_series.relaxation import relaxation_times, relaxing_order
from thalweg.time_series.resampling import Estimate, independent_blocks, resample
from thalweg.time_series.trajectories import PairReport, pair_report
from thalweg.units import duration


@dataclass(frozen=True, eq=False)
class MilestoneCounts:
    """Joint counts of cores visited last and next, one table per block.

    Attributes
    ----------
    lagtime : frames
    dt : time between frames [ps]
    together : (blocks, cores, cores), last and next core at the same frame
    lagged : (blocks, cores, cores), last core and the next one a lag time later
    report : pairs used and lost per trajectory
    """

    lagtime: int
    dt: float
    together: Shaped[np.ndarray, "blocks cores cores"]
    lagged: Shaped[np.ndarray, "blocks cores cores"]
    report: PairReport

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.lagged)

    @property
    def n_pairs(self) -> int:
        """Pairs of frames in all blocks."""
        return int(self.report.used.sum())

    def resampled(self, multiplicities: np.ndarray) -> MilestoneCounts:
        """Counts of data in which each block occurs as often as stated ``(blocks,)``."""
        together, lagged = (
            np.tensordot(multiplicities, table, axes=1)[None] for table in (self.together, self.lagged)
        )
        return replace(self, together=together, lagged=lagged)


@dataclass(frozen=True, eq=False)
class CoreSetModel(Model):
    """A fitted model of core sets.

    Attributes
    ----------
    counts : `MilestoneCounts`
    trajectories : what they were counted on; None for models of counts
    """

    counts: MilestoneCounts
    trajectories: CoredTrajectories | None = None

    def headline(self) -> dict[str, object]:
        """States, lag, populations and timescales."""
        return {
            "states": len(self.stationary_distribution),
            "lag": duration(self.lag, self.counts.dt),
            "populations": self.stationary_distribution,
            "timescales": ", ".join(duration(time, self.counts.dt) for time in self.timescales),
        }

    @property
    def lag(self) -> float:
        """Lag time [ps]."""
        return self.counts.lagtime * self.counts.dt

    @cached_property
    def transition_matrix(self) -> np.ndarray:
        """The projected dynamics ``(cores, cores)``, rows sum to one."""
        together, lagged = self.counts.together.sum(axis=0), self.counts.lagged.sum(axis=0)
        rows = [table / table.sum(axis=1, keepdims=True) for table in (together, lagged)]
        # A = M^-1 C
        return np.linalg.solve(*rows)

    @cached_property
    def stationary_distribution(self) -> np.ndarray:
        """Equilibrium probability of committing to every core ``(cores,)``."""
        values, vectors = np.linalg.eig(self.transition_matrix.T)
        weights = np.real(vectors[:, np.argmin(np.abs(values - 1))])
        return weights / weights.sum()

    @cached_property
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and right eigenvectors, one first."""
        values, vectors = np.linalg.eig(self.transition_matrix)
        order = relaxing_order(values)
        return np.real_if_close(values[order], tol=1e6), vectors[:, order]

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues ``(cores,)``, one first."""
        return self._spectrum[0]

    @property
    def timescales(self) -> np.ndarray:
        """Relaxation times ``(cores - 1,)`` [ps], slowest first, then NaN for those that do not decay."""
        return relaxation_times(self.eigenvalues[1:], self.lag)

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """Slow processes, slowest first, with the crossings seen of each: quote timescales from here.

        Raises
        ------
        ValueError
            If the model was made from counts alone.
        """
        if self.trajectories is None:
            raise ValueError("crossings are counted on trajectories; fit the model to trajectories")
        # the eigenfunction along a run is that of the core visited last
        visited = (milestones(block)[0] for block in self.trajectories.blocks)
        begun = [last[last >= 0] for last in visited if (last >= 0).any()]
        data = DiscreteTrajectories(begun, self.counts.dt, n_states=self.trajectories.n_cores)
        functions = self._spectrum[1][:, 1:]
        return processes_of(data, self.counts.n_blocks, self.timescales, functions, lagtime=1)

    def __str__(self) -> str:
        shares = ", ".join(f"{share:.3g}" for share in self.stationary_distribution)
        lines = [f"core-set model at lag {duration(self.lag)}: populations {shares}", str(self.counts.report)]
        if self.trajectories is not None:
            lines += [f"process {k + 1}: {process}" for k, process in enumerate(self.processes)]
        return "\n".join(lines)

    def timescale_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """Timescales [ps] with block-bootstrap errors."""
        memory = np.nanmax(np.append(self.timescales, 0.0)) / self.counts.dt + self.counts.lagtime
        return resample(
            self.counts,
            lambda counts: CoreSetModel(_complete(counts)).timescales,
            self.timescales,
            samples,
            independent_blocks(self.counts, float(memory)),
            seed,
        )


@dataclass(frozen=True, eq=False)
class CoreSets(Method):
    """Estimation of a Markov model of core sets.

    Parameters
    ----------
    lagtime : int
        In frames.
    cores : (n_states,) int, optional
        The core of every state, -1 for none (`cores_of_sets`); None for trajectories that are cored already.
    n_blocks : int
        About how many blocks of data to keep apart for error bars.

    Examples
    --------
    >>> side = np.cumsum(np.random.default_rng(0).random(20000) < 0.01) % 2
    >>> flicker = np.random.default_rng(1).random(20000) < 0.3
    >>> model = CoreSets(5, np.array([0, -1, 1])).fit([np.where(flicker, 1, 2 * side)])
    >>> bool(abs(model.timescales[0] - 50) < 10)
    True
    """

    lagtime: int
    cores: Shaped[np.ndarray, " n_states"] | None = None
    n_blocks: int = 40

    def fit(
        self, trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray | CoredTrajectories
    ) -> CoreSetModel:
        """The model of trajectories.

        ============  ==========================================
        symbol        variable
        ============  ==========================================
        ``b_t``       ``last``, its piece ``begin``
        ``f_t``       ``coming``, its piece ``end``
        ``M``         ``together``, counts in blocks
        ``C``         ``lagged``, counts in blocks
        ============  ==========================================

        Raises
        ------
        ValueError
            If the lag time leaves no pairs, or a core is never left.
        """
        data = cored(trajectories, self.cores)
        report = pair_report(data.lengths, self.lagtime)
        pieces = segments(report.used, self.n_blocks)
        number, size = 1 + max(piece.block for piece in pieces), data.n_cores
        require_memory(
            3 * 8 * number * size**2, f"counts between {size} cores in blocks; keep the cores of few sets"
        )
        together, lagged = np.zeros((number, size, size)), np.zeros((number, size, size))
        visits = [milestones(block) for block in data.blocks]
        for k, start, stop, block in pieces:
            last, coming = visits[k]
            weight = np.ones(stop - start) if data.weights is None else data.weights[k][start:stop]
            begin = last[start:stop]
            # b_t against f_t and against f_{t+tau}: M and C before their rows are divided by their sums
            for table, later in ((together, 0), (lagged, report.lagtime)):
                end = coming[start + later : stop + later]
                known = (begin >= 0) & (end >= 0)
                keys = begin[known] * size + end[known]
                table[block] += np.bincount(keys, weight[known], size**2).reshape(size, size)
        counts = MilestoneCounts(report.lagtime, data.dt, together, lagged, report)
        return CoreSetModel(_complete(counts), data)


def _complete(counts: MilestoneCounts) -> MilestoneCounts:
    """The counts, if every core was left and entered.

    Raises
    ------
    ValueError
        If one was not.
    """
    counted = counts.lagged.sum(axis=0)
    lost = np.flatnonzero((counted.sum(axis=0) == 0) | (counted.sum(axis=1) == 0))
    if len(lost):
        raise ValueError(
            f"cores {lost.tolist()} are never left or never entered; use fewer cores or more data"
        )
    return counts
