"""Better molecules looked for among points of a continuous space [gomez2018]: uphill, or by asking where it pays.

Both walk in coordinates ``u`` in which the points of the training set are spread as a standard normal distribution,
``z = center + factor u``: far from all of these, predictions and what is decoded mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from thalweg.binding.generation.string_autoencoder import StringAutoencoderModel
from thalweg.binding.ligands.features import LigandFeatures
from thalweg.binding.ligands.gaussian_process import LigandProcess
from thalweg.learning.models import Model
from thalweg.shapes import Float, Int

Score = Callable[[list[tuple[str, ...]]], np.ndarray]
"""True scores of strings, NaN where a string is no molecule."""


@dataclass(frozen=True)
class LatentAscent:
    """Uphill in the predicted property, from given points, no further from the middle than training points are.

    What a point is predicted to have is meant for points that strings have, and flatters elsewhere: after some steps
    points are written out and read again, and a string is gone on from only if it is better by its own point.

    Parameters
    ----------
    steps, rate : how many in a row, and how long each is in deviations of the training set
    rounds : how often points are written out and read again, the k-th time after steps of k times the length
    reach : longest ``|u|``, in multiples of its root mean square over the training set
    """

    steps: int = 10
    rate: float = 0.2
    rounds: int = 8
    reach: float = 1.2

    def search(
        self, model: StringAutoencoderModel, strings: Sequence[Sequence[str]], task: int = 0
    ) -> list[tuple[str, ...]]:
        """The best string that was met from each on, by what its own point is predicted to have.

        Raises
        ------
        ValueError
            If the model cannot read a string.
        """
        best = [tuple(each) for each in strings]
        points = model.encode(best)
        values = model.predict(points)[:, task]
        for round_ in range(self.rounds):
            # a token turns into another only some deviations away: further each time
            further = replace(self, rate=self.rate * (1 + round_))
            found = model.decode(further.climb(model, points, task))
            read = np.flatnonzero(model.readable(found))
            reached = model.encode([found[k] for k in read])
            better = model.predict(reached)[:, task] > values[read]
            for k, n in zip(read[better], np.flatnonzero(better)):
                best[k], points[k] = found[k], reached[n]
            values = model.predict(points)[:, task]
        return best

    def climb(
        self, model: StringAutoencoderModel, points: Float[np.ndarray, "points latent"], task: int = 0
    ) -> Float[np.ndarray, "points latent"]:
        """Points of a higher predicted property of that number."""
        center, factor = jnp.asarray(model.center, jnp.float32), jnp.asarray(model.factor, jnp.float32)
        farthest = self.reach * np.sqrt(len(model.center))

        def uphill(u, _):
            slope = jax.grad(lambda x: model.network.properties(center + x @ factor.T)[:, task].sum())(u)
            u = u + self.rate * slope / jnp.maximum(jnp.linalg.norm(slope, axis=1, keepdims=True), 1e-12)
            length = jnp.linalg.norm(u, axis=1, keepdims=True)
            return u * jnp.minimum(1, farthest / jnp.maximum(length, 1e-12)), None

        start = jnp.asarray(_spread(model, points), jnp.float32)
        found, _ = jax.lax.scan(uphill, start, None, self.steps)
        return model.center + np.asarray(found, float) @ model.factor.T


@dataclass(frozen=True, eq=False, repr=False)
class LatentSearchResult(Model):
    """What was asked for in a search.

    Attributes
    ----------
    strings : what was decoded at each point, in the order asked
    values : (asked,) true scores, NaN where a string is no molecule
    rounds : (asked,) in which round
    """

    strings: tuple[tuple[str, ...], ...]
    values: Float[np.ndarray, " asked"]
    rounds: Int[np.ndarray, " asked"]

    def headline(self) -> dict[str, object]:
        """How many were asked for, and the best."""
        valid = np.isfinite(self.values)
        best = float(self.values[valid].max()) if valid.any() else float("nan")
        return {"asked": len(self.values), "valid": int(valid.sum()), "best": best}


@dataclass(frozen=True)
class BayesianSearch:
    """Where the expected improvement on the best value so far is largest, by a Gaussian process [jones1998].

    ``EI = (m - y) Phi(t) + s phi(t), t = (m - y) / s`` of mean ``m``, deviation ``s`` and best value ``y``. The process
    reads the leading principal components of known points; strings that are no molecule count as the worst value known.

    Parameters
    ----------
    rounds, batch : how often, and how many each time
    candidates : points between which a round chooses: half random ones, half near the best known ones
    step : how far these are from the best ones, in deviations of the training set
    coordinates : principal components that the process reads
    seed : of candidates
    """

    rounds: int = 5
    batch: int = 40
    candidates: int = 2000
    step: float = 0.4
    coordinates: int = 32
    seed: int = 0

    def search(
        self,
        model: StringAutoencoderModel,
        points: Float[np.ndarray, "known latent"],
        values: Float[np.ndarray, " known"],
        score: Score,
    ) -> LatentSearchResult:
        """Strings asked for, from known points and their true values.

        Raises
        ------
        ValueError
            If fewer values are known than a process can be fitted to.
        """
        generator = np.random.default_rng(self.seed)
        known, scores = _spread(model, points), np.asarray(values, float)
        middle = known.mean(0)
        axes = np.linalg.svd(known - middle, full_matrices=False)[2][: self.coordinates]
        strings: list[tuple[str, ...]] = []
        found, rounds = [], []
        for round_ in range(self.rounds):
            process = LigandProcess(seed=self.seed).fit(_as_features((known - middle) @ axes.T), scores)
            best = known[np.argsort(-scores)[: self.batch]]
            near = best[generator.integers(len(best), size=self.candidates // 2)]
            drawn = generator.normal(size=(self.candidates, known.shape[1]))
            drawn[: len(near)] = near + self.step * drawn[: len(near)]
            says = process.predict(_as_features((drawn - middle) @ axes.T))
            gain = expected_improvement(says.means[:, 0], says.deviations[:, 0], float(scores.max()))
            chosen = drawn[np.argsort(-gain)[: self.batch]]
            written = model.decode(model.center + chosen @ model.factor.T)
            true = np.asarray(score(written), float)
            strings += written
            found.append(true)
            rounds.append(np.full(len(true), round_))
            known = np.concatenate([known, chosen])
            scores = np.concatenate([scores, np.where(np.isfinite(true), true, scores.min())])
        return LatentSearchResult(tuple(strings), np.concatenate(found), np.concatenate(rounds))


def expected_improvement(
    means: Float[np.ndarray, " points"], deviations: Float[np.ndarray, " points"], best: float
) -> Float[np.ndarray, " points"]:
    """How much more than ``best`` each point is expected to give, counted as none where it gives less.

    Examples
    --------
    >>> expected_improvement(np.array([0.0, 2.0]), np.array([1.0, 1e-9]), 0.0).round(3).tolist()
    [0.399, 2.0]
    """
    spread = np.maximum(deviations, 1e-12)
    above = (means - best) / spread
    return spread * (above * norm.cdf(above) + norm.pdf(above))


def _spread(model: StringAutoencoderModel, points: np.ndarray) -> np.ndarray:
    """``u`` of points."""
    return np.linalg.solve(model.factor, (np.asarray(points, float) - model.center).T).T


def _as_features(coordinates: np.ndarray) -> LigandFeatures:
    return LigandFeatures({}, coordinates)
