"""A variable learned from features: kept as the model's tree and a card, used as a differentiable variable.

Any method with ``fit(trajectories)`` whose model has ``transform`` serves: TICA, kernel TICA, VAC in any basis, PCA,
networks. Values are divided by their standard deviation where they were learned. A model that is affine is reduced to
one matrix, the others are carried whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.neural.learned_basis import Learned
from thalweg.dynamics.engine import Bias, Variable
from thalweg.geometry.composed_variables import Composed
from thalweg.learning.storage import load_tree, save_tree
from thalweg.machine.reading import read_json
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.bias.metadynamics import limits_and_widths
from thalweg.sampling.bias.method import BiasMethod, Limits
from thalweg.sampling.model_variable import FrameModel, coordinates
from thalweg.sampling.segment import Segment, unbiased_weights, walks
from thalweg.sampling.store import Store, write_json
from thalweg.shapes import Array, Float, Values
from thalweg.time_series.trajectories import Trajectories

TREE = "model.tree"
"""File of the map from features to values."""


@runtime_checkable
class FrameMethod(Protocol):
    """Settings of a method that learns coordinates of frames: `TICA`, `VAMPnet`, `PCA`, ..."""

    def fit(self, data: Any) -> FrameModel:
        """The model of `Trajectories`."""
        ...


class Projection(eqx.Module):
    """``values = matrix^T (features - mean)``, features and values on the first axis."""

    mean: Float[np.ndarray, " features"]
    matrix: Float[np.ndarray, "features values"]

    @property
    def dim(self) -> int:
        """Number of values."""
        return self.matrix.shape[1]

    def of_frames(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames values"]:
        """The same of frames, frames on the first axis, in 64 bits."""
        return (features - self.mean) @ self.matrix

    def __call__(self, features: Float[Array, " features *replicas"]) -> Values:
        mean, matrix = (jnp.asarray(each, features.dtype) for each in (self.mean, self.matrix))
        centered = features - mean.reshape(-1, *(1,) * (features.ndim - 1))
        return jnp.tensordot(matrix.T, centered, 1)


class ScaledModel(eqx.Module):
    """``values = model.transform(features) / scale``, features and values on the first axis."""

    model: FrameModel
    scale: Float[np.ndarray, " values"]

    @property
    def dim(self) -> int:
        """Number of values."""
        return len(self.scale)

    def of_frames(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames values"]:
        """The same of frames, frames on the first axis, in 64 bits."""
        return np.asarray(self.model.transform(features.astype(float)), float) / self.scale

    def __call__(self, features: Float[Array, " features *replicas"]) -> Values:
        values = coordinates(self.model, features)
        return values / jnp.asarray(self.scale, values.dtype).reshape(-1, *(1,) * (features.ndim - 1))


class _ScaledNetwork(eqx.Module):
    """`ScaledModel` of a network, whose numbers are arrays of the tree: compiled once for all of its shape."""

    network: eqx.Module
    scale: Float[Array, " values"]

    def __call__(self, features: Float[Array, " features *replicas"]) -> Values:
        frames = features.reshape(len(features), -1).T
        return (self.network(frames) / self.scale).T.reshape(-1, *features.shape[1:])


@dataclass(frozen=True, eq=False)
class LearnedVariable:
    """A learned map of features and the limits within which it should be biased.

    Attributes
    ----------
    map : from features to values
    limits : for a bias
    timescales : (values,) [ps] as estimated where it was learned, NaN where there is none
    card : what it was learned from, and how
    """

    map: Projection | ScaledModel | _ScaledNetwork
    limits: Limits
    timescales: Float[np.ndarray, " values"]
    card: dict[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """What the values are called."""
        return tuple(f"{self.card.get('called', 'slow')} {i + 1}" for i in range(len(self.timescales)))

    def values(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames values"]:
        """Its values at frames."""
        return self.map.of_frames(features)

    def variable(self, features: Variable) -> Composed:
        """The variable of positions, in 64 bits, for biases and other programs."""
        if isinstance(self.map, ScaledModel):
            return Composed(lambda values: self.map(values), features, self.names)
        return Composed(self.map, features, self.names)

    def biased(self, apparatus: Apparatus, method: BiasMethod) -> Bias:
        """A bias of it, not yet grown.

        Numbers of an affine map or a network are JAX arrays of 32 bits, so that one compiled loop serves many
        variables.
        """
        function = self.map
        if isinstance(function, ScaledModel) and isinstance(function.model, Learned):
            function = _ScaledNetwork(function.model.functions, function.scale)
        if not isinstance(function, ScaledModel):
            function = jax.tree.map(lambda each: jnp.asarray(each, jnp.float32), function)
        variable = replace(self, map=function).variable(apparatus.features)
        return method.on(variable, self.limits, apparatus.kT, apparatus.dt)

    def write(self, folder: Path) -> None:
        """Leave it in ``folder``."""
        save_tree(folder / TREE, (self.map, self.limits, self.timescales))
        write_json(folder / "card.json", self.card)

    @staticmethod
    def read(store: Store, entry: str) -> LearnedVariable:
        """A committed one, checked against its digest."""
        function, limits, timescales = load_tree(store.file(entry, TREE))
        card = read_json(store.file(entry, "card.json"), "what a variable says of itself")
        return LearnedVariable(function, limits, timescales, card)


@dataclass(frozen=True)
class LearnVariable:
    """Learn a variable of the features from walks.

    Attributes
    ----------
    recipe : of the apparatus
    swarms : for each swarm, the entries of its consecutive segments
    method : what learns it
    weighted : whether frames weigh as much as they would without the bias they were made under
    before : entry of an earlier variable, of which this one may be a function (`explained_share`), and beyond whose
        limits the last run may have led; None not to ask
    """

    kind: ClassVar[str] = "train"

    recipe: ApparatusRecipe
    swarms: tuple[tuple[str, ...], ...]
    method: FrameMethod
    weighted: bool = False
    before: str | None = None

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        swarms = [[Segment.read(store, name) for name in swarm] for swarm in self.swarms]
        trajectories = [walk.astype(float) for swarm in swarms for walk in walks(swarm, "features")]
        dt = swarms[0][0].card["dt_frames"]
        weights = unbiased_weights(swarms) if self.weighted else None
        model = self.method.fit(Trajectories(trajectories, dt=dt, weights=weights))
        function = _scaled(model, trajectories)
        bounds = None
        if apparatus.bounds is not None and isinstance(function, Projection):
            bounds = _image(function.mean, function.matrix, *apparatus.bounds)
        limits = limits_and_widths(
            [function.of_frames(walk) for walk in trajectories], (None,) * function.dim, bounds
        )
        timescales = np.full(function.dim, np.nan)
        known = _timescales(model)[: function.dim]
        timescales[: len(known)] = known
        card = {
            "method": type(self.method).__name__,
            "called": "slow" if len(known) else "coordinate",
            "lagtime": getattr(self.method, "lagtime", None),
            "estimate": getattr(model, "estimate", None),
            "reason": getattr(model, "reason", None),
            "notes": list(getattr(model, "notes", ())),
            "features": apparatus.features.names,
            "timescales": [None if np.isnan(t) else float(t) for t in timescales],
            "swarms": self.swarms,
        }
        if self.before is not None:
            # where the last run led: what was known before does not tell whether there is more to learn
            frames = np.concatenate(walks(swarms[-1], "features")).astype(float)
            earlier = LearnedVariable.read(store, self.before)
            before = earlier.values(frames)
            card["explained"] = explained_share(before, function.of_frames(frames))
            ends = earlier.limits
            card["beyond"] = float(((before < ends.lower) | (before > ends.upper)).any(1).mean())
        store.commit(entry, LearnedVariable(function, limits, timescales, card).write)


def explained_share(
    given: Float[np.ndarray, "frames given"], values: Float[np.ndarray, "frames values"]
) -> float:
    """Share of the variance that the best cubic polynomial of ``given`` explains, of the value that it explains least.

    Parameters
    ----------
    given : values of one variable
    values : of another one, at the same frames

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1000, 2))
    >>> round(explained_share(x[:, :1], 2 * x[:, :1] + x[:, :1] ** 2), 3), round(explained_share(x[:, :1], x), 1)
    (1.0, 0.0)
    """
    functions = Polynomials(3).fit(Trajectories([given]))
    design = np.concatenate([np.ones((len(given), 1)), functions(given)], axis=1)
    missed = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(1 - (missed.var(0) / np.maximum(values.var(0), 1e-300)).max())


def _timescales(model: FrameModel) -> Float[np.ndarray, " values"]:
    """Timescales [ps] that a model may be quoted with; NaN for processes that the data do not show often enough.

    Those of a map that was told no diffusion coefficient are no times.
    """
    if getattr(getattr(model, "method", None), "diffusion", 0.0) is None:
        return np.zeros(0)
    known = np.array(getattr(model, "timescales", ()), float)
    for k, process in enumerate(getattr(model, "processes", ())[: len(known)]):
        known[k] = known[k] if process.sampled else np.nan
    return known


def _scaled(
    model: FrameModel, trajectories: list[Float[np.ndarray, "_ features"]]
) -> Projection | ScaledModel:
    """The map to the model's coordinates, each in units of its standard deviation along ``trajectories``."""
    values = np.concatenate([np.asarray(model.transform(walk), float) for walk in trajectories])
    scale = values.std(0)
    if not (np.isfinite(scale) & (scale > 0)).all():
        still = ", ".join(str(k + 1) for k in np.flatnonzero(~(np.isfinite(scale) & (scale > 0))))
        why = "; ".join(getattr(model, "notes", ())) or "nothing slow was found for it"
        raise ValueError(
            f"learned coordinate {still} of {len(scale)} does not vary along the walks, so that it cannot be biased "
            f"({why}); learn fewer coordinates, or from more walks"
        )
    mean, loadings = getattr(model, "mean", None), getattr(model, "loadings", None)
    if np.shape(mean) == trajectories[0].shape[1:] and np.shape(loadings) == (len(mean), len(scale)):
        affine = Projection(np.asarray(mean), np.asarray(loadings))
        if np.allclose(
            affine.of_frames(trajectories[0]), model.transform(trajectories[0]), rtol=1e-9, atol=1e-12
        ):
            return Projection(affine.mean, affine.matrix / scale)
    return ScaledModel(model, scale)


def _image(mean, matrix, lower, upper):
    """Smallest box around the image of the box of features."""
    low, high = (lower - mean)[:, None] * matrix, (upper - mean)[:, None] * matrix
    return np.minimum(low, high).sum(0), np.maximum(low, high).sum(0)
