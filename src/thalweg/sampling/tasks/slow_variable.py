"""A slow variable learned from features: kept as numbers and a card, used as a differentiable variable."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.linear.tica import TICA
from thalweg.geometry.composed_variables import Composed
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics, limits_and_widths
from thalweg.sampling.segment import Segment, walks
from thalweg.sampling.store import Store, write_json
from thalweg.shapes import Array, Float, Values
from thalweg.time_series.trajectories import Trajectories


class Projection(eqx.Module):
    """``values = matrix^T (features - mean)``, features and values on the first axis."""

    mean: Float[Array, " features"]
    matrix: Float[Array, "features values"]

    def __call__(self, features: Float[Array, " features *replicas"]) -> Values:
        centered = features - self.mean.reshape(-1, *(1,) * (features.ndim - 1))
        return jnp.tensordot(self.matrix.T, centered, 1)


@dataclass(frozen=True, eq=False)
class SlowVariable:
    """A learned affine map of features and the grid it should be biased on.

    Attributes
    ----------
    mean : (features,)
    matrix : (features, values)
    lower, upper, widths : (values,) limits and Gaussian widths for metadynamics
    timescales : (values,) [ps] as estimated where it was learned
    card : what it was learned from, and how
    """

    mean: Float[np.ndarray, " features"]
    matrix: Float[np.ndarray, "features values"]
    lower: Float[np.ndarray, " values"]
    upper: Float[np.ndarray, " values"]
    widths: Float[np.ndarray, " values"]
    timescales: Float[np.ndarray, " values"]
    card: dict[str, Any]

    def values(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames values"]:
        return (features - self.mean) @ self.matrix

    def variable(self, apparatus: Apparatus) -> Composed:
        """The variable of positions, for engines and biases."""
        projection = Projection(jnp.asarray(self.mean, jnp.float32), jnp.asarray(self.matrix, jnp.float32))
        names = tuple(f"slow {i + 1}" for i in range(self.matrix.shape[1]))
        return Composed(projection, apparatus.features, names)

    def metadynamics(
        self, apparatus: Apparatus, height: float, bias_factor: float, stride: int
    ) -> WellTemperedMetadynamics:
        """Metadynamics of the variable, not yet grown."""
        limits = (self.lower, self.upper, self.widths)
        return WellTemperedMetadynamics(
            self.variable(apparatus), *limits, height, bias_factor, apparatus.kT, stride
        )

    def write(self, folder: Path) -> None:
        arrays = ("mean", "matrix", "lower", "upper", "widths", "timescales")
        np.savez(folder / "model.npz", **{name: getattr(self, name) for name in arrays})
        write_json(folder / "card.json", self.card)

    @staticmethod
    def read(store: Store, entry: str) -> SlowVariable:
        card = json.loads(store.file(entry, "card.json").read_text())
        with np.load(store.file(entry, "model.npz"), allow_pickle=False) as arrays:
            return SlowVariable(**arrays, card=card)


@dataclass(frozen=True)
class LearnSlowVariable:
    """Learn the ``dim`` slowest linear combinations of features by TICA from unbiased walks.

    Attributes
    ----------
    recipe : of the apparatus
    swarms : for each swarm, the entries of its consecutive segments
    lagtime : in frames
    dim : number of values
    """

    kind: ClassVar[str] = "train"

    recipe: ApparatusRecipe
    swarms: tuple[tuple[str, ...], ...]
    lagtime: int
    dim: int = 2

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        swarms = [[Segment.read(store, name) for name in swarm] for swarm in self.swarms]
        trajectories = [walk.astype(float) for swarm in swarms for walk in walks(swarm, "features")]
        dt = swarms[0][0].card["dt_frames"]
        model = TICA(self.lagtime, self.dim, scaling="unit").fit(Trajectories(trajectories, dt=dt))
        scale = np.concatenate([model.transform(walk) for walk in trajectories]).std(0)
        matrix = model.loadings / scale
        bounds = None if apparatus.bounds is None else _image(model.mean, matrix, *apparatus.bounds)
        seen = [(walk - model.mean) @ matrix for walk in trajectories]
        timescales = model.timescales[: self.dim]
        card = {
            "method": "TICA",
            "lagtime": self.lagtime,
            "estimate": model.estimate,
            "reason": model.reason,
            "notes": model.notes,
            "features": apparatus.features.names,
            "timescales": [None if np.isnan(t) else float(t) for t in timescales],
            "swarms": self.swarms,
        }
        grid = limits_and_widths(seen, (None,) * self.dim, bounds)
        store.commit(entry, SlowVariable(model.mean, matrix, *grid, timescales, card).write)


def _image(mean, matrix, lower, upper):
    """Smallest box around the image of the box of features."""
    low, high = (lower - mean)[:, None] * matrix, (upper - mean)[:, None] * matrix
    return np.minimum(low, high).sum(0), np.maximum(low, high).sum(0)
