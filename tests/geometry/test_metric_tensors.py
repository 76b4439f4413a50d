"""The metric of a variable measures gradients of its functions, and is that of closed forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.geometry.composed_variables import SineCosine
from thalweg.geometry.metric_tensors import metric_tensors
from thalweg.geometry.variables import Dihedrals

QUADS = [[0, 1, 2, 3], [1, 2, 3, 4]]
FRAMES = np.random.default_rng(0).standard_normal((3, 5, 3)).astype(np.float32)
MASSES = np.array([12.0, 14.0, 12.0, 16.0, 1.0])


def test_the_gradient_of_a_function_of_the_values_has_the_length_that_the_metric_says():
    variable, slope = SineCosine(Dihedrals(QUADS)), np.array([0.3, -1.0, 0.5, 2.0])
    metrics = metric_tensors(variable, FRAMES, 1 / MASSES)
    for positions, metric in zip(FRAMES, metrics):
        force = jax.grad(lambda x: jnp.dot(jnp.asarray(slope, jnp.float32), variable(x)))(
            jnp.asarray(positions)
        )
        expected = float((np.asarray(force) ** 2 / MASSES[:, None]).sum())
        assert slope @ metric @ slope == pytest.approx(expected, rel=1e-4)


def test_one_mobility_for_each_atom_is_needed():
    with pytest.raises(ValueError, match=r"mobilities of shape \(2,\) for 5 atoms"):
        metric_tensors(Dihedrals(QUADS), FRAMES, np.ones(2))
