"""Sums over pairs of atoms, for energies and for whatever else is built from pairs (Born radii).

A set of pairs is a table ``partners`` of shape ``(rows, atoms)``: in each row every atom meets one other.
Displacements are then a gather and a subtraction with no scatter, and replicas ride on the last axis.

`AllPairs`
    atom ``i`` meets ``(i + s) mod n`` in row ``s = 1 .. n // 2``: every pair exactly once. A row is a
    permutation, so what partners receive can be gathered back through its inverse: for vectors that is quicker
    than scattering, for scalars it is not (measured on CPUs). Rows are worked through in blocks: memory grows
    with the number of atoms, never with its square.
`PairsWithin`
    of a radius: all pairs at first; once `PairsWithin.refreshed`, atom ``i`` meets each neighbor of a list, every pair
    twice, and nothing needs to be given back.

Both offer ``total``: the sum of a quantity of pairs and the sums, per atom, of what pairs give to their members.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.potentials.energy import Energy
from thalweg.potentials.explicit_gradient import ExplicitGradient, per_replica
from thalweg.shapes import Array, Bool, Box, Energies, Int, Positions
from thalweg.systems.box import close_components
from thalweg.systems.neighbors import NeighborList

BLOCK = 16
"""At most so many rows of `AllPairs` are worked through at once."""

DENSE = 1500
"""Up to this many atoms all pairs cost less than a neighbor list and its renewal on the host."""

SKIN = 0.2
"""Skin of neighbor lists [nm]."""

Visit = Callable
"""``visit(displacement, own, partner) -> (pair, to_own, to_partner)``.

