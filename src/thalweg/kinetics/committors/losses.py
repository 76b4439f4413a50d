r"""What a committor network is trained for: three losses whose minimum is the committor, each for other data.

===================  ==============================================  ===========================================
loss                 data                                            minimum
===================  ==============================================  ===========================================
`SemigroupLoss`      trajectories or swarms of shots from anywhere   committor, at any lag and for any dynamics
`ReversibleLoss`     trajectories at (weighted) equilibrium          committor of reversible dynamics, at any lag
`DirichletLoss`      frames with weights, no dynamics at all         committor of overdamped dynamics
===================  ==============================================  ===========================================

The two with a lag take pairs that are stopped where a set is entered (`stopped_ends`): there is no error from what
happens between the ends of a pair, as there is in a Markov model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.kinetics.committors.stopped_pairs import FramesBetween, stopped_ends
from thalweg.kinetics.reactions.regions import OUTSIDE
from thalweg.shapes import Shaped

WIDTHS = (1.0, 0.25, 0.0625)
"""Widths of the kernels that look for a rest of the expected change, squared, in mean squared distances of frames."""


class CommittorExamples(eqx.Module):
    """Frames of a batch, what became of them, and how much they count.

    Attributes
    ----------
    frames : (batch, features)
    later : (batch, features) stopped ends of pairs, or (batch, features, features) metrics at the frames
    outside : (batch,), whether the end of a pair is still outside the sets
    weights : (batch,)
    judged : whether an epoch is judged by it, rather than trained on
    """

    frames: jax.Array
    later: jax.Array
    outside: jax.Array
    weights: jax.Array
    judged: bool = eqx.field(static=True)


@dataclass(frozen=True, eq=False)
class ExamplePool:
    """All examples of a loss: pairs of frames, or frames with a metric.

    Attributes
    ----------
    data : frames, weights and blocks
    starts : (examples,) numbers of first frames
    ends : (examples,) numbers of stopped ends; None for frames alone
    metric : (frames, features, features) or (features, features), for frames alone
    """

    data: FramesBetween
    starts: Shaped[np.ndarray, " examples"]
    ends: Shaped[np.ndarray, " examples"] | None = None
    metric: Shaped[np.ndarray, " ..."] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def weights(self) -> np.ndarray:
        """Of the examples ``(examples,)``: those of first frames, times those of the paths from there."""
        weights, path = self.data.weights[self.starts], self.data.log_path
        return (
            weights
            if path is None or self.ends is None
            else weights * np.exp(path[self.ends] - path[self.starts])
        )

    def of_blocks(self, multiplicities: np.ndarray) -> np.ndarray:
        """Numbers of the examples of blocks ``(blocks,)``, as often as each block occurs.

        Pairs whose ends lie in blocks that occur unequally often are left out.
        """
        times = multiplicities[self.data.blocks[self.starts]]
        if self.ends is not None:
            times = np.where(times == multiplicities[self.data.blocks[self.ends]], times, 0)
        return np.repeat(np.arange(len(self)), times)

    def examples(self, chosen: np.ndarray, judged: bool = False) -> CommittorExamples:
        """A batch of these numbers."""
        starts, data = self.starts[chosen], self.data
        if self.ends is not None:
            ends = self.ends[chosen]
            later, outside = data.frames[ends], data.labels[ends] == OUTSIDE
        else:
            assert self.metric is not None
            one = self.metric.ndim == 2
            later = (
                np.broadcast_to(self.metric, (len(starts), *self.metric.shape))
                if one
                else self.metric[starts]
            )
            outside = np.ones(len(starts), bool)
        arrays = (data.frames[starts], later, outside, self.weights[chosen])
        return CommittorExamples(
            *(jnp.asarray(array, None if array.dtype == bool else jnp.float32) for array in arrays), judged
        )


@runtime_checkable
class CommittorLoss(Protocol):
    """What a network is trained for; hashable, as compiled steps are kept by it."""

    def pool(self, data: FramesBetween, metric: Any) -> ExamplePool:
        """Its examples."""
        ...

    def __call__(self, network: Any, batch: CommittorExamples) -> jax.Array:
        """The loss of a batch."""
        ...


@dataclass(frozen=True)
class SemigroupLoss:
    r"""Cross entropy of the committor with what is expected of it a lag time later [strahan2023].

    .. math::  -\big\langle y \ln q(x_0) + (1 - y) \ln(1 - q(x_0)) \big\rangle, \qquad y = q(x_{\min(\tau, T)})

    :math:`y` is held while :math:`q` follows: the iteration contracts to the committor. No gradients of features and no
    equilibrium are needed, and dynamics with momenta or memory is treated as right as any other: what is found is
    the mean of outcomes over all that features leave open. Several shots from one frame are several trajectories.

    Since :math:`y` follows along, the value of this loss does not tell how good :math:`q` is. Epochs are judged by

    .. math::  \sum_{i \ne j} w_i w_j\, r_i r_j\, k(x_i, x_j), \qquad r = y - q(x_0),

    which is zero on average for the committor and else positive [muandet2020].

    Parameters
    ----------
    lagtime : in frames; the longer, the fewer steps lie between a frame and the sets, and the noisier is each
    """

    lagtime: int

    def pool(self, data: FramesBetween, metric: Any) -> ExamplePool:
        """All stopped pairs."""
        return _pairs(data, metric, self.lagtime)

    def __call__(self, network: Any, batch: CommittorExamples) -> jax.Array:
        logits, weights = network.logits(batch.frames), batch.weights / batch.weights.sum()
        y = jax.lax.stop_gradient(network.probabilities(batch.later))
        if batch.judged:
            return _unexplained(network.scaling(batch.frames), weights * (y - jax.nn.sigmoid(logits)))
        return -weights @ (y * jax.nn.log_sigmoid(logits) + (1 - y) * jax.nn.log_sigmoid(-logits))


@dataclass(frozen=True)
class ReversibleLoss:
    r"""Mean squared change of the committor along stopped pairs at equilibrium: least for the committor, at any lag.

    .. math::  \ln \big\langle c\, (q(x_{\min(\tau, T)}) - q(x_0))^2 \big\rangle

    with :math:`c = 2` for pairs that end in a set and 1 for others. Dynamics killed at the sets is reversible, so that
    varying :math:`q(x)` changes the pairs that start at :math:`x` and as much those that end there, but an entry into a
    set only once; with the factor the variation vanishes where :math:`q(x_0) = \mathbb E[q(x_{\min(\tau, T)})]`.

    Not to be used for data away from equilibrium without weights, nor for dynamics whose features leave momenta out.

    Parameters
    ----------
    lagtime : in frames
    """

    lagtime: int

    def pool(self, data: FramesBetween, metric: Any) -> ExamplePool:
        """All stopped pairs."""
        return _pairs(data, metric, self.lagtime)

    def __call__(self, network: Any, batch: CommittorExamples) -> jax.Array:
        change = network.probabilities(batch.later) - network.probabilities(batch.frames)
        counted = batch.weights * jnp.where(batch.outside, 1.0, 2.0)
        return jnp.log(counted @ change**2) - jnp.log(batch.weights.sum())


@dataclass(frozen=True)
class DirichletLoss:
    r"""Kolmogorov's variational form, from frames with weights and no dynamics at all [kang2024].

    .. math::  \ln \big\langle \nabla q \cdot D\, \nabla q \big\rangle
               = \ln \big\langle \textstyle\sum_{ij} \partial_i q\, G_{ij}\, \partial_j q \big\rangle, \qquad
               G_{ij} = \sum_a D_a\, \nabla_a \phi_i \cdot \nabla_a \phi_j

    with the features :math:`\\phi` and the diffusion constant :math:`D_a` of each atom, proportional to
    :math:`1/m_a`. Without a metric the gradient is that in the space of the features, each in units of its own
    deviation: cheap, an upper bound, and not to be trusted where features measure very unequal lengths of path. What is
    found is the committor of overdamped dynamics; the logarithm keeps steps of a size however rare the reaction is.
    """

    def pool(self, data: FramesBetween, metric: Any) -> ExamplePool:
        """All frames between the sets."""
        if metric is None:
            weights = data.weights / data.weights.sum()
            mean = weights @ data.frames
            metric = np.diag(weights @ (data.frames - mean) ** 2)
        return ExamplePool(data, data.between, metric=_metric(data, metric))

    def __call__(self, network: Any, batch: CommittorExamples) -> jax.Array:
        gradients = jax.vmap(jax.grad(lambda x: network.probabilities(x[None])[0]))(batch.frames)
        squares = jnp.einsum("fi,fij,fj->f", gradients, batch.later, gradients)
        return jnp.log(batch.weights @ squares) - jnp.log(batch.weights.sum())


def _pairs(data: FramesBetween, metric: Any, lagtime: int) -> ExamplePool:
    if metric is not None:
        raise ValueError("a metric was given, but only DirichletLoss has gradients to measure; leave it out")
    starts, ends = stopped_ends(data.labels, data.trajectory, lagtime)
    counted = data.weights[starts] > 0
    return ExamplePool(data, starts[counted], ends[counted])


def _metric(data: FramesBetween, metric: Any) -> np.ndarray:
    """One metric for all frames ``(features, features)``, or that of each frame."""
    features = data.frames.shape[1]
    given: Sequence[np.ndarray] = [metric] if isinstance(metric, np.ndarray) else list(metric)
    found = given[0] if isinstance(metric, np.ndarray) and metric.ndim == 2 else np.concatenate(given)
    if found.shape not in ((features, features), (len(data.frames), features, features)):
        raise ValueError(
            f"got metrics of shape {found.shape} for {len(data.frames)} frames of {features} features; give one "
            f"({features}, {features}) for all, or for each trajectory an array (frames, {features}, {features})"
        )
    if not np.isfinite(found).all():
        raise ValueError("metrics must be finite; look for frames in which a torsion or an angle is straight")
    return np.asarray(found, np.float32)


def _unexplained(scaled: jax.Array, residuals: jax.Array) -> jax.Array:
    """``sum_{i != j} r_i r_j k(x_i, x_j)`` with kernels of several widths."""
    squares = (scaled**2).sum(axis=1)
    apart = jnp.maximum(squares[:, None] + squares - 2 * scaled @ scaled.T, 0) / (
        2 * scaled.var(axis=0).sum()
    )
    kernel = sum(jnp.exp(-apart / width) for width in WIDTHS) / len(WIDTHS)
    return residuals @ kernel @ residuals - (residuals**2).sum()
