"""Names of array dimensions, defined once.

=============  =====================================================================================
``atoms``      particles of a system
``dims``       Cartesian dimensions: 3 for atoms, 1 or 2 for model potentials
``replicas``   independent copies of a system; always the *last* axis where dynamics runs, so that one
               arithmetic instruction serves a row of replicas
``frames``     points along a trajectory, first axis of stored data
``features``   numbers describing a frame
``states``     states of a Markov model
=============  =====================================================================================

In the particle wing positions are ``(atoms, dims, *replicas)``: the replica axes may be absent or many, and energies
have the shape ``(*replicas,)``. In the time-series wing data are ``(frames, features)``. Shapes are checked at run
time only under pytest.
"""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, PyTree, Shaped

Array = jax.Array | np.ndarray

Positions = Float[Array, "atoms dims *replicas"]
Momenta = Float[Array, "atoms dims *replicas"]
Forces = Float[Array, "atoms dims *replicas"]
Energies = Float[Array, " *replicas"]
Box = Float[Array, "3 3"]
Boxes = Float[Array, "3 3 *boxes"]
Masses = Float[Array, " atoms"]
Values = Float[Array, " values *replicas"]

__all__ = [
    "Array",
    "Bool",
    "Box",
    "Boxes",
    "Energies",
    "Float",
    "Forces",
    "Int",
    "Masses",
    "Momenta",
    "Positions",
    "PyTree",
    "Shaped",
    "Values",
]
