"""Which features, lag time, dimension and number of states: every combination scored on data it has not seen.

The grid is that of the SETD8 study [schen2019]: feature sets, lag times and dimensions of slow coordinates, their
scaling, kinds and numbers of clusters. All combinations are judged alike: Markov models with one lag time and one
number of slow functions, on the same splits of the trajectories, since scores compare nothing else.

A combination that fails is kept with its reason. With a folder each result is a file as soon as it is there, and a
scan that was killed goes on with what is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import Scaling
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.pipeline import Clusters, MarkovPipeline
from thalweg.kinetics.states.clustering import KCenters, KMeans, KMeansAndCenters
from thalweg.machine.reading import reading
from thalweg.machine.surviving import reason
from thalweg.machine.whole_files import write_whole
from thalweg.time_series.cross_validation import Folds, ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories

CLUSTERINGS: dict[str, Callable[[int, int], Clusters]] = {
    "k-means": lambda count, seed: KMeans(count, seed=seed),
    "k-centers": lambda count, seed: KCenters(count),
    "k-means and k-centers": lambda count, seed: KMeansAndCenters(count, seed=seed),
}
"""Methods by name, made of a number of clusters and a seed."""


@dataclass(frozen=True)
class Combination:
    """One point of the grid; ``lagtime`` and ``dim`` are None where features are clustered as they are.

    Attributes
    ----------
    features : name of the feature set
    lagtime : of TICA, in frames
    dim : coordinates kept
    scaling : of the coordinates
    clustering : name of the method
    n_states : number of clusters
    """

    features: str
    lagtime: int | None
    dim: int | None
    scaling: Scaling | None
    clustering: str
    n_states: int

    def __str__(self) -> str:
        reduced = "" if self.lagtime is None else f", TICA at {self.lagtime} in {self.dim} ({self.scaling})"
        return f"{self.features}{reduced}, {self.clustering} into {self.n_states}"


@dataclass(frozen=True)
class Result:
    """Scores of one combination.

    Attributes
    ----------
    combination : what was tried
    training, held_out : scores of every split; NaN where it failed
    mean, error : of the held-out scores; NaN if all failed
    failure : why there is none, or empty
    """

    combination: Combination
    training: tuple[float, ...]
    held_out: tuple[float, ...]
    mean: float
    error: float
    failure: str

    def __str__(self) -> str:
        outcome = (
            self.failure or f"{self.mean:.4f} ± {self.error:.4f} (training {np.nanmean(self.training):.4f})"
        )
        return f"{self.combination}: {outcome}"


@dataclass(frozen=True)
class ScanTable:
    """All results, best first, failures last.

    Attributes
    ----------
    results : one of each combination
    """

    results: tuple[Result, ...]

    @property
    def best(self) -> Result:
        """The best combination.

        Raises
        ------
        ValueError
            If all failed.
        """
        if self.results[0].failure:
            raise ValueError(f"no combination gave a model; the first said: {self.results[0].failure}")
        return self.results[0]

    @property
    def ties(self) -> tuple[Result, ...]:
        """Combinations that are worse than the best by no more than its error; the simplest is a good choice.

        Where one split alone gave a score, nothing is known of its error, and the best stands alone.
        """
        least = self.best.mean - np.nan_to_num(self.best.error)
        return tuple(result for result in self.results if not result.failure and result.mean >= least)

    @property
    def simplest(self) -> Result:
        """Of the `ties` the one with fewest states, and of those with fewest dimensions."""
        return min(
            self.ties,
            key=lambda each: (each.combination.n_states, each.combination.dim or np.inf, -each.mean),
        )

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))


@dataclass(frozen=True)
class ModelScan:
    """A grid of Markov models.

    Parameters
    ----------
    model : of every combination: lag time, estimator, and as ``n_processes`` the slow functions scored
    lagtimes : of TICA, in frames; empty to cluster features as they are
    dims : coordinates kept
    scalings : of the coordinates
    clusterings : "k-means", "k-centers", "k-means and k-centers" (half of each)
    n_states : numbers of clusters
    splits : how data are held out
    r : VAMP-r score
    seed : of clusters

    Raises
    ------
    ValueError
        If a clustering is unknown or the grid is empty.
    """

    model: MarkovStateModel
    lagtimes: Sequence[int] = (1, 10)
    dims: Sequence[int] = (2, 5, 10)
    scalings: Sequence[Scaling] = ("kinetic_map",)
    clusterings: Sequence[str] = ("k-means",)
    n_states: Sequence[int] = (50, 100, 200, 500)
    splits: ShuffleSplit | Folds = ShuffleSplit(5)  # noqa: RUF009
    r: int = 2
    seed: int = 0

    def __post_init__(self):
        if unknown := set(self.clusterings) - set(CLUSTERINGS):
            raise ValueError(f"clusterings {sorted(unknown)} are unknown; known are {', '.join(CLUSTERINGS)}")
        if not self.clusterings or not self.n_states or (self.lagtimes and not (self.dims and self.scalings)):
            raise ValueError(
                "the grid is empty; give clusterings and numbers of states, dims and scalings with lag times"
            )

    def combinations(self, names: Sequence[str]) -> Iterator[Combination]:
        """Every point of the grid for feature sets of these names."""
        reductions = (
            product(self.lagtimes, self.dims, self.scalings) if self.lagtimes else [(None, None, None)]
        )
        for name, reduction, kind, count in product(names, list(reductions), self.clusterings, self.n_states):
            yield Combination(name, *reduction, kind, count)

    def pipeline(self, combination: Combination) -> MarkovPipeline:
        """The method of one point of the grid."""
        reduction = None
        if combination.lagtime is not None:
            reduction = TICA(combination.lagtime, combination.dim, combination.scaling)
        clustering = CLUSTERINGS[combination.clustering](combination.n_states, self.seed)
        return MarkovPipeline(self.model, clustering, reduction)

    def run(
        self,
        features: Mapping[str, Trajectories],
        folder: Path | str | None = None,
        progress: Callable[[str, float], None] | None = None,
    ) -> ScanTable:
        """Score all combinations.

        Parameters
        ----------
        features : sets of features of the same runs, by name
        folder : where each result is kept, and found again; results of another scan in it are not touched
        progress : called with a message and the fraction done

        Raises
        ------
        ValueError
            If there are no features, or sets are not of the same frames.
        """
        if not features:
            raise ValueError("got no features; give Trajectories by name")
        lengths = {name: tuple(data.lengths.tolist()) for name, data in features.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"feature sets must be of the same frames; numbers of frames are {lengths}")
        grid, results = list(self.combinations(list(features))), []
        for k, combination in enumerate(grid):
            file = None if folder is None else self._file(Path(folder), combination, lengths)
            result = _read(file) if file is not None and file.exists() else self._score(combination, features)
            if file is not None and not file.exists():
                _write(file, result)
            results.append(result)
            if progress is not None:
                progress(str(result), (k + 1) / len(grid))
        return ScanTable(tuple(sorted(results, key=lambda each: -np.nan_to_num(each.mean, nan=-np.inf))))

    def _score(self, combination: Combination, features: Mapping[str, Trajectories]) -> Result:
        try:
            validation = cross_validate(
                self.pipeline(combination), features[combination.features], self.splits, self.r
            )
        except Exception as error:
            # one that fails, or is too large for the memory there is, does not end the others
            return Result(combination, (), (), float("nan"), float("nan"), reason(error))
        scores = tuple(validation.training.tolist()), tuple(validation.held_out.tolist())
        return Result(combination, *scores, validation.mean, validation.error, "")

    def _file(self, folder: Path, combination: Combination, lengths: Mapping[str, Any]) -> Path:
        """A name that is another one for any other settings or data lengths."""
        settings = repr((self, combination, lengths[combination.features]))
        return folder / f"{hashlib.sha256(settings.encode()).hexdigest()[:20]}.json"


def _write(file: Path, result: Result) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(asdict(result), indent=1))


def _read(file: Path) -> Result:
    with reading(file, "a scored model", "remove it, it is scored again"):
        record = json.loads(file.read_text("utf-8"))
        scores = {name: tuple(record[name]) for name in ("training", "held_out")}
        return Result(**{**record, **scores, "combination": Combination(**record["combination"])})
