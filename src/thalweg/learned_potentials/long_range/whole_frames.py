"""Frames as wholes: what energies are made of that no sum over surroundings within a cutoff can hold.

A `FrameTerm` says what the energy of a `WholeFrame` is: all atoms, who is near whom, and for a cell what Ewald's sum
needs. Labels of many frames, engines, lists of neighbors and strains are the same for all and live here. Frames repeat
in all three directions or in none.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.terms.term import Labels
from thalweg.potentials.electrostatics.ewald import waves
from thalweg.potentials.electrostatics.particle_mesh import mesh_size
from thalweg.potentials.energy import Energy
from thalweg.representations.environments import (
    FAR,
    Environments,
    Neighborhoods,
    element_kinds,
    packed,
    points_of,
)
from thalweg.shapes import Array, Bool, Box, Energies, Float, Int, Positions
from thalweg.systems.configuration import Configuration

SKIN = 0.08
"""How much further than the cutoff neighbor lists of a simulation look [nm]."""

WORN = 0.4
"""Fraction of the skin an atom may cross before a list asks to be renewed; at one half it fails."""

SMALL = 32
"""Up to this many atoms without a cell, every atom is a neighbor of every other and no list is kept."""

MESHED = 600
"""From this many atoms in a cell on, the waves of charges go over a mesh."""

TOGETHER = 400_000
"""About so many pairs of atoms, or atoms and waves, are worked on at once."""


class WholeFrame(eqx.Module):
    """One frame.

    Attributes
    ----------
    points : where the atoms are, those that only fill a block at the origin [nm]
    near : who is near whom, within the cutoff of the term
    charge : net charge [e]
    box : cell vectors as rows [nm], or None
    waves : those of Ewald's sum, see `thalweg.potentials.electrostatics.ewald.waves`; None for a mesh, or no cell
    mesh : points along each cell vector, or None
    """

    points: Float[Array, "3 sites"]
    near: Neighborhoods
    charge: Float[Array, ""]
    box: Box | None = None
    waves: Int[Array, "waves 3"] | None = None
    mesh: tuple[int, int, int] | None = eqx.field(static=True, default=None)

    @property
    def environments(self) -> Environments:
        """What each site sees."""
        return self.near.environments(self.points)

    @property
    def kinds(self) -> Int[Array, " sites"]:
        """Element of each site, -1 for those that only fill a block."""
        return jnp.asarray(self.near.kinds)

    def strained(self, strain: Float[Array, "3 3"]) -> WholeFrame:
        """Everything stretched: ``x -> x (1 + e)``, with the symmetric part of the strain."""
        stretch = jnp.eye(3, dtype=strain.dtype) + (strain + strain.T) / 2
        offsets = jnp.einsum("ab,brn->arn", stretch, jnp.asarray(self.near.offsets, strain.dtype))
        box = None if self.box is None else jnp.asarray(self.box, strain.dtype) @ stretch
        return replace(self, points=stretch @ self.points, near=replace(self.near, offsets=offsets), box=box)


class FrameTerm(eqx.Module):
    """A term whose energy is one function of a whole frame.

    Subclasses are final. They say which ``elements`` (atomic numbers) they know, how far lists of neighbors look
    (``pairs_within`` [nm]), how Ewald's sum is split (``alpha`` [1/nm]) and to which ``tolerance`` it is summed.
    """

    @property
    @abc.abstractmethod
    def alpha(self) -> float:
        """The splitting of Ewald's sum [1/nm]."""

    @property
    def only_charges(self) -> bool:
        """Whether waves may go over a mesh, which knows charges alone."""
        return True

    @property
    def unsaid_charge(self) -> float:
        """Net charge of a frame in the open that says none [e]; NaN where the term knows itself."""
        return 0.0

    @abc.abstractmethod
    def frame_energy(self, frame: WholeFrame) -> Float[Array, ""]:
        """Energy of a frame [kJ/mol]."""

    def check(self, numbers: np.ndarray, charge: float, periodic: bool) -> None:
        """Raise ValueError if atoms ``numbers`` of this net ``charge`` [e] cannot have this energy."""

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> Energy:
        """The energy of atoms ``numbers``, neutral in all unless the term knows better; see `Term.bind`."""
        flags = (box is not None,) * 3 if periodic is None else tuple(bool(flag) for flag in periodic)
        self.check(numbers, 0.0, _repeats(flags))
        return FrameEnergy(self, element_kinds(numbers, self.elements), _repeats(flags))

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        """Energies, forces and stresses, in 64 bits."""
        count = len(configurations)
        energies, forces = np.zeros(count), [np.zeros((0, 3))] * count
        stresses = [np.full((3, 3), np.nan)] * count
        with jax.enable_x64(True):
            for chosen, frames in side_by_side(self, configurations):
                values, gradients, virials = jax.tree.map(np.asarray, labels_of_frames(self, frames))
                energies[chosen] = values[: len(chosen)]
                for k, gradient, virial in zip(chosen, gradients, virials):
                    forces[k] = -gradient.T[: len(configurations[k])]
                    stresses[k] = virial / configurations[k].volume
        return Labels(energies, tuple(forces), tuple(stresses))


