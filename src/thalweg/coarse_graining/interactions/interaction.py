"""Sums of functions over terms, ``Phi_k(x) = sum_t f_k(q_t(x))``, and the energies ``sum_k c_k Phi_k`` they make.

Everything a linear coarse model is fitted by follows from them: matched forces need ``-dPhi/dx``, relative entropy the
means of ``Phi``, inverted distributions the histograms of ``q``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import vesin
from scipy.sparse import csr_array

from thalweg.coarse_graining.interactions.bead_pairs import BeadPairs, check_width
from thalweg.coarse_graining.interactions.functions import CoordinateFunctions
from thalweg.potentials.energy import Energy
from thalweg.potentials.explicit_gradient import ExplicitGradient
from thalweg.potentials.internal_coordinates import angle, dihedral, distance, gathered_gradient, internal
from thalweg.shapes import Array, Box, Energies, Float, Int, Positions

COORDINATES = {"distance": distance, "angle": angle, "dihedral": dihedral}
ON_TOP = 1e-5
"""Beads nearer than this [nm] push each other in no direction."""

ROLES = {"distance": 2, "angle": 3, "dihedral": 4}


@runtime_checkable
class Interaction(Protocol):
    """Terms that share coefficients."""

    @property
    def names(self) -> tuple[str, ...]:
        """A name a coefficient."""
        ...

    def rows(
        self, positions: Float[np.ndarray, "frames beads 3"], boxes: Float[np.ndarray, "frames 3 3"] | None
    ) -> tuple[Float[np.ndarray, "frames functions"], Float[np.ndarray, "frames beads 3 functions"]]:
        """``Phi`` and ``-dPhi/dx`` of frames."""
        ...

    def energy(self, coefficients: Float[np.ndarray, " functions"], beads: int) -> Energy:
        """``sum_k c_k Phi_k`` of a system of so many ``beads``, for engines."""
        ...


@dataclass(frozen=True)
class InternalCoordinate:
    """One internal coordinate in each term of an interaction.

    Attributes
    ----------
    kind : ``"distance"``, ``"angle"`` or ``"dihedral"``
    beads : (terms, 2, 3 or 4) int, the beads of each term
    functions : of its value
    """

    kind: str
    beads: Sequence[Sequence[int]] | Int[np.ndarray, "terms roles"]
    functions: CoordinateFunctions

    def __post_init__(self):
        beads = np.atleast_2d(np.asarray(self.beads, int))
        if self.kind not in COORDINATES:
            raise ValueError(f"a coordinate is one of {', '.join(COORDINATES)}; got {self.kind!r}")
        if beads.shape[1] != ROLES[self.kind]:
            raise ValueError(f"a {self.kind} has {ROLES[self.kind]} beads; got terms of {beads.shape[1]}")
        object.__setattr__(self, "beads", beads)

    @property
    def terms(self) -> Int[np.ndarray, "terms roles"]:
        """The beads as an array."""
        return np.asarray(self.beads, int)

    def values(
        self,
        positions: Float[np.ndarray, "frames beads 3"],
        boxes: Float[np.ndarray, "frames 3 3"] | None = None,
    ) -> Float[np.ndarray, "frames terms"]:
        """Its value in each term [nm] or [rad]."""
        return _measured(self.kind, self.terms, positions, boxes)[0]


@dataclass(frozen=True, init=False)
class BondedInteraction:
    """A function of one internal coordinate, or products of functions of several, summed over terms.

    Parameters
    ----------
    coordinates : one after another, each with as many terms as the others
    name : begins the names of coefficients

    Examples
    --------
    >>> from thalweg.coarse_graining.interactions.functions import AngleWaves
    >>> torsion = BondedInteraction(InternalCoordinate("dihedral", [[0, 1, 2, 3]], AngleWaves(2)), name="phi")
    >>> torsion.names
    ('phi cos 1', 'phi sin 1', 'phi cos 2', 'phi sin 2')
    """

    coordinates: tuple[InternalCoordinate, ...]
    name: str

    def __init__(self, *coordinates: InternalCoordinate, name: str = ""):
        terms = [len(each.terms) for each in coordinates]
        if len(set(terms)) != 1:
            raise ValueError(f"coordinates that are multiplied need equally many terms; got {terms}")
        object.__setattr__(self, "coordinates", coordinates)
        object.__setattr__(self, "name", name)

    @property
    def names(self) -> tuple[str, ...]:
        each = [one.functions.names for one in self.coordinates]
        return tuple(f"{self.name} {' '.join(names)}".strip() for names in itertools.product(*each))

    def rows(
        self,
        positions: Float[np.ndarray, "frames beads 3"],
        boxes: Float[np.ndarray, "frames 3 3"] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        measured = [_measured(each.kind, each.terms, positions, boxes) for each in self.coordinates]
        designs = [each.functions.design(q) for each, (q, _) in zip(self.coordinates, measured)]
        values = _products([value for value, _ in designs])
        forces = np.zeros((*positions.shape, len(self.names)))
        for k, (each, (_, gradients)) in enumerate(zip(self.coordinates, measured)):
            # d(f g)/dx = f' g dq/dx + ..., one factor at a time
            slopes = _products([d[1] if j == k else d[0] for j, d in enumerate(designs)])
            for role, gradient in enumerate(gradients):
                for term, bead in enumerate(each.terms[:, role]):
                    forces[:, bead] -= gradient[:, term, :, None] * slopes[:, :, term].T[:, None, :]
        return values.sum(2).T, forces

    def energy(self, coefficients: Float[np.ndarray, " functions"], beads: int) -> Energy:
        sizes = [len(each.functions.names) for each in self.coordinates]
        table = np.asarray(coefficients, float).reshape(sizes)
        atoms = tuple(each.terms.T for each in self.coordinates)
        kinds = tuple(each.kind for each in self.coordinates)
        return InternalProducts(kinds, atoms, _product_potential(self.coordinates, table))


class InternalProducts(ExplicitGradient):
    """``U = sum_t u(q_t, p_t, ...)`` of a few internal coordinates of each term.

    Attributes
    ----------
    kinds : of the coordinates
    atoms : for each, (roles, terms) int
    potential : a function of as many arrays ``(terms, *replicas)``
    """

    kinds: tuple[str, ...] = eqx.field(static=True)
    atoms: tuple[Int[Array, "_ _"], ...]
    potential: Callable

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        coordinates = [
            internal(COORDINATES[kind], positions, atoms, box) for kind, atoms in zip(self.kinds, self.atoms)
        ]
        q = [coordinate_value(kind, one.value) for kind, one in zip(self.kinds, coordinates)]
        energies, back = jax.vjp(self.potential, *q)
        gradient = jnp.zeros_like(positions)
        for slope, one, atoms in zip(back(jnp.ones_like(energies)), coordinates, self.atoms):
            gradient += gathered_gradient(positions, atoms, [slope[:, None] * g for g in one.gradient])
        return energies.sum(0), gradient


class ProductSum(eqx.Module):
    """``sum_ab c_ab f_a(q) g_b(p)``: potentials of the second coordinate, one for each function of the first.

    Attributes
    ----------
    first : potentials of the first coordinate, each of one function alone
    rest : for each of these, the potential of the others
    """

    first: tuple[Callable, ...]
    rest: tuple[Callable, ...]

    def __call__(self, q: Array, *others: Array) -> Array:
        return sum((f(q) * g(*others) for f, g in zip(self.first, self.rest)), jnp.zeros_like(q))


def _product_potential(coordinates: Sequence[InternalCoordinate], table: np.ndarray) -> Callable:
    if len(coordinates) == 1:
        return coordinates[0].functions.potential(table)
    functions, count = coordinates[0].functions, len(table)
    return ProductSum(
        tuple(functions.potential(row) for row in np.eye(count)),
        tuple(_product_potential(coordinates[1:], part) for part in table),
    )


@dataclass(frozen=True)
class PairInteraction:
    """A function of the distance of any two beads of two kinds that are not of one molecule.

    Attributes
    ----------
    functions : of the distance [nm]; they must vanish beyond ``cutoff``
    cutoff : [nm]
    kinds : (beads,) kind of every bead of the system
    between : the two kinds
    molecules : (beads,) molecule of every bead; None where each bead is a molecule
    periodic : whether they stand in a box
    name : begins the names of coefficients
    """

    functions: CoordinateFunctions
    cutoff: float
    kinds: Int[np.ndarray, " beads"]
    between: tuple[int, int] = (1, 1)
    molecules: Int[np.ndarray, " beads"] | None = None
    periodic: bool = True
    name: str = "pair"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name} {each}" for each in self.functions.names)

    def distances(
        self, positions: Float[np.ndarray, "beads 3"], box: Float[np.ndarray, "3 3"] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of one frame: both beads, the vector from the first to the second, its length [nm].

        Raises
        ------
        ValueError
            If there is no box and one is needed, the cutoff exceeds half its smallest width, or two beads lie on top
            of each other.
        """
        search = vesin.NeighborList(cutoff=self.cutoff, full_list=False)
        if self.periodic and box is None:
            raise ValueError(
                "pairs of a liquid need its box; give boxes with the frames, or PairInteraction(periodic=False) for "
                "a cluster"
            )
        cell = np.zeros((3, 3)) if box is None else np.asarray(box, float)
        if self.periodic:
            check_width(self.cutoff, cell)
        i, j, vectors, lengths = search.compute(
            points=np.asarray(positions, float), box=cell, periodic=self.periodic, quantities="ijDd"
        )
        if len(lengths) and lengths.min() < ON_TOP:
            k = int(lengths.argmin())
            raise ValueError(
                f"beads {i[k]} and {j[k]} lie on top of each other, {lengths[k]:.2g} nm apart; map them apart, or "
                "leave that frame out"
            )
        kinds, (a, b) = np.asarray(self.kinds), self.between
        chosen = ((kinds[i] == a) & (kinds[j] == b)) | ((kinds[i] == b) & (kinds[j] == a))
        if self.molecules is not None:
            chosen &= np.asarray(self.molecules)[i] != np.asarray(self.molecules)[j]
        return i[chosen].astype(int), j[chosen].astype(int), vectors[chosen], lengths[chosen]

    def rows(
        self,
        positions: Float[np.ndarray, "frames beads 3"],
        boxes: Float[np.ndarray, "frames 3 3"] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        count = len(self.names)
        sums, forces = np.zeros((len(positions), count)), np.zeros((*positions.shape, count))
        for k, frame in enumerate(positions):
            i, j, vectors, lengths = self.distances(frame, None if boxes is None else boxes[k])
            values, slopes = self.functions.design(lengths)
            sums[k] = values.sum(1)
            # -du/dx_j = -u' d/r and the opposite on i, summed over pairs by a sparse product
            unit = vectors / np.maximum(lengths, 1e-12)[:, None]
            pairs = np.arange(len(i))
            pull = csr_array(
                (np.r_[np.ones(len(i)), -np.ones(len(j))], (np.r_[i, j], np.r_[pairs, pairs])),
                (len(frame), len(i)),
            )
            for axis in range(3):
                forces[k, :, axis] = pull @ (unit[:, axis, None] * slopes.T)
        return sums, forces

    def virials(
        self, positions: Float[np.ndarray, "frames beads 3"], boxes: Float[np.ndarray, "frames 3 3"] | None
    ) -> Float[np.ndarray, "frames functions"]:
        """What each function adds to the pressure, ``-sum r f'(r) / 3 V`` [kJ/mol/nm^3].

        Raises
        ------
        ValueError
            If there are no boxes.
        """
        if boxes is None:
            raise ValueError("a pressure needs the volume; give frames with boxes")
        found = []
        for x, box in zip(positions, boxes):
            lengths = self.distances(x, box)[3]
            found.append(-(self.functions.design(lengths)[1] @ lengths) / (3 * abs(np.linalg.det(box))))
        return np.array(found)

    def energy(self, coefficients: Float[np.ndarray, " functions"], beads: int) -> BeadPairs:
        if beads != len(self.kinds):
            raise ValueError(f"these pairs are of {len(self.kinds)} beads; got {beads}")
        kinds = np.asarray(self.kinds)
        molecules = None if self.molecules is None else np.asarray(self.molecules)
        lone = molecules is None or len(np.unique(molecules)) == beads
        return BeadPairs(
            self.functions.potential(coefficients),
            self.cutoff,
            self.between,
            None if set(kinds.tolist()) == set(self.between) and len(set(self.between)) == 1 else kinds,
            None if lone else molecules,
            self.periodic,
        )


def _measured(kind, beads, positions, boxes):
    """Values ``(frames, terms)`` and for each role gradients ``(frames, terms, 3)``, in 64 bits."""
    x = np.moveaxis(np.asarray(positions, float), 0, -1)
    with jax.enable_x64(True):
        if boxes is None:
            found = _internal(kind, jnp.asarray(x), np.asarray(beads).T, None)
        else:
            cells = np.broadcast_to(np.asarray(boxes, float), (x.shape[-1], 3, 3))
            parts = [
                _internal(kind, jnp.asarray(x[..., k]), np.asarray(beads).T, cell)
                for k, cell in enumerate(cells)
            ]
            found = jax.tree.map(lambda *each: jnp.stack(each, -1), *parts)
        value, gradient = found
        return np.asarray(value).T, [np.moveaxis(np.asarray(g), -1, 0) for g in gradient]


@partial(jax.jit, static_argnums=0)
def _internal(kind, positions, atoms, box):
    one = internal(COORDINATES[kind], positions, atoms, box)
    return coordinate_value(kind, one.value), one.gradient


def coordinate_value(kind, value):
    """The value as one number: a dihedral as its angle."""
    return jnp.arctan2(value[1], value[0]) if kind == "dihedral" else value


def _products(factors: Sequence[np.ndarray]) -> np.ndarray:
    """All products of functions of each coordinate, ``(functions, frames, terms)``, the first varying slowest."""
    product = factors[0]
    for factor in factors[1:]:
        product = (product[:, None] * factor[None]).reshape(-1, *factor.shape[1:])
    return product