``displacement`` is ``x_own - x_partner`` as three components ``(rows, atoms, *replicas)``; ``own`` and
``partner`` are the per-atom arrays of both, broadcast to it. Returned are pytrees of arrays ``(rows, atoms, ...,
*replicas)``: what is summed over pairs, and what each of the two atoms receives.
"""


class AllPairs(eqx.Module):
    """Every pair of atoms once, but those excluded.

    Attributes
    ----------
    excluded : (atoms, most) int, partners an atom does not have, -1 where there are no more
    """

    excluded: Int[Array, "atoms most"]

    @staticmethod
    def but(atoms: int, pairs: Int[Array, "pairs 2"]) -> AllPairs:
        """All pairs of ``atoms`` particles but ``pairs``.

        Examples
        --------
        >>> AllPairs.but(3, np.array([[0, 1], [0, 2]])).excluded
        array([[ 1,  2], [ 0, -1], [ 0, -1]])
        """
        partners = [[] for _ in range(atoms)]
        for i, j in pairs:
            partners[i].append(j)
            partners[j].append(i)
        most = max(map(len, partners), default=0)
        return AllPairs(np.array([p + [-1] * (most - len(p)) for p in partners], int).reshape(atoms, most))

    def total(self, visit: Visit, positions: Positions, parameters: tuple, box: Box | None) -> tuple:
        """Sums over pairs, and per atom, of what ``visit`` returns; ``parameters`` are arrays ``(atoms, ...)``."""

        def block(shifts):
            return self._block(visit, positions, parameters, box, shifts)

        half = len(self.excluded) // 2
        if 0 < half <= BLOCK:
            return block(jnp.arange(1, half + 1))
        count = -(-half // BLOCK)
        height = -(-half // count) if count else 1
        blocks = jnp.arange(1, count * height + 1).reshape(count, height)
        shapes = jax.eval_shape(block, jax.ShapeDtypeStruct((height,), blocks.dtype))
        start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.scan(lambda sums, b: (jax.tree.map(jnp.add, sums, block(b)), None), start, blocks)[0]

    def _block(self, visit, positions, parameters, box, shifts):
        n = len(self.excluded)
        atoms, shifts = jnp.arange(n), shifts[:, None]
        partners, givers = (atoms + shifts) % n, (atoms - shifts) % n
        # a row s = n / 2 meets each pair from both ends: half; rows beyond, which only fill a block, nothing
        counted = jnp.all(partners[:, :, None] != jnp.asarray(self.excluded), -1)
        weights = counted * (jnp.where(2 * shifts < n, 2, jnp.where(2 * shifts == n, 1, 0)) / 2)

        def weighted(leaf):
            return leaf * per_replica(weights, leaf)

        def given(own, partner):
            """What atoms receive as owners and as partners: vectors gathered from who gives, scalars scattered."""
            own, partner = weighted(own), weighted(partner)
            if own.ndim > positions.ndim:
                return sum(
                    (own[k] + partner[k][givers[k]] for k in range(len(shifts))), jnp.zeros_like(positions)
                )
            return own.sum(0) + jnp.zeros_like(own[0]).at[partners].add(partner)

        pair, to_own, to_partner = _visited(visit, positions, parameters, box, partners)
        return jax.tree.map(lambda u: weighted(u).sum((0, 1)), pair), jax.tree.map(given, to_own, to_partner)


class PairsWithin(eqx.Module):
    """Pairs closer than ``radius`` [nm]: all pairs, or those of a neighbor list once `refreshed`.

    A list that no longer holds answers ``nan``, never something wrong.
    """

    radius: float = eqx.field(static=True)
    everything: AllPairs
    neighbors: NeighborList | None = None

    def total(self, visit: Visit, positions: Positions, parameters: tuple, box: Box | None) -> tuple:
        """As `AllPairs.total`."""
        if self.neighbors is None:
            return self.everything.total(visit, positions, parameters, box)
        partners = self.neighbors.partners
        partners = partners.reshape(*partners.shape[:2], *positions.shape[2:])
        # an atom that stands for no neighbor is its own; lists have every pair twice
        real = partners != jnp.arange(len(positions)).reshape(1, -1, *(1,) * (partners.ndim - 2))
        holds = jnp.where(self.neighbors.moved(positions) < 0.5 * self.neighbors.skin, 1.0, jnp.nan)

        def apart(displacement, own, partner):
            return visit([jnp.where(real, d, 1.0) for d in displacement], own, partner)

        def counted(leaf, weight):
            mask = real.reshape(*real.shape[:2], *(1,) * (leaf.ndim - real.ndim), *real.shape[2:])
            return jnp.where(mask, leaf, 0.0) * (weight * holds).astype(leaf.dtype)

        pair, to_own, _ = _visited(apart, positions, parameters, box, partners)
        return (
            jax.tree.map(lambda u: counted(u, 0.5).sum((0, 1)), pair),
            jax.tree.map(lambda given: counted(given, 1.0).sum(0), to_own),
        )

    def refreshed(self, positions: Positions, box: Box | None) -> PairsWithin:
        """With a neighbor list that holds at ``positions``, where a list pays."""
        if self.neighbors is not None:
            neighbors = self.neighbors.refreshed(positions, box)
        elif len(positions) > DENSE:
            neighbors = NeighborList.around(positions, box, self.radius, SKIN, self.everything.excluded)
        else:
            return self
        return PairsWithin(self.radius, self.everything, neighbors)


def _visited(visit, positions, parameters, box, partners):
    displacement = [_difference(positions[:, k], partners) for k in range(positions.shape[1])]
    if box is not None:
        displacement = close_components(displacement, box)
    like = displacement[0]
    own = [per_replica(jnp.asarray(p)[None], like) for p in parameters]
    partner = [per_replica(jnp.asarray(p)[partners], like) for p in parameters]
    return visit(displacement, own, partner)


def _difference(x, partners):
    """``x_own - x_partner``; partners are the same in all replicas, or ``(rows, atoms, *replicas)``."""
    if partners.ndim == 2:
        return x - x[partners]
    return x - jnp.take_along_axis(x[None], partners, 1)


class PairEnergy(ExplicitGradient):
    """``U = sum_{i<j} u(r_ij^2; p_i, p_j)`` over a set of pairs.

    Attributes
    ----------
    interaction : ``interaction(r2, own, partner)``, energy [kJ/mol] of pairs at squared distance [nm^2]
    parameters : tuple of (atoms,) arrays; the interaction gets those of both atoms
    pairs : `AllPairs` or `PairsWithin`
    periodic : whether atoms see each other's nearest image
    """

    interaction: Callable
    parameters: tuple
    pairs: AllPairs | PairsWithin
    periodic: bool = eqx.field(static=True, default=False)

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        def visit(displacement, own, partner):
            r2 = square(displacement)
            u, slope = jax.jvp(lambda r2: self.interaction(r2, own, partner), (r2,), (jnp.ones_like(r2),))
            pull = jnp.stack([2 * slope * d for d in displacement], 2)
            return u, pull, -pull

        return self.pairs.total(visit, positions, self.parameters, needed_box(box) if self.periodic else None)

    def refreshed(self, positions: Positions, box: Box | None = None) -> Energy:
        if isinstance(self.pairs, AllPairs):
            return self
        pairs = self.pairs.refreshed(positions, needed_box(box) if self.periodic else None)
        return PairEnergy(self.interaction, self.parameters, pairs, self.periodic)

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""] | bool:
        if isinstance(self.pairs, AllPairs) or self.pairs.neighbors is None:
            return False
        return self.pairs.neighbors.stale(positions, box if self.periodic else None)


def needed_box(box: Box | None) -> Box:
    """The box a periodic energy was given; it cannot do without."""
    if box is None:
        raise ValueError(
            "a periodic energy was given no box; pass box vectors (3, 3) [nm] with the positions"
        )
    return box


def square(displacement: list[jax.Array]) -> jax.Array:
    """Squared length of displacements given as components."""
    x, y, z = displacement
    return x * x + y * y + z * z
