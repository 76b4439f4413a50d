r"""A committor as coordinates that a bias acts on: its logit, and how fast it changes there.

.. math::  z = f(x) + \frac12 \ln\bigl(d_A^2 + w_A^2\bigr) - \frac12 \ln\bigl(d_B^2 + w_B^2\bigr), \qquad
           g = \ln\bigl(|\nabla q|^2_M + \epsilon\bigr), \qquad q = \frac{1}{1 + e^{-z}}

The logit z tells apart committors of 1e-3 and 1e-5 on the way [trizio2025]. With :math:`-kT g` as a bias, places of
one committor are populated as their reactive flux is [kang2024]. Where the committor itself has kinks and an infinite
logit, at the borders of the sets, these are smooth (`LogitNetwork` is what they are for :math:`w = 0`): a bias with
steps exerts no force there, and frames under it could not be weighed.

Lengths of gradients are taken in the space of the features by one metric M, the mean of that of the frames of the fit.
The bias is so a function of the features alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.bases.linear_map import function_values
from thalweg.kinetics.committors.logit_network import SHORTEST, LogitNetwork
from thalweg.kinetics.committors.network_committor import CommittorModel
from thalweg.learning.models import Model
from thalweg.machine.precision import full_precision
from thalweg.shapes import Array, Float

SOFTENED = 0.05
"""``w``, as a share of the distance of one set from the other."""


@dataclass(frozen=True, eq=False)
class CommittorCoordinates(Model):
    """Logit of a committor, and logarithm of its squared gradient, smooth at the borders of the sets.

    Attributes
    ----------
    model : of the committor
    metric : (features, features) ``M`` [feature^2/nm^2/amu], by which gradients are measured
    floor : ``epsilon``, added to the squared gradient
    softening : ``w_A`` and ``w_B``, as regions measure distances

    Examples
    --------
    >>> from thalweg.kinetics.committors.losses import SemigroupLoss
    >>> from thalweg.kinetics.committors.network_committor import NetworkCommittor, Training
    >>> from thalweg.kinetics.reactions.regions import Intervals
    >>> walks = [np.cumsum(np.random.default_rng(k).choice([-0.1, 0.1], (200, 1)), axis=0) for k in range(200)]
    >>> low, high = Intervals((-np.inf,), (-0.95,)), Intervals((0.95,), (np.inf,))
    >>> quick = Training(hidden=(16,), steps=200, restarts=1)
    >>> q = NetworkCommittor(low, high, SemigroupLoss(20), quick, adaptations=0).fit(walks)
    >>> coordinates = CommittorCoordinates(q, np.eye(1), floor=1e-4, softening=(0.1, 0.1))
    >>> between = np.array([[-0.5], [0.0], [0.5]])
    >>> z, g = coordinates.transform(between).T
    >>> np.abs(1 / (1 + np.exp(-z)) - q.transform(between)[:, 0]).max() < 0.01
    np.True_
    >>> np.exp(g / 2).round(1).tolist()                        # a straight line from 0 to 1 over a length of 2
    [0.5, 0.5, 0.5]
    """

    model: CommittorModel
    metric: Float[np.ndarray, "features features"]
    floor: float
    softening: tuple[float, float]

    @property
    def names(self) -> tuple[str, ...]:
        """Of both values."""
        return ("logit of the committor", "ln |grad q|^2")

    def __call__(self, frames: Any) -> Any:
        numbers = (np.asarray(each, np.float32) for each in (self.metric, self.floor, self.softening))
        given = (self.model.members, *numbers)
        if not isinstance(frames, np.ndarray):
            return _coordinates(*given, jnp.asarray(frames, jnp.float32))
        # of few different lengths, since each is compiled
        filled = np.zeros(
            (max(SHORTEST, 1 << max(len(frames) - 1, 0).bit_length()), frames.shape[1]), np.float32
        )
        filled[: len(frames)] = frames
        values = _compiled(*jax.tree.map(jnp.asarray, given), filled)
        return np.asarray(values[: len(frames)], float)

    def transform(self, data: Any) -> Any:
        """Both values ``(frames, 2)`` of an array, NumPy or JAX, or of every trajectory."""
        return function_values(data, self)


@full_precision()
def _coordinates(
    members: Sequence[LogitNetwork],
    metric: Any,
    floor: Any,
    softening: Any,
    frames: Float[Array, "frames features"],
) -> Float[Array, "frames 2"]:
    def logit(x: jax.Array) -> jax.Array:
        learned = jnp.stack([member.network(member.scaling(x)) for member in members]).mean()
        away = [region.distance(x[None])[0] for region in (members[0].a, members[0].b)]
        to_a, to_b = (0.5 * jnp.log(d**2 + softening[k] ** 2) for k, d in enumerate(away))
        return learned + to_a - to_b

    z, slopes = jax.vmap(jax.value_and_grad(logit))(frames)
    squares = jnp.einsum("fi,ij,fj->f", slopes, metric, slopes)
    changes = jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)
    return jnp.stack([z, jnp.log(changes**2 * squares + floor)], axis=1)


_compiled = eqx.filter_jit(_coordinates)
