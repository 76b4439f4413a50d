"""Energies given by a formula: restraints and other custom terms.

==================  ==========================================  ==============================================
class               what the formula may use                    built from
==================  ==========================================  ==============================================
`FormulaOfInternal`  ``r`` or ``theta`` of each term            custom bonds, angles, torsions
`FormulaOfPair`      ``r``, and parameters ``p1, p2`` of both   custom nonbonded energies
`OnPositions`        ``x, y, z`` of each atom                   positional restraints, walls
`OnPoints`           ``distance(p1, p2)``, ``angle``,           compound bonds; groups of atoms (``g1, g2``)
                     ``dihedral``, ``x1`` ...
`OfEnergies`         named energies                             functions of collective variables
==================  ==========================================  ==============================================
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.potentials import internal_coordinates
from thalweg.potentials.energy import Energy, Sum
from thalweg.potentials.explicit_gradient import per_replica
from thalweg.potentials.expressions import Expression, energy_of
from thalweg.potentials.nonbonded import Cutoff, switched
from thalweg.shapes import Array, Bool, Box, Energies, Float, Int, Positions
from thalweg.systems.box import close_image

Parameter = Float[Array, " terms"] | float


class FormulaOfInternal(eqx.Module):
    """The potential of an `InternalEnergy` as a formula of its coordinate, under the name ``variable``."""

    expression: Expression
    variable: str = eqx.field(static=True)
    parameters: dict[str, Parameter]

    def __call__(self, q: jax.Array | tuple[jax.Array, jax.Array]) -> jax.Array:
        if isinstance(q, tuple):
            q = jnp.arctan2(q[1], q[0])
        values = {name: per_replica(p, q) for name, p in self.parameters.items()}
        return energy_of(self.expression, values | {self.variable: q}, q)


class FormulaOfPair(eqx.Module):
    """The interaction of a `PairEnergy` as a formula of ``r`` and the parameters of both atoms.

    Attributes
    ----------
    names : names of the per-atom parameters, in the order of the `PairEnergy`'s; ``name1, name2`` in the formula
    constants : values of further names
    """

    expression: Expression
    names: tuple[str, ...] = eqx.field(static=True)
    constants: dict[str, float]
    cutoff: Cutoff | None = None

    def __call__(self, r2: jax.Array, own: list[jax.Array], partner: list[jax.Array]) -> jax.Array:
        values = self.constants | {"r": jnp.sqrt(r2)} | pair_names(self.names, own, partner)
        u = energy_of(self.expression, values, r2)
        if self.cutoff is None:
            return u
        return jnp.where(r2 < self.cutoff.radius**2, u * switched(r2, self.cutoff), 0.0)


def pair_names(names: tuple[str, ...], own: list, partner: list) -> dict:
    """``{name1: own, name2: partner}``."""
    first = {f"{name}1": value for name, value in zip(names, own)}
    return first | {f"{name}2": value for name, value in zip(names, partner)}


class OnPositions(Energy):
    """``U = sum_i u(x_i, y_i, z_i; parameters_i)`` over ``atoms``, for positional restraints and external fields.

    The formula may call ``periodicdistance(x, y, z, x0, y0, z0)``.
    """

    formula: str = eqx.field(static=True)
    atoms: Int[Array, " terms"]
    parameters: dict[str, Parameter]

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        def periodicdistance(*coordinates):
            ends = jnp.broadcast_arrays(*coordinates)
            return _length(_image(jnp.stack(ends[:3], 1) - jnp.stack(ends[3:], 1), box))

        at = jnp.asarray(positions)[self.atoms]
        values = {name: per_replica(p, at[:, 0]) for name, p in self.parameters.items()}
        values |= {"x": at[:, 0], "y": at[:, 1], "z": at[:, 2]}
        return energy_of(
            Expression(self.formula, {"periodicdistance": periodicdistance}), values, at[:, 0]
        ).sum(0)


class OnPoints(Energy):
    """``U = sum_t u(points_t; parameters_t)``: a formula of few points, each an atom or a weighted group of atoms.

    The formula calls ``distance(p1, p2)``, ``angle(p1, p2, p3)``, ``dihedral(p1, p2, p3, p4)`` and may use the
    coordinates ``x1, y1, z1, ...`` of the points, which are named ``<prefix>1, <prefix>2, ...``.

    Attributes
    ----------
    groups : (points, atoms) weights of atoms in each point, or None where points are the atoms
    members : (roles, terms) int, the points of each term
    """

    formula: str = eqx.field(static=True)
    prefix: str = eqx.field(static=True)
    groups: Float[Array, "points atoms"] | None
    members: Int[Array, "roles terms"]
    parameters: dict[str, Parameter]
    periodic: bool = eqx.field(static=True, default=False)

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        points = jnp.asarray(positions)
        if self.groups is not None:
            points = jnp.tensordot(jnp.asarray(self.groups, points.dtype), points, 1)
        box = box if self.periodic else None
        at = {f"{self.prefix}{k + 1}": points[role] for k, role in enumerate(self.members)}
        like = points[self.members[0], 0]

        def measured(coordinate):
            return lambda *ends: (
                coordinate(list(ends), lambda after, before: _image(after - before, box)).value
            )

        functions = {
            "distance": measured(internal_coordinates.distance),
            "angle": measured(internal_coordinates.angle),
            "dihedral": lambda *ends: _angle(measured(internal_coordinates.dihedral)(*ends)),
        }
        values = {name: per_replica(p, like) for name, p in self.parameters.items()} | at
        for k, point in enumerate(at.values()):
            values |= {f"{axis}{k + 1}": point[:, d] for d, axis in enumerate("xyz")}
        return energy_of(Expression(self.formula, functions), values, like).sum(0)


class OfEnergies(Energy):
    """``U = u(E_1, E_2, ...)``: a formula of other energies, by name."""

    expression: Expression
    energies: dict[str, Energy]
    constants: dict[str, float]

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        values = {name: energy(positions, box) for name, energy in self.energies.items()}
        like = jnp.zeros(positions.shape[2:], positions.dtype)
        return energy_of(self.expression, self.constants | values, like)

    def refreshed(self, positions: Positions, box: Box | None = None) -> Energy:
        energies = {name: energy.refreshed(positions, box) for name, energy in self.energies.items()}
        return OfEnergies(self.expression, energies, self.constants)

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""] | bool:
        return Sum(tuple(self.energies.values())).stale(positions, box)


def _image(displacement, box):
    return displacement if box is None else close_image(displacement, box)


def _length(displacement):
    return jnp.sqrt((displacement * displacement).sum(1))


def _angle(cosine_sine):
    return jnp.arctan2(cosine_sine[1], cosine_sine[0])
