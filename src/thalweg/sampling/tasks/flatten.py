r"""The static bias that undoes a distribution: minus the free energy of a learned variable, as far as it is known.

.. math::  V(s) = -\min\bigl(F(s),\, F_{max}\bigr), \qquad F(s) = -kT \ln \hat p(s) + \text{const}, \qquad \min F = 0

with the density :math:`\hat p` of frames, weighted by what undoes the bias that each was made under, seen through
Gaussians as wide as half a state. Where fewer than `FEWEST` effective frames carry it, nothing is known: there F is
that of the nearest place where it is, so that walkers that come to the border feel what keeps them back and no step;
all is smoothed by one more such Gaussian. A constant is added by which weights ``exp(V / kT)`` of equilibrated frames
have the mean one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from thalweg.dynamics.engine import Bias
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.metadynamics import (
    Metadynamics,
    MetadynamicsState,
    WellTemperedMetadynamics,
)
from thalweg.sampling.segment import Segment, unbiased_weights, walks
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.learned_variable import LearnedVariable
from thalweg.shapes import Float

FEWEST = 10.0
"""Effective frames under a Gaussian from which on the density there is known."""

CHUNK = 4096
"""Frames laid on the grid at a time."""


@dataclass(frozen=True)
class FlatteningBias:
    """What makes the distribution of frames along a variable flat.

    Attributes
    ----------
    model : entry of the learned variable, which also has the limits and widths
    runs : for each run, the entries of its consecutive segments
    highest : free energy [kT] above the minimum up to which it is undone
    """

    model: str
    runs: tuple[tuple[str, ...], ...]
    highest: float

    @property
    def parents(self) -> tuple[str, ...]:
        return (self.model, *(entry for run in self.runs for entry in run))

    def build(self, store: Store, apparatus: Apparatus) -> Bias:
        """It is kept on a grid and read as a bias of metadynamics is that grows no more."""
        learned = LearnedVariable.read(store, self.model)
        bias = learned.biased(apparatus, Metadynamics(stride=apparatus.dt))
        return FrozenBias(bias, self._flattening(bias, *self._frames(store)))

    def state(self, store: Store, bias: Any) -> MetadynamicsState:
        return bias.init()

    def _flattening(self, bias: WellTemperedMetadynamics, values, weights) -> MetadynamicsState:
        """Minus the free energy at the nodes, and what makes the mean weight one."""
        density, carrying = _density(bias, values, weights)
        known = carrying >= FEWEST
        if not known.any():
            raise ValueError(
                f"{len(values)} frames of {self.model} nowhere are {FEWEST:g} effective ones within a width: give "
                "longer walks"
            )
        free = -np.log(np.where(known, density, 1.0))
        beside = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
        free = np.minimum(free - free[known].min(), self.highest)[tuple(beside)]
        table = -ndimage.gaussian_filter(free, np.asarray(bias.widths / bias.grid.spacing), mode="nearest")
        share = density / density.sum()
        offset = -np.log((share * np.exp(-table)).sum())
        return MetadynamicsState(
            jnp.asarray(bias.kT * table, jnp.float32), jnp.asarray(bias.kT * offset, jnp.float32)
        )

    def _frames(self, store: Store):
        """Values ``(frames, values)`` and weights ``(frames,)`` of mean one."""
        learned = LearnedVariable.read(store, self.model)
        runs = [[Segment.read(store, name) for name in run] for run in self.runs]
        values = [learned.values(walk.astype(float)) for run in runs for walk in walks(run, "features")]
        return np.concatenate(values), np.concatenate(unbiased_weights(runs))


def _density(
    bias: WellTemperedMetadynamics,
    values: Float[np.ndarray, "frames values"],
    weights: Float[np.ndarray, " frames"],
) -> tuple[np.ndarray, np.ndarray]:
    """Weight under a Gaussian at each node, and how many frames carry it: effective ones, and not by its far tail."""
    grid, widths = bias.grid, bias.widths
    sums, squares, counts = (np.zeros(grid.shape) for _ in range(3))
    for start in range(0, len(values), CHUNK):
        part, w = jnp.asarray(values[start : start + CHUNK].T), jnp.asarray(weights[start : start + CHUNK])
        sums += np.asarray(grid.gaussians(part, widths, w), float)
        squares += np.asarray(grid.gaussians(part, widths / np.sqrt(2), w**2), float)
        counts += np.asarray(grid.gaussians(part, widths, jnp.ones_like(w)), float)
    return sums, np.minimum(sums**2 / np.maximum(squares, 1e-300), counts)
