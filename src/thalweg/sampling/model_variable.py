"""A fitted model of features as a variable of positions, for engines, biases and export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp

from thalweg.dynamics.engine import Variable
from thalweg.geometry.composed_variables import Composed
from thalweg.shapes import Array, Float, Values


@runtime_checkable
class FrameModel(Protocol):
    """What principal components, slow coordinates and learned bases share: frames in, coordinates out."""

    def transform(self, data: Any) -> Any:
        """Coordinates ``(frames, dim)`` of features ``(frames, features)``, NumPy or JAX."""
        ...


def model_variable(
    model: FrameModel, features: Variable, names: Sequence[str] | None = None, dim: int | None = None
) -> Composed:
    """The coordinates of a model as a differentiable variable.

    Parameters
    ----------
    model : fitted to the values of ``features``: PCA, TICA, VAC in any basis, a trained network
    features : variable of positions, whose columns are those of the fit
    names : one for each coordinate; ``"coordinate 1"``, ... if None
    dim : how many coordinates, from the first; all if None

    Raises
    ------
    ValueError
        If the model was fitted to another number of features, or names are too many or too few.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.collective_variables.linear.pca import PCA
    >>> from thalweg.geometry.variables import Distances
    >>> x = np.random.default_rng(0).standard_normal((100, 2))
    >>> model_variable(PCA(1).fit(x), Distances([[0, 1], [1, 2]])).names
    ('coordinate 1',)
    """

    def function(values: Float[Array, " features *replicas"]) -> Values:
        return coordinates(model, values)[:dim]

    count = len(function(jnp.zeros(len(features.names))))
    names = tuple(f"coordinate {k + 1}" for k in range(count)) if names is None else tuple(names)
    if len(names) != count:
        raise ValueError(f"{len(names)} names for {count} coordinates; give one each")
    return Composed(function, features, names)


def coordinates(model: FrameModel, features: Float[Array, " features *replicas"]) -> Values:
    """What a model makes of features, coordinates on the first axis as the features are."""
    frames = jnp.asarray(features).reshape(len(features), -1).T
    return model.transform(frames).T.reshape(-1, *features.shape[1:])
