"""Terms that are sums over atoms of a function of each atom's environment.

A `SiteTerm` says what the energy of a site is; labels of frames, engines, lists of neighbors and strains are the same
for all and live here. The common kind is a `LocalTerm`, ``E = sum_i readout(features_i)``; pair and three-body
potentials are others.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.terms.term import Labels
from thalweg.potentials.energy import Energy
from thalweg.representations.environments import (
    FAR,
    ROWS,
    Detached,
    Environments,
    Neighborhoods,
    batches,
    element_kinds,
    in_blocks,
    points_of,
)
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Bool, Box, Energies, Float, Int, Positions
from thalweg.systems.configuration import Configuration

TOGETHER = 32
"""Sites worked on together."""

SKIN = 0.08
"""How much further than the cutoff neighbor lists of a simulation look [nm].

Atoms of a liquid wear it out in five steps or so. A wider one is slower still: of 400 waters a new list takes 3 ms, a
step, its share of that in it, 16 ms with functions of angles, 30 with kernels; with 0.14 nm, 23 and 41 ms.
"""

WORN = 0.4
"""Fraction of the skin an atom may cross before a list asks to be renewed; at one half it fails."""

SMALL = 32
"""Up to this many atoms without a cell, every atom is a neighbor of every other and no list is kept."""


class SiteTerm(eqx.Module):
    """``E = sum_i e(environment_i)``; subclasses are final and write ``elements``, ``cutoff`` and `site_energies`.

    ``elements`` are the atomic numbers told apart, ``cutoff`` how far a site sees [nm].
    """

    @property
    def sees_neighbors_only(self) -> bool:
        """Whether the energy of a site depends on its neighbors' vectors and elements alone."""
        return True

    @abc.abstractmethod
    def site_energies(self, environments: Environments) -> Float[Array, " sites"]:
        """Energy of every site [kJ/mol], zero for those that only fill a block."""

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> Energy:
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
                block, gradient, virial = jax.tree.map(
                    np.asarray, energies_and_gradients(self, near.rounded(), points)
                )
                ends = np.cumsum([len(frame) for frame in frames])
                energies[chosen] = block[: len(chosen)]
                for k, frame, force, strained in zip(chosen, frames, np.split(-gradient.T, ends), virial):
                    forces[k], stresses[k] = force, strained / frame.volume
        return Labels(energies, tuple(forces), tuple(stresses))


class LocalTerm(SiteTerm):
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

    @property
    def sees_neighbors_only(self) -> bool:
        return self.representation.sees_neighbors_only

    def site_energies(self, environments: Environments) -> Float[Array, " sites"]:
        energies = self.readout(self.representation(environments), environments.kinds)
        return jnp.where(environments.kinds >= 0, energies, 0.0)


def energies_and_gradients(
    term: SiteTerm, near: Neighborhoods, points: Float[Array, "3 sites"]
) -> tuple[Float[Array, " frames"], Float[Array, "3 sites"], Float[Array, "frames 3 3"]]:
    """Energies, their gradient in the points, and in a strain of each frame (stress times volume)."""
    present = near.environments(points)
    return _summed(near, present.vectors, *_by_vector(term, present))


@eqx.filter_jit
def _by_vector(term, present):
    """Energies of sites and their gradient in the vectors: the long program, which knows nothing of frames."""

    def total(vectors):
        sites = _energies_of_sites(term, Environments(vectors, present.partners, present.kinds))
        return sites.sum(), sites

    pull, sites = jax.grad(total, has_aux=True)(present.vectors)
    return pull, sites


@eqx.filter_jit
def _summed(near, vectors, pull, sites):
    """Sums over sites and neighbors: a short program for each number of frames."""
    # dE/dx: what a site gets as a neighbor of others, minus what it is to its own neighbors; V S = sum r (x) dE/dr
    gradient = jnp.zeros_like(pull[:, 0]).at[:, near.partners].add(pull) - pull.sum(1)
    virial = jnp.einsum("ans,bns->sab", pull, vectors)
    frames = jax.ops.segment_sum(virial, jnp.asarray(near.frames), near.frame_count + 1)[:-1]
    return near.frame_sums(sites), gradient, (frames + frames.swapaxes(1, 2)) / 2


