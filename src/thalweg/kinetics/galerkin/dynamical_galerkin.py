r"""Dynamical Galerkin approximation: what reactions are asked, from many short trajectories started anywhere.

Committors, mean passage times and the stationary density solve linear equations of the form

.. math::  f(x_t) = \mathbb E\left[f(x_{\min(t+\tau,T)}) + h \mid x_t\right]

outside the sets, with given values on them. In a basis they become small linear systems of correlations
[thiede2019]. No window needs to be longer than the lag time, no trajectory needs to cross, and frames may be drawn from
any distribution. Windows that stop where they enter a set make the answers right at any lag [strahan2021]; what a poor
basis forgets is remembered over shorter lags in between [lorpaiboon2024].

One fit gives the committor, the backward committor, both passage times, the weights, flux and rates, each with errors
by resampling blocks of trajectories. By default the basis is one of kernels that turn to the directions in which the
committor changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from thalweg.collective_variables.bases.basis import Basis, Functions
from thalweg.collective_variables.bases.linear_map import names_of_features
from thalweg.collective_variables.bases.remembered import Remembered
from thalweg.collective_variables.covariances.stationarity import FALSE_ALARMS
from thalweg.kinetics.committors.martingale import MartingaleTest, martingale_test
from thalweg.kinetics.galerkin.adapted_kernels import AdaptedKernels, Adapting
from thalweg.kinetics.galerkin.boundary import boundary
from thalweg.kinetics.galerkin.cell_answer import IN_FULL, CellAnswer, CellSums
from thalweg.kinetics.galerkin.cell_chain import (
    cell_counts,
    chance_of_change,
    density_ratios,
    disconnected_share,
    fitted_cells,
)
from thalweg.kinetics.galerkin.forms import (
    Forms,
    Increments,
    RidgeChoice,
    affordable_blocks,
    chance_of_size,
    chosen_ridge,
    given_ridge,
    solved,
    strongest_ridge,
    summed,
)
from thalweg.kinetics.galerkin.reactive_sums import WindowValues, reaction_numbers
from thalweg.kinetics.galerkin.solution import GalerkinFunction, Trial, gradients
from thalweg.kinetics.galerkin.stationary_density import StationaryDensity, free_increments
from thalweg.kinetics.reactions.regions import IN_A, IN_B, OUTSIDE, SetOfFrames, labels
from thalweg.kinetics.reactions.stopped_windows import StoppedWindows, block_count, stopped_windows
from thalweg.learning.models import Model, Transforming
from thalweg.machine.surviving import surviving
from thalweg.machine.threads import on_one_thread
from thalweg.time_series.resampling import Estimate
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories
from thalweg.units import duration, unit_of

GRADIENT_FRAMES = 4000
"""Frames at which gradients are averaged."""

FEWEST_ENTRIES = 10
"""Windows that must enter each set before its numbers are quoted without a note."""

MOST_NEGATIVE = 0.2
"""Share of windows of negative weight above which it is told."""

MOST_APART = 0.05
"""Share of windows without a weight, as no others lead to where they begin and back, above which it is told."""

AS_THEY_ARE = "first and last frames of windows have the same distribution, up to what chance gives"
NOT_AT_EQUILIBRIUM = "trajectories did not start from equilibrium"

PROBABILITY, TIME, UNLIMITED = (0.0, 1.0), (0.0, np.inf), (-np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class GalerkinModel(Model):
    """What a reaction is asked, and how well it is known.

    Attributes
    ----------
    method : the `DynamicalGalerkin` that made it
    dt : time between frames [ps]
    committor : probability to reach B before A
    backward_committor : probability to have come from A last
    passage_to_b, passage_to_a : mean time [ps] to reach a set, from every frame
    density : the stationary density relative to that of the data
    flux : reactive trajectories per time [1/ps]
    rate_ab, rate_ba : the same per time spent coming from A, from B [1/ps]
    passage_ab, passage_ba : mean time [ps] from one set to the other, begun as at equilibrium
    population_a, population_b : of the sets at equilibrium
    martingale : test of the committor in the data of the fit
    notes : what one should know
    """

    method: DynamicalGalerkin
    dt: float
    committor: GalerkinFunction
    backward_committor: GalerkinFunction
    passage_to_b: GalerkinFunction
    passage_to_a: GalerkinFunction
    density: StationaryDensity
    flux: Estimate
    rate_ab: Estimate
    rate_ba: Estimate
    passage_ab: Estimate
    passage_ba: Estimate
    population_a: Estimate
    population_b: Estimate
    martingale: MartingaleTest
    notes: tuple[str, ...]

    def transform(self, data: Any) -> Any:
        """Committor ``(frames, 1)`` of an array, NumPy or JAX, or of every trajectory."""
        return self.committor.transform(data)

    def headline(self) -> dict[str, object]:
        """Lag, rates, passage times and the verdict on the committor."""
        unit = unit_of(self.dt)
        return {
            "lag": duration(self.method.lagtime * self.dt, self.dt),
            "functions": self.committor.trial.size,
            "k_AB": f"{self.rate_ab} /{unit}",
            "k_BA": f"{self.rate_ba} /{unit}",
            "passage A to B": f"{self.passage_ab} {unit}",
            "passage B to A": f"{self.passage_ba} {unit}",
            "martingale": "passed" if self.martingale.passed else "failed",
            "notes": len(self.notes),
        }

    def __str__(self) -> str:
        unit = unit_of(self.dt)
        rates = f"k_AB {self.rate_ab}, k_BA {self.rate_ba}, flux {self.flux} /{unit}"
        times = f"mean passage times A to B {self.passage_ab}, B to A {self.passage_ba} {unit}"
        lag = f"at lag {duration(self.method.lagtime * self.dt, self.dt)}"
        return "\n".join([f"{rates} {lag}", times, str(self.martingale), str(self.density), *self.notes])


@dataclass(frozen=True)
class DynamicalGalerkin(Transforming):
    """Committors, passage times, weights, flux and rates between two sets, in any basis.

    Parameters
    ----------
    a, b : the sets: regions, or one boolean array for each trajectory. What is given by masks says nothing about other
        frames: there functions hold outside the sets
    lagtime : in frames, the length of windows; with ``memory`` a multiple of ``memory + 1``
    basis : functions of the features; kernels that turn to the gradient of the committor by default
    memory : shorter lags in between over which what the basis forgets is corrected; 0 for none
    every : windows begin so many frames apart; what they enter is looked for at every frame
    n_blocks : about how many blocks of trajectories are drawn and left out as a whole
    samples : resamplings for errors; 0 for none
    seed : of the resamplings

    Raises
    ------
    ValueError
        If numbers are out of range.

    Examples
    --------
    >>> from thalweg.collective_variables.bases.polynomials import Polynomials
    >>> from thalweg.kinetics.reactions.regions import Intervals
    >>> random = np.random.default_rng(0)
    >>> start = random.uniform(-1, 1, (500, 1, 1))
    >>> steps = random.choice([-0.1, 0.1], (500, 20, 1))
    >>> walks = list(np.concatenate([start, start + np.cumsum(steps, axis=1)], axis=1))
    >>> ends = Intervals((-np.inf,), (-0.9,)), Intervals((0.9,), (np.inf,))
    >>> model = DynamicalGalerkin(*ends, lagtime=10, basis=Polynomials(2), samples=0).fit(walks)
    >>> bool(abs(model.transform(np.array([[0.0]]))[0, 0] - 0.5) < 0.1)
    True
    """

    a: SetOfFrames
    b: SetOfFrames
    lagtime: int
    basis: Basis = AdaptedKernels()  # noqa: RUF009
    memory: int = 0
    every: int = 1
    n_blocks: int = 40
    samples: int = 50
    seed: int = 0

    def __post_init__(self):
        if self.memory < 0 or self.lagtime % (self.memory + 1):
            raise ValueError(
                f"lagtime={self.lagtime} must be a multiple of memory + 1 = {self.memory + 1}, memory not negative"
            )
        if self.samples < 0 or self.n_blocks < 2 or self.every < 1:
            raise ValueError(
                f"samples={self.samples} must not be negative, n_blocks={self.n_blocks} not below two, "
                f"every={self.every} not below one"
            )

    @on_one_thread
    def fit(self, data: TrajectoryData) -> GalerkinModel:
        """What the reaction is asked.

        Raises
        ------
        ValueError
            If the lag time leaves no windows, the sets overlap or hold no frame, no window enters one of them, or the
            functions vanish on all frames outside.
        """
        trajectories = as_trajectories(data)
        trajectories.report(self.lagtime)
        where = labels(trajectories, self.a, self.b)
        notes = _entries(trajectories, where, self.lagtime)
        functions = Remembered(self.basis.fit(trajectories))
        blocks = affordable_blocks(1 + len(functions.names), 1 + self.memory, self.n_blocks)
        passes = _Passes(self, trajectories, where, blocks, block_count(trajectories, blocks))
        # phi: the basis, turned to the committor where it can be
        functions = passes.turned(functions)
        cells = fitted_cells(trajectories, functions)
        committor, *passages = passes.problems()
        to_sets = passes.onward(functions, cells, *committor)
        to_b, to_a = (
            passes.onward(functions, cells, *each, strength=to_sets.ridge.strength) for each in passages
        )
        density = passes.density(functions, cells)
        past = passes.backward(to_sets.function.trial, cells, density.function)
        # all data first, which tells how long blocks must be, then blocks drawn with replacement
        whole = passes.numbers(
            to_sets.function, past.function, to_b.function, to_a.function, density.function
        )
        joined = passes.independent(1 / (whole[0, 1] + whole[0, 2]))
        times = passes.multiplicities(joined)
        future = [passes.resampled(each, times) for each in (to_sets, to_b, to_a)]
        weights = passes.resampled_density(density, times)
        before = passes.resampled_past(past, weights, times)
        numbers = passes.numbers(future[0], before, future[1], future[2], weights, times)
        estimates = [Estimate(np.asarray(each[0]), each[1:], joined) for each in numbers.T]
        in_a, in_b = ([each == place for each in where] for place in (IN_A, IN_B))
        test = martingale_test(
            to_sets.function, trajectories, in_a, in_b, _test_lags(self.lagtime, trajectories),
            every=self.every,
        )  # fmt: skip
        notes += (
            *_leak_notes(to_sets, to_b, to_a),
            *_density_notes(density),
            *_passage_notes(*estimates[3:5]),
            *_test_notes(test),
        )
        return GalerkinModel(
            self, trajectories.dt, _forgetful(future[0]), _forgetful(before), _forgetful(future[1]),
            _forgetful(future[2]), replace(weights, functions=functions.functions), *estimates,
            martingale=test, notes=(*notes, *trajectories.notes(self.lagtime)),
        )  # fmt: skip


class _Solved(NamedTuple):
    """A function with the sums it was found from."""

    function: Any
    forms: Forms
    ridge: RidgeChoice
    counts: np.ndarray | None = None
    cells: CellAnswer | None = None

    def about(self, times: np.ndarray) -> np.ndarray | None:
        """Minus what coefficients are drawn to, of data whose blocks occur so often."""
        return None if self.cells is None else -self.cells.coefficients(times)


class _Passes(NamedTuple):
    """Passes over the data of one fit."""

    method: DynamicalGalerkin
    data: Trajectories
    where: list[np.ndarray]
    about: int
    blocks: int

    @property
    def independent_windows(self) -> float:
        """How many windows do not overlap."""
        return float(np.maximum(self.data.lengths - 1, 0).sum() / self.method.lagtime)

    def problems(self) -> Iterator[tuple]:
        """Name, sets, their labels, values on them, what accrues in a step, and limits of functions of the future."""
        inside = [[labels == place for labels in self.where] for place in (IN_A, IN_B)]
        a, b, dt = self.method.a, self.method.b, self.data.dt
        yield "committor", (a, b), inside, (0.0, 1.0), 0.0, PROBABILITY
        yield "mean passage time to B", (b,), inside[1:], (0.0,), float(dt), TIME
        yield "mean passage time to A", (a,), inside[:1], (0.0,), float(dt), TIME

    def turned(self, functions: Remembered) -> Remembered:
        """Functions that look along the gradients of the committor found in them, a few times over."""
        basis = self.method.basis
        if not isinstance(basis, Adapting):
            return functions
        outside = _outside(self.data, self.where)
        for _ in range(basis.rounds):
            cells = fitted_cells(self.data, functions)
            found = self.onward(functions, cells, *next(self.problems())).function
            basis = basis.adapted(gradients(replace(found, limits=UNLIMITED), outside))
            functions = Remembered(basis.fit(self.data))
        return functions

    def onward(
        self,
        functions: Functions,
        cells: Functions,
        name: str,
        sets: Sequence[SetOfFrames],
        inside: Sequence[Sequence[np.ndarray]],
        values: tuple[float, ...],
        accrued: float,
        limits: tuple[float, float],
        strength: float | None = None,
    ) -> _Solved:
        """A function of the future with given values on sets."""
        where = [sum((k + 1) * mask for k, mask in enumerate(masks)) for masks in zip(*inside)]
        trial = Trial(functions, boundary(self.data, sets, values, inside))
        memory, lagtime = self.method.memory, self.method.lagtime
        lags = tuple(lagtime // (memory + 1) * (k + 1) for k in range(memory + 1))
        # over several lags all windows must be whole; over one, those that the end of a trajectory cuts serve as well
        chain = CellSums(trial, cells, self.blocks)

        def part(windows: StoppedWindows) -> Increments:
            found, steps = trial.onward(windows, accrued), accrued * windows.steps[-1]
            chain.add(windows, found, windows.begins, windows.stops[-1], windows.weights, steps)
            return found

        parts = (part(each) for each in self._windows(where, lags, whole=memory > 0))
        forms = summed(parts, trial.size, len(lags), self.blocks, self.independent_windows)
        return self._solved(name, trial, forms, chain, limits, strength)

    def density(self, functions: Functions, cells: Functions) -> _Solved:
        """The stationary density: by a chain of cells where these change their populations, corrected by functions."""
        free = [np.zeros(len(labels), int) for labels in self.where]
        counts = cell_counts(self._windows(free), cells, self.blocks)
        size = len(functions.names)
        found = StationaryDensity(functions, np.zeros(size), np.zeros(size), np.zeros((0, size)), AS_THEY_ARE)
        if moved := chance_of_change(counts) <= FALSE_ALARMS:
            ratios = density_ratios(counts.sum(axis=0))
            none = np.zeros((0, len(ratios)))
            found = replace(
                found, cells=cells, ratios=ratios, ratio_replicates=none, reason=NOT_AT_EQUILIBRIUM
            )
        frames = self.data.strided(2 * GRADIENT_FRAMES).astype(float)
        weights = found.by_cells(frames)
        found = replace(found, mean=weights @ np.asarray(functions(frames)) / weights.sum())
        parts = (free_increments(each, found) for each in self._windows(free))
        forms = summed(parts, 1 + size, 1, self.blocks, self.independent_windows).adjoint
        ridge = chosen_ridge(forms)
        if chance_of_size(forms, ridge) <= FALSE_ALARMS:
            found = replace(found, coefficients=solved(forms, ridge)[1:], reason=NOT_AT_EQUILIBRIUM)
        return _Solved(
            replace(found, negative=self._negative(found)), forms, ridge, counts if moved else None
        )

    def backward(self, trial: Trial, cells: Functions, density: StationaryDensity) -> _Solved:
        """The backward committor: one on A, zero on B, where a window came from."""
        trial = replace(trial, boundary=replace(trial.boundary, values=(1.0, 0.0)))
        chain = CellSums(trial, cells, self.blocks)

        def part(windows: StoppedWindows) -> Increments:
            found = trial.backward(windows, self._weights(windows, density))
            # a chain has no negative weights
            weights = windows.weights * density.by_cells(windows.frames[windows.begins])
            chain.add(windows, found, windows.last, windows.origins, weights)
            return found

        parts = (part(each) for each in self._windows())
        forms = summed(parts, trial.size, 1, self.blocks, self.independent_windows)
        return self._solved("backward committor", trial, forms, chain, PROBABILITY, None)

    def numbers(
        self,
        forward: GalerkinFunction,
        backward: GalerkinFunction,
        to_b: GalerkinFunction,
        to_a: GalerkinFunction,
        density: StationaryDensity,
        times: np.ndarray | None = None,
    ) -> np.ndarray:
        """`reaction_numbers` of all data, then of every resampling, whose blocks occur as often as ``times`` says."""

        def members(windows: StoppedWindows) -> WindowValues:
            frames, where = windows.frames, windows.labels
            in_b, in_a = (where == IN_B).astype(int), (where == IN_A).astype(int)
            each = ((forward, where), (backward, where), (to_b, in_b), (to_a, in_a))
            values = [np.column_stack([f.at(frames, at), f.of_replicates(frames, at)]) for f, at in each]
            begins = frames[windows.begins]
            weights = np.column_stack([density(begins), density.of_replicates(begins)])
            often = np.ones(1) if times is None else np.append(1.0, times[:, windows.block])
            return WindowValues(*values, often * windows.weights[:, None] * weights)

        parts = ((windows, members(windows)) for windows in self._windows())
        return reaction_numbers(parts, self.method.lagtime * float(self.data.dt))

    def independent(self, relaxation: float) -> int:
        """Into how many blocks to join neighbors so that each lasts twice the relaxation time and the lag."""
        longest = float(self.data.lengths.max())
        # trajectories shorter than that are independent of each other anyway
        memory = np.nan_to_num(abs(relaxation) / float(self.data.dt), nan=longest, posinf=longest)
        memory = min(memory + self.method.lagtime, longest)
        windows = float(np.maximum(self.data.lengths - 1, 0).sum())
        return int(np.clip(windows / (2 * max(memory, 1.0)), min(20, self.blocks), self.blocks))

    def multiplicities(self, joined: int) -> np.ndarray:
        """How often blocks occur in resamplings ``(samples, blocks)``, neighbors together."""
        group = np.arange(self.blocks) * joined // self.blocks
        random = np.random.default_rng(self.method.seed)
        drawn = random.multinomial(joined, np.full(joined, 1 / joined), self.method.samples)
        return drawn.astype(float)[:, group]

    def resampled(self, found: _Solved, times: np.ndarray) -> GalerkinFunction:
        """A function with its replicates."""
        size = found.function.trial.size
        rows = _replicates(
            found.forms.resamplings(times),
            lambda k, each: solved(each, found.ridge, found.about(times[k])),
            times,
            size,
        )
        return replace(found.function, replicates=rows)

    def resampled_density(self, found: _Solved, times: np.ndarray) -> StationaryDensity:
        """The density with its replicates: of the correction where there is one, of the chain otherwise."""
        function = found.function
        if function.coefficients.any():
            rows = _replicates(
                found.forms.resamplings(times),
                lambda _, each: solved(each, found.ridge)[1:],
                times,
                len(function.mean),
            )
            return replace(
                function, replicates=rows, ratio_replicates=np.tile(function.ratios, (len(times), 1))
            )
        rows = np.zeros((len(times), len(function.mean)))
        if found.counts is None:
            return replace(function, replicates=rows)
        ratios = [density_ratios(np.tensordot(each, found.counts, 1)) for each in times]
        return replace(
            function, replicates=rows, ratio_replicates=np.reshape(ratios, (len(times), len(function.ratios)))
        )

    def resampled_past(
        self, found: _Solved, density: StationaryDensity, times: np.ndarray
    ) -> GalerkinFunction:
        r"""The backward committor with its replicates, whose weights are those of replicates of the density.

        With sums :math:`K` under the weights of all data, a step of Newton's method from the solution :math:`v`:
        :math:`(R - K)\, \delta v = \sum_t w_t\, \phi(x_t)\, r_t - R (v - v_0)` with the residual :math:`r_t` of each
        window, and what the ridge draws to.
        """
        function = found.function
        if not len(times):
            return function
        right = np.zeros((function.trial.size, len(times)))
        for windows in self._windows():
            part = function.trial.backward(windows, windows.weights)
            residual = part.sources[0] + part.changes[0] @ function.coefficients
            weights = density.of_replicates(windows.frames[windows.begins]) * times[:, windows.block]
            right += part.tests.T @ ((residual * windows.weights)[:, None] * weights)

        def stepped(sample: int, forms: Forms) -> np.ndarray:
            moved = replace(forms, sources=right[None, None, :, sample])
            drawn = found.about(times[sample])
            assert drawn is not None
            return function.coefficients + solved(moved, found.ridge, function.coefficients + drawn)

        rows = _replicates(found.forms.resamplings(times), stepped, times, function.trial.size)
        return replace(function, replicates=rows)

    def _solved(
        self,
        name: str,
        trial: Trial,
        forms: Forms,
        chain: CellSums,
        limits: tuple[float, float],
        strength: float | None,
    ) -> _Solved:
        cells = chain.answer(forms)
        strongest = strongest_ridge(forms)
        if slow := int((cells.leaks < strongest).sum()):
            cells = chain.answer(forms, IN_FULL)
            ridge = given_ridge(forms, strongest, slow)
        elif strength is None:
            ridge = chosen_ridge(forms, cells.coefficients)
        else:
            ridge = given_ridge(forms, strength)
        coefficients = solved(forms, ridge, -cells.coefficients(np.ones(self.blocks)))
        none = np.zeros((0, trial.size))
        function = GalerkinFunction(name, trial, coefficients, none, limits, names_of_features(self.data))
        return _Solved(function, forms, ridge, cells=cells)

    def _windows(
        self, where: list[np.ndarray] | None = None, lags: tuple[int, ...] = (), whole: bool = True
    ) -> Iterator[StoppedWindows]:
        """Windows stopped by both sets, or by others; whole ones for what is weighted to stationarity."""
        return stopped_windows(
            self.data,
            self.where if where is None else where,
            lags or (self.method.lagtime,),
            self.about,
            whole,
            self.method.every,
        )

    def _weights(self, windows: StoppedWindows, density: StationaryDensity) -> np.ndarray:
        return windows.weights * density(windows.frames[windows.begins])

    def _negative(self, density: StationaryDensity) -> float:
        """Share of windows whose weight is negative."""
        counted = [self._weights(each, density) < 0 for each in self._windows()]
        return float(np.concatenate(counted).mean())


def _forgetful(function: GalerkinFunction) -> GalerkinFunction:
    """A function without what its basis remembers of the data."""
    functions = function.trial.functions
    kept = functions.functions if isinstance(functions, Remembered) else functions
    return replace(function, trial=replace(function.trial, functions=kept))


def _replicates(
    resamplings: Iterator[Forms], work: Callable[[int, Forms], np.ndarray], times: np.ndarray, size: int
) -> np.ndarray:
    """Coefficients ``(samples, functions)`` of every resampling; NaN for those that could not be solved."""
    left = surviving(
        range(len(times)), lambda k: work(k, next(resamplings)), "resamplings", fewest=0, told=False
    )
    rows = np.full((len(times), size), np.nan)
    for k, coefficients in zip(left.members, left.results):
        rows[k] = coefficients
    return rows


def _outside(data: Trajectories, where: Sequence[np.ndarray]) -> np.ndarray:
    """Frames outside the sets, at most `GRADIENT_FRAMES` of them, evenly spread."""
    total = sum(int((each == OUTSIDE).sum()) for each in where)
    stride, seen, parts = max(1, -(-total // GRADIENT_FRAMES)), 0, []
    for k, start, frames in data.chunks():
        outside = frames[where[k][start : start + len(frames)] == OUTSIDE]
        parts.append(outside[(-seen) % stride :: stride])
        seen += len(outside)
    return np.concatenate(parts).astype(float)


def _entries(data: Trajectories, where: Sequence[np.ndarray], lagtime: int) -> tuple[str, ...]:
    """Notes on how many trajectories enter each set.

    Raises
    ------
    ValueError
        If none does, or no frame lies outside.
    """
    outside = sum(int((each == OUTSIDE).sum()) for each in where)
    if not outside:
        raise ValueError(f"none of {data.n_frames} frames lies between A and B; make the sets smaller")
    notes = []
    for name, place in (("A", IN_A), ("B", IN_B)):
        entered = sum(int(((each[:-1] != place) & (each[1:] == place)).sum()) for each in where)
        if not entered:
            held = sum(int((each == place).sum()) for each in where)
            raise ValueError(
                f"no trajectory enters {name}: its {held} frames are all at the begin of trajectories; add "
                f"trajectories that begin near {name}, or enlarge it"
            )
        if entered < FEWEST_ENTRIES:
            notes.append(f"trajectories enter {name} only {entered} times: errors may be too small")
    return tuple(notes)


def _test_lags(lagtime: int, data: Trajectories) -> tuple[int, ...]:
    """Lags of the martingale test: parts and multiples of the lag time that trajectories have."""
    longest = int(data.lengths.max()) - 1
    wanted = (lagtime // 4, lagtime // 2, lagtime, 2 * lagtime, 4 * lagtime)
    return tuple(sorted({min(max(lag, 1), longest) for lag in wanted}))


def _leak_notes(*found: _Solved) -> tuple[str, ...]:
    """Where so few windows leave a well that the cells decide."""
    notes = []
    for each in found:
        assert each.cells is not None
        slowest = each.cells.leaks.min()
        if slowest < strongest_ridge(each.forms) and each.forms.changes.shape[1] == 1:
            seen = slowest * each.forms.independent
            notes.append(
                f"{each.function.name}: of {each.forms.independent:.0f} windows that do not overlap about {seen:.1g} "
                f"would leave the slowest well for a set; what holds in it is said by a chain of "
                f"{each.cells.counts.shape[1]} cells, whose width is in no error bar; add trajectories between the "
                "wells, and compare another lag time"
            )
    return tuple(notes)


def _density_notes(density: _Solved) -> tuple[str, ...]:
    notes, negative = [], density.function.negative
    if negative > MOST_NEGATIVE:
        notes.append(
            f"the weights of {negative:.0%} of the windows are negative: flux and rates are not to be trusted; use "
            "more trajectories or fewer functions"
        )
    alone = 0.0 if density.counts is None else disconnected_share(density.counts.sum(axis=0))
    if alone > MOST_APART:
        notes.append(
            f"{alone:.0%} of the windows begin where no others come from the rest and go back: rates and passage times "
            "are not to be trusted; use a shorter lag time or more trajectories"
        )
    return tuple(notes)


def _passage_notes(*times: Estimate) -> tuple[str, ...]:
    names = ("A to B", "B to A")
    lost = [name for name, each in zip(names, times) if not (each.value > 0 and np.isfinite(each.value))]
    return tuple(
        f"the equations for the mean passage time from {name} are solved by a negative one, and zero is quoted: too "
        "few windows lead out of a well; use more trajectories, or a lag time in which some do"
        for name in lost
    )


def _test_notes(test: MartingaleTest) -> tuple[str, ...]:
    if test.passed:
        return ()
    return (
        f"the committor fails the martingale test by {test.worst:.2g}: the basis is too poor, features are missing "
        "(try a delay embedding or memory), or trajectories are too few",
    )
