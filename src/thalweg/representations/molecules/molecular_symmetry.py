"""Which atoms of a molecule may change places: the automorphisms of its bond graph, or what its frames show.

A bond joins atoms closer than 1.3 times the sum of their covalent radii [cordero2008] in most frames. Permutations that
keep elements and bonds form a group; a model symmetric under it sees every frame in all its labelings, which is worth
as many times the data. Rotations of methyl groups are among them, at any temperature.

A proton between two electronegative atoms counts as bonded to both, so that the exchange its jump makes is found too.
For molecules without a graph that makes sense, `matched_symmetry` looks for the permutations that make frames resemble
each other, by assignment of eigenvectors of their distance matrices, kept consistent over all frames by a spanning tree
[chmiela2018].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import minimum_spanning_tree

from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import COVALENT_RADII

MOST = 1000
"""Groups with more elements than this are refused."""


def bond_matrix(frames: Sequence[Configuration]) -> np.ndarray:
    """Whether atoms are bonded in more than half of ``frames``, (atoms, atoms) bool.

    Raises
    ------
    ValueError
        If the frames are not all of the same atoms in the same order, or an element has no radius here.
    """
    numbers = same_atoms(frames)
    strangers = sorted({int(z) for z in numbers if not 0 < z < len(COVALENT_RADII)})
    if strangers:
        raise ValueError(
            f"no covalent radius known for atomic numbers {strangers}; give the permutations instead"
        )
    radii = COVALENT_RADII[numbers]
    distances = np.array([_distances(frame) for frame in frames])
    return ((distances < 1.3 * (radii[:, None] + radii)).mean(0) > 0.5) & ~np.eye(len(numbers), dtype=bool)


def same_atoms(frames: Sequence[Configuration]) -> np.ndarray:
    """Atomic numbers shared by all ``frames``.

    Raises
    ------
    ValueError
        If there are no frames or one has other atoms.
    """
    if not frames:
        raise ValueError("no frames given; a model of a molecule needs at least one")
    numbers = np.asarray(frames[0].numbers)
    for k, frame in enumerate(frames):
        if not np.array_equal(frame.numbers, numbers):
            raise ValueError(
                f"frame {k} has atoms {np.asarray(frame.numbers).tolist()}, frame 0 has {numbers.tolist()}; a model "
                "of one molecule needs the same atoms in the same order; use a local representation for others"
            )
        if any(frame.periodic):
            raise ValueError(f"frame {k} is periodic; a model of one molecule is for free molecules")
    return numbers


def automorphisms(colors: Sequence[int] | np.ndarray, bonds: np.ndarray, most: int = MOST) -> np.ndarray:
    """All permutations that keep ``colors`` and ``bonds``, identity first, (order of the group, atoms) int.

    Found by extending partial maps atom by atom, after colors were refined by those of neighbors.

    Parameters
    ----------
    colors : what atoms must share to be exchanged, such as atomic numbers
    bonds : (atoms, atoms) symmetric bool
    most : largest group wanted

    Raises
    ------
    ValueError
        If there are more than ``most``.

    Examples
    --------
    >>> water = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], bool)
    >>> automorphisms([8, 1, 1], water).tolist()
    [[0, 1, 2], [0, 2, 1]]
    """
    colors, bonds = np.asarray(colors), np.asarray(bonds, bool)
    refined = _refined(colors, bonds)
    order = _search_order(bonds)
    permutations: list[np.ndarray] = []
    image = np.full(len(colors), -1)  # of each atom under the map so far; -1 where there is none yet

    def extend(depth):
        if depth == len(order):
            if len(permutations) == most:
                raise ValueError(
                    f"the molecule has more than {most} permutations of like atoms that keep its bonds; "
                    f"raise `most`, or give fewer permutations yourself"
                )
            permutations.append(image.copy())
            return
        atom, mapped = order[depth], order[:depth]
        # an atom may go where its bonds to atoms already mapped are bonds to the images of these
        for candidate in np.flatnonzero(refined == refined[atom]):
            if candidate not in image and np.array_equal(
                bonds[atom, mapped], bonds[candidate, image[mapped]]
            ):
                image[atom] = candidate
                extend(depth + 1)
                image[atom] = -1

    extend(0)
    return _sorted_group(np.array(permutations))


def closed_group(generators: np.ndarray, most: int = MOST) -> np.ndarray:
    """The group that ``generators`` (permutations as rows) generate, identity first.

    Raises
    ------
    ValueError
        If it has more than ``most`` elements.

    Examples
    --------
    >>> len(closed_group(np.array([[1, 2, 0], [1, 0, 2]])))
    6
    """
    generators = np.atleast_2d(np.asarray(generators, int))
    known = {tuple(range(generators.shape[1]))}
    frontier = list(known)
    while frontier:
        made = {tuple(generator[list(element)]) for element in frontier for generator in generators}
        frontier = list(made - known)
        known |= made
        if len(known) > most:
            raise ValueError(
                f"these permutations generate a group of more than {most}; give fewer or raise `most`"
            )
    return _sorted_group(np.array(list(known), int))


def matched_symmetry(frames: Sequence[Configuration], tolerance: float = 0.2, most: int = MOST) -> np.ndarray:
    """Permutations under which frames resemble each other, closed into a group [chmiela2018].

    For pairs of frames the permutation that best maps one weighted distance matrix onto the other is found by
    assignment in their eigenvectors; a minimum spanning tree over the frames makes them consistent. A permutation
    counts if the mean distance matrix of the frames so aligned changes by less than ``tolerance`` (relative).

    Not to be trusted with few frames: it can miss elements. Automorphisms of the bond graph are exact.
    """
    numbers = same_atoms(frames)
    distances = np.array([_distances(frame) for frame in frames])
    costs, matches = _matches(distances, numbers)
    # along the tree of the most alike frames each frame is matched to the first one
    tree = minimum_spanning_tree(costs).toarray()
    aligned, todo = {0: np.arange(len(numbers))}, [0]
    while todo:
        a = todo.pop()
        for b in np.flatnonzero((tree[a] > 0) | (tree[:, a] > 0)):
            if b not in aligned:
                aligned[b] = matches[a, b][aligned[a]]
                todo.append(b)
    mean = np.mean([distances[k][np.ix_(image, image)] for k, image in aligned.items()], 0)
    images = {tuple(image) for image in aligned.values()}
    symmetries = [image for image in images if _change(mean, np.array(image)) < tolerance]
    return closed_group(np.array([*symmetries, tuple(range(len(numbers)))]), most)


def _matches(distances, numbers):
    """Of each pair of frames how unlike they are when matched, (frames, frames), and the permutation that matches them.

    Assigned are the absolute eigenvectors of their distance matrices, among like atoms.
    """
    vectors = [np.abs(np.linalg.eigh(each)[1]) for each in distances]
    forbidden = 1e3 * ~np.equal.outer(numbers, numbers)
    count = len(distances)
    costs, matches = np.zeros((count, count)), {}
    for a in range(count):
        for b in range(a):
            _, image = linear_sum_assignment(forbidden - vectors[a] @ vectors[b].T)
            matched = np.linalg.norm(distances[a] - distances[b][np.ix_(image, image)])
            unmatched = np.linalg.norm(distances[a] - distances[b])
            image = image if matched < unmatched else np.arange(len(numbers))
            costs[a, b] = min(matched, unmatched) + 1e-12  # zero would be no edge of the tree
            matches[a, b], matches[b, a] = image, np.argsort(image)
    return costs, matches


def molecular_symmetry(frames: Sequence[Configuration], most: int = MOST) -> np.ndarray:
    """Permutations of like atoms of the molecule in ``frames``, identity first, (order of the group, atoms) int.

    The automorphisms of its bond graph; where a proton is held between two electronegative atoms, those of the graph
    with both contacts as bonds as well, so that what its jump exchanges is among them.

    Raises
    ------
    ValueError
        If there are more than ``most``, or the frames are not all of one free molecule.
    """
    numbers, bonds = same_atoms(frames), bond_matrix(frames)
    group = automorphisms(numbers, bonds, most)
    shared = bonds | _proton_contacts(frames)
    if np.array_equal(shared, bonds):
        return group
    return closed_group(np.concatenate([group, automorphisms(numbers, shared, most)]), most)


def _proton_contacts(frames: Sequence[Configuration], reach: float = 0.2) -> np.ndarray:
    """Whether one atom is a hydrogen and the other N, O or F within ``reach`` [nm], in more than half of ``frames``."""
    numbers = same_atoms(frames)
    near = (np.array([_distances(frame) for frame in frames]) < reach).mean(0) > 0.5
    pairs = np.outer(numbers == 1, np.isin(numbers, [7, 8, 9]))
    # a contact needs a donor: the hydrogen must be bonded to one electronegative atom and near another
    pairs &= ((pairs & near).sum(1) > 1)[:, None]
    return near & (pairs | pairs.T)


def _change(matrix, permutation):
    return np.linalg.norm(matrix - matrix[np.ix_(permutation, permutation)]) / np.linalg.norm(matrix)


def _distances(frame):
    points = np.asarray(frame.positions, float)
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def _refined(colors, bonds):
    """Colors refined by the multiset of neighbors' colors until nothing changes."""
    while True:
        keys = [(int(c), *sorted(colors[row].tolist())) for c, row in zip(colors, bonds)]
        labels = {key: k for k, key in enumerate(sorted(set(keys)))}
        if len(labels) == len(set(colors.tolist())):
            return colors
        colors = np.array([labels[key] for key in keys])


def _search_order(bonds):
    """Atoms in breadth-first order, so that each is bonded to an earlier one where possible."""
    order: list[int] = []
    for start in range(len(bonds)):
        todo = [start]
        while todo:
            atom = todo.pop(0)
            if atom not in order:
                order.append(atom)
                todo += np.flatnonzero(bonds[atom]).tolist()
    return np.array(order, int)


def _sorted_group(permutations):
    """Rows in lexicographic order, which puts the identity first."""
    return permutations[np.lexsort(permutations.T[::-1])]
