r"""Functional mode analysis: the motion that goes with a function of a molecule [hub2009] [krivobokova2012].

The *maximally correlated mode* :math:`a` predicts the function from features, usually superposed positions,

.. math::  f_t \approx \bar f + a \cdot (x_t - \bar x) ,

by a path of least squares (`PartialLeastSquares`), as many directions as data left out speak for. It is a receipt, not
a motion: what the ensemble does when the function changes is the *ensemble-weighted mode*, the regression of features
on the prediction,

.. math::  m = C a \big/ \sqrt{a^T C a}, \qquad C = \langle (x - \bar x)(x - \bar x)^T \rangle ,

the change of the features, in their unit, as the function goes up by one standard deviation of what is predicted.

Any function is predicted in the frames of the fit if features are many. What counts is the correlation with predictions
of blocks left out, and that it is more than functions without a part in the motion reach: the same function, shifted in
time round the end of the data, or, where it is constant in each run (a mutant and a wild type), dealt to other runs.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from thalweg.collective_variables.bases.linear_map import mapped, names_of_features, project
from thalweg.collective_variables.covariances.held_out import dealt_folds
from thalweg.collective_variables.interpretation.distillation import Variable, values_of
from thalweg.collective_variables.interpretation.ranking import Ranking, group_amplitudes, ranked
from thalweg.collective_variables.linear.least_squares_paths import LeastSquaresPath, PartialLeastSquares
from thalweg.learning.models import Method, Model
from thalweg.machine.memory import require_memory
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

LEVEL = 0.05
"""Share of functions without a part in the motion that may do as well as one that is called predictable."""


@dataclass(frozen=True, eq=False)
class FunctionalModeModel(Model):
    """A function of a molecule as a motion.

    Attributes
    ----------
    mean : (features,)
    loadings : (features, 1), the maximally correlated mode, in units of the function over those of the features
    ensemble : (features,), the ensemble-weighted mode, in the unit of the features
    offset : mean of the function
    components : directions in use
    training : correlation of function and prediction in the frames of the fit
    held_out : the same on blocks left out in turn, for 1 to ``most`` directions
    held_out_error : standard error of that of the directions in use, over blocks
    without_part : (shifts,), the same of functions without a part in the motion, their directions chosen alike
    replicates : (samples, features), ensemble-weighted modes of resampled blocks
    names : of the features; None where they had none
    notes : what one should know
    """

    mean: Shaped[np.ndarray, " features"]
    loadings: Shaped[np.ndarray, "features 1"]
    ensemble: Shaped[np.ndarray, " features"]
    offset: float
    components: int
    training: float
    held_out: Shaped[np.ndarray, " most"]
    held_out_error: float
    without_part: Shaped[np.ndarray, " shifts"]
    replicates: Shaped[np.ndarray, "samples features"]
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def correlation(self) -> float:
        """Of function and prediction on blocks left out, by the directions in use."""
        return float(self.held_out[self.components - 1])

    @property
    def probability(self) -> float:
        """That a function without a part in the motion is predicted as well."""
        return (1 + int((self.without_part >= self.correlation).sum())) / (1 + len(self.without_part))

    @property
    def predictable(self) -> bool:
        """Whether the function is predicted on data left out, beyond what one without a part in the motion is."""
        return self.correlation > 0 and self.probability <= LEVEL

    @property
    def ensemble_errors(self) -> np.ndarray:
        """Standard deviation of the ensemble-weighted mode over resampled blocks ``(features,)``."""
        return self.replicates.std(axis=0, ddof=1)

    def headline(self) -> dict[str, object]:
        """How well the function is predicted."""
        return {
            "features": len(self.mean),
            "components": self.components,
            "held out": f"{self.correlation:.3f} ± {self.held_out_error:.2g}",
            "predictable": "yes" if self.predictable else "no",
        }

    def transform(self, data: Any) -> Any:
        """The function predicted ``(frames, 1)`` of an array, NumPy or JAX, a DataFrame or every trajectory."""

        def values(frames: Any) -> Any:
            found = project(frames, self.mean, self.loadings)
            if isinstance(found, Trajectories):
                return replace(found, blocks=[block + self.offset for block in found.blocks])
            return found + self.offset

        return mapped(data, self.names, values)

    def score(self, data: TrajectoryData, function: Variable) -> float:
        """Correlation of function and prediction in other data, by the weights of the frames."""
        frames = _frames_of(as_trajectories(data), function, 2)
        return _correlation(
            project(frames.x, self.mean, self.loadings)[:, 0], frames.y - frames.y.mean(), frames.weights
        )

    def along(self, steps: Shaped[np.ndarray, " steps"]) -> Shaped[np.ndarray, "steps features"]:
        """Mean features moved along the ensemble-weighted mode, by ``steps`` standard deviations of the prediction."""
        return self.mean + np.asarray(steps, float)[:, None] * self.ensemble

    def amplitudes(self, members: Sequence[Hashable]) -> Ranking:
        """How far each residue goes in the ensemble-weighted mode, for features that are positions.

        Parameters
        ----------
        members : group of each atom, such as its residue, whose ``x``, ``y``, ``z`` follow each other

        Returns
        -------
        root mean square displacement of the atoms [unit of the features] as the prediction goes up by one standard
        deviation, with its spread over resampled blocks
        """
        names, values = group_amplitudes(self.ensemble, members)
        return ranked(names, values, group_amplitudes(self.replicates, members)[1])

    def __str__(self) -> str:
        verdict = "predictable" if self.predictable else "NOT predictable"
        lines = [
            f"{verdict}: correlation {self.correlation:.3f} ± {self.held_out_error:.2g} on data left out "
            f"({self.training:.3f} in training) by {self.components} directions; {self.probability:.2g} of functions "
            "without a part do as well"
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


@dataclass(frozen=True)
class FunctionalModes(Method):
    """The motion that goes with a function, by least squares of few directions.

    Parameters
    ----------
    components : directions; None for the fewest that predict data left out as well as the best number does, within
        the standard error of the difference
    most : directions tried
    path : `PartialLeastSquares` or `PrincipalComponents`
    folds : parts of the data, each left out once
    n_blocks : about how many blocks of frames are taken as independent
    shifts : functions without a part in the motion
    samples : resampled data of which errors are made
    seed : of both

    Raises
    ------
    ValueError
        If a number is too small: of directions one, of folds, blocks and samples two; 19 shifts tell what happens in
        one case of twenty.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((600, 12))
    >>> model = FunctionalModes(most=4).fit(x, x[:, :1] - x[:, 3:4])
    >>> model.predictable, np.flatnonzero(abs(model.ensemble) > 0.3).tolist()
    (True, [0, 3])
    """

    components: int | None = None
    most: int = 20
    path: LeastSquaresPath = field(default_factory=PartialLeastSquares)
    folds: int = 5
    n_blocks: int = 20
    shifts: int = 39
    samples: int = 50
    seed: int = 0

    def __post_init__(self):
        if min(self.most, self.components or 1) < 1 or min(self.folds, self.n_blocks, self.samples) < 2:
            raise ValueError(
                f"components={self.components} and most={self.most} must be positive, folds={self.folds}, "
                f"n_blocks={self.n_blocks} and samples={self.samples} at least two"
            )
        if self.shifts < 19:
            raise ValueError(f"shifts={self.shifts} cannot tell one case of twenty; give 19 or more")

    @on_one_thread
    def fit(self, data: TrajectoryData, function: Variable) -> FunctionalModeModel:
        """The mode.

        Parameters
        ----------
        data : features, usually positions superposed on one structure; frames count by their weights
        function : a number of each frame: values ``(frames, 1)`` for every trajectory, or a function of the frames

        Raises
        ------
        ValueError
            If there is not one value per frame, the function does not vary, or data make fewer blocks than folds.
        """
        trajectories = as_trajectories(data)
        frames = _frames_of(trajectories, function, self.n_blocks)
        most = max(self.most, self.components or 1)
        sums = self._crossed(frames, frames.y[None], most)
        components = self._chosen(sums)[0]
        mean, offset, loadings = self._fitted(frames, components, frames.weights)
        replicates, correlations = self._resampled(frames, components, sums[0, components - 1])
        found = FunctionalModeModel(
            mean,
            loadings[:, None],
            _ensemble(frames, frames.weights, mean, loadings),
            offset,
            components,
            _correlation((frames.x - mean) @ loadings, frames.y - offset, frames.weights),
            _correlations(sums[0].sum(axis=1)),
            float(np.std(correlations, ddof=1)),
            self._without_part(frames, trajectories.lengths, most),
            replicates,
            names_of_features(trajectories),
        )
        return replace(found, notes=_notes(found, most))

    def _fitted(
        self, frames: _Frames, components: int, weights: np.ndarray
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """Means of features and function, and the coefficients."""
        part = _centered(frames, weights)
        offset = float(part.share @ frames.y[part.used])
        return part.mean, offset, self.path(part.x, part.of(frames.y - offset), components)[-1]

    def _crossed(self, frames: _Frames, functions: np.ndarray, most: int) -> np.ndarray:
        """Block sums of products of functions and predictions from other folds, ``(functions, most, blocks, 6)``."""
        fold = dealt_folds(frames.n_blocks, self.folds)[frames.block]
        sums = np.zeros((len(functions), most, frames.n_blocks, 6))
        for k in range(self.folds):
            left = fold == k
            part = _centered(frames, np.where(left, 0.0, frames.weights))
            moved = frames.x[left] - part.mean
            in_block = frames.weights[left, None] * (frames.block[left, None] == np.arange(frames.n_blocks))
            for y, own in zip(functions, sums):
                offset = part.share @ y[part.used]
                predicted = offset - y.mean() + self.path(part.x, part.of(y - offset), most) @ moved.T
                # counts, sums and products, as _correlations reads them
                known = np.broadcast_to(y[left] - y.mean(), predicted.shape)
                columns = (
                    np.ones_like(predicted), known, predicted, known**2, predicted**2, known * predicted
                )  # fmt: skip
                own += np.stack([each @ in_block for each in columns], axis=-1)
        return sums

    def _chosen(self, sums: np.ndarray) -> list[int]:
        """Directions in use for each function."""
        if self.components:
            return [self.components] * len(sums)
        chosen = []
        for each in sums:
            errors = each[..., 3] + each[..., 4] - 2 * each[..., 5]
            best = int(errors.sum(axis=1).argmin())
            # the fewest that are not worse than the best by more than the standard error of the difference
            worse = errors - errors[best]
            allowed = worse.std(axis=1, ddof=1) * np.sqrt(errors.shape[1])
            chosen.append(1 + int(np.argmax(worse.sum(axis=1) <= allowed)))
        return chosen

    def _without_part(self, frames: _Frames, lengths: np.ndarray, most: int) -> np.ndarray:
        """Held-out correlations of functions that have no part in the motion."""
        random = np.random.default_rng(self.seed)
        owner = np.repeat(np.arange(len(lengths)), lengths)
        levels = frames.y[np.cumsum(lengths) - lengths]
        if (frames.y == levels[owner]).all():
            others = [levels[random.permutation(len(levels))][owner] for _ in range(self.shifts)]
        else:
            # no less than a block from where it was, either way round
            near = max(len(owner) // (frames.n_blocks + 1), 1)
            others = [
                np.roll(frames.y, int(random.integers(near, len(owner) - near))) for _ in range(self.shifts)
            ]
        sums = self._crossed(frames, np.stack(others), most)
        chosen = self._chosen(sums)
        return np.array([_correlations(each[k - 1].sum(axis=0)) for each, k in zip(sums, chosen)])

    def _resampled(
        self, frames: _Frames, components: int, sums: np.ndarray
    ) -> tuple[np.ndarray, list[float]]:
        """Ensemble-weighted modes, and held-out correlations, of blocks drawn with replacement."""
        random = np.random.default_rng([self.seed, 1])
        modes, correlations = [], []
        for _ in range(self.samples):
            drawn = random.multinomial(frames.n_blocks, np.full(frames.n_blocks, 1 / frames.n_blocks))
            weights = frames.weights * drawn[frames.block]
            mean, _, loadings = self._fitted(frames, components, weights)
            modes.append(_ensemble(frames, weights, mean, loadings))
            correlations.append(float(_correlations(drawn @ sums)))
        return np.stack(modes), correlations


class _Centered(NamedTuple):
    """Features of frames in use less their mean, weighted; no more rows than features."""

    x: np.ndarray
    mean: np.ndarray
    used: np.ndarray
    share: np.ndarray
    turn: np.ndarray | None

    def of(self, y: np.ndarray) -> np.ndarray:
        """A centered function, as the rows are."""
        rows = np.sqrt(self.share) * y[self.used]
        return rows if self.turn is None else rows @ self.turn


def _centered(frames: _Frames, weights: np.ndarray) -> _Centered:
    used = weights > 0
    share = weights[used] / weights[used].sum()
    mean = share @ frames.x[used]
    rows = np.sqrt(share)[:, None] * (frames.x[used] - mean)
    if len(rows) <= rows.shape[1]:
        return _Centered(rows, mean, used, share, None)
    # X = Q R: least squares of X and y are those of R and Q^T y
    turn, triangle = np.linalg.qr(rows)
    return _Centered(triangle, mean, used, share, turn)


class _Frames(NamedTuple):
    """All frames in a row: features, function, weights, and the block of each."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    block: np.ndarray

    @property
    def n_blocks(self) -> int:
        return int(self.block.max()) + 1


