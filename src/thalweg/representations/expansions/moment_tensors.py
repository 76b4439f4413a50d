"""Moment tensors: polynomial invariants of an environment of any body order [shapeev2016].

Moments of the neighbors' directions, with Chebyshev polynomials ``Q_mu`` of the distance (cutoff included) and one
set per element channel ``c``, weighted by ``w_c``,

    M_(mu c),nu = sum_j  w_c(z_j) Q_mu(r_j) n_j (x) n_j (x) ... (x) n_j     (nu times),

are contracted to scalars in all the ways that `contractions` finds up to a level. Directions have length one here: what
the powers of ``r`` in the paper add is a change of radial functions. Radial functions are fixed, so that the energy is
linear in all that is fitted; ``step`` is the price of the next one (4 in the paper, where each is itself fitted).
"""

from __future__ import annotations

import itertools
from math import factorial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.representations.density import DensityRepresentation
from thalweg.representations.element_channels import channel_weights, element_channels
from thalweg.representations.environments import Environments
from thalweg.representations.expansions.contractions import Connected, Contractions, contractions
from thalweg.representations.radial import ChebyshevBasis, Exponential, RadialScale
from thalweg.shapes import Array, Float
from thalweg.units import InCode, Nanometers


class MomentTensors(DensityRepresentation):
    """Moment tensor invariants up to a level.

    Parameters
    ----------
    cutoff : where neighbors vanish [nm]
    level : highest level ``sum (2 + step mu + nu)`` of a scalar over its moments
    step : what a radial function adds to the level above the one before it
    radial_scale : where radial functions are finer; see `ChebyshevBasis`
    channels : number of mixtures the elements of neighbors are compressed into; None keeps them apart
    elements : atomic numbers

    Examples
    --------
    >>> from thalweg.systems.configuration import Configuration
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]))
    >>> MomentTensors(cutoff=0.5, level=6).features([water])[0].shape
    (3, 14)
    """

    cutoff: Nanometers = eqx.field(static=True, default=0.5)
    level: int = eqx.field(static=True, default=12)
    step: int = eqx.field(static=True, default=4)
    radial_scale: RadialScale = eqx.field(static=True, default=Exponential())
    channels: int | None = eqx.field(static=True, default=None)
    elements: InCode[tuple[int, ...] | None] = eqx.field(static=True, default=None, kw_only=True)

    @property
    def plan(self) -> Contractions:
        """The scalars, with their levels."""
        return contractions(self.level, self.step, len(element_channels(self.elements, self.channels)))

    def factors(self, environments: Environments) -> tuple[jax.Array, jax.Array]:
        plan = self.plan
        weights = channel_weights(element_channels(self.elements, self.channels), environments)
        distances = environments.distances
        basis = ChebyshevBasis(plan.radial // len(weights), self.cutoff, self.radial_scale)(distances)
        radial = (basis[:, None] * weights).reshape(-1, *distances.shape)
        return radial, _monomials(environments.vectors / distances, plan.rank)

    def invariants(self, density: Float[Array, "functions angular sites"]) -> Float[Array, "features sites"]:
        plan = self.plan
        starts = np.cumsum([0, *(_size(nu) for nu in range(plan.rank + 1))])
        moments = [density[:, a:b] for a, b in itertools.pairwise(starts)]
        full: dict[int, jax.Array] = {}
        blocks = [jnp.concatenate([_contracted(graph, moments, full) for graph in plan.connected])]
        for table in plan.products:
            blocks.append(blocks[-1][table[:, 0]] * blocks[0][table[:, 1]])
        return jnp.concatenate(blocks)


def _exponents(rank):
    """Powers of x, y and z in the distinct components of a symmetric tensor."""
    return [(a, b, rank - a - b) for a in range(rank, -1, -1) for b in range(rank - a, -1, -1)]


def _size(rank):
    return (rank + 1) * (rank + 2) // 2


def _monomials(directions, rank):
    """All products of up to ``rank`` components of directions, by rank, ``(monomials, neighbors, sites)``."""
    monomials = {(0, 0, 0): jnp.ones_like(directions[0])}
    for nu in range(1, rank + 1):
        for powers in _exponents(nu):
            axis = next(k for k in range(3) if powers[k])
            lower = tuple(p - (k == axis) for k, p in enumerate(powers))
            monomials[powers] = monomials[lower] * directions[axis]
    return jnp.stack([monomials[powers] for nu in range(rank + 1) for powers in _exponents(nu)])


def _contracted(graph: Connected, moments, full):
    """Scalars of one graph, ``(scalars, sites)``."""
    if len(graph.ranks) == 1:
        return moments[0][graph.assignments[:, 0], 0]
    if len(graph.ranks) == 2:
        return _dot_products(graph, moments[graph.ranks[0]])
    return _networks(graph, moments, full)


def _dot_products(graph: Connected, moment):
    """``M : M'`` of two moments of a rank, each distinct component as often as it occurs in the tensor."""
    rank = graph.ranks[0]
    copies = [factorial(rank) / (factorial(a) * factorial(b) * factorial(c)) for a, b, c in _exponents(rank)]
    left = moment * jnp.asarray(copies, moment.dtype)[:, None]
    return (left[graph.assignments[:, 0]] * moment[graph.assignments[:, 1]]).sum(1)


def _networks(graph: Connected, moments, full):
    """Scalars of a graph of three nodes or more: node after node, each prefix of radial functions contracted once."""
    ranks, order = graph.ranks, _cheapest_order(graph.edges)
    table = graph.assignments[:, order]
    rows, back = np.unique(table[:, :1], axis=0, return_inverse=True)
    tensor, legs = _full(moments, full, ranks[order[0]])[rows[:, 0]], _legs(graph.edges, order[0])
    for step, node in enumerate(order[1:], 2):
        # of each prefix, the row of ``tensor`` that it extends
        prefixes, onward = np.unique(table[:, :step], axis=0, return_inverse=True)
        shorter = back[[np.flatnonzero(onward == k)[0] for k in range(len(prefixes))]]
        node_legs = _legs(graph.edges, node)
        shared = [leg for leg in legs if leg in node_legs]
        rest = [leg for leg in legs if leg not in node_legs] + [leg for leg in node_legs if leg not in shared]
        factor = _full(moments, full, ranks[node])[prefixes[:, -1]]
        tensor = _product(tensor[shorter], legs, factor, node_legs, shared, rest)
        legs, back = rest, onward
    return tensor[back, 0]


def _legs(edges, node):
    """Names of the indices of a node's moment: the pair of nodes, and a count."""
    return [(*sorted((node, k)), n) for k, count in enumerate(edges[node]) for n in range(count)]


def _product(a, a_legs, b, b_legs, shared, rest):
    """Sum over the shared indices of the product of two tensors ``(scalars, components, sites)``."""
    batch, sites = a.shape[0], a.shape[-1]
    a_own = [leg for leg in a_legs if leg not in shared]
    a = a.reshape(batch, *[3] * len(a_legs), sites)
    a = a.transpose(0, *(1 + a_legs.index(leg) for leg in a_own + shared), len(a_legs) + 1)
    b_own = [leg for leg in b_legs if leg not in shared]
    b = b.reshape(batch, *[3] * len(b_legs), sites)
    b = b.transpose(0, *(1 + b_legs.index(leg) for leg in b_own + shared), len(b_legs) + 1)
    a = a.reshape(batch, 3 ** len(a_own), 1, 3 ** len(shared), sites)
    b = b.reshape(batch, 1, 3 ** len(b_own), 3 ** len(shared), sites)
    return (a * b).sum(3).reshape(batch, -1, sites)


def _full(moments, full, rank):
    """Moments of a rank with all components, ``(radial, 3^rank, sites)``."""
    if rank not in full:
        packed = moments[rank]
        place = {powers: k for k, powers in enumerate(_exponents(rank))}
        spread = np.zeros((3**rank, len(place)))
        for k, axes in enumerate(itertools.product(range(3), repeat=rank)):
            spread[k, place[axes.count(0), axes.count(1), axes.count(2)]] = 1
        full[rank] = jnp.matmul(jnp.asarray(spread, packed.dtype), packed)
    return full[rank]


def _cheapest_order(edges):
    """Order of contracting the nodes of a graph with the smallest intermediate tensors."""

    def cost(order):
        total = 0
        for k in range(1, len(order)):
            contracted, node = order[:k], order[k]
            open_legs = sum(edges[a][b] for a in contracted for b in order[k:])
            total += 3 ** (open_legs + sum(edges[node][b] for b in order[k + 1 :]))
        return total

    nodes = range(len(edges))
    connected = (
        order
        for order in itertools.permutations(nodes)
        if all(any(edges[order[k]][b] for b in order[:k]) for k in range(1, len(order)))
    )
    return list(min(connected, key=lambda order: (cost(order), order)))
