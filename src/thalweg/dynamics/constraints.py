"""Bonds of fixed length in dynamics: SHAKE for positions, RATTLE for momenta, a cluster of bonds at a time.

A constraint k holds the distance of atoms i and j at L_k. With the bond vectors ``d_k = x_i - x_j`` before a
drift, positions move along them until ``|s_k| = L_k``, where s_k are the bond vectors after it
[ryckaert1977]; momenta are freed of what would change the lengths [andersen1983]. Both are the same linear
algebra in the space of constraints: multipliers g change bond vectors by ``s -> s - C (d g)``, where ``C = B
M^-1 B^T`` couples constraints that share an atom (B is their incidence matrix), and an error e of the lengths
or velocities asks for ``g = K^-1 e`` with ``K_kl = C_kl d_k . d_l`` [krautler2001]. For velocities that is
exact. For positions it is Newton's method with the matrix of the start, where a bond that turns by an angle a
leaves a part a^2 / 2 of the error, so a fixed number of repetitions reaches the precision of the numbers: 30
degrees per step would be too much, 3 degrees are common.

C and K are diagonal in clusters of constraints that share atoms: a methyl group, a rigid water molecule.
Clusters of one size are worked on together, and every operation runs along all replicas.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thalweg.shapes import Array, Float, Int, Masses, Momenta, Positions
from thalweg.systems.system import Constraints

SHAKE_ITERATIONS = 4


class Clusters(eqx.Module):
    """Clusters of as many constraints each.

    Attributes
    ----------
    first, second : (clusters, size) the two atoms of each constraint
    lengths : (clusters, size) [nm]
    coupling : (clusters, size, size), C [1/amu]
    """

    first: Int[Array, "clusters size"]
    second: Int[Array, "clusters size"]
    lengths: Float[Array, "clusters size"]
    coupling: Float[Array, "clusters size size"]

    def vectors(self, of_atoms: Positions) -> Float[Array, "clusters size dims *replicas"]:
        """Differences ``x_i - x_j``: bond vectors of positions, their velocities of velocities."""
        return of_atoms[self.first] - of_atoms[self.second]

    def response(self, impulse: Float[Array, "clusters size dims *replicas"]) -> Array:
        """Change ``C (d g)`` of all bond vectors under multipliers along them."""
        return _times(self.coupling, impulse)

    def spread(self, impulse: Float[Array, "clusters size dims *replicas"], of_atoms: Positions) -> Positions:
        """``of_atoms`` after the opposite impulses on the two atoms of each constraint."""
        return of_atoms.at[self.first].add(-impulse).at[self.second].add(impulse)


class Tangent(eqx.Module):
    """Bond vectors of clusters at some positions, and K^-1 there."""

    along: Float[Array, "clusters size dims *replicas"]
    inverse: Float[Array, "clusters size size *replicas"]

    @staticmethod
    def at(positions: Positions, clusters: Clusters) -> Tangent:
        along = clusters.vectors(positions)
        inner = sum(along[:, :, None, d] * along[:, None, :, d] for d in range(along.shape[2]))
        return Tangent(along, _inverse(_rows(clusters.coupling, inner) * inner))


class BondConstraints(eqx.Module):
    """Fixed bond lengths, ready to be imposed on many replicas.

    Attributes
    ----------
    clusters : the constraints, clusters of one size together
    masses, inverse_masses : (atoms,) [amu, 1/amu]; zero, both, for an atom that never moves
    """

    clusters: tuple[Clusters, ...]
    masses: Masses
    inverse_masses: Masses

    @staticmethod
    def build(constraints: Constraints, masses: np.ndarray) -> BondConstraints:
        """``constraints`` between atoms of ``masses`` ``(atoms,)`` [amu].

        Raises
        ------
        ValueError
            If a constraint is given twice, or holds two atoms that never move.
        """
        pairs, lengths = np.asarray(constraints.pairs, int), np.asarray(constraints.distances, float)
        masses = np.asarray(masses, float)
        weights = np.divide(1.0, masses, out=np.zeros(len(masses)), where=masses > 0)
        if len(np.unique(np.sort(pairs, 1), axis=0)) < len(pairs):
            raise ValueError("a pair of atoms is constrained twice; give each constraint once")
        stuck = pairs[weights[pairs].sum(1) == 0]
        if len(stuck):
            raise ValueError(
                f"atoms {stuck[0].tolist()} have no mass and are constrained; remove the constraint"
            )

        groups = []
        for members in _clusters(pairs, len(masses)):
            atoms = pairs[members]
            # C_kl = sum over shared atoms of the signs with which each bond sees the atom, over its mass
            shared = atoms[:, :, None, :, None] == atoms[:, None, :, None, :]
            signs = np.array([1.0, -1.0])
            coupling = np.einsum("cklab,cka,a,b->ckl", shared, weights[atoms], signs, signs)
            first, second = np.moveaxis(atoms.astype(np.int32), -1, 0)
            groups.append(Clusters(first, second, lengths[members], coupling))
        return BondConstraints(tuple(groups), masses, weights)

    def velocities(self, momenta: Momenta) -> Float[Array, "atoms dims *replicas"]:
        """``p / m`` [nm/ps]; zero for an atom of zero mass."""
        return momenta * _rows(self.inverse_masses, momenta)

    def violation(self, positions: Positions) -> Float[Array, " *replicas"]:
        """Largest relative deviation of a bond length in each replica; zero without constraints."""
        worst = jnp.zeros(positions.shape[2:], positions.dtype)
        for clusters in self.clusters:
            lengths = jnp.sqrt((clusters.vectors(positions) ** 2).sum(2))
            worst = jnp.maximum(worst, jnp.abs(lengths / _rows(clusters.lengths, lengths) - 1.0).max((0, 1)))
        return worst

    def tangents(self, positions: Positions) -> tuple[Tangent, ...]:
        """Where the bonds point at ``positions``."""
        return tuple(Tangent.at(positions, clusters) for clusters in self.clusters)

    def restored(
        self, positions: Positions, momenta: Momenta, tangents: tuple[Tangent, ...], dt: float | jax.Array
    ) -> tuple[Positions, Momenta]:
        """Positions and momenta after a drift of length ``dt``, with all bonds back at their lengths (SHAKE).

        Atoms move along the ``tangents`` before the drift, and the momenta take up what moved them.
        """
        shift = jnp.zeros_like(positions)
        for clusters, tangent in zip(self.clusters, tangents):
            # g = K^-1 (|s|^2 - L^2) / 2, repeated with the K of the start: each repetition is Newton's step but for the
            # turn of the bonds
            bonds = clusters.vectors(positions)
            squares = _rows(clusters.lengths**2, bonds[:, :, 0])
            total = _times(tangent.inverse, (bonds**2).sum(2) - squares) / 2
            for _ in range(SHAKE_ITERATIONS - 1):
                moved = bonds - clusters.response(tangent.along * total[:, :, None])
                total = total + _times(tangent.inverse, (moved**2).sum(2) - squares) / 2
            shift = clusters.spread(tangent.along * total[:, :, None], shift)
        return positions + self.velocities(shift), momenta + shift / dt

    def projected(self, momenta: Momenta, tangents: tuple[Tangent, ...]) -> Momenta:
        """``momenta`` without what would change the bond lengths at ``tangents`` (RATTLE)."""
        velocities = self.velocities(momenta)
        for clusters, tangent in zip(self.clusters, tangents):
            # d . v, which g = K^-1 (d . v) takes out exactly
            stretching = (clusters.vectors(velocities) * tangent.along).sum(2)
            momenta = clusters.spread(
                tangent.along * _times(tangent.inverse, stretching)[:, :, None], momenta
            )
        return momenta


def _times(matrices: Array, rows: Array) -> jax.Array:
    """Products of ``matrices`` ``(clusters, size, size, ...)`` with ``rows`` ``(clusters, size, ...)``."""
    size = matrices.shape[1]
    columns = matrices if matrices.ndim > 3 else _rows(matrices, rows[:, :, None])
    return sum(columns[:, :, l] * rows[:, None, l] for l in range(size))


def _inverse(
    matrices: Float[Array, "clusters size size *replicas"],
) -> Float[Array, "clusters size size *replicas"]:
    """Inverses of positive matrices by Gauss-Jordan elimination in place, one rank-one change a row."""
    for p, unit in enumerate(np.eye(matrices.shape[1], dtype=matrices.dtype)):
        unit = _rows(unit[None], matrices[:, p])
        left, right = matrices[:, :, p] - unit, (matrices[:, p] + unit) / matrices[:, p, p, None]
        matrices = matrices - left[:, :, None] * right[:, None]
    return matrices


def _rows(numbers: Array, like: Array) -> jax.Array:
    """``numbers`` with axes of length one appended up to the rank of ``like``."""
    return jnp.asarray(numbers, like.dtype).reshape(*numbers.shape, *(1,) * (like.ndim - numbers.ndim))


def _clusters(pairs: np.ndarray, n_atoms: int) -> list[np.ndarray]:
    """Constraints that share atoms, as arrays (clusters, size) of constraint indices, one array per size."""
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_atoms, n_atoms))
    labels = connected_components(graph, directed=False)[1][pairs[:, 0]]
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return [np.stack([m for m in members if len(m) == size]) for size in sorted({len(m) for m in members})]
