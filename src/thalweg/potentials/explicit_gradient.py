"""Energies whose gradient is written beside them.

Reverse-mode differentiation of a pair or torsion energy costs two to four times the force written out by hand. An
`ExplicitGradient` gives both at once, and to JAX it still looks like any other energy: its derivative rule is

    dU = sum(G(x) dx) + dU/dp dp,

with ``G`` ordinary array code. So ``jax.grad`` returns ``G`` itself, Hessians of either mode differentiate ``G``, and
the second part, for parameters and the box, exists only where these are differentiated.
"""

from __future__ import annotations

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from thalweg.potentials.energy import Energy
from thalweg.shapes import Array, Box, Energies, Positions


class ExplicitGradient(Energy):
    """An energy that knows its own gradient; subclasses write `energy_and_gradient` instead of ``__call__``.

    It is never given replica axes of one replica only: atoms are then the last axis, to be worked through in rows.
    """

    @abc.abstractmethod
    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        """Energies ``(*replicas,)`` [kJ/mol] and ``dU/dx``, shaped like ``positions`` [kJ/mol/nm]."""

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        arrays, static = eqx.partition(self, eqx.is_array)

        def evaluate(positions, parameters):
            box, arrays = parameters
            replicas = positions.shape[2:]
            squeezed = positions.reshape(positions.shape[:2]) if math.prod(replicas) == 1 else positions
            energies, gradient = eqx.combine(arrays, static).energy_and_gradient(squeezed, box)
            return energies.reshape(replicas), gradient.reshape(positions.shape)

        @jax.custom_jvp
        def energy(positions, parameters):
            return evaluate(positions, parameters)[0]

        def change(primals, tangents):
            energies, gradient = evaluate(*primals)
            step = tangents[0]
            along = 0 if isinstance(step, SymbolicZero) else (gradient * step).sum((0, 1))
            return energies, along + _along_parameters(evaluate, primals, tangents, energies)

        energy.defjvp(change, symbolic_zeros=True)
        return energy(jnp.asarray(positions), (box, arrays))


def _along_parameters(evaluate, primals, tangents, energies):
    """``dU/dp dp``, evaluated only for those leaves of the parameters that change."""
    positions, parameters = primals
    leaves, tree = jax.tree.flatten(parameters)
    changes = jax.tree.leaves(tangents[1], is_leaf=lambda leaf: isinstance(leaf, SymbolicZero))
    changing = [k for k, change in enumerate(changes) if not isinstance(change, SymbolicZero)]
    if not changing:
        return jnp.zeros_like(energies)

    def energy(*values):
        replaced = dict(zip(changing, values))
        merged = [replaced.get(k, leaf) for k, leaf in enumerate(leaves)]
        return evaluate(positions, jax.tree.unflatten(tree, merged))[0]

    return jax.jvp(energy, [leaves[k] for k in changing], [changes[k] for k in changing])[1]


def per_replica(parameter: Array | float, like: Array) -> jax.Array:
    """``parameter`` in the precision of ``like``, with axes of length one appended up to its rank.

    Examples
    --------
    >>> import numpy as np
    >>> per_replica(np.ones(5), np.ones((5, 3, 8))).shape
    (5, 1, 1)
    """
    parameter = jnp.asarray(parameter, jnp.result_type(like))
    return parameter.reshape(parameter.shape + (1,) * (like.ndim - parameter.ndim))
