"""Bonds of fixed length in dynamics: SHAKE for positions, RATTLE for momenta, all constraints at once.

A constraint k holds the distance of atoms i and j at L_k. With the bond vectors ``d_k = x_i - x_j`` before a
drift, positions move along them until ``|s_k| = L_k``, where s_k are the bond vectors after it
[ryckaert1977]; momenta are freed of their components along the bonds [andersen1983]. Both are the same linear
algebra in the space of constraints: bond vectors respond to multipliers g by ``s -> s - C (d g)``, where ``C
= B M^-1 B^T`` couples constraints that share an atom (B is the incidence matrix), and the multipliers follow
from an error e by ``g = K^-1 e`` with ``K_kl = C_kl d_k . d_l``. K hardly changes while a molecule moves, so
it is inverted once, at the starting positions [eastman2010], and a fixed number of repetitions shrinks the
error by a factor of 20 to 100 each.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thalweg.shapes import Array, Float, Int, Masses, Momenta, Positions
from thalweg.systems.system import Constraints

SHAKE_ITERATIONS = 5
RATTLE_ITERATIONS = 4


class BlockDiagonal(eqx.Module):
    """A matrix of blocks along the diagonal, one per cluster of coupled constraints, sorted by size.

    Attributes
    ----------
    blocks : each (clusters, size, size)
    """

    blocks: tuple[Float[Array, "clusters size size"], ...]

    def __matmul__(self, rows: Float[Array, "constraints *rest"]) -> Float[Array, "constraints *rest"]:
        products, start = [], 0
        for block in self.blocks:
            clusters, size, _ = block.shape
            part = rows[start : start + clusters * size].reshape(clusters, size, -1)
            if size <= 4:  # a handful of multiplications, fused with what stands around them
                product = sum(block[:, :, l, None] * part[:, None, l] for l in range(size))
            else:
                product = block @ part
            products.append(product.reshape(clusters * size, *rows.shape[1:]))
            start += clusters * size
        return jnp.concatenate(products) if products else rows


class BondConstraints(eqx.Module):
    """Fixed bond lengths, ready to be imposed on many replicas.

    Attributes
    ----------
    first, second : (constraints,) the two atoms of each constraint, clusters of coupled constraints together
    lengths : (constraints,) [nm]
    coupling : C = B M^-1 B^T [1/amu]
    inverse : K^-1 at the starting positions [amu/nm^2]
    masses, inverse_masses : (atoms,) [amu, 1/amu]; zero, both, for an atom that never moves
    """

    first: Int[Array, "constraints"]
    second: Int[Array, "constraints"]
    lengths: Float[Array, "constraints"]
    coupling: BlockDiagonal
    inverse: BlockDiagonal
    masses: Masses
    inverse_masses: Masses

    @staticmethod
    def build(constraints: Constraints, masses: np.ndarray, positions: np.ndarray) -> BondConstraints:
        """Constraints between atoms of ``masses`` ``(atoms,)`` [amu] at ``positions`` ``(atoms, dims)`` [nm].

        Raises
        ------
        ValueError
            If the constraints contradict or repeat each other, or hold together two atoms that cannot move.
        """
        pairs, lengths = np.asarray(constraints.pairs, int), np.asarray(constraints.distances, float)
        masses, positions = np.asarray(masses, float), np.asarray(positions, float)
        weights = np.divide(1.0, masses, out=np.zeros(len(masses)), where=masses > 0)
        bonds = positions[pairs[:, 0]] - positions[pairs[:, 1]]
        bonds *= (lengths / np.linalg.norm(bonds, axis=1))[:, None]

        clusters = _clusters(pairs, len(masses))
        order = np.concatenate([np.ravel(same) for same in clusters]) if clusters else np.zeros(0, int)
        coupling, inverse = [], []
        for same in clusters:
            share = (pairs[same][:, :, None, :, None] == pairs[same][:, None, :, None, :]).astype(float)
            signs = np.array([1.0, -1.0])
            atoms = weights[pairs[same]][:, :, None, :, None]
            block = np.einsum("cklab,a,b->ckl", share * atoms, signs, signs)
            metric = block * np.einsum("ckx,clx->ckl", bonds[same], bonds[same])
            if np.linalg.cond(metric).max() > 1e6:
                worst = pairs[same[np.linalg.cond(metric).argmax()]].tolist()
                raise ValueError(
                    f"the constraints between atoms {worst} determine each other or hold atoms without mass; "
                    "remove the redundant ones"
                )
            coupling.append(block)
            inverse.append(np.linalg.inv(metric))
        return BondConstraints(
            pairs[order, 0].astype(np.int32),
            pairs[order, 1].astype(np.int32),
            lengths[order],
            BlockDiagonal(tuple(coupling)),
            BlockDiagonal(tuple(inverse)),
            masses,
            weights,
        )

    def velocities(self, momenta: Momenta) -> Float[Array, "atoms dims *replicas"]:
        """``p / m`` [nm/ps]; zero for an atom of zero mass."""
        return momenta * _rows(self.inverse_masses, momenta)

    def vectors(self, positions: Positions) -> Float[Array, "constraints dims *replicas"]:
        """Bond vectors ``x_i - x_j`` [nm]."""
        return positions[self.first] - positions[self.second]

    def violation(self, positions: Positions) -> Float[Array, "*replicas"]:
        """Largest relative deviation of a bond length in each replica; zero without constraints."""
        stretch = jnp.sqrt((self.vectors(positions) ** 2).sum(1)) / _rows(self.lengths, positions)[:, 0] - 1.0
        return jnp.abs(stretch).max(0, initial=0.0)

    def restored(self, positions, momenta, along, dt):
        """Positions and momenta after a drift of length ``dt``, with all bonds back at their lengths (SHAKE).

        Atoms move ``along`` the bond vectors ``(constraints, dims, *replicas)`` before the drift, and the
        momenta take up what moved them.
        """
        if not len(self.lengths):
            return positions, momenta
        squares = _rows(self.lengths, positions)[:, 0] ** 2
        shift = self._shift(positions, along, lambda s: ((s**2).sum(1) - squares) / 2, SHAKE_ITERATIONS)
        return positions + shift * _rows(self.inverse_masses, shift), momenta + shift / dt

    def tangent(self, momenta: Momenta, along: Float[Array, "constraints dims *replicas"]) -> Momenta:
        """``momenta`` without what would change bond lengths (RATTLE); ``along`` are the bond vectors now."""
        if not len(self.lengths):
            return momenta
        velocities = self.velocities(momenta)
        return momenta + self._shift(velocities, along, lambda w: (w * along).sum(1), RATTLE_ITERATIONS)

    def _shift(self, values, along, error, iterations):
        """What, added to ``m * values`` ``along`` the bonds, makes their ``error`` zero."""
        differences = self.vectors(values)
        total = jnp.zeros_like(along)
        for _ in range(iterations):
            impulse = along * (self.inverse @ error(differences))[:, None]
            differences = differences - self.coupling @ impulse
            total = total + impulse
        return jnp.zeros_like(values).at[self.first].add(-total).at[self.second].add(total)


def _rows(numbers: Array, like: Array) -> Array:
    """One number per row, shaped to multiply ``like``."""
    return jnp.asarray(numbers, like.dtype).reshape(-1, *(1,) * (like.ndim - 1))


def _clusters(pairs: np.ndarray, n_atoms: int) -> list[np.ndarray]:
    """Constraints that share atoms, as arrays (clusters, size) of constraint indices, one array per size."""
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_atoms, n_atoms))
    labels = connected_components(graph, directed=False)[1][pairs[:, 0]]
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return [np.stack([m for m in members if len(m) == size]) for size in sorted({len(m) for m in members})]
