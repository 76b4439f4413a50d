r"""How far two structures are from each other after superposition and exchange of like atoms, as a metric.

.. math::  d(x, y) = \min_{P,\,R} \sqrt{\tfrac1N \sum_i |R\,(x_i - \bar x) - (y_{P(i)} - \bar y)|^2}

The smallest distance over all rotations is known without the rotation [horn1987]; it is taken for each exchange
:math:`P` of atoms that the bonds cannot tell apart, such as the two oxygens of a carboxylate or both faces of a ring.
Frames are coordinates of atoms one after the other, ``(frames, 3 atoms)`` [nm], as `Coordinates` gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.alignment import quaternion_matrix, rotation_matrix
from thalweg.geometry.bond_graph import bonded_atoms
from thalweg.systems.topology import Topology

MOST_EXCHANGES = 720
"""Ways to exchange like atoms that are tried at most."""

PAIRS_AT_ONCE = 200_000
"""Pairs of structures held at a time."""


@dataclass(frozen=True)
class AlignedRMSD:
    """Root mean square deviation [nm] of structures, superposed, over exchanges of like atoms.

    Parameters
    ----------
    exchanges : numbers of the atoms in each order that cannot be told apart, the given one among them; see
        `exchanges_of`; None for no exchange

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1, 5, 3))
    >>> turned = x[:, :, [1, 2, 0]] + 3.0
    >>> AlignedRMSD().between(x.reshape(1, 15), turned.reshape(1, 15)).round(6)
    array([[0.]])
    """

    exchanges: tuple[tuple[int, ...], ...] | None = None

    def embedded(self, x: Any) -> None:
        """Nothing: these distances are not those of points in a flat space."""
        return

    def between(self, x: Any, y: Any) -> Any:
        """Distances ``(n, m)`` [nm] of structures ``(n, 3 atoms)`` from structures ``(m, 3 atoms)``.

        Raises
        ------
        ValueError
            If numbers of coordinates differ, or are not three for each atom.
        """
        self._check(x, y)
        if isinstance(x, np.ndarray):
            return self._smallest(x, np.asarray(y, float))
        return _differentiable(x, jnp.asarray(y, x.dtype), self.orders(x.shape[1] // 3))

    def orders(self, atoms: int) -> np.ndarray:
        """All orders of the atoms ``(exchanges, atoms)``."""
        return np.arange(atoms)[None] if self.exchanges is None else np.asarray(self.exchanges, int)

    def _check(self, x: Any, y: Any) -> None:
        if x.ndim != 2 or np.ndim(y) != 2 or x.shape[1] != np.shape(y)[1] or x.shape[1] % 3:
            raise ValueError(
                f"got structures of shapes {x.shape} and {np.shape(y)}; give (frames, 3 atoms), all of the same atoms"
            )
        if self.exchanges is not None and len(self.exchanges[0]) != x.shape[1] // 3:
            raise ValueError(
                f"exchanges are of {len(self.exchanges[0])} atoms, frames have {x.shape[1] // 3}"
            )

    def _smallest(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The smallest distance over exchanges, in blocks."""
        size = max(1, PAIRS_AT_ONCE // max(1, len(y)))
        blocks = [
            np.min([_superposed(some, _ordered(y, order)) for order in self.orders(y.shape[1] // 3)], axis=0)
            for some in (x[start : start + size] for start in range(0, len(x), size))
        ]
        return np.concatenate(blocks) if blocks else np.zeros((0, len(y)))


def exchanges_of(topology: Topology, atoms: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Orders of ``atoms`` that leave elements and bonds as they are, the given one first.

    Parameters
    ----------
    topology : with bonds
    atoms : the ones compared, such as the heavy atoms of a ligand

    Raises
    ------
    ValueError
        If there are more than `MOST_EXCHANGES`: leave out hydrogens, or compare averages of surroundings.

    Examples
    --------
    >>> benzene = Topology(("C",) * 6, ("C",) * 6, ("BEN",) * 6, (1,) * 6, (0,) * 6, np.array(
    ...     [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 0]]))
    >>> len(exchanges_of(benzene, range(6)))
    12
    """
    members = [int(atom) for atom in atoms]
    place = {atom: k for k, atom in enumerate(members)}
    bonded = bonded_atoms(topology)
    inside = [{place[other] for other in bonded[atom] if other in place} for atom in members]
    # what an atom is, by its element, its bonds to atoms that are compared and to others
    kinds = [
        (topology.elements[atom], len(inside[k]), tuple(sorted(topology.elements[o] for o in bonded[atom])))
        for k, atom in enumerate(members)
    ]
    found = []
    for order in _orders(kinds, inside):
        found.append(order)
        if len(found) > MOST_EXCHANGES:
            raise ValueError(
                f"{len(members)} atoms can be exchanged in more than {MOST_EXCHANGES} ways; leave hydrogens out, or "
                "compare averages of the surroundings of atoms (SOAP)"
            )
    return tuple(sorted(found))


def _orders(kinds: list, inside: list[set[int]]) -> Iterator[tuple[int, ...]]:
    """Maps of a graph onto itself, by depth-first search along its bonds."""
    count, order = len(kinds), []
    # atoms in an order in which each but the first of its molecule is bonded to one before
    waiting = list(range(count))
    while waiting:
        near = next((k for k in waiting if inside[k] & set(order)), waiting[0])
        order.append(near)
        waiting.remove(near)

    def extended(image: dict[int, int]) -> Iterator[tuple[int, ...]]:
        if len(image) == count:
            yield tuple(image[k] for k in range(count))
            return
        atom, used = order[len(image)], set(image.values())
        known = inside[atom] & image.keys()
        for other in range(count):
            if other in used or kinds[other] != kinds[atom]:
                continue
            if {image[k] for k in known} == inside[other] & used:
                yield from extended({**image, atom: other})

    yield from extended({})


def _ordered(y: np.ndarray, order: np.ndarray) -> np.ndarray:
    return y.reshape(len(y), -1, 3)[:, order].reshape(len(y), -1)


def _superposed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distances ``(n, m)`` after the best rotation: ``|x|^2 + |y|^2 - 2 lambda``, lambda Horn's largest eigenvalue."""
    a, b = (_centered(each) for each in (x, y))
    atoms = a.shape[1]
    correlation = np.einsum("nai,maj->nmij", a, b, optimize=True)
    largest = np.linalg.eigvalsh(np.asarray(_horn(correlation)))[..., -1]
    squares = (a**2).sum(axis=(1, 2))[:, None] + (b**2).sum(axis=(1, 2)) - 2 * largest
    return np.sqrt(np.maximum(squares, 0.0) / atoms)


def _horn(s: np.ndarray) -> np.ndarray:
    """Horn's symmetric matrices ``(n, m, 4, 4)`` of correlations ``(n, m, 3, 3)`` [horn1987]."""
    matrix = np.empty((*s.shape[:-2], 4, 4))
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (np.moveaxis(s[..., i, :], -1, 0) for i in range(3))
    matrix[..., 0, 0], matrix[..., 1, 1] = xx + yy + zz, xx - yy - zz
    matrix[..., 2, 2], matrix[..., 3, 3] = yy - xx - zz, zz - xx - yy
    for (i, j), value in {
        (0, 1): yz - zy,
        (0, 2): zx - xz,
        (0, 3): xy - yx,
        (1, 2): xy + yx,
        (1, 3): zx + xz,
        (2, 3): yz + zy,
    }.items():
        matrix[..., i, j] = matrix[..., j, i] = value
    return matrix


def _centered(x: Any) -> Any:
    structures = x.reshape(len(x), -1, 3)
    return structures - structures.mean(axis=1, keepdims=True)


def _differentiable(x: jax.Array, y: jax.Array, orders: np.ndarray) -> jax.Array:
    """Distances with derivatives: those at the best rotation held, since it changes nothing to first order."""
    a = _centered(x)
    found = []
    for order in orders:
        b = _centered(y)[:, order]
        correlation = jnp.einsum("nai,maj->nmij", a, b)
        quaternion = jnp.linalg.eigh(quaternion_matrix(correlation))[1][..., -1]
        rotation = jax.lax.stop_gradient(rotation_matrix(quaternion))
        overlap = jnp.einsum("nmij,nmji->nm", rotation, correlation)
        found.append((a**2).sum(axis=(1, 2))[:, None] + (b**2).sum(axis=(1, 2)) - 2 * overlap)
    squares = jnp.stack(found).min(axis=0) / a.shape[1]
    apart = squares > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squares, 1.0)), 0.0)