def _frames_of(data: Trajectories, function: Variable, n_blocks: int) -> _Frames:
    values = values_of(data, function)
    if values.n_features != 1:
        raise ValueError(f"got {values.n_features} functions; give one number for each frame, (frames, 1)")
    require_memory(
        40.0 * data.n_frames * data.n_features, f"{data.n_frames} frames of {data.n_features} features"
    )
    x, y = (np.concatenate([chunk for _, _, chunk in each.chunks()]).astype(float) for each in (data, values))
    y = y[:, 0]
    if not y.std() > 1e-12 * max(abs(y).max(), 1e-300):
        raise ValueError(f"the function is {y[0]:.6g} in all frames; there is nothing to predict")
    block = np.empty(len(y), int)
    starts = np.cumsum(data.lengths) - data.lengths
    for piece in segments(data.lengths, n_blocks):
        block[starts[piece.trajectory] + piece.start : starts[piece.trajectory] + piece.stop] = piece.block
    weights = np.ones(len(y)) if data.weights is None else np.concatenate(data.weights)
    return _Frames(x, y, weights, block)


def _ensemble(frames: _Frames, weights: np.ndarray, mean: np.ndarray, loadings: np.ndarray) -> np.ndarray:
    """``C a / sqrt(a^T C a)``."""
    share = weights / weights.sum()
    moved = (frames.x - mean) @ loadings
    together = (share * moved) @ (frames.x - mean)
    return together / np.sqrt(max(float(share @ moved**2), 1e-300))


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    one = np.ones_like(a)
    return float(_correlations(np.stack([each @ weights for each in (one, a, b, a**2, b**2, a * b)])))


def _correlations(sums: np.ndarray) -> np.ndarray:
    """From sums ``(..., 6)`` of ones, two numbers, their squares and their product; zero of what does not vary."""
    count, a, b, aa, bb, ab = np.moveaxis(sums, -1, 0)
    sizes = np.maximum((aa - a * a / count) * (bb - b * b / count), 0)
    return np.where(sizes > 0, (ab - a * b / count) / np.sqrt(np.where(sizes > 0, sizes, 1.0)), 0.0)


def _notes(found: FunctionalModeModel, most: int) -> tuple[str, ...]:
    notes: list[str] = []
    if not found.predictable:
        notes.append(
            f"the function is not predictable from these features: correlation {found.correlation:.2f} on data left "
            f"out, and {found.probability:.0%} of functions without a part in the motion do as well; the mode means "
            "nothing. A network (FunctionalNetwork) sees what is not linear; other features or more runs may help"
        )
    elif found.components == most:
        notes.append(f"all {most} directions tried are in use; try more by most={2 * most}")
    return tuple(notes)
