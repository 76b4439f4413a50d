r"""Cross-validation of anything fitted to trajectories, by parts that share no pair of frames.

Frames of a trajectory are correlated, so data are divided by whole trajectories, long ones by consecutive pieces (see
`blocks`), never frame by frame. A method is fitted to some parts and scored on the others; scores of repeated splits
are not independent, which the standard error

.. math::  \sigma\, \sqrt{1/n + n_\mathrm{test} / n_\mathrm{training}}

takes into account [nadeau2003].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from thalweg.machine.surviving import reason, surviving
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import PairRange, segments
from thalweg.time_series.trajectories import Trajectories, as_trajectories, sliceable

Data = TypeVar("Data")


@runtime_checkable
class Scored(Protocol):
    """A fitted model that can be judged."""

    def score(self, data: Any, r: int = 2) -> float: ...


@runtime_checkable
class FitMethod(Protocol):
    """A method of estimation: settings whose ``fit`` makes a `Scored` model."""

    def fit(self, data: Any) -> Scored: ...


@dataclass(frozen=True)
class ShuffleSplit:
    """Random divisions, each with a share ``test`` of the parts held out.

    Parameters
    ----------
    splits : how many divisions
    test : share of the parts held out
    seed : of the divisions

    Examples
    --------
    >>> [len(held) for _, held in ShuffleSplit(splits=2).divide(10)]
    [5, 5]
    """

    splits: int = 10
    test: float = 0.5
    seed: int = 0

    def __post_init__(self):
        if self.splits < 1 or not 0 < self.test < 1:
            raise ValueError(
                f"splits={self.splits} must be positive and test={self.test} between zero and one"
            )

    def divide(self, parts: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Parts to train on and parts held out, for every split."""
        generator = np.random.default_rng(self.seed)
        held = min(max(round(self.test * parts), 1), parts - 1)
        for _ in range(self.splits):
            order = generator.permutation(parts)
            yield np.sort(order[held:]), np.sort(order[:held])


