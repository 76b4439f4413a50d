r"""Where a guest binds, how strongly and how fast, from swarms of walks that were started anywhere and told nothing.

=====================  =================================================================================================
what                   how
=====================  =================================================================================================
states                 clusters of slow coordinates of the features [perezhernandez2013]
bound state            of the fewest sets of states that walks leave seldom among which one is near the host, that one
far apart              frames in a shell of distances where the two no longer feel each other
:math:`K`              :math:`\pi_{bound} / \pi_{shell}\, V_{shell}`, populations of a reversible Markov model
:math:`k_{off}`        1 / mean first-passage time from the bound state to the shell
:math:`k_{on}`         1 / mean first-passage time from the shell to the bound state, times the volume that a guest
                       which is not bound has as it has the shell, :math:`V_{shell}\,\pi_{unbound} / \pi_{shell}`
=====================  =================================================================================================

Restarted walks and walks that only began far apart are no sample of equilibrium, but transitions are drawn given where
they begin [bowman2010]. Sets are looked for with counts taken as if each way were gone both ways, so that a state that
no walk left again is found as well; then it has no free energy and no rates, and the reason is said. The two rates rest
on windows, K on populations: that :math:`k_{on} / k_{off}` is near K says that the states are good enough.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.linear.tica import TICA
from thalweg.free_energies.standard_state import shell_volume
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.pipeline import MarkovPipeline, PipelineModel
from thalweg.kinetics.reactions.passage_rate import PassageRate, passage_rate
from thalweg.kinetics.set_free_energy import SetFreeEnergy, set_free_energy
from thalweg.kinetics.states.clustering import KMeans
from thalweg.learning.models import Model
from thalweg.shapes import Bool, Float, Int
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories
from thalweg.units import MOLAR

PER_SECOND = 1e12
"""One per picosecond [1/s]."""

REACHING = 0.1
"""Share of the frames of a set that may be far apart if it is near the host."""


@dataclass(frozen=True, eq=False)
class AssociationModel(Model):
    """What `Association` found.

    Attributes
    ----------
    method : the settings
    pipeline : slow coordinates, clusters and the Markov model
    sets : (states,) set of each state
    place : which set is the bound state
    bound, apart : of each walk, (frames,) whether a frame is in the bound state, and in the shell
    bound_distance : median distance of host and guest in the bound state [nm]
    constant : free energy of the bound state less that of the shell [kJ/mol], with its error
    on, off : passage from the shell to the bound state, and back
    free_volume : of a guest that is not bound [nm^3]
    """

    method: Association
    pipeline: PipelineModel
    sets: Int[np.ndarray, " states"]
    place: int
    bound: tuple[Bool[np.ndarray, " frames"], ...]
    apart: tuple[Bool[np.ndarray, " frames"], ...]
    bound_distance: float
    constant: SetFreeEnergy
    on: PassageRate
    off: PassageRate
    free_volume: float

    @property
    def binding_free_energy(self) -> float:
        """Standard free energy of binding [kJ/mol]; its error is that of ``constant``."""
        return float(self.constant.value - self.method.kT * np.log(shell_volume(self.method.shell) * MOLAR))

    @property
    def association_rate(self) -> float:
        """``k_on`` [l/mol/s]; its relative error is ``on.log_error``."""
        return self.on.rate * self.free_volume * MOLAR * PER_SECOND

    @property
    def dissociation_rate(self) -> float:
        """``k_off`` [1/s]; its relative error is ``off.log_error``."""
        return self.off.rate * PER_SECOND

    @property
    def free_energy_of_rates(self) -> float:
        """``-kT ln(k_on / k_off)`` [kJ/mol], to compare with `binding_free_energy`."""
        return float(-self.method.kT * np.log(self.association_rate / self.dissociation_rate))

    @property
    def crossings(self) -> tuple[int, int]:
        """How often walks went from the shell to the bound state, and back."""
        steps = [_steps(b, a) for b, a in zip(self.bound, self.apart)]
        return sum(on for on, _ in steps), sum(off for _, off in steps)

    def binds(self, features: TrajectoryData) -> list[Bool[np.ndarray, " frames"]]:
        """Of other frames, whether they are in the bound state."""
        return [self.sets[states] == self.place for states in self.pipeline.states(features)]

    def in_words(self) -> tuple[str, ...]:
        """The answer, or for each part that has none why."""
        on, off = self.crossings
        return (
            f"bound state at {self.bound_distance:.2f} nm, reached {on} times from afar and left {off} times",
            f"binding free energy: {self._free_energy()}",
            f"k_on: {self._rate(self.on, self.association_rate, 'l/mol/s')}",
            f"k_off: {self._rate(self.off, self.dissociation_rate, '1/s')}",
        )

    def _free_energy(self) -> str:
        if self.constant.shortcomings:
            return f"none: {'; '.join(self.constant.shortcomings)}"
        return f"{self.binding_free_energy:.1f} ± {self.constant.error:.1f} kJ/mol"

    @staticmethod
    def _rate(passage: PassageRate, rate: float, unit: str) -> str:
        if passage.shortcomings:
            return f"none: {'; '.join(passage.shortcomings)}"
        return f"{rate:.2g} {unit}, within a factor {np.exp(passage.log_error):.2f}"


@dataclass(frozen=True)
class Association:
    """Settings of the analysis of a swarm.

    Parameters
    ----------
    lagtime : of slow coordinates and of the Markov model that sets and populations are taken from, in frames
    shell : least and largest distance [nm] of what counts as far apart; the least beyond the reach of the host
    kT : [kJ/mol]
    states : number of clusters
    dim : number of slow coordinates
    sets : into how many sets states are divided at most, until one of them is near the host
    samples : replicates for errors, in which whole walks are drawn anew
    seed : of clusters and draws

    Raises
    ------
    ValueError
        If the shell is empty or a number is too small.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> def walk(bound):                              # leaves with 1 % and binds with 2 % of all frames
    ...     states = [bound := bound ^ bool(random.random() < (0.01 if bound else 0.02)) for _ in range(300)]
    ...     return np.where(states, 0.2, 1.2) + random.normal(0, 0.02, 300)
    >>> walks = [walk(k % 2 == 0) for k in range(60)]
    >>> found = Association(10, (1.0, 1.5), 1.0, states=8, dim=1, sets=2).fit([w[:, None] for w in walks], walks)
    >>> exact = -np.log(2 * shell_volume((1.0, 1.5)) * MOLAR)                       # two thirds are bound
    >>> bool(abs(found.binding_free_energy - exact) < 3 * found.constant.error), round(found.bound_distance, 1)
    (True, 0.2)
    """

    lagtime: int
    shell: tuple[float, float]
    kT: float
    states: int = 100
    dim: int = 3
    sets: int = 4
    samples: int = 50
    seed: int = 0

    def __post_init__(self):
        shell_volume(self.shell)
        if self.kT <= 0 or self.sets < 2 or self.states < self.sets:
            raise ValueError(
                f"kT={self.kT:g}, {self.sets} sets of {self.states} states; a positive kT and at least two sets of as "
                "many states are needed"
            )

    def fit(
        self, features: TrajectoryData, distances: Sequence[Float[np.ndarray, " frames"]]
    ) -> AssociationModel:
        """The bound state, its free energy and rates.

        Parameters
        ----------
        features : of each walk
        distances : of host and guest in each of its frames [nm]

        Raises
        ------
        ValueError
            If walks and distances do not fit, no frame lies in the shell, or no set but what is far apart was found.
        """
        data = as_trajectories(features)
        if [len(walk) for walk in data] != [len(walk) for walk in distances]:
            raise ValueError(
                f"{len(data)} walks of {data.n_frames} frames and {len(distances)} of {sum(map(len, distances))} "
                "distances do not fit; give one distance for each frame"
            )
        apart = tuple((np.asarray(r) >= self.shell[0]) & (np.asarray(r) < self.shell[1]) for r in distances)
        if not any(each.any() for each in apart):
            raise ValueError(
                f"no frame lies {self.shell[0]:g} to {self.shell[1]:g} nm apart; start walks there, or give another "
                "shell"
            )
        model = MarkovStateModel(self.lagtime, n_blocks=len(data))
        clusters = KMeans(self.states, seed=self.seed)
        pipeline = MarkovPipeline(model, clusters, TICA(self.lagtime, dim=self.dim)).fit(data)
        states = pipeline.states(data)
        sets, place = self._bound_set(pipeline, np.concatenate(list(states)), np.concatenate(apart))
        # a frame in the shell is far apart, whatever state it is in
        bound = tuple((sets[walk] == place) & ~far for walk, far in zip(states, apart))
        unbound = [~each for each in bound]
        lags = [max(1, self.lagtime * k // 2) for k in (1, 2, 3, 4)]
        kinetics = {"lagtimes": lags, "samples": self.samples, "seed": self.seed}
        return AssociationModel(
            method=self,
            pipeline=pipeline,
            sets=sets,
            place=place,
            bound=bound,
            apart=apart,
            bound_distance=float(np.median(np.concatenate([r[b] for r, b in zip(distances, bound)]))),
            constant=self._difference(pipeline, bound, apart),
            on=passage_rate(states, apart, bound, **kinetics),
            off=passage_rate(states, bound, apart, **kinetics),
            free_volume=shell_volume(self.shell)
            * float(np.exp(-self._difference(pipeline, unbound, apart, samples=2).value / self.kT)),
        )

    def _bound_set(
        self, pipeline: PipelineModel, states: np.ndarray, far: np.ndarray
    ) -> tuple[Int[np.ndarray, " states"], int]:
        """The set of each state, -1 of states that no walk joins to the others, and which set is the bound state.

        The slowest process first: more sets are made only where none of fewer is near. The set that holds most of what
        is far apart is what the guest comes from; of the others, those that reach into the shell are none.
        """
        counts = pipeline.markov.counts.matrix
        both = MarkovStateModel(self.lagtime).fit_counts(counts + counts.T)
        for number in range(2, min(self.sets, len(both.active.states)) + 1):
            with warnings.catch_warnings():  # a set that no state belongs to most is a set less
                warnings.simplefilter("ignore")
                sets = metastable_sets(both, number).assignments
            known = sets[states] >= 0
            frames = np.bincount(sets[states][known], minlength=number)
            beyond = np.bincount(sets[states][known], far[known], minlength=number)
            near = np.flatnonzero((frames > 0) & (beyond < REACHING * frames))
            near = near[near != beyond.argmax()]
            if len(near):
                return sets, int(near[np.argmax(frames[near])])
        raise ValueError(
            "no set of states but what is far apart: no walk has come to stay near the host; give more or longer walks"
        )

    def _difference(
        self,
        pipeline: PipelineModel,
        inside: Sequence[np.ndarray],
        outside: Sequence[np.ndarray],
        samples: int | None = None,
    ) -> SetFreeEnergy:
        samples = self.samples if samples is None else samples
        return set_free_energy(pipeline.markov, inside, self.kT, samples, self.seed, outside)


def _steps(bound: np.ndarray, apart: np.ndarray) -> tuple[int, int]:
    """How often a walk goes from far apart to bound, and back, whatever lies between."""
    seen = np.where(bound, 1, np.where(apart, -1, 0))
    turns = np.diff(seen[seen != 0])
    return int((turns > 0).sum()), int((turns < 0).sum())
