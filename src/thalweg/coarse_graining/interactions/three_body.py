"""Functions of the angle between two neighbors of a bead, smooth in both distances, linear in their coefficients.

    U = sum_i sum_{j<k} sum_w sum_f c_wf g_w(r_ij) g_w(r_ik) f(cos t_jik),    g_w(r) = exp( w / (r - r_c) ),

which vanishes at the cutoff ``r_c`` with all derivatives. With ``f`` the powers 0, 1 and 2 of the cosine this holds the
three-body part of Stillinger and Weber [stillinger1985]; with splines, any function of the angle. Fitted to forces with
pair functions it is multiscale coarse-graining with explicit three-body forces, as one-site water wants [larini2010].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import vesin
from scipy.sparse import csr_array

from thalweg.coarse_graining.interactions.bead_pairs import check_width
from thalweg.coarse_graining.interactions.functions import CoordinateFunctions
from thalweg.learned_potentials.terms.local import SiteTerm
from thalweg.potentials.energy import Energy
from thalweg.representations.environments import Environments
from thalweg.representations.neighbor_pairs import pair_sums
from thalweg.shapes import Array, Float

GONE = 80.0
"""Exponents below minus this many are nothing in 32 bits."""


@dataclass(frozen=True)
class ThreeBodyInteraction:
    """Functions of angles at every bead, between neighbors within a cutoff; all beads are of one kind.

    Attributes
    ----------
    functions : of the cosine, such as ``BSplines(-1, 1, 8)`` or ``Powers(0.0, 1.0, (0, 1, 2))``
    cutoff : ``r_c`` [nm]; costs grow with the fourth power of neighbors it holds
    beads : how many there are
    widths : ``w`` [nm] of each decay
    periodic : whether they stand in a box
    name : begins the names of coefficients

    Examples
    --------
    >>> from thalweg.coarse_graining.interactions.functions import Powers
    >>> angles = ThreeBodyInteraction(Powers(0.0, 1.0, (0, 1, 2)), cutoff=0.43, beads=3, periodic=False)
    >>> triangle = 0.3 * np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    >>> sums, forces = angles.rows(triangle, None)      # at the right angle the cosine is zero
    >>> bool(sums[0, 0] > sums[0, 1]), forces.shape
    (True, (1, 3, 3, 3))
    """

    functions: CoordinateFunctions
    cutoff: float
    beads: int
    widths: tuple[float, ...] = (0.287,)
    periodic: bool = True
    name: str = "angle"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name} {w:g} {each}" for w in self.widths for each in self.functions.names)

    def rows(
        self,
        positions: Float[np.ndarray, "frames beads 3"],
        boxes: Float[np.ndarray, "frames 3 3"] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.periodic and boxes is None:
            raise ValueError(
                "angles of a liquid need its box; give boxes with the frames, or ThreeBodyInteraction(periodic=False) "
                "for a cluster"
            )
        found = [self._frame(x, None if boxes is None else boxes[k]) for k, x in enumerate(positions)]
        return np.array([sums for sums, _ in found]), np.array([forces for _, forces in found])

    def _frame(self, x, box):
        """``Phi`` (functions,) and ``-dPhi/dx`` (beads, 3, functions) of one frame.

        An arm is a neighbor seen from a bead, ``r`` long and along ``u``; each pair of arms of a bead has a cosine.
        """
        centers, ends, r, u = self._arms(x, box)
        first, second = _pairs_of_arms(np.bincount(centers, minlength=len(x)))
        cosine = (u[first] * u[second]).sum(1)
        f, slope = (each.T for each in self.functions.design(cosine))
        sums, forces = [], []
        gather = [_summing(arm, len(r)) for arm in (first, second)]
        for width in self.widths:
            g = np.exp(np.maximum(width / np.minimum(r - self.cutoff, -1e-9), -GONE))
            pull = -g * width / (r - self.cutoff) ** 2  # dg/dr
            sums.append((g[first] * g[second]) @ f)
            # dPhi/d(arm) = u g'(r) g(r') f + g g' f'(cos) (u' - cos u) / r, of both arms of a pair
            along, across = np.zeros((len(r), f.shape[1])), np.zeros((len(r), 3, f.shape[1]))
            for one, other, sum_up in ((first, second, gather[0]), (second, first, gather[1])):
                along += sum_up @ ((pull[one] * g[other])[:, None] * f)
                turn = (g[first] * g[second] / r[one])[:, None] * slope
                along -= sum_up @ (cosine[:, None] * turn)
                for axis in range(3):
                    across[:, axis] += sum_up @ (u[other, axis, None] * turn)
            gradient = (across + u[:, :, None] * along[:, None, :]).reshape(len(r), -1)
            force = _summing(centers, len(x)) @ gradient - _summing(ends, len(x)) @ gradient
            forces.append(force.reshape(len(x), 3, -1))
        return np.concatenate(sums), np.concatenate(forces, -1)

    def _arms(self, x, box):
        """Bead, neighbor, length and direction of every arm, sorted by bead."""
        cell = np.zeros((3, 3)) if box is None else np.asarray(box, float)
        if self.periodic:
            check_width(self.cutoff, cell)
        search = vesin.NeighborList(cutoff=self.cutoff, full_list=True)
        i, j, vectors, lengths = search.compute(
            points=np.asarray(x, float), box=cell, periodic=self.periodic, quantities="ijDd"
        )
        order = np.argsort(i, kind="stable")
        i, j, vectors, lengths = i[order].astype(int), j[order].astype(int), vectors[order], lengths[order]
        return i, j, lengths, vectors / lengths[:, None]

    def energy(self, coefficients: Float[np.ndarray, " functions"], beads: int) -> Energy:
        if beads != self.beads:
            raise ValueError(f"these angles are of {self.beads} beads; got {beads}")
        table = np.asarray(coefficients, float).reshape(len(self.widths), -1)
        term = ThreeBodyTerm(
            (1,), self.cutoff, tuple(self.widths), tuple(self.functions.potential(row) for row in table)
        )
        return term.bind(np.ones(beads, int), periodic=(self.periodic,) * 3)


class ThreeBodyTerm(SiteTerm):
    """What coefficients make of a `ThreeBodyInteraction`.

    Attributes
    ----------
    elements : the one kind
    cutoff, widths : [nm]
    potentials : of the cosine, one for each width
    """

    elements: tuple[int, ...] = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    widths: tuple[float, ...] = eqx.field(static=True)
    potentials: tuple[Callable, ...]

    def site_energies(self, environments: Environments) -> Float[Array, " sites"]:
        r = environments.distances
        inside = r < self.cutoff
        gap = jnp.where(inside, self.cutoff - r, 1.0)
        decays = [
            jnp.where(inside, jnp.exp(-jnp.minimum(width / jnp.maximum(gap, width / GONE), GONE)), 0.0)
            for width in self.widths
        ]
        columns = jnp.concatenate([environments.vectors / r, jnp.stack(decays)])

        def of_pairs(mine, others, share):
            cosine = (mine[:3] * others[:3]).sum(0)
            parts = [
                mine[3 + k] * others[3 + k] * potential(cosine) for k, potential in enumerate(self.potentials)
            ]
            return share * sum(parts, jnp.zeros_like(cosine)).sum(0)[None]

        energies = pair_sums(columns, of_pairs)[0]
        return jnp.where(environments.kinds >= 0, energies, 0.0)


def _pairs_of_arms(counts):
    """Both arms of each pair, for ``counts`` arms of each bead, arms sorted by bead.

    Examples
    --------
    >>> [pair.tolist() for pair in _pairs_of_arms(np.array([3, 1, 2]))]
    [[0, 0, 1, 4], [1, 2, 2, 5]]
    """
    ends = np.repeat(np.cumsum(counts), counts)
    after = ends - np.arange(len(ends)) - 1
    first = np.repeat(np.arange(len(ends)), after)
    place = np.arange(len(first)) - np.repeat(np.cumsum(after) - after, after)
    return first, first + 1 + place


def _summing(owners, count):
    """The sparse matrix that adds up rows by owner."""
    return csr_array((np.ones(len(owners)), (owners, np.arange(len(owners)))), (count, len(owners)))