@dataclass(frozen=True)
class Folds:
    """Each part is held out once, together with others, in ``splits`` folds.

    Parameters
    ----------
    splits : how many folds
    seed : of the division
    """

    splits: int = 5
    seed: int = 0

    def divide(self, parts: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Parts to train on and parts held out, for every fold.

        Raises
        ------
        ValueError
            If there are fewer parts than folds, or fewer than two folds.
        """
        if not 2 <= self.splits <= parts:
            raise ValueError(f"{parts} parts cannot make {self.splits} folds; take from 2 to {parts}")
        order = np.random.default_rng(self.seed).permutation(parts)
        for held in np.array_split(order, self.splits):
            yield np.setdiff1d(order, held), np.sort(held)


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Scores of one method.

    Attributes
    ----------
    training, held_out : (splits,) scores; NaN where a fit failed
    overlap : parts held out over parts trained on
    failures : reason for each split that has no score
    """

    training: Shaped[np.ndarray, " splits"]
    held_out: Shaped[np.ndarray, " splits"]
    overlap: float
    failures: dict[int, str]

    @property
    def mean(self) -> float:
        """Mean held-out score of the splits that have one."""
        return float(np.nanmean(self.held_out)) if np.isfinite(self.held_out).any() else float("nan")

    @property
    def error(self) -> float:
        """Its standard error."""
        # sigma sqrt(1/n + n_test / n_training): splits share data, so that their scores are not independent
        counted = int(np.isfinite(self.held_out).sum())
        if counted < 2:
            return float("nan")
        return float(np.nanstd(self.held_out, ddof=1) * np.sqrt(1 / counted + self.overlap))

    def __str__(self) -> str:
        text = f"{self.mean:.4f} ± {self.error:.4f} held out, {np.nanmean(self.training):.4f} in training"
        return text + (
            f"; {len(self.failures)} of {len(self.held_out)} splits failed" if self.failures else ""
        )


def cross_validate(
    method: FitMethod,
    data: Data,
    splits: ShuffleSplit | Folds = ShuffleSplit(),
    r: int = 2,
    parts: int = 20,
    progress: Callable[[str, float], None] | None = None,
) -> CrossValidation:
    """Held-out scores of a method.

    Parameters
    ----------
    method : with ``fit(data)``, whose model has ``score(data, r)``
    data : `Trajectories` or `DiscreteTrajectories`, or what the method makes such of
    splits : how parts are held out
    r : of the score
    parts : about how many parts to divide the data into; pieces of long trajectories, whole short ones
    progress : called with a message and the fraction done

    Raises
    ------
    ValueError
        If there are fewer than two parts, no split gives a model, or data are states without their class.

    Examples
    --------
    >>> from thalweg.collective_variables.linear.tica import TICA
    >>> from thalweg.time_series.trajectories import Trajectories
    >>> x = np.cumsum(np.random.default_rng(0).standard_normal((4000, 1)), axis=0) % 50
    >>> 1.5 < cross_validate(TICA(lagtime=1, dim=1), Trajectories([x])).mean < 2.0
    True
    """
    data = data if hasattr(data, "lengths") else getattr(method, "as_data", _of_frames)(data)
    pieces = segments(data.lengths, parts)
    count = 1 + max(piece.block for piece in pieces)
    if count < 2:
        raise ValueError("cross-validation needs at least two trajectories or one that can be divided")
    divisions = list(enumerate(splits.divide(count)))

    def scored(division: tuple[int, tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
        k, chosen = division
        fitted_to, left_out = (
            taken(data, [piece for piece in pieces if piece.block in blocks]) for blocks in chosen
        )
        model = method.fit(fitted_to)
        if not isinstance(model, Scored):
            raise TypeError(f"a {type(model).__name__} has no score(data, r), by which it could be judged")
        scores = model.score(fitted_to, r), model.score(left_out, r)
        if progress is not None:
            progress(f"split {k + 1} of {len(divisions)}: {scores[1]:.4f}", (k + 1) / len(divisions))
        return scores

    # a split that fails is told and counted by the result
    left = surviving(divisions, scored, "splits", fewest=0, told=False)
    failures = {failure.member[0]: reason(failure.error) for failure in left.failures}
    if not left.members:
        raise ValueError(f"no split gave a model; the first said: {failures[0]}") from left.failures[0].error
    scores = np.full((2, len(divisions)), np.nan)
    for (k, _), found in zip(left.members, left.results):
        scores[:, k] = found
    train, test = divisions[-1][1]
    return CrossValidation(scores[0], scores[1], len(test) / len(train), failures)


def _of_frames(data: Any) -> Trajectories:
    """Data as trajectories of frames; states, of which this layer knows nothing, are pointed out."""
    states = isinstance(data, list | tuple) and all(
        getattr(block, "ndim", 0) == 1 and block.dtype.kind in "iu" for block in data
    )
    if states:
        raise ValueError("these look like trajectories of states; give DiscreteTrajectories(data)")
    return as_trajectories(data)


def taken(data: Any, pieces: Sequence[PairRange]) -> Any:
    """Frames ``[start, stop)`` of every piece as a trajectory of its own, with what belongs to them.

    Parameters
    ----------
    data : `Trajectories` or `DiscreteTrajectories`
    """
    given = getattr(data, "columns", {"weights": data.weights})
    columns = {
        name: [column[p.trajectory][p.start : p.stop] for p in pieces]
        for name, column in given.items()
        if column is not None
    }
    return replace(data, blocks=[_part(data, piece) for piece in pieces], **columns)


def _part(data: Any, piece: PairRange) -> Any:
    block = data.blocks[piece.trajectory]
    if sliceable(block):
        return block[piece.start : piece.stop]
    return _Part(data, piece)


@dataclass(frozen=True, eq=False)
class _Part:
    """A piece of a trajectory that can only be read from its start."""

    data: Any
    piece: PairRange

    @property
    def shape(self) -> tuple[int, int]:
        return self.piece.stop - self.piece.start, self.data.n_features

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.data.windows(self.piece.trajectory, [(self.piece.start, self.piece.stop)])