@eqx.filter_jit
def labels_of_frames(
    term: FrameTerm, frames: WholeFrame
) -> tuple[Float[Array, " frames"], Float[Array, "frames 3 sites"], Float[Array, "frames 3 3"]]:
    """Energies, gradients and virials of frames of one shape."""

    def energy(points, strain, frame):
        return term.frame_energy(replace(frame, points=points).strained(strain))

    def of_one(frame):
        still = jnp.zeros((3, 3), frame.points.dtype)
        return jax.value_and_grad(energy, (0, 1))(frame.points, still, frame)

    values, (gradients, virials) = jax.vmap(of_one)(frames)
    return values, gradients, virials


def _net_charge(configuration: Configuration) -> float:
    """What a frame says of its net charge, ``info["charge"]`` [e]; zero where it says nothing."""
    return float(configuration.info.get("charge", 0.0))


def side_by_side(
    term: FrameTerm, configurations: Sequence[Configuration], most: int | None = None
) -> Iterator[tuple[np.ndarray, WholeFrame]]:
    """Frames of one shape side by side, on a new first axis: their numbers, and the frames.

    The last of them repeats until the count is a power of two, or ``most``: few shapes compile rarely.
    """
    for chosen, sites in _alike(configurations):
        frames = [configurations[k] for k in chosen]
        whole = [whole_frame(term, frame, sites=sites) for frame in frames]
        room = max(len(one.near.partners) for one in whole)
        count = max(0 if one.waves is None else len(one.waves) for one in whole)
        whole = [_widened(one, room, _few(count), term.pairs_within) for one in whole]
        size = max(1, TOGETHER // (sites * max(sites, count))) if most is None else most
        for start in range(0, len(whole), size):
            block = whole[start : start + size]
            full = size if most is not None else 1 << (len(block) - 1).bit_length()
            block += [block[-1]] * (full - len(block))
            yield chosen[start : start + size], jax.tree.map(lambda *each: np.stack(each), *block)


def _alike(configurations):
    """Numbers of frames of about one size, in cells of one mesh or in none, and the sites they are filled up to."""
    groups: dict = {}
    for k, frame in enumerate(configurations):
        sites = len(frame) if len(frame) >= MESHED else _few(len(frame))
        shape = np.round(frame.box, 9).tobytes() if len(frame) >= MESHED and any(frame.periodic) else b""
        groups.setdefault((any(frame.periodic), sites, shape), []).append(k)
    for (_, sites, _), chosen in groups.items():
        yield np.array(chosen), sites


def _few(size):
    """The next multiple of eight, and of an eighth of the next power of two."""
    return packed([size], 0)[0][1] if size > 64 else -(-size // 8) * 8


def _widened(frame, rows, most, reach):
    """The same with so many rows of neighbors and so many waves."""
    near = frame.near.with_rows(rows, reach)
    if frame.waves is None:
        return replace(frame, near=near)
    return replace(frame, near=near, waves=np.pad(frame.waves, ((0, most - len(frame.waves)), (0, 0))))


def whole_frame(
    term: FrameTerm, configuration: Configuration, skin: float = 0.0, sites: int = 0
) -> WholeFrame:
    """A frame with what ``term`` needs, filled up to so many ``sites``.

    Raises
    ------
    ValueError
        If an atom is of an unknown element, the frame repeats in one or two directions only, or its net charge is not
        one that the term can have.
    """
    periodic = _repeats(configuration.periodic)
    charge = _net_charge(configuration)
    term.check(configuration.numbers, charge, periodic)
    near = Neighborhoods.of([configuration], term.elements, term.pairs_within + skin, 0, sites)
    points = points_of([configuration], len(near.kinds))
    if not periodic:
        said = charge if "charge" in configuration.info else term.unsaid_charge
        return WholeFrame(points, near, np.asarray(said, float))
    box = np.asarray(configuration.box, float)
    numbers, mesh = _sum_of(term, len(configuration), box)
    return WholeFrame(points, near, np.asarray(charge, float), box, numbers, mesh)


def _sum_of(term, atoms, box):
    """Waves or a mesh for a cell."""
    if term.only_charges and atoms >= MESHED:
        return None, mesh_size(box, term.alpha, term.tolerance)
    return waves(box, term.alpha, term.tolerance), None


def _repeats(periodic: Sequence[bool]) -> bool:
    """Whether a frame repeats in all directions, or in none."""
    flags = [bool(flag) for flag in periodic]
    if any(flags) and not all(flags):
        raise ValueError(
            f"this frame repeats along {sum(flags)} of its three cell vectors; long-range sums are for three or none. "
            "Put a layer of vacuum into a cell that repeats in all directions"
        )
    return all(flags)


class FrameEnergy(Energy):
    """A `FrameTerm` bound to certain atoms, neutral in all, with neighbor lists that follow a simulation.

    Small molecules without a cell need no list. Others must be `refreshed` before they are called. Another box strains
    lattice vectors and waves, so that the energy can be differentiated in the box.

    Attributes
    ----------
    term : the energy of a whole frame
    kinds : position of each atom's element among those of the term
    periodic : whether the box repeats
    frames : who is near whom in each replica, and waves, made at ``reference`` and ``box``; None before the first list
    """

    term: FrameTerm
    kinds: Int[Array, " atoms"]
    periodic: bool = eqx.field(static=True)
    frames: WholeFrame | None = None
    reference: Positions | None = None
    box: Box | None = None

    @property
    def listless(self) -> bool:
        """Whether every atom is a neighbor of every other."""
        return not self.periodic and len(self.kinds) <= SMALL

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        positions = jnp.asarray(positions)
        replicas = positions.shape[2:]
        points = positions.reshape(*positions.shape[:2], -1).transpose(2, 1, 0)
        if self.listless:
            near, charge = (
                _everyone(self.kinds, self.term.pairs_within),
                jnp.asarray(self.term.unsaid_charge, points.dtype),
            )
            values = jax.vmap(lambda one: self.term.frame_energy(WholeFrame(one, near, charge)))(points)
            return values.reshape(replicas)
        if self.frames is None:
            raise ValueError("this energy keeps neighbor lists; call refreshed(positions, box) first")
        return jax.vmap(self._of_one, (0, 0, None))(points, self.frames, box).reshape(replicas)

    def _of_one(self, points, frame, box):
        if not self.periodic:
            return self.term.frame_energy(replace(frame, points=points))
        box = jnp.asarray(self.box if box is None else box, points.dtype)
        made = jnp.asarray(frame.box, points.dtype)
        stretch = jnp.linalg.inv(made) @ box
        offsets = jnp.einsum("ba,brn->arn", stretch, jnp.asarray(frame.near.offsets, points.dtype))
        near = replace(frame.near, offsets=offsets)
        return self.term.frame_energy(replace(frame, points=points, near=near, box=box))

    def refreshed(self, positions: Positions, box: Box | None = None) -> FrameEnergy:
        """With lists that hold at ``positions``, and waves of this box."""
        if self.listless or self.stale(positions, box) is False:
            return self
        if self.periodic and box is None:
            raise ValueError("a periodic energy was given no box; pass box vectors (3, 3) [nm]")
        if self.frames is not None and not bool(self.stale(positions, box)):
            return self
        points = np.asarray(positions, float)
        cell = np.asarray(box, float) if self.periodic else None
        flat = points.reshape(*points.shape[:2], -1)
        numbers = np.asarray(self.term.elements)[np.asarray(self.kinds)]
        frames = [
            whole_frame(self.term, Configuration(numbers, flat[..., r], cell, (self.periodic,) * 3), SKIN)
            for r in range(flat.shape[2])
        ]
        rows = 0 if self.frames is None else self.frames.near.partners.shape[1]
        most = max(len(one.near.partners) for one in frames)
        if most > rows:
            rows = most + 8
        count = 0 if frames[0].waves is None else _few(len(frames[0].waves))
        if self.frames is not None and self.frames.waves is not None:
            count = max(count, self.frames.waves.shape[1])
        frames = [_widened(one, rows, count, self.term.pairs_within + SKIN) for one in frames]
        stacked = jax.tree.map(lambda *each: np.stack(each), *frames)
        if self.frames is not None and self.frames.mesh is not None and cell is not None:
            stacked = replace(stacked, mesh=_kept(self.frames.mesh, stacked.mesh))
        return FrameEnergy(self.term, self.kinds, self.periodic, stacked, points, cell)

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""] | bool:
        """Whether an atom has nearly crossed half the skin, or the box is another."""
        if self.listless:
            return False
        if self.frames is None or positions.shape != self.reference.shape:
            return True
        positions = jnp.asarray(positions)
        displacement = positions - jnp.asarray(self.reference, positions.dtype)
        worn = jnp.sqrt((displacement * displacement).sum(1)).max() > WORN * SKIN
        if box is None or not self.periodic:
            return worn
        return worn | (jnp.asarray(box) != jnp.asarray(self.box, jnp.result_type(box))).any()


def _kept(before, now):
    """The mesh of before where it is fine enough still, so that no program is compiled anew."""
    return before if all(b >= n for b, n in zip(before, now)) else now


def _everyone(kinds: Int[Array, " atoms"], cutoff: float) -> Neighborhoods:
    """Every atom near every other, one frame."""
    atoms = len(kinds)
    shifts = np.arange(1, max(atoms, 2))
    partners = (np.arange(atoms) + shifts[:, None]) % atoms
    offsets = np.zeros((3, *partners.shape))
    if atoms == 1:
        offsets[0] = FAR * cutoff
    return Neighborhoods(partners.astype(np.int32), offsets, kinds, np.zeros(atoms, np.int32), 1)
