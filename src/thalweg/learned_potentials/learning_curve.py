"""How errors fall with the number of training frames, and how a model taught here does there.

A learning curve is fitted on nested random subsets, drawn anew for each split; its error bars are standard errors of
the mean over splits. Where errors fall as a power of the number of frames [amari1992], `LearningCurve.exponent` says
what more data would bring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.learned_potentials.frames.errors import SHOWN, Errors, errors
from thalweg.learned_potentials.frames.reference_energies import of_other_compositions
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learning.splits import random_split
from thalweg.systems.configuration import Configuration, elements_of

LABELS = {"energy": "energy", "energy per atom": "energy_per_atom", "forces": "forces", "stress": "stress"}


@dataclass(frozen=True)
class LearningCurve:
    """Errors on test frames by number of training frames.

    Attributes
    ----------
    sizes : numbers of training frames
    errors : of each size, one per split
    """

    sizes: tuple[int, ...]
    errors: tuple[tuple[Errors, ...], ...]

    def values(self, label: str, measure: str = "mae") -> np.ndarray:
        """``(sizes, splits)`` errors in internal units; NaN where the test frames have no such label.

        Parameters
        ----------
        label : "energy", "energy per atom", "forces" or "stress"
        measure : "mae", "rmse" or "worst"
        """
        errors = [[getattr(each, LABELS[label]) for each in row] for row in self.errors]
        return _measured(errors, measure)

    def mean(self, label: str, measure: str = "mae") -> np.ndarray:
        """``(sizes,)`` means over splits."""
        return self.values(label, measure).mean(1)

    def standard_error(self, label: str, measure: str = "mae") -> np.ndarray:
        """``(sizes,)`` standard errors of the mean; NaN for a single split."""
        values = self.values(label, measure)
        splits = values.shape[1]
        return values.std(1, ddof=1) / np.sqrt(splits) if splits > 1 else np.full(len(values), np.nan)

    def exponent(self, label: str, measure: str = "mae") -> float:
        """Slope of the logarithm of the error in that of the number of frames, by least squares; NaN for one size."""
        if len(self.sizes) < 2:
            return float("nan")
        return float(np.polyfit(np.log(self.sizes), np.log(self.mean(label, measure)), 1)[0])

    def rows(self) -> list[tuple[int, str, str, float, float, float, float]]:
        """Frames, label, unit, mean absolute error and its standard error, root mean square error and its."""
        rows = []
        for label in LABELS:
            unit, one = SHOWN[label]
            columns = [
                statistic(label, measure) / one
                for measure in ("mae", "rmse")
                for statistic in (self.mean, self.standard_error)
            ]
            rows += [
                (size, label, unit, *map(float, row))
                for size, *row in zip(self.sizes, *columns)
                if np.isfinite(row[0])
            ]
        return rows

    def table(self) -> str:
        """The curve as text in meV, meV/Å and GPa."""
        lines = [f"{'frames':>7} {'label':<16} {'unit':<6}{'MAE':>18}{'RMSE':>18}"]
        for size, label, unit, mae, mae_error, rmse, rmse_error in self.rows():
            shown = "".join(
                f"{f'{value:.3f} ± {error:.3f}':>18}"
                for value, error in ((mae, mae_error), (rmse, rmse_error))
            )
            lines.append(f"{size:7d} {label:<16} {unit:<6}{shown}")
        return "\n".join(lines)


def _measured(errors, measure):
    """A ``measure`` of each of a table of errors; NaN where there is none."""
    return np.array(
        [[np.nan if error is None else getattr(error, measure) for error in row] for row in errors]
    )


def _cell(label: str, value: float, spread: float, is_open: bool) -> str:
    """An error of a table with its standard error."""
    if is_open and label.startswith("energy"):
        return "open"
    return f"{value:.3f} ± {spread:.3f}" if np.isfinite(spread) else f"{value:.3f}"


def learning_curve(
    recipe: Recipe,
    configurations: Sequence[Configuration],
    sizes: Sequence[int],
    *,
    splits: int = 5,
    seed: int = 0,
    test: Sequence[Configuration] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> LearningCurve:
    """Errors of ``recipe`` fitted to ``sizes`` of ``configurations``, over ``splits`` random draws.

    Parameters
    ----------
    test : frames to judge on; those left over by the largest size unless given
    progress : called with a message and the fraction done before every fit

    Raises
    ------
    ValueError
        If there are not enough frames.
    """
    sizes = tuple(sorted(set(sizes)))
    if not sizes or sizes[0] < 1 or splits < 1:
        raise ValueError(
            f"sizes={sizes} and splits={splits} give no fit; ask for at least one frame and split"
        )
    most = len(configurations) - (test is None)
    if sizes[-1] > most:
        raise ValueError(
            f"{len(configurations)} frames cannot train on {sizes[-1]}"
            f"{' and leave one to test on; give test frames' if test is None else ''}; use sizes up to {most}"
        )
    columns = []
    for split in range(splits):
        order = np.random.default_rng([seed, split]).permutation(len(configurations))
        judged = [configurations[k] for k in order[sizes[-1] :]] if test is None else test
        column = []
        for done, size in enumerate(sizes):
            if progress is not None:
                part = sum(sizes[:done]) / sum(sizes)
                progress(f"split {split + 1} of {splits}, {size} frames", (split + part) / splits)
            chosen = [configurations[k] for k in order[:size]]
            column.append(errors(recipe.fit(chosen, seed=seed + split), judged))
        columns.append(column)
    return LearningCurve(sizes, tuple(zip(*columns)))


@dataclass(frozen=True)
class TransferMatrix:
    """Errors of models taught on each of several sets and tried on each.

    Attributes
    ----------
    names : of the sets
    errors : row by training set, column by test set; None where the test set has an element the model never saw
    undecided : likewise, whether energies of the test set are off by a constant that the training set does not decide,
        see `frames.reference_energies`
    """

    names: tuple[str, ...]
    errors: tuple[tuple[Errors | None, ...], ...]
    undecided: tuple[tuple[bool, ...], ...] = ()

    def values(self, label: str, measure: str = "mae") -> np.ndarray:
        """``(sets, sets)`` errors in internal units, trained along rows; NaN where there is none.

        Energies that are off by an undecided constant are none.
        """
        errors = [[each and getattr(each, LABELS[label]) for each in row] for row in self.errors]
        found = _measured(errors, measure)
        return np.where(self._open, np.nan, found) if label.startswith("energy") else found

    def standard_errors(self, label: str) -> np.ndarray:
        """``(sets, sets)`` standard errors of the mean absolute errors over test frames, as `values`."""
        return self.values(label, "mae_standard_error")

    @property
    def _open(self) -> np.ndarray:
        shape = (len(self.names), len(self.names))
        return np.array(self.undecided) if self.undecided else np.zeros(shape, bool)

    def table(self, label: str = "forces", measure: str = "mae") -> str:
        """The matrix as text in meV, meV/Å or GPa."""
        unit, one = SHOWN[label]
        values = self.values(label, measure) / one
        spread = self.standard_errors(label) / one if measure == "mae" else np.full(values.shape, np.nan)
        width = max(18, *(len(name) + 2 for name in self.names))
        over = ", standard errors over frames" if measure == "mae" else ""
        lines = [f"{label} {measure} [{unit}], trained on the set at the left, tested on that above{over}"]
        lines.append(" " * width + "".join(f"{name:>{width}}" for name in self.names))
        for name, *columns in zip(self.names, values, spread, self._open):
            cells = "".join(
                f"{_cell(label, *each):>{width}}" for each in zip(*(column.tolist() for column in columns))
            )
            lines.append(f"{name:<{width}}{cells}")
        if label.startswith("energy") and self._open.any():
            lines.append(
                "open: energies are off by a constant, since the training set does not decide those of its elements; "
                "give energies of isolated atoms (references), or several compositions"
            )
        return "\n".join(lines)


def transfer_matrix(
    recipe: Recipe,
    sets: Mapping[str, Sequence[Configuration]],
    *,
    held_out: float = 0.2,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> TransferMatrix:
    """Errors of ``recipe`` taught on each of the ``sets`` and tried on frames held out of each.

    Parameters
    ----------
    held_out : fraction of each set that is only tested on

    Raises
    ------
    ValueError
        If a set is too small to leave something on both sides.
    """
    training, tested = {}, {}
    for name, frames in sets.items():
        count = round(held_out * len(frames))
        if not 0 < count < len(frames):
            raise ValueError(
                f"{name} has {len(frames)} frames; holding out {held_out:g} leaves one side empty"
            )
        train, test = random_split(len(frames), (len(frames) - count, count), seed)
        training[name], tested[name] = [frames[k] for k in train], [frames[k] for k in test]
    rows, undecided = [], []
    for done, name in enumerate(sets):
        if progress is not None:
            progress(f"trained on {name}", done / len(sets))
        potential = recipe.fit(training[name], seed=seed)
        known = set(potential.elements)
        rows.append(
            tuple(
                errors(potential, test) if known >= set(elements_of(test)) else None
                for test in tested.values()
            )
        )
        undecided.append(
            tuple(
                known >= set(elements_of(test)) and bool(of_other_compositions(potential.card, test))
                for test in tested.values()
            )
        )
    return TransferMatrix(tuple(sets), tuple(rows), tuple(undecided))
