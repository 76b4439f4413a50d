r"""What a collective variable is made of: features, atoms and residues by how much they move it.

For a linear variable :math:`z_k = \sum_j l_{jk}\,(x_j - \bar x_j)` the importance of a feature is how far the variable
goes when the feature alone goes by its standard deviation; for any other differentiable one the slope is averaged:

.. math::  w_{jk} = |l_{jk}|\,\sigma_j, \qquad
           w_{jk} = \big\langle |\partial z_k / \partial x_j| \big\rangle\, \sigma_j

Beside it stands the correlation of the feature with the variable, which speaks of the feature in company of all
others: of two features that say the same one may get all importance, or both large ones of opposite sign, while their
correlations are equal. Believe an importance where both agree; `Distillation` leaves one of such features out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.bases.basis import feature_names
from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.shapes import Float, Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

SHOWN = 15
"""Rows of a printed table."""


@runtime_checkable
class LinearModel(Protocol):
    """A model of coordinates that are linear in the features: PCA, TICA, sparse TICA, a distilled variable.

    Attributes
    ----------
    loadings : (features, dim)
    """

    @property
    def loadings(self) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Importance:
    """How much each feature, atom or residue moves each coordinate.

    Attributes
    ----------
    names : of the rows
    values : (rows, dim), in the unit of the coordinate
    correlations : (rows, dim), with the coordinate; NaN for what does not vary, and for groups of features
    """

    names: tuple[str, ...]
    values: Shaped[np.ndarray, "rows dim"]
    correlations: Shaped[np.ndarray, "rows dim"]

    @property
    def shares(self) -> np.ndarray:
        """Values as shares of each coordinate's total ``(rows, dim)``."""
        return self.values / np.maximum(self.values.sum(axis=0), 1e-300)

    def grouped(self, members: Sequence[Sequence[Hashable]]) -> Importance:
        """Importance of what features belong to, from most to least important; the total stays the same.

        Parameters
        ----------
        members : for every feature the groups it belongs to, such as its atoms (``variable.atoms``) or the residue of
            each of its atoms (`feature_labels`); each has an equal part, twice if it occurs twice. A dihedral with one
            atom in one residue and three in the next counts a quarter and three quarters.

        Raises
        ------
        ValueError
            If there is not one entry per feature, or one is empty.

        Examples
        --------
        >>> features = Importance(("d01", "d12"), np.array([[1.0], [3.0]]), np.ones((2, 1)))
        >>> print(features.grouped([(0, 1), (1, 2)]))
                 share
        1        50.0%
        2        37.5%
        0        12.5%
        """
        if len(members) != len(self.names):
            raise ValueError(
                f"got groups for {len(members)} features, importances are of {len(self.names)}; give one entry each"
            )
        total: dict[Hashable, np.ndarray] = {}
        for name, groups, values in zip(self.names, members, self.values):
            if not len(groups):
                raise ValueError(f"{name} belongs to no group; give at least one")
            for group in groups:
                total[group] = total.get(group, 0.0) + values / len(groups)
        values = np.array(list(total.values()))
        order = np.argsort(-values.sum(axis=1), kind="stable")
        names = [str(group) for group in total]
        return Importance(tuple(names[k] for k in order), values[order], np.full(values.shape, np.nan))

    def __str__(self) -> str:
        order = np.argsort(-self.shares.sum(axis=1), kind="stable")[:SHOWN]
        known = np.isfinite(self.correlations).any()
        width = max(8, *(len(self.names[k]) for k in order))
        head = "    share" + "  correlation" * bool(known)
        lines = [" " * width + head * self.values.shape[1]]
        for k in order:
            cells = [
                f"{share:9.1%}" + f"{correlation:+13.2f}" * bool(known)
                for share, correlation in zip(self.shares[k], self.correlations[k])
            ]
            lines.append(f"{self.names[k]:{width}}" + "".join(cells))
        hidden = len(self.names) - len(order)
        return "\n".join(lines + [f"... and {hidden} more"] * (hidden > 0))


def feature_labels(
    members: Sequence[Sequence[int]], labels: Sequence[Hashable]
) -> list[tuple[Hashable, ...]]:
    """The label of each atom of each feature, such as its residue's, for `Importance.grouped`.

    Parameters
    ----------
    members : for every feature the indices of its atoms
    labels : one per atom

    Examples
    --------
    >>> feature_labels([(0, 2)], ["ALA1", "ALA1", "GLY2"])
    [('ALA1', 'GLY2')]
    """
    return [tuple(labels[atom] for atom in atoms) for atoms in members]


