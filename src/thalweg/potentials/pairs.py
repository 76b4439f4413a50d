"""Sums over pairs of atoms, for energies and for whatever else is built from pairs (Born radii).

A set of pairs is a table ``partners`` of shape ``(rows, atoms)``: in each row every atom meets one other. Displacements
are then a gather and a subtraction with no scatter, and replicas ride on the last axis. Two tables exist:

`AllPairs`
    atom ``i`` meets ``(i + s) mod n`` in row ``s = 1 .. n // 2``: every pair exactly once. A row is a permutation, so
    what the partner receives is gathered back through the inverse. Rows are worked through in blocks: memory grows
    with ``atoms``, never with its square.
`Neighbors`
    atom ``i`` meets each of its neighbours within a cutoff: every pair twice, nothing to give back.

Both offer `total`: the sum of a quantity of pairs and the sums, per atom, of what pairs give to their members.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.potentials.explicit_gradient import ExplicitGradient, per_replica
from thalweg.shapes import Array, Box, Energies, Float, Int, Positions
from thalweg.systems.box import nearest_components

BLOCK = 32
"""Rows of `AllPairs` worked through at once."""

Visit = Callable
"""``visit(displacement, own, partner) -> (pair, to_own, to_partner)``.

``displacement`` is ``x_own - x_partner`` as a list of three components ``(rows, atoms, *replicas)``; ``own`` and
``partner`` are the per-atom arrays of both, broadcast to it. Returned are pytrees of arrays shaped ``(rows, atoms,
..., *replicas)``: what is summed over pairs, and what each of the two atoms receives.
"""


class AllPairs(eqx.Module):
    """Every pair of ``n`` atoms once, but those excluded.

    Attributes
    ----------
    weights : (rows, atoms) 1 for a pair that counts, 0 for one that does not, 1/2 where a pair is met twice
    """

    weights: Float[Array, "rows atoms"]

    @staticmethod
    def but(atoms: int, excluded: Int[Array, "pairs 2"]) -> AllPairs:
        """All pairs of ``atoms`` particles but the ``excluded`` ones.

        Examples
        --------
        >>> AllPairs.but(4, np.array([[0, 1]])).weights
        array([[0. , 1. , 1. , 1. ],
               [0.5, 0.5, 0.5, 0.5]], dtype=float32)
        """
        half = atoms // 2
        rows = half if half <= BLOCK else -(-half // BLOCK) * BLOCK
        weights = np.zeros((rows, atoms), np.float32)
        weights[:half] = 1
        if atoms % 2 == 0 and half:
            weights[half - 1] = 0.5
        for first, second in ((0, 1), (1, 0)):
            i, j = excluded[:, first], excluded[:, second]
            row = (j - i) % atoms - 1
            near = row < half
            weights[row[near], i[near]] = 0
        return AllPairs(weights)

    def total(self, visit: Visit, positions: Positions, parameters: tuple, box: Box | None) -> tuple:
        """Sums over pairs, and per atom, of what ``visit`` returns; ``parameters`` are arrays ``(atoms, ...)``."""
        rows, atoms = self.weights.shape
        if rows <= BLOCK:
            return self._block(visit, positions, parameters, box, jnp.arange(rows), self.weights)
        blocks = jnp.arange(rows).reshape(-1, BLOCK), jnp.asarray(self.weights).reshape(-1, BLOCK, atoms)

        def add(sums, block):
            more = self._block(visit, positions, parameters, box, *block)
            return jax.tree.map(jnp.add, sums, more), None

        shapes = jax.eval_shape(
            lambda b: self._block(visit, positions, parameters, box, *b), jax.tree.map(lambda a: a[0], blocks)
        )
        start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.scan(add, start, blocks)[0]

    def _block(self, visit, positions, parameters, box, rows, weights):
        atoms = positions.shape[0]
        shift = rows[:, None] + 1
        partners, givers = (jnp.arange(atoms) + shift) % atoms, (jnp.arange(atoms) - shift) % atoms
        pair, to_own, to_partner = _visited(visit, positions, parameters, box, partners)
        weighted = lambda tree: jax.tree.map(lambda leaf: leaf * per_replica(weights, leaf), tree)  # noqa: E731
        gather = lambda own, other: sum(own[k] + other[k][givers[k]] for k in range(len(rows)))  # noqa: E731
        return (
            jax.tree.map(lambda leaf: leaf.sum((0, 1)), weighted(pair)),
            jax.tree.map(gather, weighted(to_own), weighted(to_partner)),
        )


def _visited(visit, positions, parameters, box, partners):
    components = [positions[:, k] for k in range(positions.shape[1])]
    displacement = [x - x[partners] for x in components]
    if box is not None:
        displacement = nearest_components(displacement, box)
    like = displacement[0]
    own = [per_replica(jnp.asarray(p)[None], like) for p in parameters]
    partner = [per_replica(jnp.asarray(p)[partners], like) for p in parameters]
    return visit(displacement, own, partner)


class PairEnergy(ExplicitGradient):
    """``U = sum_{i<j} u(r_ij^2; p_i, p_j)`` over a set of pairs.

    Attributes
    ----------
    interaction : ``interaction(r2, own, partner)``, energy [kJ/mol] of pairs at squared distance ``r2`` [nm^2]
    parameters : tuple of (atoms,) arrays; the interaction gets those of both atoms
    pairs : `AllPairs` or `Neighbors`
    periodic : whether atoms see each other's nearest image when a box is given
    """

    interaction: Callable
    parameters: tuple
    pairs: AllPairs
    periodic: bool = eqx.field(static=True, default=False)

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        def visit(displacement, own, partner):
            r2 = square(displacement)
            u, slope = jax.jvp(lambda r2: self.interaction(r2, own, partner), (r2,), (jnp.ones_like(r2),))
            pull = jnp.stack([2 * slope * d for d in displacement], 2)
            return u, pull, -pull

        return self.pairs.total(visit, positions, self.parameters, box if self.periodic else None)


def square(displacement: list[jax.Array]) -> jax.Array:
    """Squared length of displacements given as components."""
    x, y, z = displacement
    return x * x + y * y + z * z
