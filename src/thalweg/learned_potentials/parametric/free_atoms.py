"""What atoms fall back to where no data are: free atoms, bound by the bonds that the data have.

    E = sum_i [ 1/2 sum_j (W p^3 / (0.3 + p) + D s (1 - 2 s)) + U q(n_i - N) ],
    n_i = sum_j s,    p = max(e^{a (l - r)} - 1, 0).

Elements that are bonded in the training frames have wells with flat bottoms: ``s`` is one, and there is no force, up to
somewhat beyond the longest bond seen, and falls to zero well before the next atoms are met, over a low barrier, as what
is not bonded keeps apart. Nearer than the shortest distance seen, ``l``, atoms repel each other, bonded or not. So
labels are left as they are but for a constant. Where bonds and what is not bonded are not apart, as with short hydrogen
bonds, ``s`` falls slowly from the mean length on. No atom has more bonds than it was seen to have:
beyond ``N``, the most in the training frames and a little more, each costs more than it is worth,
``q(x) = x^3 / (x^2 + 0.003)`` from zero on, so that an atom between two others does not win both.

Frames near equilibrium do not decide depths. But bonds are Morse curves [morse1929], more or less, whose rates differ
little, and with `RATE` the stiffness ``k = 2 D a^2`` that forces have tells depths within some tens of per cent of bond
energies. Where energies of isolated atoms are known, depths are the nearest ones that explain the energies of the
frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

from thalweg.learned_potentials.parametric.few_parameters import nearest_distances
from thalweg.learned_potentials.parametric.imagined_frames import imagined_frames
from thalweg.learned_potentials.parametric.pair_terms import of_pairs, pair_kinds, pair_table, quintic_switch
from thalweg.learned_potentials.terms.learner import Imagined
from thalweg.learned_potentials.terms.local import SiteTerm
from thalweg.representations.environments import Environments, batches, element_kinds, points_of
from thalweg.representations.molecules.molecular_symmetry import bond_matrix
from thalweg.shapes import Array, Float, Int
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.systems.elements import COVALENT_RADII, MASSES
from thalweg.units import KilojoulesPerMole

RATE = 20.0
"""Decay of the attraction of a chemical bond [1/nm]: 18 to 23 from O-H to C=O, 15 for silicon."""

MARGIN = 0.75
"""Bonds feel nothing that are longer or shorter than those seen by this fraction of how far these are from the mean."""

LEAST = 0.02
"""At least by this fraction of the mean length."""

GAP, FARTHEST, SLOWLY = 1.15, 2.0, 2.5
"""Wells end before what is not bonded if that is further by this factor than the longest bond, and at most at this
multiple of the mean length; at this one if it is not."""

BEFORE = 0.6
"""They end at this part of the way from the longest bond to what is not bonded."""

BONDED = 1.3
"""Atoms nearer than this multiple of the sum of their covalent radii are bonded."""

OUTER = 0.9
"""Those that are not bonded repel each other below this fraction of the shortest distance seen."""

CONTACT = 0.16
"""Elements that are not bonded touch at the sum of their covalent radii and this at most [nm]."""

USUAL = 400.0
"""Depth of a bond about which the labels say nothing [kJ/mol]."""

WALL = 1200.0
"""Energy of atoms about half as far apart as any were [kJ/mol]."""

CROWDED = 1.2
"""A bond too many costs this multiple of the deepest one of its element."""

SLACK = 0.1
"""So much of a bond more than any atom was seen to have costs nothing; or twice how far the most are above the
nineteenth of twenty."""

LIKELY = (0.3, 3.0)
"""Energies of isolated atoms are believed if frames are bound by so many times what stiffness says."""

DEPTHS = (150.0, 1000.0)
"""Chemical bonds are between so deep: F-F and N-N; CO and N2 [kJ/mol]."""

SEVERAL = 5
"""From so many frames of the same atoms on, forces tell how stiff bonds are."""

SOME = 60
"""At most this many frames decide the bonds."""

ATOMS, FEW = 6000, 10
"""Frames are imagined of so many atoms in all at most, but a few in any case."""


class BindingTerm(SiteTerm):
    """Bonds and repulsion between elements, none between free atoms.

    Attributes
    ----------
    elements : atomic numbers
    cutoff : [nm]
    depths : D of each pair of elements, in the order of `pair_table`; zero for those that are not bonded [kJ/mol]
    walls, shortest : W [kJ/mol] and l [nm]
    longest, ends : where ``s`` is no longer one, and where it is zero [nm]
    most : (elements,) N, the largest number of bonds
    costs : (elements,) U of more of them [kJ/mol]
    """

    elements: tuple[int, ...] = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    depths: Float[Array, " pairs"]
    walls: Float[Array, " pairs"]
    shortest: Float[Array, " pairs"]
    longest: Float[Array, " pairs"]
    ends: Float[Array, " pairs"]
    most: Float[Array, " elements"]
    costs: Float[Array, " elements"]

    def site_energies(self, environments: Environments) -> Float[Array, " sites"]:
        kinds, distances = environments.kinds, environments.distances
        pairs = pair_kinds(kinds, environments.neighbor_kinds)
        energies, bonds = self.curves(distances, pairs)
        most, costs = (jnp.asarray(table, distances.dtype)[kinds] for table in (self.most, self.costs))
        more = jnp.maximum(bonds.sum(0) - most, 0)
        crowded = costs * more * more * more / (more * more + 0.003)
        return jnp.where(kinds >= 0, 0.5 * energies.sum(0) + crowded, 0.0)

    def curves(
        self, distances: Float[Array, " *shape"], pairs: Int[Array, " *shape"]
    ) -> tuple[Float[Array, " *shape"], Float[Array, " *shape"]]:
        """Energies of pairs at ``distances`` [kJ/mol], and how much of a bond each is, ``s``."""
        depths, walls, shortest, longest, ends = (
            of_pairs(table, pairs, distances)
            for table in (self.depths, self.walls, self.shortest, self.longest, self.ends)
        )
        near = jnp.minimum(distances, self.cutoff)
        bonds = quintic_switch(near, longest, ends)
        pressed = jnp.exp(RATE * jnp.maximum(shortest - near, 0)) - 1
        wall = walls * pressed * pressed * pressed / (0.3 + pressed)
        return wall + depths * bonds * (1 - 2 * bonds), jnp.where(depths > 0, bonds, 0.0)


@dataclass(frozen=True)
class FreeAtoms:
    """Settings of what a potential falls back to.

    Parameters
    ----------
    frames : at most so many frames with atoms pulled apart and pushed together are imagined, in which what is learned
        should vanish
    trust : how far it may be from that, for each atom [kJ/mol]; None for 1000 of expansions and 50 of kernels. Labels
        that are fitted closely pay for less: at 200 an expansion's forces of benzene, right to 4 meV/Å, became worse by
        a tenth
    crystals : whether frames with a cell fall back, too
    """

    frames: int = 300
    trust: KilojoulesPerMole | None = None
    crystals: bool = False

    def concerns(self, configurations: Sequence[Configuration]) -> bool:
        """Whether these are frames that fall back."""
        return self.crystals or not any(any(frame.periodic) for frame in configurations)

    def binding(
        self, configurations: Sequence[Configuration], references: Mapping[int, float] | None = None
    ) -> BindingTerm:
        """The bonds of ``configurations``, with depths that explain their energies above isolated atoms.

        Parameters
        ----------
        references : energies of isolated atoms [kJ/mol]; None where they are not known
        """
        stride = -(-len(configurations) // SOME)
        frames = list(configurations)[::stride]
        elements = elements_of(configurations)
        term = _unfitted(configurations, elements)
        bonded = term.depths > 0
        if not bonded.any():
            return term
        with jax.enable_x64(True):
            term = _by_forces(term, frames, bonded)
            if references is not None and set(elements) <= set(references):
                term = _by_energies(term, frames, bonded, references)
        most, costs = _numbers_of_bonds(term, configurations), _deepest(term)
        return replace(term, most=most, costs=CROWDED * costs)

    def imagined(self, configurations: Sequence[Configuration], seed: int = 0) -> Imagined:
        """Frames like ``configurations``, torn and crushed, in which what is learned should vanish."""
        atoms = sum(len(frame) for frame in configurations) / len(configurations)
        count = int(min(self.frames, max(FEW, ATOMS / max(atoms, 1))))
        return Imagined(tuple(imagined_frames(configurations, count, seed)), self.trust)


class _Bonds(NamedTuple):
    """Lengths of the bonds between pairs of elements, NaN where there are none, and the shortest distance of those that
    are not bonded, infinite if that is further than `SLOWLY` bonds [nm]."""

    mean: np.ndarray
    shortest: np.ndarray
    longest: np.ndarray
    next: np.ndarray


def _bond_lengths(configurations: Sequence[Configuration], elements: Sequence[int]) -> _Bonds:
    """Those of ``configurations``.

    Examples
    --------
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.09, 0]]))
    >>> [each.round(3).tolist() for each in _bond_lengths([water], (1, 8))]
    [[nan, 0.095, nan], [nan, 0.09, nan], [nan, 0.1, nan], [0.135, inf, inf]]
    """
    reaches = BONDED * pair_table(elements, lambda a, b: COVALENT_RADII[a] + COVALENT_RADII[b])
    count = len(reaches)
    sums, counts = np.zeros(count), np.zeros(count)
    shortest, longest, next_ = np.full(count, np.inf), np.zeros(count), np.full(count, np.inf)
    for distances, pairs in _pairs(configurations, elements, FARTHEST * float(reaches.max())):
        bonds = distances < reaches[pairs]
        sums += np.bincount(pairs[bonds], distances[bonds], count)
        counts += np.bincount(pairs[bonds], minlength=count)
        np.minimum.at(shortest, pairs[bonds], distances[bonds])
        np.maximum.at(longest, pairs[bonds], distances[bonds])
        np.minimum.at(next_, pairs[~bonds], distances[~bonds])
    met = counts > 0
    mean = sums / np.maximum(counts, 1)
    return _Bonds(*(np.where(met, each, np.nan) for each in (mean, shortest, longest)), next_)


def _pairs(configurations, elements, reach):
    """Distances and kinds of all pairs nearer than ``reach``, each twice, block by block."""
    for chosen, near in batches(configurations, elements, reach):
        points = points_of([configurations[k] for k in chosen], len(near.kinds))
        distances = np.linalg.norm(points[:, near.partners] - points[:, None] + near.offsets, axis=0)
        pairs = np.asarray(pair_kinds(near.kinds, near.kinds[near.partners]))
        within = (distances < reach) & (near.kinds >= 0)
        yield distances[within], pairs[within]


def _unfitted(frames, elements):
    """Bonds of the usual depth, and repulsion of what is not bonded."""
    bonds = _bond_lengths(frames, elements)
    bonded = np.isfinite(bonds.mean)
    radii = pair_table(elements, lambda a, b: COVALENT_RADII[a] + COVALENT_RADII[b])
    mean, shortest, longest = (np.where(bonded, each, radii) for each in bonds[:3])
    longest = mean + np.maximum((1 + MARGIN) * (longest - mean), LEAST * mean)
    shortest = mean - np.maximum((1 + MARGIN) * (mean - shortest), LEAST * mean)
    apart = np.minimum(bonds.next, FARTHEST * mean) > GAP * longest
    # other frames have atoms nearer than any seen
    next_ = longest + BEFORE * (np.minimum(bonds.next, FARTHEST * mean) - longest)
    ends = np.where(apart, next_, SLOWLY * mean)
    contacts = np.minimum(radii + CONTACT, nearest_distances(frames, elements, float(radii.max()) + CONTACT))
    return BindingTerm(
        tuple(elements),
        float(np.where(bonded, ends, contacts).max()),
        depths=np.where(bonded, USUAL, 0.0),
        walls=np.full(len(mean), WALL),
        shortest=np.where(bonded, shortest, OUTER * contacts),
        longest=np.where(apart, longest, mean),
        ends=ends,
        most=np.full(len(elements), 1e9),
        costs=np.zeros(len(elements)),
    )


def _by_forces(term: BindingTerm, frames, bonded):
    """Depths ``k / 2 a^2`` of curvatures that forces have, `USUAL` where they do not tell.

    Along a bond, ``mu (f_i / m_i - f_j / m_j) . u = -k r + const.``, with a constant of its own for each bond.
    """
    squares, products = _stretches(frames, term.elements, len(bonded))
    told = bonded & (squares > 0) & (products > 0)
    curvatures = products / np.where(told, squares, 1.0)
    depths = np.where(told, curvatures / (2 * RATE**2), term.depths)
    return replace(term, depths=np.clip(depths, *DEPTHS) * bonded)


def _stretches(frames, elements, count):
    """Sums of ``(r - mean)^2`` and of ``-(r - mean) force`` over bonds, by pair of elements."""
    squares, products = np.zeros(count), np.zeros(count)
    for alike in _alike(frames):
        numbers = alike[0].numbers
        positions, forces = (np.stack([getattr(f, key) for f in alike]) for key in ("positions", "forces"))
        i, j = np.triu(bond_matrix(alike)).nonzero()
        between = positions[:, i] - positions[:, j]
        distances = np.linalg.norm(between, axis=2)
        masses = MASSES[numbers]
        reduced = masses[i] * masses[j] / (masses[i] + masses[j])
        pull = forces[:, i] / masses[i, None] - forces[:, j] / masses[j, None]
        along = reduced * (pull * between).sum(2) / distances
        stretch = distances - distances.mean(0)
        kinds = element_kinds(numbers, elements)
        pairs = np.asarray(pair_kinds(kinds[i], kinds[j][None]))[0]
        squares += np.bincount(pairs, (stretch**2).sum(0), count)
        products -= np.bincount(pairs, (stretch * along).sum(0), count)
    return squares, products


def _alike(frames):
    """Frames with forces of the same atoms in the same order and without a cell, where there are several."""
    groups: dict[bytes, list[Configuration]] = {}
    for frame in frames:
        if frame.forces is not None and not any(frame.periodic):
            groups.setdefault(np.asarray(frame.numbers, int).tobytes(), []).append(frame)
    return [group for group in groups.values() if len(group) >= SEVERAL]


def _by_energies(term: BindingTerm, frames, bonded, references):
    """Depths nearest to those of ``term``, in relation to them, that explain energies above free atoms."""
    frames = [frame for frame in frames if frame.energy is not None]
    mine = np.flatnonzero(bonded)
    if not frames:
        return term
    sizes = np.array([len(frame) for frame in frames], float)
    energies = np.array([f.energy - sum(references[int(z)] for z in f.numbers) for f in frames])
    energies = energies - replace(term, depths=0 * term.depths).evaluate(frames).energies
    bare = replace(term, walls=0 * term.walls)
    shares = np.stack(
        [
            replace(bare, depths=np.where(np.arange(len(bonded)) == pair, term.depths, 0.0))
            .evaluate(frames)
            .energies
            for pair in mine
        ],
        1,
    )
    if not LIKELY[0] < np.median(energies / shares.sum(1)) < LIKELY[1]:
        return term  # of no atoms that these bonds could bind
    # factors g of the depths: |shares g - E|^2 per atom [in tens of kJ/mol] and |g - 1|^2
    scale = 0.1 / sizes[:, None] / np.sqrt(len(frames))
    ridge = 0.05 * np.eye(len(mine))
    factors, _ = nnls(
        np.concatenate([scale * shares, ridge]), np.concatenate([scale[:, 0] * energies, ridge.sum(1)])
    )
    factors = np.clip(factors, *LIKELY)
    depths = term.depths.copy()
    depths[mine] *= factors
    return replace(term, depths=depths)


def _numbers_of_bonds(term: BindingTerm, configurations) -> np.ndarray:
    """The most bonds an atom of each element has in any frame, and `SLACK` beyond."""
    seen: list[list[np.ndarray]] = [[] for _ in term.elements]
    for chosen, near in batches(configurations, term.elements, term.cutoff):
        points = points_of([configurations[k] for k in chosen], len(near.kinds))
        distances = np.linalg.norm(points[:, near.partners] - points[:, None] + near.offsets, axis=0)
        pairs = pair_kinds(near.kinds, near.kinds[near.partners])
        bonds = np.asarray(term.curves(jnp.asarray(distances), jnp.asarray(pairs))[1].sum(0))
        for kind, found in enumerate(seen):
            found.append(bonds[near.kinds == kind])
    numbers = [np.concatenate(found) for found in seen]
    # where bonds end slowly their number is no whole one, and other frames have more of them
    return np.array([n.max() + max(SLACK, 2 * (n.max() - np.quantile(n, 0.95))) for n in numbers])


def _deepest(term: BindingTerm) -> np.ndarray:
    """The depth of the deepest bond of each element [kJ/mol]."""
    count = len(term.elements)
    deepest = np.zeros(count)
    for (first, second), depth in zip(((a, b) for b in range(count) for a in range(b + 1)), term.depths):
        deepest[[first, second]] = np.maximum(deepest[[first, second]], depth)
    return deepest