def loading_importance(model: LinearModel, data: TrajectoryData) -> Importance:
    """Importance of the features of a linear model, ``|loading| * standard deviation``.

    Parameters
    ----------
    model : with loadings on the features themselves
    data : features; weights of frames are taken into account

    Raises
    ------
    ValueError
        If the loadings are on something else than these features, such as kernels; `gradient_importance` serves
        any model.

    Examples
    --------
    >>> from thalweg.collective_variables.linear.pca import PCA
    >>> x = np.random.default_rng(0).standard_normal((1000, 2)) * [1.0, 3.0]
    >>> print(loading_importance(PCA(dim=1).fit(x), Trajectories([x], names=["phi", "psi"])))
                 share  correlation
    psi          99.7%        +1.00
    phi           0.3%        -0.02
    """
    trajectories = as_trajectories(data)
    loadings = np.asarray(model.loadings, float)
    own = getattr(model, "functions", None)
    names = feature_names(trajectories)
    if len(loadings) != len(names) or (own is not None and len(own.names) != len(names)):
        raise ValueError(
            f"got loadings of {len(loadings)} functions for {len(names)} features; give the data of the fit, or use "
            "gradient_importance for functions of a basis"
        )
    covariance = covariances(trajectories, n_blocks=1).c00
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
    # cov(x_j, z_k) = (C l)_jk and var(z_k) = l_k^T C l_k
    together = covariance @ loadings
    spread = np.sqrt(np.maximum((loadings * together).sum(axis=0), 0))
    return Importance(
        names, np.abs(loadings) * deviation[:, None], _correlation(together, deviation[:, None] * spread)
    )


def gradient_importance(variable: Callable[[Any], Any], data: TrajectoryData, most: int = 5000) -> Importance:
    """Importance of the features of any differentiable variable, mean absolute gradient times standard deviation.

    Parameters
    ----------
    variable : from frames ``(frames, features)`` to values ``(frames, dim)`` in JAX, each frame by itself:
        ``model.transform`` of any model of this room, a network
    data : features; weights of frames are taken into account
    most : frames looked at, evenly spread

    Raises
    ------
    ValueError
        If the variable gives no values ``(frames, dim)``.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1000, 2))
    >>> importance = gradient_importance(lambda frames: jnp.sin(frames[:, :1]), x)
    >>> importance.shares[:, 0].tolist()
    [1.0, 0.0]
    """
    trajectories = as_trajectories(data)
    frames, weights = sampled(trajectories, most)
    values = np.asarray(variable(jnp.asarray(frames, jnp.float32)), float)
    if values.ndim != 2 or len(values) != len(frames):
        raise ValueError(
            f"the variable gave shape {values.shape} for {len(frames)} frames; needed is (frames, dim)"
        )
    share = weights / weights.sum()
    x, z = frames - share @ frames, values - share @ values
    deviation, spread = (np.sqrt(share @ (each * each)) for each in (x, z))
    slopes = np.zeros((x.shape[1], z.shape[1]))
    # <|dz_k / dx_j|>, a few frames at a time
    for start in range(0, len(frames), 256):
        part = slice(start, start + 256)
        gradients = np.asarray(_gradients(variable, jnp.asarray(frames[part], jnp.float32)), float)
        slopes += np.einsum("f,fkj->jk", share[part], np.abs(gradients))
    together = x.T @ (share[:, None] * z)
    return Importance(
        feature_names(trajectories),
        slopes * deviation[:, None],
        _correlation(together, deviation[:, None] * spread),
    )


def sampled(data: Trajectories, most: int) -> tuple[Float[np.ndarray, "frames features"], np.ndarray]:
    """At most ``most`` frames, evenly spread over all trajectories, and their weights, one where there are none."""
    frames = data.strided(most).astype(float)
    if data.weights is None:
        return frames, np.ones(len(frames))
    return frames, Trajectories([column[:, None] for column in data.weights]).strided(most)[:, 0]


def _gradients(variable: Callable, frames: jax.Array) -> jax.Array:
    """Gradients ``(frames, dim, features)``."""
    return jax.vmap(jax.jacrev(lambda x: variable(x[None])[0]))(frames)


def _correlation(together: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Covariances over products of deviations, NaN where nothing varies."""
    varies = scale > 1e-12 * max(scale.max(), 1e-300)
    return np.where(varies, together / np.where(varies, scale, 1.0), np.nan)