class LocalEnergy(Energy):
    """A `SiteTerm` bound to certain atoms, with neighbor lists that follow a simulation.

    Small molecules without a cell need no list. Others must be `refreshed` before they are called. A list holds
    lattice vectors of the box it was made in; given another box they are strained with it, so that the energy can be
    differentiated in the box.

    Attributes
    ----------
    term : what is summed
    kinds : position of each atom's element among those of the term
    near : who is near whom, sites in the order (atom, replica); None before the first list
    reference, box : positions and box for which the list was made [nm]
    periodic : which box vectors repeat
    """

    term: SiteTerm
    kinds: Int[Array, " atoms"]
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
            environments = _everyone(points, jnp.asarray(self.kinds), self.term.cutoff)
        elif self.near is None:
            raise ValueError("this energy keeps neighbor lists; call refreshed(positions, box) first")
        else:
            environments = self._strained(box).environments(points.reshape(3, -1))
        sites = _energies_of_sites(self.term, environments)
        return sites.reshape(len(self.kinds), -1).sum(0).reshape(replicas)

    def _strained(self, box):
        """The neighborhoods with their lattice vectors as they are in ``box``."""
        if box is None or not any(self.periodic):
            return self.near
        # strain = h_0^-1 (h - h_0), the inverse by cross products of box vectors
        made = jnp.asarray(self.box, jnp.result_type(box))
        dual = jnp.stack([jnp.cross(made[k - 2], made[k - 1]) for k in range(3)], 1)
        strain = dual @ (jnp.asarray(box) - made) / (made[0] @ dual[:, 0])
        offsets = jnp.asarray(self.near.offsets, strain.dtype)
        strained = [offsets[b] + sum(strain[a, b] * offsets[a] for a in range(3)) for b in range(3)]
        return replace(self.near, offsets=jnp.stack(strained))

    def refreshed(self, positions: Positions, box: Box | None = None) -> LocalEnergy:
        points = np.asarray(positions, float)
        cell = None if box is None else np.asarray(box, float)
        if self.listless or self._holds(points, cell):
            return self
        flat = points.reshape(*points.shape[:2], -1)
        elements, reach = tuple(range(len(self.term.elements))), self.term.cutoff + SKIN
        frames = [
            Configuration(np.asarray(self.kinds), flat[..., r], cell, self.periodic)
            for r in range(flat.shape[2])
        ]
        rows = 0 if self.near is None else len(self.near.partners)
        near = Neighborhoods.of(frames, elements, reach, rows)
        if len(near.partners) > rows:
            near = near.with_rows(_capacity(near, frames, reach, grown=bool(rows)), reach)
        return LocalEnergy(
            self.term, self.kinds, _atoms_major(near, *flat.shape[::2]), points, cell, self.periodic
        )

    def _holds(self, points, cell):
        """`stale` answered on the host."""
        if self.near is None or points.shape != self.reference.shape:
            return False
        moved = points - np.asarray(self.reference)
        same = not any(self.periodic) or (cell is not None and np.array_equal(cell, self.box))
        return same and (moved * moved).sum(1).max() <= (WORN * SKIN) ** 2

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""] | bool:
        if self.listless:
            return False
        if self.near is None or positions.shape != self.reference.shape:
            return True
        positions = jnp.asarray(positions)
        displacement = positions - jnp.asarray(self.reference, positions.dtype)
        worn = jnp.sqrt((displacement * displacement).sum(1)).max() > WORN * SKIN
        if box is None or not any(self.periodic):
            return worn
        return worn | (jnp.asarray(box) != jnp.asarray(self.box, jnp.result_type(box))).any()


def _energies_of_sites(term: SiteTerm, environments: Environments) -> Float[Array, " sites"]:
    """`SiteTerm.site_energies`, a few sites at a time together with their derivatives where sites are independent.

    What one block of sites needs stays near the processor, which halves the time. Derivatives in the vectors are those
    computed beside the energies; they can be differentiated again. Where no derivative is asked for, none is computed
    or compiled.
    """
    sites = environments.vectors.shape[-1]
    if not term.sees_neighbors_only or sites < 2 * TOGETHER:
        return term.site_energies(environments)

    def blocks_of(vectors):
        return in_blocks(Environments(vectors, environments.partners, environments.kinds), TOGETHER)

    def evaluate(vectors):
        def of_block(block):
            def total(vectors):
                energies = term.site_energies(Detached(vectors, block.partners, block.kinds))
                return energies.sum(), energies

            gradient, energies = jax.grad(total, has_aux=True)(block.vectors)
            return energies, gradient

        # (blocks, 3, neighbors, sites of a block) back to (3, neighbors, sites), filler cut off
        energies, gradient = jax.lax.map(of_block, blocks_of(vectors))
        gradient = jnp.moveaxis(gradient, 0, -2).reshape(*vectors.shape[:-1], -1)
        return energies.reshape(-1)[:sites], gradient[..., :sites]

    @jax.custom_jvp
    def energies(vectors):
        return jax.lax.map(term.site_energies, blocks_of(vectors)).reshape(-1)[:sites]

    @energies.defjvp
    def change(primals, tangents):
        values, gradient = evaluate(*primals)
        return values, (gradient * tangents[0]).sum((0, 1))

    return energies(environments.vectors)


def _capacity(near: Neighborhoods, frames: Sequence[Configuration], reach: float, grown: bool) -> int:
    """Rows of neighbors to keep, so that a program is seldom compiled anew while atoms move.

    At first as many as a liquid of the same density has at most, whose counts scatter by less than their square root,
    and some more than there are; where that was not enough, room for a quarter more.
    """
    most = int((np.asarray(near.offsets)[0] != FAR * reach).sum(0).max(initial=1))
    wanted = 1.25 * most if grown else 1.08 * most + 1
    for frame in frames:
        if all(frame.periodic):
            mean = 4 / 3 * np.pi * reach**3 * len(frame) / frame.volume
            wanted = max(wanted, mean + np.sqrt(mean) + 2)
    return -(-int(np.ceil(wanted)) // ROWS) * ROWS


def _everyone(
    points: Float[Array, "3 atoms replicas"], kinds: Int[Array, " atoms"], cutoff: float
) -> Environments:
    """Environments of a molecule in which every atom sees every other, sites in the order (atom, replica)."""
    atoms, replicas = points.shape[1:]
    shifts = np.arange(1, max(atoms, 2))
    # in row s atom i sees atom (i + s) mod atoms: a rotation of the points and no gather
    partners = (np.arange(atoms)[None, :] + shifts[:, None]) % atoms
    vectors = jnp.stack([jnp.roll(points, -int(shift), 1) - points for shift in shifts], 1)
    vectors = vectors.reshape(3, len(partners), atoms * replicas)
    if atoms == 1:
        vectors = vectors.at[0].set(3 * cutoff)
    partners = (partners[:, :, None] * replicas + np.arange(replicas)).reshape(len(partners), -1)
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
