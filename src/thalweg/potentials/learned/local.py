"""Terms that are sums over atoms of a function of each atom's environment: ``E = sum_i readout(features_i)``."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.potentials.energy import Energy
from thalweg.potentials.learned.term import Labels
from thalweg.representations.environments import (
    Environments,
    Neighborhoods,
    batches,
    element_kinds,
    points_of,
)
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Bool, Box, Energies, Float, Int, Positions
from thalweg.systems.configuration import Configuration

SKIN = 0.1
"""How much further than the cutoff neighbor lists of a simulation look [nm]."""

WORN = 0.4
"""Fraction of the skin an atom may cross before a list asks to be renewed; at one half it fails."""

SMALL = 32
"""Up to this many atoms without a cell, every atom is a neighbor of every other and no list is kept."""


class LocalTerm(eqx.Module):
    """``E = sum_i readout(representation(environment_i), element_i)``.

    Attributes
    ----------
    representation : a `Representation` with elements filled in, or a module called alike (learned messages)
    readout : called with features ``(features, sites)`` and kinds ``(sites,)``; gives ``(sites,)`` [kJ/mol].
        What it says for sites of kind -1 is ignored.
    """

    representation: Representation
    readout: eqx.Module

    @property
    def elements(self) -> tuple[int, ...]:
        return self.representation.elements

    @property
    def cutoff(self) -> float:
        return self.representation.cutoff

    def site_energies(self, environments: Environments) -> Float[Array, "sites"]:
        """Energy of every site [kJ/mol], zero for those that only fill a block."""
        energies = self.readout(self.representation(environments), environments.kinds)
        return jnp.where(environments.kinds >= 0, energies, 0.0)

    def bind(self, numbers, box=None, periodic=None) -> LocalEnergy:
        kinds = element_kinds(numbers, self.elements)
        flags = (box is not None,) * 3 if periodic is None else tuple(bool(flag) for flag in periodic)
        return LocalEnergy(self, kinds, None, None, None, flags)

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        count = len(configurations)
        energies, forces, stresses = (
            np.zeros(count),
            [np.zeros((0, 3))] * count,
            [np.full((3, 3), np.nan)] * count,
        )
        with jax.enable_x64(True):
            for chosen, near in batches(configurations, self.elements, self.cutoff):
                frames = [configurations[k] for k in chosen]
                points = points_of(frames, len(near.kinds))
                block, gradient, virial = jax.tree.map(np.asarray, labels_of(self, near, points))
                ends = np.cumsum([len(frame) for frame in frames])
                energies[chosen] = block
                for k, frame, force, strained in zip(chosen, frames, np.split(-gradient.T, ends), virial):
                    forces[k], stresses[k] = force, strained / frame.volume
        return Labels(energies, tuple(forces), tuple(stresses))


@eqx.filter_jit
def labels_of(
    term: LocalTerm, near: Neighborhoods, points: Float[Array, "3 sites"]
) -> tuple[Float[Array, "frames"], Float[Array, "3 sites"], Float[Array, "frames 3 3"]]:
    """Energies, their gradient in the points, and in a strain of each frame (stress times volume)."""
    present = near.environments(points)

    def total(vectors):
        sites = term.site_energies(Environments(vectors, present.partners, present.kinds))
        return sites.sum(), sites

    pull, sites = jax.grad(total, has_aux=True)(present.vectors)
    gradient = jnp.zeros_like(points).at[:, near.partners].add(pull) - pull.sum(1)
    virial = jnp.einsum("ans,bns->sab", pull, present.vectors)
    frames = jax.ops.segment_sum(virial, jnp.asarray(near.frames), near.frame_count + 1)[:-1]
    return near.frame_sums(sites), gradient, (frames + frames.swapaxes(1, 2)) / 2


class LocalEnergy(Energy):
    """A `LocalTerm` bound to certain atoms, with neighbor lists that follow a simulation.

    Small molecules without a cell need no list. Others must be `refreshed` before they are called.
    """

    term: LocalTerm
    kinds: Int[Array, "atoms"]
    near: Neighborhoods | None
    reference: Positions | None
    box: Box | None
    periodic: tuple[bool, bool, bool] = eqx.field(static=True)

    @property
    def listless(self) -> bool:
        """Whether every atom is a neighbor of every other."""
        return not any(self.periodic) and len(self.kinds) <= SMALL

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        positions = jnp.asarray(positions)
        replicas = positions.shape[2:]
        points = positions.reshape(*positions.shape[:2], -1).transpose(1, 0, 2)
        if self.listless:
            environments = everyone(points, jnp.asarray(self.kinds), self.term.cutoff)
        elif self.near is None:
            raise ValueError("this energy keeps neighbor lists; call refreshed(positions, box) first")
        else:
            environments = self.near.environments(points.reshape(3, -1))
        sites = self.term.site_energies(environments)
        return sites.reshape(len(self.kinds), -1).sum(0).reshape(replicas)

    def refreshed(self, positions: Positions, box: Box | None = None) -> LocalEnergy:
        if self.listless or (self.near is not None and not self.stale(positions, box)):
            return self
        points = np.asarray(positions, float)
        cell = None if box is None else np.asarray(box, float)
        flat = points.reshape(*points.shape[:2], -1)
        elements, reach = tuple(range(len(self.term.elements))), self.term.cutoff + SKIN
        frames = [
            Configuration(np.asarray(self.kinds), flat[..., r], cell, self.periodic)
            for r in range(flat.shape[2])
        ]
        rows = 0 if self.near is None else len(self.near.partners)
        near = Neighborhoods.of(frames, elements, reach, rows)
        if len(near.partners) > rows and rows:
            near = Neighborhoods.of(frames, elements, reach, len(near.partners) + 4)
        return LocalEnergy(
            self.term, self.kinds, _atoms_major(near, *flat.shape[::2]), points, cell, self.periodic
        )

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""] | bool:
        if self.listless:
            return False
        if self.near is None or positions.shape != self.reference.shape:
            return True
        positions = jnp.asarray(positions)
        displacement = positions - jnp.asarray(self.reference, positions.dtype)
        changed = False if box is None else (jnp.asarray(box) != jnp.asarray(self.box, box.dtype)).any()
        return (jnp.sqrt((displacement * displacement).sum(1)).max() > WORN * SKIN) | changed


def everyone(
    points: Float[Array, "3 atoms replicas"], kinds: Int[Array, "atoms"], cutoff: float
) -> Environments:
    """Environments of a molecule in which every atom sees every other, sites in the order (atom, replica)."""
    atoms, replicas = points.shape[1:]
    others = (np.arange(atoms)[None, :] + np.arange(1, max(atoms, 2))[:, None]) % max(atoms, 1)
    vectors = jnp.concatenate([points[:, others[k]] - points for k in range(len(others))], 1)
    vectors = vectors.reshape(3, len(others), atoms * replicas)
    if atoms == 1:
        vectors = vectors.at[0].set(3 * cutoff)
    partners = (others[:, :, None] * replicas + np.arange(replicas)).reshape(len(others), -1)
    return Environments(vectors, jnp.asarray(partners, jnp.int32), jnp.repeat(kinds, replicas))


def _atoms_major(near: Neighborhoods, atoms: int, replicas: int) -> Neighborhoods:
    """Reorder sites from (replica, atom) to (atom, replica), as positions have them."""
    order = np.arange(atoms * replicas).reshape(replicas, atoms).T.ravel()
    place = np.argsort(order)
    return Neighborhoods(
        place[near.partners][:, order].astype(np.int32),
        near.offsets[:, :, order],
        near.kinds[order],
        near.frames[order],
        near.frame_count,
    )
